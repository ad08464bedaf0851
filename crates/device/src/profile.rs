//! Profiles: how long each launch took on the device, what it moved and computed, and what recording it cost.
//!
//! Where the device has timestamp queries, each launch gets a compute pass of its own with a timestamp at both ends:
//! the one way of timing a launch that every backend knows. Elsewhere each launch is submitted by itself and waited
//! for. Neither changes what is computed, or in which order.

// Only the methods that wait, which a page may not, start a profile: there they are absent, and what serves them idles.
#[cfg_attr(target_arch = "wasm32", allow(dead_code, unused_imports))]
mod collect;
mod report;
#[cfg_attr(target_arch = "wasm32", allow(dead_code, unused_imports))]
mod roofline;
mod trace;

use std::time::{Duration, Instant};

pub(crate) use collect::Profiler;
pub use roofline::Roofline;

/// Where a profile's times come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// The device's own timestamps.
    Timestamps,
    /// The host's clock, from the submission of a launch alone to its end: each time includes what a submission
    /// costs, tens of microseconds.
    #[default]
    Host,
}

/// What a launch tells the recording for profiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub flops: Option<u64>,
    pub bytes_read: Option<u64>,
    pub started: Option<Instant>,
}

/// One launch or copy as it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchProfile {
    /// The kernel's name, or `copy`, `write` or `clear`.
    pub name: String,
    /// The workgroups launched; zero for copies.
    pub grid: [u32; 3],
    /// When it began, counted from the start of the profile's first launch.
    pub start: Duration,
    /// How long it ran.
    pub duration: Duration,
    /// Bytes that the kernel reads, each counted once: those of the ranges bound, unless the launch states fewer.
    pub bytes_read: u64,
    /// Bytes of the ranges bound that the kernel writes.
    pub bytes_written: u64,
    /// Floating-point operations, where the launch states them.
    pub flops: Option<u64>,
    /// What recording it took on the host.
    pub host: Duration,
}

/// All launches of a kernel together.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelProfile {
    /// The kernel's name, or `copy`, `write` or `clear`.
    pub name: String,
    /// Number of launches.
    pub calls: usize,
    /// Time of all launches.
    pub total: Duration,
    /// Bytes read and written by all launches.
    pub bytes: u64,
    /// Floating-point operations of all launches; none if one launch states none.
    pub flops: Option<u64>,
    /// What recording all launches took on the host.
    pub host: Duration,
}

impl KernelProfile {
    /// Bytes read and written a second.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.total.as_secs_f64().max(1e-9)
    }

    /// Floating-point operations a second, where they are stated.
    pub fn flops_per_second(&self) -> Option<f64> {
        self.flops.map(|flops| flops as f64 / self.total.as_secs_f64().max(1e-9))
    }
}

/// The launches between [`Gpu::start_profile`](crate::Gpu::start_profile) and
/// [`Gpu::take_profile`](crate::Gpu::take_profile).
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The adapter's name.
    pub adapter: String,
    /// Where the times come from.
    pub timing: Timing,
    /// Launches and copies, in the order in which they ran. Copies are missing where the device has timestamps for
    /// passes only.
    pub launches: Vec<LaunchProfile>,
    /// Launches that ran after the profile was full, and are not in it.
    pub omitted: u64,
}

impl Profile {
    /// Launches together by kernel, the longest first.
    pub fn kernels(&self) -> Vec<KernelProfile> {
        let mut kernels: Vec<KernelProfile> = Vec::new();
        for launch in &self.launches {
            let at = kernels.iter().position(|kernel| kernel.name == launch.name).unwrap_or_else(|| {
                kernels.push(KernelProfile {
                    name: launch.name.clone(),
                    calls: 0,
                    total: Duration::ZERO,
                    bytes: 0,
                    flops: Some(0),
                    host: Duration::ZERO,
                });
                kernels.len() - 1
            });
            let kernel = &mut kernels[at];
            kernel.calls += 1;
            kernel.total += launch.duration;
            kernel.bytes += launch.bytes_read + launch.bytes_written;
            kernel.flops = kernel.flops.zip(launch.flops).map(|(sum, flops)| sum + flops);
            kernel.host += launch.host;
        }
        kernels.sort_by(|a, b| b.total.cmp(&a.total).then(a.name.cmp(&b.name)));
        kernels
    }

    /// Time of all launches together.
    pub fn total(&self) -> Duration {
        self.launches.iter().map(|launch| launch.duration).sum()
    }
}
