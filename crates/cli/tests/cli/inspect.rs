//! What is told of a model before anything runs, against what is there when it runs.

use tempfile::tempdir;
use wgrad::Gpu;
use wgrad::data::{DeviceImages, synthetic};
use wgrad::nn::{Adam, AdamOptions};
use wgrad::train::{Interrupt, Options, StepMemory, Task, fit};
use wgrad_cli::{ActivationName, Architecture};

use crate::wgrad::words;

type Shapes = Vec<(String, Vec<usize>)>;

fn architectures() -> Vec<Architecture> {
    let (activation, output_activation) = (ActivationName::Relu, ActivationName::Sigmoid);
    vec![
        Architecture::Linear { inputs: 3, outputs: 2, output_activation },
        Architecture::Mlp { inputs: 5, hidden: vec![7, 3], outputs: 2, activation, output_activation },
        Architecture::Cnn { channels: 2, size: [13, 9], widths: vec![3, 5], classes: 4 },
        Architecture::Resnet9 { channels: 1, size: [9, 8], width: 3, classes: 2 },
    ]
}

#[test]
fn names_and_shapes_are_those_of_the_model_that_is_built() {
    let gpu = Gpu::builder().quiet().build().unwrap();
    for architecture in architectures() {
        let (_, parameters) = architecture.build(&gpu, 0).unwrap();
        let summary = architecture.summary();
        let told = |of: fn(&wgrad_cli::Layer) -> &Shapes| {
            let mut all: Vec<_> = summary.layers.iter().flat_map(of).cloned().collect();
            all.sort();
            all
        };
        let there = |entries: &[wgrad::nn::Entry]| {
            let mut all: Vec<_> =
                entries.iter().map(|entry| (entry.name.clone(), entry.tensor.shape().to_vec())).collect();
            all.sort();
            all
        };
        assert_eq!(told(|layer| &layer.parameters), there(parameters.entries()), "{architecture}");
        assert_eq!(told(|layer| &layer.buffers), there(parameters.buffers()), "{architecture}");
        assert_eq!(summary.parameters, parameters.count() as u64);
    }
}

/// What a step really takes.
fn measured(architecture: &Architecture, batch: usize, is_grey: bool) -> StepMemory {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let (model, parameters) = architecture.build(&gpu, 0).unwrap();
    let mut adam = Adam::new(&parameters, AdamOptions::default()).unwrap();
    let images = synthetic::images(batch, 0);
    let images = if is_grey { images.to_grey_28().unwrap() } else { images };
    let images = DeviceImages::new(&gpu, &images).unwrap();
    let task =
        Task { model: &*model, parameters: &parameters, optimizer: &mut adam, train: &images, test: &images };
    let options = Options { epochs: 3, batch_size: batch, progress: false, ..Default::default() };
    fit(task, &options, &Interrupt::default()).unwrap().memory
}

#[test]
fn the_memory_that_is_told_is_what_a_step_takes() {
    let mlp = Architecture::Mlp {
        inputs: 784,
        hidden: vec![256, 128],
        outputs: 10,
        activation: ActivationName::Relu,
        output_activation: ActivationName::None,
    };
    let size = [32, 32];
    let cnn = Architecture::Cnn { channels: 3, size, widths: vec![16, 32], classes: 10 };
    let resnet9 = Architecture::Resnet9 { channels: 3, size, width: 4, classes: 10 };
    for (architecture, batch, is_grey) in [(mlp, 512, true), (cnn, 64, false), (resnet9, 64, false)] {
        let memory = measured(&architecture, batch, is_grey);
        let told = architecture.summary();
        let saved = (told.saved * batch as u64) as f64 / memory.saved as f64;
        // Buffers are rounded up, the loss and the labels are not counted.
        assert!((0.9..1.02).contains(&saved), "{architecture}: saved {saved} of {}", memory.saved);
        let all = told.step_bytes(batch as u64, 2) as f64 / (memory.needed() - memory.workspace) as f64;
        assert!((0.9..1.02).contains(&all), "{architecture}: {all}");
    }
}

#[test]
fn figures_are_told_for_people_and_for_machines() {
    let folder = tempdir().unwrap();
    let json = words(folder.path(), "inspect mlp --batch-size 32 --json").succeeds().json();
    assert_eq!(json["parameters"], 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10);
    assert_eq!(json["flops"], 2 * (784 * 256 + 256 * 128 + 128 * 10) + 256 + 128 + 10);
    assert_eq!(json["layers"][1]["parameters"]["fc2.weight"], serde_json::json!([128, 256]));
    assert_eq!(json["step"]["batch_size"], 32);
    let bytes = 235_146 * 4 * 4 + 32 * 4 * (784 + 256 + 128 + 10);
    assert_eq!(json["step"]["bytes"], bytes);
    let text = words(folder.path(), "inspect cnn").succeeds().out;
    for part in [
        "cnn of 64-128 channels",
        "conv2",
        "128×8×8",
        "157,578 parameters",
        "memory of a step of 64 with sgd",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A multiplication and an addition are two: 2 · (27 · 64 · 1024 + 576 · 128 · 256 + 8192 · 10), and the biases.
    assert!(text.contains("41.55 MFLOPs forward"), "{text}");
}
