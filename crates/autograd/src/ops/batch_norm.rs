//! Batch normalisation of images.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Family, Launch};

use crate::launch::launch;
use crate::{DType, Error, Op, Pool2dOptions, Result, Tensor};

/// Options of [`Tensor::batch_norm2d`]; the default is that of PyTorch's `BatchNorm2d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance.
    pub eps: f32,
    /// Share of the batch's statistics in the running estimates' next values.
    pub momentum: f32,
    /// Whether a ReLU follows, which then costs nothing.
    pub relu: bool,
    /// Whether max pooling over 2 × 2 windows follows, after the ReLU if there is one. Where the pooled width is a
    /// multiple of 4 and both sizes are even it is part of the same kernels, and the image in between is never written.
    pub max_pool: bool,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, relu: false, max_pool: false }
    }
}

/// Running estimates of a batch norm, which its forward pass in training changes in place.
#[derive(Clone, Debug)]
pub struct RunningStats {
    /// Mean of each channel, `[c]`.
    pub mean: Tensor,
    /// Unbiased variance of each channel, `[c]`.
    pub var: Tensor,
    /// How many batches were seen, a scalar: PyTorch's `num_batches_tracked`.
    pub batches: Tensor,
}

/// Where the statistics come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Batch,
    Running,
}

#[derive(Clone, Copy)]
enum Pass {
    Forward,
    Backward,
}

impl Pass {
    fn kernel(self, pools: bool) -> Kernel<'static> {
        match (self, pools) {
            (Self::Forward, false) => Kernel::new(&shaders::BATCH_NORM, "batch_norm_forward"),
            (Self::Backward, false) => Kernel::new(&shaders::BATCH_NORM, "batch_norm_backward"),
            (Self::Forward, true) => Kernel::new(&shaders::BATCH_NORM_POOL, "batch_norm_pool_forward"),
            (Self::Backward, true) => Kernel::new(&shaders::BATCH_NORM_POOL, "batch_norm_pool_backward"),
        }
    }
}

/// Sizes, and which kernel they lead to.
#[derive(Clone, Copy)]
struct Geometry {
    channels: usize,
    /// Elements of a plane, and of a channel.
    plane: usize,
    count: usize,
    relu: bool,
    /// The pooled shape, where the kernels pool.
    pooled: Option<[usize; 4]>,
    source: Source,
}

impl Geometry {
    fn new(x: &Tensor, options: BatchNormOptions, source: Source) -> Result<Self> {
        let &[n, channels, h, w] = x.shape() else {
            let message = format!("input {:?}; expected [n, channels, height, width]", x.shape());
            return Err(Error::shape("batch_norm2d", message));
        };
        let pools = options.max_pool && h.is_multiple_of(2) && w.is_multiple_of(8);
        let pooled = pools.then_some([n, channels, h / 2, w / 2]);
        let geometry = Self { channels, plane: h * w, count: n * h * w, relu: options.relu, pooled, source };
        if source == Source::Batch && geometry.count < 2 {
            let message = format!(
                "input {:?} has {} a channel, whose variance says nothing: in training a batch needs more than one \
                 sample, so choose another batch size, or drop the last batch where it has one sample",
                x.shape(),
                if geometry.count == 0 { "no value" } else { "one value" }
            );
            return Err(Error::shape("batch_norm2d", message));
        }
        Ok(geometry)
    }

