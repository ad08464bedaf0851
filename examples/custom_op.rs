//! Two ops of one's own: an elementwise one from two expressions, and one with its own kernel and gradient. Both are compared with
//! an f64 reference, their gradients with its differences.
//!
//!     cargo run --release --example custom_op
use wgrad::device::shaders::{File, Kernel};
use wgrad::{DType, Elementwise, Gpu, Op, Tensor};
use wgrad_testkit::{Array, compare::check_close, gradient::numeric_gradient, sample::Sampler};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// One invocation a row: y = x / rms and dx = (dy - y · mean(dy · y)) / rms, with rms = √(mean(x²) + 1e-6).
static RMS_NORM: File = File::new(
    "rms_norm",
    "
// Uses: index.
struct Params { first_group: u32, rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn inverse_rms(first: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < p.cols; c++) { sum += x[first + c] * x[first + c]; }
    return inverseSqrt(sum / f32(p.cols) + 1e-6);
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = thread_index(id, groups); // Large grids are folded, and a launch may be cut.
    if row >= p.rows { return; }
    let scale = inverse_rms(row * p.cols);
    for (var i = row * p.cols; i < (row + 1u) * p.cols; i++) { out[i] = x[i] * scale; }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = thread_index(id, groups);
    if row >= p.rows { return; }
    let scale = inverse_rms(row * p.cols);
    var mean = 0.0;
    for (var i = row * p.cols; i < (row + 1u) * p.cols; i++) { mean += dy[i] * x[i] * scale / f32(p.cols); }
    for (var i = row * p.cols; i < (row + 1u) * p.cols; i++) { out[i] = (dy[i] - x[i] * scale * mean) * scale; }
}
",
);

/// What the gradient needs: the input.
struct RmsNorm(Tensor);

impl RmsNorm {
    fn launch(&self, entry: &'static str, dy: Option<&Tensor>) -> wgrad::autograd::Result<Tensor> {
        let x = &self.0;
        let (out, [rows, cols]) = (Tensor::empty(x.gpu(), x.shape())?, [x.shape()[0], x.shape()[1]]);
        let launch =
            x.gpu().launch(Kernel::new(&RMS_NORM, entry)).bind_all([("x", x.bind()), ("out", out.bind())]);
        let launch = dy.iter().fold(launch, |launch, dy| launch.bind("dy", dy.bind()));
        launch
            .set_all([("rows", rows), ("cols", cols)])
            .max_iterations(3 * (cols + 1))
            .threads(rows)
            .enqueue()?;
        Ok(out)
    }
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn backward(&self, dy: &Tensor, _: &[bool]) -> wgrad::autograd::Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(self.launch("backward", Some(dy))?)])
    }
}

fn rms_norm(x: &Tensor) -> wgrad::autograd::Result<Tensor> {
    if x.shape().len() != 2 {
        return Err(wgrad::autograd::Error::shape("rms_norm", format!("{:?} is no matrix", x.shape())));
    }
    if !x.dtype().is_float() {
        let message = format!("a tensor of {}: it takes floats; convert it with to_dtype first", x.dtype());
        return Err(wgrad::autograd::Error::DType { op: "rms_norm", message });
    }
    // The kernel reads array<f32>, row after row: halves would be taken for other numbers, and a view's rows lie elsewhere. Both
    // conversions are ops, so gradients go back through them; y is f32.
    let op = RmsNorm(x.to_dtype(DType::F32)?.contiguous()?);
    Ok(op.launch("forward", None)?.with_op(&[&op.0], || RmsNorm(op.0.clone())))
}

/// Compares an op and its gradient under a random upstream gradient with a reference.
fn check(
    gpu: &Gpu,
    name: &str,
    op: impl Fn(&Tensor) -> Result<Tensor>,
    reference: impl Fn(&[Array]) -> Array,
) -> Result {
    let [x, dy] = [1, 2].map(|seed| Sampler::new(seed).uniform(&[5, 7], -1.0, 1.0));
    let upload = |x: &Array| Tensor::from_slice(gpu, &x.to_f32(), &x.shape);
    let leaf = upload(&x)?.tracked();
    let y = op(&leaf)?;
    let inputs = [x];
    let value = check_close(name, &y.to_vec()?, &reference(&inputs), 1e-5, 1e-6)?;
    let dx = y.backward_from(&upload(&dy)?)?.take(&leaf).ok_or("no gradient")?;
    let gradient =
        check_close(name, &dx.to_vec()?, &numeric_gradient(&inputs, &dy, &reference)[0], 1e-4, 1e-5)?;
    println!("{name}: off by {value:.1e}, its gradient by {gradient:.1e}");
    Ok(())
}

fn main() -> Result {
    let gpu = Gpu::new()?;
    let snake =
        Elementwise::new("snake", "x + sin(a * x) * sin(a * x) / a", "1.0 + sin(2.0 * a * x)", &["a"])?;
    check(
        &gpu,
        "snake",
        |x| Ok(snake.apply(x, &[1.5])?),
        |x| x[0].map(|x| x + (1.5 * x).sin().powi(2) / 1.5),
    )?;
    check(
        &gpu,
        "rms_norm",
        |x| Ok(rms_norm(x)?),
        |x| {
            let rms = |row: usize| {
                (x[0].data[row * 7..][..7].iter().map(|x| x * x).sum::<f64>() / 7.0 + 1e-6).sqrt()
            };
            Array::from_fn(&x[0].shape, |at| x[0].at(at) / rms(at[0]))
        },
    )
}
