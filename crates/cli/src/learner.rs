//! A model with what it is trained by: its loss, its figures, and its data on the device.

use std::sync::Arc;

use wgrad::data::{
    Augment, Batch, Batches, ChannelStats, DeviceImages, ImageBatches, Images, Normalize, Order,
    StreamedImages, TensorBatches,
};
use wgrad::nn::{BuildOptions, Mode, Module, Parameters};
use wgrad::train::metrics::{Outputs, Score, ScoreOf};
use wgrad::train::{self, Metric, Output, evaluate};
use wgrad::{Gpu, Tensor};

use crate::architecture::{ActivationName, Architecture};
use crate::config::{Config, Loss};
use crate::dataset::{Dataset, Pictures};
use crate::model_file::Preprocessing;
use crate::objective::Objective;
use crate::{ModelFile, Result, TensorTarget};

/// A model, and how its outputs are judged.
pub(crate) struct Learner {
    pub(crate) model: Box<dyn Module>,
    pub(crate) parameters: Parameters,
    objective: Objective,
    /// Whether probabilities come out, and not logits.
    is_probability: bool,
    /// What outputs are multiplied by and what is added then, `[1, outputs]`, so that figures are in the units of the target.
    units: Option<[Tensor; 2]>,
}

impl Learner {
    /// A new model.
    pub(crate) fn new(
        gpu: &Gpu,
        architecture: &Architecture,
        config: &Config,
        data: &Preprocessing,
        options: BuildOptions,
    ) -> Result<Self> {
        let (model, parameters) = architecture.build_with(gpu, config.seed.unwrap_or(0), options)?;
        let is_probability = architecture.output_activation() == ActivationName::Sigmoid;
        let (objective, units) = (Objective::new(config, is_probability), units(gpu, data)?);
        Ok(Self { model, parameters, objective, is_probability, units })
    }

    /// Lets classes count by these factors in training, and if `are_divided` the batches that a step is divided into.
    pub(crate) fn weigh_classes(&mut self, factors: &[f32], are_divided: bool) -> Result<()> {
        self.objective.weigh_classes(self.parameters.gpu(), factors, are_divided)
    }

    /// The model of a file.
    pub(crate) fn load(gpu: &Gpu, file: &ModelFile) -> Result<Self> {
        let (model, parameters) = file.build(gpu)?;
        let is_probability = file.architecture.output_activation() == ActivationName::Sigmoid;
        let (classes, outputs) = (file.data.classes().len(), file.architecture.outputs());
        let mut config = file.loss.clone();
        config.loss.get_or_insert(Loss::usual(classes, outputs));
        let objective = Objective::new(&config, is_probability);
        Ok(Self { model, parameters, objective, is_probability, units: units(gpu, &file.data)? })
    }

