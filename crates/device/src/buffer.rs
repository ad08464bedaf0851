//! Buffers that return to their pool when dropped, those of an application, and views into them.

use std::sync::{Arc, Weak};

use crate::gpu::Gpu;
use crate::pool::Pool;
use crate::writes::{Writes, saved};
use crate::{Error, Result};

/// A GPU buffer. Cloning shares it; the last clone returns it to the pool.
///
/// A buffer may be dropped while launches that use it are still recorded: the pool hands it out only
/// to launches recorded later, and launches run in the order they were recorded.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    // Shared as a whole: cloning a wgpu buffer itself counts several references.
    raw: Arc<wgpu::Buffer>,
    id: u64,
    size: u64,
    pool: Weak<Pool>,
    /// The first handle of an application's buffer that was imported more than once keeps what is known of its writes.
    first: Option<Buffer>,
    imported: bool,
    writes: Writes,
}

impl Inner {
    pub(crate) fn is(&self, raw: &wgpu::Buffer) -> bool {
        *self.raw == *raw
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        match self.pool.upgrade() {
            Some(pool) if self.imported => pool.forget(self.id),
            Some(pool) => pool.release(Arc::clone(&self.raw), self.id, self.size),
            None => {}
        }
    }
}

impl Gpu {
    /// An application's buffer as one of this device, without a copy. It never gets into the pool; the result and the
    /// launches recorded on it keep it alive.
    ///
    /// The buffer is read and written in the order of submissions: the engine's commands run when the recording is
    /// submitted ([`Gpu::submit`]), the application's when it submits them. It must not be mapped at that time. Reading
    /// it back needs `COPY_SRC`, and writing it from the host, clearing it and copying to it `COPY_DST`; without them
    /// those calls fail.
    ///
    /// Keep the result where the buffer is used in every step: what launches need to know of a buffer is remembered for
    /// as long as it lives.
    ///
    /// # Errors
    /// [`Error::Resource`] if the buffer was made without `STORAGE`, holds less than four bytes, was destroyed, or
    /// belongs to another device (of the same wgpu instance: another instance's is not noticed). [`Error::Lost`].
    pub fn import(&self, buffer: &wgpu::Buffer) -> Result<Buffer> {
        self.check()?;
        let refused = |message: String| Error::Resource { resource: "buffer", message };
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return Err(refused("it was made without the usage STORAGE, which kernels need".to_owned()));
        }
        // Bindings are whole words.
        let size = buffer.size() & !3;
        let most = self.limits().max_storage_buffer_binding_size & !3;
        let Some(bound) = wgpu::BufferSize::new(size.min(most)) else {
            return Err(refused(format!("it has {} bytes, less than one value", buffer.size())));
        };
        let binding = wgpu::BufferBinding { buffer, offset: 0, size: Some(bound) };
        let ty = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: true },
            has_dynamic_offset: false,
            min_binding_size: None,
        };
        self.try_binding(ty, wgpu::BindingResource::Buffer(binding)).map_err(|error| match error {
            Error::Validation { message } => refused(message),
            other => other,
        })?;
        Ok(Buffer::imported(buffer.clone(), size, &self.0.pool))
    }

    /// Binds an application's resource for a moment: what wgpu has against it is better heard now than when a whole
    /// recording is refused because of it.
    pub(crate) fn try_binding(
        &self,
        ty: wgpu::BindingType,
        resource: wgpu::BindingResource<'_>,
    ) -> Result<()> {
        let device = self.device();
        let scopes = self.scopes();
        let visibility = wgpu::ShaderStages::COMPUTE;
        let entry = wgpu::BindGroupLayoutEntry { binding: 0, visibility, ty, count: None };
        let label = Some("wgrad import");
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &[entry] });
        let entries = &[wgpu::BindGroupEntry { binding: 0, resource }];
        drop(device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout: &layout, entries }));
        scopes.pop()?;
        self.probe()
    }
}

impl Buffer {
    pub(crate) fn new(raw: Arc<wgpu::Buffer>, id: u64, size: u64, pool: &Arc<Pool>) -> Self {
        let (pool, writes) = (Arc::downgrade(pool), Writes::default());
        Self(Arc::new(Inner { raw, id, size, pool, first: None, imported: false, writes }))
    }

    fn imported(raw: wgpu::Buffer, size: u64, pool: &Arc<Pool>) -> Self {
        let (raw, id) = (Arc::new(raw), pool.next_id());
        let first = pool.imported(&raw).map(Self);
        let (weak, writes) = (Arc::downgrade(pool), Writes::default());
        let inner = Arc::new(Inner { raw, id, size, pool: weak, first, imported: true, writes });
        if inner.first.is_none() {
            pool.note_import(&inner);
        }
        Self(inner)
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

    /// What is known of the writes to it.
    pub(crate) fn writes(&self) -> &Writes {
        self.0.first.as_ref().map_or(&self.0.writes, Buffer::writes)
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

    /// A range for a bind group of an application's own, or as `buffer`, `offset` and `size` for its copies.
    ///
    /// Commands of the engine are only recorded until [`Gpu::submit`]: call it before the application submits commands
    /// that read the range, and before those that write it. Keep the buffer until they are submitted, or the pool hands it
    /// out again.
    pub fn as_wgpu(&self, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding { buffer: self.raw(), offset, size: wgpu::BufferSize::new(size) }
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

impl View {
    /// Names the range in errors about it, such as a parameter's.
    pub fn set_name(&self, name: &str) {
        self.buffer.writes().set_name(self.offset..self.offset + self.size, name);
    }

    /// Whether a part of the range was last written after the moment `since` and before `until`, numbers of
    /// [`Gpu::unique`]. An application's own commands are not seen.
    pub fn changed_between(&self, since: u64, until: u64) -> bool {
        self.buffer.writes().within(self.offset, self.offset + self.size, since, until)
    }

    /// Takes note that write number `at` writes the range.
    pub(crate) fn note_write(&self, at: u64) {
        self.buffer.writes().note(self.offset, self.offset + self.size, at);
    }

    /// Fails if a backward pass reads the range that was changed under it, by `reader`.
    pub(crate) fn check_saved(&self, reader: &str) -> Result<()> {
        let (writes, end) = (self.buffer.writes(), self.offset + self.size);
        if !saved().is_some_and(|saved| saved.changed(writes, self.offset, end)) {
            return Ok(());
        }
        Err(Error::Changed {
            kernel: reader.to_owned(),
            name: writes.name(self.offset, end),
            bytes: self.size,
        })
    }

    /// Fails if the buffer was made without `usage`, which `command` needs. Buffers of the pool have all.
    pub(crate) fn check_usage(&self, usage: wgpu::BufferUsages, command: &str) -> Result<()> {
        if self.buffer.raw().usage().contains(usage) {
            return Ok(());
        }
        let message = format!("it was made without the usage {usage:?}, which a {command} needs");
        Err(Error::Resource { resource: "buffer", message })
    }
}
