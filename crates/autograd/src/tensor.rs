//! [`Tensor`]: f32 values on the GPU, immutable, with the op that made them where gradients are tracked.

use std::fmt;
use std::sync::Arc;

use wgrad_device::{Buffer, Gpu, Pending, View, wgpu};

use crate::graph::Node;
use crate::shape::numel;
use crate::{Error, Result};

/// A row-major tensor of f32 on a GPU. Cloning shares it.
///
/// A shape of no axes is a scalar. Tensors without elements don't exist: a batch needs at least one sample.
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

struct Inner {
    id: u64,
    gpu: Gpu,
    buffer: Buffer,
    /// First byte within the buffer.
    offset: u64,
    shape: Vec<usize>,
    tracked: bool,
    node: Option<Arc<Node>>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensor").field("shape", &self.shape()).field("tracked", &self.is_tracked()).finish()
    }
}

impl Tensor {
    fn new(gpu: &Gpu, buffer: Buffer, offset: u64, shape: &[usize]) -> Self {
        let (id, gpu, shape) = (gpu.unique(), gpu.clone(), shape.to_vec());
        Self(Arc::new(Inner { id, gpu, buffer, offset, shape, tracked: false, node: None }))
    }

    /// A tensor of unspecified content, for an op to write.
    ///
    /// # Errors
    /// [`Error::Shape`] for a shape without elements, [`Error::TooLarge`], [`Error::Device`].
    pub fn empty(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        let bytes = checked_bytes(gpu, shape)?;
        Ok(Self::new(gpu, gpu.buffer(bytes)?, 0, shape))
    }

    /// Shape: `shape`, row-major values.
    ///
    /// # Errors
    /// As [`Tensor::empty`], and [`Error::Shape`] if the number of values is not the shape's.
    pub fn from_slice(gpu: &Gpu, values: &[f32], shape: &[usize]) -> Result<Self> {
        let tensor = Self::empty(gpu, shape)?;
        if values.len() != tensor.numel() {
            let message = format!("{} values for a tensor {shape:?} of {}", values.len(), tensor.numel());
            return Err(Error::shape("from_slice", message));
        }
        gpu.write(&tensor.bind(), values)?;
        Ok(tensor)
    }

