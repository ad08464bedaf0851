//! A launch: a kernel with its constants, buffers, parameters and grid, checked and then recorded.

use std::fmt::Write as _;

use wgrad_shaders::Kernel;

use crate::buffer::View;
use crate::gpu::Gpu;
use crate::pipeline::Pipeline;
use crate::recording::{Bound, Command, Dispatch};
use crate::{Error, Result};

/// The most loop iterations one invocation may run, all its loops together. llvmpipe leaves loops silently
/// after this many, with a wrong result; loops that the driver unrolls don't count.
pub const MAX_TRIPS: u64 = 65_535;

/// The most workgroups along one axis of a grid, in WebGPU's default limits.
const MAX_GROUPS: u64 = 65_535;

enum Grid {
    Threads(u64),
    Groups(u64),
    Exact([u32; 3]),
}

/// A launch under construction. [`Launch::record`] checks it and appends it to the recording.
#[must_use = "a launch does nothing until it is recorded"]
pub struct Launch<'a> {
    gpu: &'a Gpu,
    kernel: &'static Kernel,
    header: String,
    bindings: Vec<(&'static str, View)>,
    params: Vec<(&'static str, Value)>,
    trips: Option<u64>,
    grid: Grid,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    U32(u32),
    F32(f32),
}

impl<'a> Launch<'a> {
    pub(crate) fn new(gpu: &'a Gpu, kernel: &'static Kernel) -> Self {
        let (bindings, params) = (Vec::with_capacity(8), Vec::with_capacity(8));
        Self { gpu, kernel, header: String::new(), bindings, params, trips: None, grid: Grid::Threads(1) }
    }

    /// Prepends `const name = value;`, an unsigned integer: a variant of the kernel.
    pub fn constant(mut self, name: &str, value: usize) -> Self {
        // Writing to a String cannot fail.
        let _ = writeln!(self.header, "const {name} = {value}u;");
        self
    }

    /// Prepends a constant array of unsigned integers.
    pub fn constants(mut self, name: &str, values: &[usize]) -> Self {
        let _ = write!(self.header, "const {name} = array<u32, {}>(", values.len());
        for value in values {
            let _ = write!(self.header, "{value}u,");
        }
        self.header.push_str(");\n");
        self
    }

    /// Prepends declarations as they stand.
    pub fn header(mut self, declarations: &str) -> Self {
        self.header.push_str(declarations);
        self
    }

    /// Binds a range of a buffer to the storage variable `name`.
    pub fn bind(mut self, name: &'static str, view: impl Into<View>) -> Self {
        self.bindings.push((name, view.into()));
        self
    }

    /// Sets the parameter `name` of the uniform struct to an integer.
    pub fn set(mut self, name: &'static str, value: usize) -> Self {
        // Sizes beyond u32 are refused where tensors are made; of keys and counters the low bits count.
        self.params.push((name, Value::U32(value as u32)));
        self
    }

    /// Sets the parameter `name` of the uniform struct to a float.
    pub fn set_f32(mut self, name: &'static str, value: f32) -> Self {
        self.params.push((name, Value::F32(value)));
        self
    }

    /// States how many iterations one invocation runs at most, all its loops together; needed for every
    /// kernel that has a loop.
    pub fn trips(mut self, trips: usize) -> Self {
        self.trips = Some(trips as u64);
        self
    }

    /// Runs at least `n` invocations, one-dimensional, folded into rows of workgroups where one axis is too
    /// short: the kernel counts `id.x + id.y * groups.x * WORKGROUP` and ignores what lies beyond `n`.
    pub fn threads(mut self, n: usize) -> Self {
        self.grid = Grid::Threads(n as u64);
        self
    }

    /// Runs at least `n` workgroups, folded like [`Launch::threads`].
    pub fn groups(mut self, n: usize) -> Self {
        self.grid = Grid::Groups(n as u64);
        self
    }

    /// Runs exactly this grid of workgroups.
    pub fn grid(mut self, groups: [usize; 3]) -> Self {
        self.grid = Grid::Exact(groups.map(|n| u32::try_from(n).unwrap_or(u32::MAX)));
        self
    }

    /// Checks the launch and appends it to the recording.
    ///
    /// # Errors
    /// [`Error::Launch`] for a grid or trip count that the adapter would not run as written,
    /// [`Error::Shader`] if the kernel does not compile, [`Error::Lost`].
    ///
    /// # Panics
    /// If a binding or parameter of the kernel is missing or unknown: a slip in the op, not in its input.
    pub fn record(self) -> Result<()> {
        self.gpu.check()?;
        for (_, view) in &self.bindings {
            self.gpu.check_owner(view, self.kernel.name)?;
        }
        let mut state = self.gpu.state();
        let pipeline = state.pipelines.get(self.gpu, self.kernel, &self.header)?;
        self.check_trips(&pipeline)?;
        let grid = self.fold(pipeline.interface.workgroup_size)?;
        if grid.contains(&0) {
            return Ok(());
        }
        let params = self.pack(&pipeline);
        let bindings = self.bound(&pipeline);
        let dispatch = Dispatch { pipeline, bindings, params, grid };
        state.recording.push(self.gpu, Command::Dispatch(dispatch))
    }

    fn error(&self, message: String) -> Error {
        Error::Launch { kernel: self.kernel.name, message }
    }

    fn check_trips(&self, pipeline: &Pipeline) -> Result<()> {
        match self.trips {
            Some(trips) if trips > MAX_TRIPS => Err(self.error(format!(
                "{trips} loop iterations in one invocation; software adapters stop silently after {MAX_TRIPS}: split the work"
            ))),
            None if pipeline.interface.has_loop => Err(self.error("it has a loop but no trip count was stated".to_owned())),
            _ => Ok(()),
        }
    }

    fn fold(&self, size: [u32; 3]) -> Result<[u32; 3]> {
        let limit = MAX_GROUPS.min(u64::from(self.gpu.limits().max_compute_workgroups_per_dimension));
        let groups = match self.grid {
            Grid::Exact(grid) => {
                return if grid.iter().any(|&n| u64::from(n) > limit) {
                    Err(self.error(format!(
                        "a grid of {grid:?} workgroups; the adapter's limit is {limit} along each axis"
                    )))
                } else {
                    Ok(grid)
                };
            }
            Grid::Threads(n) => n.div_ceil(u64::from(size[0])),
            Grid::Groups(n) => n,
        };
        let rows = groups.div_ceil(limit);
        if rows > limit {
            return Err(
                self.error(format!("{groups} workgroups are more than the adapter's {limit} × {limit}"))
            );
        }
        Ok([groups.div_ceil(rows.max(1)) as u32, rows as u32, 1])
    }

    /// The uniform struct's bytes.
    fn pack(&self, pipeline: &Pipeline) -> Vec<u8> {
        let Some(uniform) = &pipeline.interface.uniform else {
            assert!(self.params.is_empty(), "{} has no parameters", self.kernel.name);
            return Vec::new();
        };
        let mut bytes = vec![0; uniform.size as usize];
        for param in &uniform.params {
            let (_, value) = self
                .params
                .iter()
                .find(|(name, _)| *name == param.name)
                .unwrap_or_else(|| panic!("{}: parameter {} is not set", self.kernel.name, param.name));
            let word = match (value, param.kind) {
                (Value::U32(v), naga::ScalarKind::Uint) => v.to_le_bytes(),
                (Value::F32(v), naga::ScalarKind::Float) => v.to_le_bytes(),
                _ => panic!(
                    "{}: parameter {} is a {:?}, set to {value:?}",
                    self.kernel.name, param.name, param.kind
                ),
            };
            let at = param.offset as usize;
            bytes[at..at + 4].copy_from_slice(&word);
        }
        bytes
    }

    fn bound(&self, pipeline: &Pipeline) -> Vec<Bound> {
        let storage = &pipeline.interface.storage;
        for (name, _) in &self.bindings {
            assert!(storage.iter().any(|s| s.name == *name), "{} has no binding {name}", self.kernel.name);
        }
        let find = |wanted: &str| {
            let found = self.bindings.iter().find(|(name, _)| *name == wanted);
            &found.unwrap_or_else(|| panic!("{}: binding {wanted} is not bound", self.kernel.name)).1
        };
        storage.iter().map(|s| Bound::new(s.slot, find(&s.name))).collect()
    }
}
