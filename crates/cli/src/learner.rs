//! A model with what it is trained by: its loss, its figures, and its data on the device.

use wgrad::data::{
    Augment, Batch, Batches, ChannelStats, DeviceImages, ImageBatches, Images, Normalize, Order,
    TensorBatches,
};
use wgrad::nn::losses::{
    self, BceOptions, CrossEntropyOptions, HuberOptions, Reduction, SmoothL1Options, Weights,
};
use wgrad::nn::{Mode, Module, Parameters};
use wgrad::train::metrics::{Outputs, Score, ScoreOf};
use wgrad::train::{self, Metric, Output, evaluate};
use wgrad::{DType, Gpu, Tensor};

use crate::architecture::{ActivationName, Architecture};
use crate::config::Loss;
use crate::dataset::Dataset;
use crate::model_file::Preprocessing;
use crate::{ModelFile, Result};

/// A model, and how its outputs are judged.
pub(crate) struct Learner {
    pub(crate) model: Box<dyn Module>,
    pub(crate) parameters: Parameters,
    loss: Loss,
    label_smoothing: f32,
    /// A factor for each class, in training.
    class_weights: Option<Weights>,
    /// Whether probabilities come out, and not logits.
    is_probability: bool,
    /// What outputs are multiplied by and what is added then, so that figures are in the units of the target.
    units: (f32, f32),
}

impl Learner {
    /// A new model.
    pub(crate) fn new(
        gpu: &Gpu,
        architecture: &Architecture,
        seed: u64,
        loss: Loss,
        label_smoothing: f32,
        data: &Preprocessing,
    ) -> Result<Self> {
        let (model, parameters) = architecture.build(gpu, seed)?;
        let is_probability = architecture.output_activation() == ActivationName::Sigmoid;
        let (class_weights, units) = (None, units(data));
        Ok(Self { model, parameters, loss, label_smoothing, class_weights, is_probability, units })
    }

    /// Lets classes count by these factors in training.
    pub(crate) fn weigh_classes(&mut self, factors: &[f32]) -> Result<()> {
        self.class_weights = Some(Weights::new(self.parameters.gpu(), factors)?);
        Ok(())
    }

    /// The model of a file.
    pub(crate) fn load(gpu: &Gpu, file: &ModelFile) -> Result<Self> {
        let (model, parameters) = file.build(gpu)?;
        let is_probability = file.architecture.output_activation() == ActivationName::Sigmoid;
        let loss = match (file.data.classes().len(), file.architecture.outputs()) {
            (0, _) => Loss::Mse,
            (_, 1) => Loss::Bce,
            _ => Loss::CrossEntropy,
        };
        let (label_smoothing, class_weights, units) = (0.0, None, units(&file.data));
        Ok(Self { model, parameters, loss, label_smoothing, class_weights, is_probability, units })
    }

    /// The loss of a batch, and what metrics judge.
    pub(crate) fn forward(&self, batch: &Batch, mode: Mode) -> train::Result<Output> {
        let y = self.model.forward(&batch.x, mode)?;
        let as_numbers =
            || -> train::Result<Tensor> { Ok(batch.y.to_dtype(DType::F32)?.reshape(y.shape())?) };
        let loss = match self.loss {
            Loss::CrossEntropy => {
                let weight = self.class_weights.clone().filter(|_| mode == Mode::Train);
                let label_smoothing = self.label_smoothing;
                let options = CrossEntropyOptions { weight, label_smoothing, ..Default::default() };
                losses::cross_entropy(&y, &batch.y, &options)?
            }
            Loss::Bce if self.is_probability => losses::bce(&y, &as_numbers()?, &BceOptions::default())?,
            Loss::Bce => y.bce_with_logits(&as_numbers()?)?,
            Loss::Mse => y.mse_loss(&as_numbers()?)?,
            Loss::L1 => losses::l1(&y, &as_numbers()?, Reduction::Mean)?,
            Loss::SmoothL1 => losses::smooth_l1(&y, &as_numbers()?, &SmoothL1Options::default())?,
            Loss::Huber => losses::huber(&y, &as_numbers()?, &HuberOptions::default())?,
        };
        let (scale, shift) = self.units;
        if (scale, shift) == (1.0, 0.0) {
            return Ok(Output::new(loss).judged(&y, &batch.y));
        }
        let in_units = |values: &Tensor| values.detach().mul_add_scalar(scale, shift);
        Ok(Output::new(loss).judged(in_units(&y)?, &in_units(&batch.y)?))
    }

