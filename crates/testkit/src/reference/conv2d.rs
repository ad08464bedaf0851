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
