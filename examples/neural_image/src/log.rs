//! A line for each frame, for tests and measurements: CSV, written as it happens.

use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::time::Duration;

pub struct Log(LineWriter<File>);

impl Log {
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = LineWriter::new(File::create(path)?);
        writeln!(file, "frame_ms,steps,loss")?;
        Ok(Self(file))
    }

    /// The time since the last frame began, finished steps, the mean loss of the last.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, frame: Duration, steps: u64, loss: Option<f32>) -> io::Result<()> {
        let loss = loss.map(|loss| loss.to_string()).unwrap_or_default();
        writeln!(self.0, "{:.3},{steps},{loss}", frame.as_secs_f64() * 1e3)
    }
}
