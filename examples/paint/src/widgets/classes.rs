//! The classes: a name to edit, how many drawings there are, how likely the network finds it, a button to teach it.

use eframe::egui::{
    Align, Align2, Button, Color32, Frame, Layout, Rect, Role, Sense, TextEdit, Ui, UiBuilder, WidgetInfo,
    vec2,
};

use super::class_colour;
use crate::samples::{MOST_CLASSES, Samples};

const ROW_HEIGHT: f32 = 30.0;

/// One row a class. Returns the class that the drawing shall be added to, if its button was pressed.
pub fn classes(ui: &mut Ui, samples: &mut Samples, probabilities: &[f32], can_add: bool) -> Option<usize> {
    let mut chosen = None;
    for label in 0..samples.names().len() {
        let probability = probabilities.get(label).copied().unwrap_or(0.0);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::hover());
        paint_probability(ui, rect, class_colour(label), probability);
        let row = UiBuilder::new().max_rect(rect.shrink2(vec2(8.0, 3.0)));
        ui.scope_builder(row.layout(Layout::left_to_right(Align::Center)), |ui| {
            if class_row(ui, samples, label, probability, can_add) {
                chosen = Some(label);
            }
        });
    }
    let room = samples.names().len() < MOST_CLASSES;
    if ui.add_enabled(room, Button::new("New class")).clicked() {
        samples.add_class();
    }
    chosen
}

/// Whether the row's button was pressed.
fn class_row(ui: &mut Ui, samples: &mut Samples, label: usize, probability: f32, can_add: bool) -> bool {
    let count = samples.count(label);
    let mut pressed = false;
    if let Some(name) = samples.name_mut(label) {
        let add = ui.add_enabled(can_add, Button::new("Add"));
        let add = add.on_hover_text(format!("The drawing is a {name} (key {})", (label + 1) % 10));
        // A screen reader, and a test, must tell the rows apart.
        let what = format!("Add to {name}");
        add.widget_info(|| WidgetInfo::labeled(Role::Button, can_add, &what));
        pressed = add.clicked();
        let field = TextEdit::singleline(name).desired_width(92.0).char_limit(16).align(Align2::LEFT_CENTER);
        let field = field.frame(Frame::NONE).min_size(vec2(92.0, ROW_HEIGHT - 6.0));
        let what = format!("Name of class {}", label + 1);
        let field = ui.add(field);
        field.widget_info(|| WidgetInfo::labeled(Role::TextInput, true, &what));
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.monospace(format!("{:3.0}%", 100.0 * probability));
        ui.weak(count.to_string()).on_hover_text("drawings of this class");
    });
    pressed
}

/// A bar behind the row, as long as the class is likely.
fn paint_probability(ui: &Ui, rect: Rect, colour: Color32, probability: f32) {
    let painter = ui.painter();
    painter.rect_filled(rect, 4.0, ui.visuals().faint_bg_color);
    let mut bar = rect;
    bar.set_width(rect.width() * probability.clamp(0.0, 1.0));
    painter.rect_filled(bar, 4.0, colour.gamma_multiply(0.45));
    let mut edge = rect;
    edge.set_width(3.0);
    painter.rect_filled(edge, 2.0, colour);
}
