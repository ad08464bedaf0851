//! Choosing an adapter: hardware first, then software, each said aloud.

use crate::compose::Texts;
use crate::gpu::{Family, Gpu};
use crate::platform;
use crate::{Error, Result};

/// How a [`Gpu`] is made.
///
/// The adapters are tried in this order: discrete, integrated and other hardware through Vulkan, Metal
/// or DX12; software through Vulkan; and last the GL backend, which finds Mesa's software adapter
/// through EGL where no Vulkan driver is installed. `WGPU_BACKEND` (`vulkan`, `metal`, `dx12`, `gl`) and
/// `WGPU_ADAPTER_NAME` (a part of the name) restrict the search.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    pub(crate) family: Option<Family>,
    pub(crate) checked: Option<bool>,
    baseline: bool,
    pub(crate) poison: bool,
    pub(crate) cut: bool,
    quiet: bool,
    nth: usize,
    #[cfg(feature = "shader-folder")]
    pub(crate) shader_folder: Option<crate::ShaderFolder>,
}

impl Builder {
    /// Uses this family of kernels instead of the one that suits the adapter.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Whether shaders check bounds. The default is to check in debug builds and under `WGRAD_CHECKED=1`.
    pub fn checked(mut self, checked: bool) -> Self {
        self.checked = Some(checked);
        self
    }

    /// Asks for `Limits::default()` and no optional feature, as an application's own device may have it.
    pub fn baseline(mut self) -> Self {
        self.baseline = true;
        self
    }

    /// Fills every buffer with NaN before it is handed out, so that what a kernel fails to write, or reads beyond
    /// its input, shows. For tests.
    pub fn poison(mut self) -> Self {
        self.poison = true;
        self
    }

    /// Runs every launch that slices could cut in three dispatches. For tests.
    pub fn cut(mut self) -> Self {
        self.cut = true;
        self
    }

    /// Keeps the line about a software adapter to itself.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Takes the `n`-th of the adapters that are as good as the first one, from 0 and around again: so the processes of a machine
    /// spread over its GPUs.
    pub fn nth(mut self, n: usize) -> Self {
        self.nth = n;
        self
    }

    /// Where the texts of kernels' files come from.
    pub(crate) fn texts(&self) -> Texts {
        Texts {
            #[cfg(feature = "shader-folder")]
            folder: self.shader_folder.clone(),
        }
    }

    /// Compiles kernels with the files of a folder in the place of the built-in ones.
    #[cfg(feature = "shader-folder")]
    pub fn shader_folder(mut self, folder: crate::ShaderFolder) -> Self {
        self.shader_folder = Some(folder);
        self
    }

    /// Works on an application's own device, as [`Gpu::from_wgpu`], with these settings. Settings that choose
    /// an adapter, or that ask an adapter for features and limits, have no effect here.
    pub fn from_wgpu(self, device: wgpu::Device, queue: wgpu::Queue) -> Gpu {
        Gpu::assemble(device, queue, true, &self)
    }

    /// Makes the `Gpu`, blocking until the device is there.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if no adapter can be used.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn build(self) -> Result<Gpu> {
        pollster::block_on(self.build_async())
    }

    /// Makes the `Gpu`.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if no adapter can be used.
    pub async fn build_async(self) -> Result<Gpu> {
        let mut tried = Vec::new();
        // Starting the GL backend is slow and noisy on machines without a display, so it is started only
        // where the others have nothing.
        for backends in [wgpu::Backends::PRIMARY, wgpu::Backends::SECONDARY] {
            if let Some(gpu) = self.first_usable(backends, &mut tried).await {
                return Ok(gpu);
            }
        }
        let tried = if tried.is_empty() { "the search found none".to_owned() } else { tried.join("; ") };
        Err(Error::NoAdapter { tried })
    }

    async fn first_usable(&self, backends: wgpu::Backends, tried: &mut Vec<String>) -> Option<Gpu> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= backends;
        let mut adapters = platform::adapters(&wgpu::Instance::new(descriptor)).await;
        adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
        let wanted = std::env::var("WGPU_ADAPTER_NAME").ok().map(|name| name.to_lowercase());
        let is_other = |adapter: &wgpu::Adapter| {
            wanted.as_ref().is_some_and(|name| !adapter.get_info().name.to_lowercase().contains(name))
        };
        adapters.sort_by_key(is_other);
        // One card may be there once for each backend.
        let alike = |adapter: &wgpu::Adapter| {
            (is_other(adapter), rank(&adapter.get_info()), adapter.get_info().backend)
        };
        let count = adapters.iter().take_while(|adapter| alike(adapter) == alike(&adapters[0])).count();
        adapters[..count].rotate_left(self.nth % count.max(1));
        for adapter in adapters {
            let info = adapter.get_info();
            let label = format!("{} via {}", info.name, info.backend);
            if is_other(&adapter) {
                tried.push(format!("{label}: not named by WGPU_ADAPTER_NAME"));
                continue;
            }
            if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
                tried.push(format!("{label}: no compute shaders"));
                continue;
            }
            match adapter.request_device(&self.descriptor(&adapter)).await {
                Ok((device, queue)) => {
                    if !self.quiet && info.device_type == wgpu::DeviceType::Cpu {
                        eprintln!("wgrad: no hardware GPU in use, running on the software adapter {label}");
                    }
                    return Some(Gpu::assemble(device, queue, false, self));
                }
                Err(error) => tried.push(format!("{label}: {error}")),
            }
        }
        None
    }

    fn descriptor(&self, adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
        let (required_features, required_limits) = if self.baseline {
            (wgpu::Features::empty(), wgpu::Limits::default())
        } else {
            (optional_features(adapter), preferred_limits(adapter))
        };
        wgpu::DeviceDescriptor {
            label: Some("wgrad"),
            required_features,
            required_limits,
            ..Default::default()
        }
    }
}

/// The features that help a [`Gpu`], of those that the adapter has: an application that makes its own device adds them to
/// its `required_features`. None is needed.
///
/// Subgroups, 64-bit integers and 16-bit floats are for kernels, timestamps for profiles.
pub fn optional_features(adapter: &wgpu::Adapter) -> wgpu::Features {
    let kernels = wgpu::Features::SUBGROUP | wgpu::Features::SHADER_INT64 | wgpu::Features::SHADER_F16;
    let profile = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS;
    adapter.features() & (kernels | profile)
}

/// The limits that help a [`Gpu`], all that the adapter has: an application that makes its own device raises its
/// `required_limits` to them ([`wgpu::Limits::or_better_values_from`]), or to those that it knows to need. A device with
/// `Limits::default()` will do, for tensors of up to 128 MiB.
pub fn preferred_limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
    adapter.limits()
}

/// Smaller is tried earlier.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}
