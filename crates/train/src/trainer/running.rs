//! Batch norm's running values, computed anew for weights that were never trained with.

use wgrad_autograd::{Tensor, no_grad};
use wgrad_data::{Batches, Order};
use wgrad_nn::{Entry, Mode, Parameters};

use super::weights::{Buffers, copy, write};
use crate::{Output, Result};

/// Whether an entry is a running estimate of batch norm.
fn is_running(entry: &Entry) -> bool {
    ["running_mean", "running_var"].contains(&entry.name.rsplit('.').next().unwrap_or_default())
}

/// Sets each running estimate to the average of the batches' statistics over the first `all` rows of `set`, and leaves other buffers
/// as they are. Counterpart: `torch.optim.swa_utils.update_bn`, which weighs batches alike.
///
/// A forward pass moves an estimate from `r` to `(1 - m) r + m s`, where `s` is the batch's statistic and `m` the layer's momentum.
/// From `r = 0` that is `m s`; the same batch from another `r` gives `(1 - m) r` more. So no layer has to be asked. That `r` is 1, or
/// `m s` where this is larger: a small difference of large numbers would say nothing about `m`.
pub(crate) fn recompute<B>(
    parameters: &Parameters,
    set: &dyn Batches<Batch = B>,
    [all, batch_size]: [usize; 2],
    forward: &mut dyn FnMut(&B, Mode) -> Result<Output>,
) -> Result<()> {
    if !parameters.buffers().iter().any(is_running) {
        return Ok(());
    }
    let (before, draws) = (Buffers::of(parameters)?, parameters.draws());
    let result = sums(parameters, set, [all, batch_size], forward);
    parameters.set_draws(draws);
    before.restore()?;
    let (sums, rest) = result?;
    let total = all as f32;
    for (i, flat) in parameters.buffer_flats().iter().enumerate() {
        let (mut values, sums) = (flat.to_vec()?, sums[i].to_vec()?);
        for place in places(parameters, i) {
            let momentum = 1.0 - rest[i][place];
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

/// All buffers with what `value` gives for a flat buffer and a place in it for running estimates.
fn with_estimates(parameters: &Parameters, value: impl Fn(usize, usize) -> f32) -> Result<Vec<Tensor>> {
    let changed = |(i, flat): (usize, &Tensor)| {
        let mut values = flat.to_vec()?;
        places(parameters, i).for_each(|place| values[place] = value(i, place));
        Ok(Tensor::from_slice(flat.gpu(), &values, flat.shape())?)
    };
    parameters.buffer_flats().iter().enumerate().map(changed).collect()
}

/// For each flat buffer: the sum over rows of `m s`, and `1 - m` at the places of running estimates.
fn sums<B>(
    parameters: &Parameters,
    set: &dyn Batches<Batch = B>,
    [all, batch_size]: [usize; 2],
    forward: &mut dyn FnMut(&B, Mode) -> Result<Output>,
) -> Result<(Vec<Tensor>, Vec<Vec<f32>>)> {
    let flats = parameters.buffer_flats();
    let zeros = with_estimates(parameters, |_, _| 0.0)?;
    let mut pass = |start: usize, rows: usize, first: &[Tensor]| -> Result<Vec<Tensor>> {
        first.iter().zip(flats).try_for_each(|(first, flat)| write(first, flat))?;
        let batch = set.batch(start, rows)?;
        no_grad(|| forward(&batch, Mode::Train))?;
        let moved = flats.iter().map(copy).collect::<Result<_>>()?;
        parameters.gpu().submit()?;
        Ok(moved)
    };
    set.set_order(Order::Own)?;
    // Batch norm may refuse a row by itself, as the last one would be.
    let rows_at = |start: usize| {
        let left = all - start;
        if left == batch_size.saturating_add(1) { left } else { batch_size.min(left) }
    };
    let (rows, draws) = (rows_at(0), parameters.draws());
    let zero = pass(0, rows, &zeros)?;
    let moved: Vec<Vec<f32>> = zero.iter().map(Tensor::to_vec).collect::<Result<_, _>>()?;
    let from = |i: usize, place: usize| if moved[i][place].abs() > 1.0 { moved[i][place] } else { 1.0 };
    // With the same elements dropped.
    parameters.set_draws(draws);
    let again = pass(0, rows, &with_estimates(parameters, from)?)?;
    let rest = |(i, again): (usize, &Tensor)| -> Result<Vec<f32>> {
        let again = again.to_vec()?.into_iter().enumerate();
        Ok(again.map(|(place, again)| (again - moved[i][place]) / from(i, place)).collect())
    };
    let rest = again.iter().enumerate().map(rest).collect::<Result<_>>()?;
    let scaled = |moved: &[Tensor], rows: usize| -> Result<Vec<Tensor>> {
        Ok(moved.iter().map(|moved| moved.mul_add_scalar(rows as f32, 0.0)).collect::<Result<_, _>>()?)
    };
    let (mut sums, mut start) = (scaled(&zero, rows)?, rows);
    while start < all {
        let rows = rows_at(start);
        let more = scaled(&pass(start, rows, &zeros)?, rows)?;
        sums = sums.iter().zip(&more).map(|(sum, more)| sum.add(more)).collect::<Result<_, _>>()?;
        start += rows;
    }
    Ok((sums, rest))
}
