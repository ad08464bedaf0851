//! Files that a run writes its figures to.

mod jsonl;

pub(crate) use jsonl::Metrics;
