//! [`Threads`]: ranks that are threads of one process, each with a device of its own, or all on one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::communicator::{check_gathered, check_parts, check_root};
use crate::{Communicator, Error, Result};

/// Makes the ranks of one process.
///
/// ```
/// use wgrad_distributed::{Communicator, Threads, Wire, all_reduce};
///
/// let sums: Vec<f32> = Threads::run(Threads::new(3), |rank| {
///     let mut values = [1.0 + rank.rank() as f32];
///     all_reduce(&rank, &mut values, Wire::F32).expect("all ranks are there");
///     values[0]
/// });
/// assert_eq!(sums, [6.0, 6.0, 6.0]);
/// ```
pub struct Threads;

impl Threads {
    /// So many ranks that know each other, to be moved into a thread each; at least one. Each waits at most five minutes for the others.
    #[expect(clippy::new_ret_no_self, reason = "it makes the ranks, and is nothing itself")]
    pub fn new(size: usize) -> Vec<Thread> {
        Self::with_timeout(size, Duration::from_secs(300))
    }

    /// As [`Threads::new`], where nobody waits longer than `timeout` for another rank.
    pub fn with_timeout(size: usize, timeout: Duration) -> Vec<Thread> {
        let size = size.max(1);
        let round = Round { sent: vec![None; size], taken: 0, gone: None };
        let table = Arc::new(Table { round: Mutex::new(round), changed: Condvar::new(), timeout });
        (0..size).map(|rank| Thread { rank, size, table: Arc::clone(&table) }).collect()
    }

    /// What `f` gives on each of these ranks, each in a thread of its own, in their order. A panic of one of them is the caller's,
    /// once all have ended.
    pub fn run<T: Send>(ranks: Vec<Thread>, f: impl Fn(Thread) -> T + Sync) -> Vec<T> {
        let f = &f;
        std::thread::scope(|scope| {
            let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(move || f(rank))).collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }
}

/// A rank of [`Threads`]. When it is dropped, the others get [`Error::Gone`] from calls that need it.
#[derive(Debug)]
pub struct Thread {
    rank: usize,
    size: usize,
    table: Arc<Table>,
}

/// Where ranks lay what they send.
#[derive(Debug)]
struct Table {
    round: Mutex<Round>,
    changed: Condvar,
    timeout: Duration,
}

/// One collective call.
#[derive(Debug)]
struct Round {
    sent: Vec<Option<Arc<[u8]>>>,
    /// How many ranks have taken what all sent.
    taken: usize,
    /// A rank that no longer takes part, and why.
    gone: Option<(usize, String)>,
}

impl Thread {
    /// What all ranks send in this call.
    fn exchange(&self, bytes: &[u8]) -> Result<Vec<Arc<[u8]>>> {
        let until = Instant::now() + self.table.timeout;
        let rank = self.rank;
        // The call before is over when all have taken what was sent in it.
        let mut round = self.wait(self.lock(), until, |round| round.sent[rank].is_none())?;
        round.sent[rank] = Some(bytes.into());
        self.table.changed.notify_all();
        let mut round = self.wait(round, until, |round| round.sent.iter().all(Option::is_some))?;
        let all = round.sent.iter().flatten().cloned().collect();
        round.taken += 1;
        if round.taken == self.size {
            round.taken = 0;
            round.sent.fill(None);
            self.table.changed.notify_all();
        }
        Ok(all)
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        // A rank that panics lets go of the table as it was.
        self.table.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_so`, or fails where a rank is gone or late.
    fn wait<'t>(
        &self,
        mut round: MutexGuard<'t, Round>,
        until: Instant,
        is_so: impl Fn(&Round) -> bool,
    ) -> Result<MutexGuard<'t, Round>> {
        while !is_so(&round) {
            if let Some((rank, why)) = &round.gone {
                return Err(Error::Gone { rank: *rank, why: why.clone() });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let rank = round.sent.iter().position(Option::is_none).unwrap_or_default();
                let why = format!("did not answer for {} s", self.table.timeout.as_secs_f32());
                return Err(Error::Gone { rank, why });
            }
            round = self.table.changed.wait_timeout(round, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(round)
    }

    fn leave(&self, why: &str) {
        self.lock().gone.get_or_insert((self.rank, why.to_owned()));
        self.table.changed.notify_all();
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.leave(if std::thread::panicking() { "panicked" } else { "has ended" });
    }
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local(&self) -> (usize, usize) {
        (self.rank, self.size)
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<()> {
        check_parts(self.size, send.len(), receive.len())?;
        let part = send.len() / self.size;
        for (rank, sent) in self.exchange(send)?.iter().enumerate() {
            let own = sent.get(self.rank * part..(self.rank + 1) * part);
            let own = own
                .filter(|_| sent.len() == send.len())
                .ok_or_else(|| differs(rank, sent.len(), send.len()))?;
            receive[rank * part..][..part].copy_from_slice(own);
        }
        Ok(())
    }

    fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<()> {
        check_gathered(self.size, send.len(), receive.len())?;
        for (rank, sent) in self.exchange(send)?.iter().enumerate() {
            if sent.len() != send.len() {
                return Err(differs(rank, sent.len(), send.len()));
            }
            receive[rank * send.len()..][..send.len()].copy_from_slice(sent);
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<()> {
        check_root(self.size, root)?;
        let all = self.exchange(if self.rank == root { bytes } else { &[] })?;
        if all[root].len() != bytes.len() {
            return Err(differs(root, all[root].len(), bytes.len()));
        }
        bytes.copy_from_slice(&all[root]);
        Ok(())
    }

    fn abort(&self, why: &str, _code: i32) {
        self.leave(&format!("failed: {why}"));
    }
}

fn differs(rank: usize, found: usize, own: usize) -> Error {
    Error::Rank {
        rank,
        message: format!("sent {found} bytes where {own} were due: all ranks make the same calls"),
    }
}
