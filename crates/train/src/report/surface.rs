//! [`Surface`]: what a model of two inputs says over the plane.

use std::fmt::Write as _;

use super::chart::Frame;
use super::html::{data_uri, escaped};
use super::scale::Scale;
use crate::{Error, Picture, Result};

/// The probability of class 1 over a plane of two inputs, and rows of data in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surface {
    /// The name of the first input, with its unit: the horizontal axis.
    pub x: String,
    /// The name of the second input: the vertical axis.
    pub y: String,
    /// The lowest and highest first input.
    pub x_range: [f64; 2],
    /// The lowest and highest second input.
    pub y_range: [f64; 2],
    /// Probabilities, 0 to 1, at the middles of the cells of a grid, row by row from the lowest second input on.
    pub values: Vec<f32>,
    /// Cells in a row.
    pub columns: usize,
    /// Rows of data: both inputs, and the class.
    pub points: Vec<([f64; 2], usize)>,
    /// The names of class 0 and class 1.
    pub classes: Vec<String>,
}

/// From blue over white to red.
fn color(p: f32) -> [u8; 3] {
    let share = (2.0 * p - 1.0).clamp(-1.0, 1.0);
    let full: [f32; 3] = if share > 0.0 { [244.0, 165.0, 130.0] } else { [146.0, 197.0, 222.0] };
    // Casts take NaN to 0, which is black: it stands out.
    full.map(|full| (247.0 + share.abs() * (full - 247.0)).round() as u8)
}

impl Surface {
    fn rows(&self) -> Result<usize> {
        let finite =
            [self.x_range, self.y_range].iter().all(|[low, high]| low < high && (high - low).is_finite());
        if self.columns == 0
            || self.values.is_empty()
            || !self.values.len().is_multiple_of(self.columns)
            || !finite
        {
            let message = format!(
                "a surface of {} values in rows of {}, over {:?} and {:?}: give whole rows, and ranges that rise",
                self.values.len(),
                self.columns,
                self.x_range,
                self.y_range
            );
            return Err(Error::Usage(message));
        }
        Ok(self.values.len() / self.columns)
    }

    pub(super) fn html(&self) -> Result<String> {
        let rows = self.rows()?;
        let from_top = self.values.chunks(self.columns).rev().flatten();
        let picture = Picture::new(self.columns, rows, 3, from_top.flat_map(|&p| color(p)).collect())?;
        let scale = |range: [f64; 2]| Scale::over(range.into_iter(), false);
        let frame = Frame { x: scale(self.x_range), y: scale(self.y_range) };
        let [left, bottom] = frame.place([self.x_range[0], self.y_range[0]]);
        let [right, top] = frame.place([self.x_range[1], self.y_range[1]]);
        let mut content = format!(
            "<image href=\"{}\" x=\"{left}\" y=\"{top}\" width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\"/>\n\
             <path class=\"border\" d=\"{}\"/>\n",
            data_uri(&picture)?,
            right - left,
            bottom - top,
            self.border(frame, rows)
        );
        let within = |([x, y], _): &&([f64; 2], usize)| {
            (self.x_range[0]..=self.x_range[1]).contains(x) && (self.y_range[0]..=self.y_range[1]).contains(y)
        };
        for (point, class) in self.points.iter().filter(within) {
            let [x, y] = frame.place(*point);
            let class = class % 6;
            let _ = write!(
                content,
                "<circle class=\"p{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" stroke=\"#fff\" stroke-width=\"1\"/>"
            );
        }
        let mut legend = String::new();
        for class in 0..self.classes.len().max(2) {
            let name = self.classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
            let _ = write!(legend, "<li><i class=\"p{}\"></i><b>{}</b></li>", class % 6, escaped(&name));
        }
        let svg = frame.svg([&self.x, &self.y], false, "decision surface over two inputs", &content);
        Ok(format!(
            "<figure>\n<h3>Decision surface</h3>\n<ul class=\"legend\">{legend}<li>black line: probability 0.5</li></ul>\n{svg}</figure>\n"
        ))
    }

    /// Where the probability is 0.5, by marching squares: a path of short lines.
    fn border(&self, frame: Frame, rows: usize) -> String {
        let steps = [(self.x_range, self.columns), (self.y_range, rows)];
        let middle = |axis: usize, cell: f64| {
            let ([low, high], cells) = steps[axis];
            low + (cell + 0.5) / cells as f64 * (high - low)
        };
        let value = |column: usize, row: usize| f64::from(self.values[row * self.columns + column]) - 0.5;
        let mut path = String::new();
        for row in 1..rows {
            for column in 1..self.columns {
                let corners = [(column - 1, row - 1), (column, row - 1), (column, row), (column - 1, row)]
                    .map(|(x, y)| (x, y, value(x, y)));
                let mut crossings = Vec::new();
                for side in 0..4 {
                    let ((x0, y0, a), (x1, y1, b)) = (corners[side], corners[(side + 1) % 4]);
                    if (a < 0.0) != (b < 0.0) && a.is_finite() && b.is_finite() {
                        let share = a / (a - b);
                        let between =
                            |from: usize, to: usize| from as f64 + share * (to as f64 - from as f64);
                        crossings.push(frame.place([middle(0, between(x0, x1)), middle(1, between(y0, y1))]));
                    }
                }
                for ends in crossings.chunks_exact(2) {
                    let [[x0, y0], [x1, y1]] = [ends[0], ends[1]];
                    let _ = write!(path, "M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}");
                }
            }
        }
        path
    }
}
