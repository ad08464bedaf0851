//! Tables: from a CSV file to a model, and from the model to predictions.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;
use wgrad_cli::ModelFile;
use wgrad_cli::config::{Config, Loss};

use crate::wgrad::words;

/// Flowers whose kind follows from two numbers and a colour, and their height from one of them.
fn write_flowers(path: &Path, rows: usize) {
    let mut text = "petal,colour,sepal,kind,height\n".to_owned();
    for i in 0..rows {
        let (petal, sepal) = ((i * 37 % 100) as f64 / 10.0, (i * 53 % 100) as f64 / 10.0);
        let colour = ["red", "white"][i * 7 % 3 % 2];
        let kind = if colour == "white" {
            "lily"
        } else if petal > sepal {
            "rose"
        } else {
            "tulip"
        };
        writeln!(text, "{petal},{colour},{sepal},{kind},{}", 3.0 * petal + 10.0).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_table_alone_is_enough_for_a_classifier() {
    let folder = tempdir().unwrap();
    write_flowers(&folder.path().join("flowers.csv"), 300);
    let printed =
        words(folder.path(), "train --data flowers.csv --target kind --set epochs=40 --set lr=0.01")
            .succeeds()
            .out;
    assert!(
        printed.contains(
            "240 rows to train on and 60 to validate, 5 features (categories: colour); kind is 3 classes"
        ),
        "{printed}"
    );
    assert!(printed.contains("mlp 5-64-32-3; adam"), "{printed}");
    let judged =
        words(folder.path(), "eval run/model.safetensors --data flowers.csv --json").succeeds().json();
    assert_eq!(judged["rows"], 300);
    assert!(judged["figures"]["accuracy"].as_f64() > Some(0.95), "{judged}");
    // Columns in another order, without the target, and one more.
    std::fs::write(
        folder.path().join("new.csv"),
        "sepal,more,height,petal,colour\n1.5,x,0,9.5,red\n9,y,1,0.5,red\n3,z,2,3,white\n",
    )
    .unwrap();
    let named = words(folder.path(), "predict run/model.safetensors new.csv --json").succeeds().json();
    let kinds: Vec<&str> = (0..3).map(|i| named[i]["classes"][0]["class"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rose", "tulip", "lily"]);
    let sum: f64 = (0..3).map(|i| named[0]["classes"][i]["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5);
    let lines = words(folder.path(), "predict run/model.safetensors new.csv").succeeds().out;
    assert!(lines.starts_with("new.csv row 1: rose ") && lines.lines().count() == 3, "{lines}");
}

#[test]
fn a_number_is_predicted_in_its_own_units() {
    let folder = tempdir().unwrap();
    write_flowers(&folder.path().join("flowers.csv"), 200);
    let line = "train --data flowers.csv --target height --set epochs=60 --set lr=0.01 --json";
    words(folder.path(), line).succeeds();
    let judged =
        words(folder.path(), "eval run/model.safetensors --data flowers.csv --json").succeeds().json();
    // Heights are 10 to 40.
    assert!(judged["figures"]["rmse"].as_f64() < Some(1.0), "{judged}");
    assert!(judged["figures"]["r2"].as_f64() > Some(0.98), "{judged}");
    std::fs::write(folder.path().join("new.csv"), "petal,colour,sepal,kind\n5,red,2,rose\n").unwrap();
    let value = words(folder.path(), "predict run/model.safetensors new.csv --json").succeeds().json();
    assert!((value[0]["height"].as_f64().unwrap() - 25.0).abs() < 2.0, "{value}");
}

#[test]
fn what_is_wrong_with_a_table_is_said() {
    let folder = tempdir().unwrap();
    write_flowers(&folder.path().join("flowers.csv"), 60);
    let fails = |line: &str, code, expected: &[&str]| words(folder.path(), line).fails(code, expected);
    fails("train --data flowers.csv", 2, &["--target names the column", "petal, colour"]);
    fails("train --data flowers.csv --target kinds", 3, &["no column kinds", "did you mean kind?"]);
    fails("train --data missing.csv --target kind", 3, &["missing.csv", "No such file"]);
    fails("train --data missing", 3, &["missing", "No such file"]);
    fails("train --data flowers.csv --target kind --set model=cnn", 2, &["for images", "mlp"]);
    fails("train --data flowers.csv --target kind --set outputs=4", 2, &["outputs = 4", "the data has 3"]);
    fails("train --data flowers.csv --target kind --set loss=mse", 2, &["loss = mse", "cross-entropy"]);
    fails("train --data flowers.csv --target height --set loss=bce", 2, &["loss = bce"]);
    fails("train --data flowers.csv --target kind --set lr=-1", 2, &["lr = -1"]);
    fails("train --data flowers.csv --target kind --set metrics=[\"acuracy\"]", 2, &["acuracy", "accuracy"]);
    fails("train --data flowers.csv --target kind --set momentum=0.9", 2, &["momentum", "sgd"]);
    assert!(!folder.path().join("run/model.safetensors").exists());
    std::fs::write(folder.path().join("ragged.csv"), "a,b\n1,2\n3\n").unwrap();
    fails("train --data ragged.csv --target b", 3, &["ragged.csv"]);
}

#[test]
fn columns_that_are_no_use_may_be_left_out_and_rare_categories_may_be_validated() {
    let folder = tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let rows = |cell: &dyn Fn(usize) -> String| -> String {
        (0..120).map(|i| format!("{},{},{}\n", cell(i), i % 7, if i % 7 > 3 { "a" } else { "b" })).collect()
    };
    write("names.csv", format!("name,x,label\n{}", rows(&|i| format!("person {i}"))));
    let line = "train --data names.csv --target label --set epochs=1";
    words(folder.path(), line).fails(3, &["\"name\"", "ignored", "max_categories"]);
    let printed = words(folder.path(), &format!("{line} --set ignored=[\"name\"]")).succeeds().out;
    assert!(printed.contains("1 feature; label is 2 classes"), "{printed}");
    // Prediction needs no such column.
    write("new.csv", "x\n1\n".to_owned());
    words(folder.path(), "predict run/model.safetensors new.csv").succeeds();
    let line = format!("{line} --run many --set max_categories=200");
    assert!(words(folder.path(), &line).succeeds().out.contains("97 features"));
    words(folder.path(), "train --data names.csv --target label --set ignored=[\"nam\"]")
        .fails(3, &["nam", "name"]);
    // Of categories that occur once, one in five is validated without having been trained on.
    write(
        "rare.csv",
        format!(
            "kind,x,label\n{}",
            rows(&|i| if i % 12 == 5 { format!("rare {i}") } else { "usual".to_owned() })
        ),
    );
    let told = "are categories that no row to train on has";
    let trained = words(folder.path(), "train --data rare.csv --target label --set epochs=1 --run rare");
    assert!(trained.succeeds().out.contains(told));
    let judged = words(folder.path(), "eval rare/model.safetensors --data rare.csv").succeeds();
    assert!(judged.out.contains(told), "{}", judged.out);
    write("unknown.csv", "kind,x\nnever seen,1\n".to_owned());
    words(folder.path(), "predict rare/model.safetensors unknown.csv")
        .fails(3, &["never seen", "expected one of"]);
    // Numbers that overflowed are none of categories.
    write(
        "inf.csv",
        format!("y,x,label\n{}", rows(&|i| if i % 5 == 2 { "-inf".to_owned() } else { i.to_string() })),
    );
    words(folder.path(), "train --data inf.csv --target label")
        .fails(3, &["line 4", "\"-inf\"", "a finite number"]);
    // A loss of two classes brings the number of outputs that it takes.
    let line = "train --data new2.csv --target label --set loss=bce --set epochs=1 --run bce";
    write("new2.csv", format!("y,x,label\n{}", rows(&|i| i.to_string())));
    assert!(words(folder.path(), line).succeeds().out.contains("mlp 2-64-32-1"));
}

#[test]
fn slips_and_missing_values_are_named_and_keys_say_what_becomes_of_them() {
    let folder = tempdir().unwrap();
    let rows: String = (0..40)
        .map(|i| {
            let x = match i {
                7 => "12x".to_owned(),
                9 => String::new(),
                _ => i.to_string(),
            };
            format!("{x},{},{}\n", i % 4, i % 2)
        })
        .collect();
    std::fs::write(folder.path().join("slips.csv"), format!("x,size,label\n{rows}")).unwrap();
    let line = "train --data slips.csv --target label --set epochs=1";
    words(folder.path(), line).fails(3, &["slips.csv", "line 9", "\"x\"", "\"12x\"", "a decimal number"]);
    let line = format!("{line} --set missing_markers=[\"12x\"]");
    let filled = words(folder.path(), &format!("{line} --run filled")).succeeds().out;
    assert!(filled.contains("2 features; label") && !filled.contains("left out"), "{filled}");
    let line = format!("{line} --set categories=[\"size\"]");
    let dropped = words(folder.path(), &format!("{line} --set missing=drop --run dropped")).succeeds().out;
    assert!(dropped.contains("5 features (categories: size)"), "{dropped}");
    assert!(dropped.contains("2 rows lack values and were left out"), "{dropped}");
    words(folder.path(), &format!("{line} --set missing=error --run error"))
        .fails(3, &["slips.csv", "expected a value"]);
    words(folder.path(), &format!("{line} --set missing=some")).fails(2, &["missing = \"some\""]);
    words(folder.path(), &format!("{line} --set categories=[\"sizes\"]")).fails(3, &["sizes"]);
    // Prediction fills in by the model's own rule, and says so beside what it predicts.
    std::fs::write(folder.path().join("new.csv"), "x,size\n12x,1\n3,2\n").unwrap();
    let named = words(folder.path(), "predict filled/model.safetensors new.csv").succeeds();
    assert!(named.err.contains("1 missing values were filled in"), "{}", named.err);
    assert_eq!(named.out.lines().count(), 2);
}

#[test]
fn a_model_is_judged_by_the_loss_that_it_was_trained_by() {
    let folder = tempdir().unwrap();
    write_flowers(&folder.path().join("flowers.csv"), 100);
    let line = "train --data flowers.csv --target height --set epochs=2 --json --set loss=huber --set huber_delta=0.3";
    words(folder.path(), line).succeeds();
    let line = "eval run/model.safetensors --data flowers.csv --json";
    let loss = || words(folder.path(), line).succeeds().json()["figures"]["loss"].as_f64().unwrap();
    let by_huber = loss();
    let path = folder.path().join("run/model.safetensors");
    let mut model = ModelFile::load(&path).unwrap();
    assert_eq!((model.loss.loss, model.loss.huber_delta), (Some(Loss::Huber), Some(0.3)));
    // Huber's is half the square up to delta, and below that beyond.
    model.loss = Config { loss: Some(Loss::Mse), ..Config::default() };
    model.save(&path).unwrap();
    assert!(by_huber > 0.0 && by_huber < 0.5 * loss(), "{by_huber}");
    // A loss that is none of such a model, as in a file that was damaged.
    model.loss = Config { loss: Some(Loss::CrossEntropy), ..Config::default() };
    model.save(&path).unwrap();
    words(folder.path(), line).fails(3, &["model.safetensors", "loss = cross-entropy"]);
}

/// The lines of a run that `--json` prints.
fn values(folder: &Path, line: &str) -> Vec<Value> {
    let printed = words(folder, &format!("train {line} --json")).succeeds().out;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_told_last_is_of_the_weights_that_are_kept() {
    let folder = tempdir().unwrap();
    write_flowers(&folder.path().join("flowers.csv"), 60);
    // So high a rate that the best epoch is not the last.
    let keys = "--set epochs=40 --set lr=0.3 --set patience=5";
    let lines = values(folder.path(), &format!("--data flowers.csv --target kind {keys}"));
    let (last, epochs) = lines.split_last().unwrap();
    let loss = |value: &Value| value["val_loss"].as_f64().unwrap();
    let best = epochs.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    assert_eq!((&last["epoch"], &last["figures"]["val_loss"]), (&best["epoch"], &best["val_loss"]));
    assert_ne!(best["epoch"], epochs.last().unwrap()["epoch"]);
    let printed = words(folder.path(), &format!("train --data flowers.csv --target kind {keys} --run again"));
    let told = format!("(epoch {}, the best, whose weights the model has)", best["epoch"]);
    assert!(printed.succeeds().out.contains(&told), "{told}");
}

#[test]
fn folds_validate_in_turn() {
    let folder = tempdir().unwrap();
    write_flowers(&folder.path().join("flowers.csv"), 50);
    let line = "--data flowers.csv --target kind --set epochs=3";
    let lines = values(folder.path(), &format!("{line} --set folds=3"));
    let runs: Vec<f64> = lines.iter().filter_map(|value| value["figures"]["val_loss"].as_f64()).collect();
    let (mean, n) = (runs.iter().sum::<f64>() / 3.0, runs.len());
    let squares: f64 = runs.iter().map(|loss| (loss - mean).powi(2)).sum();
    let last = lines.last().unwrap();
    assert_eq!((n, &last["folds"]), (3, &json!(3)));
    assert!((last["mean"]["val_loss"].as_f64().unwrap() - mean).abs() < 1e-12, "{last}");
    assert!((last["deviation"]["val_loss"].as_f64().unwrap() - (squares / 2.0).sqrt()).abs() < 1e-12);
    assert!(last["mean"]["val_accuracy"].is_number());
    // Each of the 50 rows validates once, and a fold can be trained by itself.
    let alone = words(folder.path(), &format!("train {line} --set folds=3 --set fold=2 --run alone"));
    let about = alone.succeeds().out;
    assert!(about.contains("33 rows to train on and 17 to validate"), "{about}");
    let model = |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("alone") == model("run/fold-2"));
    assert!(model("alone") != model("run/fold-3"));
    let printed = words(folder.path(), &format!("train {line} --set folds=2 --run two")).succeeds().out;
    assert!(
        printed.contains("fold 2 of 2:") && printed.contains("validation over 2 folds: loss "),
        "{printed}"
    );
    assert!(printed.contains(" ± ") && printed.contains("accuracy"), "{printed}");
    for (keys, said) in [
        ("--set folds=0", "folds = 0"),
        ("--set folds=1", "folds = 1"),
        ("--set folds=51", "folds = 51"),
        ("--set folds=3 --set fold=4", "fold = 4: 1 to 3"),
        ("--set folds=3 --set fold=0", "fold = 0"),
        ("--set fold=2", "folds"),
        ("--set folds=3 --set validation=0.1", "validation"),
    ] {
        words(folder.path(), &format!("train {line} --run no {keys}")).fails(2, &[said]);
    }
    words(folder.path(), "train xor --run no --set folds=3").fails(2, &["folds", "of its own"]);
    // One of them is gone, as after an interruption; the others are done.
    std::fs::remove_dir_all(folder.path().join("run/fold-3")).unwrap();
    let resumed = values(folder.path(), &format!("{line} --set folds=3 --resume"));
    assert_eq!(resumed.last(), lines.last());
    assert_eq!(resumed.iter().filter(|value| value["fold"] == 3).count(), 4);
    assert_eq!(resumed.iter().filter(|value| value["fold"] == 2).count(), 1);
    words(folder.path(), "train --resume --run run/fold-1 --set epochs=4").succeeds();
}
