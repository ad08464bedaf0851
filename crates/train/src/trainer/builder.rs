//! What a [`Trainer`] is told before it trains.

use wgrad_data::Batches;
use wgrad_nn::{Optimizer, Parameters, ReduceOnPlateau, Schedule};

use super::{
    Averaging, ByRef, Callback, Confusion, EpochRecord, NonFinite, Plan, Rates, TrainMetrics, Trainer,
};
use crate::metrics::Outputs;
use crate::{DataParallel, Interrupt, Logger, Metric};

impl<'a, B> Trainer<'a, B> {
    /// A trainer of these parameters by this optimizer: 10 epochs of batches of 64 rows, shuffled, without anything else.
    pub fn new(parameters: &Parameters, optimizer: impl Optimizer + 'a) -> Self {
        let plan = Plan {
            epochs: 10,
            batch_size: 64,
            seed: 0,
            shuffle: true,
            drop_last: false,
            accumulate: 1,
            clip_norm: None,
            clip_value: None,
            non_finite: NonFinite::Stop,
            max_steps: None,
            progress: true,
            config: String::new(),
            interrupt: Interrupt::default(),
            line,
        };
        Self {
            parameters: parameters.clone(),
            optimizer: Box::new(optimizer),
            plan,
            parallel: DataParallel::solo(),
            rates: Rates::Own,
            averaging: None,
            average: None,
            valid: None,
            confusion: None,
            metrics: Vec::new(),
            train_metrics: TrainMetrics::default(),
            callbacks: Vec::new(),
            loggers: Vec::new(),
        }
    }

