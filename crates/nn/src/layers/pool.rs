//! Pooling and flattening layers.

use wgrad_autograd::{Pool2dOptions, Tensor};

use super::{Mode, Module, in_layer};
use crate::Result;

/// Maximum over windows. Counterpart: `torch.nn.MaxPool2d`. Shape: `[n, c, h, w]` to `[n, c, oh, ow]`.
pub struct MaxPool2d(pub Pool2dOptions);

/// Mean over windows. Counterpart: `torch.nn.AvgPool2d`. Shape: `[n, c, h, w]` to `[n, c, oh, ow]`.
pub struct AvgPool2d(pub Pool2dOptions);

/// Maximum of each channel. Counterpart: `torch.nn.AdaptiveMaxPool2d(1)` with a flattening. Shape: `[n, c, h, w]` to
/// `[n, c]`.
pub struct GlobalMaxPool2d;

/// Mean of each channel. Counterpart: `torch.nn.AdaptiveAvgPool2d(1)` with a flattening. Shape: `[n, c, h, w]` to
/// `[n, c]`.
pub struct GlobalAvgPool2d;

/// All axes but the first joined. Counterpart: `torch.nn.Flatten`. Shape: `[n, ..]` to `[n, product of the rest]`.
pub struct Flatten;

impl MaxPool2d {
    /// Square windows that don't overlap.
    pub fn new(kernel: usize) -> Self {
        Self(Pool2dOptions::square(kernel))
    }
}

impl AvgPool2d {
    /// Square windows that don't overlap.
    pub fn new(kernel: usize) -> Self {
        Self(Pool2dOptions::square(kernel))
    }
}

impl MaxPool2d {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        in_layer("MaxPool2d", x.max_pool2d(self.0))
    }
}

impl Module for MaxPool2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}

impl AvgPool2d {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        in_layer("AvgPool2d", x.avg_pool2d(self.0))
    }
}

impl Module for AvgPool2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}

impl GlobalMaxPool2d {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        in_layer("GlobalMaxPool2d", whole(x).and_then(|window| x.max_pool2d(window)?.flatten(1)))
    }
}

impl Module for GlobalMaxPool2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}

impl GlobalAvgPool2d {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        in_layer("GlobalAvgPool2d", whole(x).and_then(|window| x.avg_pool2d(window)?.flatten(1)))
    }
}

impl Module for GlobalAvgPool2d {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}

/// One window over all of `x`.
fn whole(x: &Tensor) -> wgrad_autograd::Result<Pool2dOptions> {
    let &[_, _, h, w] = x.shape() else {
        let message = format!("input {:?}; expected [n, channels, height, width]", x.shape());
        return Err(wgrad_autograd::Error::shape("global pool", message));
    };
    Ok(Pool2dOptions { kernel: [h, w], stride: [h, w], padding: [0; 2] })
}

impl Flatten {
    /// The output for `x`.
    ///
    /// # Errors
    /// [`crate::Error::Layer`] if `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        in_layer("Flatten", x.flatten(1))
    }
}

impl Module for Flatten {
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.forward(x)
    }
}
