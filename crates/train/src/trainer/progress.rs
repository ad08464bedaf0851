//! The progress of an epoch: a bar on a terminal, with loss, images a second and time left. Where there is none, a line now and
//! then. Without the feature `terminal` nothing is shown.

#[cfg(feature = "terminal")]
pub(crate) use shown::{Progress, print_line};
#[cfg(not(feature = "terminal"))]
pub(crate) use silent::{Progress, print_line};

#[cfg(feature = "terminal")]
mod shown {
    use std::cell::Cell;
    use std::io::{IsTerminal as _, Write as _};
    use std::time::{Duration, Instant};

    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    /// Between two lines of an epoch where there is no terminal.
    const PAUSE: Duration = Duration::from_secs(30);

    /// Prints a line; a closed standard output is no reason to stop training.
    pub(crate) fn print_line(line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    pub(crate) struct Progress {
        bar: ProgressBar,
        label: String,
        shown: bool,
        /// When the next line is due, where there is no bar.
        next: Cell<Option<Instant>>,
        loss: Cell<Option<f32>>,
    }

    impl Progress {
        /// For an epoch of `rows`, of which `done` are done.
        pub(crate) fn new(shown: bool, label: String, rows: usize, done: usize) -> Self {
            let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
            let bar = ProgressBar::with_draw_target(Some(rows as u64), target).with_prefix(label.clone());
            let template = "{prefix} {wide_bar} {pos}/{len}  loss {msg}  {per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                let rows_a_second = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                    // A bar that cannot be drawn is no reason to stop training.
                    let _ = write!(out, "{:.0} rows/s", state.per_sec());
                };
                bar.set_style(style.with_key("per_sec", rows_a_second));
            }
            bar.set_position(done as u64);
            bar.reset_eta();
            let plain = shown && !std::io::stderr().is_terminal();
            let next = Cell::new(plain.then(|| Instant::now() + PAUSE));
            Self { bar, label, shown, next, loss: Cell::new(None) }
        }

        pub(crate) fn advance(&self, rows: usize) {
            self.bar.inc(rows as u64);
            if self.next.get().is_some_and(|next| Instant::now() >= next) {
                let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
                let loss = self.loss.get().map(|loss| format!("  loss {loss:.4}")).unwrap_or_default();
                print_line(&format!("{}  {done}/{all}{loss}", self.label));
                self.next.set(Some(Instant::now() + PAUSE));
            }
        }

        pub(crate) fn loss(&self, loss: f32) {
            self.loss.set(Some(loss));
            self.bar.set_message(format!("{loss:.4}"));
        }

        /// Removes the bar and prints `line` where it stood.
        pub(crate) fn finish(self, line: &str) {
            self.bar.finish_and_clear();
            if self.shown {
                print_line(line);
            }
        }

        /// Removes the bar.
        pub(crate) fn clear(self) {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "terminal"))]
mod silent {
    pub(crate) fn print_line(_: &str) {}

    pub(crate) struct Progress;

    impl Progress {
        pub(crate) fn new(_: bool, _: String, _: usize, _: usize) -> Self {
            Self
        }

        pub(crate) fn advance(&self, _: usize) {}

        pub(crate) fn loss(&self, _: f32) {}

        pub(crate) fn finish(self, _: &str) {}

        pub(crate) fn clear(self) {}
    }
}
