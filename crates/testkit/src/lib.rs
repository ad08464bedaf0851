//! The judge of wgrad's GPU operations, for tests only.
//!
//! Every operation has one forward function in [`mod@reference`], written as plain loops over `f64`.
//! Its derivative is never written down: [`gradient::numeric_gradient`] takes central differences
//! of the forward. The GPU's forward and backward are both held against these, by
//! [`compare::assert_close`], on inputs from a [`sample::Sampler`].
//!
//! Everything here panics on misuse (shapes that do not match, an axis out of range), since its
//! only callers are tests.
//!
//! ```
//! use wgrad_testkit::compare::assert_close;
//! use wgrad_testkit::gradient::numeric_gradient;
//! use wgrad_testkit::{reference, sample::Sampler};
//!
//! let mut sampler = Sampler::new(7);
//! let x = sampler.uniform(&[3, 5], -2.0, 2.0);
//! let dy = sampler.uniform(&[3, 5], -1.0, 1.0);
//! let dx = numeric_gradient(&[x.clone()], &dy, |inputs| reference::square(&inputs[0]));
//!
//! // A test reads this from the GPU.
//! let got: Vec<f32> = x.to_f32().iter().zip(dy.to_f32()).map(|(x, dy)| 2.0 * x * dy).collect();
//! assert_close("square, gradient", &got, &dx[0], 1e-5, 1e-6);
//! ```

#![warn(missing_docs)]

mod array;
pub mod compare;
pub mod gradient;
pub mod reference;
pub mod sample;

pub use array::Array;
