//! Pictures of what the network has learned, computed on the device.

use wgrad::train::Result;
use wgrad::{Tensor, concat};

use crate::lesson::Lesson;
use crate::network::{FILTER_SIDE, FILTERS};
use crate::raster::SIDE;

/// Weights of the first layer side by side, blue below zero and orange above: `[3, 5, 8 · 5]`, values 0 to 1.
pub fn filters(lesson: &Lesson) -> Result<Option<Tensor>> {
    let Some(weight) = lesson.parameters.get("conv1.weight") else { return Ok(None) };
    let strip = side_by_side(weight, FILTERS, FILTER_SIDE)?;
    let signed = concat(&[&strip.relu()?, &strip.neg()?.relu()?], 0)?;
    paint(&signed, &[[1.0, 0.2], [0.6, 0.55], [0.1, 1.0]], FILTER_SIDE).map(Some)
}

/// What each filter finds in a drawing, side by side: `[1, 8, 28, 28]` to `[3, 28, 8 · 28]`, values 0 to 1.
pub fn feature_maps(maps: &Tensor) -> Result<Tensor> {
    paint(&side_by_side(maps, FILTERS, SIDE)?, &[[1.0], [0.85], [0.6]], SIDE)
}

/// `count` squares one to the right of the other: to `[1, side · count · side]`, row by row, the largest value 1.
fn side_by_side(squares: &Tensor, count: usize, side: usize) -> Result<Tensor> {
    let strip = squares.detach().reshape(&[count, side, side])?.permute(&[1, 0, 2])?;
    let largest = strip.abs()?.max_all()?.mul_add_scalar(1.0, 1e-6)?;
    Ok(strip.div(&largest)?.reshape(&[1, count * side * side])?)
}

/// Amounts of `N` inks, `[N, pixels]`, to red, green and blue: `[3, height, width]`.
fn paint<const N: usize>(inks: &Tensor, palette: &[[f32; N]; 3], height: usize) -> Result<Tensor> {
    let palette = Tensor::from_slice(inks.gpu(), palette.as_flattened(), &[3, N])?;
    let pixels = palette.matmul(inks)?;
    let width = pixels.shape()[1] / height;
    Ok(pixels.reshape(&[3, height, width])?)
}
