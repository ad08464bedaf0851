//! Every module that the ops compose is valid WGSL for baseline WebGPU, and every backend's writer takes it: what
//! stands in for the adapters that are not at hand.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage};
use wgrad_autograd::device::shaders::{self, File, Kernel};
use wgrad_autograd::device::{Composed, Family};
use wgrad_autograd::{Conv2dOptions, DType, Gpu, MatmulOptions, Tensor};

use crate::table;

/// Whether a kernel is a variant that a device without optional features never gets.
fn needs_subgroups(kernel: &str) -> bool {
    kernel.contains("subgroup")
}

fn needs_int64(kernel: &str) -> bool {
    kernel.contains("+wide_u64")
}

fn needs_f16(composed: &Composed) -> bool {
    composed.source.starts_with("enable f16;")
}

/// GLSL ES 3.1 has neither 64-bit integers nor 16-bit floats, so its writer has no words for them: the GL backend reports
/// no such features and never gets those variants. Shuffles are written, by the names of the extension
/// KHR_shader_subgroup.
fn has_glsl_es(composed: &Composed) -> bool {
    !needs_int64(&composed.kernel) && !needs_f16(composed)
}

#[test]
fn every_module_passes_every_writer() {
    let gpus = table::gpus();
    for row in table::rows() {
        row.launch(&gpus);
    }
    // One module of each kernel and header: devices share most.
    let modules: BTreeMap<String, Composed> = gpus
        .iter()
        .flat_map(|(_, gpu)| gpu.composed())
        .map(|composed| (format!("{} {}", composed.kernel, composed.source), composed))
        .collect();
    assert!(modules.len() > 100, "only {} modules were composed", modules.len());
    let folder = tempfile::tempdir().unwrap();
    for (i, composed) in modules.into_values().chain(texture_modules()).chain(half_modules()).enumerate() {
        let composed = &composed;
        let name = format!("{:04}_{}", i, composed.kernel);
        write_all(composed, &folder.path().join(format!("{name}.spv")));
        // For ci/web, which has a browser compile what a page may launch: no feature that is not in WebGPU's baseline.
        if let Some(folder) = std::env::var_os("WGRAD_MODULES")
            && !(needs_subgroups(&composed.kernel) || needs_int64(&composed.kernel) || needs_f16(composed))
        {
            std::fs::write(Path::new(&folder).join(format!("{name}.wgsl")), &composed.source).unwrap();
        }
    }
    spirv_val(folder.path());
}

/// What textures of any format compose, whether or not this adapter has it.
fn texture_modules() -> Vec<Composed> {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let module = |file: &'static File, target: Option<&'static str>| {
        let kernel = Kernel::new(file, file.stem());
        let launch = gpu.launch(kernel).constant("CHANNELS", if target.is_some() { 3 } else { 4 });
        let launch = target.into_iter().fold(launch, |launch, target| launch.alias("Target", target));
        let (kernel, entry, source) = (kernel.name(), kernel.entry().to_owned(), launch.source().unwrap());
        Composed { kernel, entry, files: vec![file.name().to_owned()], source, checked: false }
    };
    let mut modules = vec![module(&shaders::TEXTURE_TO_TENSOR, None)];
    for target in [
        "texture_storage_2d<rgba8unorm, write>",
        "texture_storage_2d<rgba16float, write>",
        "texture_storage_2d<r32float, write>",
        "texture_storage_2d<rgba32float, write>",
    ] {
        modules.push(module(&shaders::TENSOR_TO_TEXTURE, Some(target)));
    }
    modules
}

/// What products of f16 compose in both families: odd sizes and whole vec4, and a convolution's three products.
fn half_modules() -> Vec<Composed> {
    let mut modules = Vec::new();
    for family in [Family::Cpu, Family::Gpu] {
        let gpu = Gpu::builder().family(family).quiet().build().unwrap();
        let half = |shape: &[usize]| Tensor::full(&gpu, shape, 0.5).unwrap().to_dtype(DType::F16).unwrap();
        for (m, n, k) in [(5, 7, 3), (64, 64, 36)] {
            half(&[m, k]).matmul(&half(&[k, n])).unwrap();
            half(&[k, m])
                .matmul_with(
                    &half(&[n, k]),
                    MatmulOptions { transpose: true, transpose_other: true, ..Default::default() },
                )
                .unwrap();
        }
        let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
        for [x, w] in [[[2, 3, 5, 7], [4, 3, 3, 3]], [[2, 4, 8, 8], [8, 4, 3, 3]]] {
            let y = half(&x).conv2d(&half(&w), None, options).unwrap();
            let dy = y.to_dtype(DType::F16).unwrap();
            dy.conv2d_input(&half(&w), &x, options, None).unwrap();
            dy.conv2d_weight(&half(&x), &w, options, None).unwrap();
            dy.to_dtype(DType::F32).unwrap();
        }
        modules.extend(gpu.composed().into_iter().filter(needs_f16));
    }
    assert!(modules.len() > 30, "only {} modules of f16 were composed", modules.len());
    modules
}

