//! [`Trainer`]: epochs over any data set, for any model and any loss.

mod average;
mod batches;
mod builder;
mod callback;
mod checkpoints;
mod confusion;
mod early_stopping;
mod epoch;
mod evaluate;
mod finder;
mod fold;
mod folder;
mod gradient_mean;
mod history;
mod interrupt;
mod logger;
mod means;
mod memory;
mod metric;
mod output;
mod penalty;
mod pending;
mod progress;
mod ranks;
mod reader;
mod run;
mod running;
mod schedule;
mod state;
mod step;
mod time_limit;
mod train_metrics;
mod weights;

use wgrad_data::{Batch, Batches};
use wgrad_nn::{Mode, Optimizer, Parameters};

use crate::Result;
use crate::parallel::DataParallel;

use average::WeightAverage;
pub use average::{Averaging, Ema, Swa};
pub use callback::{Callback, Fit, Moment, Saved};
pub use checkpoints::Checkpoints;
use confusion::Confusion;
pub use early_stopping::EarlyStopping;
pub use evaluate::evaluate;
pub use finder::{LrFinder, LrSearch};
pub use fold::{CrossValidation, cross_validate};
pub use folder::Folder;
pub use history::{Ended, EpochRecord, History};
pub use interrupt::Interrupt;
pub use logger::Logger;
pub(crate) use means::Means;
pub use memory::StepMemory;
pub use metric::{Accumulator, Metric};
pub use output::Output;
pub use penalty::Penalty;
pub(crate) use pending::LOSS;
use schedule::Rates;
pub(crate) use state::SCHEMA;
pub use state::averaged;
pub use time_limit::TimeLimit;
use train_metrics::TrainMetrics;

/// Trains any model on any data set by any loss: epochs, validation, checkpoints and what else is asked of it. Counterpart: a
/// Lightning `Trainer`.
///
/// ```
/// use wgrad_autograd::{Gpu, Tensor};
/// use wgrad_data::TensorBatches;
/// use wgrad_nn::{Linear, Sgd, SgdOptions, build};
/// use wgrad_train::Trainer;
///
/// let gpu = Gpu::new()?;
/// let (model, params) = build(&gpu, 0, |b| Linear::new(&b.scope("line"), 1, 1))?;
/// let x = Tensor::from_slice(&gpu, &[-1.0, -0.5, 0.5, 1.0], &[4, 1])?;
/// let train = TensorBatches::new(&x, &x.mul_add_scalar(2.0, 1.0)?)?;
///
/// let sgd = Sgd::new(&params, SgdOptions { lr: 0.2, ..Default::default() })?;
/// let history = Trainer::new(&params, sgd).batch_size(2).epochs(30).fit(&train, |batch, _| {
///     Ok(model.forward(&batch.x)?.mse_loss(&batch.y)?)
/// })?;
/// assert!(history.last("train_loss").is_some_and(|loss| loss < 1e-3));
/// # Ok::<(), wgrad_train::Error>(())
/// ```
///
/// The closure gets a batch and the mode, and gives the loss, a mean over the batch's rows, or an [`Output`] with more. Losses
/// and metrics of an epoch are over all its rows, whatever the batches.
pub struct Trainer<'a, B = Batch> {
    parameters: Parameters,
    optimizer: Box<dyn Optimizer + 'a>,
    plan: Plan,
    parallel: DataParallel,
    rates: Rates<'a>,
    averaging: Option<Averaging>,
    average: Option<WeightAverage>,
    valid: Option<Box<dyn Batches<Batch = B> + 'a>>,
    confusion: Option<Confusion>,
    metrics: Vec<Box<dyn Metric + 'a>>,
    train_metrics: TrainMetrics<'a>,
    callbacks: Vec<Box<dyn Callback + 'a>>,
    loggers: Vec<Box<dyn Logger + 'a>>,
}

/// How a fit goes.
struct Plan {
    epochs: usize,
    batch_size: usize,
    seed: u64,
    shuffle: bool,
    drop_last: bool,
    accumulate: usize,
    clip_norm: Option<f32>,
    clip_value: Option<f32>,
    non_finite: NonFinite,
    max_steps: Option<u64>,
    progress: bool,
    config: String,
    interrupt: Interrupt,
    /// What is printed of an epoch.
    line: fn(&EpochRecord, usize) -> String,
}

impl Plan {
    /// The rows that an epoch takes of a data set of so many.
    fn epoch_rows(&self, rows: usize, parallel: &DataParallel) -> usize {
        parallel.epoch_rows(rows, self.batch_size, self.drop_last)
    }

    /// Fails where an epoch takes no rows at all.
    fn check_rows(&self, rows: usize, parallel: &DataParallel) -> Result<()> {
        let ranks = parallel.size();
        let message = if rows == 0 {
            "the training set is empty: it needs at least one row".to_owned()
        } else if rows < ranks {
            format!("{rows} rows of training data for {ranks} ranks: each needs one at least")
        } else if self.epoch_rows(rows, parallel) == 0 {
            let why = "drop_last leaves out all of them: take a smaller batch size, or drop nothing";
            format!("{rows} rows make no batch of {}, and {why}", self.batch_size.saturating_mul(ranks))
        } else {
            return Ok(());
        };
        Err(crate::Error::Usage(message))
    }
}

/// What happens where a gradient's norm or a loss is infinite or NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// The fit ends with an error. Where gradients are clipped, the norm that they had is looked at before the step, which waits for
    /// the device each time: parameters are as they were. Otherwise the loss shows it, a few steps late.
    #[default]
    Stop,
    /// As `Stop`, but nothing waits: the norm is looked at a few steps late, and parameters are of no use then.
    StopLate,
    /// The step is skipped and logged: parameters, buffers such as batch norm's running values, optimizer, schedule and averages stay
    /// as they were. It waits for the device in each step.
    Skip,
}

/// A reference to a data set as a data set of a known size.
pub(crate) struct ByRef<'s, S: ?Sized>(pub &'s S);

impl<S: Batches + ?Sized> Batches for ByRef<'_, S> {
    type Batch = S::Batch;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn set_order(&self, order: wgrad_data::Order) -> wgrad_data::Result<()> {
        self.0.set_order(order)
    }

    fn batch(&self, start: usize, rows: usize) -> wgrad_data::Result<Self::Batch> {
        self.0.batch(start, rows)
    }

    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }
}

impl<'a, B> Trainer<'a, B> {
    /// The optimizer.
    pub fn optimizer(&self) -> &(dyn Optimizer + 'a) {
        &*self.optimizer
    }

    /// Trains until the epochs or the steps are done, a callback asks for the end, or somebody interrupts.
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`], [`crate::Error::GradientNotFinite`] and [`crate::Error::WeightNotFinite`] for numbers that are
    /// none; [`crate::Error::Usage`] for options that make no sense; [`crate::Error::Checkpoint`] for a state that does not belong
    /// to this run; and what `forward`, the data set, callbacks, loggers and the device report.
    pub fn fit<O: Into<Output>>(
        &mut self,
        train: &(impl Batches<Batch = B> + ?Sized),
        mut forward: impl FnMut(&B, Mode) -> Result<O>,
    ) -> Result<History> {
        run::Run::new(self, &ByRef(train), &mut |batch, mode| Ok(forward(batch, mode)?.into())).run()
    }
}
