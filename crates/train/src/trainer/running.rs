//! Batch norm's running values, computed anew for weights that were never trained with.

use wgrad_autograd::{Tensor, no_grad};
use wgrad_data::{Batches, Order};
use wgrad_nn::{Entry, Mode, Parameters};

use super::weights::{Weights, copy, write};
use crate::{Output, Result};

/// Whether an entry is a running estimate of batch norm.
fn is_running(entry: &Entry) -> bool {
    ["running_mean", "running_var"].contains(&entry.name.rsplit('.').next().unwrap_or_default())
}

/// Sets each running estimate to the average of the batches' statistics over the first `all` rows of `set`, and leaves other buffers
/// as they are. Counterpart: `torch.optim.swa_utils.update_bn`, which weighs batches alike.
///
/// A forward pass moves an estimate from `r` to `(1 - m) r + m s`, where `s` is the batch's statistic and `m` the layer's momentum.
/// From `r = 0` that is `m s`; the same batch from `r = 1` gives `1 - m` more. So no layer has to be asked.
pub(crate) fn recompute<B>(
    parameters: &Parameters,
    set: &dyn Batches<Batch = B>,
    [all, batch_size]: [usize; 2],
    forward: &mut dyn FnMut(&B, Mode) -> Result<Output>,
) -> Result<()> {
    if !parameters.buffers().iter().any(is_running) {
        return Ok(());
    }
    let (before, draws) = (Weights::of(parameters)?, parameters.draws());
    let result = sums(parameters, set, [all, batch_size], forward);
    parameters.set_draws(draws);
    before.restore_buffers()?;
    let (sums, rest) = result?;
    let total = all as f32;
    for (i, flat) in parameters.buffer_flats().iter().enumerate() {
        let (mut values, sums, rest) = (flat.to_vec()?, sums[i].to_vec()?, rest[i].to_vec()?);
        for place in places(parameters, i) {
            let momentum = 1.0 - rest[place];
            // A layer whose estimates do not move keeps them.
            if momentum > 0.0 {
                values[place] = sums[place] / (total * momentum);
            }
        }
        flat.gpu().write(&flat.bind(), &values)?;
    }
    Ok(())
}

/// The places of running estimates in a flat buffer.
fn places(parameters: &Parameters, flat: usize) -> impl Iterator<Item = usize> {
    let entries = parameters.buffers().iter().filter(move |entry| entry.flat == flat && is_running(entry));
    entries.flat_map(|entry| entry.offset..entry.offset + entry.tensor.numel())
}

/// All buffers with `value` for running estimates.
fn with_estimates(parameters: &Parameters, value: f32) -> Result<Vec<Tensor>> {
    let changed = |(i, flat): (usize, &Tensor)| {
        let mut values = flat.to_vec()?;
        places(parameters, i).for_each(|place| values[place] = value);
        Ok(Tensor::from_slice(flat.gpu(), &values, flat.shape())?)
    };
    parameters.buffer_flats().iter().enumerate().map(changed).collect()
}

/// For each flat buffer: the sum over rows of `m s`, and `1 - m`.
fn sums<B>(
    parameters: &Parameters,
    set: &dyn Batches<Batch = B>,
    [all, batch_size]: [usize; 2],
    forward: &mut dyn FnMut(&B, Mode) -> Result<Output>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let flats = parameters.buffer_flats();
    let (zeros, ones) = (with_estimates(parameters, 0.0)?, with_estimates(parameters, 1.0)?);
    let mut pass = |start: usize, rows: usize, first: &[Tensor]| -> Result<Vec<Tensor>> {
        first.iter().zip(flats).try_for_each(|(first, flat)| write(first, flat))?;
        let batch = set.batch(start, rows)?;
        no_grad(|| forward(&batch, Mode::Train))?;
        let moved = flats.iter().map(copy).collect::<Result<_>>()?;
        parameters.gpu().submit()?;
        Ok(moved)
    };
    set.set_order(Order::Own)?;
    let rows = batch_size.min(all);
    let (one, zero) = (pass(0, rows, &ones)?, pass(0, rows, &zeros)?);
    let rest = one.iter().zip(&zero).map(|(one, zero)| one.sub(zero)).collect::<Result<_, _>>()?;
    let scaled = |moved: &[Tensor], rows: usize| -> Result<Vec<Tensor>> {
        Ok(moved.iter().map(|moved| moved.mul_add_scalar(rows as f32, 0.0)).collect::<Result<_, _>>()?)
    };
    let (mut sums, mut start) = (scaled(&zero, rows)?, rows);
    while start < all {
        let rows = batch_size.min(all - start);
        let more = scaled(&pass(start, rows, &zeros)?, rows)?;
        sums = sums.iter().zip(&more).map(|(sum, more)| sum.add(more)).collect::<Result<_, _>>()?;
        start += rows;
    }
    Ok((sums, rest))
}
