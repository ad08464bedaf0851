//! [`Tensor`]: values on the GPU, immutable, with the op that made them where gradients are tracked.

use std::fmt;
use std::sync::Arc;

use half::f16;
use wgrad_device::{Buffer, Gpu, Pending, View, wgpu};

use crate::dtype::{DType, Element};
use crate::graph::Node;
use crate::shape::{merged, numel, strides};
use crate::{Error, Result};

/// Values on a GPU: a shape, a [`DType`], and where in a buffer each element lies. Cloning shares them.
///
/// Reshaping, permuting, slicing and expanding give views: tensors on the same buffer, for which nothing is copied or
/// launched. Ops read them as they lie, or copy them once by themselves. A shape of no axes is a scalar; a tensor may also
/// have no elements.
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

struct Inner {
    id: u64,
    data: Data,
    tracked: bool,
    node: Option<Arc<Node>>,
}

/// Where the values lie.
#[derive(Clone)]
struct Data {
    gpu: Gpu,
    buffer: Buffer,
    /// First byte within the buffer.
    offset: u64,
    shape: Vec<usize>,
    /// In elements; `None` where they are row-major without gaps.
    strides: Option<Vec<usize>>,
    dtype: DType,
}

/// A tensor as kernels read it that go by strides.
pub(crate) struct Strided {
    /// From an offset that can be bound, to the end of the last element.
    pub(crate) view: View,
    /// First element within the view.
    pub(crate) offset: usize,
    /// In elements, of each axis.
    pub(crate) strides: Vec<usize>,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Tensor");
        debug.field("shape", &self.shape()).field("dtype", &self.dtype());
        debug.field("tracked", &self.is_tracked()).finish()
    }
}

impl Tensor {
    fn new(data: Data) -> Self {
        Self(Arc::new(Inner { id: data.gpu.unique(), data, tracked: false, node: None }))
    }

    /// An f32 tensor of unspecified content, for an op to write.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Device`].
    pub fn empty(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        Self::empty_of(gpu, shape, DType::F32)
    }

    /// A tensor of unspecified content and this type, for an op to write.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for f16 on a device without it, [`Error::TooLarge`], [`Error::Device`].
    pub fn empty_of(gpu: &Gpu, shape: &[usize], dtype: DType) -> Result<Self> {
        let bytes = checked_bytes(gpu, shape, dtype)?;
        // Bindings are not empty, and kernels read and write whole quads.
        let buffer = gpu.buffer(bytes.next_multiple_of(16).max(16))?;
        let (gpu, shape) = (gpu.clone(), shape.to_vec());
        Ok(Self::new(Data { gpu, buffer, offset: 0, shape, strides: None, dtype }))
    }

    /// A tensor with these row-major values; its type is theirs.
    ///
    /// # Errors
    /// As [`Tensor::empty_of`], and [`Error::Shape`] if the number of values is not the shape's.
    pub fn from_slice<T: Element>(gpu: &Gpu, values: &[T], shape: &[usize]) -> Result<Self> {
        if values.len() != numel(shape) {
            let message = format!("{} values for a tensor {shape:?} of {}", values.len(), numel(shape));
            return Err(Error::shape("from_slice", message));
        }
        let tensor = Self::empty_of(gpu, shape, T::DTYPE)?;
        if !values.is_empty() {
            gpu.write(&tensor.bind_padded(), values)?;
        }
        Ok(tensor)
    }

