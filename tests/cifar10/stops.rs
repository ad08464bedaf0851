//! Runs that do not get to their end: a loss that is no number, Ctrl-C, kills.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use wgrad::nn::StateDict;

use crate::support::{CHECKPOINT, Place, Running, good, until, wait, with_checkpoint};

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_the_checkpoint_stays() {
    let place = with_checkpoint();
    fs::write(place.path("w.safetensors"), "weights of before").unwrap();
    let before = place.files();
    let args = ["--checkpoint", "run", "--resume", "--epochs", "3", "--save", "w.safetensors"];
    let ended = place.train(&[&args[..], &["--lr", "1e30"]].concat());
    // The checkpoint stands after step 4; step 5 still has its weights, and step 6 those of the huge step.
    ended.refused(1, &["step 6", "learning rate", CHECKPOINT]);
    assert_eq!(place.files(), before);
    place.train(&args).well();
}

#[test]
fn a_loss_that_is_no_number_without_a_checkpoint() {
    let place = Place::new().with_data(8, 10);
    let ended = place.train(&["--lr", "1e30", "--metrics", "m.jsonl", "--save", "w.safetensors"]);
    ended.refused(1, &["step 2", "learning rate"]);
    assert!(!place.path("w.safetensors").exists());
    let text = fs::read_to_string(place.path("m.jsonl")).unwrap();
    assert_eq!(text.lines().last(), Some(r#"{"step":2,"loss":null}"#), "{text}");
}

#[test]
fn weights_that_are_no_numbers_are_not_saved() {
    let place = Place::new().with_data(2, 2);
    fs::write(place.path("w.safetensors"), "weights of before").unwrap();
    let before = place.files();
    // Infinite as f32. The loss of the only step is that of the first weights, so it looks well.
    let ended = place.train(&["--lr", "1e39", "--epochs", "1", "--save", "w.safetensors"]);
    ended.refused(1, &["step 1", "learning rate"]);
    assert_eq!(place.files(), before);
}

fn signal(child: &Running, name: &str) {
    assert!(Command::new("kill").args([name, &child.0.id().to_string()]).status().unwrap().success());
}

#[test]
#[cfg(unix)]
fn ctrl_c_finishes_the_step_saves_and_exits_130() {
    let place = Place::new().with_data(8, 10);
    let args = ["--data", "data", "--batch-size", "10", "--checkpoint", "run", "--resume"];
    let args =
        [&args[..], &["--metrics", "m.jsonl", "--save", "w.safetensors", "--epochs", "100000"]].concat();
    let child = Running::start(&mut place.command(&args));
    let steps = || fs::read_to_string(place.path("m.jsonl")).unwrap_or_default().matches("\"step\"").count();
    until("there are six steps", || (steps() >= 6).then_some(()));
    signal(&child, "-INT");
    let ended = wait(child).refused(130, &["interrupted after step "]);
    let (_, last) = ended.err.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(steps().to_string(), last, "not every step made has its line");

    let saved = StateDict::load(place.path("w.safetensors")).unwrap();
    let mut checkpoint = StateDict::load(place.path(CHECKPOINT)).unwrap();
    assert_eq!(checkpoint.metadata["wgrad.step"], last);
    checkpoint.tensors.retain(|name, _| !name.starts_with("optim."));
    assert!(saved.tensors == checkpoint.tensors, "the saved weights are not the checkpoint's");

    let next = (steps() + 1).to_string();
    place.run(&[&args[..], &["--max-steps", &next]].concat()).well();
    assert_eq!(steps().to_string(), next);
}

#[test]
#[cfg(unix)]
fn a_kill_at_any_moment_leaves_a_checkpoint_that_loads() {
    // One step an epoch: the run does little else than write checkpoints.
    let place = Place::new().with_data(2, 1);
    let args = ["--data", "data", "--batch-size", "10", "--checkpoint", "run", "--resume"];
    let args = [&args[..], &["--metrics", "m.jsonl", "--epochs", "100000"]].concat();
    let made = || {
        let state = StateDict::load(place.path(CHECKPOINT)).unwrap();
        state.metadata["wgrad.step"].parse::<u64>().unwrap()
    };
    // A kill while a checkpoint is written leaves its temporary file behind, so only a new one counts.
    let parts = || -> BTreeSet<PathBuf> {
        let entries =
            fs::read_dir(place.path("run")).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "part")).collect()
    };
    let mut before = 0;
    // A kill so many milliseconds after a checkpoint, or, without a number, as soon as one is being written.
    for moment in [Some(1), None, Some(7), None, Some(23), None, Some(41), Some(58)] {
        let left = parts();
        let mut command = place.command(&args);
        let mut child = Running::start(command.stdout(Stdio::null()));
        until("a checkpoint beyond the last one", || {
            (place.path(CHECKPOINT).exists() && made() > before).then_some(())
        });
        match moment {
            Some(milliseconds) => std::thread::sleep(Duration::from_millis(milliseconds)),
            None => until("a checkpoint is being written", || (!parts().is_subset(&left)).then_some(())),
        }
        child.0.kill().unwrap();
        assert_eq!(wait(child).code, None, "it ended before it was killed");
        let now = made();
        assert!(now > before, "step {now} after {before}: it did not resume");
        before = now;
    }
    place.run(&[&args[..], &["--max-steps", &(before + 1).to_string()]].concat()).well();
    assert_eq!(made(), before + 1);
    let text = fs::read_to_string(place.path("m.jsonl")).unwrap();
    let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"step\"")).collect();
    assert_eq!(steps.len() as u64, before + 1, "not one line for each step");
    let numbered = |(i, line): (usize, &&str)| line.starts_with(&format!("{{\"step\":{},", i + 1));
    assert!(steps.iter().enumerate().all(numbered), "steps out of order");
    assert!(
        good().1.len() > 1_000_000,
        "the checkpoint is too small for a kill to strike while it is written"
    );
}
