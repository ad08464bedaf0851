//! What the ranks of a data-parallel run say to each other: [`Communicator`], and its ends. [`Solo`] is a single rank,
//! [`Threads`] are the ranks of one process, and `Mpi`, behind the feature `mpi`, are processes that `mpirun` has started;
//! [`world`] chooses among the first and the last.
//!
//! It knows bytes and numbers, and nothing of tensors: whoever calls it has read them from the device.
#![forbid(unsafe_code)]

mod communicator;
mod error;
#[cfg(feature = "mpi")]
mod executable;
mod launch;
#[cfg(feature = "mpi")]
mod mpi;
mod solo;
mod start;
mod sum;
mod threads;
mod wire;

pub use communicator::Communicator;
pub use error::{Error, Result};
pub use launch::{fail, launched, world};
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, MpiSettings};
pub use solo::Solo;
pub use start::same_everywhere;
pub use sum::{agree, all_gather_bytes, all_reduce, all_reduce_f64, broadcast_bytes};
pub use threads::{Thread, Threads};
pub use wire::Wire;
