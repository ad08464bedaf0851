//! Values for operands, on the device and on the host.

use half::f16;
use wgrad::{Gpu, Tensor};
use wgrad_testkit::Array;

use crate::Result;

/// Values that no kernel could shortcut, between -0.5 and 0.5; another seed gives others.
pub fn values(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Of eleven bits, which an f16 holds as well: products of either type have one reference.
        (state >> 21) as f32 / 2048.0 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

/// An operand, kept on the host too where it is to be checked.
pub struct Operand {
    pub shape: Vec<usize>,
    seed: u32,
}

impl Operand {
    pub fn new(seed: u32, shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), seed }
    }

    fn values(&self) -> Vec<f32> {
        values(self.seed, self.shape.iter().product())
    }

    pub fn tensor(&self, gpu: &Gpu) -> Result<Tensor> {
        Ok(Tensor::from_slice(gpu, &self.values(), &self.shape)?)
    }

    pub fn half(&self, gpu: &Gpu) -> Result<Tensor> {
        let values: Vec<f16> = self.values().into_iter().map(f16::from_f32).collect();
        Ok(Tensor::from_slice(gpu, &values, &self.shape)?)
    }

    /// A part of it, by indices along each axis.
    pub fn pick(&self, indices: &[&[usize]]) -> Array {
        pick(&self.values(), &self.shape, indices)
    }
}

/// The part of a row-major tensor at these indices along each axis.
pub fn pick(values: &[f32], shape: &[usize], indices: &[&[usize]]) -> Array {
    let picked: Vec<usize> = indices.iter().map(|axis| axis.len()).collect();
    Array::from_fn(&picked, |at| {
        let place =
            at.iter().zip(indices).zip(shape).fold(0, |place, ((&i, axis), &size)| place * size + axis[i]);
        f64::from(values[place])
    })
}

/// All of a short axis; of a long one its ends and some between.
pub fn some(len: usize) -> Vec<usize> {
    if len <= 16 {
        return (0..len).collect();
    }
    vec![0, 1, len / 3, len / 2 + 1, len - 2, len - 1]
}

/// All of an axis.
pub fn all(len: usize) -> Vec<usize> {
    (0..len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_exact_in_f16_and_differ() {
        let values = values(3, 1000);
        assert!(values.iter().all(|&v| f16::from_f32(v).to_f32() == v && (-0.5..0.5).contains(&v)));
        let distinct: std::collections::BTreeSet<u32> = values.iter().map(|v| v.to_bits()).collect();
        assert!(distinct.len() > 500);
        assert_ne!(values, super::values(4, 1000));
    }

    #[test]
    fn a_part_is_picked_by_indices() {
        let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let part = pick(&values, &[2, 3, 4], &[&[1], &[0, 2], &[3, 1]]);
        assert_eq!(
            (part.shape.as_slice(), part.data.as_slice()),
            (&[1, 2, 2][..], &[15.0, 13.0, 23.0, 21.0][..])
        );
    }
}
