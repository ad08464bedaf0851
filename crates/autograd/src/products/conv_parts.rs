//! Convolutions whose gathered windows would outgrow a binding on the `cpu` family, made of smaller ones: of single images,
//! and of bands of an image with the rows or columns that their windows share.

use super::conv_geometry::Conv2dOptions;
use super::epilogue::Epilogue;
use crate::ops::movement::concat;
use crate::{Result, Tensor};

impl Tensor {
    /// As [`Tensor::conv2d_with`] with these sizes of the output, as two convolutions: of halves of the batch, or of an
    /// image's longer side. Their gradients follow.
    pub(super) fn conv2d_in_halves(
        &self,
        w: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2dOptions,
        epilogue: Epilogue<'_>,
        output: [usize; 2],
    ) -> Result<Tensor> {
        let images = self.shape()[0];
        if images > 1 {
            let of = |first, end| self.slice(0, first, end)?.conv2d_with(w, bias, options, epilogue);
            concat(&[&of(0, images / 2)?, &of(images / 2, images)?], 0)
        } else {
            let side = usize::from(output[1] > output[0]);
            let padded = self.zero_padded(2, options.padding[0])?.zero_padded(3, options.padding[1])?;
            let reach = options.dilation[side] * (w.shape()[2 + side] - 1) + 1;
            let options = Conv2dOptions { padding: [0; 2], ..options };
            let of = |first: usize, end: usize| {
                let stride = options.stride[side];
                padded
                    .slice(2 + side as isize, first * stride, (end - 1) * stride + reach)?
                    .conv2d_with(w, bias, options, epilogue)
            };
            concat(&[&of(0, output[side] / 2)?, &of(output[side] / 2, output[side])?], 2 + side as isize)
        }
    }

    /// This tensor between `n` zeros on both sides of an axis.
    fn zero_padded(&self, axis: usize, n: usize) -> Result<Tensor> {
        if n == 0 {
            return Ok(self.clone());
        }
        let mut shape = self.shape().to_vec();
        shape[axis] = n;
        let zeros = Tensor::zeros_of(self.gpu(), &shape, self.dtype())?;
        concat(&[&zeros, self, &zeros], axis as isize)
    }
}
