//! [`Report`]: a run on one page, by itself in one file.

mod chart;
mod history;
mod html;
mod matrix;
mod scale;
mod surface;

use std::fmt::Write as _;
use std::path::Path;

pub use chart::{Mark, Plot, Series};
pub use surface::Surface;

use crate::metrics::ConfusionMatrix;
use crate::{EpochRecord, Picture, Result};
use html::{escaped, image, section};

/// An image and what the model says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The image as the model's user sees it.
    pub picture: Picture,
    /// What it is.
    pub label: String,
    /// What the model takes it for.
    pub guess: String,
    /// The probability that the model gives to its guess, 0 to 1.
    pub probability: f64,
}

/// What a run's report shows. Parts that are empty are left out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The heading, such as the run's name.
    pub title: String,
    /// Short facts at the top, each with a name: the model, the data, the device, the best accuracy.
    pub facts: Vec<(String, String)>,
    /// Longer texts at the end, each with a heading: the layers, the resolved configuration.
    pub texts: Vec<(String, String)>,
    /// The figures of each epoch, as [`History::epochs`](crate::History::epochs) has them. Every figure has a chart, training
    /// and validation side by side.
    pub epochs: Vec<EpochRecord>,
    /// Step and loss of each step.
    pub step_losses: Vec<[f64; 2]>,
    /// Step and learning rate of each step.
    pub learning_rates: Vec<[f64; 2]>,
    /// Further charts, such as a fitted line over its data.
    pub plots: Vec<Plot>,
    /// The confusion matrix of the validation rows.
    pub confusion: Option<ConfusionMatrix>,
    /// The classes' names, in the order of the confusion matrix.
    pub classes: Vec<String>,
    /// Images that the model is wrong about, the surest first.
    pub wrong: Vec<Sample>,
    /// Images, each with its saliency: gradient × input of the guessed class's score, as [`Picture::signed`] draws it.
    pub saliency: Vec<(Sample, Picture)>,
    /// The values that are black and white in the images, where they were no bytes to begin with.
    pub range: Option<[f32; 2]>,
    /// The filters of the first layer.
    pub filters: Vec<Picture>,
    /// What a classifier of two inputs says over the plane.
    pub surface: Option<Surface>,
    /// What a regression predicts, with its unit, such as `price (EUR)`.
    pub target: String,
    /// Of each validation row the actual and the predicted value.
    pub predictions: Vec<[f64; 2]>,
}

impl Report {
    /// The report as an HTML page. It loads nothing and runs nothing, and all texts are shown as what they are.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a surface whose values are no whole rows.
    pub fn html(&self) -> Result<String> {
        let mut body = self.head();
        body.push_str(&section("Course of the run", "", &self.course()));
        body.push_str(&section("Predictions", "", &self.predicted()?));
        if let Some(matrix) = &self.confusion {
            let note = "Rows are the true classes, columns what they were taken for. Colour is the share of the row.";
            body.push_str(&section("Confusion matrix", note, &matrix::html(matrix, &self.classes)?));
        }
        body.push_str(&self.images()?);
        for (heading, text) in &self.texts {
            body.push_str(&section(heading, "", &format!("<pre>{}</pre>\n", escaped(text))));
        }
        Ok(html::page(&self.title, &body))
    }

    /// Writes the page, whole or not at all.
    ///
    /// # Errors
    /// As [`Report::html`], and [`crate::Error::Model`] for a file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(wgrad_nn::file::write_atomic(path, self.html()?.as_bytes())?)
    }

    fn head(&self) -> String {
        let fact = |(name, value): &(String, String)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(value))
        };
        let facts: String = self.facts.iter().map(fact).collect();
        if facts.is_empty() { facts } else { format!("<dl class=\"facts\">\n{facts}</dl>\n") }
    }

    fn course(&self) -> String {
        let mut plots = history::by_epoch(&self.epochs);
        plots.push(history::by_step(&self.step_losses));
        plots.push(history::learning_rate(&self.learning_rates));
        charts(plots.iter().map(Plot::html)) + &history::figures(&self.epochs)
    }

    fn predicted(&self) -> Result<String> {
        let surface = self.surface.as_ref().map(Surface::html).transpose()?.unwrap_or_default();
        let target = if self.target.is_empty() { "value" } else { &self.target };
        let against = history::against(target, &self.predictions).html();
        Ok(charts([surface, against].into_iter().chain(self.plots.iter().map(Plot::html))))
    }

    fn images(&self) -> Result<String> {
        let mut out = String::new();
        let mut wrong = String::new();
        for sample in &self.wrong {
            let Sample { picture, label, guess, .. } = sample;
            let words = format!("{label}, taken for {guess}");
            let _ = writeln!(wrong, "<figure>{}{}</figure>", image(picture, 96, &words)?, sample.caption());
        }
        let range = self.range.map(|range| {
            // Four digits of each.
            let [black, white] = range.map(|value| format!("{value:.3e}").parse().unwrap_or(value));
            format!(" Black is {black}, white {white}.")
        });
        let range = range.unwrap_or_default();
        let note = format!("The model is wrong about these, and the surest comes first.{range}");
        out.push_str(&section("Most wrong", &note, &grid("", &wrong)));

        let mut saliency = String::new();
        for (sample, map) in &self.saliency {
            let (seen, weighed) =
                (image(&sample.picture, 96, &sample.label)?, image(map, 96, "its saliency")?);
            let _ = writeln!(saliency, "<figure>{seen} {weighed}{}</figure>", sample.caption());
        }
        let note = format!(
            "Gradient × input of the guess's score: red pixels speak for it, blue ones against it.{range}"
        );
        out.push_str(&section("What the model looks at", &note, &grid(" pairs", &saliency)));

        let mut filters = String::new();
        for (i, filter) in self.filters.iter().enumerate() {
            let _ = writeln!(filters, "<figure>{}</figure>", image(filter, 56, &format!("filter {i}"))?);
        }
        out.push_str(&section("Filters of the first layer", "", &grid(" small", &filters)));
        Ok(out)
    }
}

impl Sample {
    fn caption(&self) -> String {
        let (label, guess) = (escaped(&self.label), escaped(&self.guess));
        let percent = if self.probability.is_finite() {
            format!(" {:.0}%", 100.0 * self.probability)
        } else {
            String::new()
        };
        let verdict = if self.label == self.guess { "as" } else { "not" };
        format!("<figcaption><b>{guess}</b>{percent}<br>{verdict} {label}</figcaption>")
    }
}

fn charts(figures: impl Iterator<Item = String>) -> String {
    let figures: String = figures.collect();
    if figures.is_empty() { figures } else { format!("<div class=\"charts\">\n{figures}</div>\n") }
}

fn grid(class: &str, figures: &str) -> String {
    if figures.is_empty() {
        String::new()
    } else {
        format!("<div class=\"pictures{class}\">\n{figures}</div>\n")
    }
}
