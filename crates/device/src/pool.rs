//! The buffer pool: buffers come back here when dropped and are handed out again by size.
//!
//! Sizes are rounded up to a sixteenth of their power of two, and a request is served only by a buffer
//! of exactly the rounded size, the oldest of them first. A training step asks for the same sizes in the
//! same order each time, so after the first steps it creates no buffer. What a request gets depends on which
//! buffers are free and not on the order in which they came back (gradients come back in any order), so a
//! repeated step gets the same buffers, and its bind groups repeat.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffer::Buffer;
use crate::gpu::MemoryStats;
use crate::{Error, Result};

const USAGES: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

#[derive(Debug)]
pub(crate) struct Pool {
    device: wgpu::Device,
    limits: wgpu::Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By size, then by number.
    cached: HashMap<u64, BTreeMap<u64, Arc<wgpu::Buffer>>>,
    next_id: u64,
    stats: MemoryStats,
}

impl Pool {
    pub(crate) fn new(device: wgpu::Device, limits: wgpu::Limits) -> Arc<Self> {
        Arc::new(Self { device, limits, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement, so a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of at least `bytes`, with whatever content its last user left.
    pub(crate) fn acquire(self: &Arc<Self>, bytes: u64) -> Result<Buffer> {
        let limit = self.checked_limit(bytes)?;
        // Rounding must not push a buffer over a limit that the bytes themselves keep.
        let size = if rounded(bytes) > limit { bytes.next_multiple_of(16) } else { rounded(bytes) };
        let mut state = self.state();
        if let Some((id, raw)) = state.cached.get_mut(&size).and_then(BTreeMap::pop_first) {
            state.stats.cached -= size;
            state.stats.add_live(size);
            return Ok(Buffer::new(raw, id, self));
        }
        let raw = self.create(size).map_err(|error| match error {
            Error::OutOfMemory { .. } => Error::OutOfMemory { bytes, live: state.stats.live },
            other => other,
        })?;
        let id = state.next_id;
        state.next_id += 1;
        state.stats.created += 1;
        state.stats.add_live(size);
        Ok(Buffer::new(Arc::new(raw), id, self))
    }

    /// The largest buffer that can be bound whole; fails if `bytes` are more.
    fn checked_limit(&self, bytes: u64) -> Result<u64> {
        let limits = [
            ("max_storage_buffer_binding_size", self.limits.max_storage_buffer_binding_size),
            ("max_buffer_size", self.limits.max_buffer_size),
        ];
        for (limit_name, limit) in limits {
            // Kernels touch whole vec4s, so the last one counts too.
            if bytes.next_multiple_of(16) > limit {
                return Err(Error::TooLarge { bytes, limit_name, limit });
            }
        }
        Ok(limits[0].1.min(limits[1].1))
    }

    fn create(&self, size: u64) -> Result<wgpu::Buffer> {
        let scopes = crate::gpu::Scopes::push(&self.device);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad tensor"),
            size,
            usage: USAGES,
            mapped_at_creation: false,
        });
        scopes.pop()?;
        Ok(raw)
    }

    pub(crate) fn release(&self, raw: Arc<wgpu::Buffer>, id: u64) {
        let size = raw.size();
        let mut state = self.state();
        state.stats.live -= size;
        state.stats.cached += size;
        state.cached.entry(size).or_default().insert(id, raw);
    }

    /// Frees the cached buffers.
    pub(crate) fn trim(&self) {
        let mut state = self.state();
        state.cached.clear();
        state.stats.cached = 0;
    }

    pub(crate) fn stats(&self) -> MemoryStats {
        self.state().stats
    }

    pub(crate) fn reset_peak(&self) {
        let mut state = self.state();
        state.stats.peak = state.stats.live;
    }
}

/// `bytes` rounded up so that at most a sixteenth is wasted and kernels may touch a whole last vec4.
fn rounded(bytes: u64) -> u64 {
    let bytes = bytes.max(1);
    let step = ((bytes.next_power_of_two() / 2) / 16).max(256).next_power_of_two();
    bytes.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn sizes_are_rounded_up_by_at_most_a_sixteenth() {
        for bytes in [0, 1, 255, 256, 257, 4096, 5000, 65_537, 1 << 20, (1 << 20) + 1, 153_600_000] {
            let size = rounded(bytes);
            assert!(size >= bytes && size.is_multiple_of(256), "{bytes} -> {size}");
            assert!(size <= bytes + (bytes / 8).max(256), "{bytes} -> {size}");
            assert_eq!(rounded(size), size);
        }
    }
}
