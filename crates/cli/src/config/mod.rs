//! Configurations: what is trained, on what, and how. A flat TOML file; presets are such files, and so is what a run folder keeps.

mod bytes;
mod model;
mod names;
mod read;

use std::path::PathBuf;

pub use bytes::Bytes;
pub use names::{Generator, Kind, Loss, MissingName, OptimizerName, ScheduleName, WireName};
pub use read::KEYS;

use crate::architecture::ActivationName;

/// Declares [`Config`], and what is the same for each of its keys.
macro_rules! config {
    ($($(#[doc = $doc:literal])* $key:ident: $type:ty,)*) => {
        /// What is trained, on what, and how. Keys that are not given are chosen to suit the data.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Config {
            $($(#[doc = $doc])* pub $key: Option<$type>,)*
        }

        impl Config {
            /// The keys, with a line about each.
            pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($key), concat!($($doc),*)),)*];

            /// Sets a key; fails with what is wrong with the value. `false` if there is no such key.
            pub(crate) fn put(&mut self, key: &str, value: toml::Value) -> Result<bool, String> {
                match key {
                    $(stringify!($key) => {
                        let value = value.try_into().map_err(|error: toml::de::Error| {
                            error.message().lines().next().unwrap_or_default().to_owned()
                        })?;
                        self.$key = Some(value);
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// The keys that are set, with their values.
            pub(crate) fn entries(&self) -> Vec<(&'static str, toml::Value)> {
                let mut entries = Vec::new();
                $(if let Some(value) = self.$key.as_ref().and_then(|value| toml::Value::try_from(value).ok()) {
                    entries.push((stringify!($key), value));
                })*
                entries
            }
        }
    };
}

config! {
    /// A folder of images, of CIFAR-10 or of idx files, a table (CSV), or tensors x and y (safetensors)
    data: PathBuf,
    /// Data made from the seed instead: two-features, xor, blobs, line, figures, digits
    generate: Generator,
    /// Rows to make for training
    samples: usize,
    /// Rows to make for validation
    test_samples: usize,
    /// The column of a table to predict
    target: String,
    /// Columns of a table that are left out, such as names and numbers of rows
    ignored: Vec<String>,
    /// Columns of a table that are categories, although their values look like numbers
    categories: Vec<String>,
    /// What becomes of missing values in a table: mean, median, most-frequent, drop (of the row), error; mean unless set
    missing: MissingName,
    /// Texts that stand for a missing value, beside NA, N/A, NaN, nan, null, NULL, None and ?
    missing_markers: Vec<String>,
    /// The most categories that a column of texts may have: 100 unless set
    max_categories: usize,
    /// The share of the rows kept for validation, where the data has no such part of its own
    validation: f64,
    /// Parts that the rows are divided into: each validates a model that was trained on the others
    folds: usize,
    /// The part that validates, counted from 1: all of them in turn unless set (folds)
    fold: usize,
    /// Whether numeric columns, or tensors, become z-scores
    standardize: bool,
    /// The kind of model: linear, mlp, cnn, resnet9
    model: Kind,
    /// Numbers of a sample (linear, mlp)
    inputs: usize,
    /// Numbers that come out: the number of classes, or 1
    outputs: usize,
    /// Planes of an image (cnn, resnet9)
    channels: usize,
    /// Rows and columns of an image (cnn, resnet9); images of other sizes are resized
    size: [usize; 2],
    /// Neurons of each hidden layer (mlp)
    hidden: Vec<usize>,
    /// What follows hidden layers: none, relu, gelu, silu, tanh, sigmoid (mlp)
    activation: ActivationName,
    /// What follows the last layer (linear, mlp)
    output_activation: ActivationName,
    /// Channels of each convolution (cnn)
    widths: Vec<usize>,
    /// Channels of the first convolution (resnet9)
    width: usize,
    /// The loss: cross-entropy, focal, hinge, dice, bce, mse, l1, smooth-l1, huber
    loss: Loss,
    /// How much less what is certain counts: 2 unless set (focal)
    focal_gamma: f32,
    /// The factor of class 1, that of class 0 being one minus it: 0.25 unless set (focal with one output)
    focal_alpha: f32,
    /// By how much the right class's score has to be above the others: 1 unless set (hinge)
    hinge_margin: f32,
    /// Added to both sides of the fraction: 1e-5 unless set (dice)
    dice_smooth: f32,
    /// The error at which the square ends and the straight line begins: 1 unless set (smooth-l1)
    smooth_l1_beta: f32,
    /// The error at which the square ends and the straight line begins: 1 unless set (huber)
    huber_delta: f32,
    /// The optimizer: sgd, adam, adamw, amsgrad, nadam, rmsprop, adagrad, adadelta, lion, lamb, adafactor, muon
    optimizer: OptimizerName,
    /// The learning rate, or its peak
    lr: f64,
    /// The share of the velocity kept from step to step (sgd, rmsprop, muon)
    momentum: f64,
    /// Whether the momentum is Nesterov's (sgd, muon)
    nesterov: bool,
    /// The L2 penalty, or for adamw, lion, lamb, adafactor and muon the share of the weights taken off
    weight_decay: f64,
    /// The learning rate over the run: constant, one-cycle, cosine, cosine-restarts, linear, polynomial, step, multi-step,
    /// exponential, on-plateau
    schedule: ScheduleName,
    /// What the rate is multiplied by: 0.1 unless set (step, multi-step, on-plateau), or in each epoch, and needed (exponential)
    decay: f64,
    /// Epochs between two falls of the rate, counted from the end of a warm-up (step)
    decay_every: u64,
    /// Epochs after which the rate falls, counted from the end of a warm-up (multi-step)
    decay_at: Vec<u64>,
    /// The power of what is left of the run that the rate falls by: 1 unless set (polynomial)
    power: f64,
    /// Epochs of the first fall, after which the rate starts anew (cosine-restarts)
    restart_every: u64,
    /// How many times longer each fall is than the one before: 1 unless set (cosine-restarts)
    restart_factor: u64,
    /// Steps in which the rate rises first (not with one-cycle or on-plateau)
    warm_up: u64,
    /// Batches whose gradients make a step
    accumulate: usize,
    /// Whether batch norm takes the rows of all ranks together (resnet9, several ranks)
    sync_batch_norm: bool,
    /// What gradients are on their way between ranks: f32, or f16 in half the bytes
    wire: WireName,
    /// Has ranks make steps of their own, and averages weights after so many
    average_every: u64,
    /// Whether each rank keeps a part of the optimizer's state only
    shard_optimizer: bool,
    /// The L1 penalty: each step adds it, times the sign of each weight, to the gradient
    l1_penalty: f32,
    /// The largest norm that the gradient of a step may have
    clip_norm: f32,
    /// The largest size that a value of the gradient of a step may have
    clip_value: f32,
    /// Averages the weights: the share of the average that stays at a step, such as 0.999
    ema: f64,
    /// Averages the weights of all epochs from this one on, counted from 1
    swa: usize,
    /// Stops after so many epochs without a lower validation loss, and keeps the weights of the best
    patience: usize,
    /// By how much a validation loss has to be lower (patience)
    min_delta: f64,
    /// Stops after so many seconds
    time_limit: u64,
    /// Steps between two checkpoints; there is one after each epoch, or twentieth of the run, unless set
    checkpoint_steps: u64,
    /// Checkpoints that are kept: the last two unless set
    keep_checkpoints: usize,
    /// Keeps the checkpoint of the best epoch as well, by a figure such as val_accuracy
    keep_best: String,
    /// Whether rare classes count more in the loss, so that all weigh alike (cross-entropy, focal, hinge)
    class_weights: bool,
    /// Whether pictures that cannot be read are left out and listed, and end the run otherwise
    skip_bad: bool,
    /// What images may take on the device, such as "2GB": a larger set is streamed while it trains. 2 GB unless set, or a quarter of the
    /// machine's free memory if that is less
    memory: Bytes,
    /// Passes over the training set
    epochs: usize,
    /// Rows in a step
    batch_size: usize,
    /// Whether an epoch's last batch is left out where it is short
    drop_last: bool,
    /// Stop after so many steps
    max_steps: u64,
    /// The share of the target given to all classes alike (cross-entropy)
    label_smoothing: f32,
    /// Whether training images are shifted and mirrored at random
    augment: bool,
    /// The seed of the weights, of generated data, of the split and of the order
    seed: u64,
    /// What is told of each epoch: accuracy, top5_accuracy, precision, recall, f1, roc_auc, mae, rmse, r2 and the like
    metrics: Vec<String>,
    /// Whether these are told of the training rows too, as the steps of the epoch judge them
    train_metrics: bool,
    /// Epochs between two lines
    print_every: usize,
}

impl Config {
    /// The keys that say what the loss is, alone.
    #[must_use]
    pub fn of_loss(&self) -> Self {
        Self {
            loss: self.loss,
            focal_gamma: self.focal_gamma,
            focal_alpha: self.focal_alpha,
            hinge_margin: self.hinge_margin,
            dice_smooth: self.dice_smooth,
            smooth_l1_beta: self.smooth_l1_beta,
            huber_delta: self.huber_delta,
            label_smoothing: self.label_smoothing,
            ..Self::default()
        }
    }
}
