//! From rows of a table to a schema: kinds of columns, means, scales and categories.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::schema::VERSION;
use super::statistics::{mean, median, most_frequent_number, scaling};
use super::{Column, Rule, Schema, Table, Target, Unknown};
use crate::error::some_of;
use crate::{Error, Result};

/// Where a column has so many numbers for each value that is none, that one is taken for a slip.
const MOSTLY: usize = 9;

/// A column's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Decimal numbers.
    Number,
    /// Texts, each of which means itself.
    Category,
}

/// What a model of the table predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of several classes.
    Classification,
    /// A number.
    Regression,
}

/// What is done about a missing value of an input column. A missing target is an error, or its row is left out by `DropRow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The mean of the training rows stands in, and in columns of categories the most frequent one.
    #[default]
    Mean,
    /// The median stands in (the mean of the middle two), and in columns of categories the most frequent one.
    Median,
    /// The most frequent value stands in; of several the smallest.
    MostFrequent,
    /// The row is left out.
    DropRow,
    /// It is an error, which names the cell.
    Error,
}

/// How numbers are scaled. A column whose training rows are all equal has scale 1 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// To mean 0 and standard deviation 1 (of the population): scikit-learn's `StandardScaler`.
    #[default]
    ZScore,
    /// To 0 … 1: scikit-learn's `MinMaxScaler`.
    Range,
    /// Not at all.
    None,
}

/// What [`Schema::fit`] makes of a table.
#[derive(Clone, Debug)]
pub struct Options {
    /// The column to predict.
    pub target: String,
    /// What is predicted; found from the target's values where it is `None`.
    pub task: Option<Task>,
    /// Kinds of columns by name, where they are not to be found from the values.
    pub declared: BTreeMap<String, Kind>,
    /// Columns that are left out, such as numbers of rows.
    pub ignored: Vec<String>,
    /// Texts that stand for a missing value, exactly as written here: at first `NA`, `N/A`, `NaN`, `nan`, `null`, `NULL`,
    /// `None` and `?`. An empty field always is one.
    pub missing_markers: Vec<String>,
    /// What is done about missing values.
    pub missing: Missing,
    /// What is done about categories that the training rows did not have.
    pub unknown: Unknown,
    /// How input columns of numbers are scaled.
    pub scaling: Scaling,
    /// How a target that is a number is scaled.
    pub target_scaling: Scaling,
    /// A column of more categories is refused, since each becomes a feature: at first 100.
    pub max_categories: usize,
}

impl Options {
    /// To predict the column `target`, and otherwise as the fields' descriptions say.
    pub fn new(target: impl Into<String>) -> Self {
        let markers = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"];
        Self {
            target: target.into(),
            task: None,
            declared: BTreeMap::new(),
            ignored: Vec::new(),
            missing_markers: markers.map(str::to_owned).to_vec(),
            missing: Missing::default(),
            unknown: Unknown::default(),
            scaling: Scaling::default(),
            target_scaling: Scaling::default(),
            max_categories: 100,
        }
    }
}

/// Whether a field stands for no value.
pub(super) fn is_missing(cell: &str, markers: &[String]) -> bool {
    cell.is_empty() || markers.iter().any(|marker| marker == cell)
}

/// The number that a text is: finite and decimal.
pub(super) fn number(cell: &str) -> Option<f64> {
    let decimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let value = cell.bytes().all(decimal).then(|| cell.parse().ok()).flatten();
    value.filter(|value: &f64| value.is_finite())
}

/// Whether two texts name one class: they are equal, or numbers that are, such as `1` and `1.0`.
pub(super) fn is_same_class(a: &str, b: &str) -> bool {
    let plain = |text: &str| number(text).filter(|_| !has_leading_zeros(text));
    a == b || plain(a).is_some_and(|value| plain(b) == Some(value))
}

/// Whether a text is a code such as `007`, which is no number though it looks like one.
fn has_leading_zeros(cell: &str) -> bool {
    let digits = cell.trim_start_matches(['+', '-']).as_bytes();
    digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit()
}

