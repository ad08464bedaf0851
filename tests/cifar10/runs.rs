//! Runs that end well: what they write, to the byte.

use std::fs;

use crate::support::Place;

/// The metrics file without the one figure that differs from run to run.
fn metrics(place: &Place, name: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path(name)).unwrap();
    let line = |line: &str| line.split(",\"seconds\":").next().unwrap().to_owned();
    text.lines().map(line).collect()
}

/// Asserts that `line` is an object with exactly these keys in this order, and gives their values.
#[track_caller]
fn values(line: &str, keys: &[&str]) -> Vec<f64> {
    let inner = line.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let fields: Vec<(&str, &str)> = inner
        .unwrap_or_else(|| panic!("{line}"))
        .split(',')
        .map(|field| field.split_once(':').unwrap())
        .collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.trim_matches('"')).collect();
    assert_eq!(names, keys, "{line}");
    fields.iter().map(|(_, value)| value.parse().unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_to_the_bit() {
    let place = Place::new().with_data(8, 10);
    let run = |name: &str, args: &[&str]| {
        let (save, metrics) = (format!("{name}.safetensors"), format!("{name}.jsonl"));
        let always = ["--save", &save, "--metrics", &metrics, "--checkpoint", name];
        place.train(&[&always, args].concat()).well();
    };
    run("whole", &["--epochs", "4"]);
    run("halves", &["--epochs", "2"]);
    run("halves", &["--epochs", "4", "--resume"]);
    // Steps 6 and 8 lie within and at the end of the second epoch of 4 steps, step 13 in the fourth.
    for steps in ["6", "8", "13"] {
        run("pieces", &["--epochs", "4", "--resume", "--max-steps", steps]);
        assert!(
            metrics(&place, "pieces.jsonl")
                .iter()
                .any(|line| line.starts_with(&format!("{{\"step\":{steps},")))
        );
    }
    run("pieces", &["--epochs", "4", "--resume"]);
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    let whole = metrics(&place, "whole.jsonl");
    assert_eq!(whole.len(), 4 * 4 + 4);
    for other in ["halves", "pieces"] {
        assert!(
            bytes("whole.safetensors") == bytes(&format!("{other}.safetensors")),
            "{other}: other weights"
        );
        assert_eq!(metrics(&place, &format!("{other}.jsonl")), whole, "{other}");
        let file = |name: &str| format!("{name}/checkpoint.safetensors");
        let state = |name: &str| wgrad::nn::StateDict::load(place.path(&file(name))).unwrap();
        assert!(state("whole") == state(other), "{other}: another checkpoint");
    }
    // A run that is already complete has nothing left to do, and says the same.
    run("halves", &["--epochs", "4", "--resume"]);
    assert_eq!(metrics(&place, "halves.jsonl"), whole);
}

#[test]
fn the_seed_decides_the_weights() {
    let place = Place::new().with_data(8, 10);
    let run = |name: &str, args: &[&str]| {
        let always = ["--epochs", "1", "--save", name];
        place.train(&[&always, args].concat()).well();
        fs::read(place.path(name)).unwrap()
    };
    let first = run("1.safetensors", &["--seed", "7"]);
    assert!(first == run("2.safetensors", &["--seed", "7"]), "two runs of one seed differ");
    assert!(first != run("3.safetensors", &["--seed", "8"]), "another seed makes no difference");
    assert!(first != run("4.safetensors", &["--seed", "7", "--no-shuffle"]), "shuffling makes no difference");
    let weights = run("5.safetensors", &["--seed", "7", "--init", "3.safetensors", "--max-steps", "1"]);
    assert!(weights != first, "--init makes no difference");
}

#[test]
fn metrics_are_one_object_a_line() {
    let place = Place::new().with_data(8, 10);
    let ended = place.train(&["--epochs", "2", "--metrics", "m.jsonl"]).well();
    let text = fs::read_to_string(place.path("m.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10, "{text}");
    for (epoch, lines) in lines.chunks(5).enumerate() {
        let mut sum = 0.0;
        for (i, line) in lines[..4].iter().enumerate() {
            let found = values(line, &["step", "loss"]);
            assert_eq!(found[0], (4 * epoch + i + 1) as f64);
            assert!(found[1] > 0.1 && found[1] < 10.0, "{line}");
            sum += found[1];
        }
        let found = values(lines[4], &["epoch", "train_loss", "test_accuracy", "seconds"]);
        assert_eq!(found[0], (epoch + 1) as f64);
        assert!((found[1] - sum / 4.0).abs() < 1e-6, "{} is not the mean of {lines:?}", found[1]);
        // Ten test images: a whole number of tenths.
        assert!(
            (0.0..=1.0).contains(&found[2])
                && (found[2] * 10.0).fract().min(1.0 - (found[2] * 10.0).fract()) < 1e-9
        );
        assert!(found[3] > 0.0 && found[3] < 60.0, "{}", found[3]);
        let printed = format!(
            "epoch {}/2  train loss {:.4}  test accuracy {:.2}%",
            epoch + 1,
            found[1],
            100.0 * found[2]
        );
        assert!(ended.out.contains(&printed), "no {printed:?} in:\n{}", ended.out);
    }
}
