//! `wgrad devices`: the adapters there are, and which is taken.

use serde_json::{Value, json};
use wgrad::device::{Family, wgpu};
use wgrad::{Gpu, optional_features};

use crate::Result;
use crate::args::Devices;
use crate::output::{print, say};

pub(crate) fn run(flags: &Devices) -> Result<()> {
    let adapters = adapters();
    let gpu = Gpu::builder().quiet().build();
    let is_taken = |info: &wgpu::AdapterInfo| {
        gpu.as_ref().is_ok_and(|gpu| {
            let own = gpu.info();
            (&own.name, own.backend, own.device, own.vendor)
                == (&info.name, info.backend, info.device, info.vendor)
        })
    };
    let mut is_found = false;
    let mut entries = Vec::new();
    for adapter in &adapters {
        // Two cards of one kind look alike: the first of them is taken.
        let taken = !is_found && is_taken(&adapter.get_info());
        is_found |= taken;
        entries.push(entry(adapter, taken));
    }
    let lines: Vec<String> = entries.iter().map(in_lines).collect();
    let mut value = json!({ "adapters": entries });
    if let Ok(gpu) = &gpu {
        let family = if gpu.family() == Family::Cpu { "cpu" } else { "gpu" };
        value["kernels"] = json!(family);
        value["loop_limit"] = json!(gpu.loop_limit());
    }
    print(flags.machines.json, &value, lines.join("\n\n").trim_end());
    let gpu = gpu?;
    if !flags.machines.json {
        let family = if gpu.family() == Family::Cpu { "cpu" } else { "gpu" };
        say(&format!("\n{} is taken, with the kernels of family {family}", gpu.info().name));
    }
    Ok(())
}

/// All adapters, those of the main backends first. The others are asked only where these have none, since starting them is
/// slow and noisy on machines without a display.
fn adapters() -> Vec<wgpu::Adapter> {
    for backends in [wgpu::Backends::PRIMARY, wgpu::Backends::SECONDARY] {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= backends;
        let instance = wgpu::Instance::new(descriptor);
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn entry(adapter: &wgpu::Adapter, taken: bool) -> Value {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    };
    let has = optional_features(adapter);
    let features = [
        ("subgroups", wgpu::Features::SUBGROUP),
        ("64-bit integers", wgpu::Features::SHADER_INT64),
        ("16-bit floats", wgpu::Features::SHADER_F16),
        ("timestamps", wgpu::Features::TIMESTAMP_QUERY),
    ];
    let features: Vec<&str> =
        features.iter().filter(|(_, f)| has.contains(*f)).map(|(name, _)| *name).collect();
    json!({
        "name": info.name,
        "backend": info.backend.to_string(),
        "type": kind,
        "driver": format!("{} {}", info.driver, info.driver_info).trim(),
        "taken": taken,
        "why": why(adapter, &info, taken),
        "features": features,
        "limits": {
            "max_buffer_size": limits.max_buffer_size,
            "max_storage_buffer_binding_size": limits.max_storage_buffer_binding_size,
            "max_compute_workgroup_storage_size": limits.max_compute_workgroup_storage_size,
            "max_compute_invocations_per_workgroup": limits.max_compute_invocations_per_workgroup,
            "max_compute_workgroups_per_dimension": limits.max_compute_workgroups_per_dimension,
        },
    })
}

fn why(adapter: &wgpu::Adapter, info: &wgpu::AdapterInfo, taken: bool) -> String {
    let wanted = std::env::var("WGPU_ADAPTER_NAME").ok().map(|name| name.to_lowercase());
    let is_named = wanted.as_ref().is_none_or(|name| info.name.to_lowercase().contains(name));
    let order = "the order is discrete, integrated, virtual, other, software";
    match (taken, is_named) {
        (_, false) => "WGPU_ADAPTER_NAME names another".to_owned(),
        (true, _) if wanted.is_some() => "WGPU_ADAPTER_NAME names it".to_owned(),
        (true, _) => format!("the first that can be used; {order}"),
        _ if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) => {
            "it has no compute shaders".to_owned()
        }
        _ => format!("another comes first; {order}"),
    }
}

fn in_lines(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let megabytes = |key: &str| entry["limits"][key].as_f64().unwrap_or_default() / f64::from(1 << 20);
    let features: Vec<&str> =
        entry["features"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mark = if entry["taken"] == true { "taken" } else { "not taken" };
    format!(
        "{} ({}, {})\n  driver: {}\n  {mark}: {}\n  features: {}\n  limits: buffers of {:.0} MiB, bindings of {:.0} MiB, {} \
         invocations and {} bytes a workgroup",
        text("name"),
        text("type"),
        text("backend"),
        text("driver"),
        text("why"),
        if features.is_empty() { "none".to_owned() } else { features.join(", ") },
        megabytes("max_buffer_size"),
        megabytes("max_storage_buffer_binding_size"),
        entry["limits"]["max_compute_invocations_per_workgroup"],
        entry["limits"]["max_compute_workgroup_storage_size"],
    )
}
