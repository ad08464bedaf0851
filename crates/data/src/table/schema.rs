//! What is kept of a table with a model: how its columns become numbers.

use serde::{Deserialize, Serialize};

use super::Missing;
use crate::{Error, Result};

/// Files of a later layout are refused.
pub(super) const VERSION: u32 = 1;

/// How the columns of a table become inputs and targets: a plain value that a model's file keeps, written and read as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    pub(super) version: u32,
    /// The input columns, in the order of their features.
    pub columns: Vec<Column>,
    /// The column that a model predicts.
    pub target: Target,
    /// Texts that stand for a missing value, besides the empty one.
    pub missing_markers: Vec<String>,
    /// What is done about missing values.
    pub missing: Missing,
    /// What is done about categories that the training rows did not have.
    pub unknown: Unknown,
}

/// An input column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// How it becomes numbers.
    pub rule: Rule,
}

/// How an input column becomes numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// One feature, `(value - offset) / scale`.
    Number {
        /// What is subtracted.
        offset: f64,
        /// What the difference is divided by, over 0.
        scale: f64,
        /// The value that stands in for a missing one.
        fill: Option<f64>,
    },
    /// A feature for each category: 1 for the one that a row has, and 0 for the others.
    Category {
        /// The categories, in the order of their features.
        values: Vec<String>,
        /// The category that stands in for a missing one.
        fill: Option<String>,
    },
}

impl Rule {
    /// How many features the column becomes.
    pub fn features(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::Category { values, .. } => values.len(),
        }
    }
}

/// The column that a model predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// One of several classes.
    Classes {
        /// The column's name.
        name: String,
        /// The classes; a target is an index into them.
        classes: Vec<String>,
    },
    /// A number: targets are `(value - offset) / scale`.
    Number {
        /// The column's name.
        name: String,
        /// What is subtracted.
        offset: f64,
        /// What the difference is divided by, over 0.
        scale: f64,
    },
}

/// What is done about a category that the training rows did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is an error, which names it.
    #[default]
    Error,
    /// All of the column's features are 0.
    Zeros,
}

impl Schema {
    /// How many features a row has.
    pub fn features(&self) -> usize {
        self.columns.iter().map(|column| column.rule.features()).sum()
    }

    /// The features' names: the column's, or `column=category`.
    pub fn feature_names(&self) -> Vec<String> {
        let names = |column: &Column| match &column.rule {
            Rule::Number { .. } => vec![column.name.clone()],
            Rule::Category { values, .. } => {
                values.iter().map(|value| format!("{}={value}", column.name)).collect()
            }
        };
        self.columns.iter().flat_map(names).collect()
    }

    /// Whether the target is a class, and not a number.
    pub fn is_classification(&self) -> bool {
        matches!(self.target, Target::Classes { .. })
    }

    /// Names of the classes; none where the target is a number.
    pub fn classes(&self) -> &[String] {
        match &self.target {
            Target::Classes { classes, .. } => classes,
            Target::Number { .. } => &[],
        }
    }

    /// The target's column.
    pub fn target_name(&self) -> &str {
        match &self.target {
            Target::Classes { name, .. } | Target::Number { name, .. } => name,
        }
    }

    /// What a model's output stands for, in the units of the target's column; a class's output stays as it is.
    pub fn unscale(&self, output: f32) -> f64 {
        match self.target {
            Target::Classes { .. } => output.into(),
            Target::Number { offset, scale, .. } => f64::from(output) * scale + offset,
        }
    }

    /// As JSON, for the model's file.
    ///
    /// # Errors
    /// [`Error::Schema`] where a number is not finite.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        serde_json::to_string(self).map_err(|error| Error::Schema(error.to_string()))
    }

    /// What [`Schema::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::Schema`] where the text is something else, or would give inputs that are no numbers.
    pub fn from_json(text: &str) -> Result<Self> {
        let schema: Self = serde_json::from_str(text).map_err(|error| {
            // It may name a field of several lines.
            Error::Schema(error.to_string().replace(['\n', '\r'], " "))
        })?;
        schema.check()?;
        Ok(schema)
    }

    fn check(&self) -> Result<()> {
        let fail = |message: String| Err(Error::Schema(message));
        if self.version != VERSION {
            return fail(format!("version {} of the layout; this program knows {VERSION}", self.version));
        }
        if self.features() == 0 {
            return fail("there are no features".to_owned());
        }
        for Column { name, rule } in &self.columns {
            let good = match rule {
                Rule::Number { offset, scale, fill } => {
                    is_scaling(*offset, *scale) && fill.is_none_or(f64::is_finite)
                }
                Rule::Category { values, fill } => {
                    !values.is_empty() && fill.as_ref().is_none_or(|fill| values.contains(fill))
                }
            };
            if !good {
                return fail(format!("column {name:?} cannot be encoded by {rule:?}"));
            }
        }
        match &self.target {
            Target::Number { offset, scale, .. } if !is_scaling(*offset, *scale) => {
                fail(format!("the target cannot be scaled by {offset} and {scale}"))
            }
            Target::Classes { classes, .. } if classes.len() < 2 => {
                fail(format!("the target has {} classes", classes.len()))
            }
            _ => Ok(()),
        }
    }
}

fn is_scaling(offset: f64, scale: f64) -> bool {
    offset.is_finite() && scale.is_finite() && scale > 0.0
}
