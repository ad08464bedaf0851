//! [`Mpi`]: ranks that are processes, on one machine or several.

mod beats;
mod ranks;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ::mpi::Threading;
use ::mpi::environment::Universe;
use ::mpi::request::{Request, Scope, scope};
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator as _, CommunicatorCollectives as _, Root as _};

use crate::communicator::{check_gathered, check_parts, check_root};
use crate::{Communicator, Error, Result};
use ranks::{LOST, Ranks, Wait};

/// How long the ranks of [`Mpi`] wait for each other, and how much they say at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpiSettings {
    /// A rank from which nothing is heard for so long is taken for lost, and the job ends. Ranks send each other a sign of life
    /// five times as often, in a thread of their own, so that computation of any length is no silence. 5 seconds.
    pub silence: Duration,
    /// The longest that a rank waits in one call for ranks that live, before the job ends. 30 minutes.
    pub timeout: Duration,
    /// The most bytes of one call of MPI, which counts in 32 bits; longer messages are cut. 1 GiB.
    pub most_bytes: usize,
}

impl Default for MpiSettings {
    fn default() -> Self {
        Self { silence: Duration::from_secs(5), timeout: Duration::from_secs(30 * 60), most_bytes: 1 << 30 }
    }
}

/// This process among those that `mpirun` has started. Its calls come back when they are done or end the job: where a rank is
/// killed, stopped or cut off, panics, or ends before the others, all processes end within ten seconds, with a line on standard
/// error that names the rank.
///
/// It is dropped before the process ends; dropping waits until all ranks have got there.
pub struct Mpi {
    ranks: Arc<Ranks>,
    local: (usize, usize),
    settings: MpiSettings,
    /// One collective call at a time: the ranks could not tell two apart.
    turn: Mutex<()>,
    beats: Option<JoinHandle<()>>,
    universe: Option<Universe>,
}

impl Mpi {
    /// Starts MPI, once in a process. A panic of any thread ends all ranks from then on.
    ///
    /// # Errors
    /// [`Error::Usage`] where it was started before, or where the library can't be called by more than one thread.
    pub fn init() -> Result<Self> {
        Self::init_with(MpiSettings::default())
    }

    /// As [`Mpi::init`], with settings that are the same on all ranks.
    ///
    /// # Errors
    /// As [`Mpi::init`].
    pub fn init_with(settings: MpiSettings) -> Result<Self> {
        let (universe, threading) = ::mpi::initialize_with_threading(Threading::Serialized)
            .ok_or_else(|| Error::Usage("MPI was started before in this process".to_owned()))?;
        if threading < Threading::Serialized {
            let message =
                "this MPI library can't be called by several threads, one at a time (MPI_THREAD_SERIALIZED)";
            return Err(Error::Usage(message.to_owned()));
        }
        let world = universe.world();
        let neighbours = world.split_shared(world.rank());
        let local = (neighbours.rank() as usize, neighbours.size() as usize);
        let ranks = Arc::new(Ranks::new(world.rank() as usize, world.size() as usize));
        ranks::end_on_panic(&ranks);
        let beats = (ranks.size > 1).then(|| {
            let ranks = Arc::clone(&ranks);
            std::thread::spawn(move || beats::run(ranks, settings))
        });
        Ok(Self { ranks, local, settings, turn: Mutex::new(()), beats, universe: Some(universe) })
    }

