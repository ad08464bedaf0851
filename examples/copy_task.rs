//! A decoder block of a transformer with a causal mask learns to copy: of a sequence that comes twice, it predicts the second
//! half, for which its attention must look back at the first.
//!
//!     cargo run --release --example copy_task
use wgrad::nn::{
    self, Activation, Adam, AdamOptions, Builder, Embedding, LayerNorm, Linear, Optimizer, Result,
};
use wgrad::{Gpu, Tensor, concat};

const TOKENS: usize = 8;
const HALF: usize = 6;
const LEN: usize = 2 * HALF - 1; // The last token has nothing to predict.
const WIDTH: usize = 32;
const HEADS: usize = 4;
const BATCH: usize = 64;
const STEPS: usize = 150;

struct Decoder {
    tokens: Embedding,
    places: Embedding,
    norms: [LayerNorm; 2],
    qkv: Linear,
    joined: Linear,
    up: Linear,
    down: Linear,
    head: Linear,
    mask: Tensor,
}

impl Decoder {
    fn new(b: &Builder, mask: Tensor) -> Self {
        let linear = |name, inputs, outputs| Linear::new(&b.scope(name), inputs, outputs);
        let norms = ["norm1", "norm2"].map(|name| LayerNorm::new(&b.scope(name), WIDTH));
        let tokens = Embedding::new(&b.scope("tokens"), TOKENS, WIDTH);
        let places = Embedding::new(&b.scope("places"), LEN, WIDTH);
        let (qkv, joined) = (linear("qkv", WIDTH, 3 * WIDTH), linear("joined", WIDTH, WIDTH));
        let up = linear("up", WIDTH, 4 * WIDTH).with_activation(Activation::Gelu);
        let (down, head) = (linear("down", 4 * WIDTH, WIDTH), linear("head", WIDTH, TOKENS));
        Self { tokens, places, norms, qkv, joined, up, down, head, mask }
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let heads = self.qkv.forward(x)?.reshape(&[BATCH, LEN, 3 * HEADS, WIDTH / HEADS])?.transpose(1, 2)?;
        let [q, k, v] = [0, 1, 2].map(|part| heads.slice(1, part * HEADS, (part + 1) * HEADS));
        let scores = (q?.matmul(&k?.transpose(-1, -2)?)? / ((WIDTH / HEADS) as f32).sqrt())?;
        let seen = (scores + &self.mask)?.softmax()?.matmul(&v?)?;
        self.joined.forward(&seen.transpose(1, 2)?.reshape(&[BATCH, LEN, WIDTH])?)
    }

    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let x = (self.tokens.forward(tokens)? + self.places.weight()?)?;
        let x = (&x + self.attention(&self.norms[0].forward(&x)?)?)?;
        let x = (&x + self.down.forward(&self.up.forward(&self.norms[1].forward(&x)?)?)?)?;
        self.head.forward(&x)
    }
}

fn main() -> Result<()> {
    let gpu = Gpu::new()?;
    let below = |i: usize| if i % LEN > i / LEN { f32::NEG_INFINITY } else { 0.0 };
    let mask = Tensor::from_slice(&gpu, &(0..LEN * LEN).map(below).collect::<Vec<_>>(), &[LEN, LEN])?;
    let (model, params) = nn::build(&gpu, 1, |b| Decoder::new(b, mask))?;
    let mut adam = Adam::new(&params, AdamOptions { lr: 3e-3, ..Default::default() })?;
    let (mut state, mut right) = (1u64, 0);
    for step in 0..=STEPS {
        let token = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 61) as i32
        };
        let half =
            Tensor::from_slice(&gpu, &(0..BATCH * HALF).map(token).collect::<Vec<_>>(), &[BATCH, HALF])?;
        let logits = model.forward(&concat(&[&half, &half], 1)?.slice(1, 0, LEN)?)?;
        let second = logits.slice(1, HALF - 1, LEN)?.reshape(&[BATCH * HALF, TOKENS])?;
        let loss = second.cross_entropy(&half.flatten(0)?, 0.0)?;
        adam.step(&params.gradients(&loss)?)?;
        if step % 50 == 0 {
            let pairs = second.argmax(-1)?.to_vec_as::<i32>()?.into_iter().zip(half.to_vec_as::<i32>()?);
            right = pairs.filter(|(a, b)| a == b).count();
            println!("step {step}: loss {:.3}, {right} of {} copied rightly", loss.item()?, BATCH * HALF);
        }
        gpu.submit()?;
    }
    assert!(right * 100 > 98 * BATCH * HALF, "the block must have learned to copy");
    Ok(())
}
