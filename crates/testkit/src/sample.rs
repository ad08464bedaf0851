//! Seeded inputs that the GPU and the reference see alike.

use crate::{Array, gradient};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Draws test inputs from a seed. Every value is an `f32` exactly, so uploading it loses nothing.
#[derive(Clone, Debug)]
pub struct Sampler {
    rng: Pcg64,
}

impl Sampler {
    /// A sampler that repeats its draws for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: Pcg64::seed_from_u64(seed) }
    }

    /// Values spread evenly over `lo..=hi`.
    ///
    /// # Panics
    /// Where `lo` exceeds `hi`, or no `f32` lies between them.
    #[track_caller]
    pub fn uniform(&mut self, shape: &[usize], lo: f64, hi: f64) -> Array {
        self.fill(shape, lo, hi, |_| true)
    }

    /// Values spread evenly over `lo..=hi`, except within `margin` of any of `points`: for
    /// operations with kinks, such as relu at 0, where a central difference across the kink means
    /// nothing.
    ///
    /// # Panics
    /// Where `margin` does not exceed the step of [`gradient::numeric_gradient`], or the points
    /// leave too little room.
    #[track_caller]
    pub fn away_from(&mut self, shape: &[usize], lo: f64, hi: f64, points: &[f64], margin: f64) -> Array {
        let step = gradient::step(lo.abs().max(hi.abs()));
        assert!(margin > step, "margin {margin} must exceed the central difference's step {step}");
        self.fill(shape, lo, hi, |v| points.iter().all(|point| (v - point).abs() > margin))
    }

    /// A random permutation of values that lie evenly between -1 and 1, for operations that choose
    /// a winner.
    ///
    /// Up to 65,536 elements the values stay further apart than two steps of a central difference,
    /// which therefore never changes the winner.
    ///
    /// # Panics
    /// Beyond 2²² elements, where `f32` could no longer tell all values apart.
    #[track_caller]
    pub fn distinct(&mut self, shape: &[usize]) -> Array {
        let len: usize = shape.iter().product();
        assert!(len <= 1 << 22, "{len} values in -1..1 are too close for f32");
        let mut data: Vec<f64> = (0..len).map(|i| round((2 * i + 1) as f64 / len as f64 - 1.0)).collect();
        data.shuffle(&mut self.rng);
        Array::new(shape, data)
    }

    /// `n` class labels, each below `classes`.
    ///
    /// # Panics
    /// Where there are no classes.
    #[track_caller]
    pub fn labels(&mut self, n: usize, classes: usize) -> Vec<usize> {
        assert!(classes > 0, "labels need at least one class");
        (0..n).map(|_| self.rng.random_range(0..classes)).collect()
    }

    #[track_caller]
    fn fill(&mut self, shape: &[usize], lo: f64, hi: f64, admits: impl Fn(f64) -> bool) -> Array {
        assert!(lo <= hi, "an empty range {lo}..={hi}");
        let data = (0..shape.iter().product()).map(|_| {
            // Rounding may leave the range or enter a margin, so it comes before the judgement.
            let mut draws = (0..10_000).map(|_| round(self.rng.random_range(lo..=hi)));
            let value = draws.find(|&v| lo <= v && v <= hi && admits(v));
            value.unwrap_or_else(|| panic!("hardly any f32 in {lo}..={hi} is admitted"))
        });
        Array::new(shape, data.collect())
    }
}

/// The nearest `f32`.
fn round(value: f64) -> f64 {
    f64::from(value as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_f32(x: &Array) -> bool {
        x.data.iter().all(|&v| f64::from(v as f32) == v)
    }

    #[test]
    fn uniform_fills_its_range_with_f32_values() {
        let x = Sampler::new(1).uniform(&[40, 50], -0.1, 0.7);
        assert!(is_f32(&x));
        assert!(x.data.iter().all(|v| (-0.1..=0.7).contains(v)));
        let mean = x.data.iter().sum::<f64>() / 2000.0;
        assert!((mean - 0.3).abs() < 0.03, "{mean}");
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let draw = |seed| Sampler::new(seed).uniform(&[8], 0.0, 1.0);
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn away_from_keeps_the_margin_on_both_sides() {
        let x = Sampler::new(2).away_from(&[500], -1.0, 1.0, &[0.0, 0.5], 0.1);
        assert!(is_f32(&x));
        assert!(x.data.iter().all(|v| v.abs() > 0.1 && (v - 0.5).abs() > 0.1));
        assert!(x.data.iter().any(|v| *v < -0.1) && x.data.iter().any(|v| *v > 0.6));
    }

    #[test]
    fn distinct_values_stay_apart_by_more_than_two_steps() {
        let x = Sampler::new(5).distinct(&[256, 256]);
        assert!(is_f32(&x));
        let mut sorted = x.data.clone();
        sorted.sort_by(f64::total_cmp);
        assert_ne!(sorted, x.data);
        let gap = sorted.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        assert!(gap > 2.0 * gradient::step(1.0), "{gap}");
    }

    #[test]
    fn labels_cover_the_classes() {
        let labels = Sampler::new(6).labels(200, 7);
        assert!((0..7).all(|class| labels.contains(&class)) && labels.iter().all(|&l| l < 7));
    }

    #[test]
    #[should_panic(expected = "must exceed the central difference's step")]
    fn a_margin_below_the_step_is_refused() {
        Sampler::new(0).away_from(&[1], -1.0, 1.0, &[0.0], 1e-7);
    }

    #[test]
    #[should_panic(expected = "hardly any f32")]
    fn a_range_without_room_is_refused() {
        Sampler::new(0).away_from(&[1], -1.0, 1.0, &[0.0], 2.0);
    }
}