    /// Sets the number of passes over the training set.
    #[must_use]
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.plan.epochs = epochs;
        self
    }

    /// Sets the number of rows of a batch; the last one of an epoch may have fewer.
    #[must_use]
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.plan.batch_size = rows;
        self
    }

    /// Has several ranks train this model together, each of which calls [`Trainer::fit`] with the same data, the same options and a
    /// model that was built alike. [`DataParallel`] says what a step is then.
    #[must_use]
    pub fn parallel(mut self, parallel: DataParallel) -> Self {
        self.parallel = parallel;
        self
    }

    /// Sets the seed of the order of the rows, and of what happens to them at random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// Sets whether each epoch takes the rows in a new order, as it does by default, or in the data set's own.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.plan.shuffle = shuffle;
        self
    }

    /// Leaves an epoch's last batch out where it has fewer rows than the others; shuffled epochs leave out other rows each. A data set
    /// of fewer rows than a batch is then an error. Counterpart: `drop_last` of PyTorch's `DataLoader`.
    #[must_use]
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.plan.drop_last = drop_last;
        self
    }

    /// Makes an optimizer step of so many batches: the gradient is that of one batch of all their rows. An epoch's last step has
    /// the batches that are left.
    #[must_use]
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.plan.accumulate = batches;
        self
    }

    /// Bounds the norm of the gradient of a step, over all parameters. Counterpart: `torch.nn.utils.clip_grad_norm_`. It waits for
    /// the norm before each step, unless [`NonFinite::StopLate`] says otherwise.
    #[must_use]
    pub fn clip_norm(mut self, most: f32) -> Self {
        self.plan.clip_norm = Some(most);
        self
    }

    /// Bounds each value of the gradient of a step, before its norm is bounded. Counterpart: `torch.nn.utils.clip_grad_value_`, but
    /// for gradients whose norm is not a finite f32: they count as [`NonFinite`] says. It waits for the norm as [`Trainer::clip_norm`] does.
    #[must_use]
    pub fn clip_value(mut self, most: f32) -> Self {
        self.plan.clip_value = Some(most);
        self
    }

    /// Sets what happens where a gradient or a loss is infinite or NaN.
    #[must_use]
    pub fn non_finite(mut self, non_finite: NonFinite) -> Self {
        self.plan.non_finite = non_finite;
        self
    }

    /// Ends a fit after so many optimizer steps.
    #[must_use]
    pub fn max_steps(mut self, steps: impl Into<Option<u64>>) -> Self {
        self.plan.max_steps = steps.into();
        self
    }

    /// Sets the learning rate of each optimizer step; otherwise it is the optimizer's own. Steps count from 0, however many batches
    /// they have; skipped ones do not count.
    #[must_use]
    pub fn schedule(mut self, schedule: impl Schedule + 'a) -> Self {
        self.rates = Rates::Steps(Box::new(schedule));
        self
    }

    /// As [`Trainer::schedule`], made by a closure that gets the number of optimizer steps of the fit.
    #[must_use]
    pub fn schedule_for<S: Schedule + 'a>(mut self, make: impl Fn(u64) -> wgrad_nn::Result<S> + 'a) -> Self {
        let make = Box::new(move |total| Ok(Box::new(make(total)?) as Box<dyn Schedule + 'a>));
        self.rates = Rates::Made { make, made: None };
        self
    }

    /// Sets learning rates that fall when a figure of the epochs, such as `val_loss`, no longer gets better. Counterpart:
    /// `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    #[must_use]
    pub fn reduce_on_plateau(mut self, figure: impl Into<String>, schedule: ReduceOnPlateau) -> Self {
        self.rates = Rates::Plateau { figure: figure.into(), first: schedule, schedule };
        self
    }

    /// Keeps an average of the weights: [`Ema`](crate::Ema) or [`Swa`](crate::Swa). Validation uses it, and the model has it
    /// when the fit ends without an error. Training goes on from the raw weights, and checkpoints have both.
    #[must_use]
    pub fn average(mut self, averaging: impl Into<Averaging>) -> Self {
        self.averaging = Some(averaging.into());
        self
    }

    /// Computes the loss and the metrics over this data set after each epoch.
    #[must_use]
    pub fn validate<S: Batches<Batch = B> + ?Sized>(mut self, set: &'a S) -> Self
    where
        B: 'a,
    {
        self.valid = Some(Box::new(ByRef(set)));
        self
    }

    /// Keeps the confusion matrix of the validation rows of each epoch: [`EpochRecord::confusion`]. Where outputs have one score for
    /// each row, those above the probability `threshold` are of class 1.
    #[must_use]
    pub fn confusion(mut self, outputs: Outputs, threshold: f32) -> Self {
        self.confusion = Some(Confusion::new(outputs, threshold));
        self
    }

    /// Adds a metric of the validation set.
    #[must_use]
    pub fn metric(mut self, metric: impl Metric + 'a) -> Self {
        self.metrics.push(Box::new(metric));
        self
    }

    /// Adds a metric of the training rows, `train_<name>` in the history. It judges what the steps of the epoch themselves predict, in
    /// [`Mode::Train`](wgrad_nn::Mode::Train) and by weights that change from step to step, so it takes no second pass over the rows.
    /// Skipped steps do not count. Checkpoints keep what was counted so far: see
    /// [`Accumulator::save_state`](crate::Accumulator::save_state).
    #[must_use]
    pub fn train_metric(mut self, metric: impl Metric + 'a) -> Self {
        self.train_metrics.add(metric);
        self
    }

    /// Adds a callback; they are called in the order in which they were added.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Adds a logger.
    #[must_use]
    pub fn logger(mut self, logger: impl Logger + 'a) -> Self {
        self.loggers.push(Box::new(logger));
        self
    }

    /// Sets the configuration of the run as a text, which checkpoints keep.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.plan.config = text.into();
        self
    }

    /// Ends a fit after its current step when somebody sets `interrupt`.
    #[must_use]
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.plan.interrupt = interrupt.clone();
        self
    }

    /// Sets whether the fit shows its progress: a bar on a terminal, otherwise a line now and then, and a line for each epoch. It
    /// does by default, where the crate has its feature `terminal`.
    #[must_use]
    pub fn progress(mut self, shown: bool) -> Self {
        self.plan.progress = shown;
        self
    }

    /// Sets what is printed of an epoch.
    pub(crate) fn line(mut self, line: fn(&EpochRecord, usize) -> String) -> Self {
        self.plan.line = line;
        self
    }
}

/// What is printed of an epoch: its figures, but for the learning rate.
fn line(record: &EpochRecord, epochs: usize) -> String {
    let mut line = format!("epoch {}/{epochs}", record.epoch);
    for (name, value) in &record.figures {
        match name.as_str() {
            "lr" => {}
            "seconds" => line += &format!("  {value:.1} s"),
            name => line += &format!("  {} {value:.4}", name.replace('_', " ")),
        }
    }
    line
}
