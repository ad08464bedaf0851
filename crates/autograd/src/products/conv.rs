//! 2-D convolution (cross-correlation, as everywhere in the field): one op for its three passes, which are each other's
//! gradients, with what follows them.

use wgrad_device::{Gpu, View};

use super::conv_geometry::{Conv2dOptions, ConvGeometry, ConvPass};
use super::epilogue::{Activation, ConvOutput, Epilogue, FusedEpilogue};
use super::operand::{images, operand_type, output_type};
use super::{enqueue, packs, sum_of, winograd};
use crate::graph::saved_output;
use crate::ops::argmax_mask::ArgmaxMask;
use crate::{DType, Error, Op, Result, Tensor};

/// Packed operands may take this many bytes; larger batches are computed in parts. What fits the caches need not be larger,
/// and it counts in the peak memory of a step.
const WORKSPACE: usize = 8 << 20;

/// What the gradient must know of what followed the convolution.
enum SavedEpilogue {
    Nothing,
    /// An activation, whose output this is.
    Activation(Activation, Tensor),
    /// Max pooling, and a ReLU which let nothing through where there is no winner.
    Pool(ArgmaxMask),
}

/// One pass of a convolution with its operands in the order of [`ConvPass`].
pub(super) struct Convolution<'a> {
    pub op: &'static str,
    pub pass: ConvPass,
    pub geometry: ConvGeometry,
    pub operands: [&'a Tensor; 2],
}

struct ConvOp {
    op: &'static str,
    pass: ConvPass,
    geometry: ConvGeometry,
    operands: [Tensor; 2],
    saved: SavedEpilogue,
    /// Whether the inputs behind the operands begin with a bias.
    has_bias: bool,
}

impl Op for ConvOp {
    fn name(&self) -> &'static str {
        self.op
    }

    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>> {
        self.backward_into(dy, needed, &vec![None; needed.len()])
    }

    fn backward_into(
        &self,
        dy: &Tensor,
        needed: &[bool],
        into: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let of_bias = self.has_bias && needed[2];
        let mut db = match &self.saved {
            SavedEpilogue::Pool(mask) if of_bias => mask.unpool_sum(dy, into[2].as_ref())?,
            _ => None,
        };
        if db.is_some() && !needed[0] && !needed[1] {
            return Ok(vec![None, None, db]);
        }
        let dz = match &self.saved {
            SavedEpilogue::Nothing => dy.clone(),
            SavedEpilogue::Activation(activation, y) => activation.gradient_by_output(y, dy)?,
            SavedEpilogue::Pool(mask) => mask.unpool(dy)?,
        };
        if of_bias && db.is_none() {
            db = Some(bias_grad(&dz, into[2].as_ref())?);
        }
        self.gradients(&dz, db, needed, into)
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let dz = match &self.saved {
            SavedEpilogue::Nothing => dy.clone(),
            SavedEpilogue::Activation(activation, y) => {
                activation.recorded_gradient_by_output(&saved_output(y), dy)?
            }
            SavedEpilogue::Pool(_) => return Ok(None),
        };
        let db = (self.has_bias && needed[2]).then(|| bias_grad(&dz, None)).transpose()?;
        self.gradients(&dz, db, needed, &vec![None; needed.len()]).map(Some)
    }
}

/// The gradient of a bias, which is f32, by that of the biased images.
fn bias_grad(dz: &Tensor, into: Option<&Tensor>) -> Result<Tensor> {
    dz.to_dtype(DType::F32)?.sum_into(&[0, 2, 3], into)
}

impl ConvOp {
    /// The gradients of operands, bias and residual by `dz`, that of what the product itself gave.
    fn gradients(
        &self,
        dz: &Tensor,
        db: Option<Tensor>,
        needed: &[bool],
        into: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        use ConvPass::{Forward, InputGrad, WeightGrad};
        let [a, b] = &self.operands;
        let [of_a, of_b] = match self.pass {
            // y of w and x, dx of w and dy, dw of x and dy.
            Forward => [(WeightGrad, [b, dz]), (InputGrad, [a, dz])],
            InputGrad => [(WeightGrad, [dz, b]), (Forward, [a, dz])],
            WeightGrad => [(InputGrad, [dz, b]), (Forward, [dz, a])],
        };
        let gradient = |(pass, operands), of: &Tensor, into: &Option<Tensor>| {
            let op = match pass {
                Forward => "conv2d",
                InputGrad => "conv2d_input",
                WeightGrad => "conv2d_weight",
            };
            Convolution { op, pass, geometry: self.geometry, operands }.plain(of.dtype(), into.as_ref())
        };
        // The small gradient first: that of the image is not held while the weight's gradient needs its workspace.
        let da = needed[0].then(|| gradient(of_a, a, &into[0])).transpose()?;
        let db_operand = needed[1].then(|| gradient(of_b, b, &into[1])).transpose()?;
        let mut all = vec![da, db_operand];
        if self.has_bias {
            all.push(db);
        }
        all.resize(needed.len(), Some(dz.clone()));
        Ok(all)
    }
}

