//! The recording: commands as data, and how they become one submission.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::Result;
use crate::buffer::View;
use crate::gpu::{Gpu, Scopes};
use crate::pipeline::Pipeline;
use crate::readback::Request;

/// Writes up to this size travel inside the recording; larger ones submit what came before and go straight
/// to the queue, which spares a copy of the data.
const LARGEST_STAGED_WRITE: usize = 1 << 20;

/// A recording this long is submitted by itself, so that a loop that never submits stays bounded.
const LONGEST_RECORDING: usize = 8192;

/// Bytes of small writes in one recording.
const MOST_STAGED: usize = 16 << 20;

/// Bind groups kept. A training step repeats a few hundred; one that never repeats must not grow the cache.
const MOST_BIND_GROUPS: usize = 8192;

/// Submissions of an owned device that may be unfinished before [`Gpu::submit`] waits.
const MOST_IN_FLIGHT: usize = 4;

/// A storage binding of a dispatch. It holds the wgpu buffer, not the pooled one: a buffer dropped by its
/// owner is free for launches recorded later.
#[derive(Debug)]
pub(crate) struct Bound {
    slot: u32,
    buffer: wgpu::Buffer,
    id: u64,
    offset: u64,
    size: u64,
}

impl Bound {
    pub(crate) fn new(slot: u32, view: &View) -> Self {
        let buffer = view.buffer.raw().clone();
        Self { slot, buffer, id: view.buffer.id(), offset: view.offset, size: view.size }
    }
}

#[derive(Debug)]
pub(crate) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    pub bindings: Vec<Bound>,
    pub params: Vec<u8>,
    pub grid: [u32; 3],
}

#[derive(Debug)]
pub(crate) enum Command {
    Dispatch(Dispatch),
    Copy { src: (wgpu::Buffer, u64), dst: (wgpu::Buffer, u64), size: u64 },
    Write { dst: (wgpu::Buffer, u64), staged_at: u64, size: u64 },
    Clear { dst: (wgpu::Buffer, u64), size: u64 },
}

fn place(view: &View) -> (wgpu::Buffer, u64) {
    (view.buffer.raw().clone(), view.offset)
}

impl Command {
    pub(crate) fn copy(src: &View, dst: &View) -> Self {
        Self::Copy { src: place(src), dst: place(dst), size: src.size }
    }

    pub(crate) fn clear(dst: &View) -> Self {
        Self::Clear { dst: place(dst), size: dst.size }
    }
}

/// One recorded command, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The kernel's name, or `copy`, `write` or `clear`.
    pub name: &'static str,
    /// The workgroups launched; zero for copies.
    pub grid: [u32; 3],
}

#[derive(Default)]
pub(crate) struct Recording {
    commands: Vec<Command>,
    staged: Vec<u8>,
    reads: Vec<Request>,
    staging: Option<wgpu::Buffer>,
    uniforms: Option<wgpu::Buffer>,
    bind_groups: HashMap<Box<[u64]>, wgpu::BindGroup>,
    bind_groups_created: u64,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
}

impl Recording {
    pub(crate) fn push(&mut self, gpu: &Gpu, command: Command) -> Result<()> {
        if self.commands.len() >= LONGEST_RECORDING {
            // Waiting for the device is left to the next explicit submission: the lock is held here.
            self.submit(gpu)?;
        }
        self.commands.push(command);
        Ok(())
    }

    pub(crate) fn write(&mut self, gpu: &Gpu, view: &View, bytes: &[u8]) -> Result<()> {
        let size = bytes.len().next_multiple_of(4);
        if bytes.len() > LARGEST_STAGED_WRITE {
            self.submit(gpu)?;
            let scopes = Scopes::push(gpu.device());
            let whole = bytes.len() & !3;
            gpu.queue().write_buffer(view.buffer.raw(), view.offset, &bytes[..whole]);
            if whole < bytes.len() {
                let mut last = [0; 4];
                last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
                gpu.queue().write_buffer(view.buffer.raw(), view.offset + whole as u64, &last);
            }
            return scopes.pop();
        }
        // Submitted before the bytes are staged: they belong to the recording that their command is in.
        let full = self.commands.len() >= LONGEST_RECORDING;
        if full || self.staged.len() + size > MOST_STAGED {
            self.submit(gpu)?;
        }
        let staged_at = self.staged.len() as u64;
        self.staged.extend_from_slice(bytes);
        self.staged.resize(staged_at as usize + size, 0);
        self.commands.push(Command::Write { dst: place(view), staged_at, size: size as u64 });
        Ok(())
    }

