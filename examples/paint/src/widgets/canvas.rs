//! The canvas: strokes follow the pointer while it is pressed.

use eframe::egui::{
    Align2, Color32, CursorIcon, Event, FontId, Painter, PointerButton, Pos2, Rect, Role, Sense, Stroke, Ui,
    WidgetInfo, vec2,
};

use crate::raster::{Drawing, Point, SIDE};

const PAPER: Color32 = Color32::from_rgb(0x12, 0x14, 0x1a);
const INK: Color32 = Color32::from_rgb(0xf4, 0xf1, 0xe8);

/// What lies on the canvas, and whether the brush touches it.
#[derive(Default)]
pub struct Canvas {
    pub drawing: Drawing,
    brush_down: bool,
}

impl Canvas {
    /// A square of `side` points; `brush` is the width of the line in the network's pixels.
    pub fn show(&mut self, ui: &mut Ui, side: f32, brush: f32) {
        let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Canvas"));
        ui.input(|input| input.events.iter().for_each(|event| self.follow(rect, event)));

        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 6.0, PAPER);
        if self.drawing.is_empty() {
            let (font, colour) = (FontId::proportional(22.0), ui.visuals().weak_text_color());
            painter.text(rect.center(), Align2::CENTER_CENTER, "Draw here", font, colour);
        }
        for stroke in &self.drawing.strokes {
            paint_stroke(&painter, rect, stroke, brush * side / SIDE as f32);
        }
        response.on_hover_cursor(CursorIcon::Crosshair);
    }

    /// Every event counts, not only where the pointer is in the end: a slow frame may hold a whole stroke.
    fn follow(&mut self, rect: Rect, event: &Event) {
        let on_canvas = |at: Pos2| -> Point {
            let at = (at - rect.min) / rect.size();
            [at.x.clamp(0.0, 1.0), at.y.clamp(0.0, 1.0)]
        };
        match *event {
            Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, .. } => {
                self.brush_down = rect.contains(pos);
                if self.brush_down {
                    self.drawing.strokes.push(vec![on_canvas(pos)]);
                }
            }
            Event::PointerButton { pos, button: PointerButton::Primary, pressed: false, .. } => {
                self.draw_to(on_canvas(pos));
                self.brush_down = false;
            }
            Event::PointerMoved(pos) => self.draw_to(on_canvas(pos)),
            _ => {}
        }
    }

    fn draw_to(&mut self, point: Point) {
        if let Some(stroke) = self.drawing.strokes.last_mut().filter(|_| self.brush_down) {
            stroke.push(point);
        }
    }
}

fn paint_stroke(painter: &Painter, rect: Rect, stroke: &[Point], width: f32) {
    let points: Vec<Pos2> = stroke.iter().map(|&[x, y]| rect.lerp_inside(vec2(x, y))).collect();
    for &point in &points {
        painter.circle_filled(point, width / 2.0, INK);
    }
    if points.len() > 1 {
        painter.line(points, Stroke::new(width, INK));
    }
}
