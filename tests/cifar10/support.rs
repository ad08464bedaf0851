//! The example as a child process, and tiny data sets for it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wgrad::data::{Images, synthetic};

/// Long enough for the slowest run here on a busy machine; a child that takes longer hangs.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A child that does not outlive the test, however that ends.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended by now, and then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a child ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The lines on standard error that report an error: all but the announcement of a software adapter.
    pub fn errors(&self) -> Vec<&str> {
        let ours = |line: &&str| !line.starts_with("wgrad: no hardware GPU in use") && !line.is_empty();
        self.err.lines().filter(ours).collect()
    }

    /// Asserts success, and nothing on standard error.
    #[track_caller]
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        assert_eq!(self.errors(), [""; 0], "{}", self.out);
        self
    }

    /// Asserts this exit code and one or two lines of error that hold all of `parts`.
    #[track_caller]
    pub fn refused(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert!((1..=2).contains(&self.errors().len()), "not one or two lines:\n{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in:\n{}", self.err);
        }
        self
    }
}

/// Files and their bytes, of which a failed assertion shows no more than the lengths.
#[derive(PartialEq)]
pub struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(path, bytes)| (path, bytes.len()))).finish()
    }
}

/// A folder for one test, in which its children run and which is their home.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, to be completed or started by the caller. Its working folder is this place, so that arguments
    /// can be relative.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(example());
        command.args(args);
        self.prepare(&mut command);
        command
    }

    /// Sets folder, environment and pipes.
    pub fn prepare(&self, command: &mut Command) {
        let home = self.0.path();
        command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("HOME", home).env("XDG_CACHE_HOME", home.join("cache")).env("XDG_RUNTIME_DIR", home);
        command.env_remove("CIFAR10_DIR");
        // The driver's cache of compiled shaders is shared, as it would be for a user.
        command.env("MESA_SHADER_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/shaders"));
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        wait(Running::start(&mut self.command(args)))
    }

    /// Runs the example on the data set in `data` in batches of 10.
    pub fn train(&self, args: &[&str]) -> Ended {
        self.run(&[&["--data", "data", "--batch-size", "10"], args].concat())
    }

    /// Writes a data set into `data`: five files of `per_file` training images, and `test` test images.
    pub fn with_data(self, per_file: usize, test: usize) -> Self {
        let folder = self.path("data");
        std::fs::create_dir(&folder).unwrap();
        let split = synthetic::split(5 * per_file, test, 1);
        for i in 0..5 {
            let name = format!("data_batch_{}.bin", i + 1);
            write_records(&folder.join(name), &split.train, i * per_file..(i + 1) * per_file);
        }
        write_records(&folder.join("test_batch.bin"), &split.test, 0..test);
        self
    }

    /// All files here.
    pub fn files(&self) -> Files {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        Files(found)
    }
}

fn write_records(path: &Path, images: &Images, range: std::ops::Range<usize>) {
    let record = |i: usize| [&images.labels[i..=i], images.image(i).unwrap()].concat();
    std::fs::write(path, range.flat_map(record).collect::<Vec<u8>>()).unwrap();
}

/// Where cargo put the example: `cargo test` builds them all, beside the folder of this test.
pub fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = format!("cifar10{}", std::env::consts::EXE_SUFFIX);
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join(file);
    assert!(path.exists(), "{} is not built: run `cargo build --examples` first", path.display());
    path
}

/// Waits for the end of a child; one that takes longer than the deadline hangs.
#[track_caller]
pub fn wait(mut running: Running) -> Ended {
    let child = &mut running.0;
    let status = until("the child ends", || child.try_wait().unwrap());
    let (mut out, mut err) = (String::new(), String::new());
    // What these runs print fits into the pipes, so nothing had to be read before the end.
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut out).unwrap();
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut err).unwrap();
    }
    Ended { code: status.code(), out, err }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A run of one epoch of 4 steps with `--save` and `--checkpoint`, made once: the bytes of both files.
pub fn good() -> &'static (Vec<u8>, Vec<u8>) {
    static GOOD: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let place = Place::new().with_data(8, 10);
        place.train(&["--epochs", "1", "--save", "w.safetensors", "--checkpoint", "run"]).well();
        let read = |name: &str| std::fs::read(place.path(name)).unwrap();
        (read("w.safetensors"), read(CHECKPOINT))
    })
}

/// The checkpoint of a run with `--checkpoint run`.
pub const CHECKPOINT: &str = "run/checkpoint.safetensors";

/// A place with the data set of [`good`] and its checkpoint.
pub fn with_checkpoint() -> Place {
    let place = Place::new().with_data(8, 10);
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::write(place.path(CHECKPOINT), &good().1).unwrap();
    place
}
