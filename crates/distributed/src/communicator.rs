//! [`Communicator`]: the calls that all ranks of a run make together.

use std::fmt;

use crate::{Error, Result};

/// The ranks of a run, as one of them sees them. Counterpart: a process group of `torch.distributed`.
///
/// Each method but [`Communicator::rank`], [`Communicator::size`], [`Communicator::local`] and [`Communicator::abort`] is
/// collective: it returns when all ranks have called it, so every rank makes the same calls in the same order, whatever its own
/// data are. Where a rank is lost, the others get an error, or their processes end.
pub trait Communicator: Send + Sync + fmt::Debug {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks, at least 1.
    fn size(&self) -> usize;

    /// This rank's place among the ranks of its machine, from 0, and their number: for choosing a device.
    fn local(&self) -> (usize, usize);

    /// Sends the `r`-th of `size` equal parts of `send` to rank `r`, and gets from rank `r` the `r`-th part of `receive`, which is
    /// as long as `send`. Counterpart: `torch.distributed.all_to_all_single`.
    ///
    /// # Errors
    /// [`Error::Usage`] for other lengths, [`Error::Gone`].
    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<()>;

    /// Gets what each rank sends, all of one length, in the order of ranks: `receive` is `size` times as long as `send`.
    /// Counterpart: `torch.distributed.all_gather_into_tensor`.
    ///
    /// # Errors
    /// [`Error::Usage`] for other lengths, [`Error::Gone`].
    fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<()>;

    /// Overwrites `bytes` by those of rank `root`; they are equally long everywhere. Counterpart: `torch.distributed.broadcast`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a rank that there is not, [`Error::Gone`].
    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<()>;

    /// Waits until all ranks are here. Counterpart: `torch.distributed.barrier`.
    ///
    /// # Errors
    /// [`Error::Gone`].
    fn barrier(&self) -> Result<()> {
        self.all_gather(&[], &mut [])
    }

    /// Says that this rank is at its end because of `why`, so that all others end soon. Where ranks are processes, all of them end
    /// here, with exit code `code`; the caller has printed what is to be printed. Where they are threads, the others get
    /// [`Error::Gone`], and this returns.
    fn abort(&self, why: &str, code: i32);
}

/// Fails unless these are the lengths that [`Communicator::all_to_all`] takes.
pub(crate) fn check_parts(size: usize, send: usize, receive: usize) -> Result<()> {
    if send == receive && send.is_multiple_of(size) {
        return Ok(());
    }
    let message = format!("all_to_all of {send} and {receive} bytes: both are {size} equal parts");
    Err(Error::Usage(message))
}

/// Fails unless these are the lengths that [`Communicator::all_gather`] takes.
pub(crate) fn check_gathered(size: usize, send: usize, receive: usize) -> Result<()> {
    if send * size == receive {
        return Ok(());
    }
    let message = format!("all_gather of {send} bytes from each of {size} ranks into {receive}");
    Err(Error::Usage(message))
}

/// Fails for a root that there is not.
pub(crate) fn check_root(size: usize, root: usize) -> Result<()> {
    if root < size {
        return Ok(());
    }
    Err(Error::Usage(format!("a broadcast from rank {root} of {size}: the first rank is 0")))
}
