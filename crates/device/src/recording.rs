//! The recording: commands as data, in one queue, and how they become submissions.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::bind_groups::{BindGroups, Resources};
use crate::buffer::View;
use crate::gpu::Gpu;
use crate::health::Scopes;
use crate::launch::{MAX_GROUPS, fold};
use crate::pipeline::Pipeline;
use crate::platform::IN_BROWSER;
use crate::profile::{Note, Profiler};
use crate::readback::Request;
use crate::timer::Watch;

/// Writes up to this size travel inside the recording; larger ones submit what came before and go straight
/// to the queue, which spares a copy of the data.
const LARGEST_STAGED_WRITE: usize = 1 << 20;

/// A recording this long is submitted by itself, so that a loop that never submits stays bounded.
const LONGEST_RECORDING: usize = 8192;

/// Bytes of launches that were submitted in slices, above which what is recorded moves to the front.
const MOST_SPENT: usize = 64 << 10;

/// Bytes of small writes in one recording.
const MOST_STAGED: usize = 16 << 20;

/// Submissions of an owned device that may be unfinished before [`Gpu::submit`] waits.
const MOST_IN_FLIGHT: usize = 4;

/// The workgroups that a dispatch runs of a launch that may be cut into several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub first: u32,
    pub count: u32,
    /// Workgroups of the launch.
    pub whole: u32,
}

/// A launch with its grid. Its parameters lie in the recording's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    /// The number of its pipeline and bindings in [`BindGroups`].
    pub bindings: u32,
    /// Where its parameters lie, if it has any.
    pub params: Option<Range<u32>>,
    pub grid: [u32; 3],
    pub part: Option<Part>,
    pub flops: Option<u64>,
    pub bytes_read: Option<u64>,
    /// What recording it took, while a profile is under way.
    pub host: Duration,
}

impl Dispatch {
    /// Cuts off `count` workgroups, [`whole_rows`] of them; none where there are no more, or it cannot be cut.
    fn cut(&mut self, count: u32, row: u32) -> Option<Dispatch> {
        let part = self.part.as_mut().filter(|part| part.count > count && count > 0)?;
        let cut = Part { count, ..*part };
        part.first += count;
        part.count -= count;
        self.grid = fold(u64::from(part.count), u64::from(row))?;
        Some(Dispatch { part: Some(cut), grid: fold(u64::from(count), u64::from(row))?, ..self.clone() })
    }
}

pub(crate) enum Command {
    Dispatch(Dispatch),
    Copy { src: (wgpu::Buffer, u64), dst: (wgpu::Buffer, u64), size: u64 },
    Read { src: (wgpu::Buffer, u64), size: u64, request: Request },
    Write { dst: (wgpu::Buffer, u64), staged: Range<usize> },
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

    /// The number of what a launch binds.
    fn bindings(&self) -> Option<u32> {
        match self {
            Self::Dispatch(dispatch) => Some(dispatch.bindings),
            _ => None,
        }
    }

    pub(crate) fn read(src: &View, request: Request) -> Self {
        Self::Read { src: place(src), size: src.size, request }
    }
}

/// One recorded command, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The kernel's name, or `copy`, `write` or `clear`.
    pub name: String,
    /// The workgroups launched; zero for copies.
    pub grid: [u32; 3],
}

#[derive(Default)]
pub(crate) struct Recording {
    commands: VecDeque<Command>,
    /// The bytes of small writes.
    staged: Vec<u8>,
    /// The parameters of all launches, each at an offset that a uniform binding may have.
    params: Vec<u8>,
    staging: Option<wgpu::Buffer>,
    pub(crate) uniforms: Option<wgpu::Buffer>,
    pub(crate) bind_groups: BindGroups,
    pub(crate) bind_groups_created: u64,
    forget: bool,
    /// Numbers of imported buffers that are gone, while something recorded may still bind them.
    forgotten: Vec<u64>,
    /// Commands were encoded for the application, which may not have submitted them yet.
    encoded: bool,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    pub(crate) profiler: Option<Profiler>,
}

impl Recording {
    pub(crate) fn push(&mut self, gpu: &Gpu, command: Command) -> Result<()> {
        if self.commands.len() >= LONGEST_RECORDING {
            // Waiting for the device is left to the next explicit submission: the lock is held here.
            self.submit(gpu)?;
        }
        self.commands.push_back(command);
        Ok(())
    }

