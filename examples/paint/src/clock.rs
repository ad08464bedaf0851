//! How long frames take, and how many training steps a second finish.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames that the figures are taken over.
const WINDOW: usize = 240;

/// Times between frames, and the steps that were finished at each.
#[derive(Default)]
pub struct Clock {
    last: Option<Instant>,
    frames: VecDeque<(Duration, Instant, u64)>,
}

impl Clock {
    /// A new frame begins, `steps` training steps after the start. Returns the time since the frame before it began.
    pub fn tick(&mut self, steps: u64) -> Option<Duration> {
        let now = Instant::now();
        let time = self.last.replace(now).map(|last| now - last)?;
        if self.frames.len() == WINDOW {
            self.frames.pop_front();
        }
        self.frames.push_back((time, now, steps));
        Some(time)
    }

    /// The time that this share of the frames needed at most, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let mut times: Vec<Duration> = self.frames.iter().map(|frame| frame.0).collect();
        times.sort_unstable();
        let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }

    pub fn frames_per_second(&self) -> f64 {
        self.per_second(self.frames.len().saturating_sub(1) as f64)
    }

    pub fn steps_per_second(&self) -> f64 {
        match (self.frames.front(), self.frames.back()) {
            // A reset counts the steps from 0 again.
            (Some(first), Some(last)) => self.per_second(last.2.saturating_sub(first.2) as f64),
            _ => 0.0,
        }
    }

    fn per_second(&self, count: f64) -> f64 {
        match (self.frames.front(), self.frames.back()) {
            (Some(first), Some(last)) if last.1 > first.1 => count / (last.1 - first.1).as_secs_f64(),
            _ => 0.0,
        }
    }
}
