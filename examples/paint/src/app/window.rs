//! The window's layout: classes on the left, the canvas in the middle, training on the right, all drawings below.

use eframe::egui::{Align, CentralPanel, Context, Key, Layout, Panel, RichText, Slider, Ui};

use super::Paint;
use crate::glyphs::{DIGITS, Glyph, SHAPES};
use crate::samples::Samples;
use crate::widgets::{classes, insight, training};

const DIGIT_KEYS: [Key; 10] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
    Key::Num0,
];

impl Paint {
    pub(super) fn show(&mut self, ui: &mut Ui) {
        self.shortcuts(ui.ctx());
        if let Some(error) = self.error.clone() {
            Panel::top("error").show(ui, |ui| self.show_error(ui, &error));
        }
        Panel::bottom("gallery").exact_size(124.0).show(ui, |ui| self.show_gallery(ui));
        Panel::left("classes").exact_size(232.0).resizable(false).show(ui, |ui| self.show_classes(ui));
        Panel::right("training").exact_size(300.0).resizable(false).show(ui, |ui| self.show_training(ui));
        CentralPanel::default().show(ui, |ui| self.show_canvas(ui));
    }

    fn show_error(&mut self, ui: &mut Ui, error: &str) {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(format!("Training stopped: {error}")).color(ui.visuals().error_fg_color));
            if ui.button("Start anew").clicked() {
                self.reset();
            }
        });
    }

    fn show_classes(&mut self, ui: &mut Ui) {
        ui.add_space(4.0);
        ui.heading("What is it?");
        let probabilities = self.learner.probabilities();
        let can_add = !self.canvas.drawing.is_empty();
        let chosen = classes::classes(ui, &mut self.samples, probabilities, can_add);
        if let Some(label) = chosen {
            self.teach(label);
        }
        ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
            ui.weak(format!("{} parameters on {}", self.learner.parameters(), self.adapter));
        });
    }

    fn show_canvas(&mut self, ui: &mut Ui) {
        let side = ui.available_width().min(ui.available_height() - 76.0).max(100.0);
        ui.vertical_centered(|ui| {
            self.canvas.show(ui, side, self.brush);
        });
        ui.horizontal(|ui| {
            insight::preview(ui, self.learner.eye.id, 64.0);
            ui.vertical(|ui| {
                ui.horizontal(|ui| {
                    if ui.button("Clear").on_hover_text("key: Escape").clicked() {
                        self.canvas.drawing.strokes.clear();
                    }
                    if ui.button("Undo").clicked() {
                        self.canvas.drawing.strokes.pop();
                    }
                    ui.add(Slider::new(&mut self.brush, 1.0..=4.0).show_value(false).text("brush"));
                });
                insight::guess(ui, self.samples.names(), self.learner.probabilities());
            });
        });
    }

    fn show_training(&mut self, ui: &mut Ui) {
        ui.add_space(4.0);
        ui.heading("Training");
        if training::training(ui, &mut self.settings, &self.learner, &self.clock) {
            self.reset();
        }
        ui.separator();
        ui.strong("Filters of the first layer");
        insight::squares(ui, self.learner.filters.id, "Filters of the first layer, as a picture");
        ui.strong("What they find in the drawing");
        insight::squares(ui, self.learner.feature_maps.id, "What they find, as a picture");
    }

    fn show_gallery(&mut self, ui: &mut Ui) {
        ui.horizontal(|ui| {
            ui.heading(format!("{} drawings", self.samples.list().len()));
            if ui.button("Synthetic shapes").on_hover_text("replaces all drawings").clicked() {
                self.start_with(&SHAPES);
            }
            if ui.button("Synthetic digits").on_hover_text("replaces all drawings").clicked() {
                self.start_with(&DIGITS);
            }
            if ui.button("Remove all").clicked() {
                self.samples.clear();
            }
        });
        self.pointed = self.gallery.show(ui, &self.samples);
        if let Some(index) = self.pointed.clicked {
            self.samples.remove(index);
        }
    }

    /// The drawing is of class `label`: it joins the samples, and the canvas is free for the next.
    fn teach(&mut self, label: usize) {
        self.samples.add(self.canvas.drawing.raster(self.brush), label);
        self.canvas.drawing.strokes.clear();
    }

    fn start_with(&mut self, glyphs: &[Glyph]) {
        self.samples = Samples::synthetic(glyphs, self.seed);
        self.settings.training = true;
        self.reset();
    }

    /// An untrained network.
    fn reset(&mut self) {
        self.error = self.learner.reset(self.seed).err().map(|error| error.to_string());
    }

    fn shortcuts(&mut self, ctx: &Context) {
        if ctx.egui_wants_keyboard_input() {
            return;
        }
        if ctx.input(|input| input.key_pressed(Key::Escape)) {
            self.canvas.drawing.strokes.clear();
        }
        let pressed = DIGIT_KEYS.iter().position(|&key| ctx.input(|input| input.key_pressed(key)));
        if let Some(label) = pressed.filter(|_| !self.canvas.drawing.is_empty()) {
            self.teach(label);
        }
    }
}