    /// The launch of `pass`, forward or backward, with constants, counts and grid.
    fn launch<'a>(&self, x: &'a Tensor, pass: Pass) -> Launch<'a> {
        let gpu = x.gpu();
        let (width, elements) = if self.plane.is_multiple_of(4) {
            (4, &shaders::BATCH_NORM_VEC4)
        } else {
            (1, &shaders::BATCH_NORM_SCALAR)
        };
        let count = self.count / width;
        // Two visits of the channel's elements, the sums of the lanes, what is left over from blocks, and each loop's last
        // check.
        let iterations = |lanes: usize| 2 * count.div_ceil(lanes) + 32;
        let (by, lanes, groups): (&'static File, _, _) = match (gpu.family(), gpu.subgroup()) {
            (Family::Cpu, Some(lanes)) if iterations(lanes as usize) as u64 <= gpu.loop_limit() => {
                (&shaders::BATCH_NORM_LANES_SUBGROUP, lanes as usize, self.channels)
            }
            (Family::Cpu, None) if iterations(1) as u64 <= gpu.loop_limit() => {
                (&shaders::BATCH_NORM_LANES_SINGLE, 1, self.channels.div_ceil(8))
            }
            // Also where fewer lanes would loop too long.
            _ => (&shaders::BATCH_NORM_LANES_WORKGROUP, 256, self.channels),
        };
        let of_subgroup = [("LANES", lanes)].into_iter().filter(|_| by.stem() == "lanes_subgroup");
        let of_pooled = self.pooled.map(|[.., ow]| ("OW", ow));
        launch(gpu, pass.kernel(self.pooled.is_some()).with(elements).with(by))
            .constants([("C", self.channels), ("PLANE", self.plane / width)])
            .constant("RELU", usize::from(self.relu))
            .constant("TRAINING", usize::from(self.source == Source::Batch))
            .constants(of_subgroup.chain(of_pooled))
            .set("count", count)
            .max_iterations(iterations(lanes))
            .groups(groups)
    }
}

struct BatchNorm {
    geometry: Geometry,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stats: Tensor,
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm2d"
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        let dx = Tensor::empty(dy.gpu(), self.x.shape())?;
        let [dweight, dbias] =
            [Tensor::empty(dy.gpu(), self.weight.shape())?, Tensor::empty(dy.gpu(), self.bias.shape())?];
        // Without ReLU and pooling the gradient does not depend on the bias, which may then have changed.
        let biased = self.geometry.relu || self.geometry.pooled.is_some();
        let bias = if biased { &self.bias } else { &self.weight };
        self.geometry
            .launch(dy, Pass::Backward)
            .bind_all([("x", self.x.bind_padded()), ("weight", self.weight.bind()), ("bias", bias.bind())])
            .bind_all([("saved", self.stats.bind()), ("dy", dy.bind_padded()), ("dx", dx.bind_padded())])
            .bind_all([("dweight", dweight.bind()), ("dbias", dbias.bind())])
            // The gradient does not look at these.
            .set_all_f32([("eps", 0.0), ("momentum", 0.0)])
            .enqueue()?;
        let moments = self.of_moments(&dweight, &dbias, needed.get(3..).unwrap_or_default())?;
        Ok([Some(dx), Some(dweight), Some(dbias)].into_iter().chain(moments).collect())
    }
}

impl BatchNorm {
    /// The gradients of the moments that were given, where they are `needed`: with r = 1 / √(v + eps), dm = -weight · r · dbias
    /// and dv = -weight · r² · dweight / 2.
    fn of_moments(&self, dweight: &Tensor, dbias: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        if !needed.contains(&true) {
            return Ok(vec![None; needed.len()]);
        }
        let r = self.stats.narrow(1, 1, 1)?.squeeze(1)?;
        let slope = self.weight.mul(&r)?;
        let dmean = slope.mul(dbias)?.neg()?;
        let dvar = slope.mul(&r)?.mul(dweight)?.mul_add_scalar(-0.5, 0.0)?;
        Ok(vec![Some(dmean), Some(dvar)])
    }
}

const OP: &str = "batch_norm2d";

