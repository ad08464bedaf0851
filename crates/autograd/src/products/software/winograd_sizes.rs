//! The sizes of a convolution by Winograd's transforms, and what all their launches set.

use wgrad_device::{Buffer, Gpu, Launch};

use crate::Result;

/// Elements along an edge of a transformed tile.
pub(super) const EDGE: usize = 6;

/// Loop iterations of a transform at most: over an edge, and over the elements of a row or a square in each turn.
pub(super) const TRIPS: usize = EDGE * 32;

/// Sizes of a 3 × 3 convolution with padding 1.
#[derive(Clone, Copy)]
pub(in crate::products) struct Winograd {
    pub images: usize,
    /// Both tensors may be bound from every multiple of this many images on.
    pub step: usize,
    pub c_in: usize,
    pub c_out: usize,
    pub h: usize,
    pub w: usize,
}

impl Winograd {
    pub fn tiles_of_image(&self) -> usize {
        self.h.div_ceil(4) * (self.w / 4)
    }

    pub fn sizes<'a>(&self, launch: Launch<'a>, channels: usize, panel: usize) -> Launch<'a> {
        launch
            .set_all([("images", self.images), ("channels", channels), ("h", self.h)])
            .set_all([("tiles_x", self.w / 4), ("tiles_per_image", self.tiles_of_image())])
            .set_all([("panel", panel), ("edge", EDGE)])
            .max_iterations(TRIPS)
    }

    pub fn tiles(&self) -> usize {
        self.images * self.tiles_of_image()
    }
}

pub(super) fn floats(gpu: &Gpu, n: usize) -> Result<Buffer> {
    Ok(gpu.buffer(n as u64 * 4)?)
}
