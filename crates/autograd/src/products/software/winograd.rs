//! Winograd's F(4 × 4, 3 × 3) for the `cpu` family: 3 × 3 convolutions at stride 1 with a quarter of the
//! multiply-adds (Lavin and Gray, 2015). A 4 × 4 tile of the output is `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`, so that a layer is
//! 36 matrix products between cheap transforms, which write and read the panels that the products want.
//! `winograd.wgsl` has the transforms and says where the points come from.
//!
//! A tile's outputs share its rounding errors, and its infinities: `winograd_guard.rs` finds where that matters.
//!
//! Roads not taken: F(2 × 2) needs 1.8 times the multiply-adds; F(6 × 6) saves another fifth, with an error of eight
//! times that of direct sums instead of two.

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Buffer, Gpu, View};

use super::pack::Columns;
use super::panels::{PanelProduct, PanelSizes};
use super::winograd_guard::{Convolved, Summaries, direct_iterations};
use super::winograd_sizes::{EDGE, ITERATIONS, Winograd, floats};
use crate::launch::launch;
use crate::products::epilogue::{ConvOutput, FusedEpilogue, Width};
use crate::products::operand::images;
use crate::products::problem::{LONGEST_SUM, Layout, Splits};
use crate::{DType, Result, Tensor};

/// Elements of a transformed tile, each a product of its own.
const ELEMENTS: usize = EDGE * EDGE;

/// Fewer channels than this on one side, and the transforms cost more than the products save.
const FEWEST_CHANNELS: usize = 8;

/// Bytes that the transformed operands of a part of the images may take: what stays in the processors' caches.
const FORWARD_WORKSPACE: usize = 2 << 20;
/// The same of the weight gradient, which leaves a partial sum of every part.
const WEIGHT_GRAD_WORKSPACE: usize = 8 << 20;
/// Bytes that the partial sums may take; more parts are added up in groups.
const PARTIAL_SUMS: usize = 16 << 20;

impl Winograd {
    /// Whether the transforms can do this convolution in both directions, and pay.
    pub fn is_profitable(&self, gpu: &Gpu, pooled: bool) -> bool {
        // Of 3 × 3 pixels the transforms make a loss, of 5 × 5 neither, of 6 × 6 and 10 × 10 the products take a third longer.
        let filled = !self.is_ragged() || 8 * self.tiles_of_image() <= self.h * self.w;
        let most_channels = self.c_in.max(self.c_out);
        filled
            && self.c_in.min(self.c_out) >= FEWEST_CHANNELS
            && (direct_iterations(self.c_in, pooled).max(direct_iterations(self.c_out, false)) as u64)
                < gpu.loop_limit()
            && most_channels <= LONGEST_SUM
            && self.fits(gpu)
    }

    /// Whether the transformed operands of the fewest images that make a part can be bound.
    fn fits(&self, gpu: &Gpu) -> bool {
        let channels = self.c_in.max(self.c_out).next_multiple_of(64);
        let tiles = (self.unit() * self.tiles_of_image()).next_multiple_of(128);
        let floats = ELEMENTS * channels * tiles.max(self.c_in.min(self.c_out).next_multiple_of(64));
        floats as u64 * 4 <= gpu.limits().max_storage_buffer_binding_size
    }

    /// Whether the weight gradient's sums over tiles, and over images where the guard finds something, are short enough.
    pub fn weight_grad_fits(&self, gpu: &Gpu) -> bool {
        self.part(WEIGHT_GRAD_WORKSPACE) * self.tiles_of_image() <= LONGEST_SUM
            && self.images_of_correction(gpu) > 0
    }

    /// The fewest images that make a part: bindings begin where one ends, and so does a quad of tiles.
    fn unit(&self) -> usize {
        (1..=4)
            .map(|n| n * self.step)
            .find(|unit| (unit * self.tiles_of_image()).is_multiple_of(4))
            .unwrap_or(4 * self.step)
    }

    /// Images of a part whose transformed operands fit into `workspace` bytes.
    fn part(&self, workspace: usize) -> usize {
        let bytes = 4 * ELEMENTS * self.tiles_of_image() * (self.c_in + self.c_out);
        let unit = self.unit();
        (workspace / bytes / unit * unit).max(unit)
    }

    /// First image and number of images of each part.
    fn parts(&self, workspace: usize) -> impl Iterator<Item = (usize, Self)> {
        let part = self.part(workspace);
        let of = |images| Self { images, ..*self };
        (0..self.images).step_by(part).map(move |first| (first, of(part.min(self.images - first))))
    }

    /// Records y = conv2d(x, w) + bias and what follows it.
    pub fn forward(&self, x: &Tensor, w: &Tensor, output: &ConvOutput<'_>) -> Result<()> {
        self.convolve([self.c_in, self.c_out], false, x, w, output)
    }

