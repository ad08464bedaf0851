//! Presets: configurations by name.

use crate::config::Config;
use crate::output::suggestion;
use crate::{Error, Result};

/// Name and text of each preset. A text's first line says what it is.
pub const ALL: &[(&str, &str)] = &[
    ("two-features", include_str!("two-features.toml")),
    ("xor", include_str!("xor.toml")),
    ("logistic", include_str!("logistic.toml")),
    ("dense", include_str!("dense.toml")),
    ("line", include_str!("line.toml")),
    ("mlp", include_str!("mlp.toml")),
    ("cnn", include_str!("cnn.toml")),
    ("resnet9", include_str!("resnet9.toml")),
];

/// What a preset is, in a line.
pub fn about(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
}

/// The configuration of this name; `None` if it is none of a preset.
///
/// # Errors
/// [`Error::Usage`] for a preset that is no configuration, which a test excludes.
pub fn find(name: &str) -> Result<Option<Config>> {
    let preset = ALL.iter().find(|(known, _)| *known == name);
    let parsed = preset.map(|(_, text)| Config::parse(text)).transpose();
    parsed.map_err(|message| Error::usage(format!("preset {name}: {message}")))
}

/// The error of a name that is no preset's.
pub(crate) fn unknown(name: &str) -> Error {
    let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    Error::usage(format!("there is no preset and no file {name}: {}", suggestion(name, &names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_configuration_of_a_model_that_can_be_built() {
        for (name, text) in ALL {
            let config = find(name).unwrap().unwrap();
            config.architecture().unwrap().check().unwrap();
            assert!(about(text).len() > 20, "{name}");
        }
        assert_eq!(find("nonsense").unwrap(), None);
        assert!(unknown("resnet").to_string().contains("did you mean resnet9?"));
    }
}
