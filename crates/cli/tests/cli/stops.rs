//! Interruption, and what continues a run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::wgrad::words;

#[cfg(unix)]
#[test]
fn an_interrupted_run_saves_says_how_to_go_on_and_ends_with_130() {
    ["-INT", "-TERM"].into_iter().for_each(interrupted);
}

#[cfg(unix)]
fn interrupted(signal: &str) {
    let folder = tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(["train", "dense", "--set", "epochs=100000"]).current_dir(folder.path());
    command.env("XDG_RUNTIME_DIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (log, start) = (folder.path().join("run/metrics.jsonl"), Instant::now());
    while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 50 {
        assert!(start.elapsed() < Duration::from_secs(120), "no steps");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{signal}: {error}");
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

#[test]
fn there_must_be_a_run_to_resume() {
    let folder = tempdir().unwrap();
    words(folder.path(), "train --resume --run nothing").fails(3, &["nothing/config.toml", "No such file"]);
    words(folder.path(), "train").fails(2, &["PRESET"]);
}