    /// Appends a launch. `pack` writes the parameters into zeroed bytes, or finds that they don't fit.
    pub(crate) fn dispatch(
        &mut self,
        gpu: &Gpu,
        pipeline: &Arc<Pipeline>,
        resources: Resources<'_>,
        pack: impl FnOnce(&mut [u8]) -> Result<()>,
        (grid, part): ([u32; 3], Option<Part>),
        note: Note,
    ) -> Result<()> {
        if self.commands.len() >= LONGEST_RECORDING {
            self.submit(gpu)?;
        }
        let end = self.params.len();
        let size = pipeline.interface.uniform.as_ref().map(|uniform| uniform.size as usize);
        let align = gpu.limits().min_uniform_buffer_offset_alignment as usize;
        let at = if size.is_some() { end.next_multiple_of(align) } else { end };
        self.params.resize(at + size.unwrap_or(0), 0);
        if let Err(error) = pack(&mut self.params[at..]) {
            self.params.truncate(end);
            return Err(error);
        }
        let params = size.map(|size| at as u32..(at + size) as u32);
        let bindings = self.bind_groups.find(pipeline, resources);
        let host = note.started.map_or(Duration::ZERO, |started| started.elapsed());
        let Note { flops, bytes_read, .. } = note;
        let dispatch = Dispatch { bindings, params, grid, part, flops, bytes_read, host };
        self.commands.push_back(Command::Dispatch(dispatch));
        Ok(())
    }

    pub(crate) fn write(&mut self, gpu: &Gpu, view: &View, bytes: &[u8]) -> Result<()> {
        let size = bytes.len().next_multiple_of(4);
        if bytes.len() > LARGEST_STAGED_WRITE {
            return self.write_large(gpu, view, bytes);
        }
        // Submitted before the bytes are staged: they belong to the recording that their command is in.
        let full = self.commands.len() >= LONGEST_RECORDING;
        if full || self.staged.len() + size > MOST_STAGED {
            self.submit(gpu)?;
        }
        let start = self.staged.len();
        self.staged.extend_from_slice(bytes);
        self.staged.resize(start + size, 0);
        self.commands.push_back(Command::Write { dst: place(view), staged: start..start + size });
        Ok(())
    }

    /// Straight to the queue where nothing can come before it; otherwise in its turn, from a buffer of its own, because
    /// submitting all that is recorded could take longer than a frame.
    fn write_large(&mut self, gpu: &Gpu, view: &View, bytes: &[u8]) -> Result<()> {
        let (whole, rest) = bytes.split_at(bytes.len() & !3);
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let last = if rest.is_empty() { &[][..] } else { &last[..] };
        if self.commands.is_empty() && !self.encoded && !gpu.0.borrowed {
            let scopes = gpu.scopes();
            gpu.queue().write_buffer(view.buffer.raw(), view.offset, whole);
            if !last.is_empty() {
                gpu.queue().write_buffer(view.buffer.raw(), view.offset + whole.len() as u64, last);
            }
            return scopes.pop();
        }
        let (src, size) = crate::encode::filled(gpu, &[whole, last])?;
        self.push(gpu, Command::Copy { src: (src, 0), dst: place(view), size })
    }

    pub(crate) fn describe(&self) -> Vec<Recorded> {
        self.commands.iter().map(|command| self.describe_command(command)).collect()
    }

    pub(crate) fn describe_command(&self, command: &Command) -> Recorded {
        let (name, grid) = match command {
            Command::Dispatch(d) => {
                (self.bind_groups.get(d.bindings).pipeline.composed.kernel.as_str(), d.grid)
            }
            Command::Copy { .. } | Command::Read { .. } => ("copy", [0; 3]),
            Command::Write { .. } => ("write", [0; 3]),
            Command::Clear { .. } => ("clear", [0; 3]),
        };
        Recorded { name: name.to_owned(), grid }
    }

    /// Bytes of parameters and of small writes.
    pub(crate) fn bytes(&self) -> usize {
        self.params.len() + self.staged.len()
    }

    /// The commands not yet submitted, in their order.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    /// Forgets the bind groups, at once or when nothing is recorded that needs them.
    pub(crate) fn forget_bind_groups(&mut self, gpu: &Gpu) {
        self.forget = true;
        self.tidy(gpu);
    }

    /// Lets go of bind groups that need not be kept and that nothing recorded holds.
    fn tidy(&mut self, gpu: &Gpu) {
        let too_many = self.forget || self.bind_groups.too_many();
        self.forgotten.extend(gpu.0.pool.take_forgotten());
        if !too_many && self.forgotten.is_empty() && !self.bind_groups.has_textures() {
            return;
        }
        let held: HashSet<u32> = self.commands.iter().filter_map(Command::bindings).collect();
        if too_many {
            self.bind_groups.clear(&held);
            self.forget = !held.is_empty() && self.forget;
        }
        if self.bind_groups.sweep(&self.forgotten, &held) {
            self.forgotten.clear();
        }
    }

