//! Places that cannot be written (exit code 3), a full disk, and what lies beyond an adapter's limits (4).

use std::fs;
use std::process::Command;

use crate::support::{CHECKPOINT, Ended, Place, Running, example, wait, with_checkpoint};

#[test]
fn places_that_cannot_be_written_are_found_out_before_the_first_step() {
    let place = Place::new().with_data(2, 2);
    fs::write(place.path("file"), "content").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    let before = place.files();
    for (flag, path) in [
        ("--save", "missing/w.safetensors"),
        ("--save", "file/w.safetensors"),
        ("--save", "folder"),
        ("--save", "/proc/w.safetensors"),
        ("--save", "/dev/null"),
        ("--metrics", "missing/m.jsonl"),
        ("--metrics", "file/m.jsonl"),
        ("--metrics", "folder"),
        ("--metrics", "/proc/m.jsonl"),
        ("--checkpoint", "file"),
        ("--checkpoint", "file/run"),
        ("--checkpoint", "/proc/run"),
    ] {
        let ended = place.train(&[flag, path]).refused(3, &["cannot write", path]);
        assert!(!ended.out.contains("epoch"), "{flag} {path}: {}", ended.out);
        assert_eq!(place.files(), before, "{flag} {path}");
    }
    assert!(fs::metadata("/dev/null").is_ok_and(|metadata| !metadata.is_file()));
}

#[test]
fn a_full_device_for_the_metrics() {
    let place = Place::new().with_data(2, 2);
    place.train(&["--metrics", "/dev/full"]).refused(3, &["/dev/full", "No space left"]);
    assert!(fs::metadata("/dev/full").is_ok_and(|metadata| !metadata.is_file()));
    // A device that takes all lines is no file to replace either.
    place.train(&["--metrics", "/dev/null", "--max-steps", "1"]).well();
    assert!(fs::metadata("/dev/null").is_ok_and(|metadata| !metadata.is_file()));
}

/// Runs the example where no file may grow beyond `blocks` of 512 bytes: writes fail part-way, as on a full disk,
/// with no need for the right to mount one.
fn on_full_disk(place: &Place, blocks: usize, args: &[&str]) -> Ended {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(example()).args(["--data", "data", "--batch-size", "10"]).args(args);
    place.prepare(&mut command);
    command.env("MESA_SHADER_CACHE_DISABLE", "true");
    wait(Running::start(&mut command))
}

#[test]
fn a_full_disk_leaves_the_files_that_were_there() {
    let place = with_checkpoint();
    fs::write(place.path("w.safetensors"), "weights of before").unwrap();
    fs::write(place.path("m.jsonl"), "{\"step\":1,\"loss\":2.5}\n").unwrap();
    let before = place.files();
    // The model takes 630 KB, its checkpoint twice that.
    let args = ["--epochs", "1", "--save", "w.safetensors"];
    on_full_disk(&place, 256, &args).refused(3, &["cannot write w.safetensors", "untouched"]);
    assert_eq!(place.files(), before);
    let args = ["--epochs", "2", "--checkpoint", "run", "--resume"];
    on_full_disk(&place, 1024, &args).refused(3, &["cannot write", CHECKPOINT, "untouched"]);
    assert_eq!(place.files(), before);
    on_full_disk(&place, 0, &["--metrics", "m.jsonl"]).refused(3, &["cannot write m.jsonl", "untouched"]);
    assert_eq!(place.files(), before);
    place.train(&["--epochs", "2", "--checkpoint", "run", "--resume"]).well();
}

#[test]
fn a_closed_standard_output_is_no_reason_to_stop() {
    let place = Place::new().with_data(2, 2);
    let mut child =
        Running::start(&mut place.command(&["--data", "data", "--epochs", "2", "--save", "w.safetensors"]));
    drop(child.0.stdout.take());
    wait(child).well();
    assert!(place.path("w.safetensors").exists());
}

#[test]
#[cfg(unix)]
fn a_symbolic_link_is_written_through() {
    let place = Place::new().with_data(2, 2);
    fs::create_dir(place.path("store")).unwrap();
    fs::write(place.path("store/w.safetensors"), "old").unwrap();
    std::os::unix::fs::symlink("store/w.safetensors", place.path("w.safetensors")).unwrap();
    place.train(&["--max-steps", "1", "--save", "w.safetensors"]).well();
    assert!(fs::symlink_metadata(place.path("w.safetensors")).unwrap().is_symlink());
    wgrad::nn::StateDict::load(place.path("store/w.safetensors")).unwrap();
}

#[test]
fn a_batch_beyond_the_adapters_limits_names_one_that_fits() {
    let gpu = wgrad::Gpu::new().unwrap();
    let limit = gpu.limits().max_storage_buffer_binding_size.min(gpu.limits().max_buffer_size);
    // The largest tensor is what conv1 makes of an image: 64 planes of 32×32 floats.
    let fits = (limit.min(4 * u64::from(u32::MAX)) / (64 * 32 * 32 * 4)) as usize;
    let place = Place::new().with_data(fits / 5 + 1, 2);
    let before = place.files();
    let batch = (fits + 1).to_string();
    let args = ["--data", "data", "--max-steps", "1", "--metrics", "m.jsonl", "--batch-size"];
    let ended = place.run(&[&args[..], &[&batch]].concat());
    ended.refused(4, &["layer conv1", "at most", &format!("{fits} fits"), "buffer"]);
    assert_eq!(place.files(), before);
    let fits = fits.to_string();
    place.run(&[&args[..], &[&fits]].concat()).well();
}
