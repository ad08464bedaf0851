//! The gradients of a convolution as ops of their own.

use super::conv::Convolution;
use super::conv_geometry::{Conv2dOptions, ConvGeometry, ConvPass};
use super::operand::{operand_type, output_type};
use crate::{DType, Error, Result, Tensor};

impl Tensor {
    /// The gradient of [`Tensor::conv2d`] by its input of shape `input`, where `self` is the gradient of its output; of type
    /// `out_dtype`, or of that of the operands if `None`. Counterpart: `torch.nn.grad.conv2d_input`.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::DType`] unless both are floats of one type; [`Error::Device`].
    pub fn conv2d_input(
        &self,
        w: &Tensor,
        input: &[usize],
        options: Conv2dOptions,
        out_dtype: Option<DType>,
    ) -> Result<Tensor> {
        const OP: &str = "conv2d_input";
        let geometry = self.geometry_of_gradient(OP, input, w.shape(), options)?;
        let dtype = output_type(OP, operand_type(OP, self, w)?, out_dtype)?;
        let pass = ConvPass::InputGrad;
        Convolution { op: OP, pass, geometry, operands: [w, self] }.plain(dtype, None)
    }

    /// The gradient of [`Tensor::conv2d`] by its weight of shape `weight`, where `self` is the gradient of its output and `x`
    /// its input; of type `out_dtype`, or of that of the operands if `None`. Counterpart: `torch.nn.grad.conv2d_weight`.
    ///
    /// # Errors
    /// As [`Tensor::conv2d_input`].
    pub fn conv2d_weight(
        &self,
        x: &Tensor,
        weight: &[usize],
        options: Conv2dOptions,
        out_dtype: Option<DType>,
    ) -> Result<Tensor> {
        const OP: &str = "conv2d_weight";
        let geometry = self.geometry_of_gradient(OP, x.shape(), weight, options)?;
        let dtype = output_type(OP, operand_type(OP, self, x)?, out_dtype)?;
        let pass = ConvPass::WeightGrad;
        Convolution { op: OP, pass, geometry, operands: [x, self] }.plain(dtype, None)
    }

    fn geometry_of_gradient(
        &self,
        op: &'static str,
        x: &[usize],
        w: &[usize],
        options: Conv2dOptions,
    ) -> Result<ConvGeometry> {
        let geometry = ConvGeometry::new(op, x, w, options)?;
        let output = geometry.output_shape();
        if self.shape() != output {
            let message =
                format!("a gradient {:?} where input {x:?} and weight {w:?} make {output:?}", self.shape());
            return Err(Error::shape(op, message));
        }
        Ok(geometry)
    }
}
