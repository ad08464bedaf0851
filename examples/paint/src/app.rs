//! The window: what it shows, and what happens in a frame.

mod window;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use eframe::egui::{Color32, Context, Theme, Ui, Visuals};
use eframe::egui_wgpu::RenderState;
use wgrad::wgpu;

use crate::clock::Clock;
use crate::error::Error;
use crate::glyphs::{DIGITS, SHAPES};
use crate::learner::Learner;
use crate::log::{Line, Log};
use crate::raster::Pixels;
use crate::samples::Samples;
use crate::widgets::canvas::Canvas;
use crate::widgets::gallery::{Gallery, Pointed};
use crate::widgets::training::Settings;

const BACKGROUND: Color32 = Color32::from_rgb(0x1b, 0x1c, 0x20);

/// Synthetic drawings to begin with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Start {
    /// Six shapes.
    Shapes,
    /// Ten digits.
    Digits,
}

/// How the program was started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the network's first weights, of the order of samples, and of the synthetic drawings.
    pub seed: u64,
    /// Of each frame's time, for training.
    pub budget: Duration,
    /// What is there to learn at first.
    pub start: Option<Start>,
    /// Frames follow each other without pause, also while nothing changes.
    pub continuous: bool,
    /// Where to write a line for each frame.
    pub log: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, budget: Duration::from_millis(8), start: None, continuous: false, log: None }
    }
}

/// The whole program but for its window.
pub struct Paint {
    render: RenderState,
    adapter: String,
    seed: u64,
    learner: Learner,
    settings: Settings,
    samples: Samples,
    gallery: Gallery,
    pointed: Pointed,
    canvas: Canvas,
    brush: f32,
    continuous: bool,
    clock: Clock,
    log: Option<Log>,
    ui_time: Duration,
    error: Option<String>,
}

impl Paint {
    /// On the device that `render` draws with.
    ///
    /// # Errors
    /// If the log file cannot be written, or the device cannot hold the network.
    pub fn new(render: &RenderState, options: Options) -> Result<Self, Error> {
        Ok(Self {
            learner: Learner::new(render, options.seed)?,
            settings: Settings { training: true, budget_ms: options.budget.as_secs_f32() * 1e3 },
            samples: match options.start {
                None => Samples::new(&SHAPES.map(|glyph| glyph.name)),
                Some(Start::Shapes) => Samples::synthetic(&SHAPES, options.seed),
                Some(Start::Digits) => Samples::synthetic(&DIGITS, options.seed),
            },
            gallery: Gallery::default(),
            pointed: Pointed::default(),
            canvas: Canvas::default(),
            brush: 2.0,
            continuous: options.continuous,
            clock: Clock::default(),
            log: options.log.as_deref().map(Log::create).transpose()?,
            ui_time: Duration::ZERO,
            error: None,
            adapter: render.device.adapter_info().name,
            render: render.clone(),
            seed: options.seed,
        })
    }

    /// One frame.
    pub fn frame(&mut self, ui: &mut Ui) {
        let begun = Instant::now();
        if let Err(error) = self.tick().and_then(|()| self.learn()) {
            self.error.get_or_insert(error.to_string());
        }
        self.show(ui);
        self.ui_time = begun.elapsed();
        // While training, the next frame begins as soon as this one is done.
        let busy = self.settings.training && self.learner.ready() || self.learner.is_busy();
        if self.continuous || busy && self.error.is_none() {
            ui.ctx().request_repaint();
        }
    }

    /// The loss of each finished training step.
    pub fn losses(&self) -> &[f32] {
        self.learner.losses()
    }

    /// What the network thinks of the drawing: a probability for each class, or none before the first answer.
    pub fn probabilities(&self) -> &[f32] {
        self.learner.probabilities()
    }

    /// Drawings to learn from.
    pub fn drawings(&self) -> usize {
        self.samples.list().len()
    }

    /// Whether the network has something under way.
    pub fn is_busy(&self) -> bool {
        self.learner.is_busy()
    }

    /// What stopped the training.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn tick(&mut self) -> Result<(), Error> {
        let Some(frame) = self.clock.tick(self.learner.steps()) else { return Ok(()) };
        let Some(log) = &mut self.log else { return Ok(()) };
        Ok(log.write(&Line {
            frame,
            ui: self.ui_time,
            training: self.settings.training && self.learner.ready(),
            steps: self.learner.steps(),
            loss: self.learner.losses().last().copied(),
        })?)
    }

    /// The network's share of the frame, recorded and submitted before the window's own drawing.
    fn learn(&mut self) -> Result<(), Error> {
        if self.error.is_some() {
            return Ok(());
        }
        // The device is the window's, and it is for the window to let finished work report itself.
        self.render.device.poll(wgpu::PollType::Poll)?;
        let budget = Duration::from_secs_f32(self.settings.budget_ms / 1e3);
        let looked_at = self.looked_at();
        self.learner.frame(&self.samples, &looked_at, self.settings.training, budget)?;
        match self.learner.losses().last() {
            Some(loss) if !loss.is_finite() => Err(Error::Diverged),
            _ => Ok(()),
        }
    }

    /// The drawing under the pointer in the gallery, or else the one on the canvas.
    fn looked_at(&self) -> Pixels {
        match self.pointed.at.and_then(|index| self.samples.list().get(index)) {
            Some(sample) => sample.pixels,
            None => self.canvas.drawing.raster(self.brush),
        }
    }
}

impl eframe::App for Paint {
    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        self.frame(ui);
    }

    fn clear_color(&self, _: &Visuals) -> [f32; 4] {
        BACKGROUND.to_normalized_gamma_f32()
    }
}

/// Dark, with panels that leave the window's background as it is: filling them once more is much of what a frame costs
/// on a software adapter.
pub fn set_style(ctx: &Context) {
    ctx.set_theme(Theme::Dark);
    ctx.all_styles_mut(|style| style.visuals.panel_fill = Color32::TRANSPARENT);
}

/// A device for the window, with what training gains by where the adapter has it: timestamps, which tell how long slices
/// take, and larger buffers.
pub fn device_descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor {
        label: Some("paint"),
        required_features: wgrad::device::optional_features(adapter),
        required_limits: wgrad::device::preferred_limits(adapter),
        ..Default::default()
    }
}
