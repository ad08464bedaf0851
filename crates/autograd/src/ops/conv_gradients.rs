//! The gradients of a convolution as ops of their own.

use crate::ops::conv::{Conv2dOptions, Geometry};
use crate::{Error, Result, Tensor};

impl Tensor {
    /// The gradient of [`Tensor::conv2d`] by its input of shape `input`, where `self` is the gradient of its output.
    /// Counterpart: `torch.nn.grad.conv2d_input`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn conv2d_input(&self, w: &Tensor, input: &[usize], options: Conv2dOptions) -> Result<Tensor> {
        let geometry = self.geometry_of_gradient("conv2d_input", input, w.shape(), options)?;
        let dx = Tensor::empty(self.gpu(), input)?;
        geometry.input_grad_product(w, self, &dx)?;
        Ok(dx)
    }

    /// The gradient of [`Tensor::conv2d`] by its weight of shape `weight`, where `self` is the gradient of its output and `x`
    /// its input. Counterpart: `torch.nn.grad.conv2d_weight`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn conv2d_weight(&self, x: &Tensor, weight: &[usize], options: Conv2dOptions) -> Result<Tensor> {
        let geometry = self.geometry_of_gradient("conv2d_weight", x.shape(), weight, options)?;
        geometry.weight_grad_product(x, self, weight)
    }

    fn geometry_of_gradient(
        &self,
        op: &'static str,
        x: &[usize],
        w: &[usize],
        options: Conv2dOptions,
    ) -> Result<Geometry> {
        let geometry = Geometry::new(self.dtype(), x, w, options)?;
        let output = geometry.output_shape();
        if self.shape() != output {
            let message =
                format!("a gradient {:?} where input {x:?} and weight {w:?} make {output:?}", self.shape());
            return Err(Error::shape(op, message));
        }
        Ok(geometry)
    }
}
