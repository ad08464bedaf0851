//! `wgrad inspect`: what a model comes to, from its sizes alone.

use serde_json::{Value, json};

use super::Named;
use crate::architecture::{Architecture, Summary};
use crate::args::Inspect;
use crate::config::{Config, OptimizerName};
use crate::output::{grouped, print, scaled, table};
use crate::{ModelFile, Preprocessing, Result};

pub(crate) fn run(flags: &Inspect) -> Result<()> {
    let named = Named::find(&flags.model, &flags.set)?;
    let architecture = named.architecture()?;
    let config = match &named {
        Named::Config(config) => Some(&**config),
        Named::File(_) => None,
    };
    let (optimizer, moments) = moments(config);
    let own = config.and_then(|config| config.batch_size).map_or(64, |size| size as u64);
    let step = Step { batch: flags.batch_size.unwrap_or(own), optimizer, moments };
    let summary = architecture.summary();
    let mut value = in_json(&architecture, &summary, &step);
    let mut lines = in_lines(&architecture, &summary, &step);
    if let Named::File(file) = &named {
        value["data"] = json!(file.data);
        lines.push_str(&format!("\n{}", about(file)));
    }
    print(flags.machines.json, &value, &lines);
    Ok(())
}

/// The training step whose memory is told.
struct Step {
    batch: u64,
    optimizer: &'static str,
    moments: u64,
}

/// The optimizer, and the values that it keeps for each parameter.
fn moments(config: Option<&Config>) -> (&'static str, u64) {
    let optimizer = config.and_then(|config| config.optimizer).unwrap_or(OptimizerName::Adam);
    (optimizer.word(), optimizer.moments())
}

fn in_json(architecture: &Architecture, summary: &Summary, step: &Step) -> Value {
    let layers: Vec<Value> = summary
        .layers
        .iter()
        .map(|layer| {
            let named = |values: &[(String, Vec<usize>)]| -> Value {
                values
                    .iter()
                    .map(|(name, shape)| (name.clone(), json!(shape)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            json!({
                "name": layer.name, "kind": layer.kind, "output": layer.output, "flops": layer.flops,
                "saved_bytes": layer.saved,
                "parameters": named(&layer.parameters), "buffers": named(&layer.buffers),
            })
        })
        .collect();
    json!({
        "architecture": architecture,
        "layers": layers,
        "parameters": summary.parameters,
        "flops": summary.flops,
        "step_flops": summary.step_flops,
        "step": {
            "batch_size": step.batch,
            "optimizer": step.optimizer,
            "bytes": summary.step_bytes(step.batch, step.moments),
            "saved_bytes": summary.saved.saturating_mul(step.batch),
        },
    })
}

/// The layers as lines.
pub(crate) fn layers(architecture: &Architecture, summary: &Summary) -> String {
    let shape = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    let mut rows = vec![["layer", "kind", "output", "parameters", "FLOPs"].map(str::to_owned).to_vec()];
    rows.push(vec!["x".to_owned(), "input".to_owned(), shape(&architecture.input())]);
    for layer in &summary.layers {
        let values: u64 =
            layer.parameters.iter().map(|(_, s)| s.iter().map(|&n| n as u64).product::<u64>()).sum();
        let name = if layer.name.is_empty() { "-" } else { &layer.name };
        let numbers = [grouped(values), grouped(layer.flops)];
        rows.push([&[name.to_owned(), layer.kind.clone(), shape(&layer.output)], &numbers[..]].concat());
    }
    table(&rows, &[3, 4])
}

fn in_lines(architecture: &Architecture, summary: &Summary, step: &Step) -> String {
    let megabytes = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
    let parameters = summary.parameters.saturating_mul(4);
    let Step { batch, optimizer, moments } = *step;
    format!(
        "{architecture}\n\n{}\n\n{} parameters ({}); {}FLOPs forward, {}FLOPs in a training step, for each input\n\
         memory of a step of {batch} with {optimizer}: {} (parameters {}, gradients {}, {optimizer} {}, activations {}), and \
         kernels' workspace",
        layers(architecture, summary),
        grouped(summary.parameters),
        megabytes(parameters),
        scaled(summary.flops as f64),
        scaled(summary.step_flops as f64),
        megabytes(summary.step_bytes(batch, moments)),
        megabytes(parameters),
        megabytes(parameters),
        megabytes(parameters.saturating_mul(moments)),
        megabytes(summary.saved.saturating_mul(batch)),
    )
}

/// What a model file says of data, in two lines.
fn about(file: &ModelFile) -> String {
    let some = |names: &[String]| match names {
        [first @ .., _] if names.len() > 12 => {
            format!("{} … ({} in all)", first[..11].join(", "), names.len())
        }
        _ => names.join(", "),
    };
    let (input, output) = match &file.data {
        Preprocessing::Images { shape: [c, h, w], mean, std, .. } => {
            (format!("images of {c}×{h}×{w}, as (byte / 255 - {mean:?}) / {std:?}"), None)
        }
        Preprocessing::Table { schema } => {
            let output = (!schema.is_classification()).then(|| schema.target_name().to_owned());
            (format!("columns {}", some(&schema.feature_names())), output)
        }
        Preprocessing::Tensors { schema } => {
            let output = (schema.numbers() > 0).then(|| format!("y, {} of each row", schema.numbers()));
            (format!("x of rows {:?}", schema.shape), output)
        }
    };
    let output = output.unwrap_or_else(|| format!("classes {}", some(file.data.classes())));
    format!("input: {input}\noutput: {output}")
}
