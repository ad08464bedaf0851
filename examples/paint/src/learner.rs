//! The network at work: between frames it trains, answers what it thinks of a drawing, and paints its pictures.

use std::time::Duration;

use eframe::egui_wgpu::RenderState;
use wgrad::Gpu;
use wgrad::train::{Result, Stepper};

use crate::lesson::Lesson;
use crate::network::{FILTER_SIDE, FILTERS};
use crate::pictures;
use crate::predictor::Predictor;
use crate::raster::{Pixels, SIDE};
use crate::samples::Samples;
use crate::textures::Shown;

pub struct Learner {
    gpu: Gpu,
    lesson: Lesson,
    stepper: Stepper,
    predictor: Predictor,
    losses: Vec<f32>,
    /// The samples that the lesson has.
    revision: Option<u64>,
    /// What the network looks at.
    pub eye: Shown,
    pub filters: Shown,
    pub feature_maps: Shown,
}

impl Learner {
    /// An untrained network on the window's own device.
    pub fn new(render: &RenderState, seed: u64) -> Result<Self> {
        let gpu = Gpu::from_wgpu(render.device.clone(), render.queue.clone());
        let lesson = Lesson::new(&gpu, seed)?;
        Ok(Self {
            stepper: Stepper::new(&gpu),
            lesson,
            predictor: Predictor::default(),
            losses: Vec::new(),
            revision: None,
            eye: Shown::new(render, SIDE, SIDE),
            filters: Shown::new(render, FILTERS * FILTER_SIDE, FILTER_SIDE),
            feature_maps: Shown::new(render, FILTERS * SIDE, SIDE),
            gpu,
        })
    }

    /// Forgets everything learned. The device's compiled kernels stay.
    pub fn reset(&mut self, seed: u64) -> Result<()> {
        self.lesson = Lesson::new(&self.gpu, seed)?;
        self.stepper = Stepper::new(&self.gpu);
        self.predictor = Predictor::default();
        self.losses.clear();
        self.revision = None;
        Ok(())
    }

    /// The work of one frame: a look at a drawing, and `budget` of training if `training`. Nothing waits for the device.
    pub fn frame(
        &mut self,
        samples: &Samples,
        drawing: &Pixels,
        training: bool,
        budget: Duration,
    ) -> Result<()> {
        if self.revision != Some(samples.revision()) {
            self.lesson.set_samples(samples)?;
            self.revision = Some(samples.revision());
        }
        for step in self.stepper.losses()? {
            self.losses.push(step.loss);
        }
        self.look(drawing)?;
        // Without training, no step is recorded beyond those that are, whose rest goes on in slices.
        let most = (!training || !self.lesson.ready()).then_some(self.stepper.steps());
        self.stepper.set_max_steps(most);
        self.stepper.advance(budget, || self.lesson.record())?;
        Ok(())
    }

    fn look(&mut self, drawing: &Pixels) -> Result<()> {
        if let Some(maps) = self.predictor.update(&self.lesson, self.steps(), drawing, &self.eye)? {
            self.feature_maps.show(&pictures::feature_maps(&maps)?)?;
            if let Some(filters) = pictures::filters(&self.lesson)? {
                self.filters.show(&filters)?;
            }
        }
        Ok(())
    }

    /// Whether there is anything to learn.
    pub fn ready(&self) -> bool {
        self.lesson.ready()
    }

    /// Whether something is under way, so that another frame should look for it.
    pub fn is_busy(&self) -> bool {
        self.predictor.is_busy() || self.stepper.steps() > self.steps()
    }

    /// A probability for each class, or none before the first answer.
    pub fn probabilities(&self) -> &[f32] {
        self.predictor.probabilities()
    }

    /// The losses of all finished steps.
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// Training steps that are finished.
    pub fn steps(&self) -> u64 {
        self.losses.len() as u64
    }

    pub fn parameters(&self) -> usize {
        self.lesson.parameters.count()
    }
}
