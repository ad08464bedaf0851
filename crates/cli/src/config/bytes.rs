//! Amounts of memory, such as `2GB`.

use serde::{Deserialize, Serialize};

/// Units, each with the bytes that it stands for.
const UNITS: [(&str, f64); 8] = [
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("b", 1.0),
    ("", 1.0),
];

/// A number of bytes; in files a number, or a text with a unit: `"500MB"`, `"1.5 GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "u64")]
pub struct Bytes(pub u64);

impl From<Bytes> for u64 {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(toml::Value::String(text.to_owned()))
    }
}

impl TryFrom<toml::Value> for Bytes {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let text = match &value {
            toml::Value::String(text) => text.trim().to_lowercase(),
            other => other.to_string(),
        };
        let bytes = UNITS.iter().find_map(|(unit, size)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            (number * size).is_finite().then_some(number * size)
        });
        match bytes {
            Some(bytes) if (1.0..=1e15).contains(&bytes) => Ok(Self(bytes as u64)),
            _ => Err("an amount of memory, such as \"500MB\" or \"2GB\"".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        let bytes = |text: &str| text.parse::<Bytes>();
        let cases =
            [("2GB", 2_000_000_000), ("1.5 GiB", 1_610_612_736), ("100", 100), ("3 kB", 3000), ("7b", 7)];
        cases.into_iter().for_each(|(text, expected)| assert_eq!(bytes(text), Ok(Bytes(expected)), "{text}"));
        assert_eq!(Bytes::try_from(toml::Value::Integer(64)), Ok(Bytes(64)));
        for text in ["", "GB", "-2GB", "0", "2 TB", "many", "inf", "nan", "1e30 GB"] {
            assert!(bytes(text).unwrap_err().contains("500MB"), "{text}");
        }
    }
}
