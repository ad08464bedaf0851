//! Layer normalisation over the last axis.

use wgrad_device::shaders;

use super::reduction::{Layout, RowKernel, Rows, TermCalls, Words};
use crate::{Error, Op, Result, Tensor};

const OP: &str = "layer_norm";

/// The state is that of `reduce/moments.wgsl`; mean and reciprocal deviation are settled.
static FORWARD: RowKernel =
    RowKernel { file: &shaders::LAYER_NORM, term: TermCalls::Each, words: Words { state: 4, settled: 2 } };

/// Both are the two sums.
static INPUT_GRAD: RowKernel = RowKernel {
    file: &shaders::LAYER_NORM_BACKWARD,
    term: TermCalls::Total,
    words: Words { state: 2, settled: 2 },
};

/// The state is an element of both gradients.
static PARAMS_GRAD: RowKernel = RowKernel {
    file: &shaders::LAYER_NORM_PARAMS,
    term: TermCalls::Neither,
    words: Words { state: 2, settled: 0 },
};

struct LayerNorm {
    x: Tensor,
    weight: Option<Tensor>,
    bias: bool,
    /// Mean and reciprocal deviation of each row.
    stats: Tensor,
    eps: f32,
}

impl LayerNorm {
    fn input_grad(&self, dy: &Tensor) -> Result<Tensor> {
        let dx = Tensor::empty(dy.gpu(), dy.shape())?;
        let mut rows = Rows::of(dy, dy.rows(OP)?, &INPUT_GRAD);
        rows.constants = vec![("WEIGHT", usize::from(self.weight.is_some()))];
        let weight = self.weight.as_ref().unwrap_or(&self.x).bind();
        let terms =
            [("x", self.x.bind()), ("weight", weight), ("stats", self.stats.bind()), ("dy", dy.bind())];
        rows.map(&terms, &[&terms[..], &[("dx", dx.bind())]].concat(), None)?;
        Ok(dx)
    }

    /// The gradients of weight and bias, each written into its place where it has one.
    fn params_grad(&self, dy: &Tensor, into: [Option<&Tensor>; 2]) -> Result<[Tensor; 2]> {
        let [rows, cols] = dy.rows(OP)?;
        let place = |into: Option<&Tensor>| match into {
            Some(into) => Ok(into.clone()),
            None => Tensor::empty(dy.gpu(), &[cols]),
        };
        let [dweight, dbias] = [place(into[0])?, place(into[1])?];
        if rows == 0 {
            return Ok([Tensor::zeros(dy.gpu(), &[cols])?, Tensor::zeros(dy.gpu(), &[cols])?]);
        }
        let mut columns = Rows::of(dy, [cols, rows], &PARAMS_GRAD);
        columns.n = rows;
        let layout = Layout { offset: 0, kept: vec![[cols, 1, 0, 0]], reduced: vec![[rows, cols, 0, 0]] };
        let terms = [("x", self.x.bind()), ("stats", self.stats.bind()), ("dy", dy.bind())];
        columns.reduce(layout, &terms, &[("dweight", dweight.bind()), ("dbias", dbias.bind())])?;
        Ok([dweight, dbias])
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        OP
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
        let mut gradients = vec![needed[0].then(|| self.input_grad(dy)).transpose()?];
        if needed[1..].contains(&true) {
            let at = |has: bool, i: usize| into.get(i).and_then(Option::as_ref).filter(|_| has);
            let has_weight = self.weight.is_some();
            let homes = [at(has_weight, 1), at(self.bias, 1 + usize::from(has_weight))];
            let [dweight, dbias] = self.params_grad(dy, homes)?;
            gradients.extend(has_weight.then_some(Some(dweight)));
            gradients.extend(self.bias.then_some(Some(dbias)));
        }
        gradients.resize(needed.len(), None);
        Ok(gradients)
    }

    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let mut gradients = vec![None; needed.len()];
        let cols = self.x.shape()[self.x.shape().len() - 1];
        if self.bias && needed[needed.len() - 1] {
            gradients[needed.len() - 1] = Some(dy.sum_to(&[cols])?);
        }
        let of_weight = self.weight.is_some() && needed[1];
        if !needed[0] && !of_weight {
            return Ok(Some(gradients));
        }
        let n = 1.0 / cols as f32;
        let sum = |x: &Tensor| x.sum(&[-1])?.unsqueeze(-1);
        let centred = self.x.sub(&sum(&self.x)?.mul_add_scalar(n, 0.0)?)?;
        let deviation = sum(&centred.square()?)?.mul_add_scalar(n, self.eps)?.sqrt()?;
        let normal = centred.div(&deviation)?;
        if of_weight {
            gradients[1] = Some(dy.mul(&normal)?.sum_to(&[cols])?);
        }
        if needed[0] {
            let g = match &self.weight {
                Some(weight) => dy.mul(weight)?,
                None => dy.clone(),
            };
            let pull = sum(&g)?.add(&normal.mul(&sum(&g.mul(&normal)?)?)?)?.mul_add_scalar(n, 0.0)?;
            gradients[0] = Some(g.sub(&pull)?.div(&deviation)?);
        }
        Ok(Some(gradients))
    }
}

