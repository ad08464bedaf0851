//! What is chosen where a configuration doesn't say: a model that suits the data, and how it is trained.

use crate::architecture::{ActivationName, Architecture};
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
    let is_image = matches!(data.shape()[..], [_, h, w] if h.min(w) > 1);
    let kind = *config.model.get_or_insert(if is_image { Kind::Cnn } else { Kind::Mlp });
    sizes(&mut config, data, kind)?;
    if kind == Kind::Mlp {
        config.hidden.get_or_insert_with(|| vec![64, 32]);
        config.activation.get_or_insert(ActivationName::Relu);
    }
    let classes = data.classes().len();
    let outputs = config.outputs.unwrap_or_default();
    let loss = *config.loss.get_or_insert(Loss::usual(classes, outputs));
    check_loss(loss, classes, outputs, config.output_activation)?;
    training(&mut config, data, is_image);
    if config.metrics.is_none() {
        let names: &[&str] = if classes == 0 { &["mae", "rmse", "r2"] } else { &["accuracy"] };
        config.metrics = Some(names.iter().map(|name| (*name).to_owned()).collect());
    }
    check_numbers(&config)?;
    check_loss_numbers(&config, loss)?;
    if config.augment == Some(true) && !matches!(data, Dataset::Images { .. }) {
        return Err(Error::usage("augment = true: it shifts images, and these rows are none"));
    }
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
        Kind::Linear | Kind::Mlp => {
            if !matches!(data, Dataset::Images { .. }) && (config.size.is_some() || config.channels.is_some())
            {
                return Err(Error::usage("size and channels are keys of images, and these rows are none"));
            }
            agree("inputs", &mut config.inputs, shape.iter().product())?;
        }
        Kind::Cnn | Kind::Resnet9 => {
            let &[channels, h, w] = &shape[..] else {
                return Err(Error::usage("this kind of model is for images: take mlp or linear for a table"));
            };
            agree("channels", &mut config.channels, channels)?;
            let size = *config.size.get_or_insert([h, w]);
            if size != [h, w] {
                return Err(Error::usage(format!("size = {size:?}: the images of the data are {h} × {w}")));
            }
            if kind == Kind::Cnn {
                config.widths.get_or_insert_with(|| widths(channels, h.min(w)));
            } else {
                config.width.get_or_insert(16);
            }
        }
    }
    let classes = data.classes().len();
    if classes == 2 && config.loss == Some(Loss::Bce) {
        config.outputs.get_or_insert(1);
    }
    if classes != 2 || config.outputs != Some(1) {
        agree("outputs", &mut config.outputs, data.outputs())?;
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

impl Loss {
    /// What models of so many classes and outputs are trained by where nobody says.
    pub(crate) fn usual(classes: usize, outputs: usize) -> Self {
        match (classes, outputs) {
            (0, _) => Self::Mse,
            (_, 1) => Self::Bce,
            _ => Self::CrossEntropy,
        }
    }
}

fn check_loss(loss: Loss, classes: usize, outputs: usize, last: Option<ActivationName>) -> Result<()> {
    let is_logits = last.unwrap_or_default() != ActivationName::Sigmoid;
    let message = match loss {
        Loss::CrossEntropy | Loss::Focal | Loss::Hinge | Loss::Dice if classes == 0 => {
            "the target is a number: take mse"
        }
        Loss::CrossEntropy | Loss::Hinge if outputs < 2 => {
            "it needs an output for each class: take bce, or leave outputs out"
        }
        Loss::Focal | Loss::Hinge if !is_logits => "it takes logits: leave output_activation out",
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

/// Whether the loss that a model's file names is one of such a model.
pub(crate) fn check_own_loss(config: &Config, classes: usize, architecture: &Architecture) -> Result<()> {
    let Some(loss) = config.loss else { return Ok(()) };
    let outputs = architecture.outputs();
    check_loss(loss, classes, outputs, Some(architecture.output_activation()))?;
    check_loss_numbers(&Config { outputs: Some(outputs), ..config.clone() }, loss)
}

/// A key, its value, the loss that it belongs to, what it may be, and that in words.
type Key<'a> = (&'static str, Option<f32>, Loss, &'a dyn Fn(f32) -> bool, &'static str);

/// Numbers of losses: each belongs to one of them, and lies in a range.
fn check_loss_numbers(config: &Config, loss: Loss) -> Result<()> {
    let at_least_0 = |value: f32| value >= 0.0;
    let share = |value: f32| (0.0..=1.0).contains(&value);
    let keys: [Key<'_>; 7] = [
        ("focal_gamma", config.focal_gamma, Loss::Focal, &at_least_0, "at least 0"),
        ("focal_alpha", config.focal_alpha, Loss::Focal, &share, "0 to 1"),
        ("hinge_margin", config.hinge_margin, Loss::Hinge, &at_least_0, "at least 0"),
        ("dice_smooth", config.dice_smooth, Loss::Dice, &at_least_0, "at least 0"),
        ("smooth_l1_beta", config.smooth_l1_beta, Loss::SmoothL1, &at_least_0, "at least 0"),
        ("huber_delta", config.huber_delta, Loss::Huber, &|value| value > 0.0, "above 0"),
        // A preset may have one, and 0 takes it away.
        (
            "label_smoothing",
            config.label_smoothing.filter(|share| *share != 0.0),
            Loss::CrossEntropy,
            &share,
            "0 to 1",
        ),
    ];
    for (key, value, of, fits, range) in keys {
        let Some(value) = value else { continue };
        if loss != of {
            let (own, word) = (of.word(), loss.word());
            return Err(Error::usage(format!(
                "{key} = {value}: it is a key of loss {own}, and the loss is {word}"
            )));
        }
        if !(value.is_finite() && fits(value)) {
            return Err(Error::usage(format!("{key} = {value}: {range}")));
        }
    }
    if config.focal_alpha.is_some() && config.outputs != Some(1) {
        return Err(Error::usage(
            "focal_alpha: it is for one output; class_weights = true weighs several classes",
        ));
    }
    let weighs = [Loss::CrossEntropy, Loss::Focal, Loss::Hinge].contains(&loss) && config.outputs != Some(1);
    if config.class_weights == Some(true) && !weighs {
        let message = "class_weights = true: it is a key of losses cross-entropy, focal and hinge, with an output for each class";
        return Err(Error::usage(message));
    }
    Ok(())
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
        let [channels, h, w] = train.shape();
        config.augment.get_or_insert(channels == 3 && h.min(w) > 8);
    }
}

fn check_numbers(config: &Config) -> Result<()> {
    for (key, value) in [
        ("epochs", config.epochs),
        ("batch_size", config.batch_size),
        ("print_every", config.print_every),
        ("accumulate", config.accumulate),
        ("patience", config.patience),
        ("swa", config.swa),
        ("keep_checkpoints", config.keep_checkpoints),
        ("checkpoint_steps", config.checkpoint_steps.map(|steps| steps as usize)),
        ("time_limit", config.time_limit.map(|seconds| seconds as usize)),
        ("decay_every", config.decay_every.map(|epochs| epochs as usize)),
        ("restart_every", config.restart_every.map(|epochs| epochs as usize)),
        ("restart_factor", config.restart_factor.map(|times| times as usize)),
    ] {
        if value == Some(0) {
            return Err(Error::usage(format!("{key} = 0: at least 1")));
        }
    }
    if let Some(decay) = config.ema.filter(|decay| !(0.0..1.0).contains(decay)) {
        return Err(Error::usage(format!("ema = {decay}: at least 0 and below 1")));
    }
    for (key, most) in [("clip_norm", config.clip_norm), ("clip_value", config.clip_value)] {
        if let Some(most) = most.filter(|most| most.is_nan() || *most <= 0.0) {
            return Err(Error::usage(format!("{key} = {most}: above 0")));
        }
    }
    if let (Some(first), Some(epochs)) = (config.swa, config.epochs)
        && first > epochs
    {
        return Err(Error::usage(format!("swa = {first}: the run has {epochs} epochs")));
    }
    if config.ema.is_some() && config.swa.is_some() {
        return Err(Error::usage("ema and swa: a run has one average of its weights"));
    }
    if let Some(delta) = config.min_delta.filter(|delta| !delta.is_finite() || *delta < 0.0) {
        return Err(Error::usage(format!("min_delta = {delta}: a number of at least 0")));
    }
    if config.min_delta.is_some() && config.patience.is_none() {
        return Err(Error::usage("min_delta is for patience: set that too"));
    }
    Ok(())
}
