//! Patterns of dotted names.

use crate::{Error, Result};

/// Whether `name` is like `pattern`, where `*` stands for any characters, dots included.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

/// Fails for a pattern that none of `names` is like: most likely a typo.
pub(crate) fn check<'a>(
    what: &'static str,
    pattern: &str,
    mut names: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    if names.clone().any(|name| matches(pattern, name)) {
        return Ok(());
    }
    let known = names.next().map_or_else(String::new, |name| format!("; a name here is {name}"));
    Err(Error::Options {
        what,
        message: format!("no name is like {pattern}, where * stands for anything{known}"),
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, like) in [
            ("fc.*", "fc.weight", true),
            ("fc.*", "fc2.weight", false),
            ("*", "", true),
            ("*.bias", "layer4.0.bias", true),
            ("*.bias", "layer4.0.bias.x", false),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("layer*.*.conv?.weight", "layer1.0.conv1.weight", false),
            ("**", "x", true),
            ("fc.bias", "fc.bias", true),
            ("fc.bias", "fc.bias2", false),
        ] {
            assert_eq!(matches(pattern, name), like, "{pattern} and {name}");
        }
    }
}
