//! Training: pause, reset, how much of a frame it may take, and how it goes.

use eframe::egui::{Button, Slider, Ui};

use super::plot::loss_plot;
use crate::clock::Clock;
use crate::learner::Learner;

/// What the user sets.
pub struct Settings {
    pub training: bool,
    /// Milliseconds of a frame that training may take.
    pub budget_ms: f32,
}

/// Whether the user wants an untrained network.
pub fn training(ui: &mut Ui, settings: &mut Settings, learner: &Learner, clock: &Clock) -> bool {
    let mut reset = false;
    ui.horizontal(|ui| {
        let text = if settings.training { "Pause" } else { "Train" };
        if ui.add(Button::new(text).min_size([70.0, 0.0].into())).clicked() {
            settings.training = !settings.training;
        }
        reset = ui.button("Reset").on_hover_text("forget everything learned").clicked();
        ui.weak(match (settings.training, learner.ready()) {
            (true, true) => "learning",
            (true, false) => "needs two classes",
            (false, _) => "paused",
        });
    });
    ui.spacing_mut().slider_width = 130.0;
    let budget =
        Slider::new(&mut settings.budget_ms, 2.0..=16.0).step_by(1.0).suffix(" ms").fixed_decimals(0);
    ui.add(budget.text("a frame")).on_hover_text("of each frame, training may take this much");
    loss_plot(ui, learner.losses(), 100.0);
    let loss = learner.losses().last().map_or("-".to_owned(), |loss| format!("{loss:.4}"));
    ui.monospace(format!("{:5} steps    loss {loss}", learner.steps()));
    ui.monospace(format!(
        "{:5.1} steps/s  {:5.1} frames/s",
        clock.steps_per_second(),
        clock.frames_per_second()
    ));
    let [median, high] = [0.5, 0.95].map(|share| clock.percentile(share));
    ui.monospace(format!("{median:5.1} ms a frame, 95% < {high:.1}"));
    reset
}
