//! A decoder block of a transformer with a causal mask learns to copy: of a sequence that comes twice, it predicts the second
//! half, for which its attention must look back at the first.
//!
//!     cargo run --release --example copy_task
use wgrad::nn::{self, Activation, Adam, AdamOptions, Builder, Init, Linear, Optimizer, Param, Result};
use wgrad::{CrossEntropyOptions, Gpu, Tensor};

const TOKENS: usize = 8;
const HALF: usize = 6;
const LEN: usize = 2 * HALF - 1; // The last token has nothing to predict.
const WIDTH: usize = 32;
const HEADS: usize = 4;
const BATCH: usize = 64;
const STEPS: usize = 400;

struct Decoder {
    tokens: Param,
    places: Param,
    norms: [Param; 2],
    qkv: Linear,
    joined: Linear,
    up: Linear,
    down: Linear,
    head: Linear,
    mask: Tensor,
}

impl Decoder {
    fn new(b: &Builder, mask: Tensor) -> Self {
        let table = |name, rows| b.param(name, &[rows, WIDTH], Init::Uniform { bound: 0.3 });
        let linear = |name, inputs, outputs| Linear::new(&b.scope(name), inputs, outputs);
        Self {
            tokens: table("tokens", TOKENS),
            places: table("places", LEN),
            norms: ["norm1", "norm2"].map(|name| b.param(name, &[WIDTH], Init::Constant(1.0))),
            qkv: linear("qkv", WIDTH, 3 * WIDTH),
            joined: linear("joined", WIDTH, WIDTH),
            up: linear("up", WIDTH, 4 * WIDTH).with_activation(Activation::Gelu),
            down: linear("down", 4 * WIDTH, WIDTH),
            head: linear("head", WIDTH, TOKENS),
            mask,
        }
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let heads = self.qkv.forward(x)?.reshape(&[BATCH, LEN, 3 * HEADS, WIDTH / HEADS])?.transpose(1, 2)?;
        let [q, k, v] = [0, 1, 2].map(|part| heads.slice(1, part * HEADS, (part + 1) * HEADS));
        let scores = (q?.matmul(&k?.transpose(-1, -2)?)? * ((WIDTH / HEADS) as f32).powf(-0.5))?;
        let seen = (scores + &self.mask)?.softmax()?.matmul(&v?)?;
        self.joined.forward(&seen.transpose(1, 2)?.reshape(&[BATCH, LEN, WIDTH])?)
    }

    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let x = (self.tokens.tensor()?.embedding(tokens)? + self.places.tensor()?)?;
        let norm = |x: &Tensor, i: usize| -> Result<Tensor> {
            Ok(x.layer_norm(Some(self.norms[i].tensor()?), None, 1e-5)?)
        };
        let x = (&x + self.attention(&norm(&x, 0)?)?)?;
        let x = (&x + self.down.forward(&self.up.forward(&norm(&x, 1)?)?)?)?;
        self.head.forward(&x)
    }
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let below = |i: usize| if i % LEN > i / LEN { f32::NEG_INFINITY } else { 0.0 };
    let mask = Tensor::from_slice(&gpu, &(0..LEN * LEN).map(below).collect::<Vec<_>>(), &[LEN, LEN])?;
    let (model, params) = nn::build(&gpu, 1, |b| Decoder::new(b, mask))?;
    let mut adam = Adam::new(&params, AdamOptions { lr: 3e-3, ..Default::default() })?;
    let (mut state, mut loss, mut right) = (1u64, f32::NAN, 0);
    for step in 0..=STEPS {
        let mut token = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 61) as i32
        };
        let rows: Vec<Vec<i32>> = (0..BATCH)
            .map(|_| (0..HALF).map(|_| token()).collect())
            .map(|row: Vec<i32>| row.repeat(2))
            .collect();
        let inputs: Vec<i32> = rows.iter().flat_map(|row| &row[..LEN]).copied().collect();
        // What cannot be known yet is left out of the loss.
        let next = |row: &Vec<i32>| (1..=LEN).map(|i| if i < HALF { -1 } else { row[i] }).collect::<Vec<_>>();
        let targets: Vec<i32> = rows.iter().flat_map(next).collect();
        let logits = model
            .forward(&Tensor::from_slice(&gpu, &inputs, &[BATCH, LEN])?)?
            .reshape(&[BATCH * LEN, TOKENS])?;
        let options = CrossEntropyOptions { ignore_index: Some(-1), ..Default::default() };
        let cost =
            logits.cross_entropy_with(&Tensor::from_slice(&gpu, &targets, &[BATCH * LEN])?, options)?;
        adam.step(&params.gradients(&cost)?)?;
        gpu.submit()?;
        if step % 100 == 0 {
            let answers = logits.argmax(-1)?.to_vec_as::<i32>()?;
            right = answers.iter().zip(&targets).filter(|(a, b)| a == b).count();
            loss = cost.item()?;
            println!("step {step}: loss {loss:.3}, {right} of {} copied rightly", BATCH * HALF);
        }
    }
    assert!(loss < 0.1 && right * 100 > 98 * BATCH * HALF, "the block must have learned to copy");
    Ok(())
}
