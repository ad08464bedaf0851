//! [`Gpu`]: one device with its pool, pipelines and recording.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wgrad_shaders::Kernel;

use crate::adapter::Builder;
use crate::buffer::{Buffer, View};
use crate::health::{Health, Scopes};
use crate::launch::{Launch, MAX_ITERATIONS};
use crate::pipeline::{Composed, Pipelines, Trust};
use crate::platform::IN_BROWSER;
use crate::pool::Pool;
use crate::readback::StagingPool;
use crate::recording::{Command, Recorded, Recording};
use crate::{Error, Result, writes};

/// Which of the two families of kernels runs: they compute the same, each in the way that suits its kind
/// of adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Workgroup tiles in shared memory, for hardware.
    Gpu,
    /// Register tiles without barriers and shared memory, for software adapters.
    Cpu,
}

/// Bytes held by a [`Gpu`]'s buffer pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes of buffers in use.
    pub live: u64,
    /// Bytes kept for reuse, and those by which buffers in use are larger than was asked for.
    pub cached: u64,
    /// Most bytes in use at one time.
    pub peak: u64,
    /// The largest buffer handed out since the start, or since the peak was last measured anew.
    pub largest: u64,
    /// Buffers created since the start.
    pub created: u64,
}

impl MemoryStats {
    pub(crate) fn add_live(&mut self, bytes: u64) {
        self.live += bytes;
        self.peak = self.peak.max(self.live);
        self.largest = self.largest.max(bytes);
    }
}

/// A device that records launches and runs them. Cloning shares it; it is `Send` and `Sync`.
///
/// Nothing is global but the counter of [`Gpu::unique`]: two `Gpu`s in one process don't know of each other, and
/// dropping the last clone frees everything.
#[derive(Clone)]
pub struct Gpu(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) info: wgpu::AdapterInfo,
    pub(crate) limits: wgpu::Limits,
    pub(crate) pool: Arc<Pool>,
    pub(crate) staging: StagingPool,
    pub(crate) borrowed: bool,
    poison: bool,
    pub(crate) cut: bool,
    family: Family,
    subgroup: Option<u32>,
    loop_limit: u64,
    state: Mutex<State>,
    pub(crate) health: Arc<Health>,
    pub(crate) profiling: AtomicBool,
}

pub(crate) struct State {
    pub(crate) pipelines: Pipelines,
    pub(crate) recording: Recording,
}

/// Whether an adapter may leave loops after [`MAX_ITERATIONS`] iterations. Hardware does not; Mesa's software adapter did before
/// version 25; of others nothing is known.
fn cuts_loops(info: &wgpu::AdapterInfo) -> bool {
    use wgpu::DeviceType::{DiscreteGpu, IntegratedGpu};
    let mesa = [&info.driver_info, &info.driver].into_iter().find_map(|text| mesa_version(text));
    !matches!(info.device_type, DiscreteGpu | IntegratedGpu) && mesa.is_none_or(|version| version < 25)
}

/// The major version in a text such as "Mesa 22.3.6 (LLVM 15.0.6)".
fn mesa_version(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("Mesa ")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu")
            .field("adapter", &self.0.info.name)
            .field("family", &self.0.family)
            .finish_non_exhaustive()
    }
}

