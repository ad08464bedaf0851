//! [`UpdateRule`]: what a kind of optimizer is, and [`Optim`], the optimizer made of it.

use wgrad_autograd::device::shaders::{self, File, Kernel};
use wgrad_autograd::device::{Buffer, Family};

use super::groups::Groups;
use super::{Optimizer, OptimizerState, check_lr};
use crate::{Error, Gradients, Parameters, Result};

/// A kind of optimizer: options, a formula in WGSL, the numbers that it takes, and the state that it keeps.
///
/// The options implement this, and [`Optim`] makes an optimizer of them:
///
/// ```
/// use wgrad_nn::autograd::device::shaders::File;
/// use wgrad_nn::{Optim, UpdateRule};
///
/// /// Steps by the gradient's sign. Counterpart: `torch.optim.Rprop` with a fixed step.
/// #[derive(Clone, Debug)]
/// struct SignSgd {
///     lr: f64,
/// }
///
/// static FILE: File = File::new("sign_sgd", "
/// struct Scalars { lr: f32 }
/// fn update(i: u32, w: vec4<f32>, grad: vec4<f32>, s: Scalars) -> vec4<f32> {
///     return w - s.lr * sign(grad);
/// }");
///
/// impl UpdateRule for SignSgd {
///     const NAME: &'static str = "sign_sgd";
///     const STATE: &'static [&'static str] = &[];
///     fn file(&self) -> &'static File { &FILE }
///     fn scalars(&self, _step: u64) -> Vec<(&'static str, f64)> { vec![("lr", self.lr)] }
///     fn lr(&self) -> f64 { self.lr }
///     fn set_lr(&mut self, lr: f64) { self.lr = lr; }
/// }
/// # use wgrad_nn::{Linear, Optimizer, build};
/// # let gpu = wgrad_nn::autograd::Gpu::new()?;
/// let (line, params) = build(&gpu, 0, |b| Linear::new(&b.scope("line"), 1, 1))?;
/// let mut optimizer = Optim::new(&params, SignSgd { lr: 0.1 })?;
/// # let before = params.flats()[0].to_vec()?;
/// # let x = wgrad_nn::autograd::Tensor::full(&gpu, &[1, 1], 2.0)?;
/// optimizer.step(&params.gradients(&line.forward(&x)?.sum_all()?)?)?;
/// # assert_eq!(params.flats()[0].to_vec()?[64], before[64] - 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait UpdateRule: Clone {
    /// The name, for errors.
    const NAME: &'static str;

    /// The names of the state, each a value for each element of the parameters, 0 at first. The file binds them under these
    /// names; PyTorch's are best.
    const STATE: &'static [&'static str];

    /// The WGSL file with the formula; `optim/optimize.wgsl` in the shaders crate says what it declares. A file that is not
    /// of that crate is compiled with checks. It has no loops of its own: nothing would tell how long they run.
    fn file(&self) -> &'static File;

    /// The scalars of the file by name, for a parameter's step `step`, counted from 1: only steps in which the parameter
    /// had a gradient count.
    fn scalars(&self, step: u64) -> Vec<(&'static str, f64)>;

    /// The learning rate.
    fn lr(&self) -> f64;

    /// Changes the learning rate.
    fn set_lr(&mut self, lr: f64);

    /// Fails, with what is wrong, for options that make no sense. Learning rates are checked elsewhere.
    ///
    /// # Errors
    /// The message.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// An optimizer that follows a rule.
pub struct Optim<R: UpdateRule> {
    groups: Groups<R>,
    state: OptimizerState,
    /// The rule's file as it was when the table was laid out.
    file: File,
    /// Whether it is the shaders crate's, whose kernels run without checks.
    trusted: bool,
    /// The names in the file's `struct Scalars`.
    scalars: Vec<String>,
    /// For each parameter: where it ends, and its scalars; on the device and as it was last written.
    table: Buffer,
    written: Vec<u32>,
}

impl<R: UpdateRule> Optim<R> {
    /// For these parameters.
    ///
    /// # Errors
    /// [`Error::Options`] for options that make no sense, or a file whose scalars are not those of the rule; [`Error::Op`].
    pub fn new(parameters: &Parameters, options: R) -> Result<Self> {
        check_rule(&options)?;
        let file = options.file().clone();
        let trusted = file.folder() == "optim" && shaders::ALL.iter().any(|known| known.id() == file.id());
        let scalars = scalar_names(file.text()).ok_or_else(|| {
            error::<R>(format!("{} has no `struct Scalars {{ .. }}` of f32 numbers", file.name()))
        })?;
        order(&options, &scalars, 1)?;
        let count = parameters.entries().len();
        let table = parameters.gpu().buffer(((1 + scalars.len()) * count.max(1) * 4) as u64)?;
        let state = OptimizerState::new(parameters, R::STATE)?;
        let groups = Groups::new(options, count);
        Ok(Self { groups, state, file, trusted, scalars, table, written: Vec::new() })
    }

    /// The options of parameters that are in no group of their own.
    pub fn options(&self) -> &R {
        self.groups.first()
    }

    /// Gives the parameters whose names are like `pattern`, where `*` stands for any characters, options of their own: a
    /// copy of the optimizer's, as `change` changes them. A parameter is in the group that it was put into last.
    /// Counterpart: PyTorch's parameter groups.
    ///
    /// A learning rate of its own stays in proportion to the optimizer's when that is set.
    ///
    /// # Errors
    /// [`Error::Options`] if no parameter's name is like `pattern`, for options that make no sense, and for a learning rate
    /// of its own while the optimizer's is 0.
    pub fn group(&mut self, pattern: &str, change: impl FnOnce(&mut R)) -> Result<()> {
        let mut rule = self.options().clone();
        change(&mut rule);
        check_rule(&rule)?;
        let rates = [rule.lr(), self.lr()];
        self.groups.add(R::NAME, self.state.parameters().entries(), pattern, rule, rates)
    }

    /// The table for a step with these gradients: where each parameter that takes part ends, and its scalars.
    fn table(&self, takes_part: &[bool]) -> Result<Vec<u32>> {
        let width = 1 + self.scalars.len();
        let mut table = vec![0; width * takes_part.len()];
        let mut known: Option<((usize, u64), Vec<u32>)> = None;
        for (i, entry) in self.state.parameters().entries().iter().enumerate().filter(|(i, _)| takes_part[*i])
        {
            // Most parameters have the scalars of the one before.
            let key = (self.groups.index(i), self.state.count(i).saturating_add(1));
            if known.as_ref().is_none_or(|(known, _)| *known != key) {
                let scalars = order(self.groups.rule(i), &self.scalars, key.1)?;
                known = Some((key, scalars.into_iter().map(|scalar| (scalar as f32).to_bits()).collect()));
            }
            let row = &mut table[i * width..][..width];
            row[0] = entry.end() as u32;
            if let Some((_, scalars)) = &known {
                row[1..].copy_from_slice(scalars);
            }
        }
        Ok(table)
    }

    fn launch(&self, flat: usize, gradients: &Gradients, takes_part: &[bool]) -> Result<()> {
        let parameters = self.state.parameters();
        let (gpu, w) = (parameters.gpu(), &parameters.flats()[flat]);
        let entries = parameters.entries().iter().zip(takes_part);
        let changed: Vec<_> = entries
            .filter(|(entry, takes)| **takes && entry.flat == flat && !entry.tensor.is_empty())
            .map(|(e, _)| e.tensor.bind())
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let kernel = Kernel::new(&shaders::OPTIMIZE, "optimize").with(&self.file);
        let launch = if self.trusted {
            // SAFETY: the flat buffers are laid out alike and `n` is their length in vec4s; the table has a row as wide as the
            // file says for each parameter that `blocks` names. A block is 16 vec4s, which `EACH` divides.
            unsafe { gpu.launch_unchecked(kernel) }
        } else {
            gpu.launch(kernel)
        };
        // A software adapter loads the scalars for each invocation by itself, which for one vec4 costs as much as its formula.
        let each = if gpu.family() == Family::Cpu { 8 } else { 1 };
        let (n, blocks) = (w.numel() / 4, &parameters.layout().blocks[flat]);
        let values = self.state.of_flat(flat);
        values
            .fold(launch, |launch, (name, values)| launch.bind(name, values.bind()))
            .bind_all([("w", w.bind()), ("grad", gradients.flats()[flat].bind())])
            .bind_all([
                ("blocks", blocks.view(0, (w.numel() / 16) as u64)),
                ("parameters", self.table.view(0, self.written.len() as u64 * 4)),
            ])
            .changes("w", changed)
            .set("n", n)
            .constant("EACH", each)
            .max_iterations(each + 1)
            .threads(n / each)
            .enqueue()?;
        Ok(())
    }
}

impl<R: UpdateRule> Optimizer for Optim<R> {
    fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.groups.rules().try_for_each(|rule| check_lr(R::NAME, rule.lr()))?;
        let takes_part = self.state.takes_part(gradients)?;
        let parameters = self.state.parameters().clone();
        let table = self.table(&takes_part)?;
        if table != self.written && takes_part.contains(&true) {
            parameters.gpu().write(&self.table.view(0, table.len() as u64 * 4), &table)?;
            self.written = table;
        }
        for flat in (0..parameters.flats().len()).filter(|&flat| self.state.kept()[flat]) {
            self.launch(flat, gradients, &takes_part)?;
        }
        self.state.count_step(&takes_part);
        Ok(())
    }

    fn lr(&self) -> f64 {
        self.options().lr()
    }

    fn set_lr(&mut self, lr: f64) {
        self.groups.set_lr(lr, R::set_lr);
    }

    fn state(&self) -> &OptimizerState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut OptimizerState {
        &mut self.state
    }
}

