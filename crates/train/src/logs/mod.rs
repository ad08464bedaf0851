//! Where a run writes its figures: JSON lines, a table, event files for TensorBoard. Each is a [`Logger`](crate::Logger).

mod csv;
mod fit_lines;
mod jsonl;
mod lines;
#[cfg(feature = "tensorboard")]
mod tensorboard;

pub use csv::Csv;
pub(crate) use fit_lines::Metrics;
pub use jsonl::Jsonl;
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;
