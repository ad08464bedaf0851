//! What a command prints: lines for people, or JSON for machines. Neither has control characters.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::{Error, Result};

/// Why a line could not be printed.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints a line, or several. That it cannot be printed is no reason to stop; [`check_printed`] tells of it at the end. A closed
/// standard output, such as that of `| head -1`, wants no more.
pub(crate) fn say(line: &str) {
    match writeln!(std::io::stdout(), "{}", printable(line)) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = UNPRINTED.set(error.to_string());
        }
        _ => {}
    }
}

/// A text of which names of files and classes may be parts, without what a terminal would take for commands.
pub(crate) fn printable(text: &str) -> String {
    // As JSON has it: a name may stand in a line of that.
    let one = |c: char| match c.is_control() && c != '\n' {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// Whether all that was said was printed.
///
/// # Errors
/// [`Error::File`] if not, such as on a full disk.
pub(crate) fn check_printed() -> Result<()> {
    let failed =
        |why: &String| Error::file(Path::new("standard output"), format!("cannot be written: {why}"));
    UNPRINTED.get().map_or(Ok(()), |why| Err(failed(why)))
}

/// Prints `value` as one line of JSON if `json`, and otherwise `lines`.
pub(crate) fn print(json: bool, value: &Value, lines: &str) {
    if json { say(&value.to_string()) } else { say(lines) }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits or so, with the prefix that a unit takes: `1.23 M`.
pub(crate) fn scaled(number: f64) -> String {
    let steps = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match steps.into_iter().find(|(size, _)| number >= *size) {
        Some((size, prefix)) => format!("{:.2} {prefix}", number / size),
        None => format!("{number:.0} "),
    }
}

/// Rows of cells as lines, each column as wide as its widest cell. The columns of numbers stand to the right.
pub(crate) fn table(rows: &[Vec<String>], numbers: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if numbers.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The word of `known` that is most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |candidate: &str| distance(word, candidate);
    let best = known.into_iter().min_by_key(|candidate| likeness(candidate))?;
    (likeness(best) <= 1 + word.chars().count().max(best.chars().count()) / 3).then_some(best)
}

/// `did you mean NAME?`, or all there are where none is like it.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// Letters to change, insert or leave out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_scaled() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        cases.into_iter().for_each(|(number, text)| assert_eq!(grouped(number), text));
        assert_eq!(
            (scaled(12.0), scaled(1234.0), scaled(5.6e9)),
            ("12 ".into(), "1.23 k".into(), "5.60 G".into())
        );
    }

    #[test]
    fn the_nearest_word_is_found_and_a_strange_one_is_not() {
        let known = ["epochs", "batch_size", "lr"];
        assert_eq!(nearest("epoch", known), Some("epochs"));
        assert_eq!(nearest("batchsize", known), Some("batch_size"));
        assert_eq!(nearest("learning_rate_of_all", known), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab"), distance("ab", "")), (3, 2, 2));
    }
}
