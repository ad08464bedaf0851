//! Pipelines: a kernel's text behind a header, compiled once per device.

use std::collections::HashMap;
use std::sync::Arc;

use wgrad_shaders::Kernel;

use crate::reflect::{Interface, reflect};
use crate::{Error, Gpu, Result};

/// A compiled kernel with what launches must know of it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub id: u32,
    pub kernel: &'static Kernel,
    pub interface: Interface,
    pub layout: wgpu::BindGroupLayout,
    pub raw: wgpu::ComputePipeline,
    source: String,
}

/// A WGSL module as it was handed to the driver.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The kernel's name.
    pub kernel: &'static str,
    /// The entry point.
    pub entry: &'static str,
    /// Header and files, as compiled.
    pub source: String,
}

pub(crate) struct Pipelines {
    checked: bool,
    // By the kernel's address, then by header: a kernel has a few variants, and comparing their headers costs less
    // than hashing one.
    by_kernel: HashMap<usize, Vec<(String, Arc<Pipeline>)>>,
    count: u32,
}

impl Pipelines {
    pub(crate) fn new(checked: bool) -> Self {
        Self { checked, by_kernel: HashMap::new(), count: 0 }
    }

    pub(crate) fn get(&mut self, gpu: &Gpu, kernel: &'static Kernel, header: &str) -> Result<Arc<Pipeline>> {
        let variants = self.by_kernel.get(&std::ptr::from_ref(kernel).addr());
        if let Some((_, found)) = variants.and_then(|all| all.iter().find(|(known, _)| known == header)) {
            return Ok(Arc::clone(found));
        }
        let pipeline = Arc::new(self.compile(gpu, kernel, header)?);
        self.count += 1;
        let variants = self.by_kernel.entry(std::ptr::from_ref(kernel).addr()).or_default();
        variants.push((header.to_owned(), Arc::clone(&pipeline)));
        Ok(pipeline)
    }

    fn compile(&self, gpu: &Gpu, kernel: &'static Kernel, header: &str) -> Result<Pipeline> {
        let failed = |message: String| Error::Shader { kernel: kernel.name, message };
        let source = kernel.compose(header);
        let (module, interface) = reflect(&source, kernel.entry).map_err(failed)?;
        let device = gpu.device();
        let scopes = gpu.scopes();
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source: shader_source(module, &source) };
        let mut checks = wgpu::ShaderRuntimeChecks::unchecked();
        checks.bounds_checks = self.checked;
        checks.int_div_checks = self.checked;
        // SAFETY: the shaders are this project's own. Every launch states its trip count, which is bounded,
        // so no loop is endless; indices stay within the bound ranges for the sizes that the ops check
        // before launching; divisors are sizes, never zero. The op tests run with checks on and off.
        let shader = unsafe { device.create_shader_module_trusted(descriptor, checks) };
        let layout = bind_group_layout(device, kernel.name, &interface);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&pipeline_layout),
            module: &shader,
            entry_point: Some(kernel.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        scopes.pop().map_err(|error| match error {
            Error::Validation { message } => failed(message),
            other => other,
        })?;
        gpu.probe()?;
        Ok(Pipeline { id: self.count, kernel, interface, layout, raw, source })
    }

    pub(crate) fn composed(&self) -> Vec<Composed> {
        let pipelines = self.by_kernel.values().flatten().map(|(_, pipeline)| pipeline);
        let describe = |p: &Arc<Pipeline>| Composed {
            kernel: p.kernel.name,
            entry: p.kernel.entry,
            source: p.source.clone(),
        };
        pipelines.map(describe).collect()
    }
}

/// The module as reflection parsed it, which spares wgpu to parse it again.
#[cfg(not(target_arch = "wasm32"))]
fn shader_source(module: naga::Module, _: &str) -> wgpu::ShaderSource<'_> {
    wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module))
}

/// The text: a browser compiles it itself.
#[cfg(target_arch = "wasm32")]
fn shader_source(_: naga::Module, source: &str) -> wgpu::ShaderSource<'_> {
    wgpu::ShaderSource::Wgsl(source.into())
}

fn bind_group_layout(device: &wgpu::Device, name: &str, interface: &Interface) -> wgpu::BindGroupLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty,
        count: None,
    };
    let buffer =
        |ty, has_dynamic_offset| wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None };
    let uniform =
        interface.uniform.iter().map(|u| entry(u.slot, buffer(wgpu::BufferBindingType::Uniform, true)));
    let storage = interface
        .storage
        .iter()
        .map(|s| entry(s.slot, buffer(wgpu::BufferBindingType::Storage { read_only: !s.writable }, false)));
    let textures = interface.textures.iter().map(|t| entry(t.slot, t.ty));
    let entries: Vec<_> = uniform.chain(storage).chain(textures).collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(name), entries: &entries })
}
