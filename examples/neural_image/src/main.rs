//! Watch a network learn a picture: on the left what it shall learn, on the right what it has learned.
//!
//!     cargo run --release -p neural_image
//!     cargo run --release -p neural_image --features png -- picture.png
//!
//! Space pauses, R forgets everything, Escape quits. The network paints into a texture of the window's device, which the
//! window draws as it is.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use neural_image::error::Result;
use neural_image::picture::Picture;
use neural_image::window::{self, Options};

#[derive(Parser)]
#[command(about = "A neural network learns a picture on screen")]
struct Args {
    /// A PNG file to learn, instead of the picture that is made in code
    #[cfg(feature = "png")]
    picture: Option<PathBuf>,
    /// Milliseconds of each frame that training may take
    #[arg(long, default_value_t = 8.0)]
    budget: f64,
    /// Seed of the network
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// End after this many frames
    #[arg(long)]
    frames: Option<u64>,
    /// Write a line for each frame to this CSV file
    #[arg(long)]
    log: Option<PathBuf>,
}

impl Args {
    #[cfg(feature = "png")]
    fn picture(&self) -> Result<Picture> {
        self.picture.as_deref().map_or_else(|| Ok(Picture::evening()), Picture::load)
    }

    #[cfg(not(feature = "png"))]
    fn picture(&self) -> Result<Picture> {
        Ok(Picture::evening())
    }
}

fn run(args: Args) -> Result<()> {
    window::run(Options {
        picture: args.picture()?,
        budget: Duration::from_secs_f64(args.budget.clamp(1.0, 100.0) / 1e3),
        seed: args.seed,
        log: args.log,
        frames: args.frames,
    })
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