/// The training rows without those that are left out because of missing values.
fn whole_rows(table: &Table, rows: &[usize], options: &Options) -> Vec<usize> {
    let names = table.names().iter().enumerate();
    let columns: Vec<usize> =
        names.filter(|(_, name)| !options.ignored.contains(name)).map(|(column, _)| column).collect();
    let lacks = |row: usize| {
        columns.iter().any(|&column| is_missing(table.cell(row, column), &options.missing_markers))
    };
    let is_kept = |row: &usize| options.missing != Missing::DropRow || !lacks(*row);
    rows.iter().copied().filter(is_kept).collect()
}

/// A column of a table while it is fitted.
struct Fit<'a> {
    table: &'a Table,
    rows: &'a [usize],
    options: &'a Options,
}

impl Schema {
    /// Finds how the columns of `table` become numbers: kinds from all rows, means, scales and categories from `rows`, the
    /// numbers of the training rows, without those that are left out because of missing values. Classes are those of all rows.
    ///
    /// # Errors
    /// [`Error::Table`] where a column that is named is not there, has no values or too many categories, or the target has
    /// one class alone; [`Error::Cell`] for a value that is not of its column's kind; [`Error::Rows`] for no
    /// rows, or one that the table does not have.
    pub fn fit(table: &Table, rows: &[usize], options: &Options) -> Result<Self> {
        if rows.is_empty() || rows.iter().any(|&row| row >= table.len()) {
            let message =
                format!("{} to fit a table of {} rows; give some of its rows", rows.len(), table.len());
            return Err(Error::Rows(message));
        }
        let named = options.declared.keys().chain(&options.ignored).chain([&options.target]);
        if let Some(name) = named.into_iter().find(|name| table.column(name).is_none()) {
            return Err(
                table.bad(format!("there is no column {name:?}; there are {}", some_of(table.names())))
            );
        }
        let whole = whole_rows(table, rows, options);
        if whole.is_empty() {
            return Err(table.bad("each of the training rows lacks a value, and such rows are left out"));
        }
        let fit = Fit { table, rows: &whole, options };
        let target = fit.target()?;
        let mut columns = Vec::new();
        for (i, name) in table.names().iter().enumerate() {
            if *name != options.target && !options.ignored.contains(name) {
                columns.push(Column { name: name.clone(), rule: fit.rule(i)? });
            }
        }
        if columns.is_empty() {
            return Err(table.bad("there is no column beside the target"));
        }
        let missing_markers = options.missing_markers.clone();
        let (missing, unknown) = (options.missing, options.unknown);
        Ok(Self { version: VERSION, columns, target, missing_markers, missing, unknown })
    }
}

