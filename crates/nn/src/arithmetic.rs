//! Arithmetic on [`FlatValues`], in place: a launch or two for each flat buffer.

use wgrad_autograd::device::shaders::{self, Kernel};
use wgrad_autograd::device::{Buffer, Launch};
use wgrad_autograd::{DType, Gpu, Tensor};

use crate::flat::error;
use crate::layout::{Entry, tables};
use crate::{Error, FlatValues, Result, pattern};

/// Partial sums of a norm for each flat buffer, at most; one invocation makes each.
const NORM_PARTS: usize = 4096;
/// The largest workgroup that kernels have, for stating loops.
const WORKGROUP: usize = 64;

impl FlatValues {
    /// Sets the value of each trainable parameter to `value`.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn fill(&mut self, value: f32) -> Result<()> {
        let entries = self.parameters.entries().iter();
        self.present = entries.map(|entry| entry.is_trainable()).collect();
        self.masked("flat_fill", value)
    }

    /// Adds the values of `other`. A parameter has a value from now on if it has one in either.
    ///
    /// # Errors
    /// [`Error::Options`] for values of other parameters, [`Error::Op`].
    pub fn add(&mut self, other: &Self) -> Result<()> {
        self.add_scaled(other, 1.0)
    }

    /// Adds the values of `other` times `factor`, as [`FlatValues::add`] does.
    ///
    /// # Errors
    /// As [`FlatValues::add`].
    pub fn add_scaled(&mut self, other: &Self, factor: f32) -> Result<()> {
        self.combine("flat_add", other, factor)
    }

    /// Moves the values towards those of `other`: `self + weight · (other - self)`, as `torch.lerp`. With the weights of a
    /// model as `other` ([`Parameters::values`](crate::Parameters::values)) that is one step of a moving average.
    ///
    /// # Errors
    /// As [`FlatValues::add`].
    pub fn lerp(&mut self, other: &Self, weight: f32) -> Result<()> {
        self.combine("flat_lerp", other, weight)
    }

    fn combine(&mut self, entry: &'static str, other: &Self, factor: f32) -> Result<()> {
        self.check_same(other)?;
        for (a, b) in self.flats.iter().zip(&other.flats) {
            let is_same = a.bind().buffer.id() == b.bind().buffer.id();
            match (is_same, entry) {
                (false, _) => elementwise(entry, a, [factor, 0.0]).bind("b", b.bind()).enqueue()?,
                // A kernel cannot bind one buffer to read and to write.
                (true, "flat_add") => elementwise("flat_scale", a, [1.0 + factor, 0.0]).enqueue()?,
                (true, _) => {}
            }
        }
        self.present.iter_mut().zip(&other.present).for_each(|(present, other)| *present |= other);
        Ok(())
    }

    /// Multiplies all values by `factor`.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn scale(&mut self, factor: f32) -> Result<()> {
        self.flats.iter().try_for_each(|a| Ok(elementwise("flat_scale", a, [factor, 0.0]).enqueue()?))
    }

    /// The store of what `f` makes of each flat buffer, elementwise: it gets a tensor of one axis and gives one of as many
    /// f32 values.
    ///
    /// # Errors
    /// What `f` fails with, [`Error::Options`] for a result of another shape, [`Error::Op`].
    pub fn map(&self, mut f: impl FnMut(&Tensor) -> wgrad_autograd::Result<Tensor>) -> Result<Self> {
        let mut flats = Vec::with_capacity(self.flats.len());
        for flat in &self.flats {
            let new = f(&flat.detach())?.detach();
            if new.shape() != flat.shape() || new.dtype() != DType::F32 {
                let (old, new) = (flat.shape(), new.shape());
                return Err(error(format!(
                    "map's closure gave {new:?} for {old:?}: both are f32 and have one shape"
                )));
            }
            // The padding is written below, which must not reach into a buffer of somebody else.
            flats.push(new.mul_add_scalar(1.0, -0.0)?);
        }
        let mapped = Self { parameters: self.parameters.clone(), flats, present: self.present.clone() };
        mapped.masked("flat_keep", 0.0)?;
        Ok(mapped)
    }

    /// Bounds each value to `-most..=most`; NaN stays. Counterpart: `torch.nn.utils.clip_grad_value_`.
    ///
    /// # Errors
    /// [`Error::Options`] for a bound below 0 or NaN, [`Error::Op`].
    pub fn clip_value(&mut self, most: f32) -> Result<()> {
        check_bound("clip_value", most)?;
        self.flats.iter().try_for_each(|a| Ok(elementwise("flat_clamp", a, [most, 0.0]).enqueue()?))
    }

    /// Scales all values so that their norm is `most` at most, and gives the norm that they had, a scalar: nothing waits
    /// for it. Counterpart: `torch.nn.utils.clip_grad_norm_`; as there, a norm that is NaN makes all values NaN.
    ///
    /// # Errors
    /// [`Error::Options`] for a bound below 0 or NaN, [`Error::Op`].
    pub fn clip_norm(&mut self, most: f32) -> Result<Tensor> {
        check_bound("clip_norm", most)?;
        let norm = self.global_norm()?;
        for a in &self.flats {
            elementwise("flat_clip", a, [most, 0.0]).bind("norm", norm.bind()).enqueue()?;
        }
        Ok(norm)
    }

    /// The 2-norm of all values, a scalar: infinite or NaN where one of them is.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn global_norm(&self) -> Result<Tensor> {
        let gpu = self.parameters.gpu();
        let counts = || self.flats.iter().map(|flat| (flat.numel() / 4).min(NORM_PARTS));
        let total: usize = counts().sum();
        let parts = Tensor::empty(gpu, &[total.max(1)])?;
        let mut first = 0;
        let layout = self.parameters.layout();
        // There are ends where there are flat buffers.
        let flats = self.flats.iter().zip(counts()).enumerate().zip(layout.ends.iter().cycle());
        for ((flat, (a, count)), ends) in flats {
            let n = a.numel() / 4;
            launch(gpu, Kernel::new(&shaders::FLAT_NORM, "flat_norm_part"))
                .bind_all([("a", a.bind()), ("part", parts.bind())])
                .bind_all(tables(layout, flat, ends))
                .set_all([("n", n), ("first", first), ("count", count)])
                .max_iterations(n.div_ceil(count) + 1)
                .threads(count)
                .enqueue()?;
            first += count;
        }
        let norm = Tensor::empty(gpu, &[])?;
        launch(gpu, Kernel::new(&shaders::FLAT_NORM, "flat_norm"))
            .bind_all([("parts", parts.bind()), ("norm", norm.bind())])
            .set_all([("n", total), ("first", 0), ("count", 0)])
            .max_iterations(total.div_ceil(WORKGROUP) + WORKGROUP + 2)
            .groups(1)
            .enqueue()?;
        Ok(norm)
    }

    /// Adds the gradient of the penalty `l1 · Σ |w| + l2 / 2 · Σ w²` of the parameters w whose names are like `pattern`, where `*`
    /// stands for any characters, and that have a value here: `l1 · sign w + l2 · w`. One launch for each flat buffer. The loss does
    /// not show the penalty. With `l1` 0 that is what PyTorch's `weight_decay` does.
    ///
    /// # Errors
    /// [`Error::Options`] if no parameter's name is like `pattern`, or for factors that are not finite; [`Error::Op`].
    pub fn add_penalty(&mut self, pattern: &str, l1: f32, l2: f32) -> Result<()> {
        const WHAT: &str = "add_penalty";
        let entries = self.parameters.entries();
        pattern::check(WHAT, pattern, entries.iter().map(|entry| entry.name.as_str()))?;
        if !(l1.is_finite() && l2.is_finite()) {
            let message = format!("l1 {l1}, l2 {l2}: both are finite");
            return Err(Error::Options { what: WHAT, message });
        }
        let takes_part = |i: usize| self.present[i] && pattern::matches(pattern, &entries[i].name);
        let ends = self.ends(takes_part)?;
        for (flat, (a, w)) in self.flats.iter().zip(self.parameters.flats()).enumerate() {
            let tables = tables(self.parameters.layout(), flat, &ends);
            elementwise("flat_penalty", a, [l1, l2]).bind("b", w.bind()).bind_all(tables).enqueue()?;
        }
        Ok(())
    }

    /// Where the values of each parameter end, or 0 for those that are left out. There is a parameter.
    fn ends(&self, takes_part: impl Fn(usize) -> bool) -> Result<Buffer> {
        let end = |(i, entry): (usize, &Entry)| if takes_part(i) { entry.end() as u32 } else { 0 };
        let ends: Vec<u32> = self.parameters.entries().iter().enumerate().map(end).collect();
        Ok(self.parameters.gpu().upload(&ends)?)
    }

    /// Runs a kernel that writes zeros where there is no value.
    fn masked(&self, entry: &'static str, alpha: f32) -> Result<()> {
        if self.parameters.entries().is_empty() {
            return Ok(());
        }
        let ends = self.ends(|i| self.present[i])?;
        for (flat, a) in self.flats.iter().enumerate() {
            let tables = tables(self.parameters.layout(), flat, &ends);
            elementwise(entry, a, [alpha, 0.0]).bind_all(tables).enqueue()?;
        }
        Ok(())
    }
}

fn check_bound(what: &'static str, most: f32) -> Result<()> {
    if most >= 0.0 {
        return Ok(());
    }
    Err(Error::Options { what, message: format!("a bound of {most}: it is at least 0") })
}

/// A launch of a kernel of `optim/flat` over `a`.
fn elementwise<'a>(entry: &'static str, a: &'a Tensor, [alpha, beta]: [f32; 2]) -> Launch<'a> {
    let n = a.numel() / 4;
    launch(a.gpu(), Kernel::new(&shaders::FLAT, entry))
        .bind("a", a.bind())
        .set("n", n)
        .set_all_f32([("alpha", alpha), ("beta", beta)])
        .threads(n)
}

/// A launch over flat buffers, without runtime checks.
fn launch<'a>(gpu: &'a Gpu, kernel: Kernel<'a>) -> Launch<'a> {
    // SAFETY: the flat buffers of one layout are equally long, whole vec4s, and `n` is their length; `blocks` has an entry for
    // each block and names parameters that there are.
    unsafe { gpu.launch_unchecked(kernel) }
}
