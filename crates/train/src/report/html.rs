//! Pieces of the page. Every text that comes from outside goes through [`escaped`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Picture, Result};

const STYLE: &str = include_str!("style.css");

/// The text as text: none of it is taken for markup, within elements and within quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in HTML, by no means of writing.
            letter if letter.is_control() && !"\n\t".contains(letter) => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

/// The whole page. It may load nothing: pictures are data, and there are no scripts.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// A part of the page with a heading; nothing where `content` is.
pub(super) fn section(heading: &str, note: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let note =
        if note.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>\n", escaped(note)) };
    format!("<section>\n<h2>{}</h2>\n{note}{content}</section>\n", escaped(heading))
}

/// A picture by its pixels, at least `size` screen pixels wide.
pub(super) fn image(picture: &Picture, size: usize, words: &str) -> Result<String> {
    let height = (size * picture.height()).div_ceil(picture.width()).clamp(1, 4 * size);
    Ok(format!(
        "<img src=\"{}\" width=\"{size}\" height=\"{height}\" alt=\"{}\">",
        data_uri(picture)?,
        escaped(words)
    ))
}

pub(super) fn data_uri(picture: &Picture) -> Result<String> {
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(picture.png()?)))
}

/// A table; the first column holds names.
pub(super) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |row: Vec<String>| {
        let cells = row.iter().enumerate().map(|(i, cell)| {
            let kind = if i == 0 { "th scope=\"row\"" } else { "td" };
            format!("<{kind}>{}</{}>", escaped(cell), &kind[..2])
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows: String = rows.map(cells).collect();
    if rows.is_empty() {
        return String::new();
    }
    let head: String = head.iter().map(|name| format!("<th scope=\"col\">{}</th>", escaped(name))).collect();
    format!(
        "<div class=\"wide\"><table class=\"figures\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escaped("</script><b>\"&'\u{0}"), "&lt;/script&gt;&lt;b&gt;&quot;&amp;&#39;\u{fffd}");
    }
}
