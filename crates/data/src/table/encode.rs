//! Rows of a table as numbers.

use wgrad_autograd::{Gpu, Tensor};

use super::fit::{is_missing, is_same_class, number};
use super::{Missing, Rule, Schema, Table, Target, Unknown};
use crate::error::some_of;
use crate::{Error, Result, TensorBatches};

/// Targets of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Indices of classes.
    Classes(Vec<i32>),
    /// Numbers, scaled as the schema says.
    Numbers(Vec<f32>),
}

/// Rows of a table as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// Features of a row.
    pub features: usize,
    /// The inputs, `[rows, features]`.
    pub x: Vec<f32>,
    /// The targets, `[rows]`; none where a table was encoded for prediction.
    pub y: Targets,
    /// The numbers of the table's rows, without those that were left out.
    pub rows: Vec<usize>,
    /// How many rows were left out because of missing values.
    pub dropped: usize,
    /// How many missing values were filled in.
    pub filled: usize,
    /// How many values are categories that no training row had, and zeros by [`Unknown::Zeros`].
    pub unknown: usize,
}

impl Encoded {
    /// The inputs on a device, f32 of shape `[rows, features]`.
    ///
    /// # Errors
    /// If the device cannot hold them.
    pub fn inputs(&self, gpu: &Gpu) -> Result<Tensor> {
        Ok(Tensor::from_slice(gpu, &self.x, &[self.rows.len(), self.features])?)
    }

    /// The targets on a device: classes as i32 of shape `[rows]`, numbers as f32 of shape `[rows, 1]`, as a model of one
    /// output has them.
    ///
    /// # Errors
    /// If the device cannot hold them.
    pub fn targets(&self, gpu: &Gpu) -> Result<Tensor> {
        Ok(match &self.y {
            Targets::Classes(classes) => Tensor::from_slice(gpu, classes, &[classes.len()])?,
            Targets::Numbers(numbers) => Tensor::from_slice(gpu, numbers, &[numbers.len(), 1])?,
        })
    }

    /// Batches of [`Encoded::inputs`] and [`Encoded::targets`].
    ///
    /// # Errors
    /// [`Error::Rows`] where all rows were left out, and what the device reports.
    pub fn batches(&self, gpu: &Gpu) -> Result<TensorBatches> {
        TensorBatches::new(&self.inputs(gpu)?, &self.targets(gpu)?)
    }
}

/// Where the columns of a schema stand in a table.
struct Places {
    inputs: Vec<usize>,
    target: Option<usize>,
}

impl Schema {
    /// Inputs and targets of `rows`, the numbers of rows of `table`, whose columns are found by name: their order does not matter, and
    /// other columns are left alone.
    ///
    /// # Errors
    /// [`Error::Table`] for a column that is not there; [`Error::Cell`] for a value that is not of its column's kind, a
    /// category or class that is not known, and a missing value where that is an error; [`Error::Rows`] for a row that
    /// the table does not have.
    pub fn encode(&self, table: &Table, rows: &[usize]) -> Result<Encoded> {
        let target = Some(find(table, self.target_name())?);
        self.encode_at(table, rows, target)
    }

    /// Inputs of all rows of `table`, whose columns are found by name; the target's column need not be there.
    ///
    /// # Errors
    /// As [`Schema::encode`].
    pub fn encode_inputs(&self, table: &Table) -> Result<Encoded> {
        let rows: Vec<usize> = (0..table.len()).collect();
        self.encode_at(table, &rows, None)
    }

