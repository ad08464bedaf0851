//! Charts of a run's course.

use super::chart::{Mark, Plot, Series};
use super::html::table;
use super::scale::figure;
use crate::EpochRecord;

/// Figures that no chart of their own is drawn of.
const NOT_DRAWN: [&str; 4] = ["epoch", "step", "seconds", "lr"];

/// The part that `train_accuracy` and `val_accuracy` share, and which of both it is.
fn parts(name: &str) -> (&str, &str) {
    match name.split_once('_') {
        Some((set @ ("train" | "val" | "test"), rest)) => (rest, set),
        _ => (name, ""),
    }
}

/// `roc_auc` as a title.
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    match words.as_str() {
        "lr" => "Learning rate".to_owned(),
        "mae" | "rmse" | "r2" | "roc auc" => words.to_uppercase(),
        _ => {
            let mut letters = words.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}

/// A chart for each figure, the sets side by side in it, in the order in which they first occur.
pub(super) fn by_epoch(epochs: &[EpochRecord]) -> Vec<Plot> {
    let mut plots: Vec<(String, Plot)> = Vec::new();
    for (name, _) in epochs.iter().flat_map(|epoch| &epoch.figures) {
        let (what, set) = parts(name);
        if NOT_DRAWN.contains(&what) {
            continue;
        }
        let at = plots.iter().position(|(key, _)| key == what).unwrap_or(plots.len());
        if at == plots.len() {
            let title = title(what);
            let is_short = title.chars().all(|letter| !letter.is_lowercase());
            let y = if is_short { title.clone() } else { what.replace('_', " ") };
            plots.push((what.to_owned(), Plot { title, x: "epoch".to_owned(), y, series: Vec::new() }));
        }
        let series = &mut plots[at].1.series;
        let label = match set {
            "train" => "training",
            "val" => "validation",
            "test" => "test",
            _ => what,
        };
        if !series.iter().any(|series| series.name == label) {
            let value = |epoch: &EpochRecord| {
                let found = epoch.figures.iter().find(|value| value.0 == *name);
                [epoch.epoch as f64, found.map_or(f64::NAN, |value| value.1)]
            };
            let points = epochs.iter().map(value).collect();
            series.push(Series { name: label.to_owned(), points, mark: Mark::Line });
        }
    }
    plots.into_iter().map(|(_, plot)| plot).collect()
}

/// The loss of each step, and the mean of a fiftieth of all steps around it.
pub(super) fn by_step(losses: &[[f64; 2]]) -> Plot {
    // Sums and numbers of the losses before each.
    let mut before = vec![(0.0, 0.0)];
    let (mut sum, mut count) = (0.0, 0.0);
    for [_, loss] in losses {
        if loss.is_finite() {
            (sum, count) = (sum + loss, count + 1.0);
        }
        before.push((sum, count));
    }
    let smooth = losses.iter().enumerate().map(|(i, &[step, loss])| {
        // As many on both sides where a loss falls fast: at the beginning.
        let reach = losses.len() / 100;
        let (first, last) = (before[i - reach.min(i)], before[(i + reach.min(i) + 1).min(losses.len())]);
        [step, if loss.is_finite() { (last.0 - first.0) / (last.1 - first.1) } else { f64::NAN }]
    });
    let smooth = Series {
        name: "mean around (pale: each step)".to_owned(),
        points: smooth.collect(),
        mark: Mark::Line,
    };
    let raw = Series { name: "each step".to_owned(), points: losses.to_vec(), mark: Mark::Faint };
    let (title, x, y) = ("Loss of each step".to_owned(), "step".to_owned(), "loss".to_owned());
    Plot { title, x, y, series: vec![raw, smooth] }
}

pub(super) fn learning_rate(rates: &[[f64; 2]]) -> Plot {
    let series = vec![Series { name: "learning rate".to_owned(), points: rates.to_vec(), mark: Mark::Line }];
    let (title, x, y) = ("Learning rate".to_owned(), "step".to_owned(), "learning rate".to_owned());
    Plot { title, x, y, series }
}

/// Targets against predictions, with the line on which they would be equal.
pub(super) fn against(target: &str, points: &[[f64; 2]]) -> Plot {
    let finite = || points.iter().flatten().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let series = vec![
        Series { name: "rows".to_owned(), points: points.to_vec(), mark: Mark::Points },
        Series {
            name: "predicted = actual".to_owned(),
            points: vec![[low; 2], [high; 2]],
            mark: Mark::Guide,
        },
    ];
    let (x, y) = (format!("actual {target}"), format!("predicted {target}"));
    Plot { title: "Predicted against actual".to_owned(), x, y, series }
}

/// All figures of all epochs.
pub(super) fn figures(epochs: &[EpochRecord]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in epochs.iter().flat_map(|epoch| &epoch.figures) {
        if name != "epoch" && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let row = |epoch: &EpochRecord| {
        let value = |name: &&str| {
            let found = epoch.figures.iter().find(|value| value.0 == **name);
            found.map_or_else(String::new, |value| figure(value.1))
        };
        std::iter::once(epoch.epoch.to_string()).chain(names.iter().map(value)).collect()
    };
    let heads: Vec<String> = names.iter().map(|name| name.replace('_', " ")).collect();
    let heads: Vec<&str> = std::iter::once("epoch").chain(heads.iter().map(String::as_str)).collect();
    let table = table(&heads, epochs.iter().map(row));
    if table.is_empty() {
        table
    } else {
        format!("<details>\n<summary>All figures</summary>\n{table}</details>\n")
    }
}
