//! Ctrl-C as a flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody asked the run to stop. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The exit code of a program that was interrupted.
    pub const EXIT_CODE: u8 = 130;

    /// A flag that Ctrl-C sets. A second Ctrl-C ends the process at once.
    ///
    /// Where the handler cannot be installed (an application has its own), the flag can still be set by
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
