//! A line for each frame, for tests and measurements: CSV, written as it happens.

use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::time::Duration;

pub struct Log(LineWriter<File>);

/// One frame: how long it was, how much of it `ui` took, whether the network learned, finished steps, the last loss.
pub struct Line {
    pub frame: Duration,
    pub ui: Duration,
    pub training: bool,
    pub steps: u64,
    pub loss: Option<f32>,
}

impl Log {
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = LineWriter::new(File::create(path)?);
        writeln!(file, "frame_ms,ui_ms,training,steps,loss")?;
        Ok(Self(file))
    }

    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        let [frame, ui] = [line.frame, line.ui].map(|time| time.as_secs_f64() * 1e3);
        let loss = line.loss.map(|loss| loss.to_string()).unwrap_or_default();
        writeln!(self.0, "{frame:.3},{ui:.3},{},{},{loss}", u8::from(line.training), line.steps)
    }
}
