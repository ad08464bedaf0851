//! As `platform.rs`, in a browser.

/// Whether this is a page, which may not wait, and whose browser compiles the text of kernels.
pub(crate) const IN_BROWSER: bool = true;

/// A browser hands out one adapter on request and lists none.
pub(crate) async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.into_iter().collect()
}

/// A kernel for wgpu: its text, which the browser compiles.
pub(crate) fn shader_source(_: naga::Module, source: &str) -> wgpu::ShaderSource<'_> {
    wgpu::ShaderSource::Wgsl(source.into())
}
