//! [`Solo`]: a single rank.

use crate::communicator::{check_gathered, check_parts, check_root};
use crate::{Communicator, Result};

/// The only rank of a run: nothing is sent, and nothing waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solo;

impl Communicator for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local(&self) -> (usize, usize) {
        (0, 1)
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<()> {
        check_parts(1, send.len(), receive.len())?;
        receive.copy_from_slice(send);
        Ok(())
    }

    fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<()> {
        check_gathered(1, send.len(), receive.len())?;
        receive.copy_from_slice(send);
        Ok(())
    }

    fn broadcast(&self, _bytes: &mut [u8], root: usize) -> Result<()> {
        check_root(1, root)
    }

    fn abort(&self, _why: &str, _code: i32) {}
}
