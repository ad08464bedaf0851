//! A model, its optimizer and its data, trained in slices between frames. The same code in a page and in a native test.

use std::time::Duration;

use wgrad::data::{Augment, DeviceImages, Draw, Images, Normalize};
use wgrad::device::Pending;
use wgrad::nn::{
    self, Activation, Builder, Conv2d, Flatten, Linear, MaxPool2d, Mode, Optimizer, Parameters, Sequential,
    Sgd, SgdOptions, StateDict,
};
use wgrad::train::{Result, Stepper};
use wgrad::{Conv2dOptions, Gpu, Tensor, no_grad};

use crate::shapes::{self, CLASSES, SIDE};

/// Images in a step.
const BATCH: usize = 32;
/// Images of the synthetic set.
const SYNTHETIC: usize = 640;
/// How often an own drawing stands in the training set: a handful must count beside hundreds.
const REPEATS: usize = 8;
/// Ink covers a fifth of an image: this gives pixels a mean of about 0.
const NORMALIZE: Normalize = Normalize { mean: 0.25, std: 0.25 };
/// Of the weights, the synthetic images and their order.
const SEED: u64 = 3;

/// Everything that a training step changes or reads.
struct Learner {
    model: Sequential,
    parameters: Parameters,
    optimizer: Sgd,
    images: Images,
    /// The same on the device, until a drawing is added.
    on_device: Option<DeviceImages>,
    /// Images of the current epoch already seen, and epochs begun.
    seen: usize,
    epoch: usize,
}

impl Learner {
    fn new(gpu: &Gpu) -> Result<Self> {
        let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let make = |b: &Builder| {
            Sequential::new(b)
                .with(|b| Conv2d::new(b, 1, 8, [3, 3], options))
                .with(|_| Activation::Relu)
                .with(|_| MaxPool2d::new(2))
                .with(|b| Conv2d::new(b, 8, 16, [3, 3], options))
                .with(|_| Activation::Relu)
                .with(|_| MaxPool2d::new(2))
                .with(|_| Flatten)
                .with(|b| Linear::new(b, 16 * SIDE / 4 * SIDE / 4, CLASSES.len()))
        };
        let (model, parameters) = nn::build(gpu, SEED, make)?;
        let options = SgdOptions { lr: 0.05, momentum: 0.9, ..Default::default() };
        let optimizer = Sgd::new(&parameters, options)?;
        let images = shapes::synthetic_ink(SYNTHETIC, SEED)?;
        Ok(Self { model, parameters, optimizer, images, on_device: None, seen: 0, epoch: 0 })
    }

    /// Records one step and gives its loss.
    fn step(&mut self) -> Result<Tensor> {
        let images = match &mut self.on_device {
            Some(images) => images,
            none => {
                self.seen = usize::MAX;
                none.insert(DeviceImages::new(self.parameters.gpu(), &self.images)?)
            }
        };
        if self.seen.saturating_add(BATCH) > images.len() {
            (self.seen, self.epoch) = (0, self.epoch + 1);
            images.shuffle(SEED, self.epoch)?;
        }
        let (augment, draw) = (Augment { padding: 1, flip: true }, Draw { seed: SEED, epoch: self.epoch });
        let (x, y) = images.batch_augmented(self.seen, BATCH, NORMALIZE, augment, draw)?;
        self.seen += BATCH;
        let loss = self.model.forward(&x, Mode::Train)?.cross_entropy(&y, 0.0)?;
        self.optimizer.step(&self.parameters.gradients(&loss)?)?;
        Ok(loss)
    }
}

/// A model in training, and what its user sees of it. Nothing here waits.
pub struct Session {
    learner: Learner,
    stepper: Stepper,
    /// The drawing to be named, and whether its probabilities, or newer ones, are still to be asked for.
    drawing: Option<Vec<u8>>,
    stale: bool,
    prediction: Option<Pending<f32>>,
}

