//! What Winograd's transforms would get wrong is found on the way and computed anew, without a readback: see
//! `winograd_guard.wgsl`. The transforms leave sums of magnitudes of each group of tiles, or filter, and channel; these are
//! judged by short kernels, and kernels of direct sums go over what was found. Where nothing was, these end at once.
//!
//! Roads not taken: a reduction over the input before the transforms reads it once more; to scale tiles does not help
//! against an infinity; and direct products of everything take twice as long.

use wgrad_device::shaders::{self, Kernel};
use wgrad_device::{Buffer, Gpu, Launch, View};

use super::winograd_sizes::{EDGE, Winograd, floats};
use crate::launch::launch;
use crate::products::epilogue::{ConvOutput, Width};
use crate::{DType, Result};

/// Groups that one invocation goes over.
const CHUNK: usize = 16_384;

/// What transforms saw of each group and channel, `stride` entries from group to group.
pub(super) struct Summaries {
    words: Buffer,
    groups: usize,
    channels: usize,
    stride: usize,
}

impl Summaries {
    /// For a transform to write: a word of each channel in each group.
    pub(super) fn new(gpu: &Gpu, groups: usize, channels: usize, stride: usize) -> Result<Self> {
        Ok(Self { words: floats(gpu, groups * stride)?, groups, channels, stride })
    }

    /// As [`Summaries::new`], the blocks of four tiles, in eight words.
    pub(super) fn of_tiles(gpu: &Gpu, quads: usize, channels: usize) -> Result<Self> {
        Ok(Self { words: floats(gpu, 8 * quads * channels)?, groups: quads, channels, stride: channels })
    }

    pub(super) fn bind(&self) -> View {
        self.words.whole()
    }

    /// What was seen of each quad of tiles, and the mean of their blocks with whether one of the `filters` is odd.
    fn guard_tiles(&self, gpu: &Gpu, filters: &Buffer, count: usize) -> Result<[Buffer; 2]> {
        let (guard, mean) = (floats(gpu, 2 * self.groups)?, floats(gpu, 2)?);
        self.launch(gpu, "guard_tiles", 0)
            .bind_all([("summary_tiles", self.words.whole()), ("guard", guard.whole())])
            .max_iterations(self.channels + 1)
            .threads(self.groups)
            .enqueue()?;
        self.launch(gpu, "guard_mean", count)
            .bind_all([("quads", guard.whole()), ("filters", filters.whole()), ("mean", mean.whole())])
            .max_iterations(CHUNK + count + 2)
            .enqueue()?;
        Ok([guard, mean])
    }

    /// What was seen of each channel in each chunk of groups, and how many chunks there are.
    fn guard_channels(&self, gpu: &Gpu) -> Result<(Buffer, usize)> {
        let chunks = self.groups.div_ceil(CHUNK);
        let guard = floats(gpu, 2 * chunks * self.channels)?;
        self.launch(gpu, "guard_channels", 0)
            .bind_all([("summary", self.words.whole()), ("guard_channel", guard.whole())])
            .max_iterations(CHUNK + 1)
            .threads(chunks * self.channels)
            .enqueue()?;
        Ok((guard, chunks))
    }

    fn launch<'a>(&self, gpu: &'a Gpu, entry: &'static str, filters: usize) -> Launch<'a> {
        launch(gpu, Kernel::new(&shaders::WINOGRAD_GUARD, entry))
            .set_all([("groups", self.groups), ("channels", self.channels), ("filters", filters)])
            .set_all([("stride", self.stride), ("chunk", CHUNK)])
    }
}

/// Loop iterations of `winograd_direct` for an output channel that sums over `depth` others: a row of four pixels, or of
/// `winograd_direct_pooled`, four windows of four.
pub(super) fn direct_iterations(depth: usize, pooled: bool) -> usize {
    // Three filter rows of every channel.
    let pixel = depth * 5 + 1;
    if pooled { 4 * (4 * (pixel + 1) + 2) + 12 } else { 4 * (pixel + 1) + 2 }
}

/// A convolution's input and filters, with what its transforms saw of them.
pub(super) struct Convolved<'a> {
    pub x: View,
    pub w: View,
    pub depth: usize,
    pub channels: usize,
    /// Whether it is an input gradient, with the filters turned around.
    pub flipped: bool,
    pub inputs: &'a Summaries,
    pub filters: &'a Summaries,
}

