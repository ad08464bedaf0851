//! What the benchmarks share.

use wgrad::{Gpu, Tensor};

/// Values that no kernel could shortcut.
///
/// # Panics
/// If the device cannot hold them.
pub fn random(gpu: &Gpu, shape: &[usize]) -> Tensor {
    let mut state = 1u32;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect();
    Tensor::from_slice(gpu, &values, shape).expect("the device holds the benchmark's tensors")
}
