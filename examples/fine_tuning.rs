//! Fine-tuning: a trunk from another model's file, frozen at first, then trained at a rate of its own.
//!
//!     cargo run --release --example fine_tuning
use wgrad::nn::{self, Activation, Builder, Linear, Load, Mode, Optimizer, Parameters, Result, Sequential};
use wgrad::nn::{Sgd, SgdOptions, StateDict};
use wgrad::{Gpu, Tensor};

struct Net {
    trunk: Sequential,
    fc: Linear,
}

impl Net {
    fn new(b: &Builder) -> Self {
        let lower =
            Sequential::new(&b.scope("trunk")).with(|b| Linear::new(b, 2, 16)).with(|_| Activation::Tanh);
        let trunk = lower.with(|b| Linear::new(b, 16, 16)).with(|_| Activation::Tanh);
        Self { trunk, fc: Linear::new(&b.scope("fc"), 16, 1) }
    }

    /// Makes 60 steps and gives the last loss.
    fn train(&self, params: &Parameters, sgd: &mut Sgd, x: &Tensor, y: &Tensor) -> Result<f32> {
        let mut last = 0.0;
        for _ in 0..60 {
            let loss = self.fc.forward(&self.trunk.forward(x, Mode::Train)?)?.mse_loss(y)?;
            sgd.step(&params.gradients(&loss)?)?;
            last = loss.item()?;
        }
        Ok(last)
    }
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let options = SgdOptions { lr: 0.1, momentum: 0.9, ..Default::default() };
    let points: Vec<[f32; 2]> =
        (0..64).map(|i| [(i % 8) as f32 / 4.0 - 1.0, (i / 8) as f32 / 4.0 - 1.0]).collect();
    let of = |f: fn(&[f32; 2]) -> f32| points.iter().map(f).collect::<Vec<f32>>();
    let theirs = Tensor::from_slice(&gpu, &of(|[x, y]| x * y), &[64, 1])?;
    let ours = Tensor::from_slice(&gpu, &of(|[x, y]| x * y + 0.5 * x), &[64, 1])?;
    let x = Tensor::from_slice(&gpu, points.as_flattened(), &[64, 2])?;

    // Somebody's model, saved under the names that a wrapper gives.
    let (net, params) = nn::build(&gpu, 1, |b| Net::new(&b.scope("module")))?;
    net.train(&params, &mut Sgd::new(&params, options)?, &x, &theirs)?;
    let state = StateDict::from_bytes(&params.state_dict()?.to_bytes()?, "theirs.safetensors")?;

    let (net, params) = nn::build(&gpu, 2, Net::new)?;
    println!("{}", params.load(&state, Load::partial().rename("module.", "").skip("fc.*"))?);
    params.freeze("trunk.*")?;
    let mut sgd = Sgd::new(&params, options)?;
    println!("loss with the trunk frozen {:.6}", net.train(&params, &mut sgd, &x, &ours)?);
    params.unfreeze("trunk.2.*")?;
    sgd.group("trunk.*", |o| o.lr = 0.01)?;
    println!("loss with a part of it at a tenth of the rate {:.6}", net.train(&params, &mut sgd, &x, &ours)?);
    let steps = ["trunk.0.weight", "trunk.2.weight", "fc.weight"].map(|name| sgd.state().steps_of(name));
    assert_eq!(steps, [Some(0), Some(60), Some(120)]);
    Ok(())
}
