//! CSV files into cells.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The cells of a CSV file as text.
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    names: Vec<String>,
    /// All cells, one behind the other.
    text: String,
    /// Where each cell ends in `text`. Four bytes, since there may be as many cells as bytes.
    ends: Vec<u32>,
    /// The line on which each row begins, counted from 1.
    lines: Vec<u32>,
}

impl Table {
    /// Reads a file; `delimiter` is found from the header where it is `None`.
    ///
    /// # Errors
    /// [`Error::Read`] where the file cannot be read, and as [`Table::parse`].
    pub fn read(path: &Path, delimiter: Option<u8>) -> Result<Self> {
        Self::parse(&fs::read(path).map_err(Error::read(path))?, path, delimiter)
    }

    /// Reads a file's bytes; errors name `path`.
    ///
    /// # Errors
    /// [`Error::Table`] where the text is not UTF-8, has no header or no rows, a quote is left open, two columns have one
    /// name, a row has more or fewer fields than the header, or there are more than 4 GiB.
    pub fn parse(bytes: &[u8], path: &Path, delimiter: Option<u8>) -> Result<Self> {
        let fail = |line: usize, message: String| Error::Table { path: path.into(), line, message };
        // Taken off before the first name is read: it is no part of it.
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        if u32::try_from(bytes.len()).is_err() {
            return Err(fail(1, format!("{} bytes; a table may have 4 GiB", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + count_lines(&bytes[..error.valid_up_to()]);
            fail(line, "the text is not UTF-8; save the table as UTF-8".to_owned())
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter.unwrap_or_else(|| find_delimiter(text)))
            .from_reader(text.as_bytes());
        let mut table = Self {
            path: path.into(),
            names: Vec::new(),
            text: String::new(),
            ends: Vec::new(),
            lines: Vec::new(),
        };
        let mut record = csv::StringRecord::new();
        let (mut counted, mut line) = (0, 1);
        while reader.read_record(&mut record).map_err(|error| fail(line, error.to_string()))? {
            // The reader's position is where the record before ended: line ends and empty lines are still to come.
            let end = record.position().map_or(counted, |position| position.byte() as usize).max(counted);
            let rest = bytes.get(end..).unwrap_or_default();
            let start = end + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            line += count_lines(bytes.get(counted..start).unwrap_or_default());
            counted = start;
            let raw = text.get(start..reader.position().byte() as usize).unwrap_or_default();
            let has_space = |cell: &&str| cell.trim_start().starts_with('"') && !cell.starts_with('"');
            if let Some(cell) = record.iter().find(has_space).filter(|cell| raw.contains(&**cell)) {
                return Err(fail(
                    line,
                    format!("{cell:?} has a space before its quote, which then quotes nothing; take it out"),
                ));
            }
            record.trim();
            if table.names.is_empty() {
                table.names = header(&record).map_err(|message| fail(line, message))?;
            } else {
                table.push(&record, line)?;
            }
        }
        if table.names.is_empty() {
            return Err(fail(1, "the file is empty; its first line names the columns".to_owned()));
        }
        table.check_end(text)?;
        Ok(table)
    }

    fn push(&mut self, record: &csv::StringRecord, line: usize) -> Result<()> {
        if record.len() != self.names.len() {
            let message = format!("{} fields; the header names {} columns", record.len(), self.names.len());
            return Err(Error::Table { path: self.path.clone(), line, message });
        }
        for cell in record {
            self.text.push_str(cell);
            self.ends.push(self.text.len() as u32);
        }
        self.lines.push(line as u32);
        Ok(())
    }

    /// A quote that is left open takes the rest of the file into one field.
    fn check_end(&self, text: &str) -> Result<()> {
        let fail = |line: usize, message: &str| Error::Table {
            path: self.path.clone(),
            line,
            message: message.to_owned(),
        };
        let Some(last) = self.len().checked_sub(1) else {
            return Err(fail(1, "there are no rows below the header"));
        };
        let open = text.bytes().filter(|&byte| byte == b'"').count() % 2 == 1;
        if open && self.cell(last, self.names.len() - 1).contains(['\n', '\r']) {
            return Err(fail(self.line(last, 0), "a quote is opened and not closed"));
        }
        Ok(())
    }

    /// The number of rows below the header, at least 1.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no rows; there always are.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The columns' names, none twice. A column without a name is called by its number, such as `column 1`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the column of this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    /// The text of a cell, without space around it; empty where there is no such cell.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        if row >= self.len() || column >= self.names.len() {
            return "";
        }
        let at = row * self.names.len() + column;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[at] as usize]
    }

    /// All texts of the column of this name, row by row: for instance what a split is stratified by.
    ///
    /// # Errors
    /// [`Error::Table`] where there is no such column.
    pub fn cells(&self, name: &str) -> Result<Vec<&str>> {
        let column = self.column(name).ok_or_else(|| self.bad(format!("there is no column {name:?}")))?;
        Ok((0..self.len()).map(|row| self.cell(row, column)).collect())
    }

    /// The line of the file on which a cell begins, counted from 1.
    pub fn line(&self, row: usize, column: usize) -> usize {
        let before = (0..column).map(|column| count_lines(self.cell(row, column).as_bytes()));
        self.lines.get(row).map_or(0, |&line| line as usize) + before.sum::<usize>()
    }

    /// An error about a cell.
    pub(super) fn bad_cell(&self, row: usize, column: usize, expected: impl Into<String>) -> Error {
        let mut found: String = self.cell(row, column).chars().take(40).collect();
        if found.len() < self.cell(row, column).len() {
            found.push('…');
        }
        Error::Cell {
            path: self.path.clone(),
            line: self.line(row, column),
            column: self.names.get(column).cloned().unwrap_or_default(),
            found,
            expected: expected.into(),
        }
    }

    /// An error about the whole table.
    pub(super) fn bad(&self, message: impl Into<String>) -> Error {
        Error::Table { path: self.path.clone(), line: 1, message: message.into() }
    }
}

/// Line ends: `\n`, `\r\n` or `\r`.
fn count_lines(bytes: &[u8]) -> usize {
    let after = bytes.iter().skip(1).chain([&0]);
    bytes
        .iter()
        .zip(after)
        .filter(|&(&byte, &next)| byte == b'\n' || (byte == b'\r' && next != b'\n'))
        .count()
}

fn header(record: &csv::StringRecord) -> Result<Vec<String>, String> {
    let name = |(i, name): (usize, &str)| match name {
        "" => format!("column {}", i + 1),
        name => name.to_owned(),
    };
    let names: Vec<String> = record.iter().enumerate().map(name).collect();
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(format!("two columns are called {twice:?}")),
        None => Ok(names),
    }
}

/// The first separator of the header that stands outside of quotes.
fn find_delimiter(text: &str) -> u8 {
    let mut quoted = false;
    for byte in text.bytes() {
        match byte {
            // A quote further in is a part of the name, as in `size (")`.
            b'"' if quoted || text.starts_with('"') => quoted = !quoted,
            b',' | b';' | b'\t' if !quoted => return byte,
            b'\n' | b'\r' if !quoted => break,
            _ => {}
        }
    }
    b','
}
