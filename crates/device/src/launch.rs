//! A launch: a kernel with what it declares, binds and sets, and its grid, checked and then recorded.

use std::sync::atomic::Ordering;
use std::time::Instant;

use wgrad_shaders::Kernel;

use crate::bind_groups::Resources;
use crate::buffer::View;
use crate::compose::Declared;
use crate::gpu::{Gpu, State};
use crate::pipeline::{Pipeline, Trust};
use crate::platform::IN_BROWSER;
use crate::profile::Note;
use crate::recording::Part;
use crate::reflect::{Binding, Interface, Param, ParamKind};
use crate::{Error, Result, writes};

/// The most loop iterations that one invocation runs on adapters that cut loops short, all its loops together and each loop's
/// last check counted: llvmpipe before Mesa 25 leaves loops silently after this many, with a wrong result. Loops that the
/// driver unrolls don't count. [`Gpu::loop_limit`] tells whether it holds for a device.
pub const MAX_ITERATIONS: u64 = 65_535;

/// The most workgroups along one axis of a grid, in WebGPU's default limits.
pub(crate) const MAX_GROUPS: u64 = 65_535;

enum Grid {
    Threads(u64),
    Groups(u64),
    Exact([u32; 3]),
}

/// A launch under construction. [`Launch::enqueue`] checks it and appends it to the recording.
#[must_use = "a launch does nothing until it is recorded"]
pub struct Launch<'a> {
    gpu: &'a Gpu,
    kernel: Kernel<'a>,
    trust: Trust,
    declared: Vec<(&'static str, Declared)>,
    bindings: Vec<(&'static str, View)>,
    textures: Vec<(&'static str, wgpu::TextureView)>,
    unchanged: &'static [&'static str],
    changed: Vec<(&'static str, View)>,
    params: Vec<(&'static str, Value)>,
    rows: Vec<[u32; 4]>,
    max_iterations: Option<u64>,
    grid: Grid,
    note: Note,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    U32(u32),
    F32(f32),
    /// As many rows of [`Launch::rows`], from this one on.
    Rows(u32, u32),
}

impl<'a> Launch<'a> {
    pub(crate) fn new(gpu: &'a Gpu, kernel: Kernel<'a>, trust: Trust) -> Self {
        // Room for the largest launches, so that none of the lists grows.
        let (bindings, params) = (Vec::with_capacity(8), Vec::with_capacity(20));
        let (declared, textures, rows) = (Vec::new(), Vec::new(), Vec::new());
        let (max_iterations, grid) = (None, Grid::Threads(1));
        // Reading the clock costs as much as two bindings, so it is read for a profile only.
        let started = gpu.0.profiling.load(Ordering::Relaxed).then(Instant::now);
        let note = Note { flops: None, bytes_read: None, started };
        let (unchanged, changed): (&[&str], _) = (&[], Vec::new());
        Self {
            gpu,
            kernel,
            trust,
            declared,
            bindings,
            textures,
            unchanged,
            changed,
            params,
            rows,
            max_iterations,
            grid,
            note,
        }
    }

    fn declare(&mut self, name: &'static str, value: Declared) {
        if self.declared.capacity() == 0 {
            self.declared.reserve(20);
        }
        self.declared.push((name, value));
    }

    /// Declares `const name = value;`, an unsigned integer: a variant of the kernel, compiled when it is first launched.
    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.declare(name, Declared::Number(value));
        self
    }

    /// As [`Launch::constant`], several.
    pub fn constants(self, constants: impl IntoIterator<Item = (&'static str, usize)>) -> Self {
        constants.into_iter().fold(self, |launch, (name, value)| launch.constant(name, value))
    }

    /// Declares `alias name = type;`: a variant of the kernel. f16 is enabled where the type names it.
    pub fn alias(mut self, name: &'static str, wgsl_type: &'static str) -> Self {
        self.declare(name, Declared::Type(wgsl_type));
        self
    }

    /// Binds a range of a buffer to the storage variable `name`.
    #[inline]
    pub fn bind(mut self, name: &'static str, view: impl Into<View>) -> Self {
        self.bindings.push((name, view.into()));
        self
    }

    /// As [`Launch::bind`], several.
    #[inline]
    pub fn bind_all<const N: usize>(mut self, views: [(&'static str, View); N]) -> Self {
        self.bindings.extend(views);
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

    /// States that of what is bound to the writable variable `name` the kernel changes no more than these parts, which
    /// alone then count as changed: an optimizer's step leaves frozen parameters as they are.
    pub fn changes(mut self, name: &'static str, parts: impl IntoIterator<Item = View>) -> Self {
        self.changed.extend(parts.into_iter().map(|part| (name, part)));
        self
    }

    /// Sets the parameter `name` of the uniform struct to an integer.
    #[inline]
    pub fn set(mut self, name: &'static str, value: usize) -> Self {
        // Sizes beyond u32 are refused where tensors are made; of keys and counters the low bits count.
        self.params.push((name, Value::U32(value as u32)));
        self
    }

    /// As [`Launch::set`], several.
    #[inline]
    pub fn set_all<const N: usize>(mut self, values: [(&'static str, usize); N]) -> Self {
        self.params.extend(values.map(|(name, value)| (name, Value::U32(value as u32))));
        self
    }

    /// Sets the parameter `name` of the uniform struct to a float.
    #[inline]
    pub fn set_f32(mut self, name: &'static str, value: f32) -> Self {
        self.params.push((name, Value::F32(value)));
        self
    }

    /// As [`Launch::set_f32`], several.
    #[inline]
    pub fn set_all_f32<const N: usize>(mut self, values: [(&'static str, f32); N]) -> Self {
        self.params.extend(values.map(|(name, value)| (name, Value::F32(value))));
        self
    }

    /// Sets the parameter `name` of the uniform struct, an array of as many `vec4<u32>`.
    pub fn set_rows(mut self, name: &'static str, rows: impl IntoIterator<Item = [usize; 4]>) -> Self {
        let first = self.rows.len();
        self.rows.extend(rows.into_iter().map(|row| row.map(|n| n as u32)));
        self.params.push((name, Value::Rows(first as u32, (self.rows.len() - first) as u32)));
        self
    }

    /// States how many iterations one invocation runs at most, all its loops together; needed for every
    /// kernel that has a loop. The check by which a loop ends counts as one more: a loop over n elements takes n + 1.
    #[inline]
    pub fn max_iterations(mut self, n: usize) -> Self {
        self.max_iterations = Some(n as u64);
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
    /// short: the kernel counts `id.x + id.y * groups.x * WORKGROUP` and ignores what lies beyond `n`. If its parameters
    /// have a `first_group`, the launch may be cut, and the kernel counts workgroups from that one on.
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

    /// The module that this launch runs, as text.
    ///
    /// # Errors
    /// [`Error::Shader`] for more files than can be chosen, or a file that does not exist.
    pub fn source(&self) -> Result<String> {
        self.gpu.state().pipelines.source(&self.kernel, &self.declared)
    }

    /// Checks the launch and appends it to the recording.
    ///
    /// # Errors
    /// [`Error::Launch`] for a grid or a number of iterations that the adapter would not run as written, and for a binding or
    /// parameter that is missing, unknown or of another type; [`Error::Shader`] if the kernel does not compile;
    /// [`Error::Lost`]; [`Error::Changed`] within [`crate::reading_saved`].
    pub fn enqueue(mut self) -> Result<()> {
        self.gpu.check()?;
        for (_, view) in &self.bindings {
            if !self.gpu.owns(view) {
                let message =
                    "a buffer or tensor of another Gpu: use tensors of one Gpu in one op".to_owned();
                return Err(self.error(message));
            }
        }
        let mut state = self.gpu.state();
        let State { pipelines, recording } = &mut *state;
        let pipeline = pipelines.get(self.gpu, &self.kernel, &self.declared, self.trust)?;
        self.check_iterations(&pipeline)?;
        let (grid, part) = self.grid_of(&pipeline)?;
        if grid.contains(&0) {
            return Ok(());
        }
        self.order_bindings(&pipeline)?;
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
        let reads = |binding: &Binding| binding.read && !(IN_BROWSER && binding.writable);
        let bound = self.bindings.iter().zip(&pipeline.interface.storage);
        bound
            .filter(|(_, binding)| reads(binding))
            .try_for_each(|((_, view), _)| view.check_saved(&pipeline.composed.kernel))
    }

    /// Takes note of what the launch writes.
    fn note_writes(&self, pipeline: &Pipeline) {
        let at = writes::unique();
        for ((name, view), binding) in self.bindings.iter().zip(&pipeline.interface.storage) {
            if !binding.written || self.unchanged.contains(name) {
                continue;
            }
            let mut parts = self.changed.iter().filter(|(of, _)| of == name).map(|(_, part)| part).peekable();
            match parts.peek() {
                Some(_) => parts.for_each(|part| part.note_write(at)),
                None => view.note_write(at),
            }
        }
    }

    fn error(&self, message: String) -> Error {
        Error::Launch { kernel: self.kernel.name(), message }
    }

    fn check_iterations(&self, pipeline: &Pipeline) -> Result<()> {
        match self.max_iterations {
            Some(n) if n > self.gpu.loop_limit() => Err(self.error(format!(
                "{n} loop iterations in one invocation; this adapter stops silently after {MAX_ITERATIONS}: split the work"
            ))),
            None if pipeline.interface.has_loop => Err(self.error(
                "it has a loop, and how long it runs was not stated: call `Launch::max_iterations`".to_owned(),
            )),
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
            Grid::Threads(_) if pipeline.interface.workgroup_size[1..] != [1, 1] => {
                return Err(self.error(format!(
                    "its workgroups have {:?} invocations, and threads are counted along one axis: state `groups`",
                    pipeline.interface.workgroup_size
                )));
            }
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
    fn order_bindings(&mut self, pipeline: &Pipeline) -> Result<()> {
        let Interface { storage, textures, .. } = &pipeline.interface;
        let ordered = order(&mut self.bindings, storage.iter().map(|binding| &binding.name))
            .and_then(|()| order(&mut self.textures, textures.iter().map(|binding| &binding.name)));
        ordered.map_err(|message| self.error(message))?;
        match self.trust {
            Trust::None => self.check_bindings(storage),
            Trust::Sizes => Ok(()),
        }
    }

    /// Finds what wgpu would have against the ranges bound, for which it would refuse the whole recording.
    fn check_bindings(&self, storage: &[Binding]) -> Result<()> {
        let limits = self.gpu.limits();
        let align = u64::from(limits.min_storage_buffer_offset_alignment);
        let most = limits.max_storage_buffer_binding_size;
        for (i, ((name, view), binding)) in self.bindings.iter().zip(storage).enumerate() {
            let least = u64::from(binding.least).next_multiple_of(4);
            let wrong = if !view.offset.is_multiple_of(align) {
                format!("begins at byte {} of its buffer, which is no multiple of {align}", view.offset)
            } else if view.size < least || view.size > most || !view.size.is_multiple_of(4) {
                format!("has {} bytes; it takes {least} to {most} of them, and whole words", view.size)
            } else if self.bindings[..i].iter().zip(storage).any(|((_, other), of_other)| {
                of_other.writable != binding.writable && other.buffer.raw() == view.buffer.raw()
            }) {
                "lies in a buffer that is also bound the other way, read-only or writable".to_owned()
            } else {
                continue;
            };
            return Err(self.error(format!("binding {name} {wrong}")));
        }
        Ok(())
    }

    /// Writes the uniform struct.
    fn pack(&self, pipeline: &Pipeline, bytes: &mut [u8]) -> Result<()> {
        let params = pipeline.interface.uniform.as_ref().map_or(&[][..], |uniform| &uniform.params);
        // The search begins behind the one found before: most launches set things in the kernel's order.
        let mut next = 0;
        for param in params {
            let (before, behind) = self.params.split_at(next);
            let found = behind.iter().chain(before).position(|(name, _)| *name == param.name);
            let Some(found) = found else {
                return Err(self.error(format!("parameter {} is not set", param.name)));
            };
            let at = (next + found) % self.params.len();
            next = at + 1;
            self.put(self.params[at].1, param, &mut bytes[param.offset as usize..])?;
        }
        // As many as there are, and each was found: then none is unknown.
        if self.params.len() == params.len() {
            return Ok(());
        }
        match self.params.iter().find(|(name, _)| params.iter().all(|param| param.name != *name)) {
            Some((name, _)) => Err(self.error(format!("it has no parameter {name}"))),
            None => Err(self.error("a parameter is set twice".to_owned())),
        }
    }

    fn put(&self, value: Value, param: &Param, bytes: &mut [u8]) -> Result<()> {
        match (value, param.kind) {
            (Value::U32(v), ParamKind::U32) => bytes[..4].copy_from_slice(&v.to_le_bytes()),
            (Value::F32(v), ParamKind::F32) => bytes[..4].copy_from_slice(&v.to_le_bytes()),
            (Value::Rows(first, count), ParamKind::Rows(n)) if count == n => {
                let rows = &self.rows[first as usize..][..count as usize];
                let words = rows.iter().flatten().zip(bytes.chunks_exact_mut(4));
                words.for_each(|(word, bytes)| bytes.copy_from_slice(&word.to_le_bytes()));
            }
            _ => {
                let value = match value {
                    Value::U32(v) => format!("{v}"),
                    Value::F32(v) => format!("{v:?}"),
                    Value::Rows(_, count) => format!("{count} rows"),
                };
                let message =
                    format!("parameter {} is of type {:?} and was set to {value}", param.name, param.kind);
                return Err(self.error(message));
            }
        }
        Ok(())
    }
}

/// Folds `groups` workgroups into rows, all of one length, where one axis of `limit` is too short.
pub(crate) fn fold(groups: u64, limit: u64) -> Option<[u32; 3]> {
    let rows = groups.div_ceil(limit);
    (rows <= limit).then(|| [groups.div_ceil(rows.max(1)) as u32, rows as u32, 1])
}

/// Brings what is bound into the order of the names `wanted`.
fn order<'a, T>(
    bound: &mut [(&'static str, T)],
    wanted: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), String> {
    let count = wanted.len();
    for (i, wanted) in wanted.enumerate() {
        let found = bound.iter().skip(i).position(|(name, _)| name == wanted);
        let Some(found) = found else { return Err(format!("binding {wanted} is not bound")) };
        bound.swap(i, i + found);
    }
    match bound.get(count) {
        Some((name, _)) => Err(format!("it has no binding {name}, or {name} is bound twice")),
        None => Ok(()),
    }
}
