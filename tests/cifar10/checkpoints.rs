//! Weights and checkpoints that cannot be used (exit code 3): the files stay as they are.

use std::fs;

use wgrad::nn::StateDict;

use crate::support::{CHECKPOINT, Ended, Place, good, with_checkpoint};

/// The file's tensors with one missing, one unexpected and one of another shape, and its metadata.
fn of_another_model(bytes: &[u8]) -> Vec<u8> {
    let mut state = StateDict::from_bytes(bytes, "good").unwrap();
    state.tensors.remove("conv1.bias").unwrap();
    state.tensors.insert("extra.weight".to_owned(), (vec![2], vec![1.0, 2.0]));
    state.tensors.insert("fc.weight".to_owned(), (vec![10, 3], vec![0.5; 30]));
    state.to_bytes().unwrap()
}

const DIFFERENCES: [&str; 3] = [
    "missing: conv1.bias;",
    "unexpected: extra.weight;",
    "mismatched: fc.weight (file [10, 3], model [10, 8192]);",
];

#[test]
fn weights_to_start_from_that_do_not_fit() {
    let place = Place::new().with_data(2, 2);
    let weights = &good().0;
    let other = of_another_model(weights);
    let cases: [(&[u8], &[&str]); 5] = [
        (&weights[..weights.len() / 2], &["no usable safetensors file"]),
        (&weights[..5], &["no usable safetensors file"]),
        (b"", &["no usable safetensors file"]),
        (&[0xa5; 4096], &["no usable safetensors file"]),
        (&other, &DIFFERENCES),
    ];
    let args = ["--init", "in.safetensors", "--save", "w.safetensors", "--metrics", "m.jsonl"];
    for (bytes, parts) in cases {
        fs::write(place.path("in.safetensors"), bytes).unwrap();
        let before = place.files();
        place.train(&args).refused(3, &[&["in.safetensors"], parts].concat());
        assert_eq!(place.files(), before);
    }
    place.train(&["--init", "nowhere.safetensors"]).refused(3, &["nowhere.safetensors"]);
}

#[test]
fn good_weights_are_where_training_starts() {
    let place = Place::new().with_data(2, 2);
    fs::write(place.path("in.safetensors"), &good().0).unwrap();
    place
        .train(&["--init", "in.safetensors", "--lr", "0", "--max-steps", "1", "--save", "out.safetensors"])
        .well();
    let out = StateDict::load(place.path("out.safetensors")).unwrap();
    assert_eq!(out.tensors, StateDict::from_bytes(&good().0, "good").unwrap().tensors);
}

/// Resumes from `bytes`, which must be refused and stay as they are.
#[track_caller]
fn resume(place: &Place, bytes: &[u8], args: &[&str]) -> Ended {
    fs::write(place.path(CHECKPOINT), bytes).unwrap();
    fs::write(place.path("m.jsonl"), "{\"step\":1,\"loss\":2.5}\n").unwrap();
    let before = place.files();
    let always = ["--checkpoint", "run", "--resume", "--epochs", "2", "--metrics", "m.jsonl"];
    let ended = place.train(&[&always, args].concat());
    assert_eq!(place.files(), before, "{args:?}");
    ended
}

#[test]
fn damaged_checkpoints() {
    let place = with_checkpoint();
    let bytes = &good().1;
    for bad in [&bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1], &bytes[..3], b"", &[0x5a; 4096]] {
        resume(&place, bad, &[]).refused(3, &[CHECKPOINT, "no usable safetensors file"]);
    }
    resume(&place, &good().0, &[]).refused(3, &[CHECKPOINT, "no wgrad checkpoint"]);
    let mut state = StateDict::from_bytes(bytes, "good").unwrap();
    state.metadata.insert("wgrad.step".to_owned(), "many".to_owned());
    resume(&place, &state.to_bytes().unwrap(), &[]).refused(3, &[CHECKPOINT, "wgrad.step", "many"]);
}

#[test]
fn checkpoints_of_another_model() {
    let place = with_checkpoint();
    let other = of_another_model(&good().1);
    resume(&place, &other, &[]).refused(3, &[&[CHECKPOINT], &DIFFERENCES[..]].concat());
    let mut state = StateDict::from_bytes(&good().1, "good").unwrap();
    let optimizer: Vec<String> = state.tensors.keys().filter(|k| k.starts_with("optim.")).cloned().collect();
    assert_eq!(optimizer.len(), 6, "{optimizer:?}");
    state.tensors.remove(&optimizer[0]);
    let parts = [CHECKPOINT, "missing: ", &optimizer[0]];
    resume(&place, &state.to_bytes().unwrap(), &[]).refused(3, &parts);
}

#[test]
fn checkpoints_of_another_run() {
    let place = with_checkpoint();
    let bytes = &good().1;
    let found = "another run, of seed 0, batch size 10, 40 images shuffled; this one is of seed";
    resume(&place, bytes, &["--seed", "5"]).refused(3, &[CHECKPOINT, found, "seed 5,"]);
    resume(&place, bytes, &["--no-shuffle"]).refused(3, &[CHECKPOINT, found, "in their own order"]);
    let before = place.files();
    let args = ["--data", "data", "--batch-size", "20", "--checkpoint", "run", "--resume", "--epochs", "2"];
    place.run(&args).refused(3, &[CHECKPOINT, found, "batch size 20,"]);
    assert_eq!(place.files(), before);
    let other = Place::new().with_data(4, 2);
    fs::create_dir(other.path("run")).unwrap();
    resume(&other, bytes, &[]).refused(3, &[CHECKPOINT, found, "20 images"]);
}
