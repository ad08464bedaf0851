//! Products of the `gpu` family: tiles in workgroup memory, multiplied straight from the tensors (`gemm_tile.wgsl`).

use crate::Result;
use crate::gemm::{Product, splits};

/// Edges of the tiles.
const TILE: usize = 64;
const TILE_K: usize = 16;

/// Workgroups that keep a GPU busy: more tiles than this and splitting gains nothing.
const ENOUGH: usize = 128;

impl Product<'_> {
    pub(crate) fn record_tiles(self) -> Result<()> {
        let (row_tiles, col_tiles) = (self.m.div_ceil(TILE), self.n.div_ceil(TILE));
        let tiles = self.batches * row_tiles * col_tiles;
        let splits = splits(self.k, tiles, ENOUGH, TILE_K);
        let target = self.target(&splits, splits.count == 1)?;
        let kernel =
            self.operands.tile[target.layout.store(target.n)][usize::from(target.bias.view().is_some())];
        let launch = self
            .with_constants(self.gpu.launch(kernel))
            .constant("TILE_M", TILE)
            .constant("TILE_N", TILE)
            .constant("TILE_K", TILE_K)
            .bind(self.operands.names[0], self.views[0].clone())
            .bind(self.operands.names[1], self.views[1].clone())
            .bind("out", target.view.clone())
            .set("batches", self.batches)
            .set("row_tiles", row_tiles)
            .set("col_tiles", col_tiles);
        let launch = self.common(target.layout.set(target.bias.bind(launch)), &splits, &target);
        launch.trips(splits.k).groups(tiles * splits.count).record()?;
        self.reduce(target.partial.as_ref(), &splits)
    }
}
