//! What the small presets reach, and what a run leaves in its folder.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;
use wgrad::nn::StateDict;

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
    let schedules = [
        "constant",
        "one-cycle",
        "cosine",
        "linear",
        "on-plateau --set decay=0.5",
        "polynomial --set power=2",
        "step --set decay_every=5",
        "multi-step --set decay_at=[6,9] --set decay=0.2",
        "exponential --set decay=0.9",
        "cosine-restarts --set restart_every=3 --set restart_factor=2",
    ];
    for (optimizer, schedule) in optimizers.split(' ').zip(schedules.into_iter().cycle()) {
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
fn a_run_keeps_the_checkpoints_and_stops_where_it_is_told() {
    let folder = tempdir().unwrap();
    let files = |run: &str| {
        let files = std::fs::read_dir(folder.path().join(run).join("checkpoints")).unwrap();
        files
            .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "safetensors"))
            .count()
    };
    // 10 steps an epoch.
    let keys = "--set checkpoint_steps=4 --set keep_checkpoints=3 --set swa=2";
    let value = last(folder.path(), &format!("xor --run steps {keys} --set epochs=4"));
    assert_eq!((value["steps"].as_u64(), files("steps")), (Some(40), 3), "{value}");
    let usual = last(folder.path(), "xor --run usual --set epochs=4");
    assert_ne!(value["figures"]["val_loss"], usual["figures"]["val_loss"]);
    let clipped = last(folder.path(), "xor --run clipped --set epochs=4 --set clip_value=1e-4");
    assert_ne!(clipped["figures"]["val_loss"], usual["figures"]["val_loss"]);
    assert_eq!(files("usual"), 2);
    last(
        folder.path(),
        "xor --run best --set epochs=4 --set keep_checkpoints=1 --set keep_best=lr --set warm_up=39",
    );
    assert_eq!(files("best"), 2, "the last, and that of the first epoch, whose rate is the lowest");
    // A loss that has to fall by a million never does.
    let value = last(folder.path(), "xor --run soon --set epochs=50 --set patience=2 --set min_delta=1e6");
    assert_eq!(value["steps"], 30, "{value}");
    let value = last(folder.path(), "xor --run short --set epochs=10000 --set time_limit=1");
    assert!(value["steps"].as_u64().unwrap() < 100_000, "{value}");
    let fails =
        |set: &str, part: &str| words(folder.path(), &format!("train xor --run no {set}")).fails(2, &[part]);
    fails("--set ema=0.9 --set swa=2", "one average");
    fails("--set swa=5 --set epochs=4", "swa = 5");
    fails("--set min_delta=0.1", "patience");
    fails("--set time_limit=0", "time_limit = 0");
    fails("--set clip_value=-1", "clip_value = -1");
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
    for (keys, said) in [
        ("schedule=step", "decay_every"),
        ("schedule=multi-step", "decay_at"),
        ("schedule=exponential", "decay"),
        ("schedule=cosine-restarts", "restart_every"),
        ("schedule=cosine --set decay=0.5", "decay: it is a key of schedule step"),
        ("schedule=linear --set power=2", "polynomial"),
        ("schedule=step --set decay_every=0", "decay_every = 0"),
        ("schedule=step --set decay_every=1 --set decay=1.5", "decay = 1.5"),
        ("schedule=multi-step --set decay_at=[]", "decay_at"),
        ("schedule=multi-step --set decay_at=[0,2]", "decay_at"),
        ("schedule=polynomial --set power=-1", "power = -1"),
        ("l1_penalty=-1", "l1_penalty = -1"),
    ] {
        fails(&format!("train xor --set {keys}"), &[said]);
    }
    fails("train xor --set warm_up=5 --set schedule=one-cycle", &["warm_up"]);
    fails("train xor --set warm_up=100000", &["warm_up = 100000", "800 steps"]);
    fails("train xor --set ema=1", &["ema = 1"]);
    fails("train xor --set clip_norm=0", &["clip_norm = 0"]);
    fails("train xor --set accumulate=0", &["accumulate = 0"]);
    fails("train xor --set momentum=0.5", &["momentum is no key of adam", "sgd, rmsprop, muon"]);
    fails("train line --set class_weights=true", &["class_weights"]);
    fails("train xor --set optimizer=lbfgs", &["optimizer = \"lbfgs\"", "muon"]);
}

