//! Collecting a profile: timestamps or single submissions in place of the usual one pass.

use std::time::{Duration, Instant};

use std::sync::atomic::Ordering;

use super::{LaunchProfile, Profile, Timing};
use crate::encode::encode_copy;
use crate::gpu::Gpu;
use crate::recording::{Base, Command, Recorded, Recording};
use crate::{Error, Result};

/// Launches in a profile. A day of training must not fill the memory with them.
const MOST_LAUNCHES: usize = 1 << 18;

/// A timestamp's bytes.
const TICK: u64 = 8;

/// A profile under way.
pub(crate) struct Profiler {
    timing: Timing,
    /// Whether copies can be timed too.
    copies: bool,
    began: Instant,
    count: usize,
    omitted: u64,
    batches: Vec<Batch>,
}

/// The launches of one submission. Their times are there already, or else in the buffer.
struct Batch {
    launches: Vec<LaunchProfile>,
    ticks: Option<wgpu::Buffer>,
}

impl Profiler {
    fn new(gpu: &Gpu) -> Self {
        let features = gpu.device().features();
        let timestamps = features.contains(wgpu::Features::TIMESTAMP_QUERY);
        Self {
            timing: if timestamps { Timing::Timestamps } else { Timing::Host },
            copies: features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS),
            began: Instant::now(),
            count: 0,
            omitted: 0,
            batches: Vec::new(),
        }
    }

    pub(crate) fn submit(
        &mut self,
        recording: &mut Recording,
        gpu: &Gpu,
        commands: &[Command],
        base: Base<'_>,
    ) -> wgpu::SubmissionIndex {
        if self.count + commands.len() > MOST_LAUNCHES {
            self.omitted += commands.len() as u64;
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            recording.encode(gpu, &mut encoder, commands, base, None);
            return gpu.queue().submit([encoder.finish()]);
        }
        self.count += commands.len();
        match self.timing {
            Timing::Timestamps => self.submit_with_timestamps(recording, gpu, commands, base),
            Timing::Host => self.submit_one_by_one(recording, gpu, commands, base),
        }
    }

    fn submit_one_by_one(
        &mut self,
        recording: &mut Recording,
        gpu: &Gpu,
        commands: &[Command],
        base: Base<'_>,
    ) -> wgpu::SubmissionIndex {
        let mut launches = Vec::with_capacity(commands.len());
        for command in commands {
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            match command {
                Command::Dispatch(dispatch) => {
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                    recording.encode_dispatch(gpu, &mut pass, dispatch, base);
                }
                _ => encode_copy(&mut encoder, command, base),
            }
            let encoded = encoder.finish();
            let start = self.began.elapsed();
            let index = gpu.queue().submit([encoded]);
            // A device that is lost meanwhile is reported by the caller's next check.
            let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: None };
            let _ = gpu.device().poll(wait);
            let duration = self.began.elapsed() - start;
            launches.push(LaunchProfile { start, duration, ..described(recording, command) });
        }
        self.batches.push(Batch { launches, ticks: None });
        gpu.queue().submit([])
    }

    fn submit_with_timestamps(
        &mut self,
        recording: &mut Recording,
        gpu: &Gpu,
        commands: &[Command],
        base: Base<'_>,
    ) -> wgpu::SubmissionIndex {
        let is_timed = |command: &Command| self.copies || matches!(command, Command::Dispatch(_));
        let timed = commands.iter().filter(|command| is_timed(command)).count();
        let queries = Queries::new(gpu, timed);
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut launches = Vec::with_capacity(timed);
        for command in commands {
            let (set, query) = queries.at(launches.len());
            if let Command::Dispatch(dispatch) = command {
                let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                    query_set: set,
                    beginning_of_pass_write_index: Some(query),
                    end_of_pass_write_index: Some(query + 1),
                });
                let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                let mut pass = encoder.begin_compute_pass(&descriptor);
                recording.encode_dispatch(gpu, &mut pass, dispatch, base);
            } else if self.copies {
                encoder.write_timestamp(set, query);
                encode_copy(&mut encoder, command, base);
                encoder.write_timestamp(set, query + 1);
            } else {
                encode_copy(&mut encoder, command, base);
                continue;
            }
            launches.push(described(recording, command));
        }
        let ticks = queries.resolve(gpu, &mut encoder);
        let index = gpu.queue().submit([encoder.finish()]);
        // Whether it worked shows when the range is asked for.
        ticks.map_async(wgpu::MapMode::Read, .., drop);
        self.batches.push(Batch { launches, ticks: Some(ticks) });
        index
    }

    /// All batches as one profile, once the device is idle.
    fn finish(self, gpu: &Gpu) -> Result<Profile> {
        let period = f64::from(gpu.queue().get_timestamp_period());
        let mut launches = Vec::new();
        let mut first = None;
        for batch in self.batches {
            let Some(ticks) = batch.ticks else {
                launches.extend(batch.launches);
                continue;
            };
            let failed = |message: String| Error::Readback { message };
            let bytes = ticks.get_mapped_range(..).map_err(|error| failed(error.to_string()))?;
            let ticks = bytes.chunks_exact(2 * TICK as usize).map(bytemuck::pod_read_unaligned::<[u64; 2]>);
            for (launch, [begin, end]) in batch.launches.into_iter().zip(ticks) {
                let first = *first.get_or_insert(begin);
                let time = |ticks: u64| Duration::from_nanos((ticks as f64 * period) as u64);
                let (start, duration) = (time(begin.saturating_sub(first)), time(end.saturating_sub(begin)));
                launches.push(LaunchProfile { start, duration, ..launch });
            }
        }
        let adapter = gpu.info().name.clone();
        Ok(Profile { adapter, timing: self.timing, launches, omitted: self.omitted })
    }
}

