//! Textures that the network's pictures are written into on the device, and that the window draws.

use eframe::egui::TextureId;
use eframe::egui_wgpu::RenderState;
use wgrad::train::Result;
use wgrad::{Gpu, Tensor, TextureOptions, wgpu};

/// A texture of the application, known to egui.
pub struct Shown {
    texture: wgpu::Texture,
    pub id: TextureId,
}

impl Shown {
    /// Black at first.
    pub fn new(render: &RenderState, width: usize, height: usize) -> Self {
        let texture = render.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("paint picture"),
            size: wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let nearest = wgpu::FilterMode::Nearest;
        let id = render.renderer.write().register_native_texture(&render.device, &view, nearest);
        Self { texture, id }
    }

    /// Puts grey values into the texture, row by row.
    pub fn upload(&self, queue: &wgpu::Queue, grey: &[u8]) {
        let texels: Vec<u8> = grey.iter().flat_map(|&grey| [grey, grey, grey, 255]).collect();
        let size = self.texture.size();
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * size.width),
            rows_per_image: None,
        };
        queue.write_texture(self.texture.as_image_copy(), &texels, layout, size);
    }

    /// Records that `picture`, `[3, height, width]` with values 0 to 1, be written into the texture.
    pub fn show(&self, picture: &Tensor) -> Result<()> {
        Ok(picture.to_texture(&self.texture, TextureOptions::default())?)
    }

    /// What is in the texture as grey values, read when the recording runs: `[1, 1, height, width]`, values 0 to 1.
    pub fn grey(&self, gpu: &Gpu) -> Result<Tensor> {
        Ok(Tensor::from_texture(gpu, &self.texture, 1, TextureOptions::default())?)
    }
}
