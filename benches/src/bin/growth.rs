//! How cost grows: step time and peak memory of the CNN over batch size and width, as a table and as a plot.
//!
//! ```text
//! cargo run --release -p wgrad-benches --bin growth -- docs/plots/growth.svg [--batches 1,4,16,64,256] \
//!     [--widths 1,2,4] [--steps 5]
//! ```

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use wgrad::Gpu;
use wgrad_benches::plot::{self, Panel, Scale, Series};
use wgrad_benches::{Training, cnn};

/// Steps before the measured ones: the pool and the bind groups are complete by then.
const WARM_UP: usize = 2;

/// Measures the CNN's step over batch sizes and widths.
#[derive(Parser)]
struct Flags {
    /// The plot
    svg: PathBuf,
    /// Batch sizes
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64, 256])]
    batches: Vec<usize>,
    /// Multiples of the CNN's 64 and 128 channels
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    widths: Vec<usize>,
    /// Steps of which the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
}

/// Milliseconds of a step, and megabytes at its peak, the pool's included.
fn measure(gpu: &Gpu, batch: usize, width: usize, steps: u64) -> wgrad::nn::Result<[f64; 3]> {
    gpu.trim();
    gpu.reset_peak_memory();
    let mut training = Training::sgd(gpu, batch, |b| cnn(b, width))?;
    (0..WARM_UP).try_for_each(|_| training.step())?;
    let mut times = Vec::new();
    for _ in 0..steps {
        let start = Instant::now();
        training.step()?;
        times.push(1e3 * start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let memory = gpu.memory();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok([times[times.len() / 2], mb(memory.peak), mb(memory.live + memory.cached)])
}

fn main() -> Result<(), plot::Error> {
    let flags = Flags::parse();
    let gpu = Gpu::new()?;
    println!("| width | batch | step, ms | images/s | peak, MB | pool, MB |\n|---|---|---|---|---|---|");
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for &width in &flags.widths {
        let (mut time, mut peak) = (Vec::new(), Vec::new());
        for &batch in &flags.batches {
            let [ms, mb, pool] = match measure(&gpu, batch, width, flags.steps) {
                Ok(figures) => figures,
                // What the adapter cannot hold is no point of the plot.
                Err(error) => {
                    println!("| ×{width} | {batch} | – | – | – | – |");
                    eprintln!("growth: width ×{width}, batch {batch}: {error}");
                    continue;
                }
            };
            let rate = 1e3 * batch as f64 / ms;
            println!("| ×{width} | {batch} | {ms:.1} | {rate:.0} | {mb:.1} | {pool:.1} |");
            time.push((batch as f64, ms));
            peak.push((batch as f64, mb));
        }
        let name = format!("width ×{width}");
        times.push(Series { name: name.clone(), points: time });
        peaks.push(Series { name, points: peak });
    }
    let panel = |title: &str, y: &str, series| Panel {
        title: format!("{title}, {}", gpu.info().name),
        x: "batch".to_owned(),
        y: y.to_owned(),
        scale: Scale::Log,
        series,
    };
    plot::draw(&flags.svg, &[panel("Step time", "ms", times), panel("Peak memory", "MB", peaks)])
}
