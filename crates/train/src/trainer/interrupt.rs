//! Ctrl-C and SIGTERM as a flag.

use std::sync::Arc;
#[cfg(all(feature = "terminal", unix))]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The flag that SIGTERM sets.
#[cfg(all(feature = "terminal", unix))]
static TERMINATION: OnceLock<Interrupt> = OnceLock::new();

/// Whether somebody asked the run to stop. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a program that was interrupted.
    pub const EXIT_CODE: u8 = 130;

    /// A flag that Ctrl-C sets, and on Unix SIGTERM, by which `mpirun`, `timeout` and batch systems end a program. A second one ends
    /// the process at once.
    ///
    /// Where a handler cannot be installed (an application has its own), the flag can still be set by
    /// [`Interrupt::set`].
    #[cfg(feature = "terminal")]
    pub fn on_ctrl_c() -> Self {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let installed = ctrlc::set_handler(move || {
            if flag.0.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(Self::EXIT_CODE));
            }
        });
        // Without a handler Ctrl-C ends the process, as it does everywhere else.
        drop(installed);
        #[cfg(unix)]
        on_termination(&interrupt);
        interrupt
    }

    /// Asks the run to stop after its current step.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run shall stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Has SIGTERM set the flag, unless a program handles it by itself.
#[cfg(all(feature = "terminal", unix))]
fn on_termination(interrupt: &Interrupt) {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    extern "C" fn set(_: i32) {
        let was_set = TERMINATION.get().is_some_and(|Interrupt(flag)| flag.swap(true, Ordering::SeqCst));
        if was_set {
            // SAFETY: a handler may end its process by this.
            unsafe { nix::libc::_exit(i32::from(Interrupt::EXIT_CODE)) }
        }
    }
    if TERMINATION.set(interrupt.clone()).is_err() {
        return;
    }
    // After the first one it is handled as usual.
    let flags = SaFlags::SA_RESTART | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::Handler(set), flags, SigSet::empty());
    // SAFETY: a handler may load and store atomics, and end its process; what was there is put back as it was.
    unsafe {
        if let Ok(before) = sigaction(Signal::SIGTERM, &action)
            && !matches!(before.handler(), SigHandler::SigDfl)
        {
            let _ = sigaction(Signal::SIGTERM, &before);
        }
    }
}
