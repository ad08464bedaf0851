//! The progress bar: loss, images a second, time left. Where there is no terminal, only the line of each epoch.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Progress {
    bar: ProgressBar,
    shown: bool,
}

impl Progress {
    /// A bar for an epoch of `images`, of which `done` are done.
    pub(crate) fn new(shown: bool, label: String, images: usize, done: usize) -> Self {
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(images as u64), target).with_prefix(label);
        let template = "{prefix} {wide_bar} {pos}/{len}  loss {msg}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let images_a_second = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                // A bar that cannot be drawn is no reason to stop training.
                let _ = write!(out, "{:.0} images/s", state.per_sec());
            };
            bar.set_style(style.with_key("per_sec", images_a_second));
        }
        bar.set_position(done as u64);
        bar.reset_eta();
        Self { bar, shown }
    }

    pub(crate) fn advance(&self, images: usize) {
        self.bar.inc(images as u64);
    }

    pub(crate) fn loss(&self, loss: f32) {
        self.bar.set_message(format!("{loss:.4}"));
    }

    /// Removes the bar and prints `line` where it stood.
    pub(crate) fn finish(self, line: &str) {
        self.bar.finish_and_clear();
        if self.shown {
            // A closed standard output is no reason to stop training either.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(self) {
        self.bar.finish_and_clear();
    }
}
