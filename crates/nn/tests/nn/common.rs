//! Fixtures and devices.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use wgrad_nn::autograd::device::Family;
use wgrad_nn::autograd::{Gpu, Tensor};
use wgrad_nn::{Parameters, StateDict};
use wgrad_testkit::Array;
use wgrad_testkit::compare::assert_close;

/// Both families of kernels.
pub const FAMILIES: [Family; 2] = [Family::Cpu, Family::Gpu];

/// A device whose buffers start as NaN, with the kernels that suit it.
pub fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// As [`gpu`], with this family of kernels.
pub fn gpu_of(family: Family) -> Gpu {
    Gpu::builder().poison().quiet().family(family).build().unwrap()
}

/// Where a fixture lies: in this crate, or in the folder that `WGRAD_FIXTURES` names where the tests were carried away
/// from the repository (`ci/gpu pack`).
pub fn path(file: &str) -> PathBuf {
    let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::env::var_os("WGRAD_FIXTURES").map_or_else(here, PathBuf::from).join(file)
}

/// A fixture's tensors, of any type: state dicts hold floats only.
pub struct Fixture(Vec<u8>);

impl Fixture {
    pub fn open(file: &str) -> Self {
        Self(std::fs::read(path(file)).unwrap())
    }

    fn raw(&self, name: &str, dtype: Dtype) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(view.dtype(), dtype, "{name}");
        (view.shape().to_vec(), view.data().to_vec())
    }

    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).is_ok()
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().shape().to_vec()
    }

    pub fn values(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let (shape, bytes) = self.raw(name, Dtype::F32);
        (shape, bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    pub fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        self.raw(name, Dtype::U8)
    }

    pub fn labels(&self, name: &str) -> Vec<i32> {
        let (_, bytes) = self.raw(name, Dtype::I64);
        let label = |b: &[u8; 8]| i32::try_from(i64::from_le_bytes(*b)).unwrap();
        bytes.as_chunks::<8>().0.iter().map(label).collect()
    }

    pub fn tensor(&self, gpu: &Gpu, name: &str) -> Tensor {
        let (shape, values) = self.values(name);
        Tensor::from_slice(gpu, &values, &shape).unwrap()
    }

    pub fn array(&self, name: &str) -> Array {
        let (shape, values) = self.values(name);
        Array::new(&shape, values.into_iter().map(f64::from).collect())
    }

    /// The tensors of these names as a state dict, under the names that come second.
    pub fn state_dict<'a>(&self, names: impl IntoIterator<Item = (&'a str, &'a str)>) -> StateDict {
        let tensors = names.into_iter().map(|(from, to)| (to.to_owned(), self.values(from))).collect();
        StateDict { tensors, ..Default::default() }
    }

    /// Panics unless `got` has the shape and values of tensor `name`.
    #[track_caller]
    pub fn assert_close(&self, name: &str, got: &Tensor, rtol: f64, atol: f64) {
        let want = self.array(name);
        assert_eq!(got.shape(), want.shape, "{name}");
        assert_close(name, &got.to_vec().unwrap(), &want, rtol, atol);
    }
}

/// The values of all parameters, padding included.
pub fn flat(parameters: &Parameters) -> Vec<f32> {
    parameters.flats().iter().flat_map(|flat| flat.to_vec().unwrap()).collect()
}

/// Bit patterns, for values that must be equal to the last bit, NaN included.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
