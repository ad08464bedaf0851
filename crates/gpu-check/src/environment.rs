//! Part `environment`: what there is to run on.

use std::process::ExitCode;

use serde_json::{Value, json};
use wgrad::Gpu;
use wgrad::device::{Builder, ShaderFolder, wgpu};

use crate::process::{Next, Process};
use crate::run::{Ending, Part, relay};
use crate::{Error, Result};

/// Asks a process of its own for the adapter, and the system for the rest. Passes on hardware alone.
pub fn run(part: &Part<'_>) -> Result<Ending> {
    let records = part.records;
    records.add("environment", system())?;
    match clocks(part) {
        Some(clocks) => records.add("environment", json!({"clocks": clocks}))?,
        None => records.say("environment", "no nvidia-smi here that tells clocks"),
    }
    Ok(match relay(part, "environment", part.setup.own(&["environment"]))? {
        Ending::Stopped(message) => Ending::Stopped(format!("no adapter: {message}")),
        Ending::Unavailable(message) if part.any_adapter => {
            records.say("environment", &format!("{message}: a rehearsal"));
            Ending::Passed
        }
        Ending::Unavailable(message) => {
            Ending::Unavailable(format!("{message}; --any-adapter rehearses on it"))
        }
        other => other,
    })
}

/// Processor, system and C library.
fn system() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once([':', '=']).map_or(String::new(), |(_, v)| v.trim().trim_matches('"').to_owned())
    };
    json!({
        "processor": value(&read("/proc/cpuinfo"), "model name"),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "system": value(&read("/etc/os-release"), "PRETTY_NAME"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "nvidia": read("/proc/driver/nvidia/version").lines().next().unwrap_or_default(),
    })
}

/// What `nvidia-smi` says of the first card, where there is one.
fn clocks(part: &Part<'_>) -> Option<Value> {
    const ASKED: [&str; 8] = [
        "name",
        "driver_version",
        "clocks.sm",
        "clocks.mem",
        "clocks.max.sm",
        "clocks.max.mem",
        "power.limit",
        "temperature.gpu",
    ];
    let mut command = part.setup.command("nvidia-smi");
    command.arg(format!("--query-gpu={}", ASKED.join(","))).arg("--format=csv,noheader");
    let mut process = Process::start("nvidia-smi", command, part.records).ok()?;
    let Next::Line(line) = process.next(part.deadline) else { return None };
    let values: Vec<&str> = line.split(", ").collect();
    let values = ASKED.iter().zip(values).map(|(name, value)| ((*name).to_owned(), json!(value)));
    Some(values.collect::<serde_json::Map<_, _>>().into())
}

/// What the process does: prints what wgpu and the engine say of the adapter.
pub fn child() -> Result<ExitCode> {
    let gpu = Gpu::builder().quiet().build()?;
    let info = gpu.info();
    let roundup = json!({"adapter": {
        "name": info.name,
        "type": format!("{:?}", info.device_type),
        "backend": info.backend.to_string(),
        "driver": info.driver,
        "driver_info": info.driver_info,
        "vendor": info.vendor,
        "device": info.device,
        "subgroup": [info.subgroup_min_size, info.subgroup_max_size],
        "subgroup_in_use": gpu.subgroup(),
        "family": format!("{:?}", gpu.family()),
        "f16": gpu.has_f16(),
        "int64": gpu.has_int64(),
    }});
    println!("{roundup}");
    println!("{}", json!({"limits": limits(gpu.limits())}));
    if let Some(adapter) = again(&gpu) {
        let features: Vec<String> =
            adapter.features().iter_names().map(|(name, _)| name.to_owned()).collect();
        println!("{}", json!({"features": features}));
        let matrices: Vec<Value> = adapter.cooperative_matrix_properties().iter().map(matrix).collect();
        println!("{}", json!({"cooperative_matrices": matrices}));
    }
    if info.device_type == wgpu::DeviceType::Cpu {
        let message = format!("the adapter is no hardware: {} ({})", info.name, info.backend);
        println!("{}", json!({"unavailable": message}));
    }
    Ok(ExitCode::SUCCESS)
}

/// The adapter of a device: what a device asks for is less than what an adapter has.
fn again(gpu: &Gpu) -> Option<wgpu::Adapter> {
    let info = gpu.info();
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = info.backend.into();
    let adapters =
        pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(info.backend.into()));
    adapters.into_iter().find(|adapter| adapter.get_info().name == info.name)
}

/// The limits that kernels meet.
fn limits(limits: &wgpu::Limits) -> Value {
    json!({
        "max_compute_workgroup_storage_size": limits.max_compute_workgroup_storage_size,
        "max_compute_invocations_per_workgroup": limits.max_compute_invocations_per_workgroup,
        "max_compute_workgroups_per_dimension": limits.max_compute_workgroups_per_dimension,
        "max_storage_buffers_per_shader_stage": limits.max_storage_buffers_per_shader_stage,
        "max_storage_buffer_binding_size": limits.max_storage_buffer_binding_size,
        "max_buffer_size": limits.max_buffer_size,
        "min_storage_buffer_offset_alignment": limits.min_storage_buffer_offset_alignment,
        "min_uniform_buffer_offset_alignment": limits.min_uniform_buffer_offset_alignment,
    })
}

fn matrix(matrix: &wgpu::CooperativeMatrixProperties) -> Value {
    json!({
        "m": matrix.m_size, "n": matrix.n_size, "k": matrix.k_size,
        "ab": format!("{:?}", matrix.ab_type), "c": format!("{:?}", matrix.cr_type),
    })
}

/// How the device is made that a part measures on: with the kernels' files of the folder in `WGRAD_SHADERS`, if it is set.
///
/// # Errors
/// [`Error::Refused`] for a folder that cannot be used.
pub fn builder() -> Result<(Builder, Option<ShaderFolder>)> {
    let builder = Gpu::builder().quiet();
    let Some(path) = std::env::var_os("WGRAD_SHADERS") else { return Ok((builder, None)) };
    let folder = ShaderFolder::read(path.as_ref())
        .map_err(|error| Error::Refused(format!("WGRAD_SHADERS {}: {error}", path.display())))?;
    Ok((builder.shader_folder(folder.clone()), Some(folder)))
}

/// The device that a part measures on, as [`builder`] has it.
///
/// # Errors
/// As [`builder`], and [`Error::Device`] without an adapter.
pub fn device() -> Result<(Gpu, Option<ShaderFolder>)> {
    let (builder, folder) = builder()?;
    Ok((builder.build()?, folder))
}
