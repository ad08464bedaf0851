//! OUT: a line of JSON for each thing found, written as it is found, and a log of what the processes said.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::error::io;
use crate::{Error, Result};

/// The file of results in OUT.
pub const RESULTS: &str = "results.jsonl";

/// A file that several threads append lines to. A line is one write, so that what was written survives a kill.
#[derive(Clone)]
pub struct Log(Arc<Mutex<File>>);

impl Log {
    fn create(path: &Path) -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(File::create(path).map_err(io(path))?))))
    }

    fn write(&self, line: &str) -> std::io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes())
    }

    /// Appends a line of `who`.
    pub fn line(&self, who: &str, line: &str) {
        // What cannot be logged must not stop what is measured.
        let _ = self.write(&format!("{who}: {line}"));
    }
}

/// Where a run's results go.
pub struct Records {
    /// OUT.
    pub folder: PathBuf,
    results: Log,
    log: Log,
}

impl Records {
    /// Makes the folder, and its files anew.
    ///
    /// # Errors
    /// [`Error::Refused`] if it cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        let made = || -> Result<Self> {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
            // Processes get it as it is, wherever they run.
            let folder = folder.canonicalize().map_err(io(folder))?;
            let (results, log) = (Log::create(&folder.join(RESULTS))?, Log::create(&folder.join("log.txt"))?);
            Ok(Self { folder, results, log })
        };
        made().map_err(|error| Error::Refused(format!("OUT cannot be written: {}", error.line())))
    }

    /// The log.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Appends a result of `part`.
    ///
    /// # Errors
    /// [`Error::Io`], as where the disk is full.
    pub fn add(&self, part: &str, mut result: Value) -> Result<()> {
        result["part"] = json!(part);
        self.results.write(&result.to_string()).map_err(io(self.folder.join(RESULTS)))
    }

    /// Says a line of `part` aloud, and logs it.
    pub fn say(&self, part: &str, line: &str) {
        println!("{part}: {line}");
        self.log.line(part, line);
    }

    /// A folder below OUT for what processes leave behind; it is removed at the end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("scratch").join(name);
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        Ok(folder)
    }

    /// Removes what [`Records::scratch`] made.
    pub fn clean(&self) {
        let _ = std::fs::remove_dir_all(self.folder.join("scratch"));
    }
}

/// The results of a run.
///
/// # Errors
/// [`Error::Io`], and [`Error::Refused`] for a file that is none of `gpu-check`'s. A last line that was cut short is left out.
pub fn read(folder: &Path) -> Result<Vec<Value>> {
    let path = folder.join(RESULTS);
    let text = std::fs::read_to_string(&path).map_err(io(&path))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut results = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(result) => results.push(result),
            Err(_) if i + 1 == lines.len() => {}
            Err(error) => {
                return Err(Error::Refused(format!("{}:{}: {error}", path.display(), i + 1)));
            }
        }
    }
    Ok(results)
}
