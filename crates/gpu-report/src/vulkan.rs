//! What a Vulkan driver's compiler says of a pipeline. Nothing runs, so Mesa's RADV on its null device will do, which
//! compiles for the AMD GPU named by `RADV_FORCE_FAMILY`; and so will the driver of a GPU that is there.
//!
//! The device is set up as wgpu sets up its own (robust buffer access, subgroup sizes left to the driver), and shaders
//! are written as wgpu writes trusted modules, so that what is counted is what would run.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ffi::CString;

use ash::vk;
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};

use crate::{Error, Result};

/// A Vulkan device that only compiles.
pub struct Compiler {
    /// The driver's version in words, such as `Mesa 22.3.6`.
    pub driver: String,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    // Dropping the entry would unload the library that the device's functions lie in.
    _entry: ash::Entry,
}

/// What the driver says of one compiled entry point.
pub struct Compiled {
    /// The driver's statistics by name, such as `VGPRs`.
    pub statistics: BTreeMap<String, u64>,
    /// Invocations of a subgroup.
    pub subgroup_size: u32,
    /// The final assembly.
    pub assembly: String,
}

fn failed(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Driver { what: what.to_owned(), message: error.to_string() }
}

impl Compiler {
    /// Opens the device of this name, or else hardware before software. The caller's environment chooses what the Vulkan
    /// loader offers.
    ///
    /// # Errors
    /// [`Error::Driver`] without a loader or device, [`Error::Unsupported`] if the driver has no
    /// `VK_KHR_pipeline_executable_properties` or no Vulkan 1.3.
    pub fn open(name: Option<&str>) -> Result<Self> {
        // SAFETY: loading the Vulkan loader runs its initialisers, which every Vulkan program trusts. All structs
        // handed over below live until their call returns, and the handles used are those the calls before made.
        unsafe {
            let entry = ash::Entry::load().map_err(|error| failed("the Vulkan loader", error))?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let instance_info = vk::InstanceCreateInfo::default().application_info(&application);
            let instance =
                entry.create_instance(&instance_info, None).map_err(|e| failed("an instance", e))?;
            let adapters = instance.enumerate_physical_devices().map_err(|e| failed("its devices", e))?;
            let adapter = choose(&instance, &adapters, name)
                .ok_or_else(|| failed("its devices", "there are none, or none of the name asked for"))?;
            let mut driver = vk::PhysicalDeviceDriverProperties::default();
            let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
            instance.get_physical_device_properties2(adapter, &mut properties);
            let (device, api) = (text(&properties.properties.device_name), properties.properties.api_version);
            let driver = text(&driver.driver_info);
            let missing = match () {
                () if api < vk::API_VERSION_1_3 => Some("Vulkan 1.3"),
                () if !has_statistics(&instance, adapter) => Some("VK_KHR_pipeline_executable_properties"),
                () => None,
            };
            if let Some(feature) = missing {
                return Err(Error::Unsupported { device, driver, feature });
            }
            let device = create_device(&instance, adapter).map_err(|e| failed("a device", e))?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Self { driver, device, executables, _entry: entry })
        }
    }

    /// Compiles entry point `entry` of a WGSL module.
    pub fn compile(&self, source: &str, entry: &str) -> Result<Compiled> {
        let module = naga::front::wgsl::parse_str(source)
            .map_err(|error| Error::Shader { message: error.emit_to_string(source) })?;
        let words = spirv(&module, source, entry)?;
        // SAFETY: as in `open`; `words` is SPIR-V that naga wrote for a module it validated.
        unsafe {
            let pipeline = self.pipeline(&module, &words, entry).map_err(|e| failed("a pipeline", e))?;
            let result = self.describe(pipeline).map_err(|e| failed("the pipeline's statistics", e));
            self.device.destroy_pipeline(pipeline, None);
            result
        }
    }

    unsafe fn pipeline(
        &self,
        module: &naga::Module,
        words: &[u32],
        entry: &str,
    ) -> std::result::Result<vk::Pipeline, vk::Result> {
        let bindings: Vec<_> = module.global_variables.iter().filter_map(|(_, v)| binding(v)).collect();
        let entry = CString::new(entry).unwrap_or_default();
        // SAFETY: as in `compile`.
        unsafe {
            let shader = vk::ShaderModuleCreateInfo::default().code(words);
            let shader = self.device.create_shader_module(&shader, None)?;
            let sets = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [self.device.create_descriptor_set_layout(&sets, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = self.device.create_pipeline_layout(&layout, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                // wgpu sets this wherever it has subgroups.
                .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(&entry);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags);
            let made = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            self.device.destroy_shader_module(shader, None);
            self.device.destroy_pipeline_layout(layout, None);
            self.device.destroy_descriptor_set_layout(sets[0], None);
            made.map(|pipelines| pipelines[0]).map_err(|(_, error)| error)
        }
    }

    unsafe fn describe(&self, pipeline: vk::Pipeline) -> std::result::Result<Compiled, vk::Result> {
        // SAFETY: as in `compile`; a compute pipeline has one executable, at index 0.
        unsafe {
            let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
            let executables = self.executables.get_pipeline_executable_properties(&info)?;
            let subgroup_size = executables.first().map_or(0, |executable| executable.subgroup_size);
            let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let statistics = self.executables.get_pipeline_executable_statistics(&executable)?;
            let statistics = statistics.iter().map(|s| (text(&s.name), number(s))).collect();
            let assembly = self.assembly(&executable)?;
            Ok(Compiled { statistics, subgroup_size, assembly })
        }
    }

    unsafe fn assembly(
        &self,
        executable: &vk::PipelineExecutableInfoKHR,
    ) -> std::result::Result<String, vk::Result> {
        // SAFETY: the first call tells each text's size, the second fills buffers of these sizes. ash's own wrapper
        // makes only the first.
        unsafe {
            let mut forms = self.executables.get_pipeline_executable_internal_representations(executable)?;
            let mut texts: Vec<Vec<u8>> = forms.iter().map(|form| vec![0; form.data_size]).collect();
            for (form, text) in forms.iter_mut().zip(&mut texts) {
                form.p_data = text.as_mut_ptr().cast();
            }
            let fill = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            let mut count = forms.len() as u32;
            fill(self.device.handle(), executable, &mut count, forms.as_mut_ptr()).result()?;
            let found = forms.iter().zip(&texts).find(|(form, _)| text(&form.name).contains("Assembly"));
            let bytes = found.map_or(&[][..], |(_, text)| text);
            Ok(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())
        }
    }
}

/// The device of this name; without a name hardware before software.
unsafe fn choose(
    instance: &ash::Instance,
    adapters: &[vk::PhysicalDevice],
    name: Option<&str>,
) -> Option<vk::PhysicalDevice> {
    // SAFETY: as in `Compiler::open`.
    let properties = |&adapter: &_| unsafe { instance.get_physical_device_properties(adapter) };
    let rank = |adapter: &_| match properties(adapter).device_type {
        vk::PhysicalDeviceType::DISCRETE_GPU => 0,
        vk::PhysicalDeviceType::INTEGRATED_GPU => 1,
        vk::PhysicalDeviceType::CPU => 3,
        _ => 2,
    };
    let named = |adapter: &&_| name.is_none_or(|name| text(&properties(adapter).device_name) == name);
    adapters.iter().filter(named).min_by_key(|adapter| rank(adapter)).copied()
}

fn has_extension(instance: &ash::Instance, adapter: vk::PhysicalDevice, name: &CStr) -> bool {
    // SAFETY: as in `Compiler::open`.
    let extensions = unsafe { instance.enumerate_device_extension_properties(adapter) }.unwrap_or_default();
    extensions.iter().any(|e| e.extension_name_as_c_str() == Ok(name))
}

/// Whether the driver tells of its pipelines.
unsafe fn has_statistics(instance: &ash::Instance, adapter: vk::PhysicalDevice) -> bool {
    let mut info = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
    let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut info);
    // SAFETY: as in `Compiler::open`; a driver leaves a structure that it does not know as it is.
    unsafe { instance.get_physical_device_features2(adapter, &mut features) };
    info.pipeline_executable_info != 0
        && has_extension(instance, adapter, ash::khr::pipeline_executable_properties::NAME)
}