    /// Makes one collective call of MPI, and returns when it is done.
    fn call<'a, D: ?Sized + 'a, S: Scope<'a>>(
        &self,
        start: impl FnOnce(&SimpleCommunicator) -> Request<'a, D, S>,
    ) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let call = self.ranks.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut request = self.ranks.mpi(start);
        let mut wait = Wait::new();
        loop {
            request = match self.ranks.mpi(|_| request.test()) {
                Ok(_) => return,
                Err(request) => request,
            };
            let waited = wait.so_far();
            let own = self.ranks.rank;
            if let Some(rank) = self.ranks.ended_before(call) {
                self.ranks.end(&format!("rank {rank} has ended, and rank {own} still waits for it"), LOST);
            }
            if waited > self.settings.timeout {
                let seconds = waited.as_secs_f32();
                self.ranks.end(&format!("rank {own} has waited for the others for {seconds:.0} s"), LOST);
            }
            pause(waited);
        }
    }

    /// As [`Communicator::all_to_all`], of a message that MPI takes at once.
    fn exchange(&self, send: &[u8], receive: &mut [u8]) {
        scope(|scope| self.call(|world| world.immediate_all_to_all_into(scope, send, receive)));
    }

    /// As [`Communicator::all_gather`], of a message that MPI takes at once.
    fn gather(&self, send: &[u8], receive: &mut [u8]) {
        scope(|scope| self.call(|world| world.immediate_all_gather_into(scope, send, receive)));
    }

    /// Calls `exchange` for each piece of `size` parts of `part` bytes, with the piece's start and length within a part.
    fn pieces(&self, part: usize, mut exchange: impl FnMut(usize, usize)) {
        let most = (self.settings.most_bytes.min(i32::MAX as usize) / self.ranks.size).max(1);
        (0..part).step_by(most).for_each(|start| exchange(start, most.min(part - start)));
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.ranks.rank
    }

    fn size(&self) -> usize {
        self.ranks.size
    }

    fn local(&self) -> (usize, usize) {
        self.local
    }

    fn all_to_all(&self, send: &[u8], receive: &mut [u8]) -> Result<()> {
        check_parts(self.ranks.size, send.len(), receive.len())?;
        if send.is_empty() {
            return self.barrier();
        }
        let part = send.len() / self.ranks.size;
        self.pieces(part, |start, len| {
            if len == part {
                return self.exchange(send, receive);
            }
            let pieces: Vec<&[u8]> = send.chunks_exact(part).map(|part| &part[start..][..len]).collect();
            let mut received = vec![0; len * self.ranks.size];
            self.exchange(&pieces.concat(), &mut received);
            put(&received, receive, start, len);
        });
        Ok(())
    }

    fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<()> {
        check_gathered(self.ranks.size, send.len(), receive.len())?;
        if send.is_empty() {
            return self.barrier();
        }
        self.pieces(send.len(), |start, len| {
            if len == send.len() {
                return self.gather(send, receive);
            }
            let mut received = vec![0; len * self.ranks.size];
            self.gather(&send[start..][..len], &mut received);
            put(&received, receive, start, len);
        });
        Ok(())
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<()> {
        check_root(self.ranks.size, root)?;
        let most = self.settings.most_bytes.clamp(1, i32::MAX as usize);
        for piece in bytes.chunks_mut(most) {
            scope(|scope| {
                self.call(|world| world.process_at_rank(root as i32).immediate_broadcast_into(scope, piece));
            });
        }
        Ok(())
    }

    fn barrier(&self) -> Result<()> {
        self.call(|world| world.immediate_barrier());
        Ok(())
    }

    fn abort(&self, _why: &str, code: i32) {
        self.ranks.abort(code);
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        self.ranks.leaving.store(true, Ordering::SeqCst);
        if let Some(beats) = self.beats.take() {
            beats.thread().unpark();
            // A thread that panics has ended the process.
            let _ = beats.join();
        }
        self.ranks.mpi(|_| drop(self.universe.take()));
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mpi(rank {} of {})", self.ranks.rank, self.ranks.size)
    }
}

/// Puts a piece of `len` bytes of each rank where it belongs: at `start` of the rank's part.
fn put(received: &[u8], receive: &mut [u8], start: usize, len: usize) {
    let part = receive.len() / (received.len() / len);
    for (part, piece) in receive.chunks_exact_mut(part).zip(received.chunks_exact(len)) {
        part[start..][..len].copy_from_slice(piece);
    }
}

/// Waits before the next look at a call: shortly at first, for a short call's sake, and then so that whoever computes on the same
/// cores can.
fn pause(waited: Duration) {
    if waited < Duration::from_micros(200) {
        std::thread::yield_now();
    } else {
        let longest = Duration::from_micros(100);
        std::thread::sleep((waited / 16).clamp(Duration::from_micros(20), longest));
    }
}