/// What is known of a command before it runs.
fn described(recording: &Recording, command: &Command) -> LaunchProfile {
    let Recorded { name, grid } = recording.describe_command(command);
    let ([bytes_read, bytes_written], flops, host) = match command {
        Command::Dispatch(d) => {
            let [read, written] = recording.bind_groups.get(d.bindings).bytes();
            ([d.bytes_read.unwrap_or(read), written], d.flops, d.host)
        }
        Command::Copy { size, .. } | Command::Read { size, .. } => ([*size; 2], None, Duration::ZERO),
        Command::Write { staged, .. } => ([staged.len() as u64; 2], None, Duration::ZERO),
        Command::Clear { size, .. } => ([0, *size], None, Duration::ZERO),
    };
    let (start, duration) = (Duration::ZERO, Duration::ZERO);
    LaunchProfile { name, grid, start, duration, bytes_read, bytes_written, flops, host }
}

/// Two queries a launch. A query set is limited to some thousands, so there may be several.
struct Queries {
    sets: Vec<wgpu::QuerySet>,
    launches: usize,
}

impl Queries {
    const LAUNCHES_A_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

    fn new(gpu: &Gpu, launches: usize) -> Self {
        // One more than needed, so that the place behind the last launch exists.
        let count = launches / Self::LAUNCHES_A_SET + 1;
        let create = |_| {
            gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("wgrad profile"),
                ty: wgpu::QueryType::Timestamp,
                count: wgpu::QUERY_SET_MAX_QUERIES,
            })
        };
        Self { sets: (0..count).map(create).collect(), launches }
    }

    /// The set and the first query of a launch.
    fn at(&self, launch: usize) -> (&wgpu::QuerySet, u32) {
        (&self.sets[launch / Self::LAUNCHES_A_SET], 2 * (launch % Self::LAUNCHES_A_SET) as u32)
    }

    /// Copies the timestamps into a buffer that the host can map.
    fn resolve(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder) -> wgpu::Buffer {
        let size = (2 * self.launches as u64 * TICK).max(TICK);
        let buffer = |label, usage| {
            gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = buffer("wgrad timestamps", usage);
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let ticks = buffer("wgrad timestamps to read", usage);
        for (i, set) in self.sets.iter().enumerate() {
            let before = i * Self::LAUNCHES_A_SET;
            let count = 2 * (self.launches - before).min(Self::LAUNCHES_A_SET) as u32;
            // Only what was written may be resolved: the driver would wait for the rest.
            if count > 0 {
                encoder.resolve_query_set(set, 0..count, &resolved, 2 * before as u64 * TICK);
            }
        }
        encoder.copy_buffer_to_buffer(&resolved, 0, &ticks, 0, size);
        ticks
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Gpu {
    /// Times every launch from here on, until [`Gpu::take_profile`]. A profile under way starts anew.
    ///
    /// Results stay the same to the bit, but a step takes longer: each launch has a pass of its own, and where the
    /// device has no timestamp queries, a submission of its own that is waited for, on a borrowed device too.
    ///
    /// # Errors
    /// As [`Gpu::submit`], of what was recorded before.
    pub fn start_profile(&self) -> Result<()> {
        self.synchronize()?;
        self.state().recording.profiler = Some(Profiler::new(self));
        self.0.profiling.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Submits what is recorded, waits for it, and ends the profile. Without one under way the result is empty.
    ///
    /// # Errors
    /// As [`Gpu::submit`], and [`Error::Readback`].
    pub fn take_profile(&self) -> Result<Profile> {
        self.synchronize()?;
        self.0.profiling.store(false, Ordering::Relaxed);
        let profiler = self.state().recording.profiler.take();
        profiler.map_or_else(|| Ok(Profile::default()), |profiler| profiler.finish(self))
    }
}