    /// Submits everything recorded. Returns the submission to wait for, if too many of an owned device are unfinished:
    /// the caller waits once it has let go of the lock.
    pub(crate) fn submit(&mut self, gpu: &Gpu) -> Result<Option<wgpu::SubmissionIndex>> {
        if self.commands.is_empty() {
            self.tidy(gpu);
            return Ok(None);
        }
        let index = loop {
            let commands = match gpu.0.cut {
                true => {
                    let row = row(gpu);
                    self.take(gpu, |_, command| third(command, row))
                }
                false => self.commands.drain(..).collect(),
            };
            let index = self.run(gpu, commands, None)?;
            if self.commands.is_empty() {
                break index;
            }
        };
        Ok(self.in_flight_too_long(gpu, index))
    }

    /// Takes commands from the front of the queue for as long as `groups` says so: it is asked how many workgroups of
    /// each may run, and the first that may not run whole ends the portion, cut if part of it may.
    pub(crate) fn take(
        &mut self,
        gpu: &Gpu,
        mut groups: impl FnMut(&Recording, &Command) -> u32,
    ) -> Vec<Command> {
        let row = row(gpu);
        let mut taken = Vec::new();
        while let Some(mut command) = self.commands.pop_front() {
            let count = groups(self, &command);
            if count == u32::MAX {
                taken.push(command);
                continue;
            }
            if let Command::Dispatch(dispatch) = &mut command {
                taken.extend(dispatch.cut(count, row).map(Command::Dispatch));
            }
            self.commands.push_front(command);
            break;
        }
        taken
    }

    /// Submits `commands`, the first of the queue.
    pub(crate) fn run(
        &mut self,
        gpu: &Gpu,
        commands: Vec<Command>,
        watch: Option<Watch<'_>>,
    ) -> Result<wgpu::SubmissionIndex> {
        let scopes = gpu.scopes();
        let params = self.params_of(&commands);
        if !params.is_empty() {
            self.make_room_for_uniforms(gpu, params.len());
            if let Some(buffer) = &self.uniforms {
                gpu.queue().write_buffer(buffer, 0, &self.params[params.clone()]);
            }
        }
        let staged = staged_of(&commands);
        if !staged.is_empty() {
            let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let buffer = grown(gpu, &mut self.staging, "wgrad staging", usage, staged.len());
            gpu.queue().write_buffer(buffer, 0, &self.staged[staged.clone()]);
        }
        let staging = self.staging.clone();
        let base = Base { params: params.start, staging: staging.as_ref(), staged: staged.start };
        let index = match self.profiler.take() {
            Some(mut profiler) => {
                let index = profiler.submit(self, gpu, &commands, base);
                self.profiler = Some(profiler);
                watch.iter().for_each(|watch| gpu.queue().on_submitted_work_done(watch.setter()));
                index
            }
            None => {
                let descriptor = wgpu::CommandEncoderDescriptor { label: Some("wgrad") };
                let mut encoder = gpu.device().create_command_encoder(&descriptor);
                self.encode(gpu, &mut encoder, &commands, base, watch);
                gpu.queue().submit([encoder.finish()])
            }
        };
        self.sweep(gpu);
        self.close(gpu, scopes)?;
        for command in commands {
            if let Command::Read { request, .. } = command {
                request.map(gpu, index.clone())?;
            }
        }
        Ok(index)
    }

    /// Encodes `commands`, the first of the queue, for the application to submit. What they read from the host travels in
    /// the same encoder, because another such encoder may be submitted before it.
    pub(crate) fn run_in(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        commands: Vec<Command>,
        watch: Option<Watch<'_>>,
    ) -> Result<()> {
        let scopes = gpu.scopes();
        let (params, staged) = (self.params_of(&commands), staged_of(&commands));
        let parts = [&self.params[params.clone()], &self.staged[staged.clone()]];
        let (host, _) = match crate::encode::filled(gpu, &parts) {
            Ok(filled) => filled,
            Err(error) => {
                commands.into_iter().rev().for_each(|command| self.commands.push_front(command));
                return Err(error);
            }
        };
        self.encoded = true;
        if !params.is_empty() {
            self.make_room_for_uniforms(gpu, params.len());
            if let Some(buffer) = &self.uniforms {
                encoder.copy_buffer_to_buffer(&host, 0, buffer, 0, params.len() as u64);
            }
        }
        // The staged bytes lie behind the parameters.
        let base = Base {
            params: params.start,
            staging: Some(&host),
            staged: staged.start.wrapping_sub(params.len()),
        };
        self.encode(gpu, encoder, &commands, base, watch);
        self.sweep(gpu);
        for command in commands {
            if let Command::Read { request, .. } = command {
                request.map_on_submit(encoder);
            }
        }
        self.close(gpu, scopes)
    }

    /// Ends the scopes around a submission.
    fn close(&mut self, gpu: &Gpu, scopes: Scopes<'_>) -> Result<()> {
        let result = scopes.pop().and_then(|()| gpu.probe());
        if result.is_err() {
            // What was made for it may be invalid, and would fail every submission after it.
            (self.staging, self.uniforms) = (None, None);
            self.bind_groups.renew();
        }
        result
    }

