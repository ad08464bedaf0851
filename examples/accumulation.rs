//! Steps over micro-batches: gradients are added up, clipped by their norm, and used at a scheduled rate. The weights come out
//! as those of steps over whole batches.
//!
//!     cargo run --release --example accumulation

use wgrad::nn::{
    self, Activation, Adam, AdamOptions, Gradients, Linear, Mode, OneCycle, Optimizer, Parameters, Result,
    Sequential,
};
use wgrad::{Gpu, Tensor};

const BATCH: usize = 64;
const STEPS: u64 = 30;

/// Trains a net on a sine, `parts` micro-batches a step, and gives it with the last norm of the gradients.
fn train(gpu: &Gpu, parts: usize) -> Result<(Parameters, f32)> {
    let (model, params) = nn::build(gpu, 0, |b| {
        let hidden = Sequential::new(b).with(|b| Linear::new(b, 1, 16)).with(|_| Activation::Tanh);
        hidden.with(|b| Linear::new(b, 16, 1))
    })?;
    let mut adam = Adam::new(&params, AdamOptions::default())?;
    let schedule = OneCycle::new(0.05, STEPS)?;
    let x: Vec<f32> = (0..BATCH).map(|i| i as f32 / 32.0 - 1.0).collect();
    let y: Vec<f32> = x.iter().map(|x| (3.0 * x).sin()).collect();
    let (x, y) = (Tensor::from_slice(gpu, &x, &[BATCH, 1])?, Tensor::from_slice(gpu, &y, &[BATCH, 1])?);
    let (rows, mut norm) = (BATCH / parts, None);
    for step in 0..STEPS {
        let mut sum = Gradients::zeros(&params)?;
        for part in 0..parts {
            let (x, y) =
                (x.slice(0, part * rows, (part + 1) * rows)?, y.slice(0, part * rows, (part + 1) * rows)?);
            let loss = model.forward(&x, Mode::Train)?.mse_loss(&y)?;
            sum.add(&params.gradients(&loss)?)?; // One launch, whatever the model.
        }
        sum.scale(1.0 / parts as f32)?;
        norm = Some(sum.clip_norm(0.5)?); // A tensor: nothing waits.
        adam.set_lr(schedule.lr(step));
        adam.step(&sum)?;
        gpu.submit()?;
    }
    let norm = norm.map_or(Ok(0.0), |norm| norm.item())?;
    Ok((params, norm))
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let (whole, norm) = train(&gpu, 1)?;
    let (parts, of_parts) = train(&gpu, 8)?;
    let pairs = whole.state_dict()?.tensors.into_values().zip(parts.state_dict()?.tensors.into_values());
    let apart =
        pairs.flat_map(|(a, b)| a.1.into_iter().zip(b.1)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("norm of the last gradients {norm:.4} and {of_parts:.4}; weights at most {apart:.1e} apart");
    assert!(apart < 1e-3, "micro-batches must come to the batch");
    Ok(())
}