impl Convolution<'_> {
    fn gpu(&self) -> &Gpu {
        self.operands[0].gpu()
    }

    /// The smallest element among the tensors, in bytes.
    fn bytes(&self, dtype: DType) -> usize {
        self.operands.iter().map(|x| x.dtype().size()).chain([dtype.size()]).min().unwrap_or(4)
    }

    /// The pass alone, as an op of the graph, written `into` a tensor of its shape and type or a new one.
    pub fn plain(self, dtype: DType, into: Option<&Tensor>) -> Result<Tensor> {
        let [a, b] = [self.operands[0].contiguous()?, self.operands[1].contiguous()?];
        let pass = Convolution { operands: [&a, &b], ..self };
        let y = match into {
            Some(into) => into.detach(),
            None => Tensor::empty_of(pass.gpu(), &pass.geometry.shape_of(pass.pass), dtype)?,
        };
        pass.record(&ConvOutput::plain(&y))?;
        Ok(y.with_op(&[&a, &b], || pass.saved(SavedEpilogue::Nothing, false)))
    }

    fn saved(&self, saved: SavedEpilogue, has_bias: bool) -> ConvOp {
        let operands = self.operands.map(Tensor::clone);
        ConvOp { op: self.op, pass: self.pass, geometry: self.geometry, operands, saved, has_bias }
    }

    /// The pass and what follows it, where its product fits ([`Convolution::fits`]). The operands are contiguous; bias and
    /// residual have the right shape and type.
    pub fn with_epilogue(
        &self,
        bias: Option<&Tensor>,
        dtype: DType,
        epilogue: Epilogue<'_>,
    ) -> Result<Tensor> {
        let bias = bias.map(|bias| bias.as_f32(self.op)).transpose()?;
        let residual = epilogue.residual.map(Tensor::contiguous).transpose()?;
        let mut inputs = self.operands.to_vec();
        inputs.extend(&bias);
        inputs.extend(&residual);
        let shape = self.geometry.shape_of(self.pass);
        let is_pooled = epilogue.max_pool
            && self.pass == ConvPass::Forward
            && residual.is_none()
            && dtype == DType::F32
            && matches!(epilogue.activation, Activation::None | Activation::Relu);
        let pooled = if is_pooled { ArgmaxMask::pooled(shape) } else { None };
        let (now, later) = match epilogue.activation {
            // After the pooling, since it keeps the order of values: the same, and less work.
            Activation::Relu if epilogue.max_pool && pooled.is_none() => (Activation::None, Activation::Relu),
            _ => epilogue.split(&inputs),
        };
        let (y, mask) = match pooled {
            Some(shape) => {
                let (y, mask) = ArgmaxMask::with_image(self.gpu(), shape)?;
                (y, Some(mask))
            }
            None => (Tensor::empty_of(self.gpu(), &shape, dtype)?, None),
        };
        self.record(&ConvOutput {
            bias: bias.as_ref(),
            activation: now,
            residual: residual.as_ref(),
            mask: mask.as_ref(),
            y: &y,
        })?;
        let is_done = mask.is_some();
        let saved = match mask {
            Some(mask) => SavedEpilogue::Pool(mask),
            None if now != Activation::None => SavedEpilogue::Activation(now, y.detach()),
            None => SavedEpilogue::Nothing,
        };
        let y = y.with_op(&inputs, || self.saved(saved, bias.is_some()));
        if is_done { Ok(y) } else { Epilogue { activation: later, residual: None, ..epilogue }.apply(&y) }
    }

    /// Records the launches.
    fn record(&self, output: &ConvOutput<'_>) -> Result<()> {
        let (gpu, g, [a, b]) = (self.gpu(), &self.geometry, self.operands);
        let y = output.y;
        if y.is_empty() {
            return Ok(());
        }
        if a.is_empty() || b.is_empty() {
            // Sums of no images.
            return Ok(gpu.clear(&y.bind_padded())?);
        }
        if let Some(winograd) = winograd(gpu, g, [a, b, y].map(Tensor::dtype), output.mask.is_some()) {
            match self.pass {
                ConvPass::Forward => return winograd.forward(b, a, output),
                ConvPass::InputGrad => return winograd.input_grad(b, a, output),
                ConvPass::WeightGrad if winograd.weight_grad_fits(gpu) => {
                    return winograd.weight_grad(a, b, y);
                }
                ConvPass::WeightGrad => {}
            }
        }
        match (self.pass, output.mask) {
            (ConvPass::WeightGrad, _) => self.record_weight_grad(y),
            (_, None) => self.record_images(output),
            (_, Some(mask)) => {
                let whole = Tensor::empty(gpu, &g.shape_of(self.pass))?;
                let activation = Activation::None;
                self.record_images(&ConvOutput { activation, mask: None, y: &whole, ..*output })?;
                mask.pool(&whole, output.activation == Activation::Relu, y)
            }
        }
    }

    /// Ranges of images to be computed by one product each.
    fn parts(&self, dtype: DType) -> Vec<(usize, usize)> {
        match packs(self.gpu()) {
            true => self.geometry.parts(self.gpu(), self.pass, self.bytes(dtype), WORKSPACE),
            false => vec![(0, self.geometry.images)],
        }
    }

    fn record_product(
        &self,
        count: usize,
        views: [View; 2],
        out: View,
        dtype: DType,
        end: FusedEpilogue,
    ) -> Result<()> {
        let g = self.geometry.with_images(count);
        let (constants, [a, b], [of_a, of_b]) = (g.constants(), views, self.operands.map(Tensor::dtype));
        enqueue(self.gpu(), &g.problem(self.pass, &constants, [(a, of_a), (b, of_b)], (out, dtype), end))
    }

    /// A pass that makes images of a weight and images.
    fn record_images(&self, output: &ConvOutput<'_>) -> Result<()> {
        let ([w, x], y) = (self.operands, output.y);
        for (first, count) in self.parts(y.dtype()) {
            let views = [w.bind_padded(), images(x, first, count)];
            let end = output.fused(first, count);
            self.record_product(count, views, images(y, first, count), y.dtype(), end)?;
        }
        Ok(())
    }

    /// The pass that adds up images, part by part.
    fn record_weight_grad(&self, dw: &Tensor) -> Result<()> {
        let [x, dy] = self.operands;
        let parts = self.parts(dw.dtype());
        let record = |(first, count), dw: &Tensor| {
            let views = [images(x, first, count), images(dy, first, count)];
            self.record_product(count, views, dw.bind_padded(), dw.dtype(), FusedEpilogue::default())
        };
        if let [part] = parts[..] {
            return record(part, dw);
        }
        let sum = sum_of(parts.into_iter(), |part| {
            let of_part = Tensor::empty(self.gpu(), dw.shape())?;
            record(part, &of_part)?;
            Ok(of_part)
        })?;
        sum.map_or(Ok(()), |sum| sum.copy_into(dw))
    }

    /// Whether what the products pack of the fewest images that make a part can be bound; one pixel is never cut.
    pub fn fits(&self, dtype: DType) -> bool {
        let (gpu, g) = (self.gpu(), &self.geometry);
        if !packs(gpu) || (g.images == 1 && g.output == [1, 1]) {
            return true;
        }
        let [a, b] = self.operands.map(Tensor::dtype);
        winograd(gpu, g, [a, b, dtype], false).is_some_and(|winograd| winograd.weight_grad_fits(gpu))
            || g.packed_bytes(gpu, self.bytes(dtype)) <= gpu.limits().max_storage_buffer_binding_size
    }
}

