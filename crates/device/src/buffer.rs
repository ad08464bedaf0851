//! Buffers that return to their pool when dropped, and views into them.

use std::sync::{Arc, Weak};

use crate::pool::Pool;

/// A GPU buffer. Cloning shares it; the last clone returns it to the pool.
///
/// A buffer may be dropped while launches that use it are still recorded: the pool hands it out only
/// to launches recorded later, and launches run in the order they were recorded.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // Shared as a whole: cloning a wgpu buffer itself counts several references.
    raw: Arc<wgpu::Buffer>,
    id: u64,
    size: u64,
    pool: Weak<Pool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.release(Arc::clone(&self.raw), self.id, self.size);
        }
    }
}

impl Buffer {
    pub(crate) fn new(raw: Arc<wgpu::Buffer>, id: u64, size: u64, pool: &Arc<Pool>) -> Self {
        Self(Arc::new(Inner { raw, id, size, pool: Arc::downgrade(pool) }))
    }

    pub(crate) fn is_from(&self, pool: &Arc<Pool>) -> bool {
        std::ptr::eq(self.0.pool.as_ptr(), Arc::as_ptr(pool))
    }

    /// The wgpu buffer, which may be larger than this one.
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.0.raw
    }

    pub(crate) fn shared(&self) -> &Arc<wgpu::Buffer> {
        &self.0.raw
    }

    /// Number that is unique to this buffer within its `Gpu`.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Size in bytes, at least what was asked for.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// A range of this buffer: `offset` and `size` in bytes.
    ///
    /// # Panics
    /// If the range leaves the buffer: callers compute ranges, users don't.
    pub fn view(&self, offset: u64, size: u64) -> View {
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= self.size()),
            "view of {size} bytes at {offset} leaves a buffer of {} bytes",
            self.size()
        );
        View { buffer: self.clone(), offset, size }
    }

    /// The whole buffer.
    pub fn whole(&self) -> View {
        View { buffer: self.clone(), offset: 0, size: self.size() }
    }
}

/// A range of bytes of a buffer, as kernels bind it.
#[derive(Clone, Debug)]
pub struct View {
    /// The buffer.
    pub buffer: Buffer,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub size: u64,
}
