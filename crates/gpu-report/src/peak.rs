//! What the counted instructions of a tile kernel predict for navi21, a Radeon RX 6800 XT or 6900 XT.
//!
//! The model is of throughputs: what one compute unit (CU) has to issue, read and load for a slice of a tile, each divided
//! by what it does of that in a clock. How far the three overlap is not in the assembly, so there are two bounds: all of
//! it, and none of it.

use crate::compile::Row;
use crate::launches::Launched;

/// Lanes that a CU's two vector units of 32 serve in a clock.
pub const LANES: f64 = 64.0;
/// Bytes that a CU's half of the workgroup memory delivers in a clock.
pub const LDS_BYTES: f64 = 128.0;
/// Bytes that a CU's vector cache delivers in a clock, at least.
pub const CACHE_BYTES: f64 = 64.0;
/// Registers of 32 lanes in a vector unit.
pub const REGISTERS: u64 = 1024;
/// Bytes of workgroup memory of two CUs, which share it.
pub const LDS_SIZE: u64 = 128 * 1024;
/// CUs of the RX 6900 XT.
pub const UNITS: usize = 80;
/// Its boost clock, in Hz.
pub const CLOCK: f64 = 2.25e9;

/// What one invocation of a tile kernel does for a slice of TILE_K.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// Rows and columns of the tile.
    pub tile: [usize; 2],
    /// Multiply-adds.
    pub multiply_adds: f64,
    /// Vector instructions, multiply-adds included.
    pub vector: f64,
    /// Bytes read from workgroup memory.
    pub lds_read: f64,
    /// Bytes written to workgroup memory.
    pub lds_written: f64,
    /// Bytes loaded from buffers.
    pub loaded: f64,
}

impl Slice {
    /// Of a kernel of gemm_tile.wgsl; `None` for any other.
    pub fn new(module: &Launched, row: &Row) -> Option<Self> {
        let [m, n, k] = ["TILE_M", "TILE_N", "TILE_K"].map(|name| module.constant(name));
        let tile = [m?, n?];
        let multiply_adds = (64 * k?) as f64;
        let counted = &row.counted;
        // The loop over k runs the hot block until all products are done; the rest of the outer loop runs once. Where
        // it has a second way for the last slice, that is counted too, though no slice takes both.
        let runs = multiply_adds / counted.hot_block.multiply_add.max(1) as f64;
        let total = |outer: usize, inner: usize| outer as f64 + inner as f64 * (runs - 1.0);
        let (outer, inner) = (counted.outer_loop, counted.hot_loop);
        Some(Self {
            tile,
            multiply_adds,
            vector: total(outer.vector, inner.vector),
            lds_read: total(outer.lds_read_bytes, inner.lds_read_bytes),
            lds_written: total(outer.lds_write_bytes, inner.lds_write_bytes),
            loaded: total(outer.load_bytes, inner.load_bytes),
        })
    }

    /// Share of multiply-adds among the vector instructions of the whole loop.
    pub fn issue(&self) -> f64 {
        self.multiply_adds / self.vector
    }

    /// Clocks of a CU for 64 invocations: vector instructions, workgroup memory, cache.
    pub fn clocks(&self) -> [f64; 3] {
        let lds = (self.lds_read + self.lds_written) * LANES / LDS_BYTES;
        [self.vector, lds, self.loaded * LANES / CACHE_BYTES]
    }

    /// Share of the peak rate of multiply-adds: with nothing overlapped, and with everything.
    pub fn bounds(&self) -> [f64; 2] {
        let clocks = self.clocks();
        let longest = clocks.into_iter().fold(0.0, f64::max);
        [self.multiply_adds / clocks.iter().sum::<f64>(), self.multiply_adds / longest]
    }
}

/// Share of the time for which all CUs have work, where workgroups of equal length are dealt evenly.
pub fn balance(workgroups: usize) -> f64 {
    workgroups as f64 / (workgroups.div_ceil(UNITS) * UNITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice() -> Slice {
        Slice {
            tile: [128, 128],
            multiply_adds: 1024.0,
            vector: 1280.0,
            lds_read: 1024.0,
            lds_written: 64.0,
            loaded: 64.0,
        }
    }

    #[test]
    fn bounds_follow_from_the_clocks() {
        assert_eq!(slice().clocks(), [1280.0, 544.0, 64.0]);
        let [none, all] = slice().bounds();
        assert!((none - 1024.0 / 1888.0).abs() < 1e-12 && (all - 0.8).abs() < 1e-12);
        let starved = Slice { lds_read: 4096.0, ..slice() };
        assert!((starved.bounds()[1] - 1024.0 / 2080.0).abs() < 1e-12, "workgroup memory is the longest");
    }

    #[test]
    fn balance_counts_the_last_round() {
        assert_eq!(balance(80), 1.0);
        assert_eq!(balance(120), 0.75);
        assert!((balance(1024) - 1024.0 / 1040.0).abs() < 1e-12);
    }
}