    fn encode_at(&self, table: &Table, rows: &[usize], target: Option<usize>) -> Result<Encoded> {
        if let Some(row) = rows.iter().find(|&&row| row >= table.len()) {
            return Err(Error::Rows(format!("row {row} of a table of {} rows", table.len())));
        }
        let inputs: Result<Vec<usize>> =
            self.columns.iter().map(|column| find(table, &column.name)).collect();
        let places = Places { inputs: inputs?, target };
        let features = self.features();
        let mut x = Vec::new();
        if features.checked_mul(rows.len()).is_none_or(|size| x.try_reserve_exact(size).is_err()) {
            let message = format!("{} rows of {features} features do not fit in memory", rows.len());
            return Err(table.bad(message));
        }
        let y = match self.target {
            Target::Classes { .. } => Targets::Classes(Vec::new()),
            Target::Number { .. } => Targets::Numbers(Vec::new()),
        };
        let mut encoded = Encoded { features, x, y, rows: Vec::new(), dropped: 0, filled: 0, unknown: 0 };
        for &row in rows {
            if self.missing == Missing::DropRow && self.lacks_values(table, row, &places) {
                encoded.dropped += 1;
                continue;
            }
            for (column, &at) in self.columns.iter().zip(&places.inputs) {
                self.push_input(table, (row, at), &column.rule, &mut encoded)?;
            }
            if let Some(at) = places.target {
                self.push_target(table, (row, at), &mut encoded.y)?;
            }
            encoded.rows.push(row);
        }
        Ok(encoded)
    }

    fn lacks_values(&self, table: &Table, row: usize, places: &Places) -> bool {
        let mut columns = places.inputs.iter().chain(&places.target);
        columns.any(|&column| is_missing(table.cell(row, column), &self.missing_markers))
    }

    fn push_input(
        &self,
        table: &Table,
        (row, column): (usize, usize),
        rule: &Rule,
        to: &mut Encoded,
    ) -> Result<()> {
        let cell = table.cell(row, column);
        let missing = is_missing(cell, &self.missing_markers);
        to.filled += usize::from(missing);
        let lacking = || table.bad_cell(row, column, "a value; missing ones are not filled in");
        match rule {
            Rule::Number { offset, scale, fill } => {
                let value = match missing {
                    true => fill.ok_or_else(lacking)?,
                    false => number(cell).ok_or_else(|| table.bad_cell(row, column, "a decimal number"))?,
                };
                let scaled = ((value - offset) / scale) as f32;
                if !scaled.is_finite() {
                    return Err(table.bad_cell(row, column, "a number that fits in 32 bits when scaled"));
                }
                to.x.push(scaled);
            }
            Rule::Category { values, fill } => {
                let value = match missing {
                    true => fill.as_deref().ok_or_else(lacking)?,
                    false => cell,
                };
                let found = values.iter().position(|known| known == value);
                if found.is_none() && self.unknown == Unknown::Error {
                    return Err(table.bad_cell(row, column, known(values)));
                }
                to.unknown += usize::from(found.is_none());
                to.x.extend((0..values.len()).map(|i| f32::from(u8::from(Some(i) == found))));
            }
        }
        Ok(())
    }

    fn push_target(&self, table: &Table, (row, column): (usize, usize), to: &mut Targets) -> Result<()> {
        let cell = table.cell(row, column);
        if is_missing(cell, &self.missing_markers) {
            return Err(table.bad_cell(row, column, "a target; or have rows with missing values left out"));
        }
        match (&self.target, to) {
            (Target::Classes { classes, .. }, Targets::Classes(to)) => {
                let exact = classes.iter().position(|class| class == cell);
                let class = exact.or_else(|| classes.iter().position(|class| is_same_class(class, cell)));
                to.push(class.ok_or_else(|| table.bad_cell(row, column, known(classes)))? as i32);
            }
            (Target::Number { offset, scale, .. }, Targets::Numbers(to)) => {
                let value = number(cell).ok_or_else(|| table.bad_cell(row, column, "a decimal number"))?;
                let scaled = ((value - offset) / scale) as f32;
                if !scaled.is_finite() {
                    return Err(table.bad_cell(row, column, "a number that fits in 32 bits when scaled"));
                }
                to.push(scaled);
            }
            _ => {}
        }
        Ok(())
    }
}

fn find(table: &Table, name: &str) -> Result<usize> {
    table.column(name).ok_or_else(|| table.bad(format!("there is no column {name:?}, which the model needs")))
}

fn known(values: &[String]) -> String {
    format!("one of {}", some_of(values))
}
