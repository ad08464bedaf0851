//! Products: matmul, linear layers, and convolution in its three directions.
//!
//! All are one batched C = A · B, described as plain data ([`Problem`]) and ended by one epilogue (bias, residual, activation).
//! This file chooses what computes it: tiles in workgroup memory ([`tile`]) on GPUs; panels without barriers
//! ([`software::panels`]), or Winograd's transforms around them, on software adapters.
//!
//! Each file uses those above it: `operand`, `epilogue`, `problem`, `conv_geometry`, the kernels' launches, this chooser, and
//! the ops.

mod conv;
mod conv_geometry;
mod conv_gradients;
mod conv_parts;
mod conv_transpose;
mod epilogue;
mod linear;
mod matmul;
mod matrix_product;
mod operand;
mod problem;
mod software;
mod tile;

pub use conv_geometry::Conv2dOptions;
pub use conv_transpose::ConvTranspose2dOptions;
pub use epilogue::{Activation, Epilogue};
pub use matmul::MatmulOptions;
use wgrad_device::{Family, Gpu};

use crate::{DType, Result, Tensor};
use conv_geometry::ConvGeometry;
use problem::Problem;
use software::winograd_sizes::Winograd;

/// Records the launches of a product.
fn enqueue(gpu: &Gpu, problem: &Problem<'_>) -> Result<()> {
    match gpu.family() {
        Family::Cpu => software::panels::enqueue(gpu, problem),
        Family::Gpu => tile::enqueue(gpu, problem),
    }
}

/// The sum of the products that `part` makes of each of `parts`, added up in their order; `None` of no parts.
fn sum_of<T>(
    parts: impl Iterator<Item = T>,
    mut part: impl FnMut(T) -> Result<Tensor>,
) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for of in parts {
        let product = part(of)?;
        sum = Some(match sum {
            Some(sum) => sum.add(&product)?,
            None => product,
        });
    }
    Ok(sum)
}

/// Whether operands are packed before they are multiplied, so that what is packed must fit a binding.
fn packs(gpu: &Gpu) -> bool {
    gpu.family() == Family::Cpu
}

/// Winograd's transforms, for a convolution that they can compute and that is faster by them, where `pooled` says whether its
/// output is pooled on the way; else it is one product. Of the weight's gradient ask [`Winograd::weight_grad_fits`] too.
fn winograd(gpu: &Gpu, g: &ConvGeometry, dtypes: [DType; 3], pooled: bool) -> Option<Winograd> {
    let is_f32 = dtypes.iter().all(|dtype| *dtype == DType::F32);
    if gpu.family() != Family::Cpu || !is_f32 || !g.is_3_by_3() {
        return None;
    }
    let [h, w] = g.input;
    let sizes = Winograd { images: g.images, step: g.step(gpu, pooled), c_in: g.c_in, c_out: g.c_out, h, w };
    sizes.is_profitable(gpu, pooled).then_some(sizes)
}
