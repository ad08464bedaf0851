//! Training in slices, and the network's picture of its own, which goes from its output into a texture on the device.

use std::time::Duration;

use wgrad::nn::{self, Adam, AdamOptions, Mode, Module, Optimizer, Parameters};
use wgrad::train::Stepper;
use wgrad::{Gpu, Tensor, TextureOptions, no_grad, wgpu};

use crate::error::Result;
use crate::network::{FEATURES, Network, features, shuffled};
use crate::picture::Picture;

/// Pixels of a training step.
const BATCH: usize = 1024;

/// Training steps from one painting to the next.
const PAINT_EVERY: u64 = 12;

/// Steps whose mean loss [`Learner::loss`] is.
const RECENT: usize = 16;

/// A network in training, and the texture that it paints into.
pub struct Learner {
    gpu: Gpu,
    lesson: Lesson,
    stepper: Stepper,
    losses: Vec<f32>,
}

/// What a training step needs.
struct Lesson {
    network: Network,
    parameters: Parameters,
    adam: Adam,
    /// Features and colours of all pixels in random order: a batch is a part of them, copied by one launch.
    shuffled: (Tensor, Tensor),
    /// Features of all pixels, row by row.
    features: Tensor,
    /// What the network makes of them, `[3, height, width]`.
    painting: Option<Tensor>,
    texture: wgpu::Texture,
    recorded: u64,
}

impl Learner {
    /// An untrained network for `picture`, which paints into a texture of the picture's size.
    ///
    /// # Errors
    /// If the device cannot hold it.
    pub fn new(gpu: &Gpu, picture: &Picture, seed: u64) -> Result<Self> {
        let (network, parameters) = nn::build(gpu, seed, Network::new)?;
        let adam = Adam::new(&parameters, AdamOptions { lr: 4e-3, ..Default::default() })?;
        let pixels = picture.rgb.len();
        let rows = features(picture.width, picture.height, seed);
        let order = shuffled(pixels, seed);
        let mixed_rows: Vec<f32> =
            order.iter().flat_map(|&i| &rows[i * FEATURES..][..FEATURES]).copied().collect();
        let mixed_colours: Vec<f32> = order.iter().flat_map(|&i| picture.rgb[i]).collect();
        let shuffled = (
            Tensor::from_slice(gpu, &mixed_rows, &[pixels, FEATURES])?,
            Tensor::from_slice(gpu, &mixed_colours, &[pixels, 3])?,
        );
        let features = Tensor::from_slice(gpu, &rows, &[pixels, FEATURES])?;
        let texture = texture(gpu, picture);
        let lesson =
            Lesson { network, parameters, adam, shuffled, features, painting: None, texture, recorded: 0 };
        Ok(Self { gpu: gpu.clone(), lesson, stepper: Stepper::new(gpu), losses: Vec::new() })
    }

    /// Submits about `budget` of training, and takes the losses that have arrived. Waits for nothing.
    ///
    /// # Errors
    /// If the device is lost, or out of memory.
    pub fn advance(&mut self, budget: Duration) -> Result<()> {
        let Self { stepper, lesson, losses, .. } = self;
        stepper.advance(budget, || lesson.record())?;
        losses.extend(stepper.losses()?.into_iter().map(|step| step.loss));
        Ok(())
    }

    /// Finished steps.
    pub fn steps(&self) -> u64 {
        self.losses.len() as u64
    }

    /// Mean loss of the last finished steps: the mean squared error of a colour.
    pub fn loss(&self) -> Option<f32> {
        let recent = &self.losses[self.losses.len().saturating_sub(RECENT)..];
        (!recent.is_empty()).then(|| recent.iter().sum::<f32>() / recent.len() as f32)
    }

    /// The peak signal-to-noise ratio that the loss comes to, in dB.
    pub fn psnr(&self) -> Option<f32> {
        self.loss().map(psnr)
    }

    /// The texture that the network paints into.
    pub fn texture(&self) -> &wgpu::Texture {
        &self.lesson.texture
    }

    /// What was last painted into the texture, `[3, height, width]`; none before the first painting.
    pub fn painting(&self) -> Option<&Tensor> {
        self.lesson.painting.as_ref()
    }

    /// Trainable values.
    pub fn parameters(&self) -> usize {
        self.lesson.parameters.count()
    }

    /// The device it works on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }
}

impl Lesson {
    /// Records one training step, and a painting after every few. Returns the loss.
    fn record(&mut self) -> wgrad::train::Result<Tensor> {
        let (rows, colours) = &self.shuffled;
        let pixels = rows.shape()[0];
        let batch = BATCH.min(pixels);
        // The pixels that are left over at the end are in no batch; their neighbours are.
        let start = self.recorded as usize % (pixels / batch) * batch;
        let x = rows.slice(0, start, start + batch)?;
        let target = colours.slice(0, start, start + batch)?;
        let loss = self.network.forward(&x, Mode::Train)?.mse_loss(&target)?;
        self.adam.step(&self.parameters.gradients(&loss)?)?;
        self.recorded += 1;
        if self.recorded % PAINT_EVERY == 1 {
            self.paint()?;
        }
        Ok(loss)
    }

    /// Records that the network's picture be computed and written into the texture, none of which leaves the device.
    fn paint(&mut self) -> wgrad::train::Result<()> {
        let [width, height] = [self.texture.width(), self.texture.height()].map(|n| n as usize);
        let colours = no_grad(|| self.network.forward(&self.features, Mode::Eval))?;
        let planes = colours.permute(&[1, 0])?.reshape(&[3, height, width])?;
        planes.to_texture(&self.texture, TextureOptions::default())?;
        self.painting = Some(planes);
        Ok(())
    }
}

/// The peak signal-to-noise ratio of a mean squared error of colours from 0 to 1, in dB.
pub fn psnr(mean_squared_error: f32) -> f32 {
    -10.0 * mean_squared_error.log10()
}

/// An empty texture of the picture's size that kernels write and the window's pipeline reads.
fn texture(gpu: &Gpu, picture: &Picture) -> wgpu::Texture {
    gpu.device().create_texture(&wgpu::TextureDescriptor {
        label: Some("the network's picture"),
        size: wgpu::Extent3d {
            width: picture.width as u32,
            height: picture.height as u32,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::STORAGE_BINDING
            | wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}
