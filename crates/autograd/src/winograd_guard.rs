//! What Winograd's transforms would get wrong is found on the way and computed anew, without a readback: see
//! `winograd_guard.wgsl`. The transforms leave a word for each group of tiles, or filter, and channel; what they say is
//! judged by short kernels, and kernels of direct sums go over what was found. Where nothing was, these end at once.
//!
//! Roads not taken: a reduction over the input before the transforms reads it once more; to scale tiles does not help
//! against an infinity; and direct products of everything take twice as long.

use wgrad_device::shaders;
use wgrad_device::{Buffer, Gpu, View};

use crate::Result;
use crate::winograd::{EDGE, Output, Winograd, floats};

/// Groups that one invocation goes over.
const CHUNK: usize = 16_384;

/// What transforms saw: a word for each group and channel, `stride` words from group to group.
pub(crate) struct Summaries {
    words: Buffer,
    groups: usize,
    channels: usize,
    stride: usize,
}

impl Summaries {
    /// For a transform to write.
    pub(crate) fn new(gpu: &Gpu, groups: usize, channels: usize, stride: usize) -> Result<Self> {
        Ok(Self { words: floats(gpu, groups * stride)?, groups, channels, stride })
    }

    pub(crate) fn view(&self) -> View {
        self.words.whole()
    }

    /// Which groups hold a value that is too large, and the limit of each.
    fn guard_groups(&self, gpu: &Gpu) -> Result<Buffer> {
        let guard = floats(gpu, 2 * self.groups)?;
        gpu.launch(&shaders::WINOGRAD_GUARD_GROUPS)
            .bind("summary", self.words.whole())
            .bind("guard", guard.whole())
            .set("groups", self.groups)
            .set("channels", self.channels)
            .set("stride", self.stride)
            .set("chunk", CHUNK)
            .trips(self.channels + 1)
            .threads(self.groups)
            .record()?;
        Ok(guard)
    }

    /// Which channels hold one, in each chunk of groups, and how many chunks there are.
    fn guard_channels(&self, gpu: &Gpu) -> Result<(Buffer, usize)> {
        let limits = self.guard_groups(gpu)?;
        let chunks = self.groups.div_ceil(CHUNK);
        let guard = floats(gpu, chunks * self.channels)?;
        gpu.launch(&shaders::WINOGRAD_GUARD_CHANNELS)
            .bind("summary", self.words.whole())
            .bind("limits", limits.whole())
            .bind("guard_channel", guard.whole())
            .set("groups", self.groups)
            .set("channels", self.channels)
            .set("stride", self.stride)
            .set("chunk", CHUNK)
            .trips(CHUNK + 1)
            .threads(chunks * self.channels)
            .record()?;
        Ok((guard, chunks))
    }
}

/// Loop iterations of an invocation of `winograd_direct` that sums over `depth` channels.
pub(crate) fn direct_trips(depth: usize) -> usize {
    // Four rows of three filter rows of every channel, and the loops of the store.
    4 * (5 * depth + 2) + 32
}

/// A convolution's input and filters, with what its transforms saw of them.
pub(crate) struct Convolved<'a> {
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
    pub(crate) fn correct(&self, gpu: &Gpu, of: &Convolved<'_>, output: &Output<'_>) -> Result<()> {
        let (guard, guard_filter) = (of.inputs.guard_groups(gpu)?, of.filters.guard_groups(gpu)?);
        let launch = match output.winners {
            None => gpu.launch(&shaders::WINOGRAD_DIRECT),
            Some(winners) => {
                gpu.launch(&shaders::WINOGRAD_DIRECT_POOLED).bind("code", winners.images(0, self.images))
            }
        };
        let launch = launch
            .bind("x", of.x.clone())
            .bind("w", of.w.clone())
            .bind("guard", guard.whole())
            .bind("guard_filter", guard_filter.whole())
            // A bias that is not added must still be bound: anything that is only read will do.
            .bind("bias", output.bias.clone().unwrap_or_else(|| of.w.clone()))
            .bind("y", output.y.view());
        let launch = self.sizes(launch, of.channels, output.options(), 0).set("group_base", 0);
        let launch = launch.set("depth", of.depth).set("flipped", usize::from(of.flipped));
        let threads = self.tiles().div_ceil(4) * of.channels;
        Ok(launch.trips(direct_trips(of.depth)).threads(threads).record()?)
    }

    /// Loop iterations of an invocation of `winograd_weight_grad_direct` over an image, and beside its images.
    fn weight_grad_trips(&self) -> [usize; 2] {
        let chunks = |groups: usize| groups.div_ceil(CHUNK) + 1;
        let beside = chunks(self.tiles().div_ceil(4)) + chunks(self.tiles()) + 4 + 3 * 5;
        [3 * (self.h + 2 + self.h * (self.w / 4 + 1)), beside]
    }

    /// Images that one launch of it may go over.
    pub(crate) fn images_of_correction(&self, gpu: &Gpu) -> usize {
        let [of_image, beside] = self.weight_grad_trips();
        let most = gpu.loop_limit().saturating_sub(beside as u64) / of_image as u64;
        usize::try_from(most).unwrap_or(usize::MAX).min(self.images)
    }

    /// Records direct sums of the filters' gradients `dw` that the guard finds in the channels of x and dy.
    pub(crate) fn correct_weight_grad(
        &self,
        gpu: &Gpu,
        [x, dy, dw]: [View; 3],
        [of_x, of_dy]: [&Summaries; 2],
    ) -> Result<()> {
        let ((guard_x, chunks_x), (guard_dy, chunks_dy)) =
            (of_x.guard_channels(gpu)?, of_dy.guard_channels(gpu)?);
        let images = self.images_of_correction(gpu).max(1);
        let [of_image, beside] = self.weight_grad_trips();
        for first in (0..self.images).step_by(images) {
            let last = (first + images).min(self.images);
            gpu.launch(&shaders::WINOGRAD_WEIGHT_GRAD_DIRECT)
                .bind("x", x.clone())
                .bind("dy", dy.clone())
                .bind("dw", dw.clone())
                .bind("guard_x", guard_x.whole())
                .bind("guard_dy", guard_dy.whole())
                .set("first", first)
                .set("last", last)
                .set("c_in", self.c_in)
                .set("c_out", self.c_out)
                .set("h", self.h)
                .set("across", self.w / 4)
                .set("chunks_x", chunks_x)
                .set("chunks_dy", chunks_dy)
                .set("edge", EDGE)
                .trips((last - first) * of_image + beside)
                .threads(self.c_in * self.c_out)
                .record()?;
        }
        Ok(())
    }
}