    /// All elements `value`.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn full(gpu: &Gpu, shape: &[usize], value: f32) -> Result<Self> {
        // A cleared buffer holds +0, not -0.
        if value.to_bits() == 0 {
            let tensor = Self::empty(gpu, shape)?;
            gpu.clear(&tensor.bind())?;
            return Ok(tensor);
        }
        checked_bytes(gpu, shape)?;
        Self::from_slice(gpu, &vec![value; numel(shape)], shape)
    }

    /// All elements 0.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn zeros(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        Self::full(gpu, shape, 0.0)
    }

    /// The values in `buffer` from byte `offset`, shared, not copied.
    ///
    /// Kernels read and write four values at a time, so the buffer must reach to the end of the last four: 16 bytes for
    /// each four values begun.
    ///
    /// # Errors
    /// [`Error::Shape`] if the range leaves the buffer or `offset` is not aligned for storage bindings.
    pub fn from_buffer(gpu: &Gpu, buffer: &Buffer, offset: u64, shape: &[usize]) -> Result<Self> {
        let bytes = checked_bytes(gpu, shape)?;
        check_range(gpu, buffer, offset, bytes.next_multiple_of(16), shape)?;
        Ok(Self::new(gpu, buffer.clone(), offset, shape))
    }

    /// The values in an application's own buffer from byte `offset`, shared, not copied: what its commands write is what
    /// ops read, in the order of submissions. [`Gpu::import`] tells what is asked of the buffer, and
    /// [`Tensor::from_buffer`] of the range; import a buffer once where several tensors lie in it.
    ///
    /// What an op read in the forward pass must not change before the backward pass has run. Where it is changed by
    /// launches, copies and writes of this `Gpu` the backward pass fails with [`Error::Changed`]; your own commands are
    /// not seen, and neither are those of another `Gpu` on the same device: after them its gradients are wrong.
    ///
    /// # Errors
    /// As [`Gpu::import`] and [`Tensor::from_buffer`].
    pub fn from_wgpu_buffer(gpu: &Gpu, buffer: &wgpu::Buffer, offset: u64, shape: &[usize]) -> Result<Self> {
        Self::from_buffer(gpu, &gpu.import(buffer)?, offset, shape)
    }

    /// Buffer, offset and size in bytes of the values, for an application's own bind groups and copies.
    ///
    /// [`Buffer::as_wgpu`] tells when to submit. Keep the tensor until your commands are submitted.
    pub fn as_wgpu(&self) -> wgpu::BufferBinding<'_> {
        self.0.buffer.as_wgpu(self.0.offset, self.numel() as u64 * 4)
    }

    /// The same values as a leaf whose gradient [`Tensor::backward`] returns.
    pub fn tracked(&self) -> Self {
        let t = &self.0;
        let (gpu, buffer, shape) = (t.gpu.clone(), t.buffer.clone(), t.shape.clone());
        let inner =
            Inner { id: gpu.unique(), gpu, buffer, offset: t.offset, shape, tracked: true, node: None };
        Self(Arc::new(inner))
    }

    /// The same values, cut off from the graph.
    pub fn detach(&self) -> Self {
        Self::new(self.gpu(), self.0.buffer.clone(), self.0.offset, self.shape())
    }

    /// The same values with another shape of as many elements; not recorded.
    pub(crate) fn with_shape(&self, shape: &[usize]) -> Self {
        debug_assert_eq!(numel(shape), self.numel());
        Self::new(self.gpu(), self.0.buffer.clone(), self.0.offset, shape)
    }

    pub(crate) fn with_node(self, node: Arc<Node>) -> Self {
        let t = &self.0;
        let (gpu, buffer, shape) = (t.gpu.clone(), t.buffer.clone(), t.shape.clone());
        Self(Arc::new(Inner {
            // The walk back goes by these numbers: they must rise in the order in which ops were recorded, and what the op's
            // launches wrote has lower ones.
            id: t.gpu.unique(),
            gpu,
            buffer,
            offset: t.offset,
            shape,
            tracked: true,
            node: Some(node),
        }))
    }

    /// Whether both tensors' values lie at the same place.
    pub(crate) fn lies_with(&self, other: &Tensor) -> bool {
        self.0.buffer.id() == other.0.buffer.id() && self.0.offset == other.0.offset
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.0.node.as_ref()
    }

    /// Whether gradients flow to this tensor.
    pub fn is_tracked(&self) -> bool {
        self.0.tracked
    }

    /// The device the values lie on.
    pub fn gpu(&self) -> &Gpu {
        &self.0.gpu
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        numel(self.shape())
    }

    /// Where the values lie: to bind in a launch, to copy from, or for an application's own passes.
    pub fn bind(&self) -> View {
        self.0.buffer.view(self.0.offset, self.numel() as u64 * 4)
    }

    /// As [`Tensor::bind`], up to the end of the last vec4, for kernels that read and write vec4s.
    pub fn bind_padded(&self) -> View {
        self.0.buffer.view(self.0.offset, (self.numel() as u64 * 4).next_multiple_of(16))
    }

    /// Submits, waits and reads the values.
    ///
    /// # Errors
    /// [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        Ok(self.gpu().read(&self.bind())?)
    }

    /// Submits and reads the values without blocking.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub async fn to_vec_async(&self) -> Result<Vec<f32>> {
        Ok(self.gpu().read_async(&self.bind()).await?)
    }

    /// Submits and reads a tensor of one element without blocking.
    ///
    /// # Errors
    /// [`Error::Shape`] for any other number of elements, [`Error::Device`].
    pub async fn item_async(&self) -> Result<f32> {
        self.check_single()?;
        Ok(self.to_vec_async().await?[0])
    }

    fn check_single(&self) -> Result<()> {
        if self.numel() == 1 {
            return Ok(());
        }
        Err(Error::shape("item", format!("a tensor {:?} is not a single value", self.shape())))
    }

    /// Submits, waits and reads a tensor of one element.
    ///
    /// # Errors
    /// [`Error::Shape`] for any other number of elements, [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn item(&self) -> Result<f32> {
        self.check_single()?;
        Ok(self.to_vec()?[0])
    }

    /// Records a read of the values, to be taken when they have arrived.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn read_later(&self) -> Result<Pending<f32>> {
        Ok(self.gpu().read_later(&self.bind())?)
    }
}

/// Whole numbers on the GPU: class labels, or the result of [`Tensor::argmax`].
#[derive(Clone, Debug)]
pub struct Indices {
    gpu: Gpu,
    buffer: Buffer,
    /// First byte within the buffer.
    offset: u64,
    shape: Vec<usize>,
}

