//! Errors of a training run, and the exit codes of programs that end with one.

use std::path::PathBuf;

/// Result of a part of a training run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a training run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Options that make no sense.
    #[error("{0}")]
    Usage(String),
    /// The model, its optimizer or its files.
    #[error(transparent)]
    Model(#[from] wgrad_nn::Error),
    /// A model that does not take the last batch of an epoch, which is shorter than the others: batch norm needs more than
    /// one sample.
    #[error(
        "{source}; this is the last batch of epoch {epoch}, with {rows} of {epoch_rows} rows: take another batch size than \
         {batch_size}, or leave these rows out (drop_last)"
    )]
    LastBatch {
        /// Counted from 1.
        epoch: usize,
        /// Rows of the batch.
        rows: usize,
        /// Rows of the others.
        batch_size: usize,
        /// Rows of an epoch.
        epoch_rows: usize,
        /// What the model has against it.
        source: Box<wgrad_nn::Error>,
    },
    /// Another rank of a data-parallel run, or what ranks do not agree on.
    #[error(transparent)]
    Ranks(#[from] wgrad_distributed::Error),
    /// The data set.
    #[error(transparent)]
    Data(#[from] wgrad_data::Error),
    /// The metrics file.
    #[error("cannot write the metrics file {}: {source}", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A checkpoint that does not belong to this run.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        message: String,
    },
    /// A loss that is NaN or infinite.
    #[error("step {step}: the loss is {loss}; training stopped, try a smaller learning rate{kept}")]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// Its loss.
        loss: f32,
        /// What happened to the checkpoint, beginning with a separator.
        kept: String,
    },
    /// A weight or optimizer value that is NaN or infinite, where the losses so far did not show it.
    #[error(
        "step {step}: a weight is NaN or infinite after it; training stopped, try a smaller learning rate{kept}"
    )]
    WeightNotFinite {
        /// The last step made, counted from 1.
        step: u64,
        /// What happened to the checkpoint, beginning with a separator.
        kept: String,
    },
    /// A gradient whose norm is NaN or infinite.
    #[error(
        "step {step}: the norm of the gradient is {norm}; training stopped, try a smaller learning rate, or skip such \
         steps{kept}"
    )]
    GradientNotFinite {
        /// The step, counted from 1.
        step: u64,
        /// The norm.
        norm: f32,
        /// What happened to the checkpoint, beginning with a separator.
        kept: String,
    },
    /// What a closure, a metric, a callback or a logger of your own met.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl From<wgrad_autograd::Error> for Error {
    fn from(error: wgrad_autograd::Error) -> Self {
        Self::Model(error.into())
    }
}

impl From<wgrad_autograd::device::Error> for Error {
    fn from(error: wgrad_autograd::device::Error) -> Self {
        Self::Model(error.into())
    }
}

impl Error {
    /// The exit code for a program that ends with this error: 2 for usage, 3 for data and files, 4 for the GPU and
    /// its limits, 1 for all else.
    pub fn exit_code(&self) -> u8 {
        use wgrad_autograd::Error as Op;
        use wgrad_distributed::Error as Ranks;
        use wgrad_nn::Error as Model;
        match self {
            Self::Usage(_) | Self::Model(Model::Options { .. }) => 2,
            Self::Ranks(Ranks::Differs { .. } | Ranks::NoMpi { .. } | Ranks::Usage(_)) => 2,
            Self::Model(
                Model::Format { .. } | Model::Mismatch { .. } | Model::Read { .. } | Model::Write { .. },
            ) => 3,
            Self::Model(Model::ModelTooLarge { .. }) => 4,
            Self::Model(Model::Op(op) | Model::Layer { source: op, .. })
            | Self::Data(wgrad_data::Error::Tensor(op)) => match op {
                Op::Device(_) | Op::TooLarge { .. } => 4,
                _ => 1,
            },
            Self::Data(_) | Self::Metrics { .. } | Self::Checkpoint { .. } => 3,
            _ => 1,
        }
    }
}
