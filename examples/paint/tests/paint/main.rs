//! The whole program in a window that does not exist: drags, clicks and frames by egui_kittest.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod desk;

use std::time::Duration;

use desk::Desk;
use egui_kittest::kittest::Queryable;
use paint::app::Options;

const CIRCLE: usize = 0;
const CROSS: usize = 3;

/// Three circles and three crosses, each drawn by dragging and added to its class by its button.
fn teach(desk: &mut Desk) {
    for i in 0..3 {
        let size = 0.25 + 0.08 * i as f32;
        desk.draw_circle(size);
        desk.click("Add to circle");
        desk.draw_cross(size);
        desk.click("Add to cross");
    }
}

#[test]
fn it_learns_what_is_drawn_and_named() {
    let mut desk = Desk::open(Options::default());
    teach(&mut desk);
    assert_eq!(desk.app().drawings(), 6);
    desk.frames_until("the loss is a tenth of the first", |app| {
        let losses = app.losses();
        losses.len() > 20 && mean(&losses[losses.len() - 5..]) < 0.1 * losses[0]
    });

    // Neither is one of the six.
    desk.draw_cross(0.2);
    desk.frames_until("the cross is seen", |app| likely(app.probabilities()) == Some(CROSS));
    desk.click("Clear");
    desk.draw_circle(0.3);
    desk.frames_until("the circle is seen", |app| likely(app.probabilities()) == Some(CIRCLE));
    assert_eq!(desk.app().error(), None);
}

#[test]
fn synthetic_digits_train_at_once_and_the_filters_show() {
    let mut desk = Desk::open(Options::default());
    desk.click("Synthetic digits");
    assert_eq!(desk.app().drawings(), 240);
    desk.frames_until("forty steps", |app| app.losses().len() >= 40);
    let losses = desk.app().losses();
    assert!(mean(&losses[35..40]) < 0.95 * mean(&losses[..5]), "{losses:?}");

    desk.click("Pause");
    desk.frames(3);
    let picture = desk.harness.render().unwrap();
    let filters = desk.harness.get_by_label("Filters of the first layer, as a picture").rect();
    // The pixels' distance from grey: above 0 for orange, below for blue.
    let warmth = |x: u32, y: u32| i32::from(picture[(x, y)][0]) - i32::from(picture[(x, y)][2]);
    let mut warmths = Vec::new();
    for y in filters.top() as u32 + 2..filters.bottom() as u32 - 2 {
        for x in filters.left() as u32 + 2..filters.right() as u32 - 2 {
            warmths.push(warmth(x, y));
        }
    }
    let share = |kind: fn(&i32) -> bool| {
        warmths.iter().filter(|warmth| kind(warmth)).count() as f32 / warmths.len() as f32
    };
    assert!(share(|w| *w > 40) > 0.05, "no weight is positive");
    assert!(share(|w| *w < -40) > 0.05, "no weight is negative");
}

/// Training must not hold up a frame for a whole step: with little time in each, a step takes many frames.
#[test]
fn a_step_is_spread_over_frames() {
    let mut desk = Desk::open(Options { budget: Duration::from_micros(300), ..Options::default() });
    desk.click("Synthetic shapes");
    desk.frames_until("the kernels are compiled", |app| app.losses().len() >= 2);
    let (frames, steps) = (desk.count, desk.app().losses().len());
    desk.frames_until("training goes on", |app| app.losses().len() >= steps + 5);
    let (frames, steps) = (desk.count - frames, desk.app().losses().len() - steps);
    assert!(frames >= 3 * steps, "{steps} steps in {frames} frames");
}

#[test]
fn pause_stops_and_reset_forgets() {
    let mut desk = Desk::open(Options::default());
    desk.click("Synthetic shapes");
    desk.frames_until("five steps", |app| app.losses().len() >= 5);
    desk.click("Pause");
    desk.frames_until("what was under way is done", |app| !app.is_busy());
    let steps = desk.app().losses().len();
    desk.frames(10);
    assert_eq!(desk.app().losses().len(), steps);
    desk.click("Reset");
    desk.frames(2);
    assert_eq!(desk.app().losses().len(), 0);
    desk.click("Train");
    desk.frames_until("it begins anew", |app| app.losses().len() >= 5);
}

#[test]
fn the_same_seed_learns_the_same() {
    let losses = |seed| {
        let mut desk = Desk::open(Options { seed, ..Options::default() });
        desk.click("Synthetic shapes");
        desk.frames_until("ten steps", |app| app.losses().len() >= 10);
        desk.app().losses()[..10].to_vec()
    };
    let first = losses(1);
    assert_eq!(first, losses(1));
    assert_ne!(first, losses(2));
}

#[test]
fn classes_are_named_and_drawings_removed() {
    let mut desk = Desk::open(Options::default());
    desk.click("New class");
    desk.frames(2);
    desk.harness.get_by_label("Name of class 7").focus();
    desk.frames(1);
    desk.harness.get_by_label("Name of class 7").type_text("!");
    desk.frames(2);
    desk.draw_circle(0.3);
    desk.click("Add to class 7!");
    assert_eq!(desk.app().drawings(), 1);
    desk.click("Sample 0: class 7!");
    assert_eq!(desk.app().drawings(), 0);
}

#[test]
fn a_lost_device_is_said_in_the_window() {
    let mut desk = Desk::open(Options::default());
    desk.click("Synthetic shapes");
    desk.frames_until("training is under way", |app| app.losses().len() >= 3);
    desk.render.device.destroy();
    // Nothing can be rendered any more, but frames go on.
    desk.harness.run_steps(10);
    assert!(desk.app().error().is_some());
    desk.harness.get_by_label_contains("Training stopped:");
    desk.harness.get_by_label("Start anew").click();
    desk.harness.run_steps(3);
    assert!(desk.app().error().is_some());
}

#[test]
fn the_log_has_a_line_for_each_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.csv");
    let mut desk = Desk::open(Options { log: Some(path.clone()), ..Options::default() });
    let before = std::fs::read_to_string(&path).unwrap().lines().count();
    desk.click("Synthetic shapes");
    desk.frames_until("five steps", |app| app.losses().len() >= 5);
    let frames = desk.count;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count() - before, frames);
    assert_eq!(text.lines().next(), Some("frame_ms,ui_ms,training,steps,loss"));
    let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
    assert!(last[0].parse::<f64>().unwrap() > 0.0 && last[4].parse::<f32>().unwrap() > 0.0, "{last:?}");
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

/// The class that is more likely than all others together.
fn likely(probabilities: &[f32]) -> Option<usize> {
    probabilities.iter().position(|&probability| probability > 0.5)
}