    /// All elements `value`, as f32.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn full(gpu: &Gpu, shape: &[usize], value: f32) -> Result<Self> {
        // A cleared buffer holds +0, not -0.
        if value.to_bits() == 0 {
            return Self::zeros_of(gpu, shape, DType::F32);
        }
        checked_bytes(gpu, shape, DType::F32)?;
        Self::from_slice(gpu, &vec![value; numel(shape)], shape)
    }

    /// All elements 0, as f32.
    ///
    /// # Errors
    /// As [`Tensor::empty`].
    pub fn zeros(gpu: &Gpu, shape: &[usize]) -> Result<Self> {
        Self::zeros_of(gpu, shape, DType::F32)
    }

    /// All elements 0, of this type.
    ///
    /// # Errors
    /// As [`Tensor::empty_of`].
    pub fn zeros_of(gpu: &Gpu, shape: &[usize], dtype: DType) -> Result<Self> {
        let tensor = Self::empty_of(gpu, shape, dtype)?;
        if !tensor.is_empty() {
            gpu.clear(&tensor.bind_padded())?;
        }
        Ok(tensor)
    }

    /// The f32 values in `buffer` from byte `offset`, shared, not copied.
    ///
    /// Kernels read four values at a time. Where the buffer ends before the last four do, ops copy the values first: let it
    /// reach to the next multiple of 16 bytes.
    ///
    /// # Errors
    /// As [`Tensor::from_buffer_of`].
    pub fn from_buffer(gpu: &Gpu, buffer: &Buffer, offset: u64, shape: &[usize]) -> Result<Self> {
        Self::from_buffer_of(gpu, buffer, offset, shape, DType::F32)
    }

    /// As [`Tensor::from_buffer`], for values of any type.
    ///
    /// # Errors
    /// [`Error::Shape`] if the range leaves the buffer or `offset` is not aligned for storage bindings, or as
    /// [`Tensor::empty_of`].
    pub fn from_buffer_of(
        gpu: &Gpu,
        buffer: &Buffer,
        offset: u64,
        shape: &[usize],
        dtype: DType,
    ) -> Result<Self> {
        checked_bytes(gpu, shape, dtype)?;
        let bytes = (numel(shape) * dtype.size()).next_multiple_of(4) as u64;
        check_range(gpu, buffer, offset, bytes, shape)?;
        let (gpu, buffer, shape) = (gpu.clone(), buffer.clone(), shape.to_vec());
        Ok(Self::new(Data { gpu, buffer, offset, shape, strides: None, dtype }))
    }

    /// The f32 values in an application's own buffer from byte `offset`, shared, not copied: what its commands write is what
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
        Self::from_wgpu_buffer_of(gpu, buffer, offset, shape, DType::F32)
    }

    /// As [`Tensor::from_wgpu_buffer`], for values of any type.
    ///
    /// # Errors
    /// As [`Gpu::import`] and [`Tensor::from_buffer_of`].
    pub fn from_wgpu_buffer_of(
        gpu: &Gpu,
        buffer: &wgpu::Buffer,
        offset: u64,
        shape: &[usize],
        dtype: DType,
    ) -> Result<Self> {
        checked_bytes(gpu, shape, dtype)?;
        Self::from_buffer_of(gpu, &gpu.import(buffer)?, offset, shape, dtype)
    }

    /// Buffer, offset and size in bytes of the values, for an application's own bind groups and copies. Of a view that is not
    /// contiguous it is the range from its first to its last element.
    ///
    /// [`Buffer::as_wgpu`] tells when to submit. Keep the tensor until your commands are submitted.
    pub fn as_wgpu(&self) -> wgpu::BufferBinding<'_> {
        self.0.data.buffer.as_wgpu(self.0.data.offset, self.extent())
    }

    /// The same values as a leaf whose gradient [`Tensor::backward`] returns. Integers have none and stay untracked.
    pub fn tracked(&self) -> Self {
        let data = self.0.data.clone();
        let tracked = data.dtype.is_float();
        Self(Arc::new(Inner { id: data.gpu.unique(), data, tracked, node: None }))
    }

    /// The same values, cut off from the graph.
    pub fn detach(&self) -> Self {
        Self::new(self.0.data.clone())
    }

    /// The same values with another shape of as many elements; not recorded. This tensor is contiguous.
    pub(crate) fn with_shape(&self, shape: &[usize]) -> Self {
        debug_assert_eq!(numel(shape), self.numel());
        debug_assert!(self.is_contiguous(), "{:?} {:?}", self.shape(), self.0.data.strides);
        Self::new(Data { shape: shape.to_vec(), ..self.0.data.clone() })
    }

    /// A view of these values by other strides, from an element on; not recorded.
    pub(crate) fn with_layout(&self, shape: Vec<usize>, by: Vec<usize>, first: usize) -> Self {
        let data = self.0.data.clone();
        let offset = data.offset + (first * data.dtype.size()) as u64;
        // The stride of an axis of one element says nothing.
        let own = strides(&shape);
        let is_row_major = shape.iter().zip(&by).zip(&own).all(|((&n, by), own)| n == 1 || by == own);
        let strides = (!is_row_major && numel(&shape) > 0).then_some(by);
        Self::new(Data { offset, shape, strides, ..data })
    }

    pub(crate) fn with_node(self, node: Arc<Node>) -> Self {
        // The walk back goes by these numbers: they must rise in the order in which ops were recorded, and what the op's
        // launches wrote has lower ones.
        let id = self.gpu().unique();
        self.attached(id, node)
    }

    /// These values as the output number `id` of `node`.
    pub(crate) fn attached(&self, id: u64, node: Arc<Node>) -> Self {
        Self(Arc::new(Inner { id, data: self.0.data.clone(), tracked: true, node: Some(node) }))
    }

    /// Whether both tensors' values begin at the same place.
    pub(crate) fn lies_with(&self, other: &Tensor) -> bool {
        self.0.data.buffer.id() == other.0.data.buffer.id() && self.0.data.offset == other.0.data.offset
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
        &self.0.data.gpu
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.0.data.shape
    }

    /// The elements' type.
    pub fn dtype(&self) -> DType {
        self.0.data.dtype
    }

    /// From one element to the next along each axis, in elements; 0 along an axis that was expanded.
    pub fn strides(&self) -> Vec<usize> {
        self.0.data.strides.clone().unwrap_or_else(|| strides(self.shape()))
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        numel(self.shape())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// Whether the elements lie in row-major order, without gaps and where kernels can bind them.
    pub fn is_contiguous(&self) -> bool {
        let data = &self.0.data;
        let align = u64::from(self.gpu().limits().min_storage_buffer_offset_alignment);
        let padded = self.extent().next_multiple_of(4 * data.dtype.size() as u64);
        data.strides.is_none()
            && data.offset.is_multiple_of(align)
            && data.offset + padded <= data.buffer.size()
    }

    /// Whether the elements lie in row-major order without gaps, wherever they begin.
    pub(crate) fn is_row_major(&self) -> bool {
        self.0.data.strides.is_none()
    }

    /// Bytes from the first to the last element.
    fn extent(&self) -> u64 {
        let size = self.dtype().size() as u64;
        match &self.0.data.strides {
            None => self.numel() as u64 * size,
            Some(_) if self.is_empty() => 0,
            Some(strides) => {
                let last: usize = self.shape().iter().zip(strides).map(|(n, stride)| (n - 1) * stride).sum();
                (last as u64 + 1) * size
            }
        }
    }

    /// Where the values lie: to bind in a launch, to copy from, or for an application's own passes. Of a view that is not
    /// contiguous it is the range from the first to the last element: see [`Tensor::strides`], or call
    /// [`Tensor::contiguous`] first.
    pub fn bind(&self) -> View {
        // Bindings and copies are whole words.
        self.range(self.extent().next_multiple_of(4).max(4))
    }

    /// As [`Tensor::bind`], up to the end of the last four elements, for kernels that read and write four at a time.
    pub fn bind_padded(&self) -> View {
        self.range(self.extent().next_multiple_of(4 * self.dtype().size() as u64).max(16))
    }

    /// So many bytes from the first element on, or what the buffer has of them; of a tensor without elements any.
    fn range(&self, bytes: u64) -> View {
        let data = &self.0.data;
        let offset = if self.is_empty() { 0 } else { data.offset };
        data.buffer.view(offset, bytes.min(data.buffer.size() - offset))
    }

    /// For kernels that go by strides.
    pub(crate) fn strided(&self) -> Strided {
        let data = &self.0.data;
        let align = u64::from(self.gpu().limits().min_storage_buffer_offset_alignment);
        let start = data.offset / align * align;
        let view = data.buffer.view(start, (data.offset - start + self.extent()).next_multiple_of(4).max(4));
        Strided { view, offset: (data.offset - start) as usize / data.dtype.size(), strides: self.strides() }
    }

    /// The axes from the last to the first as `[size, stride, 0, 0]`, neighbours joined where they can be.
    pub(crate) fn merged_axes(&self) -> Vec<[usize; 4]> {
        merged(self.shape(), &[&self.strides()])
    }

    /// Submits, waits and reads the values, row-major. Half-precision values are converted; they fit f32 exactly.
    ///
    /// # Errors
    /// [`Error::DType`] for integers, which [`Tensor::to_vec_as`] reads; [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match self.dtype() {
            DType::F16 => Ok(self.to_vec_as::<f16>()?.into_iter().map(f16::to_f32).collect()),
            _ => self.to_vec_as(),
        }
    }

    /// Submits, waits and reads the values, row-major, as what they are.
    ///
    /// # Errors
    /// [`Error::DType`] unless `T` is the tensor's type, [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_vec_as<T: Element>(&self) -> Result<Vec<T>> {
        self.check_element::<T>("to_vec_as")?;
        let mut values = match self.is_empty() {
            true => Vec::new(),
            false => self.gpu().read(&self.untracked_contiguous()?.bind_padded())?,
        };
        values.truncate(self.numel());
        Ok(values)
    }

    /// Submits and reads the values without blocking. Half-precision values are converted.
    ///
    /// # Errors
    /// As [`Tensor::to_vec`].
    pub async fn to_vec_async(&self) -> Result<Vec<f32>> {
        match self.dtype() {
            DType::F16 => Ok(self.to_vec_as_async::<f16>().await?.into_iter().map(f16::to_f32).collect()),
            _ => self.to_vec_as_async().await,
        }
    }

    /// As [`Tensor::to_vec_as`], without blocking.
    ///
    /// # Errors
    /// As [`Tensor::to_vec_as`].
    pub async fn to_vec_as_async<T: Element>(&self) -> Result<Vec<T>> {
        self.check_element::<T>("to_vec_as_async")?;
        let mut values = match self.is_empty() {
            true => Vec::new(),
            false => self.gpu().read_async(&self.untracked_contiguous()?.bind_padded()).await?,
        };
        values.truncate(self.numel());
        Ok(values)
    }

    /// Submits and reads a tensor of one element without blocking.
    ///
    /// # Errors
    /// [`Error::Shape`] for any other number of elements, [`Error::DType`], [`Error::Device`].
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

    fn check_element<T: Element>(&self, op: &'static str) -> Result<()> {
        if self.dtype() == T::DTYPE {
            return Ok(());
        }
        let message = format!(
            "a tensor {:?} of {} read as {}: read it as it is, or convert it with to_dtype",
            self.shape(),
            self.dtype(),
            T::DTYPE
        );
        Err(Error::DType { op, message })
    }

    fn untracked_contiguous(&self) -> Result<Tensor> {
        if self.is_contiguous() { Ok(self.clone()) } else { self.detach().contiguous() }
    }

    /// Submits, waits and reads a tensor of one element.
    ///
    /// # Errors
    /// [`Error::Shape`] for any other number of elements, [`Error::DType`], [`Error::Device`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn item(&self) -> Result<f32> {
        self.check_single()?;
        Ok(self.to_vec()?[0])
    }

    /// Records a read of f32 values, to be taken when they have arrived.
    ///
    /// # Errors
    /// As [`Tensor::read_later_as`].
    pub fn read_later(&self) -> Result<Pending<f32>> {
        self.read_later_as()
    }

    /// Records a read of values of 32 bits, to be taken when they have arrived.
    ///
    /// # Errors
    /// [`Error::DType`] unless `T` is the tensor's type and has 32 bits: convert others with [`Tensor::to_dtype`] first.
    /// [`Error::Shape`] without elements, [`Error::Device`].
    pub fn read_later_as<T: Element>(&self) -> Result<Pending<T>> {
        const OP: &str = "read_later";
        self.check_element::<T>(OP)?;
        if T::DTYPE.size() != 4 {
            let message =
                format!("a tensor {:?} of {}: convert it to f32 or i32 first", self.shape(), self.dtype());
            return Err(Error::DType { op: OP, message });
        }
        if self.is_empty() {
            return Err(Error::shape(OP, format!("a tensor {:?} has no elements", self.shape())));
        }
        Ok(self.gpu().read_later(&self.untracked_contiguous()?.bind())?)
    }
}

