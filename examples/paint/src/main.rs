//! Draw, say what it is, and watch a small network learn it.
//!
//!     cargo run --release -p paint
//!
//! Training runs on the device that the window is drawn with, between its frames.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use eframe::egui;
use eframe::egui_wgpu::{SurfaceConfig, WgpuConfiguration, WgpuSetupCreateNew};
use paint::app::{Options, Paint, Start, device_descriptor, set_style};

#[derive(Parser)]
#[command(about = "A paint program that learns what is drawn in it")]
struct Args {
    /// Milliseconds of each frame that training may take
    #[arg(long, default_value_t = 8.0)]
    budget: f64,
    /// Seed of the network and of the synthetic drawings
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Begin with synthetic drawings
    #[arg(long)]
    start: Option<Start>,
    /// Draw frames without pause, also while nothing changes: to measure what one costs without training
    #[arg(long)]
    continuous: bool,
    /// Write a line for each frame to this CSV file
    #[arg(long)]
    log: Option<PathBuf>,
}

fn main() -> eframe::Result {
    let args = Args::parse();
    let budget = Duration::from_secs_f64(args.budget.clamp(2.0, 16.0) / 1e3);
    let Args { seed, start, continuous, log, .. } = args;
    let options = Options { seed, budget, start, continuous, log };
    let mut setup = WgpuSetupCreateNew::without_display_handle();
    setup.device_descriptor = Arc::new(device_descriptor);
    let window = eframe::NativeOptions {
        wgpu_options: WgpuConfiguration { wgpu_setup: setup.into(), ..Default::default() }
            .with_surface_config(SurfaceConfig::LOW_LATENCY),
        viewport: egui::ViewportBuilder::default()
            .with_title("wgrad paint")
            .with_inner_size([1000.0, 660.0])
            .with_min_inner_size([900.0, 620.0]),
        // It hides bands in gradients, of which there are none here, and costs a software adapter much of a frame.
        dithering: false,
        ..Default::default()
    };
    eframe::run_native(
        "wgrad paint",
        window,
        Box::new(|cc| {
            let render = cc.wgpu_render_state.as_ref().ok_or("the window has no wgpu device")?;
            set_style(&cc.egui_ctx);
            Ok(Box::new(Paint::new(render, options)?))
        }),
    )
}
