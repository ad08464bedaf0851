//! [`Gradients`]: what a backward walk found.

use std::collections::HashMap;

use crate::Tensor;

/// The gradients that a backward walk found, by leaf. A leaf of another `Gpu` has none here.
#[derive(Debug, Default)]
pub struct Gradients(pub(crate) HashMap<u64, Tensor>);

impl Gradients {
    /// The gradient of `leaf`, in its shape; `None` if the loss does not depend on it.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        self.0.get(&leaf.id())
    }

    /// Takes the gradient of `leaf` out of the store.
    pub fn take(&mut self, leaf: &Tensor) -> Option<Tensor> {
        self.0.remove(&leaf.id())
    }

    /// Number of leaves with a gradient.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no leaf has a gradient.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
