//! Tables in the report: the confusion matrix, a decision surface, predicted against actual.

use wgrad::Tensor;
use wgrad::data::table::{Encoded, Rule, Schema, Targets};
use wgrad::data::tensors;
use wgrad::train::metrics::ConfusionMatrix;
use wgrad::train::report::{Mark, Plot, Report, Series, Surface};

use super::{Content, DRAWN, largest};
use crate::Result;
use crate::dataset::Dataset;

/// Cells of a decision surface along each axis.
const CELLS: usize = 80;

impl Content<'_> {
    pub(super) fn confusion(&self, shares: &[f32], classes: usize) -> Result<ConfusionMatrix> {
        let labels: Vec<usize> = match self.dataset {
            Dataset::Images { valid, .. } => valid.labels().iter().map(|&label| usize::from(label)).collect(),
            Dataset::Table { valid, .. } => labels(valid),
            Dataset::Tensors { valid, .. } => match &valid.y {
                tensors::Targets::Classes(classes) => {
                    classes.iter().map(|&class| usize::try_from(class).unwrap_or(0)).collect()
                }
                tensors::Targets::Numbers(..) => Vec::new(),
            },
        };
        let mut counts = vec![0_u64; classes * classes];
        for (label, shares) in labels.into_iter().zip(shares.chunks(classes)) {
            counts[label * classes + largest(shares)] += 1;
        }
        Ok(ConfusionMatrix::new(classes, counts)?)
    }

    /// What the model says over the plane of its two inputs, in the units of the columns.
    pub(super) fn surface(&self, schema: &Schema, valid: &Encoded) -> Result<Surface> {
        let in_units = |row: &[f32]| [unscaled(schema, 0, row[0]), unscaled(schema, 1, row[1])];
        let points: Vec<[f64; 2]> = valid.x.chunks(2).take(DRAWN).map(in_units).collect();
        let range = |axis: usize| {
            let values = || points.iter().map(|point| point[axis]);
            let (low, high) =
                (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            let margin = if high > low { 0.05 * (high - low) } else { 1.0 };
            [low - margin, high + margin]
        };
        let (x_range, y_range) = (range(0), range(1));
        let cell = |[low, high]: [f64; 2], i: usize| low + (high - low) * (i as f64 + 0.5) / CELLS as f64;
        let mut inputs = Vec::with_capacity(2 * CELLS * CELLS);
        for row in 0..CELLS {
            for column in 0..CELLS {
                inputs.push(scaled(schema, 0, cell(x_range, column)));
                inputs.push(scaled(schema, 1, cell(y_range, row)));
            }
        }
        let x = Tensor::from_slice(self.gpu, &inputs, &[CELLS * CELLS, 2])?;
        let shares = self.learner.predict(&x, 2)?;
        let names = schema.feature_names();
        Ok(Surface {
            x: names[0].clone(),
            y: names[1].clone(),
            x_range,
            y_range,
            values: shares.chunks(2).map(|shares| shares[1]).collect(),
            columns: CELLS,
            points: points.into_iter().zip(labels(valid)).collect(),
            classes: schema.classes().to_vec(),
        })
    }

    /// Predicted against actual, and over one input the rows and the model's line through them.
    pub(super) fn fill_regression(
        &self,
        report: &mut Report,
        schema: &Schema,
        [train, valid]: [&Encoded; 2],
        predicted: &[f32],
    ) -> Result<()> {
        let actual = |rows: &Encoded| match &rows.y {
            Targets::Numbers(numbers) => numbers.iter().map(|&y| schema.unscale(y)).collect(),
            Targets::Classes(_) => Vec::new(),
        };
        report.target = schema.target_name().to_owned();
        let pairs = actual(valid).into_iter().zip(predicted.iter().map(|&y| schema.unscale(y)));
        report.predictions = pairs.take(DRAWN).map(|(actual, predicted)| [actual, predicted]).collect();
        if schema.features() != 1 {
            return Ok(());
        }
        let points = |rows: &Encoded| -> Vec<[f64; 2]> {
            let x = rows.x.iter().map(|&x| unscaled(schema, 0, x));
            x.zip(actual(rows)).take(DRAWN).map(|(x, y)| [x, y]).collect()
        };
        let x = valid.x.iter().map(|&x| unscaled(schema, 0, x));
        let mut line: Vec<[f64; 2]> =
            x.zip(predicted).map(|(x, &y)| [x, schema.unscale(y)]).take(DRAWN).collect();
        line.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let series = |name: &str, points, mark| Series { name: name.to_owned(), points, mark };
        report.plots.push(Plot {
            title: format!("{} over {}", schema.target_name(), schema.feature_names()[0]),
            x: schema.feature_names()[0].clone(),
            y: schema.target_name().to_owned(),
            series: vec![
                series("training", points(train), Mark::Points),
                series("validation", points(valid), Mark::Points),
                series("model", line, Mark::Line),
            ],
        });
        Ok(())
    }
}

fn labels(rows: &Encoded) -> Vec<usize> {
    match &rows.y {
        Targets::Classes(classes) => {
            classes.iter().map(|&class| usize::try_from(class).unwrap_or(0)).collect()
        }
        Targets::Numbers(_) => Vec::new(),
    }
}

/// Offset and scale of a column of numbers.
fn scaling(schema: &Schema, column: usize) -> (f64, f64) {
    match schema.columns.get(column).map(|column| &column.rule) {
        Some(Rule::Number { offset, scale, .. }) => (*offset, *scale),
        _ => (0.0, 1.0),
    }
}

fn unscaled(schema: &Schema, column: usize, value: f32) -> f64 {
    let (offset, scale) = scaling(schema, column);
    f64::from(value) * scale + offset
}

fn scaled(schema: &Schema, column: usize, value: f64) -> f32 {
    let (offset, scale) = scaling(schema, column);
    ((value - offset) / scale) as f32
}
