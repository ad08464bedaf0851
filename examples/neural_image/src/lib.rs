//! A coordinate network learns a picture on screen: from the place of a pixel to its colour.
//!
//! - [`picture`] makes or loads the picture;
//! - [`network`] is the network: Fourier features and four linear layers;
//! - [`learner`] trains it between frames, and lets it paint into a texture;
//! - [`view`] draws that texture beside the picture; [`window`] is the rest of the program.

pub mod error;
pub mod learner;
mod log;
pub mod network;
pub mod picture;
mod screen;
pub mod view;
pub mod window;
