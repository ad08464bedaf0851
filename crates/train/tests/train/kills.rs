//! Processes that are killed, or have no room on their disk: a run goes on from what they leave, to the bit.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wgrad_nn::StateDict;
use wgrad_train::{Checkpoints, EarlyStopping, Ema, Folder};

use crate::support::{Setup, rows};

/// The folder in which a child of these tests trains.
const FOLDER: &str = "WGRAD_TEST_RUN";

/// How often the run is killed, where it is not 20 times.
const KILLS: &str = "WGRAD_KILLS";

fn wanted() -> usize {
    std::env::var(KILLS).map_or(20, |text| text.parse().unwrap())
}

/// Epochs of five steps, so that there are a few steps for each kill.
fn epochs() -> usize {
    30 * wanted().div_ceil(20).max(1)
}

/// What the children run; without the variable it is nothing.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let setup = Setup::new();
    let (train, valid) = (rows(&setup.gpu, 22), rows(&setup.gpu, 7));
    let folder = Path::new(&folder);
    let ended = setup
        .trainer(setup.adam())
        .batch_size(5)
        .epochs(epochs())
        .average(Ema::new(0.9))
        .validate(&valid)
        .callback(EarlyStopping::on("val_loss").without_end().restore_best())
        .callback(
            Checkpoints::in_folder(folder.join("run")).every_steps(1).keep_best("val_loss").resume(true),
        )
        .fit(&train, |batch, mode| setup.loss(batch, mode));
    if let Err(error) = ended {
        eprintln!("{error}");
        std::process::exit(i32::from(error.exit_code()));
    }
    setup.state().save(folder.join("w.safetensors")).unwrap();
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kills::child", "--nocapture"]).env(FOLDER, folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Waits for a child, and kills one that takes too long.
fn wait(mut child: Child) -> (Option<i32>, String) {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn weights(folder: &Path) -> StateDict {
    StateDict::load(folder.join("w.safetensors")).unwrap()
}

#[test]
#[cfg(unix)]
fn killed_at_random_moments_a_run_ends_as_if_it_had_not_been() {
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(wait(command(whole.path()).spawn().unwrap()).0, Some(0));
    let folder = tempfile::tempdir().unwrap();
    let place = Folder::new(folder.path().join("run"));
    let newest = || place.steps().ok().and_then(|steps| steps.last().copied()).unwrap_or(0);
    let (mut random, mut kills) = (0x2545_f491_4f6c_dd1d_u64, 0);
    while kills < wanted() {
        let mut child = command(folder.path()).spawn().unwrap();
        let (before, start) = (newest(), Instant::now());
        while newest() == before && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint beyond step {before}");
            std::thread::sleep(Duration::from_millis(1));
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((random >> 33) % 12_000));
        assert!(child.try_wait().unwrap().is_none(), "it ended at kill {kills}: {:?}", wait(child));
        child.kill().unwrap();
        assert_eq!(wait(child).0, None);
        kills += 1;
    }
    let (code, errors) = wait(command(folder.path()).spawn().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(weights(folder.path()), weights(whole.path()));
    let other = Folder::new(whole.path().join("run"));
    let last = 5 * epochs() as u64;
    assert_eq!(place.steps().unwrap(), other.steps().unwrap());
    assert_eq!(place.load(last).unwrap().tensors, other.load(last).unwrap().tensors);
}

/// A file cannot grow beyond some size: writes fail part-way, as on a full disk, with no need for the right to mount one.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_previous_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    let place = Folder::new(folder.path().join("run"));
    let mut child = command(folder.path()).spawn().unwrap();
    while place.steps().unwrap().len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    wait(child);
    let steps = place.steps().unwrap();
    let own = command(folder.path());
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$0\" \"$@\""])
        .arg(own.get_program())
        .args(own.get_args());
    limited.env(FOLDER, folder.path()).env("MESA_SHADER_CACHE_DISABLE", "true");
    limited.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (code, errors) = wait(limited.spawn().unwrap());
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("cannot write") && errors.contains("checkpoint-"), "{errors}");
    assert_eq!(place.steps().unwrap(), steps);
    steps.iter().for_each(|step| drop(place.load(*step).unwrap()));
    let (code, errors) = wait(command(folder.path()).spawn().unwrap());
    assert_eq!(code, Some(0), "{errors}");
}
