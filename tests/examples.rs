//! Runs the examples as their users do and asserts what they print and how they exit.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use wgrad::data::{Images, synthetic};

/// Where cargo put the example, beside the folder of this test. `cargo test` builds all examples; `cargo test --test
/// examples` builds none, and must not judge one that was built before its source changed.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join(file);
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let built = changed(&path) >= Some(changed(&source).unwrap());
    assert!(built, "{} is missing or out of date: run `cargo build --examples` first", path.display());
    path
}

/// Exit code, standard output and standard error.
fn run(name: &str, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(example(name)).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What the example prints, if it ends well.
fn printed(name: &str, args: &[&str]) -> String {
    let (code, out, err) = run(name, args);
    assert_eq!(code, 0, "{name} {args:?}:\n{out}{err}");
    out
}

/// The number that follows `label` at its last place in `text`.
fn number_after(text: &str, label: &str) -> f64 {
    let at = text.rfind(label).unwrap_or_else(|| panic!("no {label:?} in:\n{text}")) + label.len();
    let end = text[at..].find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
    let number = &text[at..end.map_or(text.len(), |end| at + end)];
    number.parse().unwrap_or_else(|error| panic!("{number:?} after {label:?}: {error}"))
}

#[test]
fn xor_names_all_four_rightly() {
    let out = printed("xor", &[]);
    for line in ["0 xor 0 = 0 ", "0 xor 1 = 1 ", "1 xor 0 = 1 ", "1 xor 1 = 0 ", "4 of 4 right"] {
        assert!(out.contains(line), "no {line:?} in:\n{out}");
    }
    assert!(number_after(&out, "step 300  loss ") < 0.05, "{out}");
}

#[test]
fn a_network_satisfies_the_heat_equation_by_its_second_derivatives() {
    let out = printed("heat", &[]);
    assert!(number_after(&out, "against the solution: ") < 0.01, "{out}");
}

#[test]
fn a_decoder_block_learns_to_copy() {
    let out = printed("copy_task", &[]);
    assert!(number_after(&out, "step 150: loss ") < 0.1, "{out}");
}

#[test]
fn half_precision_learns_as_single_precision_does() {
    let out = printed("mixed_precision", &[]);
    assert!(out.contains("in f16 (") && !out.contains("(0 steps"), "{out}");
}

#[test]
fn ops_of_ones_own_agree_with_their_references() {
    let out = printed("custom_op", &[]);
    assert!(out.contains("snake: off by") && out.contains("rms_norm: off by"), "{out}");
}

#[test]
fn linear_regression_recovers_slope_and_intercept() {
    let out = printed("linear_regression", &[]);
    // Least squares over 1,000 points with noise of standard deviation 0.115 is off by 0.0063 (slope, as x has
    // standard deviation 0.577) and 0.0037 (intercept): four times that.
    assert!((number_after(&out, "slope ") - 2.5).abs() < 0.025, "{out}");
    assert!((number_after(&out, "intercept ") + 0.7).abs() < 0.015, "{out}");
    // What is left of the loss is the noise's variance, 0.2² / 3.
    assert!((number_after(&out, "loss ") - 0.04 / 3.0).abs() < 0.002, "{out}");
}

#[test]
fn headless_names_the_adapter_and_sees_the_loss_fall() {
    let out = printed("headless", &[]);
    assert!(out.starts_with("adapter: "), "{out}");
    let (before, after) = (number_after(&out, "loss: "), number_after(&out, "before, "));
    assert!(after > 0.0 && after < 0.1 * before, "{out}");
}

#[test]
fn fine_tuning_loads_a_part_and_unfreezes_another() {
    let out = printed("fine_tuning", &[]);
    assert!(out.contains("loaded 4; skipped 2: fc.weight, fc.bias"), "{out}");
    let frozen = number_after(&out, "with the trunk frozen ");
    assert!(frozen < 0.02 && number_after(&out, "a tenth of the rate ") < 0.9 * frozen, "{out}");
}

#[test]
fn accumulation_comes_to_the_whole_batch() {
    let out = printed("accumulation", &[]);
    assert!(number_after(&out, "gradients ") > 0.0, "{out}");
}

#[test]
fn gan_makes_points_near_the_circle() {
    let out = printed("gan", &[]);
    assert!(number_after(&out, "circle: ") > 0.5 && number_after(&out, "before, ") < 0.2, "{out}");
}

#[test]
fn mlp_learns_the_synthetic_set() {
    let out = printed("mlp", &["--epochs", "3"]);
    assert!(out.starts_with("no --data: training on the synthetic set"), "{out}");
    assert!(out.contains("375 steps, test accuracy "), "{out}");
    // Ten classes: guessing gives 10 %. After three epochs it is near 60 %.
    assert!(number_after(&out, "375 steps, test accuracy ") > 50.0, "{out}");
}

/// Writes `images` (grey, 28×28) as the two idx files of MNIST whose names begin with `name`.
fn write_idx(folder: &Path, name: &str, images: &Images) {
    let n = u32::try_from(images.len()).unwrap().to_be_bytes();
    let side = 28u32.to_be_bytes();
    let mut pixels = std::fs::File::create(folder.join(format!("{name}-images-idx3-ubyte"))).unwrap();
    for part in [&[0, 0, 8, 3][..], &n, &side, &side, &images.pixels] {
        pixels.write_all(part).unwrap();
    }
    let mut labels = std::fs::File::create(folder.join(format!("{name}-labels-idx1-ubyte"))).unwrap();
    for part in [&[0, 0, 8, 1][..], &n, &images.labels] {
        labels.write_all(part).unwrap();
    }
}

#[test]
fn mlp_reads_idx_files_and_stops_after_the_steps_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let split = synthetic::split(640, 100, 1);
    write_idx(folder.path(), "train", &split.train.to_grey_28().unwrap());
    write_idx(folder.path(), "t10k", &split.test.to_grey_28().unwrap());
    let folder = folder.path().to_str().unwrap();
    let out = printed("mlp", &["--data", folder, "--epochs", "2", "--steps", "13"]);
    assert!(!out.contains("synthetic"), "{out}");
    assert!(out.contains("epoch 1/2") && out.contains("13 steps, test accuracy "), "{out}");
}

#[test]
fn mlp_exits_with_a_clear_line_for_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let refused = |args: &[&str], code: i32, part: &str| {
        let (found, out, err) = run("mlp", args);
        assert_eq!(found, code, "{args:?}:\n{out}{err}");
        assert!(err.contains(part), "{args:?}: no {part:?} in:\n{err}");
        assert!(!err.contains("panicked"), "{args:?}:\n{err}");
    };
    refused(&["--data", path], 3, "train-images-idx3-ubyte");
    refused(&["--data", &format!("{path}/missing")], 3, "missing");
    refused(&["--epochs", "many"], 2, "--epochs");
    refused(&["--unknown"], 2, "--unknown");

    let split = synthetic::split(64, 64, 1);
    write_idx(folder.path(), "train", &split.train.to_grey_28().unwrap());
    write_idx(folder.path(), "t10k", &split.test.to_grey_28().unwrap());
    let cut = folder.path().join("t10k-images-idx3-ubyte");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    refused(&["--data", path], 3, "t10k-images-idx3-ubyte");
}
