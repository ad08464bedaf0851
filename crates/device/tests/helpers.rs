//! What several tests of devices share.

#![allow(dead_code, reason = "each test program uses its own part")]

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Gpu, Launch, wgpu};

/// A launch of y = f(x) over vec4s of f32, where `f` is a file of `elementwise/unary/`. What is left is to bind x and y and to
/// state `n4` and the grid.
pub fn elementwise<'a>(gpu: &'a Gpu, f: &'a File) -> Launch<'a> {
    let kernel = Kernel::new(&shaders::UNARY_FORWARD, "unary_forward").with(f);
    gpu.launch(kernel.with(&shaders::LOAD_QUAD).with(&shaders::STORE_QUAD))
        .set_all_f32([("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)])
        .alias("X", "vec4<f32>")
        .alias("Y", "vec4<f32>")
        .alias("C", "f32")
}

/// An application's own device, with default limits and no features.
pub fn borrowed() -> Gpu {
    let own = Gpu::builder().quiet().build().expect("an adapter");
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = own.info().backend.into();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapter =
        adapters.into_iter().find(|a| a.get_info().name == own.info().name).expect("the adapter again");
    let device = adapter.request_device(&wgpu::DeviceDescriptor::default());
    let (device, queue) = pollster::block_on(device).expect("a device with default limits");
    Gpu::from_wgpu(device, queue)
}
