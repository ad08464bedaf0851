//! Batch normalisation of images.

use super::four_axes;
use crate::Array;

/// Mean and biased variance of each channel of `[n, c, h, w]`, each `[c]`.
///
/// # Panics
/// Where `x` has another rank.
#[track_caller]
pub fn channel_moments(x: &Array) -> [Array; 2] {
    let [n, c, h, w] = four_axes(x, "the input of a batch norm");
    let plane = h * w;
    let of_channel =
        |channel: usize| (0..n).flat_map(move |i| &x.data[(i * c + channel) * plane..][..plane]).copied();
    let count = (n * plane) as f64;
    let mean = Array::from_fn(&[c], |at| of_channel(at[0]).sum::<f64>() / count);
    let var = Array::from_fn(&[c], |at| {
        of_channel(at[0]).map(|v| (v - mean.data[at[0]]).powi(2)).sum::<f64>() / count
    });
    [mean, var]
}

/// weight · (x - mean) / √(var + eps) + bias, all by channel: `torch.nn.functional.batch_norm` with the given moments,
/// which in training are those of [`channel_moments`].
///
/// # Panics
/// Where `x` has no four axes, or the others are not one value a channel.
#[track_caller]
pub fn batch_norm2d(x: &Array, weight: &Array, bias: &Array, [mean, var]: &[Array; 2], eps: f64) -> Array {
    let [_, c, _, _] = four_axes(x, "the input of a batch norm");
    assert!([weight, bias, mean, var].iter().all(|v| v.shape == [c]), "one value for each of {c} channels");
    Array::from_fn(&x.shape, |at| {
        let k = at[1];
        weight.data[k] * (x.at(at) - mean.data[k]) / (var.data[k] + eps).sqrt() + bias.data[k]
    })
}
