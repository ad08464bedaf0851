//! What the adapter can do at most, measured by two short kernels.

use std::time::{Duration, Instant};

use wgrad_shaders::{Kernel, LIMIT_COPY, LIMIT_FMA};

use crate::Result;
use crate::gpu::{Family, Gpu};

/// Bytes of the buffer that is copied, by family: beyond a GPU's caches, and of the size of a training step's
/// activations where caches are a processor's.
const COPIED_BY_GPU: u64 = 64 << 20;
const COPIED_BY_CPU: u64 = 16 << 20;

/// Invocations of the arithmetic kernel, its loop iterations, and the operations in one.
const INVOCATIONS: usize = 1 << 17;
const ITERATIONS: usize = 256;
const FLOPS_PER_ITERATION: usize = 8 * 12 * 2;

/// A measurement is repeated in one submission until it takes this long, so that submitting does not count.
const LONG_ENOUGH: Duration = Duration::from_millis(40);

/// The adapter's measured limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roofline {
    /// Bytes read and written a second by a copy from buffer to buffer.
    pub bytes_per_second: f64,
    /// Floating-point operations a second by multiply-adds in registers, two each.
    pub flops_per_second: f64,
}

impl Roofline {
    /// The share of the nearer limit that a kernel reaches, as a number of 1. Data that stays in caches can take it
    /// above 1.
    pub fn share(&self, flops_per_second: Option<f64>, bytes_per_second: f64) -> f64 {
        let flops = flops_per_second.map_or(0.0, |flops| flops / self.flops_per_second);
        flops.max(bytes_per_second / self.bytes_per_second)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Gpu {
    /// Measures the adapter's limits as they are now, in a fraction of a second.
    ///
    /// # Errors
    /// As [`Gpu::submit`].
    pub fn measure_roofline(&self) -> Result<Roofline> {
        let wanted = match self.family() {
            Family::Gpu => COPIED_BY_GPU,
            Family::Cpu => COPIED_BY_CPU,
        };
        let bytes = wanted.min(self.limits().max_storage_buffer_binding_size / 16 * 16);
        let (x, y) = (self.buffer(bytes)?, self.buffer(bytes)?);
        let (x, y) = (x.view(0, bytes), y.view(0, bytes));
        self.clear(&x)?;
        let n4 = (bytes / 16) as usize;
        let invocations = INVOCATIONS.min(n4 / 64 * 64);
        let copy = || {
            // SAFETY: both ranges have n4 vec4.
            let launch = unsafe { self.launch_unchecked(Kernel::new(&LIMIT_COPY, "main")) };
            launch.bind_all([("x", x.clone()), ("y", y.clone())]).set("n4", n4).threads(n4).enqueue()
        };
        let arithmetic = || {
            // SAFETY: the range has as many vec4 as there are invocations, a multiple of a workgroup.
            let launch = unsafe { self.launch_unchecked(Kernel::new(&LIMIT_FMA, "main")) };
            let launch = launch.constant("ITERATIONS", ITERATIONS).bind("y", y.clone());
            launch
                .set_f32("m", 0.999)
                .set_f32("c", 0.001)
                .max_iterations(8 * ITERATIONS)
                .threads(invocations)
                .enqueue()
        };
        let flops = (invocations * ITERATIONS * FLOPS_PER_ITERATION) as f64;
        Ok(Roofline {
            bytes_per_second: 2.0 * bytes as f64 / self.seconds(copy)?,
            flops_per_second: flops / self.seconds(arithmetic)?,
        })
    }

    /// The seconds that one launch takes: the best of three submissions of as many as take long enough.
    fn seconds(&self, launch: impl Fn() -> Result<()>) -> Result<f64> {
        let run = |count: u32| -> Result<Duration> {
            (0..count).try_for_each(|_| launch())?;
            let start = Instant::now();
            self.synchronize()?;
            Ok(start.elapsed())
        };
        self.synchronize()?;
        run(1)?;
        let mut count = 1;
        let mut best = run(count)?;
        while best < LONG_ENOUGH && count < 1 << 12 {
            count *= 2;
            best = run(count)?;
        }
        for _ in 0..2 {
            best = best.min(run(count)?);
        }
        Ok(best.as_secs_f64() / f64::from(count))
    }
}
