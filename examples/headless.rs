//! A smoke test for a machine without a screen, such as a CI runner: takes whatever adapter there is, trains a
//! little, and fails unless the loss fell.
//!
//!     cargo run --release --example headless

use wgrad::nn::{self, Activation, Adam, AdamOptions, Linear, Mode, Optimizer, Result, Sequential};
use wgrad::{Gpu, Tensor};

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let info = gpu.info();
    println!("adapter: {} ({:?}, {})", info.name, info.device_type, info.backend);

    let (model, params) = nn::build(&gpu, 0, |b| {
        Sequential::new(b)
            .with(|b| Linear::new(b, 1, 16))
            .with(|_| Activation::Tanh)
            .with(|b| Linear::new(b, 16, 1))
    })?;
    let mut adam = Adam::new(&params, AdamOptions { lr: 0.05, ..Default::default() })?;

    // One period of a sine.
    let (x, y): (Vec<f32>, Vec<f32>) =
        (-32..=32).map(|i| i as f32 / 32.0).map(|x| (x, (3.0 * x).sin())).unzip();
    let x = Tensor::from_slice(&gpu, &x, &[65, 1])?;
    let y = Tensor::from_slice(&gpu, &y, &[65, 1])?;
    let mut losses = Vec::new();
    for _ in 0..100 {
        let loss = model.forward(&x, Mode::Train)?.mse_loss(&y)?;
        adam.step(&params.gradients(&loss)?)?;
        losses.push(loss.item()?);
    }
    let (first, last) = (losses[0], losses[99]);
    println!("loss: {first:.4} before, {last:.4} after 100 steps");
    assert!(last < 0.1 * first, "the loss did not fall to a tenth");
    Ok(())
}