impl Tensor {
    /// Normalises each row along the last axis by its mean and biased variance, then scales it by `weight` and shifts it by
    /// `bias` where they are given: `(x - mean) / √(var + eps) · weight + bias`. Rows may have any length.
    ///
    /// Shape: `[.., n]`, kept; `weight` and `bias` `[n]`. Counterpart:
    /// `torch.nn.functional.layer_norm(x, [n], weight, bias, eps)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar, other shapes, or an `eps` that is negative or no number; [`Error::DType`] for integers,
    /// [`Error::Device`].
    pub fn layer_norm(&self, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f32) -> Result<Tensor> {
        let [_, cols] = self.rows(OP)?;
        for (name, tensor) in [("weight", weight), ("bias", bias)] {
            if let Some(tensor) = tensor.filter(|tensor| tensor.shape() != [cols]) {
                let (shape, own) = (tensor.shape(), self.shape());
                return Err(Error::shape(OP, format!("{name} {shape:?} for {own:?}; expected [{cols}]")));
            }
        }
        if !(eps >= 0.0 && eps.is_finite()) {
            return Err(Error::shape(OP, format!("eps {eps} is not at least 0")));
        }
        let [weight, bias] = [weight, bias].map(|tensor| tensor.map(|tensor| tensor.as_f32(OP)).transpose());
        let (weight, bias) = (weight?, bias?);
        self.in_f32(OP, |x| x.layer_norm_f32(weight, bias, eps))
    }

    fn layer_norm_f32(&self, weight: Option<Tensor>, bias: Option<Tensor>, eps: f32) -> Result<Tensor> {
        let shape = self.rows(OP)?;
        let y = Tensor::empty(self.gpu(), self.shape())?;
        let stats = Tensor::empty(self.gpu(), &[shape[0], 2])?;
        let mut rows = Rows::of(self, shape, &FORWARD);
        rows.scalar = eps;
        let [has_weight, has_bias] = [&weight, &bias].map(Option::is_some);
        rows.constants = vec![("WEIGHT", usize::from(has_weight)), ("BIAS", usize::from(has_bias))];
        // What is not there is not read; whatever lies at hand is bound.
        let [w, b] = [&weight, &bias].map(|tensor| tensor.as_ref().unwrap_or(self).bind());
        let x = ("x", self.bind());
        let writes = [x.clone(), ("weight", w), ("bias", b), ("y", y.bind())];
        rows.map(&[x], &writes, Some(("stats", &stats)))?;
        let inputs: Vec<&Tensor> =
            [Some(self), weight.as_ref(), bias.as_ref()].into_iter().flatten().collect();
        let op = || LayerNorm { x: self.clone(), weight: weight.clone(), bias: has_bias, stats, eps };
        Ok(y.with_op(&inputs, op))
    }
}
