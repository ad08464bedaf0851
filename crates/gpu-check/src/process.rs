//! Processes that write a line at a time, and that end when their time is up.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{io, one_line};
use crate::records::Records;
use crate::{Error, Result};

/// What a process does next.
#[derive(Debug)]
pub enum Next {
    /// It wrote a line to its standard output.
    Line(String),
    /// It ended.
    End(ExitStatus),
    /// Nothing came in time.
    Late,
}

/// A process whose standard output is read line by line; its standard error goes to the log.
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// The last lines of its standard error.
    complaints: Arc<Mutex<VecDeque<String>>>,
}

/// Reads lines until there are none, whatever bytes they are made of.
fn each_line(from: impl Read, mut take: impl FnMut(String)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = from.read_until(b'\n', &mut line) {
        take(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

impl Process {
    /// Starts `command`; `name` marks its lines in the log.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be started.
    pub fn start(name: &str, mut command: Command, records: &Records) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().to_owned();
        let mut child = command.spawn().map_err(io(program))?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || each_line(stdout, |line| drop(sender.send(line))));
        }
        let complaints = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stderr) = child.stderr.take() {
            let (complaints, log, name) = (Arc::clone(&complaints), records.log(), name.to_owned());
            std::thread::spawn(move || {
                each_line(stderr, |line| {
                    log.line(&name, &line);
                    let mut last = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                    last.push_back(line);
                    if last.len() > 200 {
                        last.pop_front();
                    }
                });
            });
        }
        Ok(Self { name: name.to_owned(), child, lines, complaints })
    }

    /// What it does next, until `deadline`.
    pub fn next(&mut self, deadline: Instant) -> Next {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => Next::Line(line),
            Err(RecvTimeoutError::Timeout) => Next::Late,
            // It closed its output, and has a moment to end.
            Err(RecvTimeoutError::Disconnected) => loop {
                match self.child.try_wait() {
                    Ok(Some(status)) => break Next::End(status),
                    _ if Instant::now() >= deadline => break Next::Late,
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
            },
        }
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// [`Error::Io`] if it has ended.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let Some(stdin) = &mut self.child.stdin else { return Ok(()) };
        let written = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        written.map_err(io(&self.name))
    }

    /// Its last words on standard error, as one line: what follows a panic's place, or else the last line.
    pub fn complaint(&self) -> String {
        // The thread that reads them may be a moment behind.
        std::thread::sleep(Duration::from_millis(20));
        let lines = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        one_line(&last_words(&lines))
    }
}

/// What a process said last: the message of its last panic, or else its last line.
fn last_words(lines: &[&str]) -> String {
    let panicked = |line: &&str| line.starts_with("thread '") && line.contains("panicked at");
    match lines.iter().rposition(panicked) {
        Some(at) => {
            let message = lines[at + 1..].iter().take_while(|line| !line.starts_with("note: run with"));
            message.take(3).copied().collect::<Vec<_>>().join(" ")
        }
        None => lines.last().map_or_else(String::new, |line| (*line).to_owned()),
    }
}

impl Drop for Process {
    /// Ends it, whatever it is at.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process came to its end.
pub fn ended(process: &Process, status: ExitStatus) -> Result<(), Error> {
    match status.code() {
        Some(0) => Ok(()),
        code => {
            let how = code.map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
            let complaint = process.complaint();
            Err(Error::Refused(if complaint.is_empty() { how } else { format!("{complaint} ({how})") }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_a_panics_message_or_the_last_line() {
        let lines = [
            "warning",
            "thread 'x' (7) panicked at a.rs:1:2:",
            "it broke",
            "note: run with `RUST_BACKTRACE=1`",
        ];
        assert_eq!(last_words(&lines), "it broke");
        assert_eq!(last_words(&["one", "two"]), "two");
        assert_eq!(last_words(&[]), "");
    }
}
