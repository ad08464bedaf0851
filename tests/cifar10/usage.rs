//! Flags that make no sense (exit code 2), and no adapter (4).

use crate::support::{Place, Running, wait};

#[test]
fn flags_that_make_no_sense_are_usage_errors() {
    let place = Place::new().with_data(2, 2);
    let before = place.files();
    let cases: [(&[&str], &str); 22] = [
        (&["--batch-size", "0"], "--batch-size"),
        (&["--epochs", "0"], "--epochs"),
        (&["--epochs", "-1"], "-1"),
        (&["--unknown"], "--unknown"),
        (&["--resume"], "--checkpoint"),
        (&["--lr=-0.1"], "learning rate of -0.1"),
        (&["--lr", "NaN"], "learning rate of NaN"),
        (&["--lr", "inf"], "learning rate of inf"),
        (&["--momentum=-1"], "momentum -1"),
        (&["--lr", "fast"], "--lr"),
        (&["--model", "resnet18"], "--model"),
        (&["--width", "8"], "--width is for --model resnet9"),
        (&["--model", "resnet9", "--width", "0"], "--width"),
        (&["--model", "resnet9", "--width", "wide"], "--width"),
        (&["--model", "resnet9", "--lr", "NaN"], "lr NaN"),
        (&["--model", "resnet9", "--lr=-1"], "lr -1"),
        (&["--model", "resnet9", "--momentum", "0"], "nesterov"),
        (&["--weight-decay=-1"], "weight_decay -1"),
        (&["--label-smoothing", "1.5"], "label smoothing of 1.5"),
        (&["--label-smoothing", "NaN"], "label smoothing of NaN"),
        (&["--schedule", "cyclic"], "--schedule"),
        (&["--augment", "maybe"], "--augment"),
    ];
    for (args, part) in cases {
        let outputs = ["--save", "w.safetensors", "--metrics", "m.jsonl"];
        place.train(&[&outputs, args].concat()).refused(2, &[part]);
        assert_eq!(place.files(), before, "{args:?} left something");
    }
}

#[test]
fn help_names_every_flag() {
    let ended = Place::new().run(&["--help"]).well();
    let flags = "model NAME|width N|data DIR|epochs N|batch-size N|lr X|momentum X|nesterov BOOL|weight-decay X|\
        label-smoothing X|schedule NAME|augment BOOL|seed N|max-steps N|no-shuffle|\
        init FILE.safetensors|save FILE.safetensors|metrics FILE.jsonl|checkpoint DIR|resume";
    for flag in flags.split('|') {
        let flag = match flag.split_once(' ') {
            Some((name, value)) => format!("--{name} <{value}>"),
            None => format!("--{flag}"),
        };
        assert!(ended.out.contains(&flag), "no {flag} in:\n{}", ended.out);
    }
}

#[test]
fn no_adapter_names_the_package_to_install() {
    let place = Place::new().with_data(2, 2);
    let before = place.files();
    let mut command = place.command(&["--data", "data"]);
    command.env("WGPU_ADAPTER_NAME", "nosuch");
    wait(Running::start(&mut command)).refused(4, &["WGPU_ADAPTER_NAME", "mesa-vulkan-drivers"]);
    assert_eq!(place.files(), before);
}
