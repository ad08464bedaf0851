//! [`DType`]: what a tensor's elements are.

use std::fmt;

use half::f16;

/// The type of a tensor's elements, as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DType {
    /// 32-bit floats: parameters, activations and gradients unless something else is asked for.
    #[default]
    F32,
    /// 16-bit floats with 11 significant bits, up to 65504. They take half the memory; kernels compute with them as f32. They
    /// need a device with `SHADER_F16` ([`Gpu::has_f16`](wgrad_device::Gpu::has_f16)).
    F16,
    /// 32-bit signed integers: class labels, indices, counts. Their arithmetic is exact, and wraps around on overflow.
    I32,
    /// Bytes from 0 to 255: images, masks and quantised values, four to a word. They have no arithmetic: convert them first.
    U8,
}

impl DType {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 => 2,
            Self::U8 => 1,
        }
    }

    /// Whether it is a floating-point type; only such tensors have gradients.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16)
    }

    /// WGSL's type of what a buffer of it is an array of: an element, or for bytes the word of four.
    pub(crate) fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I32 => "i32",
            Self::U8 => "u32",
        }
    }

    /// WGSL's type of four neighbouring elements as they lie in a buffer.
    pub(crate) fn wgsl4(self) -> &'static str {
        match self {
            Self::F32 => "vec4<f32>",
            Self::F16 => "vec4<f16>",
            Self::I32 => "vec4<i32>",
            Self::U8 => "u32",
        }
    }

    /// WGSL's type that kernels compute with.
    pub(crate) fn computed(self) -> &'static str {
        if self.is_float() { "f32" } else { "i32" }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I32 => "i32",
            Self::U8 => "u8",
        })
    }
}

/// A Rust type that a tensor's elements can be read and written as.
pub trait Element: bytemuck::Pod + Default {
    /// The tensor's type.
    const DTYPE: DType;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

impl Element for f16 {
    const DTYPE: DType = DType::F16;
}

impl Element for i32 {
    const DTYPE: DType = DType::I32;
}

impl Element for u8 {
    const DTYPE: DType = DType::U8;
}
