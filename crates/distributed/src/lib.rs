//! What the ranks of a data-parallel run say to each other: [`Communicator`], and its ends. [`Solo`] is a single rank,
//! [`Threads`] are the ranks of one process.
//!
//! It knows bytes and numbers, and nothing of tensors: whoever calls it has read them from the device.

mod communicator;
mod error;
mod solo;
mod sum;
mod threads;
mod wire;

pub use communicator::Communicator;
pub use error::{Error, Result};
pub use solo::Solo;
pub use sum::{agree, all_gather_bytes, all_reduce, all_reduce_f64, broadcast_bytes};
pub use threads::{Thread, Threads};
pub use wire::Wire;
