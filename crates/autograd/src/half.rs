//! [`Half`]: f16 values on the GPU, as operands of products.
//!
//! A product of half-precision operands reads half the bytes, from memory and through the caches; that is all it gains.
//! They are multiplied and added as f32, because a sum of f16 loses its small terms after a few hundred (above 2048 it
//! counts in steps of 2), and results are f32 tensors. Nothing else computes in f16.

use half::f16;
use wgrad_device::shaders::{self, Kernel};
use wgrad_device::wgpu;
use wgrad_device::{Buffer, Gpu, View};

use crate::launch::launch;
use crate::ops::conv::{Conv2dOptions, Geometry, check_bias};
use crate::ops::matmul::matmul;
use crate::shape::numel;
use crate::tensor::{check_range, checked_bytes};
use crate::{Error, Result, Tensor};

/// What a product's operands are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F16,
}

impl Element {
    /// Bytes of an element.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// WGSL's type.
    pub(crate) fn wgsl(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }
}

/// An operand of a product.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    F32(&'a Tensor),
    F16(&'a Half),
}

impl<'a> From<&'a Tensor> for Operand<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::F32(tensor)
    }
}

impl<'a> From<&'a Half> for Operand<'a> {
    fn from(half: &'a Half) -> Self {
        Self::F16(half)
    }
}

impl<'a> Operand<'a> {
    pub(crate) fn gpu(self) -> &'a Gpu {
        match self {
            Self::F32(tensor) => tensor.gpu(),
            Self::F16(half) => &half.gpu,
        }
    }

    pub(crate) fn shape(self) -> &'a [usize] {
        match self {
            Self::F32(tensor) => tensor.shape(),
            Self::F16(half) => &half.shape,
        }
    }

    pub(crate) fn bind(self) -> View {
        match self {
            Self::F32(tensor) => tensor.bind(),
            Self::F16(half) => half.bind(),
        }
    }

    pub(crate) fn element(self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::F16(_) => Element::F16,
        }
    }
}

/// Row-major f16 values on a GPU that are no part of any graph: operands of products whose results are f32 tensors.
///
/// They take a device with [`SHADER_F16`](wgrad_device::wgpu::Features::SHADER_F16), which
/// [`Gpu::new`] asks for where the adapter has it; [`Gpu::has_f16`] tells.
#[derive(Clone, Debug)]
pub struct Half {
    gpu: Gpu,
    buffer: Buffer,
    /// First byte within the buffer.
    offset: u64,
    shape: Vec<usize>,
}

impl Half {
    fn empty(gpu: &Gpu, op: &'static str, shape: &[usize]) -> Result<Self> {
        let buffer = gpu.buffer(half_bytes(gpu, op, shape)?)?;
        Ok(Self { gpu: gpu.clone(), buffer, offset: 0, shape: shape.to_vec() })
    }

    /// The f16 values in an application's own buffer from byte `offset`, as [`Tensor::from_wgpu_buffer`], to the end of
    /// the last four.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a device without f16, else as [`Tensor::from_wgpu_buffer`].
    pub fn from_wgpu_buffer(gpu: &Gpu, buffer: &wgpu::Buffer, offset: u64, shape: &[usize]) -> Result<Self> {
        let bytes = half_bytes(gpu, "from_wgpu_buffer", shape)?;
        let buffer = gpu.import(buffer)?;
        check_range(gpu, &buffer, offset, bytes.next_multiple_of(8), shape)?;
        Ok(Self { gpu: gpu.clone(), buffer, offset, shape: shape.to_vec() })
    }

