//! What a browser does otherwise: `platform_browser.rs` has the same items for it.

use std::borrow::Cow;

/// Whether this is a page, which may not wait, and whose browser compiles the text of kernels.
pub(crate) const IN_BROWSER: bool = false;

/// All adapters that `instance` finds.
pub(crate) async fn adapters(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(wgpu::Backends::all()).await
}

/// A kernel for wgpu: the module as reflection parsed it, which spares wgpu to parse the text again.
pub(crate) fn shader_source(module: naga::Module, _: &str) -> wgpu::ShaderSource<'_> {
    wgpu::ShaderSource::Naga(Cow::Owned(module))
}
