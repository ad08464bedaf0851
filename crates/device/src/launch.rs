//! A launch: a kernel with its constants, buffers, parameters and grid, checked and then recorded.

use std::sync::atomic::Ordering;
use std::time::Instant;

use wgrad_shaders::Kernel;

use crate::bind_groups::Resources;
use crate::buffer::View;
use crate::gpu::{Gpu, State};
use crate::pipeline::Pipeline;
use crate::profile::Note;
use crate::recording::Part;
use crate::reflect::{Binding, Interface};
use crate::{Error, Result, writes};

/// The most loop iterations that one invocation runs on adapters that cut loops short, all its loops together and each loop's
/// last check counted: llvmpipe before Mesa 25 leaves loops silently after this many, with a wrong result. Loops that the
/// driver unrolls don't count. [`Gpu::loop_limit`] tells whether it holds for a device.
pub const MAX_TRIPS: u64 = 65_535;

/// The most workgroups along one axis of a grid, in WebGPU's default limits.
pub(crate) const MAX_GROUPS: u64 = 65_535;

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
    textures: Vec<(&'static str, wgpu::TextureView)>,
    unchanged: &'static [&'static str],
    params: Vec<(&'static str, Value)>,
    trips: Option<u64>,
    grid: Grid,
    note: Note,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    U32(u32),
    F32(f32),
}

impl<'a> Launch<'a> {
    pub(crate) fn new(gpu: &'a Gpu, kernel: &'static Kernel) -> Self {
        // Room for the largest launches, so that none of the lists grows.
        let (bindings, params) = (Vec::with_capacity(8), Vec::with_capacity(20));
        let (header, textures, trips, grid) = (String::new(), Vec::new(), None, Grid::Threads(1));
        // Reading the clock costs as much as two bindings, so it is read for a profile only.
        let started = gpu.0.profiling.load(Ordering::Relaxed).then(Instant::now);
        let note = Note { flops: None, bytes_read: None, started };
        Self { gpu, kernel, header, bindings, textures, unchanged: &[], params, trips, grid, note }
    }

    /// Prepends `const name = value;`, an unsigned integer: a variant of the kernel.
    pub fn constant(mut self, name: &str, value: usize) -> Self {
        self.push(&["const ", name, " = "]);
        self.push_number(value);
        self.push(&[";\n"]);
        self
    }

    /// Prepends a constant array of unsigned integers.
    pub fn constants(mut self, name: &str, values: &[usize]) -> Self {
        self.push(&["const ", name, " = array("]);
        for &value in values {
            self.push_number(value);
            self.push(&[","]);
        }
        self.push(&[");\n"]);
        self
    }

    /// Prepends declarations as they stand.
    pub fn header(mut self, declarations: &str) -> Self {
        self.header.push_str(declarations);
        self
    }

    fn push(&mut self, words: &[&str]) {
        if self.header.capacity() == 0 {
            self.header.reserve(256);
        }
        words.iter().for_each(|word| self.header.push_str(word));
    }