/// A statistic as a whole number.
unsafe fn number(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> u64 {
    // SAFETY: the format says which of the union's fields the driver has set.
    unsafe {
        match statistic.format {
            vk::PipelineExecutableStatisticFormatKHR::BOOL32 => u64::from(statistic.value.b32),
            vk::PipelineExecutableStatisticFormatKHR::INT64 => statistic.value.i64.try_into().unwrap_or(0),
            vk::PipelineExecutableStatisticFormatKHR::FLOAT64 => statistic.value.f64 as u64,
            _ => statistic.value.u64,
        }
    }
}

unsafe fn create_device(
    instance: &ash::Instance,
    adapter: vk::PhysicalDevice,
) -> std::result::Result<ash::Device, vk::Result> {
    let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
    let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
    let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
    let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
    let mut features = vk::PhysicalDeviceFeatures2::default()
        .push_next(&mut v11)
        .push_next(&mut v12)
        .push_next(&mut v13)
        .push_next(&mut robust);
    // SAFETY: as in `Compiler::open`.
    unsafe { instance.get_physical_device_features2(adapter, &mut features) };
    let core = vk::PhysicalDeviceFeatures::default()
        .robust_buffer_access(true)
        .shader_int64(features.features.shader_int64 != 0)
        .shader_int16(features.features.shader_int16 != 0);
    // The chain of the query is taken apart and made anew, with everything the adapter has.
    for next in [&mut v11.p_next, &mut v12.p_next, &mut v13.p_next, &mut robust.p_next] {
        *next = std::ptr::null_mut();
    }
    // wgpu asks for this one where no null descriptors are wanted.
    robust.null_descriptor = vk::FALSE;
    let mut executable_info =
        vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
    let robustness = has_extension(instance, adapter, ash::ext::robustness2::NAME);
    let mut extensions = vec![ash::khr::pipeline_executable_properties::NAME.as_ptr()];
    if robustness {
        extensions.push(ash::ext::robustness2::NAME.as_ptr());
    }
    let priorities = [1.0];
    let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&priorities)];
    let info = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_extension_names(&extensions)
        .enabled_features(&core)
        .push_next(&mut executable_info)
        .push_next(&mut v11)
        .push_next(&mut v12)
        .push_next(&mut v13);
    let info = if robustness { info.push_next(&mut robust) } else { info };
    // SAFETY: as in `Compiler::open`.
    unsafe { instance.create_device(adapter, &info, None) }
}

fn binding(variable: &naga::GlobalVariable) -> Option<vk::DescriptorSetLayoutBinding<'static>> {
    let kind = match variable.space {
        // The engine's parameters are bound with a dynamic offset.
        naga::AddressSpace::Uniform => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
        _ => vk::DescriptorType::STORAGE_BUFFER,
    };
    let slot = variable.binding.as_ref()?.binding;
    let binding = vk::DescriptorSetLayoutBinding::default().binding(slot).descriptor_count(1);
    Some(binding.descriptor_type(kind).stage_flags(vk::ShaderStageFlags::COMPUTE))
}

fn text(name: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = name.iter().map(|&c| c as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// SPIR-V as wgpu's Vulkan backend writes it for a module whose runtime checks are all off.
fn spirv(module: &naga::Module, source: &str, entry: &str) -> Result<Vec<u32>> {
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(module)
        .map_err(|error| Error::Shader { message: error.emit_to_string(source) })?;
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Unchecked,
            buffer: BoundsCheckPolicy::Unchecked,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    };
    let pipeline =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: entry.to_owned() };
    spv::write_vec(module, &info, &options, Some(&pipeline))
        .map_err(|e| Error::Shader { message: e.to_string() })
}
