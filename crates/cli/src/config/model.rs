//! From a configuration to the architecture that it describes.

use super::{Config, Kind};
use crate::architecture::{ActivationName, Architecture};
use crate::{Error, Result};

impl Config {
    /// The architecture, of which the configuration has every size.
    ///
    /// # Errors
    /// [`Error::Usage`] for a key that is missing, one of another kind of model, or sizes that make no model.
    pub fn architecture(&self) -> Result<Architecture> {
        let Some(kind) = self.model else {
            return Err(Error::usage("the configuration has no model: one of linear, mlp, cnn, resnet9"));
        };
        self.check_keys(kind)?;
        let output_activation = self.output_activation.unwrap_or_default();
        let architecture = match kind {
            Kind::Linear => Architecture::Linear {
                inputs: needed(kind, "inputs", self.inputs)?,
                outputs: needed(kind, "outputs", self.outputs)?,
                output_activation,
            },
            Kind::Mlp => Architecture::Mlp {
                inputs: needed(kind, "inputs", self.inputs)?,
                hidden: needed(kind, "hidden", self.hidden.clone())?,
                outputs: needed(kind, "outputs", self.outputs)?,
                activation: self.activation.unwrap_or(ActivationName::Relu),
                output_activation,
            },
            Kind::Cnn => Architecture::Cnn {
                channels: needed(kind, "channels", self.channels)?,
                size: needed(kind, "size", self.size)?,
                widths: needed(kind, "widths", self.widths.clone())?,
                classes: needed(kind, "outputs", self.outputs)?,
            },
            Kind::Resnet9 => Architecture::Resnet9 {
                channels: needed(kind, "channels", self.channels)?,
                size: needed(kind, "size", self.size)?,
                width: needed(kind, "width", self.width)?,
                classes: needed(kind, "outputs", self.outputs)?,
            },
        };
        architecture
            .check()
            .map_err(|message| Error::usage(format!("model {}: {message}", architecture.kind())))?;
        Ok(architecture)
    }

    /// A key that the kind of model has no use for is a mistake.
    fn check_keys(&self, kind: Kind) -> Result<()> {
        let mut used: Vec<&str> = match kind {
            Kind::Linear => vec!["inputs", "output_activation"],
            Kind::Mlp => vec!["inputs", "hidden", "activation", "output_activation"],
            Kind::Cnn => vec!["channels", "size", "widths"],
            Kind::Resnet9 => vec!["channels", "size", "width"],
        };
        if self.data.is_some() && self.target.is_none() {
            // Images of files are brought to a size, whatever kind of model takes them.
            used.extend(["channels", "size"]);
        }
        let all =
            ["inputs", "hidden", "activation", "output_activation", "channels", "size", "widths", "width"];
        let set = self.entries();
        match set.iter().find(|(key, _)| all.contains(key) && !used.contains(key)) {
            Some((key, _)) => {
                let message =
                    format!("{key} is no key of model {}: it takes {}", kind.word(), used.join(", "));
                Err(Error::usage(message))
            }
            None => Ok(()),
        }
    }
}

fn needed<T>(kind: Kind, key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| {
        Error::usage(format!("model {} lacks the key {key}: set it, for example by --set", kind.word()))
    })
}
