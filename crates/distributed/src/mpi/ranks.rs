//! [`Ranks`]: what the threads of a rank share.

use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::Communicator as _;

/// The exit code of a job that has lost a rank: EX_TEMPFAIL, so a launcher may start it again.
pub(super) const LOST: i32 = 75;

/// The exit code of a rank that panics, as that of a program of one process.
const PANICKED: i32 = 101;

/// This rank among the others, for all threads of the process.
pub(super) struct Ranks {
    pub(super) rank: usize,
    pub(super) size: usize,
    /// How many collective calls this rank has begun.
    pub(super) calls: AtomicU64,
    /// Whether this rank makes no more of them.
    pub(super) leaving: AtomicBool,
    /// For each rank that has ended, how many it has made.
    ended: Mutex<Vec<Option<u64>>>,
    /// MPI serves one thread at a time.
    one_at_a_time: Mutex<()>,
}

impl Ranks {
    pub(super) fn new(rank: usize, size: usize) -> Self {
        Self {
            rank,
            size,
            calls: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            ended: Mutex::new(vec![None; size]),
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Makes a call of MPI, which must be a short one: no other thread can make one meanwhile.
    pub(super) fn mpi<T>(&self, call: impl FnOnce(&SimpleCommunicator) -> T) -> T {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        call(&SimpleCommunicator::world())
    }

    pub(super) fn has_ended(&self, rank: usize, calls: u64) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)[rank] = Some(calls);
    }

    /// A rank that has ended without having made so many calls.
    pub(super) fn ended_before(&self, calls: u64) -> Option<usize> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.iter().position(|made| made.is_some_and(|made| made < calls))
    }

    /// Another rank that has not ended.
    pub(super) fn awaited(&self) -> Option<usize> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        (0..self.size).find(|&rank| rank != self.rank && ended[rank].is_none())
    }

    /// Says why, and ends all ranks.
    pub(super) fn end(&self, why: &str, code: i32) -> ! {
        eprintln!("error: {why}: the job ends");
        self.abort(code)
    }

    /// Ends all ranks, within some seconds whatever state MPI is in.
    pub(super) fn abort(&self, code: i32) -> ! {
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(3));
            std::process::abort();
        });
        // The thread that holds it may be the one that panics.
        let until = Instant::now() + Duration::from_secs(1);
        let _turn = loop {
            match self.one_at_a_time.try_lock() {
                Ok(turn) => break Some(turn),
                Err(_) if Instant::now() > until => break None,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if ::mpi::environment::is_finalized() {
            std::process::exit(code);
        }
        SimpleCommunicator::world().abort(code)
    }
}

/// Makes a panic of any thread the end of all ranks, as long as these are in use: they would wait for this one forever.
pub(super) fn end_on_panic(ranks: &Arc<Ranks>) {
    let ranks = Arc::downgrade(ranks);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        before(panic);
        if let Some(ranks) = ranks.upgrade() {
            ranks.end(&format!("rank {} has panicked", ranks.rank), PANICKED);
        }
    }));
}

/// Time spent on waiting. A process that was itself stopped, or found no processor, doesn't hold that against others: it counts
/// half a second at most from one look to the next.
pub(super) struct Wait {
    looked: Instant,
    waited: Duration,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self { looked: Instant::now(), waited: Duration::ZERO }
    }

    pub(super) fn so_far(&mut self) -> Duration {
        let now = Instant::now();
        self.waited += (now - self.looked).min(Duration::from_millis(500));
        self.looked = now;
        self.waited
    }
}
