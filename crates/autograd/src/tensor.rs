//! [`Tensor`]: f32 values on the GPU, immutable, with the op that made them where gradients are tracked.

use std::fmt;
use std::sync::Arc;

use wgrad_device::{Buffer, Gpu, Pending, View};

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
        gpu.write(&tensor.view(), values)?;
        Ok(tensor)
    }

    /// All elements `value`.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn full(gpu: &Gpu, shape: &[usize], value: f32) -> Result<Self> {
        if value == 0.0 {
            let tensor = Self::empty(gpu, shape)?;
            gpu.clear(&tensor.view())?;
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
    /// # Errors
    /// [`Error::Shape`] if the range leaves the buffer or `offset` is not aligned for storage bindings.
    pub fn from_buffer(gpu: &Gpu, buffer: &Buffer, offset: u64, shape: &[usize]) -> Result<Self> {
        let bytes = checked_bytes(gpu, shape)?;
        let align = u64::from(gpu.limits().min_storage_buffer_offset_alignment);
        // Kernels touch whole vec4s, so the last one must lie in the buffer too.
        if !offset.is_multiple_of(align)
            || offset.checked_add(bytes.next_multiple_of(16)).is_none_or(|end| end > buffer.size())
        {
            let message = format!(
                "a tensor {shape:?} at byte {offset} of a buffer of {} bytes; offsets are multiples of {align}",
                buffer.size()
            );
            return Err(Error::shape("from_buffer", message));
        }
        Ok(Self::new(gpu, buffer.clone(), offset, shape))
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
            // The walk back goes by these numbers: they must rise in the order in which ops were recorded.
            id: t.gpu.unique(),
            gpu,
            buffer,
            offset: t.offset,
            shape,
            tracked: true,
            node: Some(node),
        }))
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
    pub fn view(&self) -> View {
        self.0.buffer.view(self.0.offset, self.numel() as u64 * 4)
    }

    /// As [`Tensor::view`], up to the end of the last vec4, for kernels that read and write vec4s.
    pub fn view4(&self) -> View {
        self.0.buffer.view(self.0.offset, (self.numel() as u64 * 4).next_multiple_of(16))
    }

    /// Submits, waits and reads the values.
    ///
    /// # Errors
    /// [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        Ok(self.gpu().read(&self.view())?)
    }

    /// Submits and reads the values without blocking.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub async fn to_vec_async(&self) -> Result<Vec<f32>> {
        Ok(self.gpu().read_async(&self.view()).await?)
    }

    /// Submits, waits and reads a tensor of one element.
    ///
    /// # Errors
    /// [`Error::Shape`] for any other number of elements, [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn item(&self) -> Result<f32> {
        if self.numel() != 1 {
            return Err(Error::shape("item", format!("a tensor {:?} is not a single value", self.shape())));
        }
        Ok(self.to_vec()?[0])
    }

    /// Records a read of the values, to be taken when they have arrived.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn read_later(&self) -> Result<Pending<f32>> {
        Ok(self.gpu().read_later(&self.view())?)
    }
}

/// Whole numbers on the GPU: class labels, or the result of [`Tensor::argmax`].
#[derive(Clone, Debug)]
pub struct Indices {
    gpu: Gpu,
    buffer: Buffer,
    shape: Vec<usize>,
}

impl Indices {
    /// Indices of unspecified content, for a kernel to write.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn empty(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        let buffer = gpu.buffer(checked_bytes(gpu, shape)?)?;
        Ok(Self { gpu: gpu.clone(), buffer, shape: shape.to_vec() })
    }

    /// Shape: `[values.len()]`.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn from_slice(gpu: &Gpu, values: &[u32]) -> Result<Self> {
        let indices = Self::empty(gpu, &[values.len()])?;
        gpu.write(&indices.view(), values)?;
        Ok(indices)
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Where the values lie.
    pub fn view(&self) -> View {
        self.buffer.view(0, numel(&self.shape) as u64 * 4)
    }

    /// Submits, waits and reads the values.
    ///
    /// # Errors
    /// [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_vec(&self) -> Result<Vec<u32>> {
        Ok(self.gpu.read(&self.view())?)
    }
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
