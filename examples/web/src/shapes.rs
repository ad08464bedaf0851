//! What the network sees: 16 × 16 pixels of ink, 0 to 255, whatever the colours of figure and ground.

use wgrad::data::{Images, Result, synthetic};

/// Rows and columns of an image.
pub const SIDE: usize = 16;

/// The classes, in the order of the labels: the first of the synthetic set's, the patterns left out.
pub const CLASSES: [&str; 5] = ["disc", "ring", "square", "triangle", "cross"];

/// About `n` images of the synthetic set as ink, each class as often as every other.
///
/// # Errors
/// None that a caller can cause.
pub fn synthetic_ink(n: usize, seed: u64) -> Result<Images> {
    let all = synthetic::images(n * synthetic::CLASSES.len() / CLASSES.len(), seed);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (image, &label) in all.pixels.chunks_exact(all.image_size()).zip(&all.labels) {
        if usize::from(label) < CLASSES.len() {
            pixels.extend(ink(image));
            labels.push(label);
        }
    }
    images(pixels, labels)
}

/// Images of these classes from their parts.
///
/// # Errors
/// As [`Images::new`].
pub fn images(pixels: Vec<u8>, labels: Vec<u8>) -> Result<Images> {
    Images::new([1, SIDE, SIDE], CLASSES.map(String::from).to_vec(), pixels, labels)
}

/// The ink of an RGB image `[3, 32, 32]`: how far each colour lies from the ground's, halved in size.
fn ink(rgb: &[u8]) -> impl Iterator<Item = u8> {
    const WIDE: usize = synthetic::SIDE;
    let mut distance = [0u32; SIDE * SIDE];
    for plane in rgb.chunks_exact(WIDE * WIDE) {
        let ground = ground(plane);
        for (i, &value) in plane.iter().enumerate() {
            distance[i / WIDE / 2 * SIDE + i % WIDE / 2] += u32::from(value).abs_diff(ground);
        }
    }
    // What noise there is stays: a figure differs by 64 levels or more, so the darkest pixel is part of it.
    let most = distance.iter().copied().max().unwrap_or(0).max(1);
    distance.into_iter().map(move |sum| (sum * 255 / most) as u8)
}

/// The median of the image's outermost pixels, few of which a figure covers.
fn ground(plane: &[u8]) -> u32 {
    let wide = synthetic::SIDE;
    let is_edge = |i: usize| [i / wide, i % wide].iter().any(|&at| at == 0 || at == wide - 1);
    let mut edge: Vec<u8> = (0..plane.len()).filter(|&i| is_edge(i)).map(|i| plane[i]).collect();
    edge.sort_unstable();
    u32::from(edge[edge.len() / 2])
}
