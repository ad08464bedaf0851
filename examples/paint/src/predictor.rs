//! What the network thinks of a drawing: recorded now, known some frames later, so that no frame waits for it.

use wgrad::device::Pending;
use wgrad::train::Result;
use wgrad::{Tensor, no_grad};

use crate::lesson::Lesson;
use crate::raster::Pixels;
use crate::textures::Shown;

/// Training steps after which a drawing is looked at anew. Looking takes a good part of a step's time.
const LOOK_EVERY: u64 = 4;

/// The drawing that was looked at, and after how many training steps.
struct Question {
    pixels: Pixels,
    step: u64,
    classes: usize,
}

impl Question {
    /// Whether the answer may be another than that to `asked`.
    fn differs(&self, asked: &Self) -> bool {
        self.pixels != asked.pixels || self.classes != asked.classes || self.step >= asked.step + LOOK_EVERY
    }
}

/// Asks the network, and keeps its last answer.
#[derive(Default)]
pub struct Predictor {
    asked: Option<Question>,
    pending: Option<Pending<f32>>,
    probabilities: Vec<f32>,
}

impl Predictor {
    /// The last answer that arrived: a probability for each class, or none before the first.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Whether an answer is under way.
    pub fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes an answer that has arrived. Where none is awaited and the drawing or the network has changed, records a new
    /// question and returns the first layer's feature maps, `[1, 8, 28, 28]`; the drawing goes through the texture `eye`,
    /// which the window shows too.
    pub fn update(
        &mut self,
        lesson: &Lesson,
        step: u64,
        pixels: &Pixels,
        eye: &Shown,
    ) -> Result<Option<Tensor>> {
        if let Some(pending) = &mut self.pending {
            let Some(probabilities) = pending.try_take()? else { return Ok(None) };
            self.probabilities = probabilities;
            self.pending = None;
        }
        let question = Question { pixels: *pixels, step, classes: lesson.classes() };
        if self.asked.as_ref().is_some_and(|asked| !question.differs(asked)) {
            return Ok(None);
        }
        let gpu = lesson.parameters.gpu();
        eye.upload(gpu.queue(), pixels);
        let x = eye.grey(gpu)?;
        let maps = no_grad(|| -> Result<Tensor> {
            let maps = lesson.network.feature_maps(&x)?;
            let logits = lesson.network.classify(&maps)?;
            let probabilities = logits.slice(1, 0, lesson.classes().max(1))?.softmax()?;
            self.pending = Some(probabilities.read_later()?);
            Ok(maps)
        })?;
        self.asked = Some(question);
        Ok(Some(maps))
    }
}
