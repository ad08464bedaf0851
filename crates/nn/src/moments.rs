//! Mean and variance of channels over the batches of all ranks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wgrad_autograd::{Error, Op, Result, Tensor};
use wgrad_distributed::Communicator;

use crate::parameters::Void;

const OP: &str = "synchronized batch_norm2d";

/// Mean and biased variance of each channel of `x`, `[n, c, h, w]` of f32, over all ranks, each `[c]`, and the number of values of a
/// channel over all ranks. Each rank counts as much as it has values; it may have none. Collective, and so is its gradient, to which a
/// rank whose pass is `void` adds zeros.
pub(crate) fn over_ranks(
    x: &Tensor,
    ranks: &Arc<dyn Communicator>,
    void: &Void,
) -> Result<([Tensor; 2], u64)> {
    let &[n, c, h, w] = x.shape() else {
        let message = format!("input {:?}; expected [n, channels, height, width]", x.shape());
        return Err(Error::shape(OP, message));
    };
    let axes = [0, 2, 3];
    let count = (n * h * w) as u64;
    let own = match count {
        // What counts nothing is still a number.
        0 => [x.sum(&axes)?, x.sum(&axes)?],
        _ => [x.mean(&axes)?, x.var(&axes, 0)?],
    };
    let own = Tensor::stack(&[&own[0], &own[1]], 0)?;
    let all = gather(ranks.as_ref(), count, &read(&own)?)?;
    let total: u64 = all.iter().map(|(count, _)| count).sum();
    if total < 2 {
        let message = format!(
            "input {:?}: all ranks together have {} a channel, whose variance says nothing: in training a batch needs more than \
             one sample",
            x.shape(),
            if total == 0 { "no value" } else { "one value" }
        );
        return Err(Error::shape(OP, message));
    }
    let merged = merge(&all, total, c);
    let shifts = (0..c).map(|i| f64::from(all[ranks.rank()].1[i]) - merged[i]).collect();
    let share = count as f64 / total as f64;
    let values: Vec<f32> = merged.iter().map(|&value| value as f32).collect();
    let both = Tensor::from_slice(x.gpu(), &values, &[2, c])?;
    let (ranks, void) = (Arc::clone(ranks), Arc::clone(void));
    let both = both.with_op(&[&own], || Merge { ranks, void, shifts, share });
    let part = |row: usize| both.narrow(0, row, 1)?.squeeze(0)?.contiguous();
    Ok(([part(0)?, part(1)?], total))
}

/// Means, then variances, of all ranks' values together, by Chan's formula.
fn merge(all: &[(u64, Vec<f32>)], total: u64, c: usize) -> Vec<f64> {
    let mut merged = vec![0.0; 2 * c];
    let (means, vars) = merged.split_at_mut(c);
    let shares = || all.iter().map(|(count, own)| (*count as f64 / total as f64, own));
    for (share, own) in shares() {
        means.iter_mut().zip(own).for_each(|(mean, own)| *mean += share * f64::from(*own));
    }
    for (share, own) in shares() {
        for (i, var) in vars.iter_mut().enumerate() {
            *var += share * (f64::from(own[c + i]) + (f64::from(own[i]) - means[i]).powi(2));
        }
    }
    merged
}

/// The moments of all ranks from each rank's own, `[2, c]` both.
struct Merge {
    ranks: Arc<dyn Communicator>,
    void: Void,
    /// How far this rank's means lie from those of all.
    shifts: Vec<f64>,
    /// This rank's share of the values.
    share: f64,
}

impl Op for Merge {
    fn name(&self) -> &'static str {
        OP
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let c = self.shifts.len();
        let mut sums = vec![0.0; 2 * c];
        let own = if self.void.load(Ordering::Relaxed) { vec![0.0; 2 * c] } else { read(dy)? };
        for (_, part) in gather(self.ranks.as_ref(), 0, &own)? {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(part));
        }
        // The mean is Σ share · own mean, the variance Σ share · (own variance + shift²).
        let (dmeans, dvars) = sums.split_at(c);
        let of_means = self.shifts.iter().zip(dmeans).zip(dvars);
        let of_means = of_means.map(|((shift, dmean), dvar)| dmean + 2.0 * shift * dvar);
        let own: Vec<f32> =
            of_means.chain(dvars.iter().copied()).map(|value| (self.share * value) as f32).collect();
        Ok(vec![Some(Tensor::from_slice(dy.gpu(), &own, &[2, c])?)])
    }
}

/// A number and the values of `own` from each rank, in their order.
fn gather(ranks: &dyn Communicator, number: u64, own: &[f32]) -> Result<Vec<(u64, Vec<f32>)>> {
    let mut send = number.to_ne_bytes().to_vec();
    send.extend_from_slice(bytemuck::cast_slice(own));
    let mut all = vec![0; ranks.size() * send.len()];
    ranks.all_gather(&send, &mut all).map_err(|source| Error::Other { op: OP, source: Arc::new(source) })?;
    let part = |part: &[u8]| {
        let (number, values) = part.split_first_chunk()?;
        Some((u64::from_ne_bytes(*number), bytemuck::pod_collect_to_vec(values)))
    };
    Ok(all.chunks_exact(send.len()).filter_map(part).collect())
}

#[cfg(not(target_arch = "wasm32"))]
fn read(x: &Tensor) -> Result<Vec<f32>> {
    x.to_vec()
}

/// Nothing waits for the device in a browser.
#[cfg(target_arch = "wasm32")]
fn read(_: &Tensor) -> Result<Vec<f32>> {
    let advice = "build the model without the option synchronized";
    Err(Error::Unsupported { op: OP, feature: "reads that block", advice })
}
