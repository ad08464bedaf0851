//! Training: the trainer and what belongs to it, the loop over images, and steps between frames.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod accumulation;
mod averages;
mod callbacks;
mod checkpoints;
mod finder;
mod fit;
mod kills;
mod non_finite;
mod parallel;
mod profile;
mod stepper;
mod stopping;
mod support;
mod trainer;
mod training_rows;
