//! Help, completions, devices, and words that make no sense.

use tempfile::tempdir;

use crate::wgrad::words;

#[test]
fn words_that_make_no_sense_end_with_2_and_say_what_to_do() {
    let folder = tempdir().unwrap();
    let fails = |line: &str, expected: &[&str]| words(folder.path(), line).fails(2, expected);
    fails("", &["say what to do: one of train, eval, ", "--help"]);
    fails("trian", &["trian", "similar", "'train'", "--help"]);
    fails("inspect resnet", &["there is no preset and no file resnet", "did you mean resnet9?"]);
    fails("inspect resnet9 --set widh=8", &["--set widh=8", "did you mean width?"]);
    fails("inspect resnet9 --set width", &["key=value"]);
    fails("inspect resnet9 --set width=0", &["resnet9", "sizes are 1 to"]);
    fails("inspect resnet9 --set width=wide", &["width = \"wide\""]);
    fails("inspect resnet9 --set size=[7,32]", &["7 × 32", "larger images"]);
    fails("inspect mlp --set widths=[3]", &["widths is no key of model mlp", "hidden"]);
    fails("inspect mlp --set hidden=[70000,70000]", &["parameters: at most"]);
    fails("inspect mlp --batch-size 0", &["--batch-size"]);
    fails("completions ksh", &["ksh"]);
    fails("run mlp --input x.safetensors --output y.safetensors", &["mlp has no weights", "--weights"]);
}

#[test]
fn a_run_that_fails_ends_with_1_and_a_missing_adapter_with_4() {
    let folder = tempdir().unwrap();
    let line = "train line --set lr=1e30 --set epochs=20";
    words(folder.path(), line).fails(1, &["learning rate", "step"]);
    assert!(!folder.path().join("run/model.safetensors").exists());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wgrad"));
    command.args(["train", "line", "--run", "none"]).current_dir(folder.path());
    let output = command.env("WGPU_ADAPTER_NAME", "nosuch").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("WGPU_ADAPTER_NAME"), "{error}");
}

#[test]
fn files_that_are_none_end_with_3() {
    let folder = tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("broken.toml", b"model = \"mlp\"\nhidden = [1, 2\n");
    write("strange.toml", b"model = \"mlp\"\nlearning = 2\nlrr = 1\n");
    write("damaged.safetensors", &[7; 100]);
    let fails = |line: &str, expected: &[&str]| words(folder.path(), line).fails(3, expected);
    fails("inspect missing.safetensors", &["missing.safetensors", "No such file"]);
    fails("inspect missing.toml", &["missing.toml", "No such file"]);
    fails("inspect broken.toml", &["broken.toml: line 2", "no TOML"]);
    fails("inspect strange.toml", &["strange.toml: line 2", "there is no key learning"]);
    fails("inspect damaged.safetensors", &["damaged.safetensors", "safetensors"]);
}

#[test]
fn help_has_examples_and_goes_to_standard_output() {
    let folder = tempdir().unwrap();
    for line in [
        "--help",
        "train --help",
        "eval -h",
        "predict -h",
        "inspect -h",
        "devices -h",
        "run -h",
        "completions -h",
    ] {
        let help = words(folder.path(), line).succeeds().out;
        assert!(help.contains("Example"), "{line}: {help}");
    }
    let help = words(folder.path(), "train --help").out;
    assert!(help.contains("weight_decay") && help.contains("two-features"), "{help}");
    assert!(words(folder.path(), "--version").succeeds().out.starts_with("wgrad 0."));
}

#[test]
fn completions_know_the_words() {
    let folder = tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = words(folder.path(), &format!("completions {shell}"));
        assert_eq!(script.code, 0);
        assert!(["train", "predict", "batch-size"].iter().all(|word| script.out.contains(word)), "{shell}");
    }
}

#[test]
fn one_adapter_is_taken_and_why_is_said() {
    let folder = tempdir().unwrap();
    let found = words(folder.path(), "devices --json").succeeds().json();
    let adapters = found["adapters"].as_array().unwrap();
    let taken: Vec<_> = adapters.iter().filter(|adapter| adapter["taken"] == true).collect();
    assert_eq!(taken.len(), 1, "{found}");
    assert!(taken[0]["why"].as_str().unwrap().contains("order is discrete"), "{found}");
    assert!(taken[0]["limits"]["max_buffer_size"].as_u64() >= Some(1 << 28), "{found}");
    let lines = words(folder.path(), "devices").succeeds().out;
    assert!(lines.contains("is taken, with the kernels of family"), "{lines}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_ends_with_3_and_a_reader_that_has_enough_with_0() {
    use std::process::{Command, Stdio};
    let run = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
        command.args(["inspect", "resnet9"]).stdout(out).stderr(Stdio::piped()).spawn().unwrap()
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run(full.into()).wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.starts_with("wgrad: standard output: cannot be written: "), "{error}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run(writer.into()).wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[cfg(unix)]
#[test]
fn names_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;
    let folder = tempdir().unwrap();
    let run = |line: &[&[u8]]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
        command.args(line.iter().map(|word| std::ffi::OsStr::from_bytes(word)));
        let output =
            command.current_dir(folder.path()).env("XDG_RUNTIME_DIR", folder.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) =
        run(&[b"train", b"dense", b"--set", b"max_steps=1", b"--json", b"--run", b"r\xff"]);
    assert_eq!(code, Some(0), "{err}");
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(last["model"], "r\u{fffd}/model.safetensors");
    // What a configuration could not name is refused before anything is written.
    std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"d\xff.csv")), "x,y\n1,2\n").unwrap();
    let (code, _, err) = run(&[b"train", b"--data", b"d\xff.csv", b"--target", b"y", b"--run", b"none"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("no UTF-8") && !folder.path().join("none").exists(), "{err}");
    // Nor does a name reach a terminal as a command.
    let (code, _, err) = run(&[b"eval", b"\x1b[2J.safetensors", b"--data", b"."]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("\\u001b[2J.safetensors") && !err.contains('\u{1b}'), "{err}");
}
