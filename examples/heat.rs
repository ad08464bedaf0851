//! A network u(x, t) that satisfies the heat equation u_t = κ u_xx between walls that are kept at 0, from u(x, 0) = sin πx on: its
//! loss is made of its own second derivatives. The solution is e^(-κπ²t) sin πx.
//!
//!     cargo run --release --example heat
use std::f32::consts::PI;

use wgrad::nn::{self, Activation, Adam, AdamOptions, Linear, Mode, Optimizer, Result, Sequential};
use wgrad::{Gpu, Tensor, grad};

const DIFFUSIVITY: f32 = 0.1;
const STEPS: usize = 500;
const SIDE: usize = 12;

/// A column of values of the places of a grid over x and t in 0..=1.
fn column(gpu: &Gpu, value: impl Fn(f32, f32) -> f32) -> Result<Tensor> {
    let at = |i: usize| i as f32 / (SIDE - 1) as f32;
    let values: Vec<f32> = (0..SIDE * SIDE).map(|i| value(at(i % SIDE), at(i / SIDE))).collect();
    Ok(Tensor::from_slice(gpu, &values, &[SIDE * SIDE, 1])?)
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let (net, params) = nn::build(&gpu, 3, |b| {
        let first = Sequential::new(b).with(|b| Linear::new(b, 2, 32)).with(|_| Activation::Tanh);
        first.with(|b| Linear::new(b, 32, 32)).with(|_| Activation::Tanh).with(|b| Linear::new(b, 32, 1))
    })?;
    let mut adam = Adam::new(&params, AdamOptions { lr: 1e-2, ..Default::default() })?;
    let (x, t) = (column(&gpu, |x, _| x)?.tracked(), column(&gpu, |_, t| t)?.tracked());
    let (start, bump) = (column(&gpu, |x, _| (PI * x).sin())?, column(&gpu, |x, t| t * x * (1.0 - x))?);
    // The second derivative of the start is known, and so is what the walls ask for: u = sin πx + t x (1 - x) net(x, t).
    let bend = (&start * (-PI * PI))?;
    for step in 0..=STEPS {
        let rest = ((&t * (&x - x.square()?)?)?
            * net.forward(&Tensor::stack(&[&x, &t], 1)?.flatten(1)?, Mode::Train)?)?;
        let [r_x, r_t] = grad(&rest.sum_all()?, [&x, &t])?;
        let [r_xx] = grad(&r_x.sum_all()?, [&x])?;
        let residual = (r_t - ((r_xx + &bend)? * DIFFUSIVITY)?)?;
        let loss = residual.square()?.mean_all()?;
        adam.step(&params.gradients(&loss)?)?;
        adam.set_lr(1e-2 * (1.0 - step as f64 / (STEPS + 1) as f64));
        if step % 100 == 0 {
            println!("step {step}: mean square of u_t - κ u_xx {:.2e}", loss.item()?);
        }
        gpu.submit()?;
    }
    let u = (start + (bump * net.forward(&Tensor::stack(&[&x, &t], 1)?.flatten(1)?, Mode::Eval)?)?)?;
    let exact = column(&gpu, |x, t| (-DIFFUSIVITY * PI * PI * t).exp() * (PI * x).sin())?;
    let error = (u - exact)?.abs()?.max_all()?.item()?;
    println!("largest error of u against the solution: {error:.4}");
    assert!(error < 0.01, "the network must have found the solution");
    Ok(())
}
