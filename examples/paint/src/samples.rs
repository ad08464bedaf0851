//! The labelled drawings to learn from.

use wgrad::data::{self, Images};

use crate::glyphs::{Glyph, Hand};
use crate::raster::{PIXELS, Pixels, SIDE};

/// Classes that a network can tell apart at most.
pub const MOST_CLASSES: usize = 10;

/// Samples that are kept at most.
pub const MOST_SAMPLES: usize = 1024;

/// Samples of each class that [`Samples::synthetic`] draws.
const SYNTHETIC: usize = 24;

pub struct Sample {
    pub pixels: Pixels,
    pub label: usize,
}

/// Drawings with their labels, and the classes' names.
pub struct Samples {
    names: Vec<String>,
    list: Vec<Sample>,
    revision: u64,
}

impl Samples {
    /// Classes of these names, of which nothing is drawn yet.
    pub fn new(names: &[&str]) -> Self {
        Self { names: names.iter().map(ToString::to_string).collect(), list: Vec::new(), revision: 0 }
    }

    /// Drawings of each glyph by a shaky hand.
    pub fn synthetic(glyphs: &[Glyph], seed: u64) -> Self {
        let names: Vec<&str> = glyphs.iter().map(|glyph| glyph.name).collect();
        let mut samples = Self::new(&names);
        let mut hand = Hand::new(seed);
        for i in 0..SYNTHETIC * glyphs.len() {
            let label = i % glyphs.len();
            samples.add(hand.draw(&glyphs[label]), label);
        }
        samples
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of class `label`, to be edited.
    pub fn name_mut(&mut self, label: usize) -> Option<&mut String> {
        self.names.get_mut(label)
    }

    pub fn add_class(&mut self) {
        if self.names.len() < MOST_CLASSES {
            self.names.push(format!("class {}", self.names.len() + 1));
            self.revision += 1;
        }
    }

    pub fn list(&self) -> &[Sample] {
        &self.list
    }

    /// A number that changes whenever samples or the number of classes do.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn count(&self, label: usize) -> usize {
        self.list.iter().filter(|sample| sample.label == label).count()
    }

    /// Whether there is anything to tell apart: drawings of two classes.
    pub fn enough(&self) -> bool {
        self.list.iter().any(|sample| sample.label != self.list[0].label)
    }

    /// Adds a drawing; does nothing for a class that does not exist, or once there are [`MOST_SAMPLES`].
    pub fn add(&mut self, pixels: Pixels, label: usize) {
        if label < self.names.len() && self.list.len() < MOST_SAMPLES {
            self.list.push(Sample { pixels, label });
            self.revision += 1;
        }
    }

    pub fn remove(&mut self, index: usize) {
        if index < self.list.len() {
            self.list.remove(index);
            self.revision += 1;
        }
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.revision += 1;
    }

    /// All samples as a data set, repeated until there are at least `least`, so that a batch of that size can always be
    /// taken: augmentation makes each repetition different.
    ///
    /// # Errors
    /// If there are no classes.
    pub fn images(&self, least: usize) -> data::Result<Images> {
        let rounds = least.div_ceil(self.list.len().max(1));
        let repeated = || (0..rounds).flat_map(|_| &self.list);
        let mut pixels = Vec::with_capacity(rounds * self.list.len() * PIXELS);
        repeated().for_each(|sample| pixels.extend_from_slice(&sample.pixels));
        let labels = repeated().map(|sample| sample.label as u8).collect();
        Images::new([1, SIDE, SIDE], self.names.clone(), pixels, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs::SHAPES;

    #[test]
    fn few_samples_are_repeated() {
        let mut samples = Samples::new(&["a", "b"]);
        assert!(!samples.enough());
        samples.add([1; PIXELS], 0);
        samples.add([2; PIXELS], 0);
        assert!(!samples.enough());
        samples.add([3; PIXELS], 1);
        assert!(samples.enough());
        let images = samples.images(8).unwrap();
        assert_eq!(images.labels, [0, 0, 1, 0, 0, 1, 0, 0, 1]);
        assert_eq!(images.image(7).unwrap(), [2; PIXELS]);
    }

    #[test]
    fn synthetic_samples_are_balanced_and_fit() {
        let samples = Samples::synthetic(&SHAPES, 0);
        for label in 0..SHAPES.len() {
            assert_eq!(samples.count(label), SYNTHETIC);
        }
        assert!(samples.list().len() <= MOST_SAMPLES);
    }

    #[test]
    fn what_does_not_exist_is_ignored() {
        let mut samples = Samples::new(&["a"]);
        samples.add([0; PIXELS], 1);
        samples.remove(0);
        assert!(samples.list().is_empty());
        (0..20).for_each(|_| samples.add_class());
        assert_eq!(samples.names().len(), MOST_CLASSES);
    }
}
