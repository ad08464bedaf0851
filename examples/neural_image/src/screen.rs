//! The window's surface and device.

use std::sync::Arc;

use wgrad::device::{optional_features, preferred_limits};
use wgrad::wgpu::{self, CurrentSurfaceTexture};
use winit::dpi::PhysicalSize;
use winit::window::Window;

use crate::error::Result;

/// A window that can be drawn into, and the device that draws.
pub struct Screen {
    pub window: Arc<Window>,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
}

impl Screen {
    /// The adapter is one that can draw into the window; its device has what training gains by, above all timestamps,
    /// which tell how long slices take.
    ///
    /// # Errors
    /// If there is no such adapter.
    pub async fn new(window: Arc<Window>) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let surface = instance.create_surface(Arc::clone(&window))?;
        let options =
            wgpu::RequestAdapterOptions { compatible_surface: Some(&surface), ..Default::default() };
        let adapter = instance.request_adapter(&options).await?;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: optional_features(&adapter),
            required_limits: preferred_limits(&adapter),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await?;
        let offered = surface.get_capabilities(&adapter).formats;
        // The pictures' values are sRGB already: the surface must not encode them once more.
        let plain = offered.iter().copied().find(|format| !format.is_srgb());
        let size = window.inner_size();
        let config = wgpu::SurfaceConfiguration {
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            format: plain.or(offered.first().copied()).unwrap_or(wgpu::TextureFormat::Bgra8Unorm),
            color_space: wgpu::SurfaceColorSpace::Auto,
            width: size.width.max(1),
            height: size.height.max(1),
            desired_maximum_frame_latency: 2,
            present_mode: wgpu::PresentMode::AutoVsync,
            alpha_mode: wgpu::CompositeAlphaMode::Auto,
            view_formats: vec![],
        };
        surface.configure(&device, &config);
        Ok(Self { window, device, queue, surface, config })
    }

    /// The format that pipelines must draw in.
    pub fn format(&self) -> wgpu::TextureFormat {
        self.config.format
    }

    /// The window has a new size, in pixels.
    pub fn resize(&mut self, size: PhysicalSize<u32>) {
        (self.config.width, self.config.height) = (size.width.max(1), size.height.max(1));
        self.surface.configure(&self.device, &self.config);
    }

    /// Draws and shows one frame, if the window can be drawn into now.
    pub fn present(&self, draw: impl FnOnce(&mut wgpu::CommandEncoder, &wgpu::TextureView)) {
        let frame = match self.surface.get_current_texture() {
            CurrentSurfaceTexture::Success(frame) => frame,
            CurrentSurfaceTexture::Suboptimal(_)
            | CurrentSurfaceTexture::Outdated
            | CurrentSurfaceTexture::Lost => {
                self.surface.configure(&self.device, &self.config);
                return;
            }
            CurrentSurfaceTexture::Timeout
            | CurrentSurfaceTexture::Occluded
            | CurrentSurfaceTexture::Validation => return,
        };
        let view = frame.texture.create_view(&wgpu::TextureViewDescriptor::default());
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        draw(&mut encoder, &view);
        self.queue.submit([encoder.finish()]);
        self.window.pre_present_notify();
        self.queue.present(frame);
    }
}
