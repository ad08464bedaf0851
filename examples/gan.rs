//! Two networks against each other: a generator learns to make points on a circle from noise, as a critic learns to tell
//! them from real ones. Each has its optimizer, and a step of one computes no gradients of the other's weights.
//!
//!     cargo run --release --example gan
use wgrad::nn::{self, Activation, Adam, AdamOptions, Builder, Linear, Mode, Optimizer, Result, Sequential};
use wgrad::{Gpu, Tensor};

const BATCH: usize = 128;
const STEPS: usize = 1000;

fn mlp(b: &Builder, outputs: usize) -> Sequential {
    let first = Sequential::new(b).with(|b| Linear::new(b, 2, 32)).with(|_| Activation::Relu);
    first.with(|b| Linear::new(b, 32, 32)).with(|_| Activation::Relu).with(|b| Linear::new(b, 32, outputs))
}

/// Points at a distance of 1 from (2, -1), and noise to make such of.
fn batch(gpu: &Gpu, state: &mut u64) -> Result<(Tensor, Tensor)> {
    let mut uniform = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let noise: Vec<f32> = (0..2 * BATCH).map(|_| uniform()).collect();
    let angles = (0..BATCH).map(|_| std::f32::consts::PI * uniform());
    let real: Vec<f32> = angles.flat_map(|angle| [2.0 + angle.cos(), angle.sin() - 1.0]).collect();
    Ok((Tensor::from_slice(gpu, &real, &[BATCH, 2])?, Tensor::from_slice(gpu, &noise, &[BATCH, 2])?))
}

/// How far the points are from the circle in the mean.
fn distance(points: &Tensor) -> Result<f32> {
    let far = |[x, y]: &[f32; 2]| ((x - 2.0).hypot(y + 1.0) - 1.0).abs();
    Ok(points.to_vec()?.as_chunks().0.iter().map(far).sum::<f32>() / BATCH as f32)
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let (generator, g_params) = nn::build(&gpu, 1, |b| mlp(b, 2))?;
    let (critic, d_params) = nn::build(&gpu, 2, |b| mlp(b, 1))?;
    let options = AdamOptions { lr: 1e-3, betas: [0.5, 0.999], ..Default::default() };
    let mut g_adam = Adam::new(&g_params, options)?;
    let mut d_adam = Adam::new(&d_params, AdamOptions { lr: 4e-3, ..options })?;
    let (ones, zeros) = (Tensor::full(&gpu, &[BATCH, 1], 1.0)?, Tensor::zeros(&gpu, &[BATCH, 1])?);
    let judged = |x: &Tensor, y: &Tensor| -> Result<Tensor> {
        Ok(critic.forward(x, Mode::Train)?.bce_with_logits(y)?)
    };
    let products = || gpu.pending_commands().iter().filter(|command| command.name.contains("gemm")).count();
    let mut state = 1;
    let first = distance(&generator.forward(&batch(&gpu, &mut state)?.1, Mode::Eval)?)?;
    for step in 0..STEPS {
        let (real, noise) = batch(&gpu, &mut state)?;
        let fake = generator.forward(&noise, Mode::Train)?;
        let d_loss = judged(&fake.detach(), &zeros)?.add(&judged(&real, &ones)?)?;
        d_adam.step(&d_params.gradients(&d_loss)?)?;
        let g_loss = judged(&fake, &ones)?;
        let before = products();
        let gradients = g_params.gradients(&g_loss)?; // The critic's weights have none.
        let own = products() - before;
        g_adam.step(&gradients)?;
        if step == 0 {
            let loss = judged(&generator.forward(&noise, Mode::Train)?, &ones)?;
            let (before, _) = (products(), loss.backward()?);
            let all = products() - before;
            assert!(own + 3 <= all, "{own} products for its own gradients, of {all} for both");
        }
        gpu.submit()?;
    }
    let last = distance(&generator.forward(&batch(&gpu, &mut state)?.1, Mode::Eval)?)?;
    println!("distance from the circle: {first:.3} before, {last:.3} after {STEPS} steps");
    assert!(last < 0.2 * first, "the points must come near");
    Ok(())
}