impl Session {
    /// An untrained model and the synthetic set.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let learner = Learner::new(gpu)?;
        let stepper = Stepper::new(gpu);
        Ok(Self { learner, stepper, drawing: None, stale: false, prediction: None })
    }

    /// Trains for about `budget` of GPU time. To be called once a frame.
    ///
    /// # Errors
    /// What the device reports.
    pub fn advance(&mut self, budget: Duration) -> Result<()> {
        let learner = &mut self.learner;
        self.stepper.advance(budget, || learner.step())?;
        Ok(())
    }

    /// Submits what is recorded, a prediction for instance, and trains no further. To be called once a frame instead of
    /// [`Session::advance`].
    ///
    /// # Errors
    /// What the device reports.
    pub fn rest(&mut self) -> Result<()> {
        Ok(self.gpu().submit()?)
    }

    /// Trains no further than this many steps in all.
    pub fn stop_after(&mut self, steps: u64) {
        self.stepper.set_max_steps(Some(steps));
    }

    fn gpu(&self) -> &Gpu {
        self.learner.parameters.gpu()
    }

    /// The losses that have arrived since the last call, in the order of steps.
    ///
    /// # Errors
    /// What the device reports.
    pub fn losses(&mut self) -> Result<Vec<f32>> {
        let arrived: Vec<f32> = self.stepper.losses()?.iter().map(|step| step.loss).collect();
        self.stale |= !arrived.is_empty();
        Ok(arrived)
    }

    /// Adds a drawing to the training set.
    ///
    /// # Errors
    /// For other than 16 × 16 pixels, or a label that is no class.
    pub fn teach(&mut self, pixels: &[u8], label: u8) -> Result<()> {
        let drawing = shapes::images(pixels.to_vec(), vec![label])?;
        for _ in 0..REPEATS {
            self.learner.images.pixels.extend(&drawing.pixels);
            self.learner.images.labels.push(label);
        }
        self.learner.on_device = None;
        Ok(())
    }

    /// Names `drawing` from now on, or nothing.
    ///
    /// # Errors
    /// For other than 16 × 16 pixels.
    pub fn show(&mut self, drawing: Option<&[u8]>) -> Result<()> {
        if let Some(pixels) = drawing {
            shapes::images(pixels.to_vec(), vec![0])?;
        }
        self.drawing = drawing.map(<[u8]>::to_vec);
        self.stale = true;
        Ok(())
    }

    /// The probability of each class for the drawing shown, whenever a new one has arrived.
    ///
    /// # Errors
    /// What the device reports.
    pub fn probabilities(&mut self) -> Result<Option<Vec<f32>>> {
        let arrived = self.prediction.as_mut().map(Pending::try_take).transpose()?.flatten();
        if arrived.is_some() {
            self.prediction = None;
        }
        if let (None, true, Some(pixels)) = (&self.prediction, self.stale, &self.drawing) {
            let Normalize { mean, std } = NORMALIZE;
            let x: Vec<f32> = pixels.iter().map(|&ink| (f32::from(ink) / 255.0 - mean) / std).collect();
            let x = Tensor::from_slice(self.gpu(), &x, &[1, 1, SIDE, SIDE])?;
            let y = no_grad(|| self.learner.model.forward(&x, Mode::Eval))?.softmax()?;
            self.prediction = Some(y.read_later()?);
            self.stale = false;
        }
        Ok(arrived)
    }

    /// The weights as a safetensors file's bytes.
    pub fn weights(&self) -> impl Future<Output = Result<Vec<u8>>> + use<> {
        let parameters = self.learner.parameters.clone();
        async move { Ok(parameters.state_dict_async().await?.to_bytes()?) }
    }

    /// Continues from the weights of a safetensors file.
    ///
    /// # Errors
    /// For bytes that are no such file, or one of another model.
    pub fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let name = "the file";
        self.learner.parameters.load_state_dict(&StateDict::from_bytes(bytes, name)?, name)?;
        self.stale = true;
        Ok(())
    }

    /// Images in the training set: synthetic ones, and own drawings as often as they are repeated.
    pub fn images(&self) -> &Images {
        &self.learner.images
    }
}
