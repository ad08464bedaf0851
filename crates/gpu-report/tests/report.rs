//! The program as ci/gpu-report runs it: a report, its modules, and what `--check` says of one that is out of date.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output};

fn gpu_report(arguments: &[&str], report: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-report"));
    command.args(arguments).arg("--output").arg(report).output().unwrap()
}

#[test]
fn a_report_is_written_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (report, dump) = (folder.path().join("report.md"), folder.path().join("dump"));
    let written = gpu_report(&["--dump", dump.to_str().unwrap()], &report);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let text = std::fs::read_to_string(&report).unwrap();
    for part in
        ["## navi21", "## vega10", "## polaris10", "Predicted: ", "| optimize+sgd |", "| optimize+adam |"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let module = std::fs::read_to_string(dump.join("optimize+sgd.wgsl")).unwrap();
    assert!(module.contains("@compute"), "{module}");
    let assembly = std::fs::read_to_string(dump.join("optimize+sgd.navi21.s")).unwrap();
    assert!(assembly.contains("s_endpgm"), "{assembly}");

    assert!(gpu_report(&["--check"], &report).status.success(), "a report just written is up to date");
    std::fs::write(&report, text.replace("| optimize+sgd |", "| optimize+gds |")).unwrap();
    let stale = gpu_report(&["--check"], &report);
    assert_eq!(stale.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stale.stderr).contains("is stale"));
}
