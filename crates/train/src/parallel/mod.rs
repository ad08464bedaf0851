//! Data-parallel training: ranks that each take a share of every batch, and make one step together.

mod exchange;
mod gathered_rows;
mod state;

use std::ops::Range;
use std::sync::Arc;

use wgrad_distributed::{Communicator, Solo, Wire, all_gather_bytes, all_reduce_f64};

pub(crate) use exchange::{Exchange, LocalGradients};
pub(crate) use gathered_rows::RowsToGather;

use crate::trainer::Means;
use crate::{Error, Result};

/// How the ranks of a run train one model, for [`Trainer::parallel`](crate::Trainer::parallel). Counterpart: PyTorch's
/// `DistributedDataParallel` with a `DistributedSampler`.
///
/// The batch size is each rank's: with n ranks a step sees n times as many rows, the rows that one rank with n times the batch size
/// would see in that step. Rank 0 takes the first part of them, and so on. What is left at an epoch's end is divided evenly, so that
/// ranks differ by one row at most; fewer rows than ranks are left out of that epoch. The gradient is that of one batch of all these
/// rows: ranks count by their rows, or by what [`Output::counted`](crate::Output::counted) says. **The learning rate is as it was
/// given**: whoever wants it to grow with the number of ranks sets a larger one.
///
/// Ranks begin with the weights of rank 0. Validation is divided among them, and every figure is one of all rows, the same on all ranks.
/// Rank 0 logs, shows progress, and keeps checkpoints.
#[derive(Clone, Debug)]
pub struct DataParallel {
    pub(crate) ranks: Arc<dyn Communicator>,
    pub(crate) wire: Wire,
    pub(crate) bucket_bytes: usize,
    pub(crate) check_every: u64,
    pub(crate) average_every: Option<u64>,
    pub(crate) shards_optimizer: bool,
}

impl DataParallel {
    /// Over these ranks, with gradients as f32 in buckets of 1 MiB, and weights compared at each checkpoint and every 1,000 steps.
    pub fn new(ranks: impl Communicator + 'static) -> Self {
        Self::over(Arc::new(ranks))
    }

    /// As [`DataParallel::new`], of ranks that somebody else uses too.
    pub fn over(ranks: Arc<dyn Communicator>) -> Self {
        Self {
            ranks,
            wire: Wire::F32,
            bucket_bytes: 1 << 20,
            check_every: 1000,
            average_every: None,
            shards_optimizer: false,
        }
    }

    /// Sets the type that gradients have on their way between ranks.
    #[must_use]
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Sets how many bytes of gradients are sent together, at least: while one bucket is under way the backward pass goes on to the
    /// next. Counterpart: `bucket_cap_mb` of `DistributedDataParallel`.
    #[must_use]
    pub fn bucket_bytes(mut self, bytes: usize) -> Self {
        self.bucket_bytes = bytes;
        self
    }

    /// Compares a hash of all weights between ranks every so many steps, besides at checkpoints; 0 means never.
    #[must_use]
    pub fn check_every(mut self, steps: u64) -> Self {
        self.check_every = steps;
        self
    }

    /// Has each rank make its own steps, and takes the average of all ranks' weights and optimizer states every so many of them, at
    /// the end of each epoch and before each checkpoint: local SGD, for slow links. Counterpart: `PeriodicModelAverager`.
    #[must_use]
    pub fn average_every(mut self, steps: u64) -> Self {
        self.average_every = Some(steps);
        self
    }

    /// Has each rank keep the optimizer's state of some of the flat buffers of parameters, step these, and send them to the others: so
    /// a rank holds about an n-th of that state, and sends half as much again. A model is built for it with
    /// [`BuildOptions::flat_bytes`](wgrad_nn::BuildOptions::flat_bytes), so that there are flat buffers to share. Counterpart: `ZeroRedundancyOptimizer`.
    #[must_use]
    pub fn shard_optimizer(mut self, shards: bool) -> Self {
        self.shards_optimizer = shards;
        self
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.ranks.rank()
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.ranks.size()
    }

