//! Signs of life: each rank sends them to the next one, in a circle, and listens to the one before, in a thread of its own. They
//! tell a rank that computes for long from one that is stopped, cut off or dead, none of which closes a connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ::mpi::request::scope;
use ::mpi::traits::{Communicator as _, Destination as _, Source as _};

use super::MpiSettings;
use super::ranks::{LOST, Ranks, Wait};

/// The tag of all messages of this file, which no other ones carry.
const TAG: i32 = 7381;

/// What a message says; its second number is how many collective calls the sender has made.
const ALIVE: u64 = 0;
/// The sender makes no more calls, and waits for the end of all others.
const ENDS: u64 = 1;
/// The sender has heard that of all others, and this is its last message.
const GONE: u64 = 2;

/// Sends and listens until all ranks are at their ends.
pub(super) fn run(ranks: Arc<Ranks>, settings: MpiSettings) {
    let next = (ranks.rank + 1) % ranks.size;
    let before = (ranks.rank + ranks.size - 1) % ranks.size;
    let due = Instant::now();
    let mut beats = Beats { ranks, settings, next, before: Some(before), silent: Wait::new(), due };
    while !beats.ranks.leaving.load(Ordering::SeqCst) {
        beats.go_on();
        thread::park_timeout(settings.silence / 50);
    }
    let (own, size) = (beats.ranks.rank, beats.ranks.size);
    (0..size).filter(|&rank| rank != own).for_each(|rank| beats.send(rank, ENDS));
    let mut wait = Wait::new();
    while let Some(rank) = beats.ranks.awaited() {
        if wait.so_far() > settings.timeout {
            beats.ranks.end(&format!("rank {own} has ended, and rank {rank} does not"), LOST);
        }
        beats.go_on();
        thread::sleep(Duration::from_millis(1));
    }
    beats.send(next, GONE);
    while beats.before.is_some() {
        beats.listen();
        thread::sleep(Duration::from_millis(1));
    }
}

struct Beats {
    ranks: Arc<Ranks>,
    settings: MpiSettings,
    next: usize,
    /// The rank that is listened to, until it is gone.
    before: Option<usize>,
    silent: Wait,
    /// When the next sign of life is to be sent.
    due: Instant,
}

impl Beats {
    fn go_on(&mut self) {
        if Instant::now() >= self.due {
            self.due = Instant::now() + self.settings.silence / 5;
            self.send(self.next, ALIVE);
        }
        self.listen();
    }

    /// Takes what has arrived, and ends the job if nothing has for too long.
    fn listen(&mut self) {
        while let Some((from, [kind, calls])) = self.receive() {
            if kind == ENDS {
                self.ranks.has_ended(from, calls);
            }
            if self.before == Some(from) {
                self.silent = Wait::new();
                self.before = self.before.filter(|_| kind != GONE);
            }
        }
        if let Some(before) = self.before
            && self.silent.so_far() > self.settings.silence
        {
            let own = self.ranks.rank;
            self.ranks.end(&format!("rank {before} no longer answers (seen by rank {own})"), LOST);
        }
    }

    /// A message, if there is one, and its sender.
    fn receive(&self) -> Option<(usize, [u64; 2])> {
        self.ranks.mpi(|world| {
            let from = world.any_process().immediate_probe_with_tag(TAG)?.source_rank();
            let mut message = [0; 2];
            world.process_at_rank(from).receive_into_with_tag(&mut message, TAG);
            Some((from as usize, message))
        })
    }

    /// Sends a message, and listens until it is on its way: a rank that takes nothing more must not keep this thread.
    fn send(&mut self, to: usize, kind: u64) {
        let message = [kind, self.ranks.calls.load(Ordering::SeqCst)];
        scope(|scope| {
            let mut request = self
                .ranks
                .mpi(|world| world.process_at_rank(to as i32).immediate_send_with_tag(scope, &message, TAG));
            loop {
                request = match self.ranks.mpi(|_| request.test()) {
                    Ok(_) => return,
                    Err(request) => request,
                };
                self.listen();
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}
