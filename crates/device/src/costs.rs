//! What launches cost, learned from what slices of them took.

use std::collections::HashMap;

/// Launches of one pipeline with as many workgroups are taken to cost alike: (pipeline, workgroups).
pub(crate) type Key = (u32, u32);

/// A launch, a part of one, or a copy in a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// None for copies, of which nothing is learned.
    pub key: Option<Key>,
    /// Nanoseconds it was thought to take.
    pub estimate: f64,
    /// Nanoseconds the whole launch was thought to take.
    pub whole: f64,
}

/// Nanoseconds below which no launch is thought to lie.
const LEAST: f64 = 1_000.0;

/// What is believed of an adapter before anything was measured: a slow one, so that the first slices are too short
/// rather than too long.
const FLOPS_PER_NANOSECOND: f64 = 4.0;
const BYTES_PER_NANOSECOND: f64 = 2.0;

/// A single measurement changes an estimate by no more than this factor: it may have been disturbed.
const MOST_CHANGE: f64 = 8.0;

/// Estimates of launches' costs.
#[derive(Debug)]
pub(crate) struct Costs {
    /// Nanoseconds of a whole launch.
    known: HashMap<Key, f64>,
    /// What launches turned out to take, over what their operations and bytes suggested.
    scale: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { known: HashMap::new(), scale: 1.0 }
    }
}

impl Costs {
    /// Nanoseconds of a whole launch, with what it computes and moves for where it was not seen yet.
    pub(crate) fn estimate(&self, key: Key, flops: u64, bytes: impl FnOnce() -> u64) -> f64 {
        let suggested = || {
            let moved = bytes() as f64 / BYTES_PER_NANOSECOND;
            self.scale * moved.max(flops as f64 / FLOPS_PER_NANOSECOND)
        };
        self.known.get(&key).copied().unwrap_or_else(suggested).max(LEAST)
    }

    /// Nanoseconds of copying `bytes`.
    pub(crate) fn copy(&self, bytes: u64) -> f64 {
        (self.scale * bytes as f64 / BYTES_PER_NANOSECOND).max(LEAST)
    }

    /// Learns from a slice that took between `least` and `most` nanoseconds: estimates change by the factor that is
    /// missing, those of launches seen before by its square root.
    pub(crate) fn learn(&mut self, shares: &[Share], [least, most]: [f64; 2]) {
        let mut sums: HashMap<Key, Share> = HashMap::new();
        for share in shares {
            let Some(key) = share.key else { continue };
            sums.entry(key).and_modify(|sum| sum.estimate += share.estimate).or_insert(*share);
        }
        let total: f64 = sums.values().map(|share| share.estimate).sum();
        if total <= 0.0 {
            return;
        }
        let factor = (total.clamp(least.min(most), most) / total).clamp(1.0 / MOST_CHANGE, MOST_CHANGE);
        let mut unseen = 0.0;
        for (&key, share) in &sums {
            let seen = self.known.contains_key(&key);
            unseen += if seen { 0.0 } else { share.estimate };
            let known = self.known.entry(key).or_insert(share.whole);
            *known = (*known * if seen { factor.sqrt() } else { factor }).max(LEAST);
        }
        self.scale *= factor.powf(0.5 * unseen / total);
    }
}

#[cfg(test)]
mod tests {
    use super::{Costs, Key, Share};

    /// A step of five launches on an adapter that is a hundred times faster, or slower, than was believed: after thirty
    /// steps in slices of three, what slices are thought to take is within a fifth of what they take.
    #[test]
    fn estimates_of_slices_come_true() {
        for speed in [100.0, 0.01] {
            let mut costs = Costs::default();
            let launches = [(1e6, 3.0), (4e6, 0.5), (2e4, 1.0), (9e5, 2.0), (9e5, 1.0)];
            let keys: Vec<Key> = (0..5).map(|i| (i, 64)).collect();
            let mut worst = f64::MAX;
            for round in 0..60 {
                let at = |j: usize| (3 * round + j) % 5;
                let share = |i: usize| {
                    let whole = costs.estimate(keys[i], launches[i].0 as u64, || 0);
                    Share { key: Some(keys[i]), estimate: whole, whole }
                };
                let shares: Vec<Share> = (0..3).map(|j| share(at(j))).collect();
                // A launch takes what its operations suggest, times its own oddity, over the adapter's speed.
                let truth: f64 = (0..3).map(|j| launches[at(j)].0 * launches[at(j)].1 / speed).sum();
                let thought: f64 = shares.iter().map(|share| share.estimate).sum();
                worst = if round < 50 { 1.0 } else { f64::max(worst, (thought / truth).ln().abs().exp()) };
                costs.learn(&shares, [truth, truth]);
            }
            assert!(worst < 1.2, "off by a factor of {worst} at speed {speed}");
        }
    }

    #[test]
    fn bounds_alone_move_an_estimate_only_as_far_as_they_say() {
        let mut costs = Costs::default();
        let key = (0, 8);
        let whole = costs.estimate(key, 4_000_000, || 0);
        let share = Share { key: Some(key), estimate: whole, whole };
        costs.learn(&[share], [0.0, 2.0 * whole]);
        assert_eq!(costs.estimate(key, 0, || 0), whole);
        costs.learn(&[share], [4.0 * whole, f64::INFINITY]);
        assert!(
            (costs.estimate(key, 0, || 0) / whole - 2.0).abs() < 1e-9,
            "half of the factor, in the exponent"
        );
    }
}
