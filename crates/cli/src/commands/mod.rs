//! What each word of the command does.

pub(crate) mod devices;
pub(crate) mod eval;
pub(crate) mod inspect;
mod lines;
pub(crate) mod predict;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod train;

use std::path::Path;

use crate::architecture::Architecture;
use crate::config::Config;
use crate::{Error, ModelFile, Result, presets};

/// A model that is named on the command line.
pub(crate) enum Named {
    /// A model file.
    File(Box<ModelFile>),
    /// A preset or a configuration, with what `--set` changes.
    Config(Box<Config>),
}

impl Named {
    /// The file, preset or configuration of this name.
    pub(crate) fn find(name: &str, set: &[String]) -> Result<Self> {
        let path = Path::new(name);
        if path.extension().is_some_and(|ending| ending == "safetensors") {
            if !set.is_empty() {
                return Err(Error::usage(
                    "--set is for presets and configurations: a model file has its sizes",
                ));
            }
            return Ok(Self::File(Box::new(ModelFile::load(path)?)));
        }
        config(name, set).map(|config| Self::Config(Box::new(config)))
    }

    pub(crate) fn architecture(&self) -> Result<Architecture> {
        match self {
            Self::File(file) => Ok(file.architecture.clone()),
            Self::Config(config) => config.architecture(),
        }
    }
}

/// The preset or configuration file of this name, with what `--set` changes.
pub(crate) fn config(name: &str, set: &[String]) -> Result<Config> {
    let path = Path::new(name);
    let mut config = match presets::find(name)? {
        Some(config) => config,
        None if path.extension().is_some_and(|ending| ending == "toml") || path.is_file() => {
            Config::load(path)?
        }
        None => return Err(presets::unknown(name)),
    };
    set.iter().try_for_each(|word| config.set_word(word))?;
    Ok(config)
}

/// A figure in words, of the validation part where there are two: shares in percent.
pub(crate) fn in_words(name: &str, value: f64) -> String {
    let name = name.trim_start_matches("val_");
    let words = name.trim_end_matches("_class1").replace('_', " ");
    if name.ends_with("accuracy") {
        format!("{words} {:.2}%", 100.0 * value)
    } else {
        format!("{words} {value:.4}")
    }
}
