//! Errors of models and their files.

use std::path::PathBuf;

/// Result of a layer, an optimizer or a state dict.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op in a layer failed: its input does not fit.
    #[error("layer {layer}: {source}")]
    Layer {
        /// The layer's dotted name, or its kind where it has none.
        layer: String,
        /// What failed.
        source: wgrad_autograd::Error,
    },
    /// An op outside a layer failed.
    #[error(transparent)]
    Op(#[from] wgrad_autograd::Error),
    /// What failed between the ranks of a run.
    #[error(transparent)]
    Ranks(#[from] wgrad_distributed::Error),
    /// Options that make no sense.
    #[error("{what}: {message}")]
    Options {
        /// The layer or optimizer.
        what: &'static str,
        /// What is wrong with them.
        message: String,
    },
    /// Two parameters of one name.
    #[error("two parameters are named {name}: give each layer a scope of its own")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A parameter that does not fit one buffer. (A model's parameters may take several.)
    #[error("{name} {shape:?} takes more than this adapter's buffers of {limit} bytes: use a smaller layer")]
    ModelTooLarge {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The smaller of max_storage_buffer_binding_size and max_buffer_size.
        limit: u64,
    },
    /// A file that is no safetensors file, or a damaged one.
    #[error("{file}: no usable safetensors file: {message}")]
    Format {
        /// The file, or what stands for it.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// A state dict of another model.
    #[error(
        "{file} does not fit this model:{}{}{}",
        list("missing", missing),
        list("unexpected", unexpected),
        list("mismatched", mismatched)
    )]
    Mismatch {
        /// The file, or what stands for it.
        file: String,
        /// Names the model has and the file lacks.
        missing: Vec<String>,
        /// Names the file has and the model lacks.
        unexpected: Vec<String>,
        /// Names with differing shapes, both given.
        mismatched: Vec<String>,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file that cannot be written. What was there before is untouched.
    #[error("cannot write {}: {source}; the file that was there before is untouched", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl Error {
    /// What failed between the ranks of a run, in a layer too; `None` for all other errors.
    pub fn between_ranks(&self) -> Option<&wgrad_distributed::Error> {
        match self {
            Self::Ranks(error) => Some(error),
            Self::Op(wgrad_autograd::Error::Other { source, .. })
            | Self::Layer { source: wgrad_autograd::Error::Other { source, .. }, .. } => {
                source.downcast_ref()
            }
            _ => None,
        }
    }
}

impl From<wgrad_autograd::device::Error> for Error {
    fn from(error: wgrad_autograd::device::Error) -> Self {
        Self::Op(error.into())
    }
}

/// ` kind: a, b and 3 more;` or nothing.
fn list(kind: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" {kind}: {};", some_of(names)) }
}

/// `a, b and 3 more`.
pub(crate) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}
