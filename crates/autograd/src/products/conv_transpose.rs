//! Transposed convolution: the input gradient of [`Tensor::conv2d`] as an op of its own.

use super::conv::{Convolution, check_bias};
use super::conv_geometry::{Conv2dOptions, ConvGeometry, ConvPass};
use super::epilogue::Epilogue;
use super::operand::operand_type;
use crate::{Error, Result, Tensor};

/// Options of [`Tensor::conv_transpose2d`], each pair `[height, width]`; the default is PyTorch's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvTranspose2dOptions {
    /// The options of the convolution of which this is the transpose.
    pub conv: Conv2dOptions,
    /// The number of rows and columns added at the end of the output, each less than the stride. A convolution with a stride
    /// maps several sizes to one; this says which of them the output has.
    pub output_padding: [usize; 2],
}

impl Tensor {
    /// Transposed 2-D convolution with a weight `[c, out / groups, kh, kw]` and a bias `[out]`.
    ///
    /// Shape: `[n, c, h, w]` to `[n, out, oh, ow]`,
    /// `oh = (h - 1)·stride - 2·padding + dilation·(kh - 1) + output_padding + 1`.
    /// Counterpart: `torch.nn.functional.conv_transpose2d`, which also allows an output padding from the stride up to the
    /// dilation.
    ///
    /// The kernel multiplies the zeros between and around the input's pixels too, so a weight that is NaN or infinite makes NaN of
    /// more outputs than it contributes to.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::DType`] unless input and weight are floats of one type; [`Error::Device`].
    pub fn conv_transpose2d(
        &self,
        w: &Tensor,
        bias: Option<&Tensor>,
        options: ConvTranspose2dOptions,
    ) -> Result<Tensor> {
        const OP: &str = "conv_transpose2d";
        let (&[images, c, h, width], &[of_w, outputs, kh, kw]) = (self.shape(), w.shape()) else {
            let (x, w) = (self.shape(), w.shape());
            let message =
                format!("input {x:?} and weight {w:?}; expected [n, c, h, w] and [c, out/groups, kh, kw]");
            return Err(Error::shape(OP, message));
        };
        let ConvTranspose2dOptions { conv, output_padding } = options;
        let Conv2dOptions { stride, padding, dilation, groups } = conv;
        let size = |d: usize, n: usize, k: usize| {
            let full = n
                .checked_sub(1)?
                .checked_mul(stride[d])?
                .checked_add(dilation[d].checked_mul(k.checked_sub(1)?)?)?;
            full.checked_add(output_padding[d] + 1)?
                .checked_sub(padding[d].checked_mul(2)?)
                .filter(|&n| n > 0)
        };
        let fits = c == of_w && (0..2).all(|d| output_padding[d] < stride[d]);
        let (true, Some(oh), Some(ow)) = (fits, size(0, h, kh), size(1, width, kw)) else {
            let (x, w) = (self.shape(), w.shape());
            let message = format!(
                "input {x:?}, weight {w:?} and {options:?}: equal channels, an output padding below the stride and an output of at least one pixel are needed"
            );
            return Err(Error::shape(OP, message));
        };
        let dtype = operand_type(OP, self, w)?;
        let channels = outputs.saturating_mul(groups);
        let geometry = ConvGeometry::new(OP, &[images, channels, oh, ow], w.shape(), conv)?;
        check_bias(OP, bias, channels, w)?;
        let (x, w) = (self.contiguous()?, w.contiguous()?);
        let pass = Convolution { op: OP, pass: ConvPass::InputGrad, geometry, operands: [&w, &x] };
        if !pass.fits(dtype) {
            let message = format!(
                "input {:?} and weight {:?}: the gathered windows of one image outgrow a binding of this adapter; use smaller images or fewer channels",
                self.shape(),
                w.shape()
            );
            return Err(Error::shape(OP, message));
        }
        pass.with_epilogue(bias, dtype, Epilogue::default())
    }
}