    pub(crate) fn read(&mut self, gpu: &Gpu, view: &View, request: Request) -> Result<()> {
        let copy = Command::Copy { src: place(view), dst: (request.staging.clone(), 0), size: view.size };
        self.push(gpu, copy)?;
        self.reads.push(request);
        Ok(())
    }

    pub(crate) fn describe(&self) -> Vec<Recorded> {
        let describe = |command: &Command| match command {
            Command::Dispatch(d) => Recorded { name: d.pipeline.kernel.name, grid: d.grid },
            Command::Copy { .. } => Recorded { name: "copy", grid: [0; 3] },
            Command::Write { .. } => Recorded { name: "write", grid: [0; 3] },
            Command::Clear { .. } => Recorded { name: "clear", grid: [0; 3] },
        };
        self.commands.iter().map(describe).collect()
    }

    pub(crate) fn bind_groups_created(&self) -> u64 {
        self.bind_groups_created
    }

    pub(crate) fn forget_bind_groups(&mut self) {
        self.bind_groups.clear();
    }

    /// Encodes everything recorded into one command buffer and submits it. Returns the submission to wait for, if
    /// too many of an owned device are unfinished: the caller waits once it has let go of the lock.
    pub(crate) fn submit(&mut self, gpu: &Gpu) -> Result<Option<wgpu::SubmissionIndex>> {
        if self.commands.is_empty() {
            return Ok(None);
        }
        let commands = std::mem::take(&mut self.commands);
        let reads = std::mem::take(&mut self.reads);
        let scopes = Scopes::push(gpu.device());
        self.upload_staged(gpu);
        let offsets = self.upload_params(gpu, &commands);
        let encoded = self.encode(gpu, &commands, &offsets);
        let index = gpu.queue().submit([encoded]);
        scopes.pop()?;
        for request in reads {
            request.map(index.clone());
        }
        Ok(self.in_flight_too_long(gpu, index))
    }

    fn upload_staged(&mut self, gpu: &Gpu) {
        if self.staged.is_empty() {
            return;
        }
        let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = grown(gpu, &mut self.staging, "wgrad staging", usage, self.staged.len());
        gpu.queue().write_buffer(buffer, 0, &self.staged);
        self.staged.clear();
    }

    /// Writes all launches' parameters in one go; returns where each launch's stand.
    fn upload_params(&mut self, gpu: &Gpu, commands: &[Command]) -> Vec<u32> {
        let align = gpu.limits().min_uniform_buffer_offset_alignment as usize;
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(commands.len());
        for command in commands {
            offsets.push(bytes.len() as u32);
            if let Command::Dispatch(dispatch) = command {
                bytes.extend_from_slice(&dispatch.params);
                bytes.resize(bytes.len().next_multiple_of(align), 0);
            }
        }
        if !bytes.is_empty() {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let had = self.uniforms.as_ref().map_or(0, wgpu::Buffer::size);
            let buffer = grown(gpu, &mut self.uniforms, "wgrad parameters", usage, bytes.len());
            gpu.queue().write_buffer(buffer, 0, &bytes);
            if had != buffer.size() {
                // They refer to the smaller buffer.
                self.bind_groups.clear();
            }
        }
        offsets
    }

