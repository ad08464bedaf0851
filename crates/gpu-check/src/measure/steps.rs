//! Training steps on one batch that lies on the device: `step cnn|mlp BATCH`, `step resnet9 WIDTH BATCH`.

use std::time::Instant;

use wgrad::Gpu;
use wgrad_benches::{Training, cnn, resnet9};

use super::{Case, Name};
use crate::Result;

/// The model of a name, with what trains it.
pub fn training(gpu: &Gpu, name: &Name<'_>) -> Result<Training> {
    Ok(match (name.words.get(1).copied(), name.sizes.as_slice()) {
        (Some("cnn"), &[batch]) => Training::sgd(gpu, batch, |b| cnn(b, 1))?,
        (Some("mlp"), &[batch]) => Training::mlp(gpu, batch)?,
        (Some("resnet9"), &[width, batch]) => Training::sgd(gpu, batch, |b| resnet9(b, width))?,
        _ => return Err(name.unknown()),
    })
}

/// As [`training`], by the whole name.
pub fn training_of(gpu: &Gpu, name: &str) -> Result<Training> {
    training(gpu, &Name::new(name))
}

/// The steps of all models, as they are measured.
pub fn models(short: bool) -> [(&'static str, &'static str); 3] {
    match short {
        false => [("cnn", "step cnn 64"), ("mlp", "step mlp 64"), ("resnet9", "step resnet9 64 512")],
        true => [("cnn", "step cnn 2"), ("mlp", "step mlp 4"), ("resnet9", "step resnet9 4 8")],
    }
}

pub fn case<'a>(gpu: &'a Gpu, name: &Name<'_>) -> Result<Case<'a>> {
    let mut training = training(gpu, name)?;
    // Recording counts, as it does for whoever trains; each step is submitted by itself.
    let run = move |count: usize| {
        let start = Instant::now();
        for _ in 0..count {
            training.record()?;
            gpu.submit()?;
        }
        gpu.synchronize()?;
        Ok(start.elapsed())
    };
    Ok(Case { precision: "f32", flops: 0.0, bytes: 0.0, most: 200, run: Box::new(run), check: None })
}
