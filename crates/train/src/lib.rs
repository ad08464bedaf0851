//! The training loop of wgrad: epochs over a data set that lies on the device, with progress, metrics, checkpoints
//! that survive a kill, exact resumption, and a stop at the first loss that is no number.

mod accuracy;
mod checkpoint;
mod error;
mod fit;
mod interrupt;
mod losses;
mod memory;
mod metrics;
mod progress;
mod stepper;

#[cfg(not(target_arch = "wasm32"))]
pub use accuracy::accuracy;
pub use accuracy::accuracy_async;
pub use checkpoint::{Checkpoint, Position};
pub use error::{Error, Result};
pub use fit::{EpochReport, Options, Outcome, Task, fit};
pub use interrupt::Interrupt;
pub use losses::StepLoss;
pub use memory::StepMemory;
pub use stepper::Stepper;
