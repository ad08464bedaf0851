//! What is chosen where a configuration doesn't say: a model that suits the data, and how it is trained.

use crate::architecture::ActivationName;
use crate::config::{Config, Kind, Loss, OptimizerName, ScheduleName};
use crate::dataset::Dataset;
use crate::{Error, Result};

/// Epochs without a lower validation loss after which training on a table stops.
const PATIENCE: usize = 20;

/// The configuration with every key that the run depends on.
///
/// # Errors
/// [`Error::Usage`] for keys that don't fit the data.
pub(crate) fn complete(mut config: Config, data: &Dataset) -> Result<Config> {
    let is_image = matches!(data, Dataset::Images { .. });
    let kind = *config.model.get_or_insert(if is_image { Kind::Cnn } else { Kind::Mlp });
    sizes(&mut config, data, kind)?;
    if kind == Kind::Mlp {
        config.hidden.get_or_insert_with(|| vec![64, 32]);
        config.activation.get_or_insert(ActivationName::Relu);
    }
    let classes = data.classes().len();
    let outputs = config.outputs.unwrap_or_default();
    let default = match (classes, outputs) {
        (0, _) => Loss::Mse,
        (_, 1) => Loss::Bce,
        _ => Loss::CrossEntropy,
    };
    let loss = *config.loss.get_or_insert(default);
    check_loss(loss, classes, outputs)?;
    training(&mut config, data, is_image);
    if config.metrics.is_none() {
        let names: &[&str] = if classes == 0 { &["mae", "rmse", "r2"] } else { &["accuracy"] };
        config.metrics = Some(names.iter().map(|name| (*name).to_owned()).collect());
    }
    check_numbers(&config)?;
    Ok(config)
}

/// Sizes that the data has. Those that the configuration has too must be equal.
fn sizes(config: &mut Config, data: &Dataset, kind: Kind) -> Result<()> {
    let shape = data.shape();
    let agree = |key: &str, own: &mut Option<usize>, found: usize| {
        let set = *own.get_or_insert(found);
        let message = || format!("{key} = {set}, and the data has {found}: leave {key} out");
        if set == found { Ok(()) } else { Err(Error::usage(message())) }
    };
    match kind {
        Kind::Linear | Kind::Mlp => agree("inputs", &mut config.inputs, shape.iter().product())?,
        Kind::Cnn | Kind::Resnet9 => {
            let &[channels, h, w] = &shape[..] else {
                return Err(Error::usage("this kind of model is for images: take mlp or linear for a table"));
            };
            agree("channels", &mut config.channels, channels)?;
            config.size.get_or_insert([h, w]);
            if kind == Kind::Cnn {
                config.widths.get_or_insert_with(|| widths(channels, h.min(w)));
            } else {
                config.width.get_or_insert(16);
            }
        }
    }
    let classes = data.classes().len();
    if classes != 2 || config.outputs != Some(1) {
        agree("outputs", &mut config.outputs, classes.max(1))?;
    }
    Ok(())
}

/// Channels of a small CNN: small enough for a machine without a GPU, and one convolution for each halving down to 7 or 8
/// pixels.
fn widths(channels: usize, side: usize) -> Vec<usize> {
    let first = if channels == 1 { 16 } else { 32 };
    let halvings = (side / 7).checked_ilog2().unwrap_or(0).clamp(1, 4);
    (0..halvings).map(|i| first << i).collect()
}

fn check_loss(loss: Loss, classes: usize, outputs: usize) -> Result<()> {
    let message = match loss {
        Loss::CrossEntropy if classes == 0 => "the target is a number: take mse",
        Loss::CrossEntropy if outputs < 2 => {
            "it needs an output for each class: take bce, or leave outputs out"
        }
        Loss::Bce if classes != 2 || outputs != 1 => {
            "it is for two classes and one output: take cross-entropy"
        }
        Loss::Mse | Loss::L1 | Loss::SmoothL1 | Loss::Huber if classes != 0 && outputs != 1 => {
            "it is for numbers, or for two classes and one output: take cross-entropy"
        }
        _ => return Ok(()),
    };
    Err(Error::usage(format!("loss = {}: {message}", loss.word())))
}

fn training(config: &mut Config, data: &Dataset, is_image: bool) {
    let rows = data.rows();
    let batch = *config.batch_size.get_or_insert(if is_image { 64 } else { 32 });
    // So many steps are enough for small models; an epoch has at least one.
    let (steps, fewest, most) = if is_image { (2_800, 3, 60) } else { (4_000, 10, 200) };
    let epochs = (steps * batch.max(1)).div_ceil(rows.max(1)).clamp(fewest, most);
    config.epochs.get_or_insert(epochs);
    let optimizer = *config.optimizer.get_or_insert(OptimizerName::Adam);
    let is_sgd = optimizer == OptimizerName::Sgd;
    config.lr.get_or_insert(optimizer.default_lr(is_image));
    config.schedule.get_or_insert(if is_image && !is_sgd && config.warm_up.is_none() {
        ScheduleName::OneCycle
    } else {
        ScheduleName::Constant
    });
    config.seed.get_or_insert(0);
    if config.data.is_some() && !is_image {
        // A table's rows are soon learnt by heart: what is kept is the epoch that validates best.
        config.patience.get_or_insert(PATIENCE);
    }
    if let Dataset::Images { train, .. } = data {
        // Photographs may be mirrored; digits, letters and shoes had better not.
        config.augment.get_or_insert(train.channels == 3 && train.height.min(train.width) > 8);
    }
}

fn check_numbers(config: &Config) -> Result<()> {
    for (key, value) in [
        ("epochs", config.epochs),
        ("batch_size", config.batch_size),
        ("print_every", config.print_every),
        ("accumulate", config.accumulate),
        ("patience", config.patience),
    ] {
        if value == Some(0) {
            return Err(Error::usage(format!("{key} = 0: at least 1")));
        }
    }
    if let Some(decay) = config.ema.filter(|decay| !(0.0..1.0).contains(decay)) {
        return Err(Error::usage(format!("ema = {decay}: at least 0 and below 1")));
    }
    if let Some(most) = config.clip_norm.filter(|most| most.is_nan() || *most <= 0.0) {
        return Err(Error::usage(format!("clip_norm = {most}: above 0")));
    }
    if config.class_weights == Some(true) && config.loss != Some(Loss::CrossEntropy) {
        return Err(Error::usage("class_weights = true: it is a key of loss cross-entropy"));
    }
    if config.augment == Some(true)
        && !matches!(config.model, Some(Kind::Cnn | Kind::Resnet9))
        && config.channels.is_none()
    {
        // A table has no pixels to shift; an mlp may well be trained on images.
        if config.inputs.is_some() && config.data.as_deref().is_some_and(crate::dataset::is_table) {
            return Err(Error::usage("augment = true: rows of a table cannot be shifted"));
        }
    }
    Ok(())
}
