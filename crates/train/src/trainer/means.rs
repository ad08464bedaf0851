//! Means of losses, weighted by rows.

use std::fmt::Write as _;

use super::pending::LOSS;

/// Named sums, each with the weight of what was added, in the order in which the names came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Means(Vec<(String, f64, f64)>);

impl Means {
    pub(crate) fn add(&mut self, name: &str, value: f64, weight: f64) {
        self.add_sum(name, value * weight, weight);
    }

    /// Adds a sum of values times weights, and the sum of these weights.
    pub(crate) fn add_sum(&mut self, name: &str, more: f64, weight: f64) {
        match self.0.iter_mut().find(|(known, ..)| known == name) {
            Some((_, sum, total)) => {
                *sum += more;
                *total += weight;
            }
            None => self.0.push((name.to_owned(), more, weight)),
        }
    }

    /// Calls `f` with the name, sum and weight of each.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&str, f64, f64)) {
        self.0.iter().for_each(|(name, sum, weight)| f(name, *sum, *weight));
    }

    /// The means, each name behind `prefix`. Without any weight a mean is NaN, and that of the loss is there in any case.
    pub(crate) fn figures(&self, prefix: &str) -> Vec<(String, f64)> {
        let none = [(LOSS.to_owned(), 0.0, 0.0)];
        let means = if self.0.is_empty() { &none[..] } else { &self.0 };
        means.iter().map(|(name, sum, weight)| (format!("{prefix}{name}"), sum / weight)).collect()
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.0.iter().all(|(_, sum, _)| sum.is_finite())
    }

    /// The sum of `name`; 0 if there is none.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, ..)| known == name).map_or(0.0, |(_, sum, _)| *sum)
    }

    /// The mean of `name`; NaN if there is none.
    pub(crate) fn mean(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(known, ..)| known == name);
        found.map_or(f64::NAN, |(_, sum, weight)| sum / weight)
    }

    /// All of it, to the bit.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, sum, weight) in &self.0 {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:016x} {:016x} {name}", sum.to_bits(), weight.to_bits());
        }
        text
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let line = |line: &str| {
            let mut parts = line.splitn(3, ' ');
            let mut bits = || Some(f64::from_bits(u64::from_str_radix(parts.next()?, 16).ok()?));
            let (sum, weight) = (bits()?, bits()?);
            Some((parts.next()?.to_owned(), sum, weight))
        };
        text.lines().map(line).collect::<Option<_>>().map(Self)
    }
}
