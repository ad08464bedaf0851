//! Groups of parameters with options of their own.

use crate::layout::Entry;
use crate::{Error, Result, pattern};

/// Options for each parameter.
pub(super) struct Groups<R> {
    /// The first is of parameters that are in no other.
    groups: Vec<Group<R>>,
    /// The group of each parameter.
    of: Vec<usize>,
}

struct Group<R> {
    rule: R,
    /// The learning rate as a multiple of the first group's.
    rate: f64,
}

impl<R> Groups<R> {
    pub(super) fn new(rule: R, parameters: usize) -> Self {
        Self { groups: vec![Group { rule, rate: 1.0 }], of: vec![0; parameters] }
    }

    pub(super) fn first(&self) -> &R {
        &self.groups[0].rule
    }

    /// The options of a parameter.
    pub(super) fn rule(&self, parameter: usize) -> &R {
        &self.groups[self.of[parameter]].rule
    }

    /// The group of a parameter.
    pub(super) fn index(&self, parameter: usize) -> usize {
        self.of[parameter]
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &R> {
        self.groups.iter().map(|group| &group.rule)
    }

    /// Puts the parameters whose names are like `pattern` into a group with these options, of learning rate `lr`; `base` is that of
    /// the first group.
    pub(super) fn add(
        &mut self,
        what: &'static str,
        entries: &[Entry],
        pattern: &str,
        rule: R,
        [lr, base]: [f64; 2],
    ) -> Result<()> {
        pattern::check(what, pattern, entries.iter().map(|entry| entry.name.as_str()))?;
        let rate = if lr == base { 1.0 } else { lr / base };
        if base == 0.0 && lr != 0.0 {
            let message = format!("a learning rate of {lr} for {pattern}, in proportion to 0");
            return Err(Error::Options { what, message });
        }
        for (of, entry) in self.of.iter_mut().zip(entries) {
            if pattern::matches(pattern, &entry.name) {
                *of = self.groups.len();
            }
        }
        self.groups.push(Group { rule, rate });
        Ok(())
    }

    /// Sets the first group's learning rate, and those of the others in proportion.
    pub(super) fn set_lr(&mut self, lr: f64, set: impl Fn(&mut R, f64)) {
        self.groups.iter_mut().for_each(|group| set(&mut group.rule, lr * group.rate));
    }
}