    /// Where the parameters of `commands` lie, with the first workgroup of each that was cut written into them.
    fn params_of(&mut self, commands: &[Command]) -> Range<usize> {
        let mut all = 0..0;
        for command in commands {
            let Command::Dispatch(dispatch) = command else { continue };
            let Some(params) = &dispatch.params else { continue };
            let first = if all.is_empty() { params.start as usize } else { all.start };
            all = first..params.end as usize;
            let uniform = self.bind_groups.get(dispatch.bindings).pipeline.interface.uniform.as_ref();
            let offset = uniform.and_then(|uniform| uniform.first_group);
            if let (Some(offset), Some(part)) = (offset, dispatch.part) {
                let at = (params.start + offset) as usize;
                self.params[at..at + 4].copy_from_slice(&part.first.to_le_bytes());
            }
        }
        all
    }

    fn make_room_for_uniforms(&mut self, gpu: &Gpu, bytes: usize) {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let had = self.uniforms.as_ref().map_or(0, wgpu::Buffer::size);
        let buffer = grown(gpu, &mut self.uniforms, "wgrad parameters", usage, bytes);
        if had != buffer.size() {
            // They refer to the smaller buffer.
            self.bind_groups.renew();
        }
    }

    /// Drops what nothing recorded needs any longer.
    fn sweep(&mut self, gpu: &Gpu) {
        if self.commands.is_empty() {
            self.params.clear();
            self.staged.clear();
        } else {
            self.compact();
        }
        self.tidy(gpu);
    }

    /// Drops the bytes before those of the first command. An application whose training never pauses records the next step
    /// before the last slice of this one, so the queue may never be empty.
    fn compact(&mut self) {
        let params = |command: &Command| match command {
            Command::Dispatch(dispatch) => dispatch.params.as_ref().map(|params| params.start as usize),
            _ => None,
        };
        let staged = |command: &Command| match command {
            Command::Write { staged, .. } => Some(staged.start),
            _ => None,
        };
        let spent_params = self.commands.iter().find_map(params).unwrap_or(self.params.len());
        let spent_staged = self.commands.iter().find_map(staged).unwrap_or(self.staged.len());
        if spent_params + spent_staged < MOST_SPENT {
            return;
        }
        self.params.drain(..spent_params);
        self.staged.drain(..spent_staged);
        for command in &mut self.commands {
            match command {
                Command::Dispatch(Dispatch { params: Some(params), .. }) => {
                    let spent = spent_params as u32;
                    *params = params.start - spent..params.end - spent;
                }
                Command::Write { staged, .. } => {
                    *staged = staged.start - spent_staged..staged.end - spent_staged;
                }
                _ => {}
            }
        }
    }

    fn in_flight_too_long(
        &mut self,
        gpu: &Gpu,
        index: wgpu::SubmissionIndex,
    ) -> Option<wgpu::SubmissionIndex> {
        if gpu.0.borrowed || IN_BROWSER {
            return None;
        }
        self.in_flight.push_back(index);
        if self.in_flight.len() > MOST_IN_FLIGHT { self.in_flight.pop_front() } else { None }
    }
}

/// Where the bytes stand that commands refer to by their place in the recording.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    /// The recording's parameter that is the first of the uniform buffer.
    pub params: usize,
    pub staging: Option<&'a wgpu::Buffer>,
    /// The recording's staged byte that is the first of `staging`; wraps below zero.
    pub staged: usize,
}

/// Workgroups along one axis of a grid.
pub(crate) fn row(gpu: &Gpu) -> u32 {
    gpu.limits().max_compute_workgroups_per_dimension.min(MAX_GROUPS as u32)
}

/// `count` workgroups, or as many as rows of a grid hold exactly: of a launch that is cut, one more would run twice.
pub(crate) fn whole_rows(count: u32, row: u32) -> u32 {
    if count > row { count / row * row } else { count }
}

/// A third of a launch's workgroups, and all that are left if these are no more.
fn third(command: &Command, row: u32) -> u32 {
    match command {
        Command::Dispatch(Dispatch { part: Some(part), .. }) if part.count > part.whole.div_ceil(3) => {
            whole_rows(part.whole.div_ceil(3), row)
        }
        _ => u32::MAX,
    }
}

/// Where the staged bytes of `commands` lie.
fn staged_of(commands: &[Command]) -> Range<usize> {
    let mut ranges = commands.iter().filter_map(|command| match command {
        Command::Write { staged, .. } => Some(staged),
        _ => None,
    });
    let Some(first) = ranges.next() else { return 0..0 };
    first.start..ranges.next_back().unwrap_or(first).end
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
