//! A curve of losses over the training steps, on a logarithmic axis.

use eframe::egui::{
    Align2, Color32, FontId, Pos2, Rect, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2,
};

const RAW: Color32 = Color32::from_rgb(0x3a, 0x5a, 0x7a);
const SMOOTH: Color32 = Color32::from_rgb(0x7c, 0xc4, 0xff);

/// Losses below this are shown as this.
const LEAST: f32 = 1e-4;

/// The losses of all steps, faint, and their running mean.
pub fn loss_plot(ui: &mut Ui, losses: &[f32], height: f32) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let last = losses.last().copied();
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Loss: {last:?}")));
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 4.0, ui.visuals().extreme_bg_color);
    let points = thinned(losses, rect.width() as usize / 2);
    let Some((low, high)) = decades(&points) else {
        let weak = ui.visuals().weak_text_color();
        painter.text(rect.center(), Align2::CENTER_CENTER, "no steps yet", FontId::proportional(13.0), weak);
        return;
    };
    let place = |i: usize, loss: f32| -> Pos2 {
        let x = i as f32 / (points.len().max(2) - 1) as f32;
        let y = (high - loss.max(LEAST).log10()) / (high - low);
        rect.shrink(4.0).lerp_inside(vec2(x, y))
    };
    // As many lines as there is room for labels.
    let apart = (14.0 * (high - low) / rect.height()).ceil() as usize;
    for decade in (low as i32..=high as i32).step_by(apart.max(1)) {
        let y = place(0, 10f32.powi(decade)).y;
        painter.hline(rect.x_range(), y, Stroke::new(1.0, ui.visuals().faint_bg_color));
        axis_label(ui, rect, y, 10f32.powi(decade));
    }
    let line = |values: &[f32]| values.iter().enumerate().map(|(i, &loss)| place(i, loss)).collect();
    painter.add(Shape::line(line(&points), Stroke::new(1.0, RAW)));
    painter.add(Shape::line(line(&running_mean(&points)), Stroke::new(2.0, SMOOTH)));
}

fn axis_label(ui: &Ui, rect: Rect, y: f32, value: f32) {
    let (at, font) = (pos2(rect.left() + 4.0, y), FontId::monospace(9.0));
    let above = y > rect.center().y;
    let anchor = if above { Align2::LEFT_BOTTOM } else { Align2::LEFT_TOP };
    ui.painter_at(rect).text(at, anchor, value.to_string(), font, ui.visuals().weak_text_color());
}

/// At most `most` values, each the mean of as many losses in a row.
fn thinned(losses: &[f32], most: usize) -> Vec<f32> {
    let share = losses.len().div_ceil(most.max(1)).max(1);
    losses.chunks(share).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect()
}

/// The powers of ten below the smallest and above the largest value, as exponents.
fn decades(values: &[f32]) -> Option<(f32, f32)> {
    let logs = || values.iter().filter(|v| v.is_finite()).map(|v| v.max(LEAST).log10());
    let (low, high) = (logs().reduce(f32::min)?.floor(), logs().reduce(f32::max)?.ceil());
    Some((low, high.max(low + 1.0)))
}

fn running_mean(values: &[f32]) -> Vec<f32> {
    let mut mean = values.first().copied().unwrap_or(0.0);
    let follow = |&value: &f32| {
        mean += 0.1 * (value - mean);
        mean
    };
    values.iter().map(follow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_is_thinned_to_means() {
        assert_eq!(thinned(&[1.0, 3.0, 5.0, 7.0, 9.0], 3), [2.0, 6.0, 9.0]);
        assert!(thinned(&[], 3).is_empty());
    }

    #[test]
    fn the_axis_spans_whole_decades() {
        assert_eq!(decades(&[2.3, 0.02]), Some((-2.0, 1.0)));
        assert_eq!(decades(&[1.0]), Some((0.0, 1.0)));
        assert_eq!(decades(&[0.0]), Some((-4.0, -3.0)));
        assert_eq!(decades(&[f32::NAN]), None);
    }
}