    /// An unsigned literal. Every launch of a variant writes its constants, and the formatting machinery would cost
    /// more than the rest of the launch.
    fn push_number(&mut self, value: usize) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.header.extend(digits[at..].iter().map(|&digit| char::from(digit)));
        self.header.push('u');
    }

    /// Binds a range of a buffer to the storage variable `name`.
    #[inline]
    pub fn bind(mut self, name: &'static str, view: impl Into<View>) -> Self {
        self.bindings.push((name, view.into()));
        self
    }

    /// Binds a view of an application's texture to the texture variable `name`. It is kept until the launch has been
    /// submitted; what wgpu has against it shows at the submission.
    pub fn texture(mut self, name: &'static str, view: wgpu::TextureView) -> Self {
        self.textures.push((name, view));
        self
    }

    /// States that this variant of the kernel leaves what is bound to these writable variables as it is. All others that
    /// the kernel writes count as changed, which a backward pass over what was there before would be refused for.
    #[inline]
    pub fn unchanged(mut self, names: &'static [&'static str]) -> Self {
        self.unchanged = names;
        self
    }

    /// Sets the parameter `name` of the uniform struct to an integer.
    #[inline]
    pub fn set(mut self, name: &'static str, value: usize) -> Self {
        // Sizes beyond u32 are refused where tensors are made; of keys and counters the low bits count.
        self.params.push((name, Value::U32(value as u32)));
        self
    }

    /// Sets the parameter `name` of the uniform struct to a float.
    #[inline]
    pub fn set_f32(mut self, name: &'static str, value: f32) -> Self {
        self.params.push((name, Value::F32(value)));
        self
    }

    /// States how many iterations one invocation runs at most, all its loops together; needed for every
    /// kernel that has a loop. The check by which a loop ends counts as one more: a loop over n elements takes n + 1.
    #[inline]
    pub fn trips(mut self, trips: usize) -> Self {
        self.trips = Some(trips as u64);
        self
    }

    /// States the launch's floating-point operations, two for a multiply-add, for profiles.
    #[inline]
    pub fn flops(mut self, flops: u64) -> Self {
        self.note.flops = Some(flops);
        self
    }

    /// States the bytes that the launch reads, for profiles, where it reads only a part of what is bound.
    #[inline]
    pub fn bytes_read(mut self, bytes: u64) -> Self {
        self.note.bytes_read = Some(bytes);
        self
    }

    /// Runs at least `n` invocations, one-dimensional, folded into rows of workgroups where one axis is too
    /// short: the kernel counts `id.x + id.y * groups.x * WORKGROUP` and ignores what lies beyond `n`.
    #[inline]
    pub fn threads(mut self, n: usize) -> Self {
        self.grid = Grid::Threads(n as u64);
        self
    }

    /// Runs at least `n` workgroups, folded like [`Launch::threads`].
    #[inline]
    pub fn groups(mut self, n: usize) -> Self {
        self.grid = Grid::Groups(n as u64);
        self
    }

    /// Runs exactly this grid of workgroups.
    #[inline]
    pub fn grid(mut self, groups: [usize; 3]) -> Self {
        self.grid = Grid::Exact(groups.map(|n| u32::try_from(n).unwrap_or(u32::MAX)));
        self
    }

    /// Checks the launch and appends it to the recording.
    ///
    /// # Errors
    /// [`Error::Launch`] for a grid or trip count that the adapter would not run as written,
    /// [`Error::Shader`] if the kernel does not compile, [`Error::Lost`]; [`Error::Changed`] within [`crate::reading_saved`].
    ///
    /// # Panics
    /// If a binding or parameter of the kernel is missing or unknown: a slip in the op, not in its input.
    pub fn record(mut self) -> Result<()> {
        self.gpu.check()?;
        for (_, view) in &self.bindings {
            self.gpu.check_owner(view, self.kernel.name)?;
        }
        let mut state = self.gpu.state();
        let State { pipelines, recording } = &mut *state;
        let pipeline = pipelines.get(self.gpu, self.kernel, &self.header)?;
        self.check_trips(&pipeline)?;
        let (grid, part) = self.grid_of(&pipeline)?;
        if grid.contains(&0) {
            return Ok(());
        }
        self.order_bindings(&pipeline);
        self.check_saved(&pipeline)?;
        let resources = Resources { views: &self.bindings, textures: &self.textures };
        let pack = |bytes: &mut [u8]| self.pack(&pipeline, bytes);
        recording.dispatch(self.gpu, &pipeline, resources, pack, (grid, part), self.note)?;
        self.note_writes(&pipeline);
        Ok(())
    }

    /// Fails if a backward pass reads what was changed under it.
    fn check_saved(&self, pipeline: &Pipeline) -> Result<()> {
        if writes::saved().is_none() {
            return Ok(());
        }
        // A page does not know which writable variables are read as well.
        let reads = |binding: &Binding| binding.read && !(cfg!(target_arch = "wasm32") && binding.writable);
        let bound = self.bindings.iter().zip(&pipeline.interface.storage);
        bound
            .filter(|(_, binding)| reads(binding))
            .try_for_each(|((_, view), _)| view.check_saved(self.kernel.name))
    }

    /// Takes note of what the launch writes.
    fn note_writes(&self, pipeline: &Pipeline) {
        let at = writes::unique();
        for ((name, view), binding) in self.bindings.iter().zip(&pipeline.interface.storage) {
            if binding.written && !self.unchanged.contains(name) {
                view.note_write(at);
            }
        }
    }

    fn error(&self, message: String) -> Error {
        Error::Launch { kernel: self.kernel.name, message }
    }

    fn check_trips(&self, pipeline: &Pipeline) -> Result<()> {
        match self.trips {
            Some(trips) if trips > self.gpu.loop_limit() => Err(self.error(format!(
                "{trips} loop iterations in one invocation; this adapter stops silently after {MAX_TRIPS}: split the work"
            ))),
            None if pipeline.interface.has_loop => Err(self.error("it has a loop but no trip count was stated".to_owned())),
            _ => Ok(()),
        }
    }

    /// The grid, and where the launch may be cut, its workgroups as they are counted.
    fn grid_of(&self, pipeline: &Pipeline) -> Result<([u32; 3], Option<Part>)> {
        let limit = MAX_GROUPS.min(u64::from(self.gpu.limits().max_compute_workgroups_per_dimension));
        let groups = match self.grid {
            Grid::Exact(grid) if grid.iter().any(|&n| u64::from(n) > limit) => {
                return Err(self.error(format!(
                    "a grid of {grid:?} workgroups; the adapter's limit is {limit} along each axis"
                )));
            }
            Grid::Exact(grid) => return Ok((grid, None)),
            Grid::Threads(n) => n.div_ceil(u64::from(pipeline.interface.workgroup_size[0])),
            Grid::Groups(n) => n,
        };
        let grid = fold(groups, limit).ok_or_else(|| {
            self.error(format!("{groups} workgroups are more than the adapter's {limit} × {limit}"))
        })?;
        let can_be_cut =
            pipeline.interface.uniform.as_ref().is_some_and(|uniform| uniform.first_group.is_some());
        let count = groups as u32;
        Ok((grid, can_be_cut.then_some(Part { first: 0, count, whole: count })))
    }

    /// Brings the bindings into the order in which the kernel declares them.
    fn order_bindings(&mut self, pipeline: &Pipeline) {
        let Interface { storage, textures, .. } = &pipeline.interface;
        order(self.kernel.name, &mut self.bindings, storage.iter().map(|binding| &binding.name));
        order(self.kernel.name, &mut self.textures, textures.iter().map(|binding| &binding.name));
    }

    /// Writes the uniform struct.
    fn pack(&self, pipeline: &Pipeline, bytes: &mut [u8]) {
        let params = pipeline.interface.uniform.as_ref().map_or(&[][..], |uniform| &uniform.params);
        // The search begins behind the one found before: most launches set things in the kernel's order.
        let mut next = 0;
        for param in params {
            let (before, behind) = self.params.split_at(next);
            let found = behind.iter().chain(before).position(|(name, _)| *name == param.name);
            let found =
                found.unwrap_or_else(|| panic!("{}: parameter {} is not set", self.kernel.name, param.name));
            let at = (next + found) % self.params.len();
            next = at + 1;
            let value = self.params[at].1;
            let word = match (value, param.kind) {
                (Value::U32(v), naga::ScalarKind::Uint) => v.to_le_bytes(),
                (Value::F32(v), naga::ScalarKind::Float) => v.to_le_bytes(),
                _ => panic!(
                    "{}: parameter {} is a {:?}, set to {value:?}",
                    self.kernel.name, param.name, param.kind
                ),
            };
            let offset = param.offset as usize;
            bytes[offset..offset + 4].copy_from_slice(&word);
        }
        // As many as there are, and each was found: then none is unknown.
        assert!(
            self.params.len() == params.len()
                || self.params.iter().all(|(name, _)| params.iter().any(|p| p.name == *name)),
            "{}: a parameter is set that it does not have",
            self.kernel.name
        );
    }
}

/// Folds `groups` workgroups into rows, all of one length, where one axis of `limit` is too short.
pub(crate) fn fold(groups: u64, limit: u64) -> Option<[u32; 3]> {
    let rows = groups.div_ceil(limit);
    (rows <= limit).then(|| [groups.div_ceil(rows.max(1)) as u32, rows as u32, 1])
}

/// Brings what is bound into the order of the names `wanted`.
fn order<'a, T>(
    kernel: &str,
    bound: &mut [(&'static str, T)],
    wanted: impl ExactSizeIterator<Item = &'a String>,
) {
    let count = wanted.len();
    for (i, wanted) in wanted.enumerate() {
        let found = bound.iter().skip(i).position(|(name, _)| name == wanted);
        let found = found.unwrap_or_else(|| panic!("{kernel}: binding {wanted} is not bound"));
        bound.swap(i, i + found);
    }
    if let Some((name, _)) = bound.get(count) {
        panic!("{kernel} has no binding {name}");
    }
}
