//! A look inside: the drawing as the network sees it, its first layer's filters, and what each of them finds.

use eframe::egui::{Color32, Rect, Role, Sense, TextureId, Ui, WidgetInfo, pos2, vec2};

use crate::network::FILTERS;

/// The network's guess in words.
pub fn guess(ui: &mut Ui, names: &[String], probabilities: &[f32]) {
    let best = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    let text = match best.and_then(|(label, p)| Some((names.get(label)?, p))) {
        Some((name, &p)) if p > 0.5 => format!("{name}, {:.0}%", 100.0 * p),
        Some((name, &p)) => format!("perhaps {name}, {:.0}%", 100.0 * p),
        None => String::new(),
    };
    ui.heading(text);
}

/// The drawing in the network's 28×28 pixels.
pub fn preview(ui: &mut Ui, texture: TextureId, side: f32) {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
    ui.painter().image(texture, rect, whole(), Color32::WHITE);
    response.on_hover_text("what the network sees: 28 by 28 pixels, centred");
}

/// Squares that lie side by side in a texture, in two rows. `name` is for those who cannot see them.
pub fn squares(ui: &mut Ui, texture: TextureId, name: &str) {
    let columns = FILTERS / 2;
    let gap = 4.0;
    let side = ((ui.available_width() - gap * (columns - 1) as f32) / columns as f32).floor().min(50.0);
    let size = vec2(columns as f32 * (side + gap) - gap, 2.0 * side + gap);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    for i in 0..FILTERS {
        let offset = vec2((i % columns) as f32, (i / columns) as f32) * (side + gap);
        let square = Rect::from_min_size(rect.min + offset, vec2(side, side));
        let [left, right] = [i, i + 1].map(|edge| edge as f32 / FILTERS as f32);
        let uv = Rect::from_min_max(pos2(left, 0.0), pos2(right, 1.0));
        ui.painter().image(texture, square, uv, Color32::WHITE);
    }
}

fn whole() -> Rect {
    Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0))
}
