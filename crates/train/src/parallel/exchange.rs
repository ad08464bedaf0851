//! Gradients of all ranks, added up while the backward pass goes on.

use std::collections::BTreeMap;

use wgrad_autograd::Tensor;
use wgrad_autograd::device::Pending;
use wgrad_distributed::{all_reduce, all_reduce_f64};
use wgrad_nn::{FlatValues, Gradients, Parameters, Part};

use super::DataParallel;
use crate::Result;

/// Parts that are on their way while the host goes on recording, where they come in their order.
const READ_AHEAD: usize = 3;

/// A rank's gradients of some batches, each times its factor, before anything of them is sent.
#[derive(Default)]
pub(crate) struct LocalGradients {
    gradients: Option<Gradients>,
    /// What the factors of all ranks come to.
    pub total: f64,
}

impl LocalGradients {
    /// Adds the gradient of a loss times `factor`.
    pub(crate) fn add(&mut self, parameters: &Parameters, loss: &Tensor, factor: f64) -> Result<()> {
        let loss = scaled(loss, factor)?;
        let gradients = parameters.with_void(factor == 0.0, || parameters.gradients(&loss))?;
        match &mut self.gradients {
            // The gradient of a mean over nothing may be anything.
            _ if factor == 0.0 => {}
            Some(sum) => sum.add(&gradients)?,
            None => self.gradients = Some(gradients),
        }
        Ok(())
    }
}

/// The factor is there from the root of the graph on: what one rank's loss does to another's, by statistics that they share, has it too.
fn scaled(loss: &Tensor, factor: f64) -> Result<Tensor> {
    Ok(if factor == 1.0 { loss.clone() } else { loss.mul_add_scalar(factor as f32, 0.0)? })
}

/// The exchange of one step's gradients: what comes of it is the sum over all ranks, each rank's times its factor, divided by the
/// sum of the factors.
pub(crate) struct Exchange<'a> {
    parallel: &'a DataParallel,
    parameters: &'a Parameters,
    parts: Vec<Part>,
    /// Parts on their way from the device, by their places. Ranks exchange them in order of places, in whichever order they come.
    reading: BTreeMap<usize, Pending<f32>>,
    /// The sums of the first parts.
    sums: Vec<Vec<f32>>,
    /// Whether this rank's gradient counts for nothing, and may be anything.
    is_void: bool,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(parallel: &'a DataParallel, parameters: &'a Parameters) -> Self {
        let parts = parameters.parts(parallel.bucket_bytes);
        Self { parallel, parameters, parts, reading: BTreeMap::new(), sums: Vec::new(), is_void: false }
    }

    /// Of the gradient of `loss`, begun while the backward pass goes on.
    pub(crate) fn of_loss(mut self, loss: &Tensor, factor: f64, total: f64) -> Result<Gradients> {
        self.is_void = factor == 0.0;
        let (parameters, loss, parts) = (self.parameters, scaled(loss, factor)?, self.parts.clone());
        let gradients = parameters.with_void(self.is_void, || {
            parameters.gradients_by_part(&loss, &parts, |all, part| self.ready(all, part))
        })?;
        self.finish(gradients, total)
    }

    /// Of a sum, which is nothing where no batch of this rank counted.
    pub(crate) fn of_sum(mut self, LocalGradients { gradients, total }: LocalGradients) -> Result<Gradients> {
        let gradients = gradients.map_or_else(|| FlatValues::zeros(self.parameters), Ok)?;
        for place in 0..self.parts.len() {
            self.ready(&gradients, place)?;
        }
        self.finish(gradients, total)
    }

    /// Takes a part as soon as its launches are recorded.
    fn ready(&mut self, gradients: &Gradients, place: usize) -> Result<()> {
        self.reading.insert(place, gradients.read_part_later(&self.parts[place])?);
        // The device begins with it now, and nothing of it waits for the rest of the backward pass.
        self.parameters.gpu().submit()?;
        while self.reading.len() > READ_AHEAD && self.reading.contains_key(&self.sums.len()) {
            self.exchange()?;
        }
        Ok(())
    }

    /// Waits for the next part, and adds it up over ranks while the device goes on.
    fn exchange(&mut self) -> Result<()> {
        let place = self.sums.len();
        let Some(values) = self.reading.remove(&place) else { return Ok(()) };
        let (part, mut values) = (&self.parts[place], values.wait()?);
        if self.is_void {
            values.fill(0.0);
        }
        // What lies between parameters may be anything, and would count where values have a scale in common.
        let mut end = part.range.start;
        for entry in &self.parameters.entries()[part.entries.clone()] {
            values[end - part.range.start..entry.offset - part.range.start].fill(0.0);
            end = entry.offset + entry.tensor.numel();
        }
        all_reduce(&*self.parallel.ranks, &mut values, self.parallel.wire)?;
        self.sums.push(values);
        Ok(())
    }

    fn finish(mut self, mut gradients: Gradients, total: f64) -> Result<Gradients> {
        while !self.reading.is_empty() {
            self.exchange()?;
        }
        // A parameter that has a gradient on one rank has one.
        let own = gradients.present().iter().map(|&present| f64::from(u8::from(present)));
        let mut ranks: Vec<f64> = own.collect();
        all_reduce_f64(&*self.parallel.ranks, &mut ranks)?;
        for (part, mut sums) in self.parts.iter().zip(self.sums) {
            sums.iter_mut().for_each(|sum| *sum = (f64::from(*sum) / total) as f32);
            gradients.write_part(part, &sums)?;
        }
        let present: Vec<bool> = ranks.iter().map(|&ranks| ranks > 0.0).collect();
        gradients.set_all_present(&present)?;
        Ok(gradients)
    }
}
