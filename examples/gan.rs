//! Two networks against each other: a generator learns to make points on a circle from noise, as a critic learns to tell
//! them from real ones. Each has its optimizer, and a step of one computes no gradients of the other's weights.
//!
//!     cargo run --release --example gan

use wgrad::nn::{self, Activation, Adam, AdamOptions, Builder, Linear, Mode, Optimizer, Result, Sequential};
use wgrad::{Gpu, Tensor};

const BATCH: usize = 128;
const STEPS: usize = 1500;

fn mlp(b: &Builder, inputs: usize, outputs: usize) -> Sequential {
    let first = Sequential::new(b).with(|b| Linear::new(b, inputs, 32)).with(|_| Activation::Tanh);
    first.with(|b| Linear::new(b, 32, 32)).with(|_| Activation::Tanh).with(|b| Linear::new(b, 32, outputs))
}

/// The next number of a simple generator, in -1..1.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Points at a distance of 1 from (2, -1), and noise to make such of.
fn batch(gpu: &Gpu, state: &mut u64) -> Result<(Tensor, Tensor)> {
    let angle = |_| (std::f32::consts::PI * uniform(state)).sin_cos();
    let real: Vec<f32> = (0..BATCH).map(angle).flat_map(|(sin, cos)| [2.0 + cos, sin - 1.0]).collect();
    let noise: Vec<f32> = (0..2 * BATCH).map(|_| uniform(state)).collect();
    Ok((Tensor::from_slice(gpu, &real, &[BATCH, 2])?, Tensor::from_slice(gpu, &noise, &[BATCH, 2])?))
}

/// What `f` gives, and how many launches it recorded.
fn launches<T>(gpu: &Gpu, f: impl FnOnce() -> Result<T>) -> Result<(T, usize)> {
    let before = gpu.pending_commands().len();
    Ok((f()?, gpu.pending_commands().len() - before))
}

/// How far the points are from the circle in the mean.
fn distance(points: &Tensor) -> Result<f32> {
    let points = points.to_vec()?;
    let far = points.as_chunks::<2>().0.iter().map(|[x, y]| ((x - 2.0).hypot(y + 1.0) - 1.0).abs());
    Ok(far.sum::<f32>() / BATCH as f32)
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let (generator, generator_params) = nn::build(&gpu, 1, |b| mlp(b, 2, 2))?;
    let (critic, critic_params) = nn::build(&gpu, 2, |b| mlp(b, 2, 1))?;
    let options = AdamOptions { lr: 2e-3, betas: [0.5, 0.999], ..Default::default() };
    let mut g_adam = Adam::new(&generator_params, options)?;
    let mut d_adam = Adam::new(&critic_params, options)?;
    let (ones, zeros) = (Tensor::full(&gpu, &[BATCH, 1], 1.0)?, Tensor::zeros(&gpu, &[BATCH, 1])?);
    let mut state = 1;
    let first = distance(&generator.forward(&batch(&gpu, &mut state)?.1, Mode::Eval)?)?;
    for step in 0..STEPS {
        let (real, noise) = batch(&gpu, &mut state)?;
        let fake = generator.forward(&noise, Mode::Train)?;
        let of_fake = critic.forward(&fake.detach(), Mode::Train)?.bce_with_logits(&zeros)?;
        let of_real = critic.forward(&real, Mode::Train)?.bce_with_logits(&ones)?;
        d_adam.step(&critic_params.gradients(&of_fake.add(&of_real)?)?)?;
        let loss = critic.forward(&fake, Mode::Train)?.bce_with_logits(&ones)?;
        let (gradients, own) = launches(&gpu, || generator_params.gradients(&loss))?;
        if step == 0 {
            let fake = generator.forward(&noise, Mode::Train)?;
            let loss = critic.forward(&fake, Mode::Train)?.bce_with_logits(&ones)?;
            let (_, all) = launches(&gpu, || Ok(loss.backward()?))?;
            assert!(own + 6 <= all, "{own} launches, without the critic's 3 weights and 3 biases, of {all}");
        }
        g_adam.step(&gradients)?;
        gpu.submit()?;
    }
    let (_, noise) = batch(&gpu, &mut state)?;
    let last = distance(&generator.forward(&noise, Mode::Eval)?)?;
    println!("distance from the circle: {first:.3} before, {last:.3} after {STEPS} steps");
    assert!(last < 0.2 * first, "the points must come near");
    Ok(())
}
