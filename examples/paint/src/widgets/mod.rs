//! The parts of the window. Each shows what it is given and returns what the user asked for.

pub mod canvas;
pub mod classes;
pub mod gallery;
pub mod insight;
pub mod plot;
pub mod training;

use eframe::egui::Color32;

/// One colour for each class that there may be.
const CLASS_COLOURS: [Color32; 10] = [
    Color32::from_rgb(0xff, 0x8c, 0x42),
    Color32::from_rgb(0x4c, 0xa6, 0xff),
    Color32::from_rgb(0x6b, 0xcf, 0x6b),
    Color32::from_rgb(0xe8, 0x5d, 0x75),
    Color32::from_rgb(0xb3, 0x88, 0xeb),
    Color32::from_rgb(0xf2, 0xc9, 0x4c),
    Color32::from_rgb(0x4d, 0xd0, 0xc8),
    Color32::from_rgb(0xd9, 0x7c, 0xc8),
    Color32::from_rgb(0xa1, 0x88, 0x7f),
    Color32::from_rgb(0x9e, 0xb3, 0xc2),
];

/// The colour of class `label`.
fn class_colour(label: usize) -> Color32 {
    CLASS_COLOURS[label % CLASS_COLOURS.len()]
}