#[test]
fn every_loss_of_classes_trains_and_takes_its_numbers() {
    let folder = tempdir().unwrap();
    let two = "--set outputs=2 --set output_activation=none";
    let one = "--set outputs=1 --set output_activation=none";
    for (run, line) in [
        ("focal", format!("{two} --set loss=focal --set focal_gamma=1.5 --set class_weights=true")),
        ("hinge", format!("{two} --set loss=hinge --set hinge_margin=0.5")),
        ("dice", format!("{two} --set loss=dice --set dice_smooth=1")),
        ("focal-of-one", format!("{one} --set loss=focal --set focal_alpha=0.5")),
    ] {
        let value = last(folder.path(), &format!("xor --run {run} {line}"));
        assert!(figure(&value, "val_accuracy") > 0.9, "{run}: {value}");
    }
    // One output: a probability, and a logit.
    for line in
        ["dense --run shares --set loss=dice".to_owned(), format!("dense --run logits --set loss=dice {one}")]
    {
        assert!(figure(&last(folder.path(), &line), "val_accuracy") > 0.9, "{line}");
    }
    let line = last(folder.path(), "line --run bend --set loss=smooth-l1 --set smooth_l1_beta=0.1");
    assert!(figure(&line, "val_rmse") < 0.3, "{line}");
    let fails = |line: &str, words_of: &[&str]| words(folder.path(), line).fails(2, words_of);
    fails("train xor --set focal_gamma=2", &["focal_gamma = 2", "key of loss focal", "bce"]);
    fails("train xor --set loss=focal", &["loss = focal", "logits"]);
    fails(
        &format!("train xor {two} --set loss=focal --set focal_gamma=-1"),
        &["focal_gamma = -1", "at least 0"],
    );
    fails(&format!("train xor {two} --set loss=focal --set focal_alpha=0.5"), &["focal_alpha", "one output"]);
    fails("train xor --set loss=hinge", &["loss = hinge", "an output for each class"]);
    fails("train line --set loss=dice", &["loss = dice", "mse"]);
    fails("train line --set loss=huber --set huber_delta=0", &["huber_delta = 0", "above 0"]);
    fails("train line --set label_smoothing=0.1", &["label_smoothing", "cross-entropy"]);
}

#[test]
fn figures_of_the_training_rows_are_told_and_a_short_batch_left_out() {
    let folder = tempdir().unwrap();
    let keys =
        "--set train_metrics=true --set drop_last=true --set batch_size=30 --set samples=100 --set epochs=4";
    let printed = words(folder.path(), &format!("train dense {keys} --run whole")).succeeds().out;
    let line = printed.lines().find(|line| line.starts_with("epoch 1/4")).unwrap();
    let places = ["train loss ", "train accuracy ", "val loss ", "val accuracy "].map(|part| line.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{line}");
    words(folder.path(), &format!("train dense {keys} --run cut --set max_steps=8")).succeeds();
    words(folder.path(), "train --resume --run cut --set max_steps=100000").succeeds();
    let epochs = |run: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(folder.path().join(run).join("metrics.jsonl")).unwrap();
        let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.filter(|value| value.get("epoch").is_some()).collect()
    };
    let (whole, cut) = (epochs("whole"), epochs("cut"));
    assert_eq!((whole.len(), cut.len(), &whole[3]["step"]), (4, 4, &Value::from(12)));
    for (whole, cut) in whole.iter().zip(&cut) {
        for name in ["train_loss", "train_accuracy", "val_accuracy"] {
            assert!(whole[name].is_number() && whole[name] == cut[name], "{name}: {whole} {cut}");
        }
    }
    let report = std::fs::read_to_string(folder.path().join("whole/report.html")).unwrap();
    assert!(report.contains("train accuracy"));
    words(folder.path(), "train dense --set drop_last=true --set batch_size=1000 --run none")
        .fails(2, &["make no batch of 1000"]);
}