    fn encode(&mut self, gpu: &Gpu, commands: &[Command], offsets: &[u32]) -> wgpu::CommandBuffer {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass: Option<wgpu::ComputePass<'static>> = None;
        let mut key = Vec::new();
        for (command, &offset) in commands.iter().zip(offsets) {
            if let Command::Dispatch(dispatch) = command {
                let pass = pass.get_or_insert_with(|| {
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
                });
                let dynamic = [offset];
                let dynamic = if dispatch.params.is_empty() { &[] } else { &dynamic[..] };
                pass.set_pipeline(&dispatch.pipeline.raw);
                pass.set_bind_group(0, self.bind_group(gpu, dispatch, &mut key), dynamic);
                let [x, y, z] = dispatch.grid;
                pass.dispatch_workgroups(x, y, z);
                continue;
            }
            // Copies happen between passes; ending one is what dropping it does.
            drop(pass.take());
            match command {
                Command::Copy { src, dst, size } => {
                    encoder.copy_buffer_to_buffer(&src.0, src.1, &dst.0, dst.1, *size);
                }
                Command::Write { dst, staged_at, size } => {
                    if let Some(staging) = &self.staging {
                        encoder.copy_buffer_to_buffer(staging, *staged_at, &dst.0, dst.1, *size);
                    }
                }
                Command::Clear { dst, size } => encoder.clear_buffer(&dst.0, dst.1, Some(*size)),
                Command::Dispatch(_) => {}
            }
        }
        drop(pass);
        encoder.finish()
    }

    fn bind_group(&mut self, gpu: &Gpu, dispatch: &Dispatch, key: &mut Vec<u64>) -> &wgpu::BindGroup {
        key.clear();
        key.push(u64::from(dispatch.pipeline.id));
        for bound in &dispatch.bindings {
            key.extend([bound.id, bound.offset, bound.size]);
        }
        if !self.bind_groups.contains_key(key.as_slice()) {
            if self.bind_groups.len() >= MOST_BIND_GROUPS {
                self.bind_groups.clear();
            }
            let group = create_bind_group(gpu, dispatch, self.uniforms.as_ref());
            self.bind_groups_created += 1;
            self.bind_groups.insert(key.as_slice().into(), group);
        }
        &self.bind_groups[key.as_slice()]
    }

    fn in_flight_too_long(
        &mut self,
        gpu: &Gpu,
        index: wgpu::SubmissionIndex,
    ) -> Option<wgpu::SubmissionIndex> {
        if gpu.0.borrowed || cfg!(target_arch = "wasm32") {
            return None;
        }
        self.in_flight.push_back(index);
        if self.in_flight.len() > MOST_IN_FLIGHT { self.in_flight.pop_front() } else { None }
    }
}

fn create_bind_group(gpu: &Gpu, dispatch: &Dispatch, uniforms: Option<&wgpu::Buffer>) -> wgpu::BindGroup {
    let uniform = dispatch.pipeline.interface.uniform.as_ref().zip(uniforms).map(|(uniform, buffer)| {
        let size = wgpu::BufferSize::new(u64::from(uniform.size));
        let binding = wgpu::BufferBinding { buffer, offset: 0, size };
        wgpu::BindGroupEntry { binding: uniform.slot, resource: wgpu::BindingResource::Buffer(binding) }
    });
    let storage = dispatch.bindings.iter().map(|bound| {
        let size = wgpu::BufferSize::new(bound.size);
        let binding = wgpu::BufferBinding { buffer: &bound.buffer, offset: bound.offset, size };
        wgpu::BindGroupEntry { binding: bound.slot, resource: wgpu::BindingResource::Buffer(binding) }
    });
    let entries: Vec<_> = uniform.into_iter().chain(storage).collect();
    gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(dispatch.pipeline.kernel.name),
        layout: &dispatch.pipeline.layout,
        entries: &entries,
    })
}

/// The buffer in `slot`, replaced by one of at least twice the size where it is too small.
fn grown<'a>(
    gpu: &Gpu,
    slot: &'a mut Option<wgpu::Buffer>,
    label: &'static str,
    usage: wgpu::BufferUsages,
    bytes: usize,
) -> &'a wgpu::Buffer {
    if slot.as_ref().is_some_and(|buffer| buffer.size() < bytes as u64) {
        *slot = None;
    }
    slot.get_or_insert_with(|| {
        let size = (2 * bytes as u64).next_power_of_two().max(1 << 16);
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    })
}
