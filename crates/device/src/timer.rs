//! What a submission takes on the device, by two timestamps that arrive later, and when it is done.

use std::sync::{Arc, OnceLock};

use web_time::Instant;

use crate::Gpu;

const BYTES: u64 = 16;

/// Timestamps around the first and the last pass of a submission. May be used again once they are taken.
#[derive(Debug)]
pub(crate) struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    ticks: wgpu::Buffer,
    /// Nanoseconds of a tick.
    period: f64,
}

impl Timer {
    /// `None` where the device has no timestamps, or no memory for them.
    pub(crate) fn new(gpu: &Gpu) -> Option<Self> {
        let device = gpu.device();
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let scopes = gpu.scopes();
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("wgrad slice"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgrad timestamps"),
                size: BYTES,
                usage,
                mapped_at_creation: false,
            })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let ticks = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
        let period = f64::from(gpu.queue().get_timestamp_period());
        scopes.pop().ok().map(|()| Self { queries, resolved, ticks, period })
    }

    /// What the first or last pass of a submission writes.
    pub(crate) fn writes(&self, first: bool, last: bool) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        (first || last).then_some(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: first.then_some(0),
            end_of_pass_write_index: last.then_some(1),
        })
    }

    /// Has the timestamps copied, to be mapped when the submission is done.
    fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.ticks, 0, BYTES);
    }

    /// The nanoseconds between the timestamps once they are mapped, 0 if they make no sense; none if they cannot be read.
    pub(crate) fn take(&self) -> Option<f64> {
        let bytes = self.ticks.get_mapped_range(..).ok()?;
        let [begin, end]: [u64; 2] = bytemuck::pod_read_unaligned(bytes.get(..BYTES as usize)?);
        drop(bytes);
        self.ticks.unmap();
        Some(end.saturating_sub(begin) as f64 * self.period)
    }
}

/// How a submission is watched: each flag is set once, on the thread on which wgpu delivers it.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    /// With whether its timestamps were mapped.
    pub timer: Option<&'a (Timer, Arc<OnceLock<bool>>)>,
    /// When it was seen to be done.
    pub done: &'a Arc<OnceLock<Instant>>,
}

impl<'a> Watch<'a> {
    pub(crate) fn timer(self) -> Option<&'a Timer> {
        self.timer.map(|(timer, _)| timer)
    }

    /// To be called when everything is encoded.
    pub(crate) fn attach(self, encoder: &mut wgpu::CommandEncoder) {
        if let Some((timer, mapped)) = self.timer {
            timer.resolve(encoder);
            let mapped = Arc::clone(mapped);
            encoder.map_buffer_on_submit(&timer.ticks, wgpu::MapMode::Read, .., move |result| {
                let _ = mapped.set(result.is_ok());
            });
        }
        encoder.on_submitted_work_done(self.setter());
    }

    /// What sets `done`.
    pub(crate) fn setter(self) -> impl FnOnce() + Send + 'static {
        let done = Arc::clone(self.done);
        move || {
            let _ = done.set(Instant::now());
        }
    }
}
