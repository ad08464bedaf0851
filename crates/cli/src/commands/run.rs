//! `wgrad run`: tensors in, tensors out, for comparison with any framework.

use std::path::Path;

use serde_json::json;
use wgrad::nn::{Mode, Parameters, StateDict, file};
use wgrad::{Gpu, Tensor, no_grad};

use super::Named;
use crate::args::Run;
use crate::output::print;
use crate::{Error, Result};

pub(crate) fn run(flags: &Run) -> Result<()> {
    // What cannot work is found out before a device is asked.
    file::check_writable(&flags.output)?;
    let named = Named::find(&flags.model, &flags.set)?;
    let architecture = named.architecture()?;
    let weights = match (&flags.weights, &named) {
        (Some(path), _) => {
            let state = StateDict::load(path)?;
            (state, path.display().to_string())
        }
        (None, Named::File(file)) => (file.state.clone(), flags.model.clone()),
        (None, Named::Config(_)) => {
            return Err(Error::usage(format!(
                "{} has no weights: --weights names a file of them",
                flags.model
            )));
        }
    };
    let input = StateDict::load(&flags.input)?;
    let gpu = Gpu::new()?;
    let (model, parameters) = architecture.build(&gpu, 0)?;
    parameters.load_state_dict(&weights.0, &weights.1)?;
    let x = tensor(&gpu, &input, "x", &flags.input)?;
    // That the rows are of another shape is found by the first layer that they don't fit.
    let misfit = |error: wgrad::nn::Error| match Error::from(error) {
        error if error.exit_code() == 1 => Error::file(&flags.input, format!("x {:?}: {error}", x.shape())),
        error => error,
    };
    let mode = if flags.train { Mode::Train } else { Mode::Eval };
    let result = if flags.grad {
        let upstream = tensor(&gpu, &input, "upstream", &flags.input)?;
        let x = x.tracked();
        let y = model.forward(&x, mode).map_err(misfit)?;
        if y.shape() != upstream.shape() {
            let message =
                format!("upstream {:?}: the output is {:?}, and both are alike", upstream.shape(), y.shape());
            return Err(Error::file(&flags.input, message));
        }
        with_gradients(&parameters, &x, &y, &upstream)?
    } else {
        let mut result = StateDict::default();
        put(&mut result, "y", &no_grad(|| model.forward(&x, mode)).map_err(misfit)?)?;
        result
    };
    result.save(&flags.output)?;
    let shapes: serde_json::Map<_, _> =
        result.tensors.iter().map(|(name, (shape, _))| (name.clone(), json!(shape))).collect();
    let names: Vec<String> =
        result.tensors.iter().map(|(name, (shape, _))| format!("{name} {shape:?}")).collect();
    let value = json!({ "output": flags.output.display().to_string(), "tensors": shapes });
    print(flags.machines.json, &value, &format!("{}: {}", flags.output.display(), names.join(", ")));
    Ok(())
}

/// The output, and the gradients of Σ y · upstream by the input and each parameter.
fn with_gradients(parameters: &Parameters, x: &Tensor, y: &Tensor, upstream: &Tensor) -> Result<StateDict> {
    let mut result = StateDict::default();
    put(&mut result, "y", y)?;
    let gradients = y.backward_from(upstream)?;
    let named = parameters.entries().iter().map(|entry| (entry.name.as_str(), &entry.tensor));
    for (name, leaf) in named.chain([("x", x)]) {
        let name = format!("grad.{name}");
        match gradients.get(leaf) {
            Some(gradient) => put(&mut result, &name, gradient)?,
            // What the output does not depend on.
            None => put(&mut result, &name, &Tensor::zeros(y.gpu(), leaf.shape())?)?,
        }
    }
    Ok(result)
}

fn put(state: &mut StateDict, name: &str, tensor: &Tensor) -> Result<()> {
    state.tensors.insert(name.to_owned(), (tensor.shape().to_vec(), tensor.to_vec()?));
    Ok(())
}

/// The tensor of this name in the file of inputs.
fn tensor(gpu: &Gpu, state: &StateDict, name: &str, path: &Path) -> Result<Tensor> {
    let Some((shape, values)) = state.tensors.get(name) else {
        let names: Vec<&str> = state.tensors.keys().map(String::as_str).collect();
        let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(Error::file(path, format!("holds {found}: the tensor {name} is missing")));
    };
    Ok(Tensor::from_slice(gpu, values, shape)?)
}
