//! Feeds damaged files to the readers of wgrad: none may panic, hang, or take memory that the file does not account for.
//!
//! It is a program for stable Rust, so that it runs wherever the tests do. What it lacks of libFuzzer, which needs a nightly
//! compiler, is coverage: instead of new branches it looks for new outcomes. A file that is refused in words not heard before
//! joins the files that later ones are made of.
#![allow(clippy::unwrap_used, reason = "a program of tests: what it cannot write itself it may panic about")]

mod memory;
mod mutate;
mod targets;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::SeedableRng;
use rand_pcg::Pcg64;

pub use memory::Counting;
pub use targets::{Target, find, targets};

/// Memory that any reader may take at once, in bytes; beyond it a multiple of its file, [`Target::memory`].
const MEMORY: usize = 1 << 20;

/// What a campaign found.
#[derive(Debug)]
pub enum Found {
    /// Every file was read or refused in this number of different ways.
    Nothing(usize),
    /// The case by number, the file, and what the reader did.
    Crash(u64, Vec<u8>, String),
}

/// Files that are kept to be damaged further, at most: a reader that puts pieces of the file into its words has millions.
const CORPUS: usize = 4096;

/// Runs `target` on its seeds, and then on what `seed` makes of them, while `more` says so of the number of cases so far.
pub fn campaign(target: &Target, seed: u64, mut more: impl FnMut(u64) -> bool) -> Found {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut corpus = (target.seeds)();
    let (mut outcomes, mut cases, seeds) = (HashSet::new(), 0, corpus.len() as u64);
    while cases < seeds || more(cases) {
        let input = match corpus.get(cases as usize) {
            Some(file) if cases < seeds => file.clone(),
            _ => mutate::mutate(&corpus, target.repair, &mut rng),
        };
        match judge(target, &input) {
            Err(problem) => return Found::Crash(cases, input, problem),
            Ok(outcome) => {
                if outcomes.insert(shape(&outcome)) && cases >= seeds && corpus.len() < CORPUS {
                    corpus.push(input);
                }
            }
        }
        cases += 1;
    }
    Found::Nothing(outcomes.len())
}

/// What the reader says of `input`; an error where it panics or takes too much memory.
pub fn judge(target: &Target, input: &[u8]) -> Result<String, String> {
    memory::start();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (largest, allowed) = (memory::largest(), target.memory * input.len() + MEMORY);
    let outcome = outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?;
    if largest > allowed {
        return Err(format!("{largest} bytes at once for a file of {}: {outcome}", input.len()));
    }
    Ok(outcome)
}

/// An outcome without what the file brings to it: its numbers, and names in quotes.
fn shape(outcome: &str) -> String {
    let own = outcome.split(['`', '"']).step_by(2).flat_map(str::chars);
    own.filter(|c| c.is_ascii_alphabetic() || *c == ' ').collect()
}
