//! Interruption, and what continues a run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::{TempDir, tempdir};
use wgrad::train::Folder;

use crate::wgrad::words;

#[cfg(unix)]
#[test]
fn an_interrupted_run_saves_says_how_to_go_on_and_ends_with_130() {
    ["-INT", "-TERM"].into_iter().for_each(interrupted);
}

/// What a run that is sent a signal after 50 lines of this log says before it ends, with 130.
#[cfg(unix)]
fn stopped(folder: &Path, line: &str, log: &str, signal: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(line.split(' ')).current_dir(folder);
    command.env("XDG_RUNTIME_DIR", folder).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (log, start) = (folder.join(log), Instant::now());
    while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 50 {
        assert!(start.elapsed() < Duration::from_secs(120), "no steps");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{signal}: {error}");
    error
}

#[cfg(unix)]
#[test]
fn an_interrupted_cross_validation_goes_no_further() {
    let folder = tempdir().unwrap();
    let rows: String = (0..40).map(|i| format!("{i},{}\n", i % 7)).collect();
    std::fs::write(folder.path().join("t.csv"), format!("x,y\n{rows}")).unwrap();
    let line = "train --data t.csv --target y --set folds=3 --set epochs=100000 --set patience=100000";
    let error = stopped(folder.path(), line, "run/fold-1/metrics.jsonl", "-INT");
    assert!(error.contains("wgrad train --resume --run run/fold-1"), "{error}");
    assert!(folder.path().join("run/fold-1/model.safetensors").exists());
    assert!(!folder.path().join("run/fold-2").exists());
}

#[cfg(unix)]
fn interrupted(signal: &str) {
    let folder = tempdir().unwrap();
    let error = stopped(folder.path(), "train dense --set epochs=100000", "run/metrics.jsonl", signal);
    let log = folder.path().join("run/metrics.jsonl");
    assert!(
        error.contains("interrupted after step") && error.contains("wgrad train --resume --run run"),
        "{error}"
    );
    assert!(folder.path().join("run/model.safetensors").exists());
    let done = std::fs::read_to_string(&log).unwrap().lines().count();
    words(folder.path(), "train --resume --set max_steps=1").succeeds();
    assert!(
        std::fs::read_to_string(&log).unwrap().lines().count() >= done,
        "the steps before are still there"
    );
}

/// What a log says of steps and epochs, without times.
#[cfg(unix)]
fn log(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("run/metrics.jsonl")).unwrap();
    let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let timeless = |mut value: Value| {
        value.as_object_mut().unwrap().remove("seconds");
        value
    };
    values.map(timeless).collect()
}

#[cfg(unix)]
#[test]
fn a_killed_run_that_is_resumed_ends_as_an_unbroken_one() {
    let [whole, broken] = [tempdir().unwrap(), tempdir().unwrap()];
    let line = "train xor --set epochs=40 --set checkpoint_steps=3";
    words(whole.path(), line).succeeds();
    let place = Folder::new(broken.path().join("run/checkpoints"));
    let newest = || place.steps().ok().and_then(|steps| steps.last().copied()).unwrap_or(0);
    for (kills, line) in [line, "train --resume", "train --resume"].into_iter().enumerate() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
        command.args(line.split(' ')).current_dir(broken.path()).env("XDG_RUNTIME_DIR", broken.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (before, start) = (newest(), Instant::now());
        while newest() < before + 20 {
            assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint beyond step {before}");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "it ended before kill {kills}");
    }
    words(broken.path(), "train --resume").succeeds();
    let model = |folder: &TempDir| std::fs::read(folder.path().join("run/model.safetensors")).unwrap();
    assert_eq!(log(broken.path()), log(whole.path()));
    assert_eq!(log(whole.path()).len(), 440);
    assert!(model(&broken) == model(&whole), "the models differ");
}

#[test]
fn there_must_be_a_run_to_resume() {
    let folder = tempdir().unwrap();
    words(folder.path(), "train --resume --run nothing").fails(3, &["nothing/config.toml", "No such file"]);
    words(folder.path(), "train").fails(2, &["PRESET"]);
}

#[test]
fn a_resumption_that_fails_leaves_the_run_as_it_was_and_a_run_that_cannot_be_written_is_not_begun() {
    let folder = tempdir().unwrap();
    let line = "train dense --set epochs=2 --set samples=20 --set test_samples=10";
    words(folder.path(), line).succeeds();
    let config = || std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let before = config();
    words(folder.path(), "train --resume --set batch_size=7")
        .fails(3, &["belongs to another run", "batch size"]);
    assert_eq!(config(), before);
    words(folder.path(), "train --resume --set epochs=3").succeeds();
    assert!(config().contains("epochs = 3"), "{}", config());
    // A run that ends within its first epoch has no figures, and says so.
    let short = words(folder.path(), "train xor --set max_steps=2 --run short").succeeds().out;
    assert!(short.contains("validation: none, since no epoch was completed"), "{short}");
    std::fs::create_dir_all(folder.path().join("taken/model.safetensors")).unwrap();
    words(folder.path(), &format!("{line} --run taken")).fails(3, &["taken/model.safetensors"]);
    assert!(!folder.path().join("taken/config.toml").exists());
}

#[test]
fn a_damaged_checkpoint_is_told_where_no_progress_is_shown_too() {
    let folder = tempdir().unwrap();
    words(folder.path(), "train dense --set epochs=3 --set samples=20 --set test_samples=10 --json")
        .succeeds();
    let files =
        std::fs::read_dir(folder.path().join("run/checkpoints")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).collect();
    files.sort();
    std::fs::write(files.last().unwrap(), b"cut short").unwrap();
    let resumed = words(folder.path(), "train --resume --json").succeeds();
    assert!(resumed.err.contains("damaged"), "{}", resumed.err);
    assert!(resumed.out.lines().all(|line| line.starts_with('{')), "{}", resumed.out);
}