impl Winograd {
    /// Records direct sums over what the guard finds in a convolution.
    pub(super) fn correct(&self, gpu: &Gpu, of: &Convolved<'_>, output: &ConvOutput<'_>) -> Result<()> {
        // Groups of filters are vec4 of input channels, and their channels the filters.
        let (guard_filter, _) = of.filters.guard_channels(gpu)?;
        let [guard, mean] = of.inputs.guard_tiles(gpu, &guard_filter, of.channels)?;
        let iterations = direct_iterations(of.depth, output.mask.is_some());
        let per = usize::try_from((gpu.loop_limit() - 1) / iterations as u64)
            .unwrap_or(usize::MAX)
            .clamp(1, of.channels);
        let file = &shaders::WINOGRAD_DIRECT;
        let epilogue = output.fused(0, self.images);
        let launch = match output.mask {
            None => launch(gpu, epilogue.choose(Kernel::new(file, "winograd_direct"))),
            Some(mask) => launch(gpu, epilogue.choose(Kernel::new(file, "winograd_direct_pooled")))
                .bind("mask_out", mask.images(0, self.images)),
        };
        let launch = epilogue.bind(launch, DType::F32, Width::One, &of.w);
        // Rows of tiles, or fours of windows.
        let places =
            if output.mask.is_some() { self.images * self.h * self.w / 16 } else { 4 * self.tiles() };
        self.sizes(launch, of.channels, 0)
            .bind_all([("x", of.x.clone()), ("w", of.w.clone()), ("y", output.y.bind())])
            .bind_all([
                ("guard", guard.whole()),
                ("mean", mean.whole()),
                ("guard_filter", guard_filter.whole()),
            ])
            .set("as_a", 0)
            .set_all([("group_base", 0), ("depth", of.depth), ("flipped", usize::from(of.flipped))])
            .set("per", per)
            .max_iterations(per * iterations + 1)
            .threads(places * of.channels.div_ceil(per))
            .enqueue()?;
        Ok(())
    }

    /// Loop iterations of an invocation of `winograd_weight_grad_direct` over an image, and beside its images.
    fn weight_grad_iterations(&self) -> [usize; 2] {
        let chunks = |groups: usize| groups.div_ceil(CHUNK) + 1;
        let beside = chunks(self.tiles().div_ceil(4)) + chunks(self.tiles()) + 4 + 3 * 5;
        [3 * (self.h + 2 + self.h * (self.w.div_ceil(4) + 1)), beside]
    }

    /// Images that one launch of it may go over.
    pub(super) fn images_of_correction(&self, gpu: &Gpu) -> usize {
        let [of_image, beside] = self.weight_grad_iterations();
        let most = gpu.loop_limit().saturating_sub(beside as u64) / of_image as u64;
        usize::try_from(most).unwrap_or(usize::MAX).min(self.images)
    }

    /// Records direct sums of the filters' gradients `dw` that the guard finds in the channels of x and dy.
    pub(super) fn correct_weight_grad(
        &self,
        gpu: &Gpu,
        [x, dy, dw]: [View; 3],
        [of_x, of_dy]: [&Summaries; 2],
    ) -> Result<()> {
        let ((guard_x, chunks_x), (guard_dy, chunks_dy)) =
            (of_x.guard_channels(gpu)?, of_dy.guard_channels(gpu)?);
        let images = self.images_of_correction(gpu).max(1);
        let [of_image, beside] = self.weight_grad_iterations();
        for first in (0..self.images).step_by(images) {
            let last = (first + images).min(self.images);
            let file = &shaders::WINOGRAD_WEIGHT_GRAD_DIRECT;
            launch(gpu, Kernel::new(file, "winograd_weight_grad_direct"))
                .bind_all([("x", x.clone()), ("dy", dy.clone()), ("dw", dw.clone())])
                .bind_all([("guard_x", guard_x.whole()), ("guard_dy", guard_dy.whole())])
                .set_all([("first", first), ("last", last), ("c_in", self.c_in), ("c_out", self.c_out)])
                .set_all([("h", self.h), ("w", self.w), ("edge", EDGE)])
                .set_all([("chunks_x", chunks_x), ("chunks_dy", chunks_dy)])
                .max_iterations((last - first) * of_image + beside)
                .threads(self.c_in * self.c_out)
                .enqueue()?;
        }
        Ok(())
    }
}
