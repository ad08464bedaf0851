//! Linear layers: a matrix product and what follows it.

use super::epilogue::Epilogue;
use super::matmul::Matmul;
use super::operand::{operand_type, output_type};
use crate::shape::numel;
use crate::{Error, Result, Tensor};

const OP: &str = "linear";

impl Tensor {
    /// `x · wᵀ + bias`, as a linear layer computes it, in one kernel.
    ///
    /// Shape: `[.., inputs]`, `w` `[outputs, inputs]`, `bias` `[outputs]` to `[.., outputs]`, in the type of x and w.
    /// Counterpart: `torch.nn.functional.linear`.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::DType`] unless x and w are floats of one type; [`Error::Device`].
    pub fn linear(&self, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        self.linear_with(w, bias, Epilogue::default())
    }

    /// As [`Tensor::linear`], and what follows it. Shape: that of [`Tensor::linear`].
    ///
    /// # Errors
    /// As [`Tensor::linear`], and for a residual of another shape or type, or for pooling.
    pub fn linear_with(&self, w: &Tensor, bias: Option<&Tensor>, epilogue: Epilogue<'_>) -> Result<Tensor> {
        let (Some((&inputs, leading)), &[outputs, k]) = (self.shape().split_last(), w.shape()) else {
            let (x, w) = (self.shape(), w.shape());
            return Err(Error::shape(
                OP,
                format!("input {x:?} and weight {w:?}; expected [.., in] and [out, in]"),
            ));
        };
        if inputs != k || bias.is_some_and(|bias| bias.shape() != [outputs]) {
            let bias = bias.map_or(String::new(), |bias| format!(" and bias {:?}", bias.shape()));
            let (x, w) = (self.shape(), w.shape());
            let message = format!("input {x:?} does not fit weight {w:?}{bias}: expected [.., {k}]");
            return Err(Error::shape(OP, message));
        }
        if epilogue.max_pool {
            return Err(Error::shape(OP, "max_pool is of convolutions; a linear layer's output is no image"));
        }
        let dtype = output_type(OP, operand_type(OP, self, w)?, epilogue.out_dtype)?;
        let mut shape = leading.to_vec();
        shape.push(outputs);
        epilogue.check(OP, &shape, dtype)?;
        let rows = numel(leading);
        let x = self.reshape(&[rows, inputs])?;
        let residual = epilogue.residual.map(|residual| residual.reshape(&[rows, outputs])).transpose()?;
        let epilogue = Epilogue { residual: residual.as_ref(), ..epilogue };
        Matmul { op: OP, a: &x, ta: false, b: w, tb: true }
            .with_epilogue(bias, dtype, epilogue)?
            .reshape(&shape)
    }
}
