//! The network: random Fourier features of a pixel's place, then linear layers with ReLU.
//!
//! From the bare coordinates such a network learns only blurs; sines and cosines of random frequencies let it learn
//! edges too (Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains").

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};
use wgrad::Tensor;
use wgrad::nn::{Activation, Builder, Linear, Mode, Module, Result, Sequential};

/// Frequencies, each with a sine and a cosine.
const FREQUENCIES: usize = 64;

/// Features of a pixel.
pub const FEATURES: usize = 2 * FREQUENCIES;

/// Standard deviation of the frequencies, in periods over the picture: higher is sharper, and noisier between pixels.
const SHARPNESS: f32 = 5.0;

const HIDDEN: usize = 64;

/// Features `[n, 128]` to colours `[n, 3]` between 0 and 1.
pub struct Network(Sequential);

impl Network {
    /// With PyTorch's default initialisation.
    pub fn new(builder: &Builder) -> Self {
        let layers = Sequential::new(builder)
            .with(|b| Linear::new(b, FEATURES, HIDDEN))
            .with(|_| Activation::Relu)
            .with(|b| Linear::new(b, HIDDEN, HIDDEN))
            .with(|_| Activation::Relu)
            .with(|b| Linear::new(b, HIDDEN, HIDDEN))
            .with(|_| Activation::Relu)
            .with(|b| Linear::new(b, HIDDEN, 3))
            .with(|_| Activation::Sigmoid);
        Self(layers)
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.0.forward(x, mode)
    }
}

/// Features of every pixel, row by row: `width * height * 128` values.
pub fn features(width: usize, height: usize, seed: u64) -> Vec<f32> {
    let mut rng = Pcg32::seed_from_u64(seed);
    let frequencies: Vec<[f32; 2]> = (0..FREQUENCIES).map(|_| normal_pair(&mut rng)).collect();
    let longer = width.max(height) as f32;
    let mut features = Vec::with_capacity(width * height * FEATURES);
    for y in 0..height {
        for x in 0..width {
            let (x, y) = ((x as f32 + 0.5) / longer, (y as f32 + 0.5) / longer);
            for [fx, fy] in &frequencies {
                let (sin, cos) = (std::f32::consts::TAU * SHARPNESS * (fx * x + fy * y)).sin_cos();
                features.extend([sin, cos]);
            }
        }
    }
    features
}

/// Two normally distributed numbers, by Box and Muller's method.
fn normal_pair(rng: &mut Pcg32) -> [f32; 2] {
    // 24 random bits, moved off 0, whose logarithm does not exist.
    let mut unit = || ((rng.next_u32() >> 8) as f32 + 0.5) / (1 << 24) as f32;
    let (radius, angle) = ((-2.0 * unit().ln()).sqrt(), std::f32::consts::TAU * unit());
    [radius * angle.cos(), radius * angle.sin()]
}

/// The numbers `0..n` in random order, by Fisher and Yates' method.
pub fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut rng = Pcg32::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
    order
}
