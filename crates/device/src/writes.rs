//! When each range of a buffer was last written, so that a backward pass notices what changed under its graph.
//!
//! Launches, writes, copies and clears note what they write in the order in which they are recorded. What an application
//! writes by its own commands to an imported buffer is not seen.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number larger than all that were given out before in this process, whatever the device: what is numbered by it can
/// be told apart and brought into order.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A range in bytes, and the number of its last write.
#[derive(Clone, Debug)]
struct Written {
    start: u64,
    end: u64,
    at: u64,
}

/// The writes to one buffer.
#[derive(Debug, Default)]
pub(crate) struct Writes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The only range so far, as most buffers have it: an op's result, written whole.
    sole: Option<Written>,
    /// All ranges, once there are several: sorted, none overlapping another.
    many: Vec<Written>,
    names: Vec<(Range<u64>, Arc<str>)>,
}

impl Writes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of write number `at` to `start..end`.
    pub(crate) fn note(&self, start: u64, end: u64, at: u64) {
        self.state().note(Written { start, end, at });
    }

    /// Whether a part of `start..end` was last written after `since`, but before `until`.
    pub(crate) fn within(&self, start: u64, end: u64, since: u64, until: u64) -> bool {
        self.state().of(start, end).iter().any(|written| since < written.at && written.at < until)
    }

    pub(crate) fn set_name(&self, range: Range<u64>, name: &str) {
        let names = &mut self.state().names;
        names.retain(|(known, _)| *known != range);
        names.push((range, name.into()));
    }

    /// The name of the first named range that `start..end` meets.
    pub(crate) fn name(&self, start: u64, end: u64) -> Option<Arc<str>> {
        let state = self.state();
        let mut names = state.names.iter();
        names.find(|(range, _)| range.start < end && start < range.end).map(|(_, name)| Arc::clone(name))
    }
}

impl State {
    /// The ranges that `start..end` meets.
    fn of(&self, start: u64, end: u64) -> &[Written] {
        let all = if self.many.is_empty() { self.sole.as_slice() } else { &self.many };
        &all[met(all, start, end)]
    }

    fn note(&mut self, new: Written) {
        if self.many.is_empty() {
            match &self.sole {
                Some(old) if old.start < new.start || new.end < old.end => self.many.extend(self.sole.take()),
                _ => {
                    self.sole = Some(new);
                    return;
                }
            }
        }
        let met = met(&self.many, new.start, new.end);
        let (first, last) = (self.many[met.clone()].first(), self.many[met.clone()].last());
        // What sticks out on either side keeps its number.
        let left = first.filter(|old| old.start < new.start).map(|old| Written { end: new.start, ..*old });
        let right = last.filter(|old| new.end < old.end).map(|old| Written { start: new.end, ..*old });
        self.many.splice(met, left.into_iter().chain([new]).chain(right));
    }
}

/// Which of `all`, sorted and apart, `start..end` meets.
fn met(all: &[Written], start: u64, end: u64) -> Range<usize> {
    let first = all.partition_point(|written| written.end <= start);
    first..all.partition_point(|written| written.start < end).max(first)
}

/// What may not have been written between two moments, by their numbers.
#[derive(Clone, Copy)]
pub(crate) struct Saved {
    since: u64,
    until: u64,
}

thread_local! {
    static SAVED: Cell<Option<Saved>> = const { Cell::new(None) };
}

/// What [`reading_saved`] asks for on this thread.
#[inline]
pub(crate) fn saved() -> Option<Saved> {
    SAVED.get()
}

impl Saved {
    pub(crate) fn changed(self, writes: &Writes, start: u64, end: u64) -> bool {
        writes.within(start, end, self.since, self.until)
    }
}

/// Runs `f`, the backward pass of an op that was recorded at the moment `since`: what it recorded then to read now must be
/// what it was. A launch or copy that `f` records on this thread fails with [`crate::Error::Changed`] where it reads
/// bytes that were last written after `since` and before `until`, the moment at which the walk back began. What is
/// written since then are gradients. Moments are numbers of [`crate::Gpu::unique`].
///
/// # Errors
/// Only those of `f`.
pub fn reading_saved<T>(since: u64, until: u64, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Saved>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SAVED.set(self.0);
        }
    }
    let _restore = Restore(SAVED.replace(Some(Saved { since, until })));
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by a number for each byte.
    #[test]
    fn ranges_are_those_of_single_bytes() {
        const SIZE: usize = 40;
        let mut random = 1u32;
        let mut draw = |n: usize| {
            random = random.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            (random >> 16) as usize % n
        };
        for _ in 0..200 {
            let writes = Writes::default();
            let mut bytes = [None; SIZE];
            for at in 1..30 {
                let start = draw(SIZE);
                let end = start + 1 + draw(SIZE - start);
                writes.note(start as u64, end as u64, at);
                bytes[start..end].fill(Some(at));
                let (from, until) = (draw(SIZE), at.saturating_sub(draw(4) as u64));
                let to = from + 1 + draw(SIZE - from);
                let since = draw(30) as u64;
                let want = bytes[from..to].iter().flatten().any(|&at| since < at && at < until);
                assert_eq!(writes.within(from as u64, to as u64, since, until), want);
            }
            let state = writes.state();
            assert!(state.many.windows(2).all(|pair| pair[0].end <= pair[1].start));
            assert!(state.many.iter().all(|written| written.start < written.end));
        }
    }

    #[test]
    fn a_name_is_that_of_the_range_which_is_met() {
        let writes = Writes::default();
        writes.set_name(0..256, "fc.weight");
        writes.set_name(256..512, "fc.bias");
        writes.set_name(256..512, "other.bias");
        assert_eq!(writes.name(252, 256).as_deref(), Some("fc.weight"));
        assert_eq!(writes.name(256, 260).as_deref(), Some("other.bias"));
        assert_eq!(writes.name(512, 516), None);
    }

    #[test]
    fn what_is_asked_for_ends_with_the_closure() {
        reading_saved(1, 5, || {
            let inner = std::panic::catch_unwind(|| reading_saved(2, 3, || panic!("as a test")));
            assert!(inner.is_err() && saved().is_some_and(|saved| saved.since == 1 && saved.until == 5));
        });
        assert!(saved().is_none());
    }
}