impl Gpu {
    /// The best adapter found: see [`Builder`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if there is none; the message names the package to install.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Settings for a `Gpu` to be made.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Works on an application's own device, which may have `Limits::default()` and no optional feature.
    ///
    /// [`crate::preferred_limits`] and [`crate::optional_features`] tell what would help.
    ///
    /// The device's error handlers stay as they are, and nothing polls it or waits for it, except where
    /// the caller asks for that: [`Gpu::read`], [`crate::Pending::wait`], [`Gpu::synchronize`]. Errors come back from
    /// the calls that cause them, and [`Error::Lost`] from every call after the device was found to be lost
    /// ([`Gpu::notify_lost`]).
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::builder().from_wgpu(device, queue)
    }

    pub(crate) fn assemble(
        device: wgpu::Device,
        queue: wgpu::Queue,
        borrowed: bool,
        builder: &Builder,
    ) -> Self {
        let info = device.adapter_info();
        let limits = device.limits();
        let checked = builder.checked.unwrap_or_else(|| {
            cfg!(debug_assertions) || std::env::var("WGRAD_CHECKED").is_ok_and(|v| v == "1")
        });
        let family = builder.family.unwrap_or(if info.device_type == wgpu::DeviceType::Cpu {
            Family::Cpu
        } else {
            Family::Gpu
        });
        let subgroup = (device.features().contains(wgpu::Features::SUBGROUP)
            && info.subgroup_min_size == info.subgroup_max_size)
            .then_some(info.subgroup_min_size);
        let loop_limit = if cuts_loops(&info) { MAX_ITERATIONS } else { u64::MAX };
        let health = Arc::new(Health::new(device.clone(), borrowed));
        // A browser's devices promise to tell all who ask; elsewhere there is one callback, the application's.
        if !borrowed || IN_BROWSER {
            let health = Arc::downgrade(&health);
            device.set_device_lost_callback(move |reason, message| {
                if let Some(health) = health.upgrade() {
                    health.set_lost(format!("{reason:?}: {message}"));
                }
            });
        }
        let pool = Pool::new(Arc::clone(&health), limits.clone());
        let state =
            State { pipelines: Pipelines::new(checked, builder.texts()), recording: Recording::default() };
        let state = Mutex::new(state);
        let (staging, poison, cut) = (StagingPool::default(), builder.poison, builder.cut);
        Self(Arc::new(Inner {
            device,
            queue,
            info,
            limits,
            pool,
            staging,
            borrowed,
            poison,
            cut,
            family,
            subgroup,
            loop_limit,
            state,
            health,
            profiling: AtomicBool::new(false),
        }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Commands are appended whole, so the state is usable after a panic in another thread.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails once the device is lost.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.health.check()
    }

    /// Fails if the device turns out to be lost, or if a browser has delivered an error late.
    pub(crate) fn probe(&self) -> Result<()> {
        self.0.health.probe()
    }

    pub(crate) fn scopes(&self) -> Scopes<'_> {
        self.0.health.scopes()
    }

    /// Tells this `Gpu` that its device is lost: every later call fails with [`Error::Lost`] and `reason`.
    ///
    /// For an application's own lost callback ([`wgpu::Device::set_device_lost_callback`]), which a borrowed device keeps.
    /// Without it a loss shows at the next submission, read or new buffer.
    pub fn notify_lost(&self, reason: impl Into<String>) {
        self.0.health.set_lost(reason.into());
    }

    /// Whether this is no buffer of another `Gpu`, whose numbers would be mistaken for this one's.
    pub(crate) fn owns(&self, view: &View) -> bool {
        view.buffer.is_from(&self.0.pool)
    }

    /// Fails for a buffer of another `Gpu`.
    pub(crate) fn check_owner(&self, view: &View, command: &str) -> Result<()> {
        if self.owns(view) {
            return Ok(());
        }
        let message = "a buffer or tensor of another Gpu".to_owned();
        Err(Error::Launch { kernel: command.to_owned(), message })
    }

    /// Whether shaders may use 64-bit integers.
    pub fn has_int64(&self) -> bool {
        self.0.device.features().contains(wgpu::Features::SHADER_INT64)
    }

    /// Whether shaders may use 16-bit floats.
    pub fn has_f16(&self) -> bool {
        self.0.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// The wgpu device.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// The adapter's name, kind and driver.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.0.info
    }

    /// The device's limits.
    pub fn limits(&self) -> &wgpu::Limits {
        &self.0.limits
    }

    /// The family of kernels in use.
    pub fn family(&self) -> Family {
        self.0.family
    }

    /// Invocations in a subgroup, where subgroup operations exist and their size is fixed.
    pub fn subgroup(&self) -> Option<u32> {
        self.0.subgroup
    }

    /// The most loop iterations that one invocation may run, all its loops together and each loop's last check counted:
    /// [`MAX_ITERATIONS`](crate::MAX_ITERATIONS) on adapters that cut loops short, or may do so for all that is known of them. Launches
    /// that state more are refused.
    pub fn loop_limit(&self) -> u64 {
        self.0.loop_limit
    }

    /// Whether `other` is this same device.
    pub fn same_as(&self, other: &Gpu) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number larger than all that were given out before in this process, by any `Gpu`. Writes are numbered by it too:
    /// those recorded before have lower numbers.
    pub fn unique(&self) -> u64 {
        writes::unique()
    }

    /// A buffer of at least `bytes` bytes, with unspecified content.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn buffer(&self, bytes: u64) -> Result<Buffer> {
        self.check()?;
        let buffer = match self.0.pool.acquire(bytes) {
            Err(Error::OutOfMemory { .. }) => {
                // What the cache holds may be what is missing. If not, the error stands.
                self.submit()?;
                self.trim();
                self.0.pool.acquire(bytes)?
            }
            other => other?,
        };
        if self.0.poison {
            // All bits set: a NaN as f32 and as f16.
            let words = vec![u32::MAX; (buffer.size() / 4) as usize];
            self.write(&buffer.whole(), &words)?;
        }
        Ok(buffer)
    }

    /// A buffer that holds `data`, padded to a multiple of four bytes.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn upload<T: bytemuck::NoUninit>(&self, data: &[T]) -> Result<Buffer> {
        let buffer = self.buffer(size_of_val(data) as u64)?;
        self.write(&buffer.whole(), data)?;
        Ok(buffer)
    }

    /// Writes `data` to the front of `view`, in order with the launches recorded before and after.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Resource`] for an imported buffer made without `COPY_DST`, or a failed submission of
    /// what was recorded before.
    ///
    /// # Panics
    /// If `data` is longer than the view.
    pub fn write<T: bytemuck::NoUninit>(&self, view: &View, data: &[T]) -> Result<()> {
        self.check()?;
        let bytes: &[u8] = bytemuck::cast_slice(data);
        self.check_owner(view, "write")?;
        view.check_usage(wgpu::BufferUsages::COPY_DST, "write")?;
        let size = bytes.len() as u64;
        assert!(size <= view.size, "{size} bytes written to a view of {}", view.size);
        let mut state = self.state();
        state.recording.write(self, view, bytes)?;
        view.buffer.writes().note(view.offset, view.offset + size.next_multiple_of(4), writes::unique());
        Ok(())
    }

    /// Copies `src` to `dst`, both of the same size, a multiple of four bytes.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Resource`] for an imported buffer made without `COPY_SRC` or `COPY_DST`, [`Error::Launch`]
    /// for two ranges of one buffer.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn copy(&self, src: &View, dst: &View) -> Result<()> {
        self.check()?;
        self.check_owner(src, "copy")?;
        self.check_owner(dst, "copy")?;
        src.check_usage(wgpu::BufferUsages::COPY_SRC, "copy")?;
        dst.check_usage(wgpu::BufferUsages::COPY_DST, "copy")?;
        assert_eq!(src.size, dst.size, "copy between views of different sizes");
        let words = [src.offset, dst.offset, src.size].iter().all(|n| n.is_multiple_of(4));
        if !words || src.buffer.raw() == dst.buffer.raw() {
            let message = "it copies whole words from one buffer to another".to_owned();
            return Err(Error::Launch { kernel: "copy".to_owned(), message });
        }
        src.check_saved("copy")?;
        let mut state = self.state();
        state.recording.push(self, Command::copy(src, dst))?;
        dst.note_write(writes::unique());
        Ok(())
    }

    /// Fills `view` with zeros.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Resource`] for an imported buffer made without `COPY_DST`.
    pub fn clear(&self, view: &View) -> Result<()> {
        self.check()?;
        self.check_owner(view, "clear")?;
        view.check_usage(wgpu::BufferUsages::COPY_DST, "clear")?;
        let mut state = self.state();
        state.recording.push(self, Command::clear(view))?;
        view.note_write(writes::unique());
        Ok(())
    }

    /// A launch of `kernel`, to be filled in and recorded.
    ///
    /// It is compiled with checks, whosever files it is made of: nothing outside of the ranges bound is read or written,
    /// and every loop ends.
    ///
    /// ```
    /// use wgrad_device::Gpu;
    /// use wgrad_device::shaders::{File, Kernel};
    ///
    /// static DOUBLE: File = File::new("double", "
    /// // Uses: index.
    /// struct Params { first_group: u32, n: u32 }
    /// @group(0) @binding(0) var<uniform> p: Params;
    /// @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    /// @compute @workgroup_size(WORKGROUP)
    /// fn double(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    ///     let i = thread_index(id, groups);
    ///     if i < p.n { y[i] *= 2.0; }
    /// }");
    ///
    /// let gpu = Gpu::new()?;
    /// let y = gpu.upload(&[1.0f32, 2.0, 3.0])?;
    /// gpu.launch(Kernel::new(&DOUBLE, "double")).bind("y", y.view(0, 12)).set("n", 3).threads(3).enqueue()?;
    /// assert_eq!(gpu.read::<f32>(&y.view(0, 12))?, [2.0, 4.0, 6.0]);
    /// # Ok::<(), wgrad_device::Error>(())
    /// ```
    pub fn launch<'a>(&'a self, kernel: Kernel<'a>) -> Launch<'a> {
        Launch::new(self, kernel, Trust::None)
    }

    /// A launch of `kernel` without those checks, which on software adapters cost up to twentyfold. Debug builds and
    /// `WGRAD_CHECKED=1` check bounds all the same.
    ///
    /// # Safety
    /// With what the launch binds, sets and declares, the kernel reads and writes nothing outside of the ranges bound and
    /// divides by no zero, and its loops end.
    pub unsafe fn launch_unchecked<'a>(&'a self, kernel: Kernel<'a>) -> Launch<'a> {
        Launch::new(self, kernel, Trust::Sizes)
    }

    /// Submits all that was recorded. Returns without waiting, unless four submissions of an owned device are
    /// still running: then it waits for the oldest.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::OutOfMemory`] or [`Error::Validation`].
    pub fn submit(&self) -> Result<()> {
        self.check()?;
        let oldest = self.state().recording.submit(self)?;
        match oldest {
            Some(_) => self.poll(wgpu::PollType::Wait { submission_index: oldest, timeout: None }),
            None => self.check(),
        }
    }

    /// Submits and waits until the device is idle.
    ///
    /// # Errors
    /// As [`Gpu::submit`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn synchronize(&self) -> Result<()> {
        self.submit()?;
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    pub(crate) fn poll(&self, poll: wgpu::PollType) -> Result<()> {
        // wgpu marks the device as lost and panics where the driver fails while it is waited for.
        let result = match catch_unwind(AssertUnwindSafe(|| self.0.device.poll(poll))) {
            Ok(result) => result,
            Err(panic) => {
                self.probe()?;
                resume_unwind(panic)
            }
        };
        let Err(error) = result else { return self.check() };
        // A lost device refuses to wait for a submission before it reports its loss; polling without a wait lets it.
        let _ = self.0.device.poll(wgpu::PollType::Poll);
        self.probe()?;
        Err(Error::Readback { message: error.to_string() })
    }

    /// The launches and copies recorded and not yet submitted, for tests and for people.
    pub fn pending_commands(&self) -> Vec<Recorded> {
        self.state().recording.describe()
    }

    /// Bytes of parameters and of small writes that the recording holds on the host.
    pub fn pending_bytes(&self) -> usize {
        self.state().recording.bytes()
    }

    /// Every WGSL module composed so far, with the kernel's name.
    pub fn composed(&self) -> Vec<Composed> {
        self.state().pipelines.composed()
    }

    /// Bytes in use, cached and at the peak.
    pub fn memory(&self) -> MemoryStats {
        self.0.pool.stats()
    }

    /// Starts measuring the peak and the largest buffer anew.
    pub fn reset_peak_memory(&self) {
        self.0.pool.reset_peak();
    }

    /// Number of bind groups made so far; a repeated step makes none.
    pub fn bind_groups_created(&self) -> u64 {
        self.state().recording.bind_groups_created
    }

    /// Frees the buffers kept for reuse.
    pub fn trim(&self) {
        self.state().recording.forget_bind_groups(self);
        self.0.pool.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::mesa_version;

    #[test]
    fn mesa_tells_its_version() {
        assert_eq!(mesa_version("Mesa 22.3.6 (LLVM 15.0.6)"), Some(22));
        assert_eq!(mesa_version("4.5 (Core Profile) Mesa 25.0.7-2"), Some(25));
        assert_eq!(mesa_version("Mesa 26.1.0-devel (git-0123456789)"), Some(26));
        for text in ["", "Mesa", "Mesa X", "NVIDIA 570.124.06"] {
            assert_eq!(mesa_version(text), None, "{text}");
        }
    }
}
