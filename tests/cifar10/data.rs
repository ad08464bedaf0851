//! Data sets with something wrong (exit code 3), and none at all.

use std::fs;

use crate::support::{Place, Running, wait};

const RECORD: usize = 3073;

#[test]
fn damaged_files_are_named_with_what_is_wrong() {
    let place = Place::new().with_data(4, 4);
    let path = place.path("data/data_batch_3.bin");
    let good = fs::read(&path).unwrap();
    let mut label = good.clone();
    label[2 * RECORD] = 10;
    let cases: [(Vec<u8>, &[&str]); 4] = [
        (good[..good.len() - 1].to_vec(), &["3 records and 3072 bytes"]),
        ([&good[..], &[1, 2]].concat(), &["4 records and 2 bytes"]),
        (Vec::new(), &["an empty file"]),
        (label, &["label 10 in record 2", "byte 6146", "0 to 9"]),
    ];
    for (bytes, parts) in cases {
        fs::write(&path, &bytes).unwrap();
        let before = place.files();
        let ended = place.train(&["--save", "w.safetensors", "--metrics", "m.jsonl"]);
        ended.refused(3, &[&["data_batch_3.bin"], parts].concat());
        assert_eq!(place.files(), before);
    }
}

#[test]
fn a_named_folder_without_the_files_is_an_error() {
    let place = Place::new().with_data(2, 2);
    fs::create_dir(place.path("empty")).unwrap();
    place.run(&["--data", "empty"]).refused(3, &["empty lacks data_batch_1.bin", "test_batch.bin"]);
    place.run(&["--data", "nowhere"]).refused(3, &["nowhere"]);
    place.run(&["--data", "data/test_batch.bin"]).refused(3, &["data/test_batch.bin"]);
    fs::remove_file(place.path("data/data_batch_5.bin")).unwrap();
    place.run(&["--data", "data"]).refused(3, &["lacks data_batch_5.bin;"]);
}

#[test]
fn the_variable_is_as_binding_as_the_flag() {
    let place = Place::new().with_data(2, 2);
    fs::create_dir(place.path("empty")).unwrap();
    let with = |folder: &str| {
        let mut command = place.command(&["--epochs", "1", "--batch-size", "10"]);
        wait(Running::start(command.env("CIFAR10_DIR", folder)))
    };
    with("empty").refused(3, &["empty lacks data_batch_1.bin"]);
    with("nowhere").refused(3, &["nowhere"]);
    assert!(with("data").well().out.contains("CIFAR-10 from data\n"));
}

#[test]
fn the_archives_own_folder_is_found_inside_the_named_one() {
    let place = Place::new().with_data(2, 2);
    fs::create_dir(place.path("outer")).unwrap();
    fs::rename(place.path("data"), place.path("outer/cifar-10-batches-bin")).unwrap();
    let ended = place.run(&["--data", "outer", "--batch-size", "10", "--epochs", "1"]).well();
    assert!(ended.out.contains("CIFAR-10 from outer/cifar-10-batches-bin\n"), "{}", ended.out);
}

#[test]
fn without_any_data_one_line_says_so_and_the_synthetic_set_is_used() {
    let ended = Place::new().run(&["--max-steps", "2", "--batch-size", "10"]).well();
    let lines: Vec<&str> = ended.out.lines().filter(|line| line.contains("synthetic")).collect();
    assert_eq!(lines.len(), 1, "{}", ended.out);
    assert!(lines[0].contains("not found") && lines[0].contains("--data"), "{}", lines[0]);
}

#[test]
fn the_cache_folder_is_used_and_a_half_filled_one_is_an_error() {
    let place = Place::new().with_data(2, 2);
    fs::create_dir_all(place.path("cache/wgrad")).unwrap();
    fs::rename(place.path("data"), place.path("cache/wgrad/cifar10")).unwrap();
    let ended = place.run(&["--batch-size", "10", "--epochs", "1"]).well();
    assert!(ended.out.contains("CIFAR-10 from ") && !ended.out.contains("synthetic"), "{}", ended.out);
    fs::remove_file(place.path("cache/wgrad/cifar10/test_batch.bin")).unwrap();
    place.run(&["--max-steps", "1"]).refused(3, &["lacks test_batch.bin"]);
}
