//! Tables: CSV files, and generated rows.

use std::path::Path;

use wgrad::data::table::{Encoded, Options, Scaling, Schema, Table, Target, Targets, Task, Unknown};

use super::{Dataset, parts};
use crate::config::{Config, Generator};
use crate::{Error, Result};

/// Reads a table.
pub(crate) fn read(path: &Path) -> Result<Table> {
    Ok(Table::read(path, None)?)
}

pub(super) fn load(path: &Path, config: &Config) -> Result<Dataset> {
    let table = read(path)?;
    let names = || table.names().iter().take(20).map(String::as_str).collect::<Vec<_>>();
    let Some(target) = &config.target else {
        let message =
            format!("--target names the column of {} to predict: {}", path.display(), names().join(", "));
        return Err(Error::usage(message));
    };
    if table.column(target).is_none() {
        let message = crate::output::suggestion(target, &names());
        return Err(Error::file(path, format!("there is no column {target}: {message}")));
    }
    // Kinds and classes follow from all rows, and the split from the classes; scaling from the rows to train on.
    let all: Vec<usize> = (0..table.len()).collect();
    let first = Schema::fit(&table, &all, &options(target, config))?;
    let encoded = first.encode(&table, &all)?;
    let places = match &encoded.y {
        Targets::Classes(classes) => parts(path, classes, config)?,
        Targets::Numbers(numbers) => parts(path, &vec![(); numbers.len()], config)?,
    };
    let rows = |part: Vec<usize>| part.into_iter().map(|i| encoded.rows[i]).collect::<Vec<_>>();
    dataset(&table, &rows(places.train), &rows(places.test), target, config, None)
}

/// The rows of a generator, the first `samples` of them to train on.
pub(super) fn generated(text: &str, samples: usize, config: &Config) -> Result<Dataset> {
    let table = Table::parse(text.as_bytes(), Path::new("generated"), None)?;
    let (target, task) = match config.generate {
        Some(Generator::Line) => ("y", Task::Regression),
        _ => ("label", Task::Classification),
    };
    let (train, valid): (Vec<_>, Vec<_>) = (0..table.len()).partition(|row| *row < samples);
    dataset(&table, &train, &valid, target, config, Some(task))
}

fn options(target: &str, config: &Config) -> Options {
    let mut options = Options::new(target);
    if config.standardize == Some(false) {
        (options.scaling, options.target_scaling) = (Scaling::None, Scaling::None);
    }
    options.ignored = config.ignored.clone().unwrap_or_default();
    options.max_categories = config.max_categories.unwrap_or(options.max_categories);
    options
}

fn dataset(
    table: &Table,
    train: &[usize],
    valid: &[usize],
    target: &str,
    config: &Config,
    task: Option<Task>,
) -> Result<Dataset> {
    let mut options = options(target, config);
    options.task = task;
    let schema = Schema::fit(table, train, &options)?;
    let train = schema.encode(table, train)?;
    let valid = judged(&schema, table, valid)?;
    if train.rows.is_empty() || valid.rows.is_empty() {
        return Err(Error::file(table.path(), "no rows are left to train on or to validate"));
    }
    let predicts = match &schema.target {
        Target::Classes { classes, .. } => format!("{} classes", classes.len()),
        Target::Number { .. } => "a number".to_owned(),
    };
    let columns = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let about = format!(
        "{}: {} rows to train on and {} to validate, {}; {target} is {predicts}{}",
        table.path().display(),
        train.rows.len(),
        valid.rows.len(),
        columns(schema.features(), "feature"),
        left_out(&[&train, &valid]),
    );
    Ok(Dataset::Table { schema, train, valid, about })
}

/// Rows that a model is judged by. They may have categories that no row to train on has, as what is predicted later may not: chance
/// has put the only row of such a category here.
pub(crate) fn judged(schema: &Schema, table: &Table, rows: &[usize]) -> Result<Encoded> {
    let mut lenient = schema.clone();
    lenient.unknown = Unknown::Zeros;
    Ok(lenient.encode(table, rows)?)
}

/// What became of missing values, and of categories that are not known.
pub(crate) fn left_out(parts: &[&Encoded]) -> String {
    let sum = |count: fn(&Encoded) -> usize| parts.iter().map(|part| count(part)).sum::<usize>();
    let counts = [
        (sum(|part| part.dropped), "rows lack values and were left out"),
        (sum(|part| part.filled), "missing values were filled in"),
        (sum(|part| part.unknown), "values are categories that no row to train on has, and count as none"),
    ];
    counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("; {n} {what}")).collect()
}