fn write_all(composed: &Composed, spirv: &Path) {
    let kernel = composed.kernel.as_str();
    let module = naga::front::wgsl::parse_str(&composed.source).unwrap();
    let mut capabilities = Capabilities::default();
    capabilities.set(Capabilities::SUBGROUP, needs_subgroups(kernel));
    capabilities.set(Capabilities::SHADER_INT64, needs_int64(kernel));
    capabilities.set(Capabilities::SHADER_FLOAT16, needs_f16(composed));
    let info =
        Validator::new(ValidationFlags::all(), capabilities).validate(&module).unwrap_or_else(|error| {
            panic!("{kernel} needs more than the baseline:\n{}", error.emit_to_string(&composed.source))
        });
    write_spirv(composed, &module, &info, spirv);
    write_msl(composed, &module, &info);
    write_hlsl(composed, &module, &info);
    if has_glsl_es(composed) {
        write_glsl(composed, &module, &info);
    } else {
        assert!(
            glsl(composed, &module, &info).is_err(),
            "{kernel} has become GLSL ES: check it like the others"
        );
    }
}

fn write_spirv(composed: &Composed, module: &Module, info: &ModuleInfo, path: &Path) {
    // wgpu's Vulkan backend writes 1.3 or later where subgroups are in use.
    let lang_version = if needs_subgroups(&composed.kernel) { (1, 3) } else { (1, 0) };
    let options = spv::Options { lang_version, ..Default::default() };
    let pipeline =
        spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: composed.entry.clone() };
    let words = spv::write_vec(module, info, &options, Some(&pipeline))
        .unwrap_or_else(|error| panic!("{} as SPIR-V: {error}", composed.kernel));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(path, bytes).unwrap();
}

fn write_msl(composed: &Composed, module: &Module, info: &ModuleInfo) {
    let mut resources = BTreeMap::new();
    for (slot, (_, variable)) in module.global_variables.iter().enumerate() {
        if let Some(binding) = variable.binding {
            let slot = Some(slot as u8);
            let target = match variable.space {
                AddressSpace::Handle => msl::BindTarget { texture: slot, ..Default::default() },
                _ => msl::BindTarget { buffer: slot, mutable: true, ..Default::default() },
            };
            resources.insert(binding, target);
        }
    }
    // Unsized arrays are checked against a buffer of their lengths.
    let entry = msl::EntryPointResources { resources, sizes_buffer: Some(30), ..Default::default() };
    let options = msl::Options {
        lang_version: (2, 3),
        per_entry_point_map: [(composed.entry.clone(), entry)].into(),
        fake_missing_bindings: false,
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, composed.entry.clone())),
        ..Default::default()
    };
    let (text, translated) = msl::write_string(module, info, &options, &pipeline)
        .unwrap_or_else(|error| panic!("{} as MSL: {error}", composed.kernel));
    for name in translated.entry_point_names {
        let name = name.unwrap_or_else(|error| panic!("{} as MSL: {error}", composed.kernel));
        assert!(text.contains(&format!("kernel void {name}")), "{}: {text}", composed.kernel);
    }
}

fn write_hlsl(composed: &Composed, module: &Module, info: &ModuleInfo) {
    let mut binding_map = hlsl::BindingMap::default();
    for (register, (_, variable)) in module.global_variables.iter().enumerate() {
        if let Some(binding) = variable.binding {
            binding_map.insert(binding, hlsl::BindTarget { register: register as u32, ..Default::default() });
        }
    }
    // Subgroups and 64-bit integers exist from shader model 6.0 on, 16-bit floats from 6.2; DX12 without DXC ends at 5.1.
    let modern = needs_subgroups(&composed.kernel) || needs_int64(&composed.kernel);
    let shader_model = match (needs_f16(composed), modern) {
        (true, _) => hlsl::ShaderModel::V6_2,
        (false, true) => hlsl::ShaderModel::V6_0,
        (false, false) => hlsl::ShaderModel::V5_1,
    };
    let options =
        hlsl::Options { shader_model, binding_map, fake_missing_bindings: false, ..Default::default() };
    let pipeline =
        hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, composed.entry.clone())) };
    let mut text = String::new();
    let written = hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .unwrap_or_else(|error| panic!("{} as HLSL: {error}", composed.kernel));
    for name in written.entry_point_names {
        name.unwrap_or_else(|error| panic!("{} as HLSL: {error}", composed.kernel));
    }
    assert!(text.contains("numthreads"), "{}: {text}", composed.kernel);
}

fn write_glsl(composed: &Composed, module: &Module, info: &ModuleInfo) {
    let text = glsl(composed, module, info)
        .unwrap_or_else(|error| panic!("{} as GLSL ES 3.1: {error}", composed.kernel));
    assert!(text.starts_with("#version 310 es"), "{text}");
}

fn glsl(composed: &Composed, module: &Module, info: &ModuleInfo) -> Result<String, glsl::Error> {
    let mut binding_map = glsl::BindingMap::default();
    for (slot, (_, variable)) in module.global_variables.iter().enumerate() {
        if let Some(binding) = variable.binding {
            binding_map.insert(binding, slot as u8);
        }
    }
    let options = glsl::Options { version: glsl::Version::new_gles(310), binding_map, ..Default::default() };
    let pipeline = glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: composed.entry.clone(),
        multiview: None,
    };
    let mut text = String::new();
    let policies = BoundsCheckPolicies::default();
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies)?.write()?;
    Ok(text)
}

/// Runs the Khronos validator over every file of the folder.
fn spirv_val(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new("spirv-val").args(["--target-env", "vulkan1.1"]).arg(&path).output();
        let output = output.expect("spirv-val did not start: install Debian's package spirv-tools");
        assert!(
            output.status.success(),
            "{}: {}{}",
            path.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