impl Tensor {
    /// Normalises each channel by the mean and biased variance that it has in this batch, then scales by `weight` and
    /// shifts by `bias`; one kernel forward and one backward. The running estimates move towards the batch's.
    ///
    /// Shape: `[n, c, h, w]`, kept, or with the options' pooling `[n, c, h / 2, w / 2]`; `weight` and `bias` `[c]`. Counterpart:
    /// `torch.nn.functional.batch_norm(x, …, training=True)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes, a single value a channel, or a negative `eps` or one that is no number;
    /// [`Error::Device`], also for channels of over eight million values (33 million where planes are whole vec4).
    pub fn batch_norm2d(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        running: &RunningStats,
        options: BatchNormOptions,
    ) -> Result<Tensor> {
        self.in_f32(OP, |x| x.normalised(weight, bias, running, options, Source::Batch))
    }

    /// As [`Tensor::batch_norm2d`], by the running estimates, which stay as they are. Where they are tracked they have gradients
    /// too, so that moments from elsewhere can be given.
    ///
    /// # Errors
    /// As [`Tensor::batch_norm2d`]; a single value a channel is allowed.
    pub fn batch_norm2d_eval(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        running: &RunningStats,
        options: BatchNormOptions,
    ) -> Result<Tensor> {
        self.in_f32(OP, |x| x.normalised(weight, bias, running, options, Source::Running))
    }

    fn normalised(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        running: &RunningStats,
        options: BatchNormOptions,
        source: Source,
    ) -> Result<Tensor> {
        let (weight, bias) = (&weight.as_f32(OP)?, &bias.as_f32(OP)?);
        let BatchNormOptions { eps, momentum, max_pool, .. } = options;
        let geometry = Geometry::new(self, options, source)?;
        let channels = [geometry.channels];
        let of_channels =
            [("weight", weight), ("bias", bias), ("mean", &running.mean), ("var", &running.var)];
        if let Some((name, tensor)) = of_channels.iter().find(|(_, tensor)| tensor.shape() != channels) {
            let shape = tensor.shape();
            let message = format!("{name} {shape:?} for an input {:?}; expected {channels:?}", self.shape());
            return Err(Error::shape(OP, message));
        }
        if !(eps >= 0.0 && eps.is_finite() && (0.0..=1.0).contains(&momentum)) {
            let message = format!("eps {eps}, momentum {momentum}: eps is at least 0, momentum in 0..=1");
            return Err(Error::shape(OP, message));
        }
        for (name, tensor) in [("mean", &running.mean), ("var", &running.var), ("batches", &running.batches)]
        {
            if !tensor.is_contiguous() || tensor.dtype() != DType::F32 {
                let message = format!(
                    "running {name} {:?} of {} is written: it is contiguous, of f32",
                    tensor.shape(),
                    tensor.dtype()
                );
                return Err(Error::DType { op: OP, message });
            }
        }
        let y = match &geometry.pooled {
            Some(shape) => Tensor::empty(self.gpu(), shape)?,
            None => Tensor::empty(self.gpu(), self.shape())?,
        };
        let stats = Tensor::empty(self.gpu(), &[geometry.channels, 2])?;
        let unchanged: &[_] = match source {
            Source::Batch => &[],
            Source::Running => &["running_mean", "running_var", "batches"],
        };
        geometry
            .launch(self, Pass::Forward)
            .unchanged(unchanged)
            // A batch may have no rows, and bindings hold whole quads.
            .bind_all([("x", self.bind_padded()), ("weight", weight.bind()), ("bias", bias.bind())])
            .bind_all([("running_mean", running.mean.bind()), ("running_var", running.var.bind())])
            .bind_all([("batches", running.batches.bind()), ("stats", stats.bind()), ("y", y.bind_padded())])
            .set_all_f32([("eps", eps), ("momentum", momentum)])
            .enqueue()?;
        let inputs = [self, weight, bias, &running.mean, &running.var];
        // In training the moments are the batch's own.
        let inputs = if source == Source::Batch { &inputs[..3] } else { &inputs };
        let y = y.with_op(inputs, || BatchNorm {
            geometry,
            x: self.detach(),
            weight: weight.detach(),
            bias: bias.detach(),
            stats,
        });
        if max_pool && geometry.pooled.is_none() { y.max_pool2d(Pool2dOptions::square(2)) } else { Ok(y) }
    }
}
