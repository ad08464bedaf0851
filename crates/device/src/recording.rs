//! The recording: commands as data, and how they become one submission.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::bind_groups::BindGroups;
use crate::buffer::View;
use crate::gpu::{Gpu, Scopes};
use crate::pipeline::Pipeline;
use crate::profile::{Note, Profiler};
use crate::readback::Request;

/// Writes up to this size travel inside the recording; larger ones submit what came before and go straight
/// to the queue, which spares a copy of the data.
const LARGEST_STAGED_WRITE: usize = 1 << 20;

/// A recording this long is submitted by itself, so that a loop that never submits stays bounded.
const LONGEST_RECORDING: usize = 8192;

/// Bytes of small writes in one recording.
const MOST_STAGED: usize = 16 << 20;

/// Submissions of an owned device that may be unfinished before [`Gpu::submit`] waits.
const MOST_IN_FLIGHT: usize = 4;

/// A launch with its grid. Its parameters lie in the recording's bytes.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// The number of its pipeline and bindings in [`BindGroups`].
    pub bindings: u32,
    /// Where its parameters begin, if it has any.
    pub params: Option<u32>,
    pub grid: [u32; 3],
    pub flops: Option<u64>,
    pub bytes_read: Option<u64>,
    /// What recording it took, while a profile is under way.
    pub host: Duration,
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
    /// The parameters of all launches, each at an offset that a uniform binding may have.
    params: Vec<u8>,
    reads: Vec<Request>,
    staging: Option<wgpu::Buffer>,
    uniforms: Option<wgpu::Buffer>,
    pub(crate) bind_groups: BindGroups,
    bind_groups_created: u64,
    forget: bool,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    pub(crate) profiler: Option<Profiler>,
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

    /// Appends a launch. `views` are bound in the order of the pipeline's storage bindings, and `pack` writes the
    /// parameters into zeroed bytes.
    pub(crate) fn dispatch(
        &mut self,
        gpu: &Gpu,
        pipeline: &Arc<Pipeline>,
        views: &[(&str, View)],
        pack: impl FnOnce(&mut [u8]),
        grid: [u32; 3],
        note: Note,
    ) -> Result<()> {
        if self.commands.len() >= LONGEST_RECORDING {
            self.submit(gpu)?;
        }
        let params = pipeline.interface.uniform.as_ref().map(|uniform| {
            let align = gpu.limits().min_uniform_buffer_offset_alignment as usize;
            let at = self.params.len().next_multiple_of(align);
            self.params.resize(at + uniform.size as usize, 0);
            pack(&mut self.params[at..]);
            at as u32
        });
        let bindings = self.bind_groups.find(pipeline, views);
        let host = note.started.map_or(Duration::ZERO, |started| started.elapsed());
        let Note { flops, bytes_read, .. } = note;
        let dispatch = Dispatch { bindings, params, grid, flops, bytes_read, host };
        self.commands.push(Command::Dispatch(dispatch));
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
        self.commands.iter().map(|command| self.describe_command(command)).collect()
    }

    pub(crate) fn describe_command(&self, command: &Command) -> Recorded {
        match command {
            Command::Dispatch(d) => {
                Recorded { name: self.bind_groups.get(d.bindings).pipeline.kernel.name, grid: d.grid }
            }
            Command::Copy { .. } => Recorded { name: "copy", grid: [0; 3] },
            Command::Write { .. } => Recorded { name: "write", grid: [0; 3] },
            Command::Clear { .. } => Recorded { name: "clear", grid: [0; 3] },
        }
    }

    pub(crate) fn bind_groups_created(&self) -> u64 {
        self.bind_groups_created
    }

    /// Forgets the bind groups, at once or with the next submission if launches that need them are recorded.
    pub(crate) fn forget_bind_groups(&mut self) {
        if self.commands.is_empty() {
            self.bind_groups.clear();
        } else {
            self.forget = true;
        }
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
        self.upload_params(gpu);
        let index = match self.profiler.take() {
            Some(mut profiler) => {
                let index = profiler.submit(self, gpu, &commands);
                self.profiler = Some(profiler);
                index
            }
            None => self.encode_and_submit(gpu, &commands),
        };
        if std::mem::take(&mut self.forget) || self.bind_groups.too_many() {
            self.bind_groups.clear();
        }
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

    /// Writes all launches' parameters in one go.
    fn upload_params(&mut self, gpu: &Gpu) {
        if self.params.is_empty() {
            return;
        }
        // Uniform structs are multiples of four bytes, and so is every offset.
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let had = self.uniforms.as_ref().map_or(0, wgpu::Buffer::size);
        let buffer = grown(gpu, &mut self.uniforms, "wgrad parameters", usage, self.params.len());
        gpu.queue().write_buffer(buffer, 0, &self.params);
        self.params.clear();
        if had != buffer.size() {
            // They refer to the smaller buffer.
            self.bind_groups.renew();
        }
    }

    /// All commands in one command buffer, and all launches between two copies in one pass.
    pub(crate) fn encode_and_submit(&mut self, gpu: &Gpu, commands: &[Command]) -> wgpu::SubmissionIndex {
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass: Option<wgpu::ComputePass<'static>> = None;
        for command in commands {
            if let Command::Dispatch(dispatch) = command {
                let pass = pass.get_or_insert_with(|| {
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
                });
                self.encode_dispatch(gpu, pass, dispatch);
            } else {
                // Copies happen between passes; ending one is what dropping it does.
                drop(pass.take());
                self.encode_copy(&mut encoder, command);
            }
        }
        drop(pass);
        gpu.queue().submit([encoder.finish()])
    }

    pub(crate) fn encode_dispatch(
        &mut self,
        gpu: &Gpu,
        pass: &mut wgpu::ComputePass<'_>,
        dispatch: &Dispatch,
    ) {
        let bindings = self.bind_groups.get_mut(dispatch.bindings);
        pass.set_pipeline(&bindings.pipeline.raw);
        let (group, made) = bindings.group(gpu, self.uniforms.as_ref());
        self.bind_groups_created += u64::from(made);
        pass.set_bind_group(0, group, dispatch.params.as_slice());
        let [x, y, z] = dispatch.grid;
        pass.dispatch_workgroups(x, y, z);
    }

    pub(crate) fn encode_copy(&self, encoder: &mut wgpu::CommandEncoder, command: &Command) {
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
