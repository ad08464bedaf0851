//! The network: three small convolutions and a linear layer, 5,146 parameters.

use wgrad::nn::{Builder, Conv2d, Linear, MaxPool2d, Mode, Module, Result};
use wgrad::{Conv2dOptions, Tensor};

use crate::samples::MOST_CLASSES;

/// Filters of the first layer, which the window shows.
pub const FILTERS: usize = 8;

/// Rows and columns of a filter.
pub const FILTER_SIDE: usize = 5;

/// 28×28 grey drawings to one logit for each class that there may be.
pub struct Network {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    fc: Linear,
    pool: MaxPool2d,
}

impl Network {
    pub fn new(builder: &Builder) -> Self {
        let same = |side: usize| Conv2dOptions { padding: [side / 2; 2], ..Default::default() };
        let conv = |name: &str, inputs, outputs, side: usize| {
            Conv2d::new(&builder.scope(name), inputs, outputs, [side; 2], same(side))
        };
        Self {
            conv1: conv("conv1", 1, FILTERS, FILTER_SIDE),
            conv2: conv("conv2", FILTERS, 16, 3),
            conv3: conv("conv3", 16, 16, 3),
            fc: Linear::new(&builder.scope("fc"), 16 * 3 * 3, MOST_CLASSES),
            pool: MaxPool2d::new(2),
        }
    }

    /// What the filters find: `[n, 1, 28, 28]` to `[n, 8, 28, 28]`.
    pub fn feature_maps(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.conv1.forward(x)?.relu()?)
    }

    /// The rest of the network: `[n, 8, 28, 28]` to `[n, 10]`.
    pub fn classify(&self, feature_maps: &Tensor) -> Result<Tensor> {
        let x = self.pool.forward(feature_maps)?;
        let x = self.pool.forward(&self.conv2.forward(&x)?)?.relu()?;
        let x = self.pool.forward(&self.conv3.forward(&x)?)?.relu()?;
        self.fc.forward(&x.flatten(1)?)
    }
}

impl Module for Network {
    /// `[n, 1, 28, 28]` to `[n, 10]`.
    fn forward(&self, x: &Tensor, _: Mode) -> Result<Tensor> {
        self.classify(&self.feature_maps(x)?)
    }
}
