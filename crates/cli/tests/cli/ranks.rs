//! The command as several ranks.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::tempdir;

/// The command in `folder`, started by `mpirun` with options for more ranks than processors.
#[cfg(feature = "mpi")]
fn ranks(folder: &Path, ranks: usize, line: &str) -> Output {
    let options = "--oversubscribe --bind-to none --mca mpi_yield_when_idle 1";
    Command::new("mpirun")
        .args(options.split(' '))
        .args(["-n", &ranks.to_string(), env!("CARGO_BIN_EXE_wgrad")])
        .args(line.split(' '))
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        .env("XDG_RUNTIME_DIR", folder)
        .current_dir(folder)
        .output()
        .expect("mpirun is installed")
}

#[cfg(feature = "mpi")]
#[test]
fn two_ranks_train_as_one_with_twice_the_batch() {
    let folder = tempdir().unwrap();
    let losses = |count: usize, batch: usize| {
        let line = format!("train xor --set batch_size={batch} --set max_steps=30 --run run{count}");
        let output = ranks(folder.path(), count, &line);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(out.matches("the model is").count(), 1, "{out}");
        assert_eq!(
            out.matches(&format!(" of {count}: ")).count(),
            if count > 1 { count } else { 0 },
            "{out}"
        );
        let log = std::fs::read_to_string(folder.path().join(format!("run{count}/metrics.jsonl"))).unwrap();
        let values = log.lines().filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap()
                .get("loss")
                .and_then(serde_json::Value::as_f64)
        });
        values.collect::<Vec<f64>>()
    };
    let (one, two) = (losses(1, 4), losses(2, 2));
    assert_eq!((one.len(), two.len()), (30, 30));
    for (step, (one, two)) in one.iter().zip(&two).enumerate() {
        assert!((one - two).abs() <= 1e-5 * one.abs(), "step {step}: {two} for {one}");
    }
    // What all ranks fail at is said once.
    let output = ranks(folder.path(), 2, "train xor --run run1");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), error.matches("there is a run in this folder").count()),
        (Some(3), 1),
        "{error}"
    );
}

#[cfg(not(feature = "mpi"))]
#[test]
fn several_ranks_of_a_command_without_mpi_are_refused() {
    let folder = tempdir().unwrap();
    let started = |path: &Path| -> Output {
        Command::new(env!("CARGO_BIN_EXE_wgrad"))
            .args(["train", "xor"])
            .envs([("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "4"), ("XDG_RUNTIME_DIR", ".")])
            .current_dir(path)
            .output()
            .unwrap()
    };
    let output = started(folder.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("4 ranks") && error.contains("feature `mpi`"), "{error}");
    assert!(!folder.path().join("run").exists());
}
