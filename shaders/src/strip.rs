//! Texts without their comments: a third of them, which a web page need not download.

/// The number of bytes that [`text`] keeps.
pub const fn len(whole: &str) -> usize {
    let mut kept = 0;
    let mut at = 0;
    while at < whole.len() {
        let end = line_end(whole.as_bytes(), at);
        if !is_comment(whole.as_bytes(), at, end) {
            kept += end - at;
        }
        at = end;
    }
    kept
}

/// The lines of `whole` that are more than a comment, and those that say which files it uses; `N` is their [`len`].
pub const fn text<const N: usize>(whole: &str) -> [u8; N] {
    let bytes = whole.as_bytes();
    let (mut kept, mut count, mut at) = ([0; N], 0, 0);
    while at < bytes.len() {
        let end = line_end(bytes, at);
        if !is_comment(bytes, at, end) {
            let mut i = at;
            while i < end {
                kept[count] = bytes[i];
                count += 1;
                i += 1;
            }
        }
        at = end;
    }
    kept
}

/// The end of the line that begins at `at`, its line break included.
const fn line_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while end < bytes.len() && bytes[end] != b'\n' {
        end += 1;
    }
    if end < bytes.len() { end + 1 } else { end }
}

/// Whether a line is a comment and nothing else, and says nothing that is read.
const fn is_comment(bytes: &[u8], at: usize, end: usize) -> bool {
    let mut i = at;
    while i < end && bytes[i] == b' ' {
        i += 1;
    }
    begins(bytes, i, b"//") && !begins(bytes, i, b"// Uses: ")
}

const fn begins(bytes: &[u8], at: usize, with: &[u8]) -> bool {
    let mut i = 0;
    while i < with.len() {
        if at + i >= bytes.len() || bytes[at + i] != with[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::File;

    #[test]
    fn comments_go_and_what_is_read_stays() {
        const WHOLE: &str = "// A job.\n// Uses: index.\n\nfn f() { // and here\n    // Why.\n}\n//";
        const KEPT: [u8; len(WHOLE)] = text(WHOLE);
        assert_eq!(std::str::from_utf8(&KEPT), Ok("// Uses: index.\n\nfn f() { // and here\n}\n"));
        assert_eq!(len(""), 0);
    }

    #[test]
    fn files_stay_what_they_are() {
        let mut texts = std::collections::BTreeSet::new();
        for file in crate::ALL {
            let whole = file.text();
            let is_kept = |line: &&str| !line.trim_start().starts_with("//") || line.starts_with("// Uses: ");
            let kept: String = whole.split_inclusive('\n').filter(is_kept).collect();
            assert_eq!(kept.len(), len(whole), "{}", file.name());
            assert!(File::uses(&kept).eq(File::uses(whole)), "{}", file.name());
            // Files are told apart by where their texts lie.
            assert!(texts.insert(kept), "{} says what another file says", file.name());
        }
    }
}
