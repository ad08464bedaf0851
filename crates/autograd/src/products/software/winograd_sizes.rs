//! The sizes of a convolution by Winograd's transforms, and what all their launches set.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Gpu, Launch};

use super::panels::wide;
use crate::Result;

/// Elements along an edge of a transformed tile.
pub(super) const EDGE: usize = 6;

/// Loop iterations of a transform at most: over an edge, and over the elements of a row or a square in each turn.
pub(super) const ITERATIONS: usize = EDGE * 32;

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
    /// Whether rows are no whole eights of pixels, which the transforms load at once, nor the image a single tile.
    pub fn is_ragged(&self) -> bool {
        !self.w.is_multiple_of(8) && !self.is_tile()
    }

    fn is_tile(&self) -> bool {
        [self.h, self.w] == [4, 4]
    }

    /// Columns of tiles. Those that lie beyond the image transform zeros, and nothing of them is stored.
    pub fn tiles_x(&self) -> usize {
        if self.is_tile() { 1 } else { self.w.div_ceil(8) * 2 }
    }

    /// A transform's kernel with the file that declares how pixels are loaded: `whole` where rows are whole eights of them.
    pub fn with_rows(&self, gpu: &Gpu, kernel: Kernel<'static>, whole: &'static File) -> Kernel<'static> {
        match self.is_ragged() {
            true if !self.w.is_multiple_of(2) => kernel.with(&shaders::WINOGRAD_ROWS_RAGGED),
            true => kernel.with(&shaders::WINOGRAD_ROWS_EVEN).with(wide(gpu)),
            false => kernel.with(whole).with(wide(gpu)),
        }
    }

    pub fn tiles_of_image(&self) -> usize {
        self.h.div_ceil(4) * self.tiles_x()
    }

    pub fn sizes<'a>(&self, launch: Launch<'a>, channels: usize, panel: usize) -> Launch<'a> {
        launch
            .set_all([("images", self.images), ("channels", channels), ("h", self.h)])
            .set_all([("w", self.w), ("tiles_x", self.tiles_x()), ("tiles_per_image", self.tiles_of_image())])
            .set_all([("panel", panel), ("edge", EDGE)])
            .max_iterations(ITERATIONS)
    }

    pub fn tiles(&self) -> usize {
        self.images * self.tiles_of_image()
    }
}

pub(super) fn floats(gpu: &Gpu, n: usize) -> Result<Buffer> {
    Ok(gpu.buffer(n as u64 * 4)?)
}
