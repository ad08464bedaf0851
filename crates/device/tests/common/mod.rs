//! What several tests of devices share.

use wgrad_device::{Gpu, wgpu};

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
