//! State dicts: values by name, in safetensors files that PyTorch reads and writes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{Error, Integer, Result};

/// What PyTorch calls batch norm's count of batches, a 64-bit integer.
const COUNT: &str = "num_batches_tracked";

/// Values by dotted name, with their shapes, and the file's metadata. All values are f32 here. Those of integer tensors
/// (counts, positions, masks) are exact, and `integers` keeps the type that they go back to files as.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict {
    /// Shape and row-major values of each tensor.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// The tensors that are integers in files. One whose values are no whole numbers in its type's range (they were
    /// changed) is written as f32 nevertheless. Without an entry a tensor is written as f32, but for batch norm's
    /// `num_batches_tracked`, whose name is that or ends with that part, which is `I64`, as PyTorch has it.
    pub integers: BTreeMap<String, Integer>,
    /// Text by key. `format` is always written, as `pt`.
    pub metadata: BTreeMap<String, String>,
}

impl StateDict {
    /// A safetensors file's bytes.
    ///
    /// # Errors
    /// [`Error::Format`] if a shape and its values don't agree.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |error: safetensors::SafeTensorError| Error::Format {
            file: "state dict".to_owned(),
            message: error.to_string(),
        };
        let encoded = self.tensors.iter().map(|(name, (shape, values))| {
            let integer = self.integer(name);
            match integer.and_then(|integer| Some((integer.dtype(), integer.encode(values)?))) {
                Some((dtype, bytes)) => (name, shape, dtype, Cow::Owned(bytes)),
                None => (name, shape, Dtype::F32, Cow::Borrowed(bytemuck::cast_slice(values))),
            }
        });
        let encoded: Vec<(_, _, _, Cow<'_, [u8]>)> = encoded.collect();
        let views: Result<Vec<_>, _> = encoded
            .iter()
            .map(|(name, shape, dtype, bytes)| {
                TensorView::new(*dtype, shape.to_vec(), bytes).map(|view| (name, view))
            })
            .collect();
        let mut metadata = self.metadata.clone();
        metadata.insert("format".to_owned(), "pt".to_owned());
        Ok(with_metadata(&safetensors::serialize(views.map_err(failed)?, None).map_err(failed)?, &metadata))
    }

    /// The type of the integers that this tensor is in files.
    fn integer(&self, name: &str) -> Option<Integer> {
        let is_count = name.rsplit('.').next() == Some(COUNT);
        self.integers.get(name).copied().or(is_count.then_some(Integer::I64))
    }

    /// The content of a safetensors file: f32, and f16, bf16 or f64 rounded to it, and bools and integers of up to 64 bits
    /// that f32 holds exactly. `file` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Format`] for anything else, with the tensor's name and type.
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self> {
        let failed = |message: String| Error::Format { file: file.to_owned(), message };
        let parsed = SafeTensors::deserialize(bytes).map_err(|error| failed(error.to_string()))?;
        if let Some(name) = crate::repeated_name(bytes) {
            return Err(failed(format!("two tensors are called {name:?}")));
        }
        let (mut tensors, mut integers) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in parsed.tensors() {
            let dtype = view.dtype();
            let values = match Integer::from_dtype(dtype) {
                Some(integer) => {
                    let values = integer.decode(view.data()).map_err(|value| {
                        failed(format!(
                            "tensor {name} has type {dtype:?} and the value {value}, which f32 cannot hold exactly"
                        ))
                    })?;
                    integers.insert(name.clone(), integer);
                    values
                }
                None => floats(dtype, view.data()).ok_or_else(|| {
                    failed(format!(
                        "tensor {name} has type {dtype:?}; read are F32, F16, BF16, F64, BOOL and integers"
                    ))
                })?,
            };
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| failed(error.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { tensors, integers, metadata })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl StateDict {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Format`].
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, &path.display().to_string())
    }

    /// Writes a file, whole or not at all: see [`crate::file::write_atomic`].
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        crate::file::write_atomic(path.as_ref(), &self.to_bytes()?)
    }
}

/// `file`, which has no metadata, with these in the order of their keys. The safetensors crate writes them in another order each
/// time, and equal state dicts are to be equal files.
fn with_metadata(file: &[u8], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let (header, data) = rest.split_at(rest.len().min(u64::from_le_bytes(*length) as usize));
    let mut text = format!(r#"{{"__metadata__":{}"#, serde_json::json!(metadata)).into_bytes();
    let tensors = header.trim_ascii_end().strip_prefix(b"{").unwrap_or(b"}");
    if tensors != b"}" {
        text.push(b',');
    }
    text.extend(tensors);
    // The data begin at a multiple of 8 bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), &text[..], data].concat()
}

/// Little-endian values of a float type as f32.
fn floats(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    let pairs = || data.as_chunks::<2>().0.iter();
    Some(match dtype {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => pairs().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::F64 => data.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        _ => return None,
    })
}
