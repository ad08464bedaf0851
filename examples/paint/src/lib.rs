//! A paint program that learns: what is drawn and named trains a small network on the very device that draws the window.
//!
//! - [`app`] is the window and what happens in a frame;
//! - `learner`, `lesson`, `network`, `predictor` and `pictures` are what wgrad does in it;
//! - `raster`, `glyphs` and `samples` make drawings into a data set;
//! - `widgets` are the parts of the window.

pub mod app;
mod clock;
pub mod error;
mod glyphs;
mod learner;
mod lesson;
mod log;
mod network;
mod pictures;
mod predictor;
mod raster;
mod samples;
mod textures;
mod widgets;
