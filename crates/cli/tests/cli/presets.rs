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

#[test]
fn every_optimizer_and_schedule_makes_the_loss_smaller() {
    let folder = tempdir().unwrap();
    let optimizers = "sgd adam adamw amsgrad nadam rmsprop adagrad adadelta lion lamb adafactor muon";
    let schedules = "constant one-cycle cosine linear on-plateau".split(' ').cycle();
    for (optimizer, schedule) in optimizers.split(' ').zip(schedules) {
        let lr = if matches!(optimizer, "adadelta") { 1.0 } else { 0.02 };
        let line = format!(
            "xor --run {optimizer} --set optimizer={optimizer} --set schedule={schedule} --set lr={lr} --set epochs=12"
        );
        last(folder.path(), &line);
        let text = std::fs::read_to_string(folder.path().join(optimizer).join("metrics.jsonl")).unwrap();
        let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let losses: Vec<f64> = values.filter_map(|value| value["val_loss"].as_f64()).collect();
        assert_eq!(losses.len(), 12);
        assert!(losses[11] < losses[0], "{optimizer} by a schedule {schedule}: {losses:?}");
    }
}

#[test]
fn what_belongs_to_a_recipe_can_be_set() {
    let folder = tempdir().unwrap();
    let keys = "--set accumulate=2 --set clip_norm=1 --set ema=0.9 --set warm_up=5 --set schedule=cosine";
    let value = last(folder.path(), &format!("xor --run all {keys} --set epochs=3"));
    // 200 rows are 10 batches of 20, which are 5 steps an epoch.
    assert_eq!(value["steps"], 15, "{value}");
    let text = std::fs::read_to_string(folder.path().join("all/metrics.jsonl")).unwrap();
    let lrs: Vec<f64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|value| value["grad_norm"].is_number())
        .filter_map(|value| value["lr"].as_f64())
        .collect();
    assert_eq!(lrs.len(), 15);
    assert!(lrs[0] < 0.001 && lrs[5] == 0.05 && lrs[14] < 0.005, "{lrs:?}");
    // Without progress the best epoch is soon behind, and its weights are what is kept.
    let stopped = last(folder.path(), "xor --run stops --set lr=10 --set optimizer=sgd --set patience=2");
    assert!(stopped["steps"].as_u64() < Some(800), "{stopped}");
    let weighed =
        "--set outputs=2 --set output_activation=none --set loss=cross-entropy --set class_weights=true";
    assert!(figure(&last(folder.path(), &format!("xor --run weighed {weighed}")), "val_accuracy") > 0.9);
    for (loss, most) in [("l1", 0.3), ("huber", 0.3), ("smooth-l1", 0.3)] {
        let line = last(folder.path(), &format!("line --run {loss} --set loss={loss}"));
        assert!(figure(&line, "val_rmse") < most, "{loss}: {line}");
    }
    let fails = |line: &str, words_of: &[&str]| words(folder.path(), line).fails(2, words_of);
    fails("train xor --set warm_up=5 --set schedule=one-cycle", &["warm_up"]);
    fails("train xor --set warm_up=100000", &["warm_up = 100000", "800 steps"]);
    fails("train xor --set ema=1", &["ema = 1"]);
    fails("train xor --set clip_norm=0", &["clip_norm = 0"]);
    fails("train xor --set accumulate=0", &["accumulate = 0"]);
    fails("train xor --set momentum=0.5", &["momentum is no key of adam", "sgd, rmsprop, muon"]);
    fails("train line --set class_weights=true", &["class_weights"]);
    fails("train xor --set optimizer=lbfgs", &["optimizer = \"lbfgs\"", "muon"]);
}
