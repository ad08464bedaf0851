//! Tables: CSV files, and generated rows.

use std::path::Path;

use wgrad::data::table::{
    Encoded, Kind, Missing, Options, Rule, Scaling, Schema, Table, Target, Targets, Task, Unknown,
};

use super::{Dataset, parts};
use crate::config::{Config, Generator, MissingName};
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
    let options = options(target, config);
    let first = Schema::fit(&table, &all, &options)?;
    let encoded = first.encode(&table, &all)?;
    let places = match &encoded.y {
        Targets::Classes(classes) => parts(path, classes, config)?,
        Targets::Numbers(numbers) => parts(path, &vec![(); numbers.len()], config)?,
    };
    let rows = |part: Vec<usize>| part.into_iter().map(|i| encoded.rows[i]).collect::<Vec<_>>();
    let [train, valid] = [rows(places.train), rows(places.test)];
    dataset(&table, [&train, &valid], &options, encoded.dropped)
}

/// The rows of a generator, the first `samples` of them to train on.
pub(super) fn generated(text: &str, samples: usize, config: &Config) -> Result<Dataset> {
    let table = Table::parse(text.as_bytes(), Path::new("generated"), None)?;
    let (target, task) = match config.generate {
        Some(Generator::Line) => ("y", Task::Regression),
        _ => ("label", Task::Classification),
    };
    let (train, valid): (Vec<_>, Vec<_>) = (0..table.len()).partition(|row| *row < samples);
    let mut options = options(target, config);
    options.task = Some(task);
    dataset(&table, [&train, &valid], &options, 0)
}

fn options(target: &str, config: &Config) -> Options {
    let mut options = Options::new(target);
    if config.standardize == Some(false) {
        (options.scaling, options.target_scaling) = (Scaling::None, Scaling::None);
    }
    options.ignored = config.ignored.clone().unwrap_or_default();
    let categories = config.categories.iter().flatten();
    options.declared = categories.map(|name| (name.clone(), Kind::Category)).collect();
    options.missing_markers.extend(config.missing_markers.clone().unwrap_or_default());
    options.missing = match config.missing {
        None | Some(MissingName::Mean) => Missing::Mean,
        Some(MissingName::Median) => Missing::Median,
        Some(MissingName::MostFrequent) => Missing::MostFrequent,
        Some(MissingName::Drop) => Missing::DropRow,
        Some(MissingName::Error) => Missing::Error,
    };
    options.max_categories = config.max_categories.unwrap_or(options.max_categories);
    options
}

/// The set of these rows to train on and to validate, from which `dropped` ones were left out.
fn dataset(
    table: &Table,
    [train, valid]: [&[usize]; 2],
    options: &Options,
    dropped: usize,
) -> Result<Dataset> {
    let schema = Schema::fit(table, train, options)?;
    let mut train = schema.encode(table, train)?;
    train.dropped += dropped;
    let valid = judged(&schema, table, valid)?;
    if train.rows.is_empty() || valid.rows.is_empty() {
        return Err(Error::file(table.path(), "no rows are left to train on or to validate"));
    }
    let predicts = match &schema.target {
        Target::Classes { classes, .. } => format!("{} classes", classes.len()),
        Target::Number { .. } => "a number".to_owned(),
    };
    let columns = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let left_out = left_out(&[&train, &valid]);
    let about = format!(
        "{}: {} rows to train on and {} to validate, {}{}; {} is {predicts}{}",
        table.path().display(),
        train.rows.len(),
        valid.rows.len(),
        columns(schema.features(), "feature"),
        categories(&schema),
        options.target,
        if left_out.is_empty() { String::new() } else { format!("; {left_out}") },
    );
    Ok(Dataset::Table { schema, train, valid, about })
}

/// The columns of categories, so that one that was meant to be numbers is seen.
fn categories(schema: &Schema) -> String {
    let columns = schema.columns.iter().filter(|column| matches!(column.rule, Rule::Category { .. }));
    let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    match names.len() {
        0 => String::new(),
        n if n > 8 => format!(" (categories: {} and {} more)", names[..8].join(", "), n - 8),
        _ => format!(" (categories: {})", names.join(", ")),
    }
}

/// Rows that a model is judged by. They may have categories that no row to train on has, as what is predicted later may not: chance
/// has put the only row of such a category here.
pub(crate) fn judged(schema: &Schema, table: &Table, rows: &[usize]) -> Result<Encoded> {
    let mut lenient = schema.clone();
    lenient.unknown = Unknown::Zeros;
    Ok(lenient.encode(table, rows)?)
}

/// What became of missing values, and of categories that are not known; nothing where there were none.
pub(crate) fn left_out(parts: &[&Encoded]) -> String {
    let sum = |count: fn(&Encoded) -> usize| parts.iter().map(|part| count(part)).sum::<usize>();
    let counts = [
        (sum(|part| part.dropped), "rows lack values and were left out"),
        (sum(|part| part.filled), "missing values were filled in"),
        (sum(|part| part.unknown), "values are categories that no row to train on has, and count as none"),
    ];
    let told = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    told.collect::<Vec<_>>().join("; ")
}
