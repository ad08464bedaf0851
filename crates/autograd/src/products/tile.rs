//! Products of the `gpu` family: tiles in workgroup memory, multiplied straight from the tensors (`gemm_tile.wgsl`).

use wgrad_device::Gpu;
use wgrad_device::shaders::{self, Kernel};
use wgrad_device::wgpu::Limits;

use super::problem::{Problem, splits};
use crate::Result;

/// k in a slice of a tile.
const TILE_K: usize = 16;

/// Workgroups of 256 invocations that keep a GPU busy: more than this and neither smaller tiles nor splits gain anything.
const ENOUGH: usize = 128;

/// The least number of terms that a split adds; `splits` keeps to it.
const SHORTEST_SPLIT: usize = 256;

/// Outputs that one workgroup makes. Each invocation makes 8 × 8 of them whatever the tile, since it then reads one byte of
/// workgroup memory for each multiply-add, half of what GPUs deliver; 4 × 4 would need all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    m: usize,
    n: usize,
}

impl Tile {
    /// The tile for `batches` products of `m` × `n` sums of `k` terms.
    ///
    /// A larger tile reads less memory for each multiply-add, and a smaller one makes more workgroups. So: 128 along
    /// each axis where that pads hardly more than 64, halved along the shorter axis and then along both while there are
    /// too few workgroups to keep a GPU busy, or where its limits forbid.
    fn choose(limits: &Limits, batches: usize, m: usize, n: usize, k: usize) -> Self {
        let largest = Self { m: edge(m), n: edge(n) };
        let halved = if m < n { Self { m: 64, ..largest } } else { Self { n: 64, ..largest } };
        let smallest = Self { m: 64, n: 64 };
        let suits = |tile: &Self| {
            let workgroups = batches * tile.count(m, n) * k.div_ceil(SHORTEST_SPLIT);
            tile.fits(limits) && workgroups >= ENOUGH
        };
        [largest, halved].into_iter().find(suits).unwrap_or(smallest)
    }

    /// Tiles that cover `m` × `n`.
    fn count(self, m: usize, n: usize) -> usize {
        m.div_ceil(self.m) * n.div_ceil(self.n)
    }

    fn threads(self) -> usize {
        self.m * self.n / 64
    }

    fn fits(self, limits: &Limits) -> bool {
        // Both slices, with the floats that the kernel pads them by where they stay below 16 KiB.
        let bytes = ((self.m + self.n) * TILE_K * 4).max(((self.m + self.n + 8) * TILE_K * 4).min(16_384));
        self.threads() <= limits.max_compute_invocations_per_workgroup as usize
            && bytes <= limits.max_compute_workgroup_storage_size as usize
    }
}

/// 128, unless 64 pads less by an eighth.
fn edge(length: usize) -> usize {
    if length.next_multiple_of(128) * 8 <= length.next_multiple_of(64) * 9 { 128 } else { 64 }
}

