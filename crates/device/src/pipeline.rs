//! Pipelines: a kernel's files behind what a launch declares, compiled once per device.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use wgrad_shaders::{File, Kernel};

use crate::compose::{Declarations, Declared, Module, Texts, compose};
use crate::platform::shader_source;
use crate::reflect::{Interface, Refused, reflect};
use crate::{Error, Gpu, Result};

/// A compiled kernel with what launches must know of it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub id: u32,
    pub interface: Interface,
    pub layout: wgpu::BindGroupLayout,
    pub raw: wgpu::ComputePipeline,
    pub composed: Composed,
}

/// A WGSL module as it was handed to the driver.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The kernel's name.
    pub kernel: String,
    /// The entry point.
    pub entry: String,
    /// The names of its files: the kernel's own, those that were chosen, and those that these use.
    pub files: Vec<String>,
    /// Files and declarations, as compiled.
    pub source: String,
    /// Whether it was compiled with bounds checks.
    pub checked: bool,
}

/// What a module may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Anybody's: nothing outside of what is bound, and no loop without end.
    None,
    /// Its launches state sizes that keep it within what is bound.
    Sizes,
}

/// A variant of a kernel. Names and numbers tell it apart; its text is written only when it is new.
struct Variant {
    // Clones, so that no other text can take their place in memory, which is how they are known.
    files: Vec<File>,
    entry: String,
    declared: Vec<(&'static str, Declared)>,
    trust: Trust,
    pipeline: Arc<Pipeline>,
}

impl Variant {
    fn is(&self, kernel: &Kernel<'_>, declared: &Declarations, trust: Trust) -> bool {
        let files = self.files.iter().map(File::id);
        files.eq(kernel.files().map(File::id))
            && self.entry == kernel.entry()
            && self.declared == declared
            && self.trust == trust
    }
}

/// Takes a number as its own hash: [`mixed`] has mixed it.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0 << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A number in which variants mostly differ.
fn mixed(kernel: &Kernel<'_>, declared: &Declarations) -> u64 {
    let mix = |sum: u64, n: usize| (sum.rotate_left(9) ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let files = kernel.files().map(File::id).fold(0, mix);
    let all = declared.iter().fold(files, |sum, (_, value)| match value {
        Declared::Number(n) => mix(sum, *n),
        Declared::Type(name) => mix(sum, name.len()),
    });
    all ^ all >> 32
}

pub(crate) struct Pipelines {
    checked: bool,
    texts: Texts,
    variants: HashMap<u64, Vec<Variant>, BuildHasherDefault<AsItIs>>,
    count: u32,
}

impl Pipelines {
    pub(crate) fn new(checked: bool, texts: Texts) -> Self {
        Self { checked, texts, variants: HashMap::default(), count: 0 }
    }

    /// The module's text.
    pub(crate) fn source(&self, kernel: &Kernel<'_>, declared: &Declarations) -> Result<String> {
        let composed = compose(kernel, declared, &self.texts);
        let module = composed.map_err(|message| Error::Shader { kernel: kernel.name(), message })?;
        Ok(module.source)
    }

    pub(crate) fn get(
        &mut self,
        gpu: &Gpu,
        kernel: &Kernel<'_>,
        declared: &Declarations,
        trust: Trust,
    ) -> Result<Arc<Pipeline>> {
        let key = mixed(kernel, declared);
        let variants = self.variants.get(&key);
        let is = |variant: &&Variant| variant.is(kernel, declared, trust);
        if let Some(found) = variants.and_then(|all| all.iter().find(is)) {
            return Ok(Arc::clone(&found.pipeline));
        }
        let pipeline = Arc::new(self.compile(gpu, kernel, declared, trust)?);
        self.count += 1;
        self.variants.entry(key).or_default().push(Variant {
            files: kernel.files().cloned().collect(),
            entry: kernel.entry().to_owned(),
            declared: declared.to_vec(),
            trust,
            pipeline: Arc::clone(&pipeline),
        });
        Ok(pipeline)
    }

    fn compile(
        &self,
        gpu: &Gpu,
        kernel: &Kernel<'_>,
        declared: &Declarations,
        trust: Trust,
    ) -> Result<Pipeline> {
        let name = kernel.name();
        let failed = |message: String| Error::Shader { kernel: name.clone(), message };
        let module = compose(kernel, declared, &self.texts).map_err(failed)?;
        let (parsed, interface) =
            reflect(&module.source, kernel.entry()).map_err(|refused| failed(in_words(&module, &refused)))?;
        let most = gpu.limits().max_uniform_buffer_binding_size;
        if let Some(size) = interface.uniform.as_ref().map(|u| u64::from(u.size)).filter(|&size| size > most)
        {
            return Err(failed(format!("its parameters have {size} bytes; the adapter's limit is {most}")));
        }
        let device = gpu.device();
        let scopes = gpu.scopes();
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&name),
            source: shader_source(parsed, &module.source),
        };
        let shader = match trust {
            Trust::None => device.create_shader_module(descriptor),
            Trust::Sizes => {
                let mut checks = wgpu::ShaderRuntimeChecks::unchecked();
                checks.bounds_checks = self.checked;
                checks.int_div_checks = self.checked;
                // SAFETY: whoever launches it has promised, in [`Gpu::launch_unchecked`], that indices stay within the
                // bound ranges and divisors aren't zero. Every launch states its iterations, which are bounded, so no
                // loop is endless.
                unsafe { device.create_shader_module_trusted(descriptor, checks) }
            }
        };
        let layout = bind_group_layout(device, &name, &interface);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&name),
            layout: Some(&pipeline_layout),
            module: &shader,
            entry_point: Some(kernel.entry()),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: trust == Trust::None,
                ..Default::default()
            },
            cache: None,
        });
        scopes.pop().map_err(|error| match error {
            Error::Validation { message } => failed(message),
            other => other,
        })?;
        gpu.probe()?;
        let composed = Composed {
            entry: kernel.entry().to_owned(),
            files: module.files(),
            source: module.source,
            checked: self.checked || trust == Trust::None,
            kernel: name,
        };
        Ok(Pipeline { id: self.count, interface, layout, raw, composed })
    }

    pub(crate) fn composed(&self) -> Vec<Composed> {
        self.variants.values().flatten().map(|variant| variant.pipeline.composed.clone()).collect()
    }
}

/// The refusal with its place in the file that is to blame.
fn in_words(module: &Module, refused: &Refused) -> String {
    let place = refused.at.map(|at| module.place(at)).filter(|place| !place.is_empty());
    place.map_or_else(|| refused.message.clone(), |place| format!("{place}: {}", refused.message))
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
