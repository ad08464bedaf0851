//! The gallery: all drawings in small, which say what the network thinks of them when pointed at.

use eframe::egui::{
    Color32, ColorImage, Context, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, TextureHandle,
    TextureId, TextureOptions, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::class_colour;
use crate::raster::SIDE;
use crate::samples::{MOST_SAMPLES, Samples};

/// Drawings in a row of the texture that holds them all.
const COLUMNS: usize = 32;

const THUMBNAIL: f32 = 36.0;

/// The drawings in one texture, so that showing them costs one draw call.
#[derive(Default)]
pub struct Gallery {
    texture: Option<TextureHandle>,
    revision: u64,
}

/// What the user does with the gallery.
#[derive(Default)]
pub struct Pointed {
    /// The sample under the pointer.
    pub at: Option<usize>,
    /// The sample that was clicked.
    pub clicked: Option<usize>,
}

impl Gallery {
    /// Newest first.
    pub fn show(&mut self, ui: &mut Ui, samples: &Samples) -> Pointed {
        let texture = self.follow(ui.ctx(), samples);
        let mut pointed = Pointed::default();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = Vec2::splat(4.0);
            ui.horizontal_wrapped(|ui| {
                for index in (0..samples.list().len()).rev() {
                    thumbnail(ui, texture, samples, index, &mut pointed);
                }
            });
        });
        pointed
    }

    /// Uploads the drawings anew where they changed.
    fn follow(&mut self, ctx: &Context, samples: &Samples) -> TextureId {
        let texture = self.texture.get_or_insert_with(|| {
            let size = [COLUMNS * SIDE, MOST_SAMPLES / COLUMNS * SIDE];
            ctx.load_texture("gallery", ColorImage::filled(size, Color32::BLACK), TextureOptions::LINEAR)
        });
        if self.revision == samples.revision() {
            return texture.id();
        }
        self.revision = samples.revision();
        let rows = samples.list().len().div_ceil(COLUMNS).max(1);
        let mut image = ColorImage::filled([COLUMNS * SIDE, rows * SIDE], Color32::BLACK);
        for (index, sample) in samples.list().iter().enumerate() {
            let (left, top) = (index % COLUMNS * SIDE, index / COLUMNS * SIDE);
            for (y, row) in sample.pixels.chunks_exact(SIDE).enumerate() {
                for (x, &grey) in row.iter().enumerate() {
                    image[(left + x, top + y)] = Color32::from_gray(grey);
                }
            }
        }
        texture.set_partial([0, 0], image, TextureOptions::LINEAR);
        texture.id()
    }
}

fn thumbnail(ui: &mut Ui, texture: TextureId, samples: &Samples, index: usize, pointed: &mut Pointed) {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(THUMBNAIL), Sense::click());
    if !ui.is_rect_visible(rect) {
        return;
    }
    let label = samples.list()[index].label;
    let what =
        || WidgetInfo::labeled(Role::Image, true, format!("Sample {index}: {}", samples.names()[label]));
    response.widget_info(what);
    let width = if response.hovered() { 3.0 } else { 1.5 };
    ui.painter().image(texture, rect, place(index), Color32::WHITE);
    let border = Stroke::new(width, class_colour(label));
    ui.painter().rect_stroke(rect, 3.0, border, StrokeKind::Inside);
    if response.hovered() {
        pointed.at = Some(index);
    }
    if response.clicked() {
        pointed.clicked = Some(index);
    }
    response.on_hover_text(format!("{}: click to remove", samples.names()[label]));
}

/// Where sample `index` lies in the texture, as parts of its size.
fn place(index: usize) -> Rect {
    let (column, row) = (index % COLUMNS, index / COLUMNS);
    let size = vec2(1.0 / COLUMNS as f32, COLUMNS as f32 / MOST_SAMPLES as f32);
    Rect::from_min_size(pos2(column as f32 * size.x, row as f32 * size.y), size)
}
