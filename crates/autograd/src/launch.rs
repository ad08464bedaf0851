//! Launches of the engine's own kernels.

use wgrad_device::shaders::Kernel;
use wgrad_device::{Gpu, Launch};

/// A launch of one of the engine's kernels, without runtime checks.
pub(crate) fn launch<'a>(gpu: &'a Gpu, kernel: Kernel<'a>) -> Launch<'a> {
    // SAFETY: every op checks shapes before it launches, and binds, sets and declares what follows from them; none of a
    // tensor's sizes is zero. The op tests run every kernel with checks on and off.
    unsafe { gpu.launch_unchecked(kernel) }
}
