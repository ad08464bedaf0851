//! Textures of an application as tensors, and tensors as its textures, each by one kernel and without the host.

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Launch, wgpu};

use crate::launch::launch;
use crate::{Error, Gpu, Result, Tensor};

/// How a texture's texels and a tensor's values belong together: value = (texel - mean) / std for each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextureOptions {
    /// The layer of an array texture.
    pub layer: u32,
    /// Subtracted from red, green, blue and alpha.
    pub mean: [f32; 4],
    /// What they are then divided by.
    pub std: [f32; 4],
}

impl Default for TextureOptions {
    /// The first layer, its texels as they are.
    fn default() -> Self {
        Self { layer: 0, mean: [0.0; 4], std: [1.0; 4] }
    }
}

impl TextureOptions {
    fn check(&self, op: &'static str) -> Result<()> {
        let usable = self.mean.iter().all(|mean| mean.is_finite())
            && self.std.iter().all(|std| std.is_finite() && *std != 0.0);
        if usable {
            return Ok(());
        }
        let Self { mean, std, .. } = self;
        Err(Error::shape(op, format!("mean {mean:?} and std {std:?}: they are finite, and no std is 0")))
    }
}

const SCALE: [&str; 4] = ["scale_r", "scale_g", "scale_b", "scale_a"];
const SHIFT: [&str; 4] = ["shift_r", "shift_g", "shift_b", "shift_a"];

/// Records a launch of one invocation a texel.
fn record(launch: Launch<'_>, [h, w]: [usize; 2], scale: [f32; 4], shift: [f32; 4]) -> Result<()> {
    let mut launch = launch.set("n", h * w).set("width", w).threads(h * w);
    for c in 0..4 {
        launch = launch.set_f32(SCALE[c], scale[c]).set_f32(SHIFT[c], shift[c]);
    }
    Ok(launch.enqueue()?)
}

/// Height and width.
fn size(texture: &wgpu::Texture) -> [usize; 2] {
    [texture.height() as usize, texture.width() as usize]
}

impl Tensor {
    /// The first `channels` (1, 3 or 4) of a layer's texels, normalised. The largest mip level is taken.
    ///
    /// Shape: `[1, channels, height, width]`. The texture has the usage `TEXTURE_BINDING` and a format that is read as
    /// floats. What an sRGB format stores is decoded, so the values are linear; for the bytes as they are, divided by
    /// 255, make the texture without `Srgb`.
    ///
    /// The texture is read when the recording is submitted: submit the commands that draw it before.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of channels or a mean or std that is no number,
    /// [`wgrad_device::Error::Resource`] in [`Error::Device`] for a texture that kernels cannot read, and as
    /// [`Tensor::empty`].
    pub fn from_texture(
        gpu: &Gpu,
        texture: &wgpu::Texture,
        channels: usize,
        options: TextureOptions,
    ) -> Result<Self> {
        let op = "from_texture";
        options.check(op)?;
        if ![1, 3, 4].contains(&channels) {
            return Err(Error::shape(op, format!("{channels} channels: take 1, 3 or 4")));
        }
        let view = gpu.sampled_view(texture, options.layer)?;
        let [h, w] = size(texture);
        let tensor = Self::empty(gpu, &[1, channels, h, w])?;
        let texel = u64::from(texture.format().block_copy_size(None).unwrap_or(16));
        let launch = launch(gpu, Kernel::new(&shaders::TEXTURE_TO_TENSOR, "texture_to_tensor"))
            .constant("CHANNELS", channels)
            .texture("x", view)
            .bind("y", tensor.bind())
            .bytes_read((h * w) as u64 * texel);
        let scale = options.std.map(|std| 1.0 / std);
        let shift = std::array::from_fn(|c| -options.mean[c] / options.std[c]);
        record(launch, [h, w], scale, shift)?;
        Ok(tensor)
    }

    /// Writes the values to a layer of a texture, scaled back: texel = value · std + mean. One channel gives grey, three
    /// are opaque.
    ///
    /// Shape of the tensor: `[1, c, height, width]` or `[c, height, width]`, c = 1, 3 or 4, the texture's height and
    /// width. The texture has the usage `STORAGE_BINDING` and one of the formats `Rgba8Unorm`, `Bgra8Unorm`,
    /// `Rgba16Float`, `R32Float`, `Rgba32Float`; the first two clamp to 0 … 1. Formats that store sRGB cannot be written:
    /// make the texture without `Srgb`, and show it through a view with it if the values are encoded as sRGB already.
    ///
    /// It is written when the recording is submitted: call [`Gpu::submit`] before the commands that draw it.
    ///
    /// # Errors
    /// [`Error::Shape`] where the shapes differ, [`wgrad_device::Error::Resource`] in [`Error::Device`] for a texture that
    /// kernels cannot write, [`Error::Device`].
    pub fn to_texture(&self, texture: &wgpu::Texture, options: TextureOptions) -> Result<()> {
        let op = "to_texture";
        options.check(op)?;
        let [h, w] = size(texture);
        let channels = match *self.shape() {
            [1, c, y, x] | [c, y, x] if [y, x] == [h, w] && [1, 3, 4].contains(&c) => c,
            _ => {
                let shape = self.shape();
                let message =
                    format!("a tensor {shape:?} for {h} × {w} texels: it is [c, {h}, {w}], c = 1, 3 or 4");
                return Err(Error::shape(op, message));
            }
        };
        let (view, target) = self.gpu().storage_view(texture, options.layer)?;
        let launch = launch(self.gpu(), Kernel::new(&shaders::TENSOR_TO_TEXTURE, "tensor_to_texture"))
            .constant("CHANNELS", channels)
            .alias("Target", target)
            .bind("x", self.as_f32(op)?.bind())
            .texture("y", view);
        record(launch, [h, w], options.std, options.mean)
    }
}
