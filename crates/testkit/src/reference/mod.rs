//! One forward function per operation, in plain loops over `f64`, with PyTorch's semantics and
//! layouts.
//!
//! They are written to be read and believed, not to be fast. NaN travels through all of them.

mod batch_norm2d;
mod conv2d;
mod elementwise;
mod erf;
mod layer_norm;
mod layout;
mod loss;
mod matmul;
pub mod optim;
mod pool2d;
mod reduce;
mod softmax;

pub use batch_norm2d::{batch_norm2d, channel_moments};
pub use conv2d::{Conv2dParams, conv_transpose2d, conv2d};
pub use elementwise::{
    abs, add, clamp, div, exp, expm1, gelu, keep_where, log, log1p, maximum, minimum, mul, neg, relu,
    sigmoid, silu, softplus, sqrt, square, sub, tanh,
};
pub use erf::{erf, erfc};
pub use layer_norm::layer_norm;
pub use layout::{broadcast_shape, broadcast_to, concat, permute, reshape, slice};
pub use loss::{bce_with_logits, cross_entropy, cross_entropy_ignoring, mse};
pub use matmul::matmul;
pub use pool2d::{avg_pool2d, max_pool2d};
pub use reduce::{
    argmax, argmin, cumsum, logsumexp, max, max_all, mean, mean_all, min, norm, prod, sum, sum_all, topk, var,
};
pub use softmax::{log_softmax, softmax};

/// The number of positions of a window of `kernel` taps, `dilation` apart, along an axis.
#[track_caller]
fn windows(input: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    assert!(kernel > 0 && stride > 0 && dilation > 0, "kernel, stride and dilation start at 1");
    let reach = dilation * (kernel - 1) + 1;
    let padded = input + 2 * padding;
    assert!(reach <= padded, "a window of {reach} does not fit {input} with padding {padding}");
    (padded - reach) / stride + 1
}

/// Where tap `k` of window `out` falls on the axis, or `None` in the padding.
fn tap(out: usize, k: usize, stride: usize, padding: usize, dilation: usize, input: usize) -> Option<usize> {
    (out * stride + k * dilation).checked_sub(padding).filter(|&i| i < input)
}

/// The four lengths of an array with four axes.
#[track_caller]
fn four_axes(x: &crate::Array, what: &str) -> [usize; 4] {
    let lengths = <[usize; 4]>::try_from(x.shape.as_slice());
    lengths.unwrap_or_else(|_| panic!("{what} must have four axes, not {:?}", x.shape))
}