fn error<R: UpdateRule>(message: String) -> Error {
    Error::Options { what: R::NAME, message }
}

fn check_rule<R: UpdateRule>(rule: &R) -> Result<()> {
    check_lr(R::NAME, rule.lr())?;
    rule.check().map_err(error::<R>)
}

/// The names in `struct Scalars { .. }` of a WGSL text; `None` if there is none, or one with other types than f32.
fn scalar_names(text: &str) -> Option<Vec<String>> {
    let (_, behind) = text.split_once("struct Scalars {")?;
    let (fields, _) = behind.split_once('}')?;
    let fields = fields.split(',').map(str::trim).filter(|field| !field.is_empty());
    fields.map(|field| Some(field.strip_suffix("f32")?.trim().strip_suffix(':')?.trim().to_owned())).collect()
}

/// The rule's scalars for step `step`, in the order of `names`.
fn order<R: UpdateRule>(rule: &R, names: &[String], step: u64) -> Result<Vec<f64>> {
    let scalars = rule.scalars(step);
    let value = |name: &String| scalars.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let found: Option<Vec<f64>> = names.iter().map(value).collect();
    found.filter(|found| found.len() == scalars.len()).ok_or_else(|| {
        let given: Vec<&str> = scalars.iter().map(|(name, _)| *name).collect();
        error::<R>(format!("its file has the scalars {names:?}, and the rule gives {given:?}"))
    })
}
