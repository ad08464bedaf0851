//! The training loop of wgrad: epochs over whatever implements `Batches`, by one rank or several, with validation, metrics,
//! callbacks, progress, checkpoints that survive a kill, exact resumption, and a stop at the first loss that is no number.

mod accuracy;
#[cfg(not(target_arch = "wasm32"))]
mod checkpoint;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod fit;
#[cfg(not(target_arch = "wasm32"))]
mod interrupt;
#[cfg(not(target_arch = "wasm32"))]
mod logger;
#[cfg(not(target_arch = "wasm32"))]
pub mod logs;
mod losses;
#[cfg(not(target_arch = "wasm32"))]
mod memory;
#[cfg(not(target_arch = "wasm32"))]
mod metric;
#[cfg(not(target_arch = "wasm32"))]
pub mod metrics;
#[cfg(not(target_arch = "wasm32"))]
mod output;
#[cfg(not(target_arch = "wasm32"))]
mod parallel;
#[cfg(not(target_arch = "wasm32"))]
mod picture;
#[cfg(not(target_arch = "wasm32"))]
mod progress;
#[cfg(all(feature = "report", not(target_arch = "wasm32")))]
pub mod report;
mod stepper;
#[cfg(not(target_arch = "wasm32"))]
mod trainer;

#[cfg(not(target_arch = "wasm32"))]
pub use accuracy::accuracy;
pub use accuracy::accuracy_async;
#[cfg(not(target_arch = "wasm32"))]
pub use checkpoint::{Checkpoint, Position};
pub use error::{Error, Result};
#[cfg(not(target_arch = "wasm32"))]
pub use fit::{EpochReport, Options, Outcome, Task, fit};
#[cfg(not(target_arch = "wasm32"))]
pub use interrupt::Interrupt;
#[cfg(not(target_arch = "wasm32"))]
pub use logger::Logger;
pub use losses::StepLoss;
#[cfg(not(target_arch = "wasm32"))]
pub use memory::StepMemory;
#[cfg(not(target_arch = "wasm32"))]
pub use metric::{Accumulator, Metric};
#[cfg(not(target_arch = "wasm32"))]
pub use output::Output;
#[cfg(not(target_arch = "wasm32"))]
pub use parallel::DataParallel;
#[cfg(not(target_arch = "wasm32"))]
pub use picture::Picture;
pub use stepper::Stepper;
#[cfg(not(target_arch = "wasm32"))]
pub use trainer::{
    Averaging, Callback, Checkpoints, CrossValidation, EarlyStopping, Ema, Ended, EpochRecord, Fit, Folder,
    History, LrFinder, LrSearch, Moment, NonFinite, Saved, Swa, TimeLimit, Trainer, averaged, cross_validate,
    evaluate,
};