impl Fit<'_> {
    /// The values of a column in `rows` that are there, with their rows.
    fn values(
        &self,
        column: usize,
        rows: impl Iterator<Item = usize>,
    ) -> impl Iterator<Item = (usize, &str)> {
        let cells = rows.map(move |row| (row, self.table.cell(row, column)));
        cells.filter(|(_, cell)| !is_missing(cell, &self.options.missing_markers))
    }

    fn all(&self, column: usize) -> impl Iterator<Item = (usize, &str)> {
        self.values(column, 0..self.table.len())
    }

    fn kind(&self, column: usize) -> Result<Kind> {
        let name = &self.table.names()[column];
        if self.all(column).next().is_none() {
            return Err(self.table.bad(format!("column {name:?} has no values; leave it out (ignored)")));
        }
        if let Some(declared) = self.options.declared.get(name) {
            return Ok(*declared);
        }
        let is_number = |cell: &str| number(cell).is_some() && !has_leading_zeros(cell);
        let Some((row, other)) = self.all(column).find(|(_, cell)| !is_number(cell)) else {
            return Ok(Kind::Number);
        };
        if *name == self.options.target && self.options.task == Some(Task::Classification) {
            return Ok(Kind::Category);
        }
        // Columns of numbers that overflowed, or have decimal commas or slips among them, are none of categories.
        let is_infinite = |cell: &str| cell.parse().is_ok_and(f64::is_infinite);
        let has_comma = |cell: &str| number(&cell.replacen(',', ".", 1)).is_some() && number(cell).is_none();
        let count = |fits: &dyn Fn(&str) -> bool| self.all(column).filter(|(_, cell)| fits(cell)).count();
        let (values, numbers) = (count(&|_| true), count(&is_number));
        let expected = if has_comma(other) && numbers + count(&has_comma) == values {
            "a number with a decimal point, or declare the column one of categories"
        } else if is_infinite(other) && numbers > 0 && numbers + count(&is_infinite) == values {
            "a finite number, or nothing where it is not known"
        } else if numbers >= MOSTLY * (values - numbers) && count(&has_leading_zeros) == 0 {
            "a decimal number, as nearly all of its column are; or declare the column one of categories, or the text one that stands \
             for a missing value"
        } else {
            return Ok(Kind::Category);
        };
        Err(self.table.bad_cell(row, column, expected))
    }

    /// The numbers of a column in the training rows, each checked.
    fn numbers(&self, column: usize) -> Result<Vec<f64>> {
        let mut numbers = Vec::new();
        for (row, cell) in self.values(column, self.rows.iter().copied()) {
            let expected = "a decimal number, or declare the column one of categories";
            numbers.push(number(cell).ok_or_else(|| self.table.bad_cell(row, column, expected))?);
        }
        match numbers.is_empty() {
            true => Err(self.table.bad(format!(
                "column {:?} has no values in the training rows; leave it out (ignored)",
                self.table.names()[column]
            ))),
            false => Ok(numbers),
        }
    }

    fn rule(&self, column: usize) -> Result<Rule> {
        let name = &self.table.names()[column];
        let fills = !matches!(self.options.missing, Missing::DropRow | Missing::Error);
        if self.kind(column)? == Kind::Number {
            let numbers = self.numbers(column)?;
            let (offset, scale) = scaling(&numbers, self.options.scaling);
            let fill = match self.options.missing {
                Missing::Mean => Some(mean(&numbers)),
                Missing::Median => Some(median(&numbers)),
                Missing::MostFrequent => most_frequent_number(&numbers),
                Missing::DropRow | Missing::Error => None,
            };
            return Ok(Rule::Number { offset, scale, fill });
        }
        let mut counts = BTreeMap::new();
        for (_, cell) in self.values(column, self.rows.iter().copied()) {
            *counts.entry(cell).or_insert(0_usize) += 1;
        }
        if counts.is_empty() {
            return Err(self
                .table
                .bad(format!("column {name:?} has no values in the training rows; leave it out (ignored)")));
        }
        if counts.len() > self.options.max_categories {
            return Err(self.table.bad(format!(
                "column {name:?} has {} categories, more than {}; leave it out (ignored), or allow more (max_categories)",
                counts.len(),
                self.options.max_categories
            )));
        }
        let most = counts.values().copied().max().filter(|_| fills);
        let fill = counts.iter().find(|&(_, count)| Some(*count) == most).map(|(cell, _)| (*cell).to_owned());
        Ok(Rule::Category { values: counts.into_keys().map(str::to_owned).collect(), fill })
    }

    fn target(&self) -> Result<Target> {
        let name = self.options.target.clone();
        let column = self.table.column(&name).unwrap_or_default();
        let kind = self.kind(column)?;
        let task = self.options.task.unwrap_or_else(|| self.task(column, kind));
        if task == Task::Regression {
            let (offset, scale) = scaling(&self.numbers(column)?, self.options.target_scaling);
            return Ok(Target::Number { name, offset, scale });
        }
        let texts: BTreeSet<&str> = self.all(column).map(|(_, cell)| cell).collect();
        let mut classes: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        if kind == Kind::Number {
            let value = |text: &String| number(text).unwrap_or_default();
            classes.sort_by(|a, b| value(a).total_cmp(&value(b)));
            classes.dedup_by(|a, b| is_same_class(a, b));
        }
        match classes.len() {
            0 | 1 => Err(self.table.bad(format!("the target {name:?} has one class alone"))),
            2..=10_000 => Ok(Target::Classes { name, classes }),
            n => Err(self.table.bad(format!("the target {name:?} has {n} classes, more than 10000"))),
        }
    }

    fn task(&self, column: usize, kind: Kind) -> Task {
        let numbers: Vec<f64> = self.all(column).filter_map(|(_, cell)| number(cell)).collect();
        let different: BTreeSet<u64> = numbers.iter().map(|value| value.to_bits()).collect();
        let whole = numbers.iter().all(|value| value.fract() == 0.0);
        let few = different.len() <= 20 && 2 * different.len() <= numbers.len();
        match kind == Kind::Category || (whole && few) {
            true => Task::Classification,
            false => Task::Regression,
        }
    }
}
