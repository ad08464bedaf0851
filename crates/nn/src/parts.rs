//! Parts of the flat buffers that a backward pass completes one after the other, so that each can be sent while the walk goes on.

use std::ops::Range;

use wgrad_autograd::device::Pending;
use wgrad_autograd::{Error as OpError, Tensor};

use crate::{Error, FlatValues, Gradients, Parameters, Result};

/// Some parameters that lie side by side in a flat buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The flat buffer.
    pub flat: usize,
    /// The floats in it.
    pub range: Range<usize>,
    /// The parameters, by their places among [`Parameters::entries`].
    pub entries: Range<usize>,
}

impl Parameters {
    /// All parameters in parts of at least so many bytes, as far as the flat buffers allow, from the last declared to the first:
    /// about the order in which a backward pass comes to them. Parts depend on nothing but names and shapes.
    pub fn parts(&self, bytes: usize) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let entries = self.entries().iter().enumerate().rev();
        for (i, entry) in entries.filter(|(_, entry)| !entry.tensor.is_empty()) {
            // The last part begun takes the entry before it, unless it is large enough.
            let last =
                parts.last_mut().filter(|last| last.flat == entry.flat && last.range.len() * 4 < bytes);
            match last {
                Some(part) => (part.range.start, part.entries.start) = (entry.offset, i),
                None => {
                    let (flat, range) = (entry.flat, entry.offset..entry.end());
                    parts.push(Part { flat, range, entries: i..i + 1 });
                }
            }
        }
        parts
    }

    /// As [`Parameters::gradients`], and calls `done` with the place of each part among `parts` as soon as all that writes its gradients is
    /// recorded: once for each, in an order that the graph decides. [`Parameters::parts`] makes such parts. Places of parameters without a gradient
    /// hold zeros.
    ///
    /// # Errors
    /// As [`Parameters::gradients`], and what `done` fails with.
    pub fn gradients_by_part<E: From<Error>>(
        &self,
        loss: &Tensor,
        parts: &[Part],
        mut done: impl FnMut(&Gradients, usize) -> Result<(), E>,
    ) -> Result<Gradients, E> {
        let gradients = FlatValues::empty(self)?;
        let trainable: Vec<usize> =
            (0..self.entries().len()).filter(|&i| self.entries()[i].is_trainable()).collect();
        // Nothing writes the gradients of frozen parameters.
        let mut homes = Vec::with_capacity(trainable.len());
        let mut missing = vec![true; self.entries().len()];
        for &i in &trainable {
            let entry = &self.entries()[i];
            homes.push(entry.view_of(&gradients.flats()[entry.flat])?);
            missing[i] = false;
        }
        gradients.clear(&missing)?;
        let part_of = |i: usize| parts.iter().position(|part| part.entries.contains(&i));
        let mut left: Vec<usize> = vec![0; parts.len()];
        trainable.iter().filter_map(|&i| part_of(i)).for_each(|part| left[part] += 1);
        let mut waits = vec![true; parts.len()];
        let leaves: Vec<_> =
            trainable.iter().zip(&homes).map(|(&i, home)| (&self.entries()[i].tensor, home)).collect();
        let found = loss.backward_into_with(&leaves, |place| -> Result<(), Failed<E>> {
            let Some(part) = part_of(trainable[place]) else { return Ok(()) };
            left[part] -= 1;
            if left[part] == 0 {
                waits[part] = false;
                done(&gradients, part).map_err(Failed::Done)?;
            }
            Ok(())
        });
        let found = found.map_err(|error| match error {
            Failed::Op(error) => Error::from(error).into(),
            Failed::Done(error) => error,
        })?;
        let mut gradients = gradients;
        for &i in &trainable {
            match found.get(&self.entries()[i].tensor) {
                Some(_) => gradients.set_present(i),
                None => missing[i] = true,
            }
        }
        gradients.clear(&missing)?;
        // Parts with a parameter that has no gradient, or with none that could have one.
        (0..parts.len()).filter(|&part| waits[part]).try_for_each(|part| done(&gradients, part))?;
        Ok(gradients)
    }
}

/// What ended a walk.
enum Failed<E> {
    Op(OpError),
    Done(E),
}

impl<E> From<OpError> for Failed<E> {
    fn from(error: OpError) -> Self {
        Self::Op(error)
    }
}

impl FlatValues {
    /// Records a read of a part's values, paddings included, to be taken when they have arrived.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn read_part_later(&self, part: &Part) -> Result<Pending<f32>> {
        let flat = &self.flats()[part.flat];
        Ok(flat.narrow(0, part.range.start, part.range.len())?.read_later()?)
    }

    /// Overwrites a part's values, paddings included.
    ///
    /// # Errors
    /// [`Error::Options`] for another number of values, [`Error::Op`].
    pub fn write_part(&self, part: &Part, values: &[f32]) -> Result<()> {
        if values.len() != part.range.len() {
            let message = format!("{} values for a part of {}", values.len(), part.range.len());
            return Err(Error::Options { what: "write_part", message });
        }
        let whole = self.flats()[part.flat].bind();
        let place = whole.buffer.view(whole.offset + part.range.start as u64 * 4, values.len() as u64 * 4);
        Ok(self.parameters().gpu().write(&place, values).map_err(OpError::from)?)
    }

    /// Takes note that the parameters for which `present` says so have a value, and no others.
    ///
    /// # Errors
    /// [`Error::Options`] for another number of parameters.
    pub fn set_all_present(&mut self, present: &[bool]) -> Result<()> {
        if present.len() != self.present.len() {
            let message = format!("{} flags for {} parameters", present.len(), self.present.len());
            return Err(Error::Options { what: "set_all_present", message });
        }
        self.present.copy_from_slice(present);
        Ok(())
    }

    /// Which parameters have a value, in the order of declaration.
    pub fn present(&self) -> &[bool] {
        &self.present
    }
}
