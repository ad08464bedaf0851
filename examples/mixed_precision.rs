//! A convolutional net with half-precision activations: weights are f32, each use of them is f16, and the loss is scaled so that
//! small gradients don't vanish in f16. A step whose gradients overflow is left out, and the scale made smaller.
//!
//!     cargo run --release --example mixed_precision
use wgrad::data::{DeviceImages, Normalize, synthetic};
use wgrad::nn::{self, Builder, Init, Optimizer, Param, Result, Sgd, SgdOptions};
use wgrad::{Activation, Conv2dOptions, DType, Epilogue, Gpu, Tensor};

const BATCH: usize = 32;
const STEPS: usize = 60;

struct Net {
    convolutions: [(Param, Param); 2],
    head: (Param, Param),
}

impl Net {
    fn new(b: &Builder) -> Self {
        let layer = |name: &str, shape: &[usize]| {
            let (b, inputs) = (b.scope(name), shape[1..].iter().product());
            (
                b.param("weight", shape, Init::fan_in(inputs)),
                b.param("bias", &shape[..1], Init::fan_in(inputs)),
            )
        };
        let convolutions = [layer("conv1", &[16, 3, 3, 3]), layer("conv2", &[32, 16, 3, 3])];
        Self { convolutions, head: layer("fc", &[10, 32 * 8 * 8]) }
    }

    /// Logits in f32; everything before is of the type `dtype`.
    fn forward(&self, x: &Tensor, dtype: DType) -> Result<Tensor> {
        let cast = |param: &Param| -> Result<Tensor> { Ok(param.tensor()?.to_dtype(dtype)?) };
        let mut x = x.to_dtype(dtype)?;
        for (w, b) in &self.convolutions {
            let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
            let epilogue = Epilogue { activation: Activation::Relu, max_pool: true, ..Default::default() };
            x = x.conv2d_with(&cast(w)?, Some(&cast(b)?), options, epilogue)?;
        }
        Ok(x.flatten(1)?.linear(&cast(&self.head.0)?, Some(&cast(&self.head.1)?))?.to_dtype(DType::F32)?)
    }
}

fn train(gpu: &Gpu, images: &DeviceImages, dtype: DType) -> Result<(f32, u32)> {
    let (net, params) = nn::build(gpu, 1, Net::new)?;
    let mut sgd = Sgd::new(&params, SgdOptions { lr: 0.05, momentum: 0.9, ..Default::default() })?;
    // Too large at first, so that a step overflows.
    let (mut scale, mut skipped, mut last) = (if dtype == DType::F16 { 1e8 } else { 1.0f32 }, 0, f32::NAN);
    let mut step = 0;
    while step < STEPS {
        let (x, labels) = images.batch(step * BATCH % 512, BATCH, Normalize::default())?;
        let loss = net.forward(&x, dtype)?.cross_entropy(&labels, 0.0)?;
        let mut gradients = params.gradients(&(&loss * scale)?)?;
        if !gradients.global_norm()?.item()?.is_finite() {
            (scale, skipped) = (scale / 16.0, skipped + 1);
            continue;
        }
        gradients.scale(1.0 / scale)?;
        sgd.step(&gradients)?;
        (last, step) = (loss.item()?, step + 1);
    }
    Ok((last, skipped))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::new()?;
    let images = DeviceImages::new(&gpu, &synthetic::images(512, 7))?;
    let ((single, _), (half, skipped)) =
        (train(&gpu, &images, DType::F32)?, train(&gpu, &images, DType::F16)?);
    println!("loss after {STEPS} steps: {single:.3} in f32, {half:.3} in f16 ({skipped} steps left out)");
    assert!(
        skipped > 0 && half < 1.5 && (half - single).abs() < 0.1 * single.max(0.5),
        "both must learn alike"
    );
    Ok(())
}
