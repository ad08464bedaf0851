//! An application with a wgpu device of its own: default limits, no features, its own buffers, textures and passes.

use std::sync::mpsc;
use std::time::Duration;

use wgrad_autograd::Gpu;
use wgrad_autograd::device::wgpu;

pub struct App {
    pub instance: wgpu::Instance,
    pub adapter: wgpu::Adapter,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// `f`'s result, or a panic if it takes longer than a minute.
pub fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(f()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("the call hangs or panicked")
}

impl App {
    pub fn new() -> Self {
        let own = Gpu::builder().quiet().build().unwrap();
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends = own.info().backend.into();
        let instance = wgpu::Instance::new(descriptor);
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let adapter = adapters.into_iter().find(|a| a.get_info().name == own.info().name).unwrap();
        let (device, queue) = Self::request(&adapter);
        Self { instance, adapter, device, queue }
    }

    pub fn request(adapter: &wgpu::Adapter) -> (wgpu::Device, wgpu::Queue) {
        pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap()
    }

    pub fn gpu(&self) -> Gpu {
        Gpu::from_wgpu(self.device.clone(), self.queue.clone())
    }

    pub fn buffer(&self, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("app"),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    /// Runs `body` in 64 invocations with the resources bound to 0, 1 …
    pub fn run(&self, wgsl: &str, bound: &[wgpu::BindingResource<'_>]) {
        let source = wgpu::ShaderSource::Wgsl(wgsl.into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let entries: Vec<_> = (0..)
            .zip(bound)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
    }

    /// The first bytes of `source`, copied by the application itself.
    pub fn read(&self, source: wgpu::BufferBinding<'_>, size: u64) -> Vec<u8> {
        let staging = self.buffer(size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(source.buffer, source.offset, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        self.mapped(&staging)
    }

    pub fn mapped(&self, staging: &wgpu::Buffer) -> Vec<u8> {
        staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        staging.get_mapped_range(..).unwrap().to_vec()
    }
}