/// Fails if `bytes` from `offset` leave the buffer, or if a storage binding cannot begin there.
fn check_range(gpu: &Gpu, buffer: &Buffer, offset: u64, bytes: u64, shape: &[usize]) -> Result<()> {
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

/// Elements of a tensor at most, even where buffers may be larger: kernels count them with u32, and divide their numbers as i32
/// (`divide.wgsl`).
pub(crate) const MAX_ELEMENTS: u32 = i32::MAX as u32;

/// Size in bytes of a tensor of this shape, if the adapter can hold and kernels can index it.
pub(crate) fn checked_bytes(gpu: &Gpu, shape: &[usize], dtype: DType) -> Result<u64> {
    if dtype == DType::F16 && !gpu.has_f16() {
        return Err(Error::Unsupported {
            op: "tensor",
            feature: "SHADER_F16",
            advice: "use f32, or take an adapter with 16-bit floats",
        });
    }
    let (limits, size) = (gpu.limits(), dtype.size() as u64);
    let indexable = u64::from(MAX_ELEMENTS) * size;
    let (limit_name, limit) = [
        ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
        ("max_buffer_size", limits.max_buffer_size),
        ("32-bit indices", indexable),
    ]
    .into_iter()
    .min_by_key(|&(_, limit)| limit)
    .unwrap_or(("32-bit indices", indexable));
    if shape.contains(&0) {
        return Ok(0);
    }
    let bytes = shape.iter().try_fold(size, |bytes, &n| bytes.checked_mul(n as u64));
    match bytes {
        Some(bytes) if bytes <= limit => Ok(bytes),
        _ => {
            let row = shape.iter().skip(1).try_fold(size, |bytes, &n| bytes.checked_mul(n as u64));
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
