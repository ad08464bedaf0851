//! What of a state dict is loaded into a model, and the report of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Error, Result, StateDict, pattern};

/// What of a state dict is loaded, and under which names.
///
/// ```no_run
/// use wgrad_nn::{Linear, Load, StateDict, build};
/// # let gpu = wgrad_nn::autograd::Gpu::new()?;
/// let (fc, params) = build(&gpu, 0, |b| Linear::new(&b.scope("fc"), 512, 5))?;
/// let state = StateDict::load("resnet18.safetensors")?;
/// let report = params.load(&state, Load::partial().rename("module.", "").skip("fc.*"))?;
/// println!("{report}"); // loaded 120; skipped 2: fc.bias, fc.weight; …
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Load {
    is_partial: bool,
    skip: Vec<String>,
    rename: Vec<(String, String)>,
    file: String,
}

impl Load {
    /// Options that accept a state dict only if it has exactly the model's names and shapes, apart from names that are skipped.
    pub fn strict() -> Self {
        Self { is_partial: false, skip: Vec::new(), rename: Vec::new(), file: "the state dict".to_owned() }
    }

    /// Options that load what fits. Names that only one side has, and tensors whose shape differs from the model's, are left out
    /// and listed in the report.
    pub fn partial() -> Self {
        Self { is_partial: true, ..Self::strict() }
    }

    /// Leaves out the parameters and buffers whose name in the model is like `pattern`, where `*` stands for any characters.
    #[must_use]
    pub fn skip(mut self, pattern: impl Into<String>) -> Self {
        self.skip.push(pattern.into());
        self
    }

    /// Replaces `from`, where a name of the state dict begins with it, by `to`. If several renamings fit a name, the first one is
    /// used.
    #[must_use]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.rename.push((from.into(), to.into()));
        self
    }

    /// Sets what errors call the state dict, such as the file that it was read from.
    #[must_use]
    pub fn named(mut self, file: impl Into<String>) -> Self {
        self.file = file.into();
        self
    }

    /// The model's name for what a state dict calls `name`.
    fn renamed(&self, name: &str) -> String {
        let found = self.rename.iter().find_map(|(from, to)| Some((to, name.strip_prefix(from.as_str())?)));
        found.map_or_else(|| name.to_owned(), |(to, rest)| format!("{to}{rest}"))
    }

    fn is_skipped(&self, name: &str) -> bool {
        self.skip.iter().any(|pattern| pattern::matches(pattern, name))
    }

    /// What of `state` would be loaded into a model of these names and shapes.
    ///
    /// # Errors
    /// As [`crate::Parameters::load`].
    pub fn check<'a>(
        &self,
        model: impl Iterator<Item = (&'a str, &'a [usize])>,
        state: &StateDict,
    ) -> Result<LoadReport> {
        Ok(self.plan(model, state)?.report)
    }

    /// What is to be written into a model of these names and shapes.
    pub(crate) fn plan<'a, 's>(
        &self,
        model: impl Iterator<Item = (&'a str, &'a [usize])>,
        state: &'s StateDict,
    ) -> Result<Plan<'s>> {
        let mut given = BTreeMap::new();
        for (name, tensor) in &state.tensors {
            if given.insert(self.renamed(name), tensor).is_some() {
                let message = format!("two tensors of {} are {} when renamed", self.file, self.renamed(name));
                return Err(Error::Options { what: "load", message });
            }
        }
        let model: Vec<_> = model.collect();
        for pattern in &self.skip {
            let names = model.iter().map(|(name, _)| *name).chain(given.keys().map(String::as_str));
            pattern::check("load", pattern, names)?;
        }
        let (mut report, mut loaded) = (LoadReport::default(), BTreeMap::new());
        for (name, shape) in model {
            let tensor = given.remove(name);
            if self.is_skipped(name) {
                report.skipped.push(name.to_owned());
                continue;
            }
            match tensor {
                None => report.missing.push(name.to_owned()),
                Some((found, values))
                    if found != shape || values.len() != shape.iter().product::<usize>() =>
                {
                    report.mismatched.push(format!("{name} (file {found:?}, model {shape:?})"));
                }
                Some((_, values)) => {
                    report.loaded.push(name.to_owned());
                    loaded.insert(name.to_owned(), &values[..]);
                }
            }
        }
        let (skipped, unexpected) = given.into_keys().partition::<Vec<_>, _>(|name| self.is_skipped(name));
        report.skipped.extend(skipped);
        report.unexpected = unexpected;
        let LoadReport { missing, unexpected, mismatched, .. } = &report;
        if !(self.is_partial || missing.is_empty() && unexpected.is_empty() && mismatched.is_empty()) {
            let LoadReport { missing, unexpected, mismatched, .. } = report;
            return Err(Error::Mismatch { file: self.file.clone(), missing, unexpected, mismatched });
        }
        Ok(Plan { report, loaded })
    }
}

/// What is to be written into a model.
pub(crate) struct Plan<'s> {
    pub report: LoadReport,
    loaded: BTreeMap<String, &'s [f32]>,
}

impl<'s> Plan<'s> {
    /// The values of the model's parameter or buffer `name`; `None` if it stays as it is.
    pub(crate) fn values(&self, name: &str) -> Option<&'s [f32]> {
        self.loaded.get(name).copied()
    }
}

/// What was loaded into a model, by the model's names, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Parameters and buffers that have new values.
    pub loaded: Vec<String>,
    /// Left out because the options say so.
    pub skipped: Vec<String>,
    /// The model has them, and the state dict lacks them: they stay as they were.
    pub missing: Vec<String>,
    /// The state dict has them, and the model lacks them.
    pub unexpected: Vec<String>,
    /// Both have them, in shapes that differ, both given: they stay as they were.
    pub mismatched: Vec<String>,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loaded {}", self.loaded.len())?;
        let kinds = [
            ("skipped", &self.skipped),
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("mismatched", &self.mismatched),
        ];
        for (kind, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "; {kind} {}: {}", names.len(), crate::error::some_of(names))?;
        }
        Ok(())
    }
}
