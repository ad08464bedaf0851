//! [`Stepper`]: training between an application's frames.

use std::time::Duration;

use wgrad_autograd::device::{Slice, Slicer, wgpu};
use wgrad_autograd::{Gpu, Tensor};

use crate::Result;
use crate::losses::{Losses, StepLoss};

/// Steps recorded for one slice at most. A model so small that a slice would hold more gains nothing by it, and
/// recording them takes time on the host.
const MOST_STEPS: usize = 64;

/// Trains in slices of a given GPU time, one or more a frame, on a device that an application draws with.
///
/// ```
/// use std::time::Duration;
/// use wgrad_autograd::{Gpu, Tensor};
/// use wgrad_nn::{Linear, Optimizer, Sgd, SgdOptions, build};
/// use wgrad_train::Stepper;
///
/// let gpu = Gpu::new()?; // Or Gpu::from_wgpu, on the application's device.
/// let (model, params) = build(&gpu, 0, |b| Linear::new(&b.scope("line"), 1, 1))?;
/// let mut sgd = Sgd::new(&params, SgdOptions { lr: 0.1, ..Default::default() })?;
/// let x = Tensor::from_slice(&gpu, &[-1.0, 0.0, 1.0], &[3, 1])?;
///
/// let mut stepper = Stepper::new(&gpu);
/// stepper.set_max_steps(Some(10));
/// let mut losses = Vec::new();
/// while losses.len() < 10 {
///     // Once a frame: about 4 ms of training.
///     stepper.advance(Duration::from_millis(4), || {
///         let loss = model.forward(&x)?.mse_loss(&x)?;
///         sgd.step(&params.gradients(&loss)?)?;
///         Ok::<_, wgrad_train::Error>(loss)
///     })?;
///     losses.extend(stepper.losses()?);
/// }
/// assert!(losses[9].loss < losses[0].loss);
/// # Ok::<(), wgrad_train::Error>(())
/// ```
///
/// Nothing here waits for the device, and nothing polls a borrowed one: losses arrive as the application submits its own
/// frames, or polls. A step's first call compiles its kernels, which can take longer than a frame; a step run before
/// the first frame, or on another thread, keeps that out of sight. Use one `Stepper` a `Gpu`, whose steps may be those of
/// several models in turn. Weights are the same to the bit as after as many
/// whole steps.
pub struct Stepper {
    slicer: Slicer,
    losses: Losses,
    steps: u64,
    max_steps: Option<u64>,
    /// What the losses after those that were returned met.
    failed: Option<crate::Error>,
}

impl Stepper {
    /// For steps recorded on `gpu`.
    pub fn new(gpu: &Gpu) -> Self {
        Self { slicer: Slicer::new(gpu), losses: Losses::default(), steps: 0, max_steps: None, failed: None }
    }

    /// Records no step beyond this many in all; what is recorded goes on to be submitted.
    pub fn set_max_steps(&mut self, steps: Option<u64>) {
        self.max_steps = steps;
    }

    /// Submits training for about `budget` of GPU time, unless two slices are still unfinished. Where what is recorded
    /// is less, `record` is called to record a whole training step and give its loss, a scalar. A budget of zero records
    /// nothing, and submits the least that can be of what is left.
    ///
    /// # Errors
    /// What `record` returns, and what the device reports.
    pub fn advance<E: From<crate::Error>>(
        &mut self,
        budget: Duration,
        record: impl FnMut() -> Result<Tensor, E>,
    ) -> Result<Slice, E> {
        self.record(budget, record)?;
        Ok(self.slicer.submit(budget).map_err(crate::Error::from)?)
    }

    /// As [`Stepper::advance`], but leaves the submission to the application, which is to submit `encoder` before
    /// anything else of this `Gpu` is submitted or encoded into another encoder.
    ///
    /// # Errors
    /// As [`Stepper::advance`], but wgpu tells the application, when that finishes and submits the encoder, what it has
    /// against the commands.
    pub fn encode_into<E: From<crate::Error>>(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        budget: Duration,
        record: impl FnMut() -> Result<Tensor, E>,
    ) -> Result<Slice, E> {
        self.record(budget, record)?;
        Ok(self.slicer.encode_into(encoder, budget).map_err(crate::Error::from)?)
    }

    /// Records steps until `budget` is full, if a slice may be submitted now.
    fn record<E: From<crate::Error>>(
        &mut self,
        budget: Duration,
        mut record: impl FnMut() -> Result<Tensor, E>,
    ) -> Result<(), E> {
        if !self.slicer.ready().map_err(crate::Error::from)? {
            return Ok(());
        }
        let mut recorded = self.slicer.pending_time();
        let mut step = None;
        for _ in 0..MOST_STEPS {
            let enough = self.max_steps.is_some_and(|most| self.steps >= most);
            if enough || recorded >= budget {
                break;
            }
            let loss = record()?;
            self.steps += 1;
            self.losses.push(self.steps, &loss)?;
            // Steps are alike, and estimating all that is recorded takes as long as there are launches.
            let one = *step.get_or_insert_with(|| self.slicer.pending_time().saturating_sub(recorded));
            recorded += one;
        }
        Ok(())
    }

    /// The losses that have arrived since this was last asked, in the order of steps. To be asked for every few frames:
    /// each holds a small buffer until then.
    ///
    /// # Errors
    /// What the device reports, once the losses before it were returned; that step's loss is then missing.
    pub fn losses(&mut self) -> Result<Vec<StepLoss>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut arrived = Vec::new();
        loop {
            match self.losses.arrived() {
                Ok(Some(loss)) => arrived.push(loss),
                Ok(None) => return Ok(arrived),
                Err(error) if arrived.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    return Ok(arrived);
                }
            }
        }
    }

    /// Steps recorded so far; the last may still be running, or waiting for its next slice.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Measured GPU times of the slices that finished since this was last asked; needs timestamps.
    pub fn slice_times(&mut self) -> impl Iterator<Item = Duration> + '_ {
        self.slicer.times()
    }
}