    /// Records dx = conv2d(dy, w flipped and its channels exchanged), and what follows it.
    pub fn input_grad(&self, dy: &Tensor, w: &Tensor, output: &ConvOutput<'_>) -> Result<()> {
        self.convolve([self.c_out, self.c_in], true, dy, w, output)
    }

    fn convolve(
        &self,
        [from, to]: [usize; 2],
        flipped: bool,
        x: &Tensor,
        w: &Tensor,
        output: &ConvOutput<'_>,
    ) -> Result<()> {
        let gpu = w.gpu();
        let sizes = PanelSizes::of_rows(gpu, to);
        let k = from.next_multiple_of(4);
        let row_panels = to.div_ceil(sizes.rows);
        let u = floats(gpu, ELEMENTS * row_panels * sizes.rows * k)?;
        let filters = Summaries::new(gpu, k / 4, to, to)?;
        let inputs = Summaries::of_tiles(gpu, self.tiles().div_ceil(4), from)?;
        launch(gpu, Kernel::new(&shaders::WINOGRAD_WEIGHT, "winograd_weight"))
            .bind_all([("w", w.bind()), ("out", u.whole()), ("summary", filters.bind())])
            .set_all([("rows", to), ("depth", from), ("flipped", usize::from(flipped))])
            .set_all([("panel", sizes.rows), ("edge", EDGE)])
            .max_iterations(ITERATIONS)
            .threads(to * k / 4)
            .enqueue()?;
        for (first, part) in self.parts(FORWARD_WORKSPACE) {
            let n = part.tiles().next_multiple_of(8);
            let col_panels = n.div_ceil(sizes.cols);
            let v = floats(gpu, ELEMENTS * col_panels * sizes.cols * k)?;
            part.transform_input(x, first, from, None, &v, &inputs)?;
            let m = floats(gpu, ELEMENTS * to * n)?;
            sizes.multiply(
                gpu,
                PanelProduct {
                    a: &u,
                    a_batch: row_panels,
                    b: Columns::packed(&v, sizes.cols, col_panels, k),
                    batches: ELEMENTS,
                    m: to,
                    n,
                    k,
                    splits: &Splits { count: 1, k },
                    layout: Layout::rows(to, n),
                    c_split: 0,
                    epilogue: &FusedEpilogue::default(),
                    dtype: DType::F32,
                    out: m.whole(),
                },
            )?;
            let y = images(output.y, first, part.images);
            let epilogue = output.fused(first, part.images);
            let kernel = epilogue.choose(Kernel::new(&shaders::WINOGRAD_OUTPUT, "winograd_output"));
            let (store, width) = match self.is_ragged() {
                true => (&shaders::WINOGRAD_STORE_RAGGED, Width::One),
                false => (&shaders::WINOGRAD_STORE_WHOLE, Width::Four),
            };
            let launch = match output.mask {
                None => launch(gpu, kernel.with(store)),
                Some(mask) => launch(gpu, kernel.with(&shaders::WINOGRAD_STORE_POOLED))
                    .bind("mask_out", mask.images(first, part.images)),
            };
            let launch = epilogue.bind(part.sizes(launch, to, 0), DType::F32, width, &m.whole());
            launch
                .bind_all([("m", m.whole()), ("y", y)])
                .set("as_a", 0)
                .set_all([("group_base", 0), ("depth", 0), ("flipped", 0), ("per", 0)])
                .threads(to * n / 4)
                .enqueue()?;
        }
        let (x, w) = (x.bind(), w.bind());
        let of = Convolved { x, w, depth: from, channels: to, flipped, inputs: &inputs, filters: &filters };
        self.correct(gpu, &of, output)
    }

    /// Records dw = the gradient of the weight, `[c_out, c_in, 3, 3]`, into a tensor that was not written yet.
    pub fn weight_grad(&self, x: &Tensor, dy: &Tensor, dw: &Tensor) -> Result<()> {
        let parts: Vec<_> = self.parts(WEIGHT_GRAD_WORKSPACE).collect();
        let sum = 4 * ELEMENTS * self.c_in * self.c_out.next_multiple_of(8);
        let of_x = Summaries::new(x.gpu(), self.tiles().div_ceil(4), self.c_in, self.c_in)?;
        let of_dy = Summaries::new(x.gpu(), self.tiles(), self.c_out, self.c_out.next_multiple_of(4))?;
        let groups: Vec<_> = parts.chunks((PARTIAL_SUMS / sum).max(1)).collect();
        if let [parts] = groups[..] {
            self.weight_grad_of(parts, x, dy, dw.bind(), [&of_x, &of_dy])?;
        } else {
            let mut whole = Tensor::zeros(x.gpu(), dw.shape())?;
            for parts in groups {
                let part = Tensor::empty(x.gpu(), dw.shape())?;
                self.weight_grad_of(parts, x, dy, part.bind(), [&of_x, &of_dy])?;
                whole = whole.add(&part)?;
            }
            whole.copy_into(dw)?;
        }
        self.correct_weight_grad(x.gpu(), [x.bind(), dy.bind(), dw.bind()], [&of_x, &of_dy])
    }

