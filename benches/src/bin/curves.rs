//! Training curves side by side: train loss and test accuracy by epoch, from the files that `cifar10 --metrics` and
//! `benches/pytorch/cifar10.py --metrics` write.
//!
//! ```text
//! cargo run --release -p wgrad-benches --bin curves -- docs/plots/curves.svg wgrad=FILE.jsonl PyTorch=FILE.jsonl
//! ```

use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::Value;
use wgrad_benches::plot::{self, Panel, Scale, Series};

/// Plots the epochs of metrics files.
#[derive(Parser)]
struct Flags {
    /// The plot
    svg: PathBuf,
    /// A name for the legend and the file
    #[arg(required = true, value_name = "NAME=FILE.jsonl", value_parser = named)]
    runs: Vec<(String, PathBuf)>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("NAME=FILE.jsonl is wanted")?;
    Ok((name.to_owned(), path.into()))
}

/// `[epoch, value]` of every line that is an epoch's.
fn points(path: &Path, key: &str, factor: f64) -> Result<Vec<(f64, f64)>, plot::Error> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut points = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| format!("{}, line {}: {error}", path.display(), i + 1))?;
        if let (Some(epoch), Some(value)) = (value["epoch"].as_f64(), value[key].as_f64()) {
            points.push((epoch, factor * value));
        }
    }
    Ok(points)
}

fn main() -> Result<(), plot::Error> {
    let flags = Flags::parse();
    let panel = |title: &str, key: &str, y: &str, factor: f64| -> Result<Panel, plot::Error> {
        let series = |(name, path): &(String, PathBuf)| -> Result<Series, plot::Error> {
            Ok(Series { name: name.clone(), points: points(path, key, factor)? })
        };
        Ok(Panel {
            title: title.to_owned(),
            x: "epoch".to_owned(),
            y: y.to_owned(),
            scale: Scale::Linear,
            series: flags.runs.iter().map(series).collect::<Result<_, _>>()?,
        })
    };
    let panels = [
        panel("Train loss", "train_loss", "mean over the epoch", 1.0)?,
        panel("Test accuracy", "test_accuracy", "%", 100.0)?,
    ];
    plot::draw(&flags.svg, &panels)
}
