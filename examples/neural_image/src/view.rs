//! Draws the picture and the network's, side by side.

use wgrad::wgpu;
use wgrad::wgpu::util::DeviceExt;

use crate::picture::Picture;

/// A pipeline, and what it draws.
pub struct View {
    pipeline: wgpu::RenderPipeline,
    window: wgpu::Buffer,
    target: wgpu::TextureView,
    sampler: wgpu::Sampler,
    bindings: wgpu::BindGroup,
}

impl View {
    /// For a window of this format: `picture` on the left, `learned` on the right.
    pub fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        format: wgpu::TextureFormat,
        picture: &Picture,
        learned: &wgpu::Texture,
    ) -> Self {
        let shader = device.create_shader_module(wgpu::include_wgsl!("view.wgsl"));
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("view"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &shader,
                entry_point: Some("cover"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            fragment: Some(wgpu::FragmentState {
                module: &shader,
                entry_point: Some("draw"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(format.into())],
            }),
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            multiview_mask: None,
            cache: None,
        });
        let window = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("window"),
            size: 16,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let target = upload(device, queue, picture).create_view(&wgpu::TextureViewDescriptor::default());
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        let bindings = bind(device, &pipeline, &window, &target, &sampler, learned);
        Self { pipeline, window, target, sampler, bindings }
    }

    /// Shows `learned` on the right from now on.
    pub fn set_learned(&mut self, device: &wgpu::Device, learned: &wgpu::Texture) {
        self.bindings = bind(device, &self.pipeline, &self.window, &self.target, &self.sampler, learned);
    }

    /// The window has this many pixels.
    pub fn resize(&self, queue: &wgpu::Queue, width: u32, height: u32) {
        queue.write_buffer(&self.window, 0, bytemuck::cast_slice(&[width as f32, height as f32]));
    }

    /// Records one frame, drawn into `frame`.
    pub fn draw(&self, encoder: &mut wgpu::CommandEncoder, frame: &wgpu::TextureView) {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("view"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: frame,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.draw(0..3, 0..1);
    }
}

fn bind(
    device: &wgpu::Device,
    pipeline: &wgpu::RenderPipeline,
    window: &wgpu::Buffer,
    target: &wgpu::TextureView,
    sampler: &wgpu::Sampler,
    learned: &wgpu::Texture,
) -> wgpu::BindGroup {
    let learned = learned.create_view(&wgpu::TextureViewDescriptor::default());
    let resources = [
        window.as_entire_binding(),
        wgpu::BindingResource::TextureView(target),
        wgpu::BindingResource::TextureView(&learned),
        wgpu::BindingResource::Sampler(sampler),
    ];
    let entries: Vec<_> =
        (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("view"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    })
}

fn upload(device: &wgpu::Device, queue: &wgpu::Queue, picture: &Picture) -> wgpu::Texture {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let descriptor = wgpu::TextureDescriptor {
        label: Some("the picture"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    };
    let order = wgpu::util::TextureDataOrder::LayerMajor;
    device.create_texture_with_data(queue, &descriptor, order, &picture.rgba())
}
