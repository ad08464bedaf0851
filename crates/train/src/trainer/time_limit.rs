//! [`TimeLimit`]: the end of a fit after some time.

use std::time::{Duration, Instant};

use super::callback::{Callback, Fit};
use crate::Result;

/// Ends a fit after the first step that is made when its time is up. Counterpart: Lightning's `Timer`.
///
/// The time counts from the start of the fit in this process; a resumed fit has all of it again.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    limit: Duration,
    started: Instant,
}

impl TimeLimit {
    /// The limit.
    pub fn of(limit: Duration) -> Self {
        Self { limit, started: Instant::now() }
    }
}

impl Callback for TimeLimit {
    fn name(&self) -> &str {
        "time_limit"
    }

    fn on_fit_start(&mut self, _: &mut Fit) -> Result<()> {
        self.started = Instant::now();
        Ok(())
    }

    fn on_step_end(&mut self, fit: &mut Fit) -> Result<()> {
        if self.started.elapsed() >= self.limit {
            fit.stop(format!("the time limit of {:?} is up", self.limit));
        }
        Ok(())
    }
}
