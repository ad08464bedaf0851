//! Dropout.

use wgrad_device::shaders::{self, Kernel};

use crate::launch::launch;
use crate::{Error, Op, Result, Tensor};

#[derive(Clone, Copy)]
struct Dropout {
    rate: f32,
    key: u32,
    counter: u32,
}

impl Dropout {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        let y = Tensor::empty(x.gpu(), x.shape())?;
        // A rate of 1 keeps no element: all are kept instead and multiplied by 0, as in PyTorch, which a NaN survives. The
        // threshold that would drop all is 2³², beyond a u32.
        let (threshold, scale) = match self.rate {
            1.0 => (0, 0.0),
            rate => ((f64::from(rate) * 4_294_967_296.0) as u32, 1.0 / (1.0 - rate)),
        };
        launch(x.gpu(), Kernel::new(&shaders::DROPOUT, "dropout"))
            .bind_all([("x", x.bind()), ("y", y.bind())])
            .set_all([("n", x.numel()), ("key", self.key as usize), ("counter", self.counter as usize)])
            .set("threshold", threshold as usize)
            .set_f32("scale", scale)
            .threads(x.numel())
            .enqueue()?;
        Ok(y)
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.apply(dy)?)])
    }

    fn recorded_backward(&self, dy: &Tensor, _: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        // The mask is the same whatever it is applied to.
        let op = *self;
        Ok(Some(vec![Some(op.apply(dy)?.with_op(&[dy], || op))]))
    }
}

impl Tensor {
    /// Sets elements to 0 with probability `rate` and divides the others by `1 - rate`. Which ones is a function
    /// of `key`, `counter` and the element's index alone: use a new counter for each call. A rate of 1 gives zeros, and NaN
    /// for elements that are not finite, as in PyTorch.
    ///
    /// Shape: any, kept.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `0 ≤ rate ≤ 1`, [`Error::Device`].
    pub fn dropout(&self, rate: f32, key: u32, counter: u32) -> Result<Tensor> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(Error::shape("dropout", format!("a rate of {rate} is not in 0..=1")));
        }
        let op = Dropout { rate, key, counter };
        self.in_f32("dropout", |x| Ok(op.apply(x)?.with_op(&[x], || op)))
    }
}
