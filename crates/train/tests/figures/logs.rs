//! Lines and tables: strict JSON, whole lines, rows as long as the header, and what a resumed run keeps.

use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use wgrad_train::Logger;
use wgrad_train::logs::{Csv, Jsonl};

fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// Steps 1 to 4 with an epoch's figures after the second and the fourth.
fn log(logger: &mut dyn Logger, steps: impl IntoIterator<Item = u64>) {
    for step in steps {
        logger.log(step, &[("loss", f64::from(1.0 / step as f32)), ("lr", 0.1)]).unwrap();
        if step.is_multiple_of(2) {
            let epoch = step as f64 / 2.0;
            logger
                .log(step, &[("epoch", epoch), ("val_loss", 0.1 + 0.2), ("val_roc_auc", f64::NAN)])
                .unwrap();
        }
    }
    logger.finish().unwrap();
}

#[test]
fn json_lines_parse_strictly() {
    let (_folder, path) = place("m.jsonl");
    let mut jsonl = Jsonl::new(&path);
    jsonl.start(0).unwrap();
    jsonl.log(3, &[("loss", f64::NAN), ("lr", f64::INFINITY), ("a \"b\"\n", -1e300), ("step", 9.0)]).unwrap();
    log(&mut jsonl, 4..=4);
    let text = read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], serde_json::json!({"step": 3, "loss": null, "lr": null, "a \"b\"\n": -1e300}));
    assert_eq!(lines[1], serde_json::json!({"step": 4, "loss": 0.25, "lr": 0.1}));
    // An f32 has its own few digits, an f64 all of them, a whole number none behind the point.
    let mut jsonl = Jsonl::new(&path);
    jsonl.start(0).unwrap();
    jsonl
        .log(1, &[("a", f64::from(0.1_f32)), ("b", 0.1 + 0.2), ("c", -3.0), ("d", 1e20), ("e", 1e-9)])
        .unwrap();
    let line = "{\"step\":1,\"a\":0.1,\"b\":0.30000000000000004,\"c\":-3,\"d\":1e20,\"e\":1e-9}\n";
    assert_eq!(read_to_string(&path).unwrap(), line);
}

fn resumed_equals_unbroken(name: &str, open: impl Fn(&Path) -> Box<dyn Logger>) {
    let (_folder, path) = place(name);
    let mut whole = open(&path);
    whole.start(0).unwrap();
    log(&mut *whole, 1..=6);
    let right = read_to_string(&path).unwrap();
    for step in 1..6 {
        // Killed within a line that belongs to no kept step, and with lines of later steps.
        let mut killed = open(&path);
        killed.start(0).unwrap();
        log(&mut *killed, 1..=step + 1);
        let torn = read_to_string(&path).unwrap();
        write(&path, &torn[..torn.len() - 3]).unwrap();
        let mut resumed = open(&path);
        resumed.start(step).unwrap();
        log(&mut *resumed, step + 1..=6);
        assert_eq!(read_to_string(&path).unwrap(), right, "resumed after step {step}");
        // Where the last step of an epoch was saved before its figures came, the epoch ends again.
        if step.is_multiple_of(2) {
            let mut resumed = open(&path);
            resumed.start(step).unwrap();
            resumed.log(step, &[("epoch", step as f64 / 2.0), ("val_loss", 9.0)]).unwrap();
            log(&mut *resumed, step + 1..=6);
            assert_eq!(read_to_string(&path).unwrap(), right, "epoch {step} ended again");
        }
    }
    // Without a file there is nothing to go on with, and a new run keeps nothing.
    std::fs::remove_file(&path).unwrap();
    let mut resumed = open(&path);
    resumed.start(4).unwrap();
    log(&mut *resumed, 5..=6);
    assert!(read_to_string(&path).unwrap().lines().count() >= 3);
    let mut anew = open(&path);
    anew.start(0).unwrap();
    assert!(read_to_string(&path).unwrap().lines().count() >= 3, "an older file stays until there is a line");
    log(&mut *anew, 1..=6);
    assert_eq!(read_to_string(&path).unwrap(), right);
}

#[test]
fn a_resumed_run_goes_on_in_its_lines() {
    resumed_equals_unbroken("m.jsonl", |path| Box::new(Jsonl::new(path)));
}

#[test]
fn a_resumed_run_goes_on_in_its_table() {
    resumed_equals_unbroken("m.csv", |path| Box::new(Csv::new(path)));
}

#[test]
fn every_row_is_as_long_as_the_header() {
    let (_folder, path) = place("m.csv");
    let mut csv = Csv::new(&path);
    csv.start(0).unwrap();
    log(&mut csv, 1..=2);
    let text = read_to_string(&path).unwrap();
    let right =
        "step,loss,lr,epoch,val_loss,val_roc_auc\n1,1,0.1,,,\n2,0.5,0.1,,,\n2,,,1,0.30000000000000004,NaN\n";
    assert_eq!(text, right);
    // A column that comes late, with a name that needs quotes, in a resumed run too; then a resumption of that one.
    let mut csv = Csv::new(&path);
    csv.start(2).unwrap();
    csv.log(3, &[("a,\"b\"\nc", f64::NEG_INFINITY), ("loss", 0.25), ("step", 7.0)]).unwrap();
    let right = right.replace('\n', ",\n").replace("auc,\n", "auc,\"a,\"\"b\"\" c\"\n");
    let right = format!("{right}3,0.25,,,,,-inf\n");
    assert_eq!(read_to_string(&path).unwrap(), right);
    let mut csv = Csv::new(&path);
    csv.start(3).unwrap();
    csv.log(4, &[("a,\"b\"\nc", 1.0)]).unwrap();
    assert_eq!(read_to_string(&path).unwrap(), format!("{right}4,,,,,,1\n"));
}

#[test]
fn a_file_that_is_no_log_is_not_overwritten() {
    let (_folder, path) = place("m.csv");
    write(&path, "name,age\nAda,36\n").unwrap();
    let error = Csv::new(&path).start(3).unwrap_err().to_string();
    assert!(error.contains("m.csv") && error.contains("step"), "{error}");
    assert_eq!(read_to_string(&path).unwrap(), "name,age\nAda,36\n");
    for logger in [&mut Csv::new("missing/m.csv") as &mut dyn Logger, &mut Jsonl::new("missing/m.jsonl")] {
        assert!(logger.start(0).unwrap_err().to_string().contains("missing/m."));
    }
}