    /// Records the gradient of the weight over some parts of the images.
    fn weight_grad_of(
        &self,
        parts: &[(usize, Self)],
        x: &Tensor,
        dy: &Tensor,
        dw: View,
        [of_x, of_dy]: [&Summaries; 2],
    ) -> Result<()> {
        let gpu = x.gpu();
        let sizes = PanelSizes::of_rows(gpu, self.c_in);
        let n = self.c_out.next_multiple_of(8);
        let (row_panels, col_panels) = (self.c_in.div_ceil(sizes.rows), n.div_ceil(sizes.cols));
        let sum = ELEMENTS * self.c_in * n;
        let s = floats(gpu, parts.len() * sum)?;
        for (index, &(first, part)) in parts.iter().enumerate() {
            let k = part.tiles().next_multiple_of(4);
            let v = floats(gpu, ELEMENTS * row_panels * sizes.rows * k)?;
            part.transform_input(x, first, self.c_in, Some(sizes.rows), &v, of_x)?;

            let d = floats(gpu, ELEMENTS * col_panels * sizes.cols * k)?;
            let dy = images(dy, first, part.images);
            let kernel = Kernel::new(&shaders::WINOGRAD_OUTPUT_GRAD, "winograd_output_grad");
            let launch = launch(gpu, self.with_rows(gpu, kernel, &shaders::WINOGRAD_ROWS_VEC4))
                .bind_all([("x", dy), ("summary", of_dy.bind()), ("out", d.whole())])
                .set_all([("group_base", first * self.tiles_of_image()), ("depth", 0)])
                .set_all([("flipped", 0), ("per", 0), ("as_a", 0), ("bias_of", 0), ("activate", 0)]);
            let threads = k * self.c_out.div_ceil(4);
            part.sizes(launch, self.c_out, sizes.cols).threads(threads).enqueue()?;

            sizes.multiply(
                gpu,
                PanelProduct {
                    a: &v,
                    a_batch: row_panels,
                    b: Columns::packed(&d, sizes.cols, col_panels, k),
                    batches: ELEMENTS,
                    m: self.c_in,
                    n,
                    k,
                    splits: &Splits { count: 1, k },
                    layout: Layout::rows(self.c_in, n),
                    c_split: 0,
                    epilogue: &FusedEpilogue::default(),
                    dtype: DType::F32,
                    out: s.view((index * sum) as u64 * 4, sum as u64 * 4),
                },
            )?;
        }
        let launch = launch(gpu, Kernel::new(&shaders::WINOGRAD_WEIGHT_GRAD, "winograd_weight_grad"))
            .bind_all([("s", s.whole()), ("dw", dw)])
            .set_all([("parts", parts.len()), ("c_in", self.c_in), ("c_out", self.c_out), ("edge", EDGE)]);
        Ok(launch.max_iterations(EDGE * (8 * parts.len() + 24) + 16).threads(self.c_in * n / 4).enqueue()?)
    }

    /// Transforms x, an input or a gradient, from image `first` on into the operand B, or with panels of so many rows A of
    /// the weight gradient.
    fn transform_input(
        &self,
        x: &Tensor,
        first: usize,
        channels: usize,
        as_a: Option<usize>,
        out: &Buffer,
        summaries: &Summaries,
    ) -> Result<()> {
        let panel = as_a.unwrap_or_else(|| PanelSizes::of(x.gpu()).cols);
        let as_a = as_a.is_some();
        let tiles_x = self.tiles_x();
        let run = if tiles_x.is_multiple_of(4) { 4 } else { tiles_x.min(2) };
        let gpu = x.gpu();
        let kernel = Kernel::new(&shaders::WINOGRAD_INPUT, "winograd_input");
        let launch = launch(gpu, self.with_rows(gpu, kernel, &shaders::WINOGRAD_ROWS_WIDE))
            .constants([("RUN", run), ("EDGES", usize::from(tiles_x > run))])
            .bind("x", images(x, first, self.images))
            .bind_all([("summary", summaries.bind()), ("out", out.whole())])
            .set_all([("group_base", first * self.tiles_of_image() / 4), ("depth", 0)])
            .set_all([("flipped", 0), ("per", 0), ("bias_of", 0), ("activate", 0)])
            .set("as_a", usize::from(as_a));
        let padded = if as_a { channels } else { channels.next_multiple_of(4) };
        let launch = self.sizes(launch, channels, panel);
        Ok(launch.threads(padded * self.tiles().div_ceil(4)).enqueue()?)
    }
}
