//! Fits a line to noisy points by gradient descent, and recovers the slope and intercept they were made with.
//!
//!     cargo run --release --example linear_regression

use wgrad::nn::{self, Linear, Optimizer, Result, Sgd, SgdOptions};
use wgrad::{Gpu, Tensor};

const SLOPE: f32 = 2.5;
const INTERCEPT: f32 = -0.7;
const POINTS: usize = 1000;

/// Points on the line with noise added to y: `[POINTS, 1]` each, the same ones on every run.
fn noisy_points() -> (Vec<f32>, Vec<f32>) {
    // A linear congruential generator is random enough for noise.
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..POINTS)
        .map(|_| {
            let x = uniform();
            (x, SLOPE * x + INTERCEPT + 0.2 * uniform())
        })
        .unzip()
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let (x, y) = noisy_points();
    let x = Tensor::from_slice(&gpu, &x, &[POINTS, 1])?;
    let y = Tensor::from_slice(&gpu, &y, &[POINTS, 1])?;

    // A linear layer with one input and one output is a line: y = weight · x + bias.
    let (line, params) = nn::build(&gpu, 0, |b| Linear::new(&b.scope("line"), 1, 1))?;
    let mut sgd = Sgd::new(&params, SgdOptions { lr: 0.5, ..Default::default() })?;

    for step in 1..=60 {
        let loss = line.forward(&x)?.mse_loss(&y)?;
        sgd.step(&params.gradients(&loss)?)?;
        if step % 10 == 0 {
            println!("step {step}  loss {:.5}", loss.item()?);
        } else {
            gpu.submit()?;
        }
    }

    let state = params.state_dict()?;
    println!("slope {:.3}, made with {SLOPE}", state.tensors["line.weight"].1[0]);
    println!("intercept {:.3}, made with {INTERCEPT}", state.tensors["line.bias"].1[0]);
    Ok(())
}