impl Indices {
    /// Indices of unspecified content, for a kernel to write.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn empty(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        let buffer = gpu.buffer(checked_bytes(gpu, shape)?)?;
        Ok(Self { gpu: gpu.clone(), buffer, offset: 0, shape: shape.to_vec() })
    }

    /// Shape: `[values.len()]`.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn from_slice(gpu: &Gpu, values: &[u32]) -> Result<Self> {
        let indices = Self::empty(gpu, &[values.len()])?;
        gpu.write(&indices.bind(), values)?;
        Ok(indices)
    }

    /// The u32 values in an application's own buffer from byte `offset`, as [`Tensor::from_wgpu_buffer`], to the end of
    /// the last value. Each must be below the number of classes where it is a label.
    ///
    /// # Errors
    /// As [`Tensor::from_wgpu_buffer`].
    pub fn from_wgpu_buffer(gpu: &Gpu, buffer: &wgpu::Buffer, offset: u64, shape: &[usize]) -> Result<Self> {
        let buffer = gpu.import(buffer)?;
        check_range(gpu, &buffer, offset, checked_bytes(gpu, shape)?, shape)?;
        Ok(Self { gpu: gpu.clone(), buffer, offset, shape: shape.to_vec() })
    }

    /// Buffer, offset and size in bytes of the values, as [`Tensor::as_wgpu`].
    pub fn as_wgpu(&self) -> wgpu::BufferBinding<'_> {
        self.buffer.as_wgpu(self.offset, numel(&self.shape) as u64 * 4)
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Where the values lie.
    pub fn bind(&self) -> View {
        self.buffer.view(self.offset, numel(&self.shape) as u64 * 4)
    }

    /// Submits, waits and reads the values.
    ///
    /// # Errors
    /// [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_vec(&self) -> Result<Vec<u32>> {
        Ok(self.gpu.read(&self.bind())?)
    }

    /// Submits and reads the values without blocking.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub async fn to_vec_async(&self) -> Result<Vec<u32>> {
        Ok(self.gpu.read_async(&self.bind()).await?)
    }

    /// Records a read of the values, to be taken when they have arrived.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn read_later(&self) -> Result<Pending<u32>> {
        Ok(self.gpu.read_later(&self.bind())?)
    }
}

/// Fails if `bytes` from `offset` leave the buffer, or if a storage binding cannot begin there.
pub(crate) fn check_range(
    gpu: &Gpu,
    buffer: &Buffer,
    offset: u64,
    bytes: u64,
    shape: &[usize],
) -> Result<()> {
    let align = u64::from(gpu.limits().min_storage_buffer_offset_alignment);
    let fits = offset.checked_add(bytes).is_some_and(|end| end <= buffer.size());
    if fits && offset.is_multiple_of(align) {
        return Ok(());
    }
    let message = format!(
        "a tensor {shape:?} takes {bytes} bytes from byte {offset} of a buffer of {}; offsets are multiples of {align}",
        buffer.size()
    );
    Err(Error::shape("from_buffer", message))
}

/// Size in bytes of an f32 or u32 tensor of this shape, if the adapter can hold and kernels can index it.
pub(crate) fn checked_bytes(gpu: &Gpu, shape: &[usize]) -> Result<u64> {
    if shape.contains(&0) {
        let message = format!("a tensor {shape:?} has no elements; a batch needs at least one sample");
        return Err(Error::shape("tensor", message));
    }
    let limits = gpu.limits();
    // Kernels index with u32, so that many elements are the limit even where buffers may be larger.
    let indexable = u64::from(u32::MAX) * 4;
    let (limit_name, limit) = [
        ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
        ("max_buffer_size", limits.max_buffer_size),
        ("32-bit indices", indexable),
    ]
    .into_iter()
    .min_by_key(|&(_, limit)| limit)
    .unwrap_or(("32-bit indices", indexable));
    let bytes = shape.iter().try_fold(4u64, |bytes, &n| bytes.checked_mul(n as u64));
    match bytes {
        Some(bytes) if bytes <= limit => Ok(bytes),
        _ => {
            let row = shape.iter().skip(1).try_fold(4u64, |bytes, &n| bytes.checked_mul(n as u64));
            let fits = row.map_or(0, |row| limit / row);
            let advice = match fits {
                0 => "not even a batch of 1 fits: use smaller layers or inputs".to_owned(),
                fits => format!("a batch (first axis) of at most {fits} fits"),
            };
            let (shape, bytes) = (shape.to_vec(), bytes.unwrap_or(u64::MAX));
            Err(Error::TooLarge { shape, bytes, limit_name, limit, advice })
        }
    }
}
