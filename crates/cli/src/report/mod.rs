//! `report.html` of a run: what the model learned, and what it gets wrong.

mod images;
mod rows;

use std::path::Path;

use serde_json::Value;
use wgrad::Gpu;
use wgrad::data::{Batches as _, table::Rule, tensors};
use wgrad::train::History;
use wgrad::train::report::Report;

use crate::Result;
use crate::architecture::Architecture;
use crate::config::Config;
use crate::dataset::Dataset;
use crate::learner::{Learner, OnDevice};

/// Rows that are drawn at most.
const DRAWN: usize = 2_000;
/// Rows that predictions are computed for at a time.
const BATCH: usize = 128;

/// What a report is made of.
pub(crate) struct Content<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) folder: &'a Path,
    pub(crate) config: &'a Config,
    pub(crate) architecture: &'a Architecture,
    pub(crate) learner: &'a Learner,
    pub(crate) dataset: &'a Dataset,
    pub(crate) valid: &'a OnDevice,
    pub(crate) history: &'a History,
}

impl Content<'_> {
    /// Writes the page into the run folder.
    pub(crate) fn write(&self, layers: &str) -> Result<()> {
        let mut report = Report {
            title: format!("wgrad: {}", self.folder.display()),
            facts: self.facts(),
            texts: vec![
                ("Model".to_owned(), layers.to_owned()),
                ("Configuration".to_owned(), self.config.to_toml()),
            ],
            epochs: self.history.epochs.clone(),
            classes: self.dataset.classes().to_vec(),
            ..Default::default()
        };
        self.steps(&mut report);
        let predictions = self.predictions()?;
        let classes = self.dataset.classes().len();
        if classes > 0 {
            report.confusion = Some(self.confusion(&predictions, classes)?);
        }
        match self.dataset {
            Dataset::Images { valid, .. } => self.fill_images(&mut report, valid, &predictions)?,
            Dataset::Table { schema, train, valid, .. } => {
                let is_plane = matches!(
                    &schema.columns[..],
                    [a, b] if [a, b].iter().all(|column| matches!(column.rule, Rule::Number { .. }))
                );
                if is_plane && classes == 2 {
                    report.surface = Some(self.surface(schema, valid)?);
                }
                if classes == 0 {
                    self.fill_regression(&mut report, schema, [train, valid], &predictions)?;
                }
            }
            Dataset::Tensors { schema, valid, .. } => {
                self.fill_planes(&mut report, schema, valid, &predictions)?;
                if let tensors::Targets::Numbers(_, numbers) = &valid.y {
                    let pairs = schema.unscaled(numbers).into_iter().zip(schema.unscaled(&predictions));
                    report.target = "y".to_owned();
                    report.predictions =
                        pairs.take(DRAWN).map(|(actual, predicted)| [actual, predicted]).collect();
                }
            }
        }
        Ok(report.write(&self.folder.join(crate::commands::start::REPORT))?)
    }

    fn facts(&self) -> Vec<(String, String)> {
        let figures = self.history.kept().into_iter().flat_map(|record| &record.figures);
        let judged = figures.filter(|(name, _)| name.starts_with("val_"));
        let mut facts = vec![
            ("Model".to_owned(), self.architecture.to_string()),
            ("Data".to_owned(), self.dataset.about().to_owned()),
            ("Device".to_owned(), self.gpu.info().name.clone()),
            ("Steps".to_owned(), self.history.steps.to_string()),
        ];
        facts.extend(judged.map(|(name, value)| {
            let words = crate::commands::in_words(name, *value);
            ("Validation".to_owned(), words)
        }));
        facts
    }

    /// Loss and learning rate of each step, as the log has them: it knows the steps before a resumption too.
    fn steps(&self, report: &mut Report) {
        let text = std::fs::read_to_string(self.folder.join("metrics.jsonl")).unwrap_or_default();
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            let (Some(step), None) = (value["step"].as_f64(), value.get("epoch")) else { continue };
            let figure = |name: &str| value[name].as_f64();
            report.step_losses.extend(figure("loss").map(|loss| [step, loss]));
            report.learning_rates.extend(figure("lr").map(|lr| [step, lr]));
        }
    }

    /// What comes out for each row of the validation part, in its own order.
    fn predictions(&self) -> Result<Vec<f32>> {
        let (set, classes) = (self.valid.set(None)?, self.dataset.classes().len());
        set.set_order(wgrad::data::Order::Own)?;
        let (mut all, mut start) = (Vec::new(), 0);
        while start < set.len() {
            let rows = BATCH.min(set.len() - start);
            all.extend(self.learner.predict(&set.batch(start, rows)?.x, classes)?);
            start += rows;
        }
        Ok(all)
    }
}

/// The place of the largest value.
fn largest(values: &[f32]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (0..values.len()).fold(0, better)
}
