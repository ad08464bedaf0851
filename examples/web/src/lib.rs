//! A web page in which a small CNN learns shapes while its user draws them: [`Session`] is the training, the same in a
//! page and in a native test; `page` is what JavaScript sees of it.

#[cfg(target_arch = "wasm32")]
mod page;
mod session;
pub mod shapes;

pub use session::Session;
