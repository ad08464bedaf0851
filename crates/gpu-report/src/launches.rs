//! Which modules the engine makes for some work: the work is recorded on any adapter with the `gpu` family of kernels,
//! and dropped without being run.

use std::collections::BTreeMap;

use wgrad::data::{DeviceImages, Normalize, synthetic};
use wgrad::device::{self, Composed, Family};
use wgrad::nn::{
    self, Activation, Adam, AdamOptions, Conv2d, Flatten, Linear, Mode, Module, Optimizer, Parameters,
    Sequential, Sgd, SgdOptions,
};
use wgrad::{Conv2dOptions, DType, Gpu, Tensor};

use crate::Result;

const BATCH: usize = 64;

/// Records some work on a device.
pub type Record<'a> = &'a dyn Fn(&Gpu) -> Result<()>;

/// A module that some work launches.
#[derive(Clone, Debug)]
pub struct Launched {
    /// The kernel's name, numbered where several variants of it are launched.
    pub name: String,
    /// The entry point.
    pub entry: String,
    /// The composed WGSL.
    pub source: String,
    /// What launches it.
    pub work: Vec<&'static str>,
}

impl Launched {
    /// The plain numbers among the module's constants, by name: those that the host put into the header, and a few of
    /// the kernel's own.
    pub fn constants(&self) -> Vec<(&str, usize)> {
        self.source.lines().filter_map(constant).collect()
    }

    /// One of these numbers.
    pub fn constant(&self, name: &str) -> Option<usize> {
        self.constants().iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

fn constant(line: &str) -> Option<(&str, usize)> {
    let (name, value) = line.strip_prefix("const ")?.strip_suffix("u;")?.split_once(" = ")?;
    Some((name, value.parse().ok()?))
}

/// Every module of a training step of the cifar10 CNN and of an MLP, and of a large product.
pub fn launched() -> Result<Vec<Launched>> {
    launched_by(
        Gpu::builder().family(Family::Gpu).quiet(),
        &[("CNN step", &cnn), ("MLP step", &mlp), ("matmul 4096", &matmul), ("products of f16", &halves)],
    )
}

/// Every module that some work launches, each piece of it with its name and on a device of its own. Nothing is run.
///
/// # Errors
/// What making a device and recording the work report.
pub fn launched_by(builder: device::Builder, work: &[(&'static str, Record<'_>)]) -> Result<Vec<Launched>> {
    let mut modules: BTreeMap<(String, String), Launched> = BTreeMap::new();
    for &(name, record) in work {
        let gpu = builder.clone().build()?;
        record(&gpu)?;
        for Composed { kernel, entry, source, .. } in gpu.composed() {
            let new = || Launched { name: kernel.clone(), entry, source: source.clone(), work: Vec::new() };
            modules.entry((kernel.clone(), source.clone())).or_insert_with(new).work.push(name);
        }
    }
    let mut modules: Vec<Launched> = modules.into_values().collect();
    number_variants(&mut modules);
    Ok(modules)
}

/// Numbers the variants of a kernel, which follow each other.
fn number_variants(modules: &mut [Launched]) {
    for variants in modules.chunk_by_mut(|a, b| a.name == b.name).filter(|variants| variants.len() > 1) {
        for (i, variant) in variants.iter_mut().enumerate() {
            variant.name = format!("{}.{}", variant.name, i + 1);
        }
    }
}

fn step(
    images: &DeviceImages,
    model: &dyn Module,
    parameters: &Parameters,
    optimizer: &mut dyn Optimizer,
) -> Result<()> {
    images.shuffle(0, 0)?;
    let (x, labels) = images.batch(0, BATCH, Normalize::default())?;
    let loss = model.forward(&x, Mode::Train)?.cross_entropy(&labels, 0.0)?;
    Ok(optimizer.step(&parameters.gradients(&loss)?)?)
}

/// The model of the cifar10 example.
fn cnn(gpu: &Gpu) -> Result<()> {
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let (model, parameters) = nn::build(gpu, 0, |builder| {
        Sequential::new(builder)
            .with(|b| Conv2d::new(b, 3, 64, [3, 3], same).with_relu().with_max_pool())
            .with(|b| Conv2d::new(b, 64, 128, [3, 3], same).with_relu().with_max_pool())
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 128 * 8 * 8, 10))
    })?;
    let mut sgd = Sgd::new(&parameters, SgdOptions { lr: 0.01, momentum: 0.9, ..Default::default() })?;
    let images = DeviceImages::new(gpu, &synthetic::images(BATCH, 0))?;
    step(&images, &model, &parameters, &mut sgd)
}

/// The model of the mlp example.
fn mlp(gpu: &Gpu) -> Result<()> {
    let (model, parameters) = nn::build(gpu, 0, |builder| {
        Sequential::new(builder)
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 784, 256))
            .with(|_| Activation::Relu)
            .with(|b| Linear::new(b, 256, 128))
            .with(|_| Activation::Relu)
            .with(|b| Linear::new(b, 128, 10))
    })?;
    let mut adam = Adam::new(&parameters, AdamOptions::default())?;
    let images = DeviceImages::new(gpu, &synthetic::images(BATCH, 0).to_grey_28()?)?;
    step(&images, &model, &parameters, &mut adam)
}

fn matmul(gpu: &Gpu) -> Result<()> {
    let a = Tensor::empty(gpu, &[4096, 4096])?;
    let b = Tensor::empty(gpu, &[4096, 4096])?;
    a.matmul(&b)?;
    Ok(())
}

/// The large product and the CNN's second convolution, forward and gradients, of half-precision operands.
fn halves(gpu: &Gpu) -> Result<()> {
    let half = |shape: &[usize]| Tensor::empty_of(gpu, shape, DType::F16);
    half(&[4096, 4096])?.matmul(&half(&[4096, 4096])?)?;
    let same = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let (x, w) = (half(&[BATCH, 64, 16, 16])?, half(&[128, 64, 3, 3])?);
    x.conv2d(&w, None, same)?;
    let dy = half(&[BATCH, 128, 16, 16])?;
    dy.conv2d_input(&w, x.shape(), same, None)?;
    dy.conv2d_weight(&x, w.shape(), same, None)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, source: &str) -> Launched {
        Launched {
            name: name.to_owned(),
            entry: "main".to_owned(),
            source: source.to_owned(),
            work: Vec::new(),
        }
    }

    #[test]
    fn variants_are_numbered() {
        let mut modules = ["add", "relu", "relu", "sgd"].map(|name| module(name, ""));
        number_variants(&mut modules);
        assert_eq!(modules.map(|m| m.name), ["add", "relu.1", "relu.2", "sgd"]);
    }

    #[test]
    fn constants_are_the_plain_numbers() {
        let source =
            "alias Element = f32;\nconst M = 4096u;\nconst TILE_M = 128u;\n// text\nconst HALF = M / 2u;\n";
        let module = module("matmul", source);
        assert_eq!(module.constants(), [("M", 4096), ("TILE_M", 128)]);
        assert_eq!((module.constant("TILE_M"), module.constant("TILE_N")), (Some(128), None));
    }
}
