//! What the small presets reach, and what a run leaves in its folder.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::wgrad::words;

/// The last line of a run, as JSON.
fn last(folder: &Path, line: &str) -> Value {
    let printed = words(folder, &format!("train {line} --json")).succeeds();
    let lines: Vec<Value> = printed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.last().unwrap().clone()
}

fn figure(value: &Value, name: &str) -> f64 {
    value["figures"][name].as_f64().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn two_features_are_told_apart_in_98_of_100() {
    let folder = tempdir().unwrap();
    let printed = words(folder.path(), "train two-features").succeeds().out;
    let epochs: Vec<&str> = printed.lines().filter(|line| line.starts_with("epoch")).collect();
    assert!(epochs.len() > 5, "{printed}");
    for part in ["loss", "validation: loss", "accuracy", "recall", "f1"] {
        assert!(epochs.iter().all(|line| line.contains(part)), "{part}: {printed}");
    }
    assert!(
        printed.contains("mlp 2-3-1") && printed.contains("the model is run/model.safetensors"),
        "{printed}"
    );
    let judged = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(judged.lines().last().unwrap()).unwrap();
    assert!(last["val_accuracy"].as_f64() >= Some(0.98), "{last}");
}

#[test]
fn the_other_small_presets_reach_what_they_should() {
    let folder = tempdir().unwrap();
    assert!(figure(&last(folder.path(), "xor --run xor"), "val_accuracy") >= 0.95);
    let logistic = last(folder.path(), "logistic --run logistic");
    assert!(figure(&logistic, "val_accuracy") >= 0.9, "{logistic}");
    assert!(figure(&last(folder.path(), "dense --run dense"), "val_accuracy") >= 0.9);
    let line = last(folder.path(), "line --run line");
    // The noise has a deviation of 0.2, and the line's own 1.15.
    assert!(figure(&line, "val_r2") >= 0.95 && figure(&line, "val_rmse") < 0.25, "{line}");
    for (run, part) in
        [("xor", "x2"), ("logistic", "Confusion matrix"), ("dense", "ccuracy"), ("line", "y over x")]
    {
        let report = std::fs::read_to_string(folder.path().join(run).join("report.html")).unwrap();
        assert!(report.contains(part), "{run}");
    }
}

#[test]
fn a_run_leaves_a_model_that_inspect_run_and_eval_take() {
    let folder = tempdir().unwrap();
    words(folder.path(), "train dense --set epochs=2 --tensorboard").succeeds();
    for name in [
        "config.toml",
        "model.safetensors",
        "metrics.jsonl",
        "metrics.csv",
        "report.html",
        "checkpoints",
        "tensorboard",
    ] {
        assert!(folder.path().join("run").join(name).exists(), "{name}");
    }
    let inspected = words(folder.path(), "inspect run/model.safetensors --json").succeeds().json();
    assert_eq!(inspected["parameters"], 3);
    assert_eq!(inspected["data"]["schema"]["columns"][1]["name"], "x2");
    // What was resolved is what a second run takes, to the bit.
    words(folder.path(), "train run/config.toml --run again").succeeds();
    let model = |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("run") == model("again"));
    words(folder.path(), "train dense").fails(3, &["run", "--resume continues it"]);
}

#[test]
fn a_run_that_was_cut_short_continues_to_the_same_model() {
    let folder = tempdir().unwrap();
    words(folder.path(), "train dense --set epochs=4 --run whole").succeeds();
    words(folder.path(), "train dense --set epochs=4 --set max_steps=33 --run cut").succeeds();
    words(folder.path(), "train --resume --run cut --set max_steps=100000").succeeds();
    let model = |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("whole") == model("cut"));
}

#[test]
fn images_are_trained_on_judged_and_named() {
    let folder = tempdir().unwrap();
    let small = "--set samples=200 --set test_samples=50 --set epochs=1 --set max_steps=3";
    words(folder.path(), &format!("train cnn {small} --set widths=[4,4]")).succeeds();
    words(folder.path(), &format!("train resnet9 {small} --set width=2 --run residual")).succeeds();
    words(folder.path(), &format!("train mlp {small} --run perceptron")).succeeds();
    for run in ["run", "residual", "perceptron"] {
        let report = std::fs::read_to_string(folder.path().join(run).join("report.html")).unwrap();
        for part in
            ["Confusion matrix", "Most wrong", "What the model looks at", "Filters of the first layer"]
        {
            assert!(report.contains(part), "{run}: {part}");
        }
        let inspected = words(folder.path(), &format!("inspect {run}/model.safetensors")).succeeds().out;
        assert!(inspected.contains("classes disc"), "{inspected}");
    }
}
