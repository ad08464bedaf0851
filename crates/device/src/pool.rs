//! The buffer pool: buffers come back here when dropped and are handed out again by size.
//!
//! Sizes are rounded up to a sixteenth of their power of two, and a request is served by the smallest free
//! buffer that is large enough, the oldest of them first, unless it is more than four times as large. Exact
//! sizes only would hold half as much again for a convolutional net's step. A training step asks for the same
//! sizes in the same order each time, so after the first steps it creates no buffer. What a request gets depends
//! on which buffers are free and not on the order in which they came back (gradients come back in any order), so
//! a repeated step gets the same buffers, and its bind groups repeat.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::buffer::{self, Buffer};
use crate::gpu::MemoryStats;
use crate::health::Health;
use crate::{Error, Result};

const USAGES: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// A free buffer serves requests down to this part of its size.
const MOST_TIMES_TOO_LARGE: u64 = 4;

#[derive(Debug)]
pub(crate) struct Pool {
    health: Arc<Health>,
    limits: wgpu::Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Free buffers by size and number.
    free: BTreeMap<(u64, u64), Arc<wgpu::Buffer>>,
    /// Bytes of all buffers, free and in use.
    held: u64,
    next_id: u64,
    stats: MemoryStats,
    /// The first handle of each imported buffer.
    imported: Vec<Weak<buffer::Inner>>,
    /// Numbers of imported buffers that were dropped since somebody asked.
    forgotten: Vec<u64>,
}

impl Pool {
    pub(crate) fn new(health: Arc<Health>, limits: wgpu::Limits) -> Arc<Self> {
        Arc::new(Self { health, limits, state: Mutex::default() })
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
        if let Some((id, raw)) = state.take(size) {
            state.stats.add_live(size);
            return Ok(Buffer::new(raw, id, size, self));
        }
        let raw = self.create(size).map_err(|error| match error {
            Error::OutOfMemory { .. } => Error::OutOfMemory { bytes, live: state.stats.live },
            other => other,
        })?;
        let id = state.next_id();
        state.held += size;
        state.stats.created += 1;
        state.stats.add_live(size);
        Ok(Buffer::new(Arc::new(raw), id, size, self))
    }

    /// The largest buffer that can be bound whole; fails if `bytes` are more.
    fn checked_limit(&self, bytes: u64) -> Result<u64> {
        let limits = [
            ("max_storage_buffer_binding_size", self.limits.max_storage_buffer_binding_size),
            ("max_buffer_size", self.limits.max_buffer_size),
        ];
        for (limit_name, limit) in limits {
            // Kernels touch whole vec4s, so the last one counts too.
            if bytes.checked_next_multiple_of(16).is_none_or(|bytes| bytes > limit) {
                return Err(Error::TooLarge { bytes, limit_name, limit });
            }
        }
        Ok(limits[0].1.min(limits[1].1))
    }

    fn create(&self, size: u64) -> Result<wgpu::Buffer> {
        let scopes = self.health.scopes();
        let raw = self.health.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad tensor"),
            size,
            usage: USAGES,
            mapped_at_creation: false,
        });
        scopes.pop()?;
        // A lost device makes buffers that are none, and says nothing.
        self.health.probe()?;
        Ok(raw)
    }

    /// Takes back a buffer that was handed out for `size` bytes.
    pub(crate) fn release(&self, raw: Arc<wgpu::Buffer>, id: u64, size: u64) {
        let mut state = self.state();
        state.stats.live -= size;
        state.free.insert((raw.size(), id), raw);
    }

    /// A number for a buffer that is not of the pool.
    pub(crate) fn next_id(&self) -> u64 {
        self.state().next_id()
    }

    /// The first handle of an application's buffer, if it was imported before and a handle is left.
    pub(crate) fn imported(&self, raw: &wgpu::Buffer) -> Option<Arc<buffer::Inner>> {
        let mut state = self.state();
        state.imported.retain(|known| known.strong_count() > 0);
        let known: Vec<_> = state.imported.iter().filter_map(Weak::upgrade).collect();
        // One that is dropped here for good comes back for the lock.
        drop(state);
        known.into_iter().find(|known| known.is(raw))
    }

    pub(crate) fn note_import(&self, first: &Arc<buffer::Inner>) {
        self.state().imported.push(Arc::downgrade(first));
    }

    /// Takes note that the imported buffer of this number is gone.
    pub(crate) fn forget(&self, id: u64) {
        self.state().forgotten.push(id);
    }

    /// The imported buffers that are gone since this was last asked.
    pub(crate) fn take_forgotten(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().forgotten)
    }

    /// Frees the cached buffers.
    pub(crate) fn trim(&self) {
        let mut state = self.state();
        state.held -= state.free.keys().map(|(size, _)| size).sum::<u64>();
        state.free.clear();
    }

    pub(crate) fn stats(&self) -> MemoryStats {
        let state = self.state();
        MemoryStats { cached: state.held - state.stats.live, ..state.stats }
    }

    pub(crate) fn reset_peak(&self) {
        let mut state = self.state();
        state.stats.peak = state.stats.live;
        state.stats.largest = 0;
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// The free buffer that suits a request best, with its number.
    fn take(&mut self, size: u64) -> Option<(u64, Arc<wgpu::Buffer>)> {
        let suitable = (size, 0)..=(size.saturating_mul(MOST_TIMES_TOO_LARGE), u64::MAX);
        let key = *self.free.range(suitable).next()?.0;
        self.free.remove(&key).map(|raw| (key.1, raw))
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
