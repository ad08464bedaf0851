//! What the parts run with: a Vulkan loader and a driver, and nothing that they would leave outside of OUT.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::io;
use crate::records::Records;
use crate::{Error, Result};

/// The environment of the parts.
pub struct Setup {
    /// What `ci/gpu pack` filled.
    pub folder: PathBuf,
    program: PathBuf,
    variables: Vec<(&'static str, OsString)>,
    home: Option<OsString>,
}

/// Folders in which the Vulkan loader looks for drivers by itself.
const DRIVER_FOLDERS: [&str; 4] = [
    "/etc/vulkan/icd.d",
    "/usr/share/vulkan/icd.d",
    "/usr/local/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
];

/// Where containers get NVIDIA's file, if they get it.
const NVIDIA_ELSEWHERE: &str = "/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json";

impl Setup {
    /// For the packed folder `folder`, with everything that is left behind in OUT's scratch folder.
    ///
    /// # Errors
    /// [`Error::Io`] if there can be none.
    pub fn new(folder: &Path, records: &Records) -> Result<Self> {
        let program = std::env::current_exe().map_err(io("gpu-check"))?;
        let folder = folder.canonicalize().map_err(io(folder))?;
        let home = std::env::var_os("HOME");
        let mut setup = Self { folder, program, variables: Vec::new(), home };
        for (name, scratch) in [
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "cache"),
            ("TMPDIR", "tmp"),
            ("MESA_SHADER_CACHE_DIR", "mesa"),
            ("__GL_SHADER_DISK_CACHE_PATH", "nvidia"),
            ("CUDA_CACHE_PATH", "cuda"),
        ] {
            setup.variables.push((name, records.scratch(scratch)?.into()));
        }
        if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            setup.variables.push(("XDG_RUNTIME_DIR", records.scratch("runtime")?.into()));
        }
        setup.variables.push(("WGRAD_FIXTURES", setup.folder.join("fixtures").into()));
        setup.loader(records);
        setup.driver(records);
        Ok(setup)
    }

    /// Uses the packed Vulkan loader where the system has none that works.
    fn loader(&mut self, records: &Records) {
        // SAFETY: loading the Vulkan loader runs its initialisers, which every Vulkan program trusts.
        if unsafe { ash::Entry::load() }.is_ok() {
            return;
        }
        let lib = self.folder.join("lib");
        if !lib.join("libvulkan.so.1").exists() {
            records.say(
                "setup",
                "no Vulkan loader: the system has none, and the folder's lib/libvulkan.so.1 is missing",
            );
            return;
        }
        records.say("setup", "the system has no Vulkan loader: the folder's own is used");
        let mut path = lib.into_os_string();
        if let Some(others) = std::env::var_os("LD_LIBRARY_PATH") {
            path.push(":");
            path.push(others);
        }
        self.variables.push(("LD_LIBRARY_PATH", path));
    }

    /// Names NVIDIA's driver where there is a card but no file that would tell the loader of it, as in containers that
    /// were given the driver for CUDA's sake.
    fn driver(&mut self, records: &Records) {
        let chosen = |name| std::env::var_os(name).is_some();
        if chosen("VK_DRIVER_FILES")
            || chosen("VK_ICD_FILENAMES")
            || !Path::new("/proc/driver/nvidia").exists()
        {
            return;
        }
        let entries =
            DRIVER_FOLDERS.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let known: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        if known.iter().any(|file| file.to_string_lossy().contains("nvidia")) {
            return;
        }
        let elsewhere = Path::new(NVIDIA_ELSEWHERE);
        let nvidia =
            if elsewhere.exists() { elsewhere.to_owned() } else { self.folder.join("lib/nvidia_icd.json") };
        records.say("setup", &format!("no file tells of NVIDIA's Vulkan driver: {} does", nvidia.display()));
        let files: Vec<PathBuf> = std::iter::once(nvidia).chain(known).collect();
        if let Ok(files) = std::env::join_paths(files) {
            // The second name is that of older loaders.
            self.variables.push(("VK_DRIVER_FILES", files.clone()));
            self.variables.push(("VK_ICD_FILENAMES", files));
        }
    }

    /// A program of the packed folder, or of the system.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// This program, for a part.
    pub fn own(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.program);
        command.args(arguments);
        command
    }

    /// Python, with the packages that its user has.
    pub fn python(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(std::env::var_os("PYTHON").map_or("python3".into(), PathBuf::from));
        command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        if let (Some(home), None) = (&self.home, std::env::var_os("PYTHONUSERBASE")) {
            command.env("PYTHONUSERBASE", Path::new(home).join(".local"));
        }
        command
    }

    /// The program of all tests.
    ///
    /// # Errors
    /// [`Error::Refused`] if the folder has none.
    pub fn suite(&self) -> Result<PathBuf> {
        let suite = self.folder.join("bin/suite");
        if suite.exists() {
            Ok(suite)
        } else {
            Err(Error::Refused(format!("{} is missing", suite.display())))
        }
    }
}
