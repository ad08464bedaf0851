//! Products on software adapters (the `cpu` family): operands are packed into panels, which are multiplied in registers.

pub(super) mod pack;
pub(super) mod panels;
mod winograd;
mod winograd_guard;
pub(super) mod winograd_sizes;
