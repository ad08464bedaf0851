//! Where a run writes its figures: JSON lines, a table, event files for TensorBoard. Each is a [`Logger`](crate::Logger).

mod csv;
mod jsonl;
mod lines;
mod metrics_file;
#[cfg(feature = "tensorboard")]
mod tensorboard;

pub use csv::Csv;
pub use jsonl::Jsonl;
pub(crate) use metrics_file::MetricsFile;
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;
