//! What is compared before a run begins.

use crate::{Communicator, Error, Result, all_gather_bytes};

/// Characters of a value that an error shows.
const SHOWN: usize = 60;

/// Fails, on every rank alike, unless each of `texts`, pairs of a name and a value, is the same on all ranks. They are compared in
/// order, so what decides which ones there are (the program's version) comes first.
///
/// ```
/// use wgrad_distributed::{Solo, same_everywhere};
///
/// let seed = 7.to_string();
/// same_everywhere(&Solo, &[("build", env!("CARGO_PKG_VERSION")), ("seed", &seed)])?;
/// # Ok::<(), wgrad_distributed::Error>(())
/// ```
///
/// # Errors
/// [`Error::Differs`] for the first text that differs, [`Error::Gone`].
pub fn same_everywhere(ranks: &dyn Communicator, texts: &[(&str, &str)]) -> Result<()> {
    texts.iter().try_for_each(|(what, own)| same_among(ranks, what, own, |_, _| true))
}

/// As [`same_everywhere`], of one text, which is compared with that of the first rank that is comparable.
pub(crate) fn same_among(
    ranks: &dyn Communicator,
    what: &str,
    own: &str,
    is_comparable: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<()> {
    let all = all_gather_bytes(ranks, own.as_bytes())?;
    for (rank, found) in all.iter().enumerate() {
        let other = all.iter().position(|text| is_comparable(text, found)).unwrap_or(rank);
        if found == &all[other] {
            continue;
        }
        let [first, found] = [&all[other], found].map(|text| String::from_utf8_lossy(text).chars().collect());
        let (first, found): (Vec<char>, Vec<char>) = (first, found);
        let equal = first.iter().zip(&found).take_while(|(a, b)| a == b).count();
        let [first, found] = [first, found].map(|text| shortened(&text, equal));
        return Err(Error::Differs { rank, other, what: what.to_owned(), found, first });
    }
    Ok(())
}

/// The part of a text around its character `at`, in quotes.
fn shortened(text: &[char], at: usize) -> String {
    let start = if text.len() <= SHOWN { 0 } else { at.saturating_sub(SHOWN / 3).min(text.len() - SHOWN) };
    let end = (start + SHOWN).min(text.len());
    let before = if start > 0 { "…" } else { "" };
    let after = if end < text.len() { "…" } else { "" };
    let shown: String = text[start..end].iter().map(|&c| if c == '\n' { ' ' } else { c }).collect();
    format!("`{before}{shown}{after}`")
}
