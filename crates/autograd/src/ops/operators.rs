//! `+`, `-`, `*`, `/` on tensors, references to them and numbers, each with a `Result`: `((&a * 2.0)? + &b)?`.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::{DType, Result, Tensor};

macro_rules! operators {
    ($($trait:ident $method:ident, $by_number:expr, $of_number:expr;)*) => {$(
        operators!(@pair $trait $method, Tensor, Tensor);
        operators!(@pair $trait $method, Tensor, &Tensor);
        operators!(@pair $trait $method, &Tensor, Tensor);
        operators!(@pair $trait $method, &Tensor, &Tensor);
        operators!(@number $trait $method, Tensor, $by_number, $of_number);
        operators!(@number $trait $method, &Tensor, $by_number, $of_number);
    )*};
    (@pair $trait:ident $method:ident, $left:ty, $right:ty) => {
        impl $trait<$right> for $left {
            type Output = Result<Tensor>;

            fn $method(self, right: $right) -> Result<Tensor> {
                Tensor::$method(&self, &right)
            }
        }
    };
    (@number $trait:ident $method:ident, $tensor:ty, $by_number:expr, $of_number:expr) => {
        impl $trait<f32> for $tensor {
            type Output = Result<Tensor>;

            fn $method(self, right: f32) -> Result<Tensor> {
                let by: fn(&Tensor, f32) -> Result<Tensor> = $by_number;
                by(&self, right)
            }
        }

        impl $trait<$tensor> for f32 {
            type Output = Result<Tensor>;

            fn $method(self, right: $tensor) -> Result<Tensor> {
                let of: fn(f32, &Tensor) -> Result<Tensor> = $of_number;
                of(self, &right)
            }
        }
    };
}

operators! {
    Add add, |x, n| x.mul_add_scalar(1.0, n), |n, x| x.mul_add_scalar(1.0, n);
    Sub sub, |x, n| x.mul_add_scalar(1.0, -n), |n, x| x.mul_add_scalar(-1.0, n);
    Mul mul, |x, n| x.mul_add_scalar(n, -0.0), |n, x| x.mul_add_scalar(n, -0.0);
    Div div, |x, n| with_number(x, n, |x, n| x.div(n)), |n, x| with_number(x, n, |x, n| n.div(x));
}

/// What `f` makes of a tensor and a number, in f32 where the tensor is f16, which holds few of all numbers.
fn with_number(
    x: &Tensor,
    number: f32,
    f: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let number = Tensor::full(x.gpu(), &[], number)?;
    match x.dtype() {
        DType::F16 => f(&x.to_dtype(DType::F32)?, &number)?.to_dtype(DType::F16),
        dtype => f(x, &number.to_dtype(dtype)?),
    }
}

impl Neg for Tensor {
    type Output = Result<Tensor>;

    fn neg(self) -> Result<Tensor> {
        Tensor::neg(&self)
    }
}

impl Neg for &Tensor {
    type Output = Result<Tensor>;

    fn neg(self) -> Result<Tensor> {
        Tensor::neg(self)
    }
}
