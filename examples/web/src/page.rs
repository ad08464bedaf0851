//! What the page's JavaScript sees of a [`Session`].

use std::time::Duration;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use wgrad::Gpu;

use crate::{Session, shapes};

type Result<T> = std::result::Result<T, JsError>;

/// Errors as JavaScript's, with their words.
fn thrown(error: impl std::error::Error) -> JsValue {
    JsError::from(error).into()
}

/// A model in training.
#[wasm_bindgen]
pub struct Trainer {
    session: Session,
    software: bool,
}

#[wasm_bindgen]
impl Trainer {
    /// On the browser's adapter.
    pub async fn create() -> Result<Trainer> {
        let gpu = Gpu::builder().build_async().await?;
        let software = gpu.info().device_type == wgrad::wgpu::DeviceType::Cpu;
        Ok(Trainer { session: Session::new(&gpu)?, software })
    }

    /// Whether the browser has no GPU to give.
    #[wasm_bindgen(getter)]
    pub fn software(&self) -> bool {
        self.software
    }

    /// Trains for about so many milliseconds of GPU time. To be called once a frame.
    pub fn advance(&mut self, milliseconds: f64) -> Result<()> {
        Ok(self.session.advance(Duration::from_secs_f64(milliseconds / 1e3))?)
    }

    /// Instead of training: submits what is left, so that predictions arrive.
    pub fn rest(&mut self) -> Result<()> {
        Ok(self.session.rest()?)
    }

    /// Trains no further than this many steps in all.
    pub fn stop_after(&mut self, steps: u32) {
        self.session.stop_after(u64::from(steps));
    }

    /// The losses that have arrived since the last call.
    pub fn losses(&mut self) -> Result<Vec<f32>> {
        Ok(self.session.losses()?)
    }

    /// Adds a drawing, 16 × 16 bytes of ink, to the training set.
    pub fn teach(&mut self, drawing: &[u8], label: u8) -> Result<()> {
        Ok(self.session.teach(drawing, label)?)
    }

    /// Names this drawing from now on; without one, nothing.
    pub fn show(&mut self, drawing: Option<Vec<u8>>) -> Result<()> {
        Ok(self.session.show(drawing.as_deref())?)
    }

    /// Each class's probability, whenever a new one has arrived.
    pub fn probabilities(&mut self) -> Result<Option<Vec<f32>>> {
        Ok(self.session.probabilities()?)
    }

    /// The weights as a safetensors file, once they have arrived.
    pub fn weights(&self) -> Promise {
        // The promise does not hold on to the trainer, which goes on meanwhile.
        let weights = self.session.weights();
        future_to_promise(async { Ok(Uint8Array::from(&weights.await.map_err(thrown)?[..]).into()) })
    }

    /// Continues from the weights of a safetensors file.
    pub fn load(&mut self, file: &[u8]) -> Result<()> {
        Ok(self.session.load(file)?)
    }

    /// Image `i` of the training set, 16 × 16 bytes of ink.
    pub fn image(&self, i: usize) -> Option<Vec<u8>> {
        self.session.images().image(i).map(<[u8]>::to_vec)
    }
}

/// The classes' names, in the order of their labels.
#[wasm_bindgen]
pub fn classes() -> Vec<String> {
    shapes::CLASSES.map(String::from).to_vec()
}

/// Rows and columns of a drawing.
#[wasm_bindgen]
pub fn side() -> usize {
    shapes::SIDE
}
