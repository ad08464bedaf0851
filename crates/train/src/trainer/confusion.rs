//! The confusion matrix of the validation rows, counted beside the metrics.

use std::cell::RefCell;
use std::rc::Rc;

use wgrad_autograd::Tensor;

use crate::metrics::{ClassCounts, ConfusionMatrix, Outputs};
use crate::{Accumulator, Metric, Result};

/// What is counted, and the matrix of the pass that ended last. Its figure is none.
pub(super) struct Confusion {
    outputs: Outputs,
    threshold: f32,
    matrix: Rc<RefCell<Option<ConfusionMatrix>>>,
}

impl Confusion {
    pub(super) fn new(outputs: Outputs, threshold: f32) -> Self {
        Self { outputs, threshold, matrix: Rc::default() }
    }

    /// The matrix, which is then gone.
    pub(super) fn take(&self) -> Option<ConfusionMatrix> {
        self.matrix.take()
    }
}

impl Metric for Confusion {
    fn name(&self) -> String {
        "confusion".to_owned()
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        let counts = ClassCounts::new(self.outputs, self.threshold);
        Box::new(Counting { counts, matrix: self.matrix.clone() })
    }

    fn higher_is_better(&self) -> bool {
        true
    }
}

struct Counting {
    counts: ClassCounts,
    matrix: Rc<RefCell<Option<ConfusionMatrix>>>,
}

impl Accumulator for Counting {
    fn update(&mut self, prediction: &Tensor, target: &Tensor) -> Result<()> {
        self.counts.update(prediction, target)
    }

    fn compute(&mut self) -> Result<f64> {
        self.matrix.replace(self.counts.take()?);
        Ok(f64::NAN)
    }
}