/// The rate of each epoch's last step, of six epochs.
fn rates(folder: &Path, keys: &str) -> Vec<f64> {
    last(folder, &format!("xor --run rates --set epochs=6 --set lr=0.1 --set optimizer=sgd {keys}"));
    let text = std::fs::read_to_string(folder.join("rates/metrics.jsonl")).unwrap();
    std::fs::remove_dir_all(folder.join("rates")).unwrap();
    let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    values.filter(|value| value["epoch"].is_number()).filter_map(|value| value["lr"].as_f64()).collect()
}

#[test]
fn schedules_count_epochs() {
    let folder = tempdir().unwrap();
    let of_epochs = |keys: &str| rates(folder.path(), keys);
    let near = |found: &[f64], want: &[f64]| {
        let all = found.iter().zip(want).all(|(found, want)| (found - want).abs() < 1e-9 * want.max(1.0));
        assert!(all && found.len() == want.len(), "{found:?}, want {want:?}");
    };
    let found = of_epochs("--set schedule=step --set decay_every=2 --set decay=0.5");
    near(&found, &[0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
    let found = of_epochs("--set schedule=multi-step --set decay_at=[1,4]");
    near(&found, &[0.1, 0.01, 0.01, 0.01, 0.001, 0.001]);
    // 10 steps an epoch, the last of which has nine tenths of the fall behind it.
    let found = of_epochs("--set schedule=exponential --set decay=0.5");
    near(&found, &[0.9, 1.9, 2.9, 3.9, 4.9, 5.9].map(|epochs: f64| 0.1 * 0.5f64.powf(epochs)));
    // Falls of one, two and four epochs; each begins anew.
    let found = of_epochs("--set schedule=cosine-restarts --set restart_every=1 --set restart_factor=2");
    let cosine = |share: f64| 0.05 * (1.0 + (std::f64::consts::PI * share).cos());
    near(&found, &[0.9, 0.45, 0.95, 0.225, 0.475, 0.725].map(cosine));
}

#[test]
fn a_penalty_draws_weights_to_zero() {
    let folder = tempdir().unwrap();
    let sum = |keys: &str| {
        last(folder.path(), &format!("xor --run penalty --set epochs=20 {keys}"));
        let state = StateDict::load(folder.path().join("penalty/model.safetensors")).unwrap();
        std::fs::remove_dir_all(folder.path().join("penalty")).unwrap();
        state.tensors.values().flat_map(|(_, values)| values).map(|value| value.abs()).sum::<f32>()
    };
    let (plain, drawn) = (sum(""), sum("--set l1_penalty=0.1"));
    assert!(drawn < 0.5 * plain, "{drawn} after {plain}");
}

#[test]
fn a_learning_rate_is_looked_for_and_nothing_is_kept() {
    let folder = tempdir().unwrap();
    let found = words(folder.path(), "train xor --find-lr").succeeds().out;
    assert!(found.contains("try --set lr="), "{found}");
    let value = words(folder.path(), "train xor --find-lr --json").succeeds().json();
    let points = value["points"].as_array().unwrap();
    let rate = |i: usize| points[i][0].as_f64().unwrap();
    assert!(points.len() > 50 && (rate(0) - 1e-7).abs() < 1e-12 && rate(50) > rate(49), "{value}");
    let suggestion = value["suggestion"].as_f64().unwrap();
    assert!(suggestion > 0.0 && suggestion <= 1.0, "{suggestion}");
    assert!(!folder.path().join("run").exists());
    words(folder.path(), "train xor --find-lr --resume").fails(2, &["--resume"]);
}