/// Records the product.
pub(super) fn enqueue(gpu: &Gpu, problem: &Problem<'_>) -> Result<()> {
    let Problem { batches, m, n, k, .. } = *problem;
    let tile = Tile::choose(gpu.limits(), batches, m, n, k);
    #[cfg(test)]
    let tile = tests::FORCED.get().unwrap_or(tile);
    let tiles = batches * tile.count(m, n);
    let splits = splits(k, (tiles * tile.threads()).div_ceil(256), ENOUGH, TILE_K);
    let target = problem.target(gpu, &splits, splits.count == 1)?;
    let (width, store) = target.layout.store(target.n);
    let kernel = target.epilogue.choose(Kernel::new(&shaders::GEMM_TILE, "main").with(store));
    let [a, b] = problem.kernels.names;
    let launch = problem
        .launch(gpu, kernel)
        .alias("Out", target.dtype.wgsl())
        .constants([("TILE_M", tile.m), ("TILE_N", tile.n), ("TILE_K", TILE_K)])
        .constant("WHOLE", usize::from(k.is_multiple_of(TILE_K)))
        .bind_all([(a, problem.a.view.clone()), (b, problem.b.view.clone()), ("out", target.view.clone())])
        .set_all([("batches", batches), ("m", m), ("n", target.n), ("columns", n), ("k", k)])
        .set_all([("row_tiles", m.div_ceil(tile.m)), ("col_tiles", n.div_ceil(tile.n))])
        .set_all([("splits", splits.count), ("k_per_split", splits.k), ("c_split", target.c_split)]);
    let launch = target.epilogue.bind(target.layout.set(launch), target.dtype, width, &problem.a.view);
    // Beside the sum itself, the loops over what an invocation loads, copies and stores.
    launch
        .max_iterations(2 * splits.k + 512)
        .flops(problem.flops())
        .groups(tiles * splits.count)
        .enqueue()?;
    problem.reduce(gpu, &target, &splits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::cell::Cell;

    use wgrad_device::{Family, Gpu};
    use wgrad_testkit::compare::assert_close;
    use wgrad_testkit::{Array, sample::Sampler};

    use super::*;
    use crate::{Conv2dOptions, MatmulOptions, Tensor};

    thread_local! {
        /// A tile to take instead of the chosen one: the large ones are chosen for sizes that take long on software.
        pub(super) static FORCED: Cell<Option<Tile>> = const { Cell::new(None) };
    }

    /// Matrix products and so many convolutions of odd sizes, forward and gradients, all products of which are compared.
    fn products(gpu: &Gpu, convolutions: usize) -> Vec<Tensor> {
        let mut sampler = Sampler::new(7);
        let mut random = |shape: &[usize]| {
            let values = sampler.uniform(shape, -1.0, 1.0).to_f32();
            Tensor::from_slice(gpu, &values, shape).unwrap().tracked()
        };
        let mut all = Vec::new();
        // k of whole slices, and one that ends within one.
        for k in [32, 35] {
            for (ta, tb) in [(false, false), (true, true)] {
                let a = random(&if ta { [k, 130] } else { [130, k] });
                let b = random(&if tb { [70, k] } else { [k, 70] });
                all.push(
                    a.matmul_with(
                        &b,
                        MatmulOptions { transpose: ta, transpose_other: tb, ..Default::default() },
                    )
                    .unwrap()
                    .detach(),
                );
            }
        }
        let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
        let wide = Conv2dOptions { padding: [1, 2], ..Default::default() };
        let strided = Conv2dOptions { stride: [2, 1], padding: [0, 1], ..Default::default() };
        // Rows of 16 pixels, rows of others, and a stride; 16 and 3 channels: whole slices of k and others. None that
        // the cpu family would compute by Winograd's transforms, whose error is another.
        for (x, w, options) in [
            ([2, 16, 9, 16], [70, 16, 3, 5], wide),
            ([2, 3, 9, 11], [16, 3, 3, 3], same),
            ([2, 16, 9, 11], [16, 16, 2, 2], strided),
        ]
        .into_iter()
        .take(convolutions)
        {
            let (x, w) = (random(&x), random(&w));
            let y = x.conv2d(&w, None, options).unwrap();
            let gradients = y.backward_from(&random(y.shape()).detach()).unwrap();
            all.extend([y.detach(), gradients.get(&x).unwrap().clone(), gradients.get(&w).unwrap().clone()]);
        }
        all
    }

    #[test]
    fn every_tile_gives_the_same_products() {
        let gpu = |family| Gpu::builder().family(family).poison().quiet().build().unwrap();
        // The op tests hold the cpu family against f64 references.
        let want = products(&gpu(Family::Cpu), 3);
        let gpu = gpu(Family::Gpu);
        // The op tests have all products by the smallest tile, and a driver takes a second and more for each kernel. One convolution
        // says whether the loads are dealt right where an operand's edge is 64 and the other's 128.
        for ((m, n), convolutions) in [((64, 128), 1), ((128, 64), 1), ((128, 128), 3)] {
            FORCED.set(Some(Tile { m, n }));
            for (i, (got, want)) in products(&gpu, convolutions).iter().zip(&want).enumerate() {
                let want = Array::from_f32(want.shape(), &want.to_vec().unwrap());
                let name = format!("product {i} of {:?} by tiles of {m} × {n}", want.shape);
                // Sums of up to 300 terms of the order of 1, in another order.
                assert_close(&name, &got.to_vec().unwrap(), &want, 1e-5, 1e-5);
            }
        }
        FORCED.set(None);
        let tiles =
            gpu.composed().iter().filter(|composed| composed.kernel.starts_with("gemm_tile+")).count();
        assert!(tiles >= 2 * (4 + 3) + 4 + 9, "only {tiles} tile kernels were made");
    }

    fn choose(m: usize, n: usize, k: usize) -> (usize, usize) {
        let tile = Tile::choose(&Limits::default(), 1, m, n, k);
        (tile.m, tile.n)
    }

    #[test]
    fn large_products_take_large_tiles() {
        assert_eq!(choose(4096, 4096, 4096), (128, 128));
        assert_eq!(choose(64, 16_384, 576), (64, 128), "64 rows are not padded to 128");
        assert_eq!(choose(130, 16_384, 576), (64, 128), "nor 130 to 256");
        assert_eq!(choose(576, 128, 16_384), (128, 128), "few tiles of long sums are split");
    }

    #[test]
    fn small_products_take_small_tiles() {
        assert_eq!(choose(64, 256, 784), (64, 64));
        assert_eq!(choose(1, 1, 1), (64, 64));
        assert_eq!(choose(512, 1024, 256), (64, 64), "larger ones would leave a large GPU half empty");
        assert_eq!(choose(1024, 2048, 256), (128, 128));
        assert_eq!(choose(1000, 1100, 256), (64, 128), "halved along the shorter axis only");
        assert_eq!(choose(1100, 1000, 256), (128, 64));
    }

    #[test]
    fn tiles_keep_to_the_limits() {
        let few = Limits { max_compute_invocations_per_workgroup: 128, ..Limits::default() };
        assert_eq!(Tile::choose(&few, 1, 4096, 4096, 4096), Tile { m: 128, n: 64 });
        let little = Limits { max_compute_workgroup_storage_size: 16_352, ..Limits::default() };
        assert_eq!(Tile::choose(&little, 1, 4096, 4096, 4096), Tile { m: 128, n: 64 });
        for (m, n) in [(64, 64), (64, 128), (128, 128)] {
            assert!(Tile { m, n }.fits(&Limits::default()), "{m} × {n} within WebGPU's default limits");
        }
    }
}
