//! A network of two layers learns XOR, which no single layer can: the smallest complete training program.
//!
//!     cargo run --release --example xor
//!
//! Prints the loss now and then, and at the end the four predictions.

use wgrad::nn::{self, Linear, Optimizer, Result, Sgd, SgdOptions};
use wgrad::{Gpu, Tensor};

/// Two inputs, three hidden units, one logit.
struct Network {
    hidden: Linear,
    output: Linear,
}

impl Network {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.hidden.forward(x)?.tanh()?;
        self.output.forward(&hidden)
    }
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;

    // The network and its parameters, which start from the seed and lie in one buffer.
    let seed = 0;
    let (network, params) = nn::build(&gpu, seed, |b| Network {
        hidden: Linear::new(&b.scope("hidden"), 2, 3),
        output: Linear::new(&b.scope("output"), 3, 1),
    })?;
    let mut sgd = Sgd::new(&params, SgdOptions { lr: 0.5, momentum: 0.9, ..Default::default() })?;

    // The whole truth table is the batch.
    let inputs = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let targets = [0.0, 1.0, 1.0, 0.0];
    let x = Tensor::from_slice(&gpu, inputs.as_flattened(), &[4, 2])?;
    let y = Tensor::from_slice(&gpu, &targets, &[4, 1])?;

    for step in 1..=300 {
        let loss = network.forward(&x)?.bce_with_logits(&y)?;
        let gradients = params.gradients(&loss)?;
        sgd.step(&gradients)?;
        if step % 50 == 0 {
            // Reading a value runs what was recorded up to here, and waits for it.
            println!("step {step:3}  loss {:.4}", loss.item()?);
        } else {
            gpu.submit()?;
        }
    }

    let probabilities = network.forward(&x)?.sigmoid()?.to_vec()?;
    for ([a, b], probability) in inputs.iter().zip(&probabilities) {
        println!("{a} xor {b} = {}  (probability of 1: {probability:.3})", u8::from(*probability > 0.5));
    }
    let right = probabilities.iter().zip(&targets).filter(|(p, y)| (**p > 0.5) == (**y > 0.5)).count();
    println!("{right} of 4 right");
    Ok(())
}