/// Refuses a bias that is not one value an output channel.
pub(super) fn check_bias(op: &'static str, bias: Option<&Tensor>, channels: usize, w: &Tensor) -> Result<()> {
    let Some(bias) = bias.filter(|bias| bias.shape() != [channels]) else { return Ok(()) };
    Err(Error::shape(
        op,
        format!("bias {:?} for a weight {:?}; expected [{channels}]", bias.shape(), w.shape()),
    ))
}

impl Tensor {
    /// 2-D convolution with a weight `[out, c / groups, kh, kw]` and a bias `[out]`.
    ///
    /// Shape: `[n, c, h, w]` to `[n, out, oh, ow]`, `oh = (h + 2·padding - dilation·(kh - 1) - 1) / stride + 1`,
    /// rounded down. The output has the operands' type. Counterpart: `torch.nn.functional.conv2d`.
    ///
    /// # Errors
    /// [`Error::Shape`]; [`Error::DType`] unless input and weight are floats of one type; [`Error::Device`].
    pub fn conv2d(&self, w: &Tensor, bias: Option<&Tensor>, options: Conv2dOptions) -> Result<Tensor> {
        self.conv2d_with(w, bias, options, Epilogue::default())
    }

    /// As [`Tensor::conv2d`], and what follows it.
    ///
    /// Shape: that of [`Tensor::conv2d`], or with max pooling half its height and width, rounded down.
    ///
    /// # Errors
    /// As [`Tensor::conv2d`], and for a residual of another shape or type; [`Error::Shape`] for an output too small to pool.
    pub fn conv2d_with(
        &self,
        w: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2dOptions,
        epilogue: Epilogue<'_>,
    ) -> Result<Tensor> {
        const OP: &str = "conv2d";
        let dtype = output_type(OP, operand_type(OP, self, w)?, epilogue.out_dtype)?;
        let geometry = ConvGeometry::new(OP, self.shape(), w.shape(), options)?;
        check_bias(OP, bias, w.shape()[0], w)?;
        epilogue.check(OP, &geometry.output_shape(), dtype)?;
        let (x, w) = (self.contiguous()?, w.contiguous()?);
        let pass = Convolution { op: OP, pass: ConvPass::Forward, geometry, operands: [&w, &x] };
        if pass.fits(dtype) {
            return pass.with_epilogue(bias, dtype, epilogue);
        }
        let plain = Epilogue { out_dtype: epilogue.out_dtype, ..Epilogue::default() };
        epilogue.apply(&x.conv2d_in_halves(&w, bias, options, plain, geometry.output)?)
    }
}
