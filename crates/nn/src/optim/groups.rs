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
    /// Its learning rate when it was made, and the first group's.
    made_with: [f64; 2],
}

impl<R> Group<R> {
    /// The learning rate where the first group's is `lr`: in proportion, and exactly its own where that is as it was.
    fn lr(&self, lr: f64) -> f64 {
        match self.made_with {
            [own, base] if lr == base => own,
            [own, base] if own == base => lr,
            [own, base] => lr * (own / base),
        }
    }
}

impl<R> Groups<R> {
    pub(super) fn new(rule: R, parameters: usize) -> Self {
        Self { groups: vec![Group { rule, made_with: [1.0; 2] }], of: vec![0; parameters] }
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
        if base == 0.0 && lr != 0.0 {
            let message = format!("a learning rate of {lr} for {pattern}, in proportion to 0");
            return Err(Error::Options { what, message });
        }
        for (of, entry) in self.of.iter_mut().zip(entries) {
            if pattern::matches(pattern, &entry.name) {
                *of = self.groups.len();
            }
        }
        self.groups.push(Group { rule, made_with: [lr, base] });
        Ok(())
    }

    /// Sets the first group's learning rate, and those of the others in proportion.
    pub(super) fn set_lr(&mut self, lr: f64, set: impl Fn(&mut R, f64)) {
        for group in &mut self.groups {
            let own = group.lr(lr);
            set(&mut group.rule, own);
        }
    }
}
