//! [`Slicer`]: what is recorded, submitted in slices of a given GPU time.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use web_time::Instant;

use crate::Result;
use crate::costs::{Costs, Share};
use crate::gpu::Gpu;
use crate::recording::{Command, Dispatch, Part, Recording, row, whole_rows};
use crate::timer::{Timer, Watch};

/// Slices that may be unfinished. One runs while the next waits, so the device does not stand still between frames.
const MOST_IN_FLIGHT: usize = 2;

/// Measured times kept for [`Slicer::times`].
const MOST_TIMES: usize = 1024;

/// A launch is not cut for less than this part of the budget.
const LEAST_PART: f64 = 0.1;

/// Nanoseconds below which a slice's time says little of its launches: what every submission takes is most of it.
const RESOLUTION: f64 = 250_000.0;

/// Without timestamps, slices that are done at the first look are lengthened by this factor until one is not.
const GROWTH: f64 = 1.1;

/// What one slice holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slice {
    /// Launches, and parts of launches, submitted.
    pub launches: usize,
    /// GPU time they are thought to take.
    pub estimate: Duration,
    /// Nothing was submitted, because two slices are still unfinished.
    pub busy: bool,
}

/// Submits what is recorded on a [`Gpu`] in slices of a given GPU time, cut between launches, and within a launch over
/// its workgroups where one alone is longer: for applications that draw frames on the same device. Results are the
/// same to the bit as those of [`Gpu::submit`].
///
/// Nothing here waits, and nothing polls a borrowed device. What launches take is learned from timestamps where the device has
/// `Features::TIMESTAMP_QUERY`, and otherwise from whether a slice was done by the next call, which is coarse: ask for
/// [`crate::optional_features`] when making the device.
///
/// Use one a `Gpu`: two would count each other's launches, and each has two slices under way. A callback that wgpu runs
/// when work is done must not call this `Gpu`, since wgpu may run it inside of a submission.
///
/// The recording is one queue: [`Gpu::submit`] and whatever waits for results run all of it at once, and what is
/// recorded later runs behind it.
pub struct Slicer {
    gpu: Gpu,
    costs: Costs,
    in_flight: VecDeque<InFlight>,
    timers: Vec<Timer>,
    times: VecDeque<Duration>,
    last_done: Option<Instant>,
}

/// A slice that was submitted, or encoded to be submitted.
struct InFlight {
    shares: Vec<Share>,
    encoded: Instant,
    /// When it was last seen unfinished.
    unfinished_at: Option<Instant>,
    done: Arc<OnceLock<Instant>>,
    timer: Option<(Timer, Arc<OnceLock<bool>>)>,
}

