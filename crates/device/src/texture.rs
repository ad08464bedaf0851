//! An application's textures: what kernels load from and store to, checked before a launch is refused because of them.

use naga::StorageFormat;
use wgpu::{TextureFormat, TextureUsages, TextureView};

use crate::gpu::Gpu;
use crate::{Error, Result};

/// The formats that kernels store to, by WGSL's types.
pub(crate) const STORAGE_FORMATS: [(&str, TextureFormat, StorageFormat); 5] = [
    ("texture_storage_2d<rgba8unorm, write>", TextureFormat::Rgba8Unorm, StorageFormat::Rgba8Unorm),
    ("texture_storage_2d<bgra8unorm, write>", TextureFormat::Bgra8Unorm, StorageFormat::Bgra8Unorm),
    ("texture_storage_2d<rgba16float, write>", TextureFormat::Rgba16Float, StorageFormat::Rgba16Float),
    ("texture_storage_2d<r32float, write>", TextureFormat::R32Float, StorageFormat::R32Float),
    ("texture_storage_2d<rgba32float, write>", TextureFormat::Rgba32Float, StorageFormat::Rgba32Float),
];

fn refused(message: String) -> Error {
    Error::Resource { resource: "texture", message }
}

impl Gpu {
    /// A view of one layer of a two-dimensional texture, for `texture_2d<f32>` in kernels.
    ///
    /// # Errors
    /// [`Error::Resource`] for a texture without `TEXTURE_BINDING`, with several samples, of other dimensions, of a format
    /// that is not read as floats, without this layer, destroyed, or of another device. [`Error::Lost`].
    pub fn sampled_view(&self, texture: &wgpu::Texture, layer: u32) -> Result<TextureView> {
        let format = texture.format();
        let kind = format.sample_type(None, Some(self.device().features()));
        if !matches!(kind, Some(wgpu::TextureSampleType::Float { .. })) {
            return Err(refused(format!("its format {format:?} is not read as floats")));
        }
        let ty = wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        };
        self.layer_view(texture, layer, TextureUsages::TEXTURE_BINDING, ty)
    }

    /// A view of one layer of a two-dimensional texture for kernels to store to, and its type in WGSL, of which kernels that
    /// store to textures of any format have an alias.
    ///
    /// # Errors
    /// [`Error::Resource`] for a texture without `STORAGE_BINDING`, of a format that kernels don't store to, and as
    /// [`Gpu::sampled_view`].
    pub fn storage_view(&self, texture: &wgpu::Texture, layer: u32) -> Result<(TextureView, &'static str)> {
        let format = texture.format();
        let Some((wgsl_type, ..)) = STORAGE_FORMATS.into_iter().find(|(_, known, _)| *known == format) else {
            let names: Vec<_> =
                STORAGE_FORMATS.iter().map(|(_, format, _)| format!("{format:?}").to_lowercase()).collect();
            let advice = if format.is_srgb() {
                "; make it without Srgb, and show it through a view of the Srgb format (`view_formats`)"
            } else {
                ""
            };
            let message =
                format!("its format {format:?} is none that kernels store to ({}){advice}", names.join(", "));
            return Err(refused(message));
        };
        let ty = wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format,
            view_dimension: wgpu::TextureViewDimension::D2,
        };
        Ok((self.layer_view(texture, layer, TextureUsages::STORAGE_BINDING, ty)?, wgsl_type))
    }

    fn layer_view(
        &self,
        texture: &wgpu::Texture,
        layer: u32,
        usage: TextureUsages,
        ty: wgpu::BindingType,
    ) -> Result<TextureView> {
        self.check()?;
        if !texture.usage().contains(usage) {
            return Err(refused(format!("it was made without the usage {usage:?}, which kernels need")));
        }
        if texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
            return Err(refused(format!(
                "it is {:?} with {} samples a texel; kernels take D2 with one",
                texture.dimension(),
                texture.sample_count()
            )));
        }
        if layer >= texture.depth_or_array_layers() {
            let layers = texture.depth_or_array_layers();
            return Err(refused(format!("layer {layer} of a texture with {layers}")));
        }
        let scopes = self.scopes();
        let view = texture.create_view(&wgpu::TextureViewDescriptor {
            label: Some("wgrad layer"),
            dimension: Some(wgpu::TextureViewDimension::D2),
            mip_level_count: Some(1),
            base_array_layer: layer,
            array_layer_count: Some(1),
            ..Default::default()
        });
        let bound =
            scopes.pop().and_then(|()| self.try_binding(ty, wgpu::BindingResource::TextureView(&view)));
        bound.map_err(|error| match error {
            Error::Validation { message } => refused(message),
            other => other,
        })?;
        Ok(view)
    }
}
