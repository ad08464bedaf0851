//! Fine-tuning: a trunk from another model's file, frozen at first, then trained at a rate of its own.
//!
//!     cargo run --release --example fine_tuning
use wgrad::nn::{self, Builder, Linear, Load, Optimizer, Parameters, Result, Sgd, SgdOptions, StateDict};
use wgrad::{Gpu, Tensor};

struct Net {
    lower: Linear,
    upper: Linear,
    fc: Linear,
}

impl Net {
    fn new(b: &Builder, outputs: usize) -> Self {
        Self {
            lower: Linear::new(&b.scope("trunk.lower"), 2, 16),
            upper: Linear::new(&b.scope("trunk.upper"), 16, 16),
            fc: Linear::new(&b.scope("fc"), 16, outputs),
        }
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.upper.forward(&self.lower.forward(x)?.tanh()?)?.tanh()?)
    }
}

/// Makes 60 steps and gives the last loss.
fn train(net: &Net, params: &Parameters, sgd: &mut Sgd, x: &Tensor, y: &Tensor) -> Result<f32> {
    for _ in 1..60 {
        sgd.step(&params.gradients(&net.forward(x)?.mse_loss(y)?)?)?;
    }
    let loss = net.forward(x)?.mse_loss(y)?;
    sgd.step(&params.gradients(&loss)?)?;
    Ok(loss.item()?)
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let options = SgdOptions { lr: 0.1, momentum: 0.9, ..Default::default() };
    let x: Vec<f32> =
        (0..64).flat_map(|i| [(i % 8) as f32 / 4.0 - 1.0, (i / 8) as f32 / 4.0 - 1.0]).collect();
    let of =
        |f: fn(f32, f32) -> f32| x.as_chunks::<2>().0.iter().map(|p| f(p[0], p[1])).collect::<Vec<f32>>();
    let product = Tensor::from_slice(&gpu, &of(|x, y| x * y), &[64, 1])?;
    let other = Tensor::from_slice(&gpu, &of(|x, y| x * y + 0.5 * x), &[64, 1])?;
    let x = Tensor::from_slice(&gpu, &x, &[64, 2])?;

    // Somebody's model, saved under the names that a wrapper gives, with another head.
    let (net, params) = nn::build(&gpu, 1, |b| Net::new(&b.scope("module"), 1))?;
    train(&net, &params, &mut Sgd::new(&params, options)?, &x, &product)?;
    let state = StateDict::from_bytes(&params.state_dict()?.to_bytes()?, "theirs.safetensors")?;

    let (net, params) = nn::build(&gpu, 2, |b| Net::new(b, 1))?;
    println!("{}", params.load(&state, Load::partial().rename("module.", "").skip("fc.*"))?);
    params.freeze("trunk.*")?;
    let mut sgd = Sgd::new(&params, options)?;
    println!("loss with the trunk frozen {:.6}", train(&net, &params, &mut sgd, &x, &other)?);
    params.unfreeze("trunk.upper.*")?;
    sgd.group("trunk.*", |o| o.lr = 0.01)?;
    println!(
        "loss with a part of it at a tenth of the rate {:.6}",
        train(&net, &params, &mut sgd, &x, &other)?
    );
    let steps =
        ["trunk.lower.weight", "trunk.upper.weight", "fc.weight"].map(|name| sgd.state().steps_of(name));
    assert_eq!(steps, [Some(0), Some(60), Some(120)]);
    Ok(())
}
