//! Part `kernels`: what the driver's compiler made of every kernel of the training steps and of products.

use std::process::ExitCode;

use serde_json::{Value, json};
use wgrad::autograd::Error as TensorError;
use wgrad::device::Family;
use wgrad::{DType, Gpu, Tensor};
use wgrad_gpu_report::launches::{Launched, launched_by};
use wgrad_gpu_report::vulkan::Compiler;

use crate::measure::{models, training_of};
use crate::{Error, Result, environment};

type Reported = wgrad_gpu_report::Result<()>;

fn step(gpu: &Gpu, name: &str) -> Reported {
    match training_of(gpu, name) {
        Ok(mut training) => training.record().map(drop).map_err(Into::into),
        Err(Error::Model(error)) => Err(error.into()),
        Err(error) => Err(wgrad_gpu_report::Error::Driver { what: name.to_owned(), message: error.line() }),
    }
}

fn products(gpu: &Gpu, sizes: &[usize]) -> Reported {
    for &n in sizes {
        let [a, b] = [Tensor::empty(gpu, &[n, n])?, Tensor::empty(gpu, &[n, n])?];
        a.matmul(&b)?;
        match (a.to_dtype(DType::F16), b.to_dtype(DType::F16)) {
            (Ok(a), Ok(b)) => drop(a.matmul(&b)?),
            // A device without f16 has no such kernels.
            (Err(TensorError::Unsupported { .. }), _) => {}
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Compiles the modules as wgpu would, and prints what the driver says of each.
pub fn child(short: bool) -> Result<ExitCode> {
    let sizes: &[usize] = if short { &[96] } else { &[512, 1024, 4096] };
    let [cnn, mlp, resnet9] = models(short).map(|(_, name)| name);
    let (builder, _) = environment::builder()?;
    let modules = launched_by(
        builder.family(Family::Gpu),
        &[
            ("CNN", &|gpu: &Gpu| step(gpu, cnn)),
            ("MLP", &|gpu: &Gpu| step(gpu, mlp)),
            ("resnet9", &|gpu: &Gpu| step(gpu, resnet9)),
            ("matmul", &|gpu: &Gpu| products(gpu, sizes)),
        ],
    )?;
    // The device that wgpu chose, by its name; two of one name are of one kind.
    let name = Gpu::builder().quiet().build()?.info().name.clone();
    let compiler = match Compiler::open(Some(&name)) {
        Ok(compiler) => compiler,
        Err(error) => {
            println!("{}", json!({"unavailable": crate::error::one_line(&error.to_string())}));
            return Ok(ExitCode::SUCCESS);
        }
    };
    for module in &modules {
        println!("{}", described(&compiler, module));
    }
    Ok(ExitCode::SUCCESS)
}

fn described(compiler: &Compiler, module: &Launched) -> Value {
    let mut row = json!({
        "kernel": module.name,
        "work": module.work,
        "constants": module.constants().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>(),
    });
    match compiler.compile(&module.source, &module.entry) {
        Ok(compiled) => {
            row["statistics"] = json!(compiled.statistics);
            row["subgroup"] = json!(compiled.subgroup_size);
        }
        Err(error) => row["error"] = json!(crate::error::one_line(&error.to_string())),
    }
    row
}
