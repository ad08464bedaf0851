//! Configurations from files, presets and `--set`, and back to a file.

use std::path::Path;

use toml::{Table, Value};

use super::Config;
use crate::output::nearest;
use crate::{Error, Result};

/// The keys of a configuration, with a line about each.
pub const KEYS: &[(&str, &str)] = Config::ALL;

/// Files larger than this are none.
const MAX_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or is no TOML, and for keys and values that are none, with the line.
    pub fn load(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| Error::file(path, format!("cannot be read: {error}"));
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MAX_BYTES {
            return Err(Error::file(
                path,
                format!("{length} bytes: a configuration has at most {MAX_BYTES}"),
            ));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Self::parse(&text).map_err(|message| Error::file(path, message))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            format!("{}no TOML: {message}", line_of(text, error.span().map(|span| span.start)))
        })?;
        let mut config = Self::default();
        for (key, value) in table {
            let place = text.lines().position(|line| line.split('=').next().is_some_and(|k| k.trim() == key));
            let place = place.map_or_else(String::new, |line| format!("line {}: ", line + 1));
            config.set(&key, value).map_err(|message| format!("{place}{message}"))?;
        }
        Ok(config)
    }

    /// Sets a key.
    ///
    /// # Errors
    /// What is wrong: the value, or the key, with the one that is most like it.
    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let shown = value.to_string();
        match self.put(key, value) {
            Ok(true) => Ok(()),
            Ok(false) => Err(match nearest(key, KEYS.iter().map(|(key, _)| *key)) {
                Some(known) => format!("there is no key {key}: did you mean {known}?"),
                None => format!("there is no key {key}: `wgrad train --help` lists them"),
            }),
            Err(message) => Err(format!("{key} = {shown}: {message}")),
        }
    }

    /// Sets a key to what `key=value` says. A value that is no TOML stands for itself, as text.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn set_word(&mut self, word: &str) -> Result<()> {
        let Some((key, value)) = word.split_once('=') else {
            return Err(Error::usage(format!("--set {word}: write key=value, such as lr=0.01")));
        };
        let parsed = format!("value = {value}").parse::<Table>().ok();
        // A line break in the value could smuggle in a second key.
        let parsed = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
        let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
        self.set(key.trim(), value).map_err(|message| Error::usage(format!("--set {word}: {message}")))
    }

    /// The text of a file that [`Config::parse`] reads as this configuration.
    pub fn to_toml(&self) -> String {
        let about = |key| KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, about)| about.trim());
        let lines =
            self.entries().into_iter().map(|(key, value)| format!("# {}\n{key} = {value}\n", about(key)));
        lines.collect()
    }
}

/// `line 3: `, where the byte lies.
fn line_of(text: &str, byte: Option<usize>) -> String {
    let before = byte.and_then(|byte| text.as_bytes().get(..byte));
    let line = before.map(|before| before.iter().filter(|&&byte| byte == b'\n').count() + 1);
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_goes_to_text_and_back() {
        let mut config = Config::default();
        for word in
            ["hidden=[8,4]", "lr=1", "activation=tanh", "data=some folder", "size=[8, 9]", "metrics=[\"f1\"]"]
        {
            config.set_word(word).unwrap();
        }
        assert_eq!(config.hidden, Some(vec![8, 4]));
        assert_eq!(config.lr, Some(1.0));
        assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
        assert_eq!(config.to_toml().lines().count(), 12);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_the_nearest_key() {
        let error = |text| Config::parse(text).unwrap_err();
        assert_eq!(error("lr = 0.1\nepoch = 3\n"), "line 2: there is no key epoch: did you mean epochs?");
        assert!(error("zzzzzzzzzzz = 3\n").contains("`wgrad train --help` lists them"));
        assert!(
            error("lr = 0.1\nhidden = [1,\n").starts_with("line 2: no TOML: "),
            "{}",
            error("lr = 0.1\nhidden = [1,\n")
        );
        let wrong = error("epochs = \"many\"\n");
        assert!(wrong.starts_with("line 1: epochs = \"many\": ") && !wrong.contains('\n'), "{wrong}");
        assert!(error("epochs = -1").contains("epochs = -1"));
        assert!(error("model = \"transformer\"").contains("resnet9"));
        let mut config = Config::default();
        assert!(config.set_word("lr").unwrap_err().to_string().contains("key=value"));
        assert!(config.set_word("lr=fast").unwrap_err().to_string().contains("--set lr=fast: lr = \"fast\""));
    }
}
