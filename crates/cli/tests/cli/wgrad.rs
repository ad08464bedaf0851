//! The command, and what it printed.

use std::path::Path;
use std::process::Command;

/// What a command printed, and its exit code.
pub struct Printed {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Printed {
    /// The standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// Expects this exit code, nothing on standard output, and an error of at most two lines that has these words.
    pub fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{} {}", self.out, self.err);
        let error: Vec<&str> = self.err.lines().filter(|line| !line.contains("software adapter")).collect();
        assert!((1..=2).contains(&error.len()), "{error:?}");
        assert!(words.iter().all(|word| self.err.contains(word)), "{words:?}: {}", self.err);
    }

    /// Expects success, and no control characters, since nothing here is a terminal.
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        for text in [&self.out, &self.err] {
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        }
        self
    }
}

/// Runs the command in `folder`.
pub fn wgrad(folder: &Path, args: &[&str]) -> Printed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
    // Mesa says so where it is not set.
    command.args(args).current_dir(folder).env("XDG_RUNTIME_DIR", folder);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Printed { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the command with these words, in `folder`.
pub fn words(folder: &Path, line: &str) -> Printed {
    wgrad(folder, &line.split_whitespace().collect::<Vec<_>>())
}
