//! The command as several ranks.

#[cfg(feature = "mpi")]
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
#[cfg(feature = "mpi")]
use std::time::{Duration, Instant};

use tempfile::tempdir;

/// The command in `folder`, to be started by `mpirun` with options for more ranks than processors, and others.
#[cfg(feature = "mpi")]
fn mpirun(folder: &Path, options: &str, ranks: usize, line: &str) -> Command {
    let options = format!("--oversubscribe --bind-to none --mca mpi_yield_when_idle 1{options}");
    let mut command = Command::new("mpirun");
    command
        .args(options.split(' '))
        .args(["-n", &ranks.to_string(), env!("CARGO_BIN_EXE_wgrad")])
        .args(line.split(' '))
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        .env("XDG_RUNTIME_DIR", folder)
        .current_dir(folder);
    command
}

#[cfg(feature = "mpi")]
fn ranks(folder: &Path, ranks: usize, line: &str) -> Output {
    mpirun(folder, "", ranks, line).output().expect("mpirun is installed")
}

/// The losses of the steps of a run, which ends well, by so many ranks.
#[cfg(feature = "mpi")]
fn losses(folder: &Path, count: usize, line: &str) -> Vec<f64> {
    let output = ranks(folder, count, &format!("train {line} --run run{count}"));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(out.matches("the model is").count(), 1, "{out}");
    let named = if count > 1 { count } else { 0 };
    assert_eq!(out.matches(&format!(" of {count}: ")).count(), named, "{out}");
    let log = fs::read_to_string(folder.join(format!("run{count}/metrics.jsonl"))).unwrap();
    let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64();
    log.lines().filter_map(value).collect()
}

#[cfg(feature = "mpi")]
fn assert_close(two: &[f64], one: &[f64]) {
    assert_eq!((one.len(), two.len()), (30, 30));
    for (step, (one, two)) in one.iter().zip(two).enumerate() {
        assert!((one - two).abs() <= 1e-5 * one.abs(), "step {step}: {two} for {one}");
    }
}

#[cfg(feature = "mpi")]
#[test]
fn two_ranks_train_as_one_with_twice_the_batch() {
    let folder = tempdir().unwrap();
    let losses = |count, batch| {
        losses(folder.path(), count, &format!("xor --set batch_size={batch} --set max_steps=30"))
    };
    assert_close(&losses(2, 2), &losses(1, 4));
    // What all ranks fail at is said once.
    let output = ranks(folder.path(), 2, "train xor --run run1");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), error.matches("there is a run in this folder").count()),
        (Some(3), 1),
        "{error}"
    );
}

#[cfg(feature = "mpi")]
#[test]
fn classes_weigh_on_two_ranks_as_on_one() {
    let folder = tempdir().unwrap();
    // Of three classes one has three quarters of the rows, so that batches of 4 rows weigh differently.
    let row = |i: u32| {
        format!(
            "{},{},{}\n",
            i * 37 % 101,
            i * 53 % 89,
            ["a", "b", "c"][(i * 7 % 8 / 6 * (1 + i % 2)) as usize]
        )
    };
    let table: String = (0..120).map(row).collect();
    fs::write(folder.path().join("table.csv"), format!("x,y,class\n{table}")).unwrap();
    let losses = |count, batch| {
        let set = format!("--set class_weights=true --set batch_size={batch} --set max_steps=30");
        losses(folder.path(), count, &format!("--data table.csv --target class {set}"))
    };
    assert_close(&losses(2, 4), &losses(1, 8));
}

/// Processes that `mpirun` has started on this machine, rank 0 first.
#[cfg(feature = "mpi")]
fn children(mpirun: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{mpirun}/task")).unwrap();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: String = tasks.flatten().map(of_task).collect();
    let mut all: Vec<u32> = all.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    all.sort_unstable();
    all
}

/// What is cut short, and by which signal to which rank. Not by way of `mpirun`, which waits before it passes a signal on: a fast
/// machine would be at the run's end by then.
#[cfg(feature = "mpi")]
const CUTS: [(&str, &str, usize); 2] = [("killed", "-KILL", 1), ("interrupted", "-TERM", 0)];

#[cfg(feature = "mpi")]
#[test]
fn a_run_that_is_cut_short_ends_soon_and_then_with_the_bits_of_an_unbroken_one() {
    let folder = tempdir().unwrap();
    let line = |run: &str| format!("train xor --set epochs=60 --set sync_batch_norm=true --run {run}");
    assert!(ranks(folder.path(), 2, &line("unbroken")).status.success());
    let model = |run: &str| fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    for (run, signal, rank) in CUTS {
        let log = folder.path().join(format!("{run}.log"));
        let file = fs::File::create(&log).unwrap();
        // What ranks have for their ends when the first of them has ended.
        let mut job = mpirun(folder.path(), " --mca odls_base_sigkill_timeout 3", 2, &line(run));
        let mut job =
            job.stdout(file.try_clone().unwrap()).stderr(file).spawn().expect("mpirun is installed");
        let (start, steps) = (Instant::now(), folder.path().join(run).join("metrics.jsonl"));
        while fs::read_to_string(&steps).map_or(0, |text| text.lines().count()) < 60 {
            assert!(start.elapsed() < Duration::from_secs(120), "{run}: no steps");
            std::thread::sleep(Duration::from_millis(5));
        }
        let process = children(job.id())[rank].to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
        let cut = Instant::now();
        let status = job.wait().unwrap();
        let (took, log) = (cut.elapsed(), fs::read_to_string(&log).unwrap());
        println!("{run}: {:.1} s, {:?}", took.as_secs_f32(), status.code());
        assert!(!status.success() && took < Duration::from_secs(10), "{run}: {status} after {took:?}: {log}");
        assert_eq!(log.matches("interrupted after step").count(), usize::from(run == "interrupted"), "{log}");
        let is_whole = folder.path().join(run).join("model.safetensors").exists();
        assert_eq!(is_whole, run == "interrupted", "a killed run has no model");
        let output = ranks(folder.path(), 2, &format!("train --resume --run {run}"));
        assert!(output.status.success(), "{run}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(model(run) == model("unbroken"), "{run}: other weights");
    }
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