    /// A run of one rank.
    pub(crate) fn solo() -> Self {
        Self::new(Solo)
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// Whether this rank speaks for all.
    pub(crate) fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether gradients are added up over ranks in each step.
    pub(crate) fn adds_gradients(&self) -> bool {
        !self.is_alone() && self.average_every.is_none()
    }

    /// This rank's share of so many rows.
    pub(crate) fn share(&self, rows: usize) -> Range<usize> {
        let (rank, size) = (self.rank(), self.size());
        rows * rank / size..rows * (rank + 1) / size
    }

    /// Fails for options that make no sense.
    pub(crate) fn check(&self) -> Result<()> {
        if self.average_every == Some(0) {
            return Err(Error::Usage("weights averaged every 0 steps: at least 1".to_owned()));
        }
        if self.average_every.is_some() && self.wire != Wire::F32 {
            let message = "averages are sent as f32: f16 is for gradients that are added up in each step";
            return Err(Error::Usage(message.to_owned()));
        }
        if self.average_every.is_some() && self.shards_optimizer {
            let message = "ranks that make steps of their own need an optimizer's state of their own: average or shard, not both";
            return Err(Error::Usage(message.to_owned()));
        }
        Ok(())
    }

    /// The number of batches, on each rank, of an epoch over so many rows: what is left at the end is one where each rank gets a row of it,
    /// unless it is dropped.
    pub fn batches(&self, rows: usize, batch_size: usize, drop_last: bool) -> usize {
        self.epoch_rows(rows, batch_size, drop_last).div_ceil(self.rows_at_once(batch_size))
    }

    /// The rows that an epoch takes of so many.
    pub(crate) fn epoch_rows(&self, rows: usize, batch_size: usize, drop_last: bool) -> usize {
        let left = rows % self.rows_at_once(batch_size);
        // Each rank takes a row at least.
        if drop_last || left < self.size() { rows - left } else { rows }
    }

    fn rows_at_once(&self, batch_size: usize) -> usize {
        batch_size.saturating_mul(self.size()).max(1)
    }

    /// What must be equal for a run to continue another, in words; nothing of a single rank.
    pub(crate) fn describe(&self) -> Option<String> {
        let mut text = format!("{} ranks", self.size());
        if let Some(steps) = self.average_every {
            text += &format!(" averaged every {steps} steps");
        } else if self.wire == Wire::F16 {
            text += " with f16 gradients";
        }
        (!self.is_alone()).then_some(text)
    }

    /// The options that decide which calls ranks make together, in words.
    pub(crate) fn exchange_options(&self) -> String {
        let Self { bucket_bytes, check_every, shards_optimizer, .. } = self;
        format!("buckets of {bucket_bytes}, checks every {check_every}, shards {shards_optimizer}")
    }

    /// The losses of all ranks from those of each.
    pub(crate) fn all_means(&self, own: Means) -> Result<Means> {
        if self.is_alone() {
            return Ok(own);
        }
        let mut all = Means::default();
        for text in all_gather_bytes(&*self.ranks, own.to_text().as_bytes())? {
            let means = std::str::from_utf8(&text).ok().and_then(Means::from_text).unwrap_or_default();
            means.for_each(|name, sum, weight| all.add_sum(name, sum, weight));
        }
        Ok(all)
    }

    /// Whether it is so on any rank.
    pub(crate) fn any(&self, own: bool) -> Result<bool> {
        Ok(self.sums([f64::from(u8::from(own))])? != [0.0])
    }

    /// The sums of numbers over ranks.
    pub(crate) fn sums<const N: usize>(&self, mut own: [f64; N]) -> Result<[f64; N]> {
        all_reduce_f64(&*self.ranks, &mut own)?;
        Ok(own)
    }
}
