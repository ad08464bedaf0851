//! A line for every so many epochs.

use serde_json::{Map, Value, json};
use wgrad::train::{Callback, Fit, Result};

use crate::output::{printable, say};

/// Prints an epoch's figures, for people or as JSON, and on standard error what else there is to say.
pub(crate) struct Lines {
    /// Epochs between two lines.
    pub(crate) every: usize,
    /// The fold of a cross-validation that this is.
    pub(crate) fold: Option<usize>,
    pub(crate) json: bool,
}

impl Callback for Lines {
    fn name(&self) -> &str {
        "lines"
    }

    fn on_message(&mut self, text: &str) {
        eprintln!("{}", printable(&format!("wgrad: {text}")));
    }

    fn on_validation_end(&mut self, fit: &mut Fit) -> Result<()> {
        let Some(record) = fit.history().epochs.last() else { return Ok(()) };
        let is_told =
            record.epoch == 1 || record.epoch.is_multiple_of(self.every) || record.epoch == fit.epochs();
        if self.json {
            let figures: Map<String, Value> =
                record.figures.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let mut value = json!({ "epoch": record.epoch, "step": record.step });
            if let Value::Object(object) = &mut value {
                object.extend(self.fold.map(|fold| ("fold".to_owned(), json!(fold))));
                object.extend(figures);
            }
            say(&value.to_string());
        } else if is_told {
            let figures =
                record.figures.iter().filter(|(name, _)| !["lr", "seconds"].contains(&name.as_str()));
            let words = figures.map(|(name, value)| match name.as_str() {
                "train_loss" => format!("loss {value:.4}"),
                "val_loss" => format!("validation: loss {value:.4}"),
                _ => super::in_words(name, *value),
            });
            let width = fit.epochs().to_string().len();
            let words = words.collect::<Vec<_>>().join("  ");
            say(&format!("epoch {:width$}/{}  {words}", record.epoch, fit.epochs()));
        }
        Ok(())
    }
}
