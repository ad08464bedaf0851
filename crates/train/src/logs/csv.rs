//! [`Csv`]: a log as a table.

use std::path::{Path, PathBuf};

use super::jsonl::figure;
use super::lines::{LineFile, is_stream};
use crate::{Error, Logger, Result};

/// Writes what a run logs as a table of comma separated values, the step in the first column.
///
/// There is one header, and every row is as long as it: what a step has no figure for is empty. Where a name appears for the
/// first time, the file is written anew with one column more, at once, so that a killed run leaves the old or the new one.
/// A resumed run drops the rows of later steps than the one it goes on from; an epoch's figures are there once, also where it
/// ends again. NaN is written `NaN`, infinities `inf` and
/// `-inf`, as NumPy and pandas read them.
pub struct Csv {
    path: PathBuf,
    columns: Vec<String>,
    file: Option<LineFile>,
    /// The step of the last epoch whose figures an earlier run wrote.
    epoch_at: Option<u64>,
}

const FIRST: &str = "step";

impl Csv {
    /// A table in this file. A new run replaces an older file with its first row.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), columns: Vec::new(), file: None, epoch_at: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn header(&self) -> String {
        let columns = self.columns.iter().map(|name| quoted(name));
        std::iter::once(FIRST.to_owned()).chain(columns).collect::<Vec<_>>().join(",")
    }

    /// The file's rows up to `step`, and its columns, if it is such a table; what is no row is dropped.
    fn resume(&mut self, step: u64) -> Result<()> {
        let text = LineFile::old(&self.path)?;
        // Without its line break, the last line was not written to its end.
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let Some(header) = lines.next() else { return self.begin() };
        let mut columns = fields(header).into_iter();
        if columns.next().as_deref() != Some(FIRST) {
            let source = std::io::Error::other("it is no log of a run: its first column is not \"step\"");
            return Err(Error::Metrics { path: self.path.clone(), source });
        }
        self.columns = columns.collect();
        let epoch = self.columns.iter().position(|name| name == "epoch");
        let mut text = format!("{}\n", self.header());
        for line in lines {
            let row = fields(line);
            let of = row[0].parse().ok().filter(|of| *of <= step && row.len() == self.columns.len() + 1);
            let Some(of) = of else { continue };
            text.push_str(&format!("{line}\n"));
            if epoch.is_some_and(|column| !row[column + 1].is_empty()) {
                self.epoch_at = Some(of);
            }
        }
        self.file = Some(LineFile::replace(&self.path, &text)?);
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        if is_stream(&self.path) {
            let source =
                std::io::Error::other("a table's header may be written anew, so it needs a regular file");
            return Err(Error::Metrics { path: self.path.clone(), source });
        }
        self.columns.clear();
        self.file = Some(LineFile::create(&self.path)?);
        Ok(())
    }

    /// Gives the header and every row the new columns.
    fn widen(&mut self, names: Vec<String>) -> Result<()> {
        let (is_first, empty) = (self.columns.is_empty(), ",".repeat(names.len()));
        self.columns.extend(names);
        let header = self.header();
        if is_first && let Some(file) = &mut self.file {
            return file.line(&header);
        }
        let text = LineFile::old(&self.path)?;
        let rows: String = text.lines().skip(1).map(|line| format!("{line}{empty}\n")).collect();
        self.file = Some(LineFile::replace(&self.path, &format!("{header}\n{rows}"))?);
        Ok(())
    }
}

impl Logger for Csv {
    fn start(&mut self, step: u64) -> Result<()> {
        self.epoch_at = None;
        if step == 0 { self.begin() } else { self.resume(step) }
    }

    fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        if self.epoch_at == Some(step) && values.iter().any(|(name, _)| *name == "epoch") {
            return Ok(());
        }
        if self.file.is_none() {
            self.begin()?;
        }
        let named = values.iter().map(|(name, value)| (one_line(name), *value));
        let values: Vec<(String, f64)> = named.filter(|(name, _)| name != FIRST).collect();
        let mut new: Vec<String> = Vec::new();
        for (name, _) in &values {
            if !self.columns.contains(name) && !new.contains(name) {
                new.push(name.clone());
            }
        }
        if !new.is_empty() {
            self.widen(new)?;
        }
        let mut line = step.to_string();
        for column in &self.columns {
            line.push(',');
            if let Some((_, value)) = values.iter().find(|(name, _)| name == column) {
                line.push_str(&figure(*value).unwrap_or_else(|| value.to_string()));
            }
        }
        match &mut self.file {
            Some(file) => file.line(&line),
            None => Ok(()),
        }
    }
}

/// A name without line breaks and the like, so that every row is one line.
fn one_line(name: &str) -> String {
    name.replace(char::is_control, " ")
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// The fields of a line, quotes taken off.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = fields.len() - 1;
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => fields[last].push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            letter => fields[last].push(letter),
        }
    }
    fields
}
