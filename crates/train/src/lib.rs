//! The training loop of wgrad: epochs over whatever implements `Batches`, by one rank or several, with validation, metrics,
//! callbacks, progress, checkpoints that survive a kill, exact resumption, and a stop at the first loss that is no number.

mod accuracy;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod fit;
#[cfg(not(target_arch = "wasm32"))]
pub mod logs;
mod losses;
#[cfg(not(target_arch = "wasm32"))]
pub mod metrics;
#[cfg(not(target_arch = "wasm32"))]
mod parallel;
#[cfg(not(target_arch = "wasm32"))]
mod picture;
#[cfg(all(feature = "report", not(target_arch = "wasm32")))]
pub mod report;
mod stepper;
#[cfg(not(target_arch = "wasm32"))]
mod trainer;

pub use accuracy::accuracy_async;
pub use error::{Error, Result};
pub use losses::StepLoss;
pub use stepper::Stepper;
// What takes files, a terminal or waiting.
#[cfg(not(target_arch = "wasm32"))]
pub use {
    accuracy::accuracy,
    fit::{Checkpoint, EpochReport, Options, Outcome, Position, Task, fit},
    parallel::DataParallel,
    picture::Picture,
    trainer::{
        Accumulator, Averaging, Callback, Checkpoints, CrossValidation, EarlyStopping, Ema, Ended,
        EpochRecord, Fit, Folder, History, Interrupt, Logger, LrFinder, LrSearch, Metric, Moment, NonFinite,
        Output, Penalty, Saved, StepMemory, Swa, TimeLimit, Trainer, averaged, cross_validate, evaluate,
    },
};