    /// The loss of a batch, and what metrics judge.
    pub(crate) fn forward(&self, batch: &Batch, mode: Mode) -> train::Result<Output> {
        let y = self.model.forward(&batch.x, mode)?;
        let mut output = Output::new(self.objective.of(&y, batch, mode)?);
        if let Some(terms) = self.objective.counted(&y, batch, mode)? {
            output = output.counted(terms);
        }
        let Some([scale, shift]) = &self.units else { return Ok(output.judged(&y, &batch.y)) };
        let in_units = |values: &Tensor| values.detach().reshape(y.shape())?.mul(scale)?.add(shift);
        Ok(output.judged(in_units(&y)?, &in_units(&batch.y)?))
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

fn units(gpu: &Gpu, data: &Preprocessing) -> Result<Option<[Tensor; 2]>> {
    use wgrad::data::table::Target;
    let (scale, shift) = match data {
        Preprocessing::Table { schema } => match schema.target {
            Target::Number { offset, scale, .. } => (vec![scale as f32], vec![offset as f32]),
            Target::Classes { .. } => return Ok(None),
        },
        Preprocessing::Tensors { schema } => match &schema.target {
            TensorTarget::Numbers { mean, std } => (std.clone(), mean.clone()),
            TensorTarget::Classes(_) => return Ok(None),
        },
        Preprocessing::Images { .. } => return Ok(None),
    };
    let row = |values: Vec<f32>| Tensor::from_slice(gpu, &values, &[1, values.len()]);
    Ok(Some([row(scale)?, row(shift)?]))
}

/// Data on the device.
pub(crate) enum OnDevice {
    Images(DeviceImages, ChannelStats),
    /// Images that the device does not hold.
    Streamed(Gpu, Pictures, ChannelStats),
    Table(TensorBatches),
}

impl OnDevice {
    /// Images, normalised as the model's file says.
    pub(crate) fn images(gpu: &Gpu, images: &Images, data: &Preprocessing) -> Result<Self> {
        Ok(Self::Images(DeviceImages::new(gpu, images)?, stats(data)))
    }

    /// As [`OnDevice::images`], of images that may be streamed instead, and are if they lie in files.
    pub(crate) fn pictures(
        gpu: &Gpu,
        pictures: &Pictures,
        streamed: bool,
        data: &Preprocessing,
    ) -> Result<Self> {
        match pictures {
            Pictures::Host(images) if !streamed => Self::images(gpu, images, data),
            _ => Ok(Self::Streamed(gpu.clone(), pictures.clone(), stats(data))),
        }
    }

    /// Both parts of the data.
    pub(crate) fn both(gpu: &Gpu, dataset: &Dataset, data: &Preprocessing) -> Result<[Self; 2]> {
        Ok(match dataset {
            Dataset::Images { train, valid, streamed, .. } => {
                let part = |pictures| Self::pictures(gpu, pictures, *streamed, data);
                [part(train)?, part(valid)?]
            }
            Dataset::Table { train, valid, .. } => {
                [Self::Table(train.batches(gpu)?), Self::Table(valid.batches(gpu)?)]
            }
            Dataset::Tensors { train, valid, .. } => {
                [Self::Table(train.batches(gpu)?), Self::Table(valid.batches(gpu)?)]
            }
        })
    }

    /// The batches.
    pub(crate) fn set(&self, augment: Option<Augment>) -> Result<Set<'_>> {
        let normalize = Normalize::default();
        Ok(match self {
            Self::Images(images, stats) => {
                let batches = ImageBatches::new(images, normalize);
                Set::Images(batches.by_channel(Some(stats.clone())).augmented(augment))
            }
            Self::Streamed(gpu, pictures, stats) => {
                let batches = match pictures {
                    Pictures::Host(images) => StreamedImages::host(gpu, Arc::clone(images), normalize)?,
                    Pictures::Files(files) => StreamedImages::of(gpu, files, normalize)?,
                };
                Set::Streamed(batches.by_channel(Some(stats.clone())).augmented(augment))
            }
            Self::Table(table) => Set::Table(table),
        })
    }
}

/// How each channel is scaled.
fn stats(data: &Preprocessing) -> ChannelStats {
    match data {
        Preprocessing::Images { mean, std, .. } => ChannelStats { mean: mean.clone(), std: std.clone() },
        Preprocessing::Table { .. } | Preprocessing::Tensors { .. } => {
            ChannelStats { mean: vec![0.5], std: vec![0.5] }
        }
    }
}

/// Batches of any kind.
pub(crate) enum Set<'a> {
    Images(ImageBatches<'a>),
    Streamed(StreamedImages),
    Table(&'a TensorBatches),
}

impl Batches for Set<'_> {
    type Batch = Batch;

    fn len(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Streamed(images) => images.len(),
            Self::Table(table) => table.len(),
        }
    }

    fn set_order(&self, order: Order) -> wgrad::data::Result<()> {
        match self {
            Self::Images(images) => images.set_order(order),
            Self::Streamed(images) => images.set_order(order),
            Self::Table(table) => table.set_order(order),
        }
    }

    fn batch(&self, start: usize, rows: usize) -> wgrad::data::Result<Batch> {
        match self {
            Self::Images(images) => images.batch(start, rows),
            Self::Streamed(images) => images.batch(start, rows),
            Self::Table(table) => table.batch(start, rows),
        }
    }

    fn fingerprint(&self) -> String {
        match self {
            Self::Images(images) => images.fingerprint(),
            Self::Streamed(images) => images.fingerprint(),
            Self::Table(table) => table.fingerprint(),
        }
    }
}
