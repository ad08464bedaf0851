//! The loss that a configuration names, of the outputs of a model.

use wgrad::data::Batch;
use wgrad::nn::Mode;
use wgrad::nn::losses::{
    self, BceOptions, CrossEntropyOptions, DiceOptions, HuberOptions, MultiMarginOptions, Reduction,
    SigmoidFocalOptions, SmoothL1Options, SoftmaxFocalOptions, Weights,
};
use wgrad::{DType, Gpu, Tensor, train};

use crate::Result;
use crate::config::{Config, Loss};

/// A loss with its numbers.
pub(crate) struct Objective {
    loss: Loss,
    config: Config,
    /// A factor for each class, in training.
    class_weights: Option<Weights>,
    /// The same factors, where batches count by them.
    counts: Option<Vec<f32>>,
    /// Whether probabilities come out, and not logits.
    is_probability: bool,
}

impl Objective {
    /// The loss of the configuration.
    pub(crate) fn new(config: &Config, is_probability: bool) -> Self {
        let loss = config.loss.unwrap_or(Loss::CrossEntropy);
        Self { loss, config: config.clone(), class_weights: None, counts: None, is_probability }
    }

    /// Lets classes count by these factors in training, and if `are_divided` batches too, of which a step has several.
    pub(crate) fn weigh_classes(&mut self, gpu: &Gpu, factors: &[f32], are_divided: bool) -> Result<()> {
        self.class_weights = Some(Weights::new(gpu, factors)?);
        self.counts = are_divided.then(|| factors.to_vec());
        Ok(())
    }

    /// What the loss of a batch of which `y` comes out is divided by, where it isn't the number of rows and has to be known: the sum
    /// of the factors of its classes. It waits for the labels.
    pub(crate) fn counted(&self, y: &Tensor, batch: &Batch, mode: Mode) -> train::Result<Option<f64>> {
        let divides_by_factors = match self.loss {
            Loss::CrossEntropy => true,
            Loss::Focal => y.shape().last() != Some(&1),
            _ => false,
        };
        let Some(factors) = self.counts.as_ref().filter(|_| mode == Mode::Train && divides_by_factors) else {
            return Ok(None);
        };
        let labels = batch.y.to_vec_as::<i32>()?;
        let factor = |&label: &i32| usize::try_from(label).ok().and_then(|class| factors.get(class));
        Ok(Some(labels.iter().filter_map(factor).map(|&factor| f64::from(factor)).sum()))
    }

    /// The loss of a batch of which `y` comes out.
    pub(crate) fn of(&self, y: &Tensor, batch: &Batch, mode: Mode) -> train::Result<Tensor> {
        let config = &self.config;
        let weight = self.class_weights.clone().filter(|_| mode == Mode::Train);
        let as_numbers =
            || -> train::Result<Tensor> { Ok(batch.y.to_dtype(DType::F32)?.reshape(y.shape())?) };
        Ok(match self.loss {
            Loss::CrossEntropy => {
                let label_smoothing = config.label_smoothing.unwrap_or(0.0);
                let options = CrossEntropyOptions { weight, label_smoothing, ..Default::default() };
                losses::cross_entropy(y, &batch.y, &options)?
            }
            Loss::Focal if y.shape().last() == Some(&1) => {
                let mut options = SigmoidFocalOptions { alpha: config.focal_alpha, ..Default::default() };
                options.gamma = config.focal_gamma.unwrap_or(options.gamma);
                losses::sigmoid_focal(y, &as_numbers()?, &options)?
            }
            Loss::Focal => {
                let mut options = SoftmaxFocalOptions { weight, ..Default::default() };
                options.gamma = config.focal_gamma.unwrap_or(options.gamma);
                losses::softmax_focal(y, &batch.y, &options)?
            }
            Loss::Hinge => {
                let mut options = MultiMarginOptions { weight, ..Default::default() };
                options.margin = config.hinge_margin.unwrap_or(options.margin);
                losses::multi_margin(y, &batch.y, &options)?
            }
            Loss::Dice => self.dice(y, &batch.y)?,
            Loss::Bce if self.is_probability => losses::bce(y, &as_numbers()?, &BceOptions::default())?,
            Loss::Bce => y.bce_with_logits(&as_numbers()?)?,
            Loss::Mse => y.mse_loss(&as_numbers()?)?,
            Loss::L1 => losses::l1(y, &as_numbers()?, Reduction::Mean)?,
            Loss::SmoothL1 => {
                let mut options = SmoothL1Options::default();
                options.beta = config.smooth_l1_beta.unwrap_or(options.beta);
                losses::smooth_l1(y, &as_numbers()?, &options)?
            }
            Loss::Huber => {
                let mut options = HuberOptions::default();
                options.delta = config.huber_delta.unwrap_or(options.delta);
                losses::huber(y, &as_numbers()?, &options)?
            }
        })
    }

    /// Dice of each class over the rows of the batch, as if they were the pixels of one picture.
    fn dice(&self, y: &Tensor, labels: &Tensor) -> train::Result<Tensor> {
        let (rows, outputs) = (y.shape()[0], y.shape()[1]);
        let shares = match outputs {
            _ if self.is_probability => y.clone(),
            1 => y.sigmoid()?,
            _ => y.softmax()?,
        };
        let masks = if outputs == 1 {
            labels.to_dtype(DType::F32)?.reshape(&[1, 1, rows])?
        } else {
            let classes: Vec<i32> = (0..outputs as i32).collect();
            let classes = Tensor::from_slice(y.gpu(), &classes, &[outputs, 1])?;
            labels.reshape(&[1, rows])?.equal(&classes)?.to_dtype(DType::F32)?.reshape(&[1, outputs, rows])?
        };
        let mut options = DiceOptions::default();
        options.smooth = self.config.dice_smooth.unwrap_or(options.smooth);
        Ok(losses::dice(&shares.transpose(0, 1)?.reshape(&[1, outputs, rows])?, &masks, &options)?)
    }
}
