//! The confusion matrix of a report, what is confused most, and each class's scores.

use std::fmt::Write as _;

use super::html::{escaped, image, table};
use super::scale::figure;
use crate::metrics::ConfusionMatrix;
use crate::{Picture, Result};

/// Of more classes, the matrix is a picture.
const MOST_CLASSES: usize = 24;

/// Lines of the table of what is confused most.
const MOST_PAIRS: usize = 10;

/// A class's name, or its number where it has none.
fn name(classes: &[String], class: usize) -> String {
    classes.get(class).cloned().unwrap_or_else(|| class.to_string())
}

pub(super) fn html(matrix: &ConfusionMatrix, classes: &[String]) -> Result<String> {
    let drawn = if matrix.classes() > MOST_CLASSES { heat(matrix)? } else { cells(matrix, classes) };
    let tables = [("Confused most often", pairs(matrix, classes)), ("By class", per_class(matrix, classes))];
    let titled = tables.iter().filter(|(_, table)| !table.is_empty());
    let tables: String =
        titled.map(|(title, table)| format!("<div><h3>{title}</h3>\n{table}</div>\n")).collect();
    Ok(format!("<div class=\"columns\">\n{drawn}<div class=\"tables\">\n{tables}</div></div>\n"))
}

fn cells(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    let count = matrix.classes();
    let mut out = format!(
        "<div class=\"wide\"><table class=\"matrix\" aria-label=\"confusion matrix\">\n<thead>\n\
         <tr><th></th><th></th><th class=\"top\" colspan=\"{count}\">predicted class</th></tr>\n<tr><th></th><th></th>"
    );
    for class in 0..count {
        let _ = write!(out, "<th scope=\"col\"><span>{}</span></th>", escaped(&name(classes, class)));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    let shares = matrix.normalized();
    for (truth, row) in matrix.rows().enumerate() {
        out.push_str("<tr>");
        if truth == 0 {
            let _ = write!(out, "<th class=\"side\" rowspan=\"{count}\"><span>true class</span></th>");
        }
        let _ = write!(out, "<th scope=\"row\">{}</th>", escaped(&name(classes, truth)));
        for (predicted, cell) in row.iter().enumerate() {
            let share = shares[truth * count + predicted];
            let class = if *cell == 0 {
                "none"
            } else if share > 0.55 {
                "full"
            } else {
                "some"
            };
            let _ = write!(out, "<td class=\"{class}\" style=\"--share:{share:.3}\">{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out
}

fn heat(matrix: &ConfusionMatrix) -> Result<String> {
    let shares: Vec<f32> = matrix.normalized().into_iter().map(|share| share as f32).collect();
    let picture = Picture::from_planes([1, matrix.classes(), matrix.classes()], &shares, 0.0, 1.0)?;
    let words = "confusion matrix: rows are the true classes, columns the predicted ones";
    Ok(format!(
        "<figure>{}<figcaption>down: true class, across: predicted class; white is all of a true class</figcaption></figure>\n",
        image(&picture, 480, words)?
    ))
}

fn pairs(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (truth, row) in matrix.rows().enumerate() {
        let wrong = row.iter().enumerate().filter(|(predicted, count)| *predicted != truth && **count > 0);
        pairs.extend(wrong.map(|(predicted, count)| (*count, truth, predicted)));
    }
    pairs.sort_by_key(|&(count, truth, predicted)| (std::cmp::Reverse(count), truth, predicted));
    let row = |&(count, truth, predicted): &(u64, usize, usize)| {
        vec![format!("{} → {}", name(classes, truth), name(classes, predicted)), count.to_string()]
    };
    table(&["true class → taken for", "rows"], pairs.iter().take(MOST_PAIRS).map(row))
}

fn per_class(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    let scores = matrix.per_class(1.0).into_iter().enumerate().map(|(class, scores)| {
        let figures = [scores.precision, scores.recall, scores.f_beta].map(|score| format!("{score:.3}"));
        let [precision, recall, f1] = figures;
        vec![name(classes, class), precision, recall, f1, figure(scores.support as f64)]
    });
    table(&["class", "precision", "recall", "F1", "rows"], scores)
}
