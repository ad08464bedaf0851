//! Two-dimensional convolution.

use super::{four_axes, tap, windows};
use crate::Array;

/// How the window of a convolution moves; rows come first in each pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dParams {
    /// Distance between neighbouring windows.
    pub stride: [usize; 2],
    /// Rows and columns of zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between neighbouring taps of a window.
    pub dilation: [usize; 2],
    /// Groups of channels that do not mix.
    pub groups: usize,
}

impl Default for Conv2dParams {
    /// PyTorch's: stride 1, no padding, dilation 1, one group.
    fn default() -> Self {
        Self { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

/// Convolution as in PyTorch, that is, without turning the kernel round.
///
/// Shapes: x `[n, c, h, w]`, w `[o, c/groups, kh, kw]`, bias `[o]` to `[n, o, oh, ow]`.
///
/// # Panics
/// Where the operands do not fit these shapes or the window does not fit the padded input.
#[track_caller]
pub fn conv2d(x: &Array, w: &Array, bias: Option<&Array>, params: &Conv2dParams) -> Array {
    let [n, c, height, width] = four_axes(x, "the input of conv2d");
    let [o, c_group, kh, kw] = four_axes(w, "the weight of conv2d");
    let Conv2dParams { stride: s, padding: p, dilation: d, groups } = *params;
    assert!(groups > 0 && o % groups == 0, "{groups} groups do not divide {o} outputs");
    assert_eq!(c, c_group * groups, "input {:?}, weight {:?}, {groups} groups", x.shape, w.shape);
    if let Some(bias) = bias {
        assert_eq!(bias.shape, [o], "the bias has one element for each output channel");
    }
    let oh = windows(height, kh, s[0], p[0], d[0]);
    let ow = windows(width, kw, s[1], p[1], d[1]);

    // The value of one output element: item, output channel, row, column.
    let output = |item: usize, out: usize, row: usize, col: usize| {
        let first_channel = out / (o / groups) * c_group;
        let mut sum = bias.map_or(0.0, |bias| bias.data[out]);
        for channel in 0..c_group {
            let x_plane = (item * c + first_channel + channel) * height;
            let w_plane = (out * c_group + channel) * kh;
            for i in 0..kh {
                let Some(y) = tap(row, i, s[0], p[0], d[0], height) else { continue };
                for j in 0..kw {
                    let Some(x_col) = tap(col, j, s[1], p[1], d[1], width) else { continue };
                    sum += x.data[(x_plane + y) * width + x_col] * w.data[(w_plane + i) * kw + j];
                }
            }
        }
        sum
    };
    Array::from_fn(&[n, o, oh, ow], |at| output(at[0], at[1], at[2], at[3]))
}

/// Transposed convolution as in PyTorch: every input pixel adds its multiple of the filter to the output.
///
/// Shapes: x `[n, c, h, w]`, w `[c, o/groups, kh, kw]`, bias `[o]` to `[n, o, oh, ow]`,
/// `oh = (h - 1)·stride - 2·padding + dilation·(kh - 1) + output_padding + 1`.
///
/// # Panics
/// Where the operands do not fit these shapes.
#[track_caller]
pub fn conv_transpose2d(
    x: &Array,
    w: &Array,
    bias: Option<&Array>,
    params: &Conv2dParams,
    output_padding: [usize; 2],
) -> Array {
    let [n, c, height, width] = four_axes(x, "the input of conv_transpose2d");
    let [inputs, o_group, kh, kw] = four_axes(w, "the weight of conv_transpose2d");
    let Conv2dParams { stride: s, padding: p, dilation: d, groups } = *params;
    assert!(c == inputs && c % groups == 0, "input {:?}, weight {:?}, {groups} groups", x.shape, w.shape);
    let size = |axis: usize, n: usize, k: usize| {
        (n - 1) * s[axis] + d[axis] * (k - 1) + output_padding[axis] + 1 - 2 * p[axis]
    };
    let (o, oh, ow) = (o_group * groups, size(0, height, kh), size(1, width, kw));
    let mut y = Array::from_fn(&[n, o, oh, ow], |at| bias.map_or(0.0, |bias| bias.data[at[1]]));
    for (i, &value) in x.data.iter().enumerate() {
        let (item, channel, row, col) =
            (i / (c * height * width), i / (height * width) % c, i / width % height, i % width);
        for tap in 0..o_group * kh * kw {
            let (out, i, j) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            let to = |axis: usize, at: usize, k: usize, len: usize| {
                (at * s[axis] + k * d[axis]).checked_sub(p[axis]).filter(|&to| to < len)
            };
            let (Some(to_row), Some(to_col)) = (to(0, row, i, oh), to(1, col, j, ow)) else { continue };
            let plane = item * o + channel / (c / groups) * o_group + out;
            y.data[(plane * oh + to_row) * ow + to_col] += value * w.data[channel * o_group * kh * kw + tap];
        }
    }
    y
}