    /// What comes out for `x`: probabilities of classes, `[n, classes]`, or values, `[n, 1]`.
    pub(crate) fn predict(&self, x: &Tensor, classes: usize) -> Result<Vec<f32>> {
        let y = wgrad::no_grad(|| self.model.forward(x, Mode::Eval))?;
        let outputs = y.shape().get(1).copied().unwrap_or(1);
        Ok(match (classes, outputs) {
            (0, _) => y.to_vec()?,
            (_, 1) => {
                let p = if self.is_probability { y } else { y.sigmoid()? };
                p.to_vec()?.into_iter().flat_map(|p| [1.0 - p, p]).collect()
            }
            _ => y.softmax()?.to_vec()?,
        })
    }

    /// The metrics of these names, of outputs such as this model's.
    pub(crate) fn metrics(&self, names: &[String]) -> Result<Vec<ScoreOf>> {
        let outputs = if self.is_probability { Outputs::Probabilities } else { Outputs::Logits };
        let metric = |name: &String| Ok(name.parse::<Score>()?.of(outputs, 0.5));
        names.iter().map(metric).collect()
    }

    /// Loss and metrics over a set.
    pub(crate) fn judge(&self, set: &Set<'_>, names: &[String]) -> Result<Vec<(String, f64)>> {
        let metrics = self.metrics(names)?;
        let metrics: Vec<&dyn Metric> = metrics.iter().map(|metric| metric as &dyn Metric).collect();
        Ok(evaluate(set, 256, &metrics, |batch, mode| self.forward(batch, mode))?)
    }
}

fn units(data: &Preprocessing) -> (f32, f32) {
    use wgrad::data::table::Target;
    match data {
        Preprocessing::Table { schema } => match schema.target {
            Target::Number { offset, scale, .. } => (scale as f32, offset as f32),
            Target::Classes { .. } => (1.0, 0.0),
        },
        Preprocessing::Images { .. } => (1.0, 0.0),
    }
}

/// Data on the device.
pub(crate) enum OnDevice {
    Images(DeviceImages, ChannelStats),
    Table(TensorBatches),
}

impl OnDevice {
    /// Images, normalised as the model's file says.
    pub(crate) fn images(gpu: &Gpu, images: &Images, data: &Preprocessing) -> Result<Self> {
        let stats = match data {
            Preprocessing::Images { mean, std, .. } => ChannelStats { mean: mean.clone(), std: std.clone() },
            Preprocessing::Table { .. } => ChannelStats { mean: vec![0.5], std: vec![0.5] },
        };
        Ok(Self::Images(DeviceImages::new(gpu, images)?, stats))
    }

    /// Both parts of the data.
    pub(crate) fn both(gpu: &Gpu, dataset: &Dataset, data: &Preprocessing) -> Result<[Self; 2]> {
        Ok(match dataset {
            Dataset::Images { train, valid, .. } => {
                [Self::images(gpu, train, data)?, Self::images(gpu, valid, data)?]
            }
            Dataset::Table { train, valid, .. } => {
                [Self::Table(train.batches(gpu)?), Self::Table(valid.batches(gpu)?)]
            }
        })
    }

    /// The batches.
    pub(crate) fn set(&self, augment: Option<Augment>) -> Set<'_> {
        match self {
            Self::Images(images, stats) => {
                let batches = ImageBatches::new(images, Normalize::default());
                Set::Images(batches.by_channel(Some(stats.clone())).augmented(augment))
            }
            Self::Table(table) => Set::Table(table),
        }
    }
}

/// Batches of either kind.
pub(crate) enum Set<'a> {
    Images(ImageBatches<'a>),
    Table(&'a TensorBatches),
}

impl Batches for Set<'_> {
    type Batch = Batch;

    fn len(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Table(table) => table.len(),
        }
    }

    fn set_order(&self, order: Order) -> wgrad::data::Result<()> {
        match self {
            Self::Images(images) => images.set_order(order),
            Self::Table(table) => table.set_order(order),
        }
    }

    fn batch(&self, start: usize, rows: usize) -> wgrad::data::Result<Batch> {
        match self {
            Self::Images(images) => images.batch(start, rows),
            Self::Table(table) => table.batch(start, rows),
        }
    }

    fn fingerprint(&self) -> String {
        match self {
            Self::Images(images) => images.fingerprint(),
            Self::Table(table) => table.fingerprint(),
        }
    }
}