impl Slicer {
    /// For what is recorded on `gpu`. One slicer a `Gpu` learns best.
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            gpu: gpu.clone(),
            costs: Costs::default(),
            in_flight: VecDeque::new(),
            timers: Vec::new(),
            times: VecDeque::new(),
            last_done: None,
        }
    }

    /// GPU time that everything recorded and not yet submitted is thought to take.
    pub fn pending_time(&self) -> Duration {
        let state = self.gpu.state();
        let commands = state.recording.commands();
        let sum: f64 =
            commands.map(|command| share_of(&self.costs, &state.recording, command).estimate).sum();
        Duration::from_nanos(sum as u64)
    }

    /// Whether a slice may be submitted now: fewer than two are unfinished.
    ///
    /// # Errors
    /// [`crate::Error::Lost`].
    pub fn ready(&mut self) -> Result<bool> {
        if self.in_flight.len() >= MOST_IN_FLIGHT && !self.gpu.0.borrowed {
            // Nobody else asks what an owned device has done.
            self.gpu.poll(wgpu::PollType::Poll)?;
        }
        self.collect();
        self.gpu.check()?;
        if self.in_flight.len() < MOST_IN_FLIGHT {
            return Ok(true);
        }
        // A lost device finishes nothing: its slices would be under way for ever.
        self.gpu.probe()?;
        Ok(false)
    }

    /// GPU times of slices that were measured since this was last asked; needs timestamps.
    pub fn times(&mut self) -> impl Iterator<Item = Duration> + '_ {
        self.collect();
        self.times.drain(..)
    }

    /// Submits as much of what is recorded as `budget` holds, at least one workgroup, unless two slices are unfinished.
    ///
    /// # Errors
    /// As [`Gpu::submit`].
    pub fn submit(&mut self, budget: Duration) -> Result<Slice> {
        self.slice(budget, None)
    }

    /// As [`Slicer::submit`], but leaves the submission to the application, which is to submit `encoder` before
    /// anything else of this `Gpu` is submitted or encoded into another encoder. Without that, what was taken into the
    /// encoder is lost.
    ///
    /// # Errors
    /// [`crate::Error::Lost`], [`crate::Error::OutOfMemory`]. What wgpu has against the commands themselves, a mapped buffer
    /// for instance, it says to the application, when that finishes and submits the encoder; values read in it must not be
    /// trusted then.
    pub fn encode_into(&mut self, encoder: &mut wgpu::CommandEncoder, budget: Duration) -> Result<Slice> {
        self.slice(budget, Some(encoder))
    }

    fn slice(&mut self, budget: Duration, into: Option<&mut wgpu::CommandEncoder>) -> Result<Slice> {
        if !self.ready()? {
            return Ok(Slice { busy: true, ..Slice::default() });
        }
        let mut state = self.gpu.state();
        let (commands, shares) = take(&self.costs, &mut state.recording, &self.gpu, budget);
        if commands.is_empty() {
            return Ok(Slice::default());
        }
        let launches = commands.iter().filter(|command| matches!(command, Command::Dispatch(_))).count();
        let estimate: f64 = shares.iter().map(|share| share.estimate).sum();
        // What has no pass has no timestamps.
        let timer = match launches {
            0 => None,
            _ => self.timers.pop().or_else(|| Timer::new(&self.gpu)),
        };
        let timer = timer.map(|timer| (timer, Arc::default()));
        let done = Arc::new(OnceLock::new());
        let watch = Watch { timer: timer.as_ref(), done: &done };
        match into {
            Some(encoder) => state.recording.run_in(&self.gpu, encoder, commands, Some(watch))?,
            None => {
                state.recording.run(&self.gpu, commands, Some(watch))?;
            }
        }
        drop(state);
        let (encoded, unfinished_at) = (Instant::now(), None);
        self.in_flight.push_back(InFlight { shares, encoded, unfinished_at, done, timer });
        Ok(Slice { launches, estimate: Duration::from_nanos(estimate as u64), busy: false })
    }

    /// Takes note of slices that are done.
    fn collect(&mut self) {
        // Before the flags are looked at, which another thread may set meanwhile.
        let now = Instant::now();
        while let Some(oldest) = self.in_flight.front_mut() {
            if oldest.done.get().is_none() && Arc::strong_count(&oldest.done) > 1 {
                oldest.unfinished_at = Some(now);
                return;
            }
            // Without an instant nobody will set one any longer: the encoder was dropped, or its submission failed.
            if let Some(slice) = self.in_flight.pop_front() {
                self.learn(slice);
            }
        }
    }

    fn learn(&mut self, slice: InFlight) {
        let measured = slice.timer.and_then(|(timer, mapped)| {
            // A device lost meanwhile has no timestamps, which the next submission tells.
            let scopes = self.gpu.scopes();
            let measured = mapped.get().filter(|&&worked| worked).and_then(|_| timer.take());
            drop(scopes);
            // One whose buffer may still be mapped must not be used again.
            if measured.is_some() || mapped.get() == Some(&false) || slice.done.get().is_none() {
                self.timers.push(timer);
            }
            measured.filter(|&nanoseconds| nanoseconds > 0.0)
        });
        let Some(&done) = slice.done.get() else { return };
        let earlier = self.last_done.replace(done);
        let least = |nanoseconds: f64| if nanoseconds < RESOLUTION { 0.0 } else { nanoseconds };
        if let Some(nanoseconds) = measured {
            self.costs.learn(&slice.shares, [least(nanoseconds), nanoseconds]);
            if self.times.len() == MOST_TIMES {
                self.times.pop_front();
            }
            self.times.push_back(Duration::from_nanos(nanoseconds as u64));
            return;
        }
        // It began when it was encoded or when the slice before it was done, whichever was later.
        let began = earlier.map_or(slice.encoded, |earlier| earlier.max(slice.encoded));
        let nanoseconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_nanos() as f64;
        let most = nanoseconds(slice.encoded, done);
        match slice.unfinished_at {
            Some(seen) => self.costs.learn(&slice.shares, [least(nanoseconds(began, seen)), most]),
            None => {
                let estimate: f64 = slice.shares.iter().map(|share| share.estimate).sum();
                self.costs.learn(&slice.shares, [0.0, most.min(estimate / GROWTH)]);
            }
        }
    }
}

/// Takes what `budget` holds from the front of the recording, with what each part is thought to take.
fn take(costs: &Costs, recording: &mut Recording, gpu: &Gpu, budget: Duration) -> (Vec<Command>, Vec<Share>) {
    let budget = budget.as_nanos() as f64;
    let row = row(gpu);
    let mut left = budget;
    let mut shares: Vec<Share> = Vec::new();
    let commands = recording.take(gpu, |recording, command| {
        let share = share_of(costs, recording, command);
        let part = match command {
            Command::Dispatch(Dispatch { part, .. }) => *part,
            _ => None,
        };
        let fitting = |count: u32| whole_rows((left / share.estimate * f64::from(count)) as u32, row);
        let groups = match part {
            _ if share.estimate <= left => u32::MAX,
            // The first goes on in any case, or nothing ever would.
            None | Some(Part { count: 1, .. }) if shares.is_empty() => u32::MAX,
            Some(part) if shares.is_empty() => fitting(part.count).max(1),
            Some(part) if left > LEAST_PART * budget => fitting(part.count),
            _ => 0,
        };
        let of_it = match part {
            Some(part) if groups < part.count => f64::from(groups) / f64::from(part.count),
            _ => 1.0,
        };
        if groups > 0 {
            left -= of_it * share.estimate;
            shares.push(Share { estimate: of_it * share.estimate, ..share });
        }
        groups
    });
    (commands, shares)
}

fn share_of(costs: &Costs, recording: &Recording, command: &Command) -> Share {
    let copy = |bytes| {
        let estimate = costs.copy(bytes);
        Share { key: None, estimate, whole: estimate }
    };
    let dispatch = match command {
        Command::Dispatch(dispatch) => dispatch,
        Command::Copy { size, .. } | Command::Read { size, .. } | Command::Clear { size, .. } => {
            return copy(*size);
        }
        Command::Write { staged, .. } => return copy(staged.len() as u64),
    };
    let bindings = recording.bind_groups.get(dispatch.bindings);
    let groups: u32 = dispatch.grid.iter().product();
    let (whole, count) = dispatch.part.map_or((groups, groups), |part| (part.whole, part.count));
    let key = (bindings.pipeline.id, whole);
    let bytes = || {
        let [read, written] = bindings.bytes();
        dispatch.bytes_read.unwrap_or(read) + written
    };
    let estimate = costs.estimate(key, dispatch.flops.unwrap_or(0), bytes);
    Share { key: Some(key), estimate: estimate * f64::from(count) / f64::from(whole.max(1)), whole: estimate }
}
