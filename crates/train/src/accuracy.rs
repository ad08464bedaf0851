//! How often a model is right.

use wgrad_autograd::device::Pending;
use wgrad_autograd::no_grad;
use wgrad_data::{DeviceImages, Normalize};
use wgrad_nn::{Mode, Module};

use crate::Result;

/// Share of the images that `model` names rightly, 0 to 1.
///
/// # Errors
/// What the model and the device report.
#[cfg(not(target_arch = "wasm32"))]
pub fn accuracy(
    model: &dyn Module,
    images: &DeviceImages,
    batch: usize,
    normalize: Normalize,
) -> Result<f64> {
    let mut right = 0;
    for PendingBatch { predicted, labels } in predict(model, images, batch, normalize)? {
        right += count_equal(&predicted.wait()?, &labels.wait()?);
    }
    Ok(right as f64 / images.len() as f64)
}

/// As [`accuracy`](fn@accuracy), without blocking.
///
/// # Errors
/// What the model and the device report.
pub async fn accuracy_async(
    model: &dyn Module,
    images: &DeviceImages,
    batch: usize,
    normalize: Normalize,
) -> Result<f64> {
    let mut right = 0;
    for PendingBatch { predicted, labels } in predict(model, images, batch, normalize)? {
        right += count_equal(&predicted.await?, &labels.await?);
    }
    Ok(right as f64 / images.len() as f64)
}

/// The classes that the model names for a batch, and the right ones, under way.
struct PendingBatch {
    predicted: Pending<i32>,
    labels: Pending<i32>,
}

/// Submits all batches.
fn predict(
    model: &dyn Module,
    images: &DeviceImages,
    batch: usize,
    normalize: Normalize,
) -> Result<Vec<PendingBatch>> {
    let (mut start, mut answers) = (0, Vec::new());
    while start < images.len() {
        let rows = batch.clamp(1, images.len() - start);
        let (x, labels) = images.batch(start, rows, normalize)?;
        let predicted = no_grad(|| model.forward(&x, Mode::Eval))?.argmax(1)?;
        answers.push(PendingBatch { predicted: predicted.read_later_as()?, labels: labels.read_later_as()? });
        x.gpu().submit()?;
        start += rows;
    }
    Ok(answers)
}

fn count_equal(predicted: &[i32], labels: &[i32]) -> usize {
    predicted.iter().zip(labels).filter(|(predicted, label)| predicted == label).count()
}
