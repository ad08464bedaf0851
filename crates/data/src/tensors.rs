//! Inputs and targets in a safetensors file (cargo feature `safetensors`): the tensors `x` and `y`, row by row.

use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use wgrad_autograd::{Gpu, Tensor};

use crate::error::some_of;
use crate::{Error, Result, TensorBatches};

/// Inputs and targets on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensors {
    /// The shape of the inputs, `[rows, ..]`.
    pub shape: Vec<usize>,
    /// The inputs, row-major.
    pub x: Vec<f32>,
    /// The targets.
    pub y: Targets,
}

/// Targets of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Indices of classes, of shape `[rows]`.
    Classes(Vec<i32>),
    /// Numbers, with their shape, `[rows, ..]`.
    Numbers(Vec<usize>, Vec<f32>),
}

impl Tensors {
    /// Reads a file. `x` may be of type F64, F32, F16, BF16 or U8; `y` of one of these, which makes numbers of shape `[rows, ..]`, or
    /// I64, I32, I16 or I8 and shape `[rows]`, which makes indices of classes. U8 is a class's in `y`. Other tensors are left alone.
    ///
    /// # Errors
    /// [`Error::Read`] where the file cannot be read, and as [`Tensors::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&fs::read(path).map_err(Error::read(path))?, path)
    }

    /// As [`Tensors::read`], from a file's bytes; errors name `path`.
    ///
    /// # Errors
    /// [`Error::Format`] where the file is none of safetensors (ranges that overlap, are too short or leave bytes over), lacks `x` or
    /// `y`, has other types, numbers of rows that differ, no rows, or a class below 0.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let file = open(bytes, path)?;
        let (x, y) = (named(&file, "x", path)?, named(&file, "y", path)?);
        let rows = |view: &TensorView<'_>| view.shape().first().copied().filter(|&rows| rows > 0);
        if rows(&x).is_none() || rows(&x) != rows(&y) {
            let found = format!("x of shape {:?} and y of shape {:?}", x.shape(), y.shape());
            return Err(Error::format(path, found, "as many rows in both, and at least one"));
        }
        let values = inputs(&x, path)?;
        let y = match classes(&y) {
            Some(classes) if y.shape().len() == 1 => {
                let bad = classes.iter().find(|&&class| i32::try_from(class).is_err() || class < 0);
                if let Some(class) = bad {
                    return Err(Error::format(path, format!("class {class} in y"), "0 or more, below 2^31"));
                }
                Targets::Classes(classes.into_iter().map(|class| class as i32).collect())
            }
            _ => {
                let expected = "floats of shape [rows, ..], or whole numbers of shape [rows]";
                Targets::Numbers(
                    y.shape().to_vec(),
                    numbers(&y).ok_or_else(|| wrong("y", &y, expected, path))?,
                )
            }
        };
        Ok(Self { shape: x.shape().to_vec(), x: values, y })
    }

    /// Reads the inputs alone, as for prediction: their shape and values. The file may lack `y`.
    ///
    /// # Errors
    /// As [`Tensors::read`], as far as `x` is concerned.
    pub fn read_inputs(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
        let bytes = fs::read(path).map_err(Error::read(path))?;
        let file = open(&bytes, path)?;
        let x = named(&file, "x", path)?;
        if x.shape().first().is_none_or(|&rows| rows == 0) {
            return Err(Error::format(path, format!("x of shape {:?}", x.shape()), "at least one row"));
        }
        Ok((x.shape().to_vec(), inputs(&x, path)?))
    }

    /// The rows of these numbers, in this order.
    ///
    /// # Errors
    /// [`Error::Rows`] for none, and for a row that is not there.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let all = self.len();
        if rows.is_empty() || rows.iter().any(|&row| row >= all) {
            return Err(Error::Rows(format!("{} rows of {all}; give numbers of rows below it", rows.len())));
        }
        let shape = |of: &[usize]| [&[rows.len()], &of[1..]].concat();
        let values = |of: &[f32]| -> Vec<f32> {
            let size = of.len() / all;
            rows.iter().flat_map(|&row| &of[row * size..(row + 1) * size]).copied().collect()
        };
        let y = match &self.y {
            Targets::Classes(classes) => Targets::Classes(rows.iter().map(|&row| classes[row]).collect()),
            Targets::Numbers(of, numbers) => Targets::Numbers(shape(of), values(numbers)),
        };
        Ok(Self { shape: shape(&self.shape), x: values(&self.x), y })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or_default()
    }

    /// Whether there are no rows; there always are.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batches of all rows: `x` is f32, `y` i32 or f32.
    ///
    /// # Errors
    /// If the device cannot hold them.
    pub fn batches(&self, gpu: &Gpu) -> Result<TensorBatches> {
        let x = Tensor::from_slice(gpu, &self.x, &self.shape)?;
        let y = match &self.y {
            Targets::Classes(classes) => Tensor::from_slice(gpu, classes, &[classes.len()])?,
            Targets::Numbers(shape, numbers) => Tensor::from_slice(gpu, numbers, shape)?,
        };
        TensorBatches::new(&x, &y)
    }
}

/// The tensors of a file.
fn open<'b>(bytes: &'b [u8], path: &Path) -> Result<SafeTensors<'b>> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| {
        Error::format(
            path,
            format!("damage ({})", error.to_string().replace(['\n', '\r'], " ")),
            "a safetensors file",
        )
    })?;
    match wgrad_nn::repeated_name(bytes) {
        Some(name) => Err(Error::format(path, format!("two tensors called {name:?}"), "names that differ")),
        None => Ok(file),
    }
}

fn named<'b>(file: &SafeTensors<'b>, name: &str, path: &Path) -> Result<TensorView<'b>> {
    file.tensor(name).map_err(|_| {
        let mut names = file.names();
        names.sort_unstable();
        Error::format(path, format!("no tensor {name} (of {})", some_of(&names)), "tensors x and y")
    })
}

fn wrong(name: &str, view: &TensorView<'_>, expected: &str, path: &Path) -> Error {
    Error::format(path, format!("{name} of type {:?} and shape {:?}", view.dtype(), view.shape()), expected)
}

fn inputs(x: &TensorView<'_>, path: &Path) -> Result<Vec<f32>> {
    numbers(x).ok_or_else(|| wrong("x", x, "F64, F32, F16, BF16 or U8", path))
}

fn numbers(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F64 => data.as_chunks().0.iter().map(|&eight| f64::from_le_bytes(eight) as f32).collect(),
        Dtype::F32 => data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&two| bf16::from_le_bytes(two).to_f32()).collect(),
        Dtype::U8 => data.iter().map(|&byte| byte.into()).collect(),
        _ => return None,
    })
}

fn classes(view: &TensorView<'_>) -> Option<Vec<i64>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::I64 => data.as_chunks().0.iter().map(|&eight| i64::from_le_bytes(eight)).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|&four| i32::from_le_bytes(four).into()).collect(),
        Dtype::I16 => data.as_chunks().0.iter().map(|&two| i16::from_le_bytes(two).into()).collect(),
        Dtype::I8 => data.iter().map(|&byte| i64::from(byte as i8)).collect(),
        Dtype::U8 => data.iter().map(|&byte| byte.into()).collect(),
        _ => return None,
    })
}