    /// Buffer, offset and size in bytes of the values up to the end of the last four, as [`Tensor::as_wgpu`].
    pub fn as_wgpu(&self) -> wgpu::BufferBinding<'_> {
        self.buffer.as_wgpu(self.offset, numel(&self.shape).next_multiple_of(4) as u64 * 2)
    }

    /// Shape: `shape`, row-major values.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a device without f16, else as [`Tensor::from_slice`].
    pub fn from_slice(gpu: &Gpu, values: &[f16], shape: &[usize]) -> Result<Self> {
        let half = Self::empty(gpu, "from_slice", shape)?;
        if values.len() != numel(shape) {
            let message = format!("{} values for a tensor {shape:?} of {}", values.len(), numel(shape));
            return Err(Error::shape("from_slice", message));
        }
        gpu.write(&half.bind(), values)?;
        Ok(half)
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Where the values lie, up to the end of the last quad.
    pub fn bind(&self) -> View {
        self.buffer.view(self.offset, (numel(&self.shape) as u64).next_multiple_of(4) * 2)
    }

    /// The same values as f32.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn to_tensor(&self) -> Result<Tensor> {
        let tensor = Tensor::empty(&self.gpu, &self.shape)?;
        cast(&self.gpu, ["vec4<f16>", "vec4<f32>"], self.bind(), tensor.bind_padded())?;
        Ok(tensor)
    }

    /// Matrix product over the last two axes, added up in f32. Shapes as [`Tensor::matmul`]'s.
    ///
    /// Each product of two f16 is exact in f32, so beside the rounding of the operands the error is that of an f32 sum.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn matmul(&self, other: &Half) -> Result<Tensor> {
        self.matmul_transposed(false, other, false)
    }

    /// As [`Half::matmul`], with either operand's last two axes swapped first; nothing is copied for that.
    ///
    /// # Errors
    /// As [`Half::matmul`].
    pub fn matmul_transposed(&self, transpose: bool, other: &Half, transpose_other: bool) -> Result<Tensor> {
        matmul("matmul", self, transpose, other, transpose_other)
    }

    /// 2-D convolution with a weight `[out, c / groups, kh, kw]` and an f32 bias `[out]`, added up in f32. Shapes as
    /// [`Tensor::conv2d`]'s.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn conv2d(&self, w: &Half, bias: Option<&Tensor>, options: Conv2dOptions) -> Result<Tensor> {
        let geometry = Geometry::new(Element::F16, &self.shape, &w.shape, options)?;
        check_bias(bias, &w.shape)?;
        let y = Tensor::empty(&self.gpu, &geometry.output_shape())?;
        geometry.forward_product(self.into(), w.into(), bias, false, &y)?;
        Ok(y)
    }

    /// The gradient of [`Half::conv2d`] by its input of shape `input`, where `self` is the gradient of its output.
    /// Counterpart: `torch.nn.grad.conv2d_input`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn conv2d_input(&self, w: &Half, input: &[usize], options: Conv2dOptions) -> Result<Tensor> {
        let geometry = self.geometry_of_gradient("conv2d_input", input, &w.shape, options)?;
        let dx = Tensor::empty(&self.gpu, input)?;
        geometry.input_grad_product(w.into(), self.into(), &dx)?;
        Ok(dx)
    }

    /// The gradient of [`Half::conv2d`] by its weight of shape `weight`, where `self` is the gradient of its output and `x`
    /// its input. Counterpart: `torch.nn.grad.conv2d_weight`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Device`].
    pub fn conv2d_weight(&self, x: &Half, weight: &[usize], options: Conv2dOptions) -> Result<Tensor> {
        let geometry = self.geometry_of_gradient("conv2d_weight", &x.shape, weight, options)?;
        geometry.weight_grad_product(x.into(), self.into(), weight)
    }

    fn geometry_of_gradient(
        &self,
        op: &'static str,
        x: &[usize],
        w: &[usize],
        options: Conv2dOptions,
    ) -> Result<Geometry> {
        let geometry = Geometry::new(Element::F16, x, w, options)?;
        let output = geometry.output_shape();
        if self.shape != output {
            let message =
                format!("a gradient {:?} where input {x:?} and weight {w:?} make {output:?}", self.shape);
            return Err(Error::shape(op, message));
        }
        Ok(geometry)
    }
}

/// Bytes of an f16 tensor, if the device has f16.
fn half_bytes(gpu: &Gpu, op: &'static str, shape: &[usize]) -> Result<u64> {
    if !gpu.has_f16() {
        return Err(Error::Unsupported {
            op,
            feature: "SHADER_F16",
            advice: "multiply f32 tensors, or take an adapter with 16-bit floats",
        });
    }
    // The limit is an f32 tensor's: what is converted must exist as one.
    Ok(checked_bytes(gpu, shape)? / 2)
}

impl Tensor {
    /// The values rounded to f16, one of the two next to each; cut off from the graph.
    ///
    /// Beyond ±65504, the largest f16, they become infinite or stay at it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a device without f16, [`Error::Device`].
    pub fn to_half(&self) -> Result<Half> {
        let half = Half::empty(self.gpu(), "to_half", self.shape())?;
        cast(self.gpu(), ["vec4<f32>", "vec4<f16>"], self.bind_padded(), half.bind())?;
        Ok(half)
    }
}

/// Converts four values at a time, from one WGSL type to another.
fn cast(gpu: &Gpu, [from, to]: [&'static str; 2], x: View, y: View) -> Result<()> {
    let quads = (y.size.min(x.size) / 8).max(1) as usize;
    let launch = launch(gpu, Kernel::new(&shaders::CAST, "main")).alias("From", from).alias("To", to);
    Ok(launch.bind_all([("x", x), ("y", y)]).set("quads", quads).threads(quads).enqueue()?)
}
