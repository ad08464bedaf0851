//! A synthetic set: ten classes of drawn figures, 32×32 RGB, any number of images from a seed.
//!
//! Ten classes, in this order: disc, ring, square, triangle, cross, horizontal stripes, vertical
//! stripes, diagonal stripes, checkerboard, dots. Place, size, rotation (where it keeps the class),
//! colours and brightness gradients are random, either of figure and ground may be the brighter one,
//! and noise and specks lie on top. So no pixel by itself says anything about the class: a linear
//! model stays near guessing, while a small convolutional network learns the set within minutes.
//!
//! Everything is integer arithmetic on a PCG stream: a seed gives the same bytes on every platform.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::{Images, Split};

/// Names of the classes, in the order of the labels.
pub const CLASSES: [&str; 10] = [
    "disc",
    "ring",
    "square",
    "triangle",
    "cross",
    "horizontal stripes",
    "vertical stripes",
    "diagonal stripes",
    "checkerboard",
    "dots",
];

/// Rows and columns of an image.
pub const SIDE: usize = 32;

const PLANE: usize = SIDE * SIDE;

/// Lengths are fixed-point numbers in units of 1/64 pixel.
const PIXEL: i32 = 64;

/// `n` images `[3, 32, 32]` in random order, each class as often as every other (give or take one).
/// They take 3,073 bytes each.
pub fn images(n: usize, seed: u64) -> Images {
    let mut dice = Dice(Pcg32::seed_from_u64(seed));
    let mut labels: Vec<u8> = (0..CLASSES.len() as u8).cycle().take(n).collect();
    dice.shuffle(&mut labels);
    let mut pixels = vec![0; n * 3 * PLANE];
    for (image, &label) in pixels.chunks_exact_mut(3 * PLANE).zip(&labels) {
        draw(image, label, &mut dice);
    }
    let classes = CLASSES.map(String::from).to_vec();
    Images { channels: 3, height: SIDE, width: SIDE, classes, pixels, labels }
}

/// A training set equal to `images(n_train, seed)`, and a test set from a stream of its own, which
/// does not depend on `n_train`.
pub fn split(n_train: usize, n_test: usize, seed: u64) -> Split {
    let test_seed = Pcg32::seed_from_u64(!seed).next_u64();
    Split { train: images(n_train, seed), test: images(n_test, test_seed) }
}

/// Random integers.
struct Dice(Pcg32);

impl Dice {
    /// An integer from `low` to `high`, both included. Scaling 32 random bits favours some results by
    /// less than one in a million for the small ranges used here.
    fn between(&mut self, low: i32, high: i32) -> i32 {
        let count = u64::from(high.abs_diff(low)) + 1;
        low + ((u64::from(self.0.next_u32()) * count) >> 32) as i32
    }

    /// Fisher and Yates' shuffle, with 64 bits a draw so that any number of items is served.
    fn shuffle(&mut self, items: &mut [u8]) {
        for i in (1..items.len()).rev() {
            let j = (u128::from(self.0.next_u64()) * (i as u128 + 1)) >> 64;
            items.swap(i, j as usize);
        }
    }
}

/// A figure's place, size and rotation, in units of 1/64 pixel.
struct Figure {
    class: u8,
    x: i32,
    y: i32,
    /// Cosine and sine of the rotation, times 4096.
    cos: i32,
    sin: i32,
    /// Radius of a shape; half a period of a pattern.
    size: i32,
    /// A ring's hole, a cross's half thickness, a dot's radius.
    inner: i32,
}

impl Figure {
    fn random(class: u8, dice: &mut Dice) -> Self {
        let shape = class < 5;
        let (cos, sin) = match class {
            2..=6 => turn(0, dice.between(-10, 10)),
            // Half a right angle is step 26.5 of 64 (see `turn`): tan(45° / 2) = 0.414.
            7 => turn(dice.between(0, 1), dice.between(20, 33)),
            _ => turn(dice.between(0, 3), dice.between(0, 63)),
        };
        let size = match class {
            0..=4 => dice.between(8 * PIXEL, 12 * PIXEL),
            9 => dice.between(3 * PIXEL, 5 * PIXEL),
            _ => dice.between(2 * PIXEL, 4 * PIXEL),
        };
        let inner = match class {
            1 => size * dice.between(45, 65) / 100,
            4 => size * dice.between(22, 34) / 100,
            _ => size * dice.between(45, 60) / 100,
        };
        // A pattern fills the image, so its centre is only a phase.
        let reach = if shape { 5 * PIXEL } else { 16 * PIXEL };
        let middle = SIDE as i32 / 2 * PIXEL;
        let x = middle + dice.between(-reach, reach);
        let y = middle + dice.between(-reach, reach);
        Self { class, x, y, cos, sin, size, inner }
    }

    /// Whether the figure covers a point.
    fn covers(&self, x: i32, y: i32) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        let u = (dx * self.cos + dy * self.sin) >> 12;
        let v = (dy * self.cos - dx * self.sin) >> 12;
        let (r, inner) = (self.size, self.inner);
        let square = u * u + v * v;
        // Which of the stripes of width r a coordinate falls on.
        let stripe = |w: i32| w.div_euclid(r) & 1;
        match self.class {
            0 => square <= r * r,
            1 => square <= r * r && square >= inner * inner,
            // The half side of 7/8 r gives a square about the area of the disc.
            2 => u.abs().max(v.abs()) <= r * 7 / 8,
            // Three half planes at distance r/2 from the centre; 887/1024 is the cosine of 30 degrees.
            3 => v <= r / 2 && (u.abs() * 887 / 512 - v) <= r,
            4 => u.abs().max(v.abs()) <= r && u.abs().min(v.abs()) <= inner,
            5 | 7 => stripe(v) == 1,
            6 => stripe(u) == 1,
            8 => stripe(u) != stripe(v),
            _ => {
                let centred = |w: i32| w.rem_euclid(2 * r) - r;
                centred(u) * centred(u) + centred(v) * centred(v) <= inner * inner
            }
        }
    }

    /// How much of the pixel at column `x`, row `y` is covered, in quarters.
    fn coverage(&self, x: usize, y: usize) -> i32 {
        let (x, y) = (x as i32 * PIXEL, y as i32 * PIXEL);
        let (near, far) = (PIXEL / 4, PIXEL * 3 / 4);
        [(near, near), (far, near), (near, far), (far, far)]
            .iter()
            .filter(|(dx, dy)| self.covers(x + dx, y + dy))
            .count() as i32
    }
}

/// Cosine and sine, times 4096, of `quarters` right angles plus the angle whose half has the tangent
/// `step / 64`. That is the rational parametrisation of the circle: exact in integers, and alike on
/// every platform, which library sines are not.
fn turn(quarters: i32, step: i32) -> (i32, i32) {
    let (a, b) = (64, step);
    let scale = a * a + b * b;
    let (cos, sin) = (4096 * (a * a - b * b) / scale, 4096 * 2 * a * b / scale);
    match quarters {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

/// One channel of a colour that changes evenly across the image, in 1/16 levels.
struct Shade {
    middle: i32,
    right: i32,
    down: i32,
}

impl Shade {
    fn random(middle: i32, dice: &mut Dice) -> Self {
        Self { middle: middle * 16, right: dice.between(-24, 24), down: dice.between(-24, 24) }
    }

    fn at(&self, x: usize, y: usize) -> i32 {
        let half = SIDE as i32 / 2;
        self.middle + self.right * (x as i32 - half) + self.down * (y as i32 - half)
    }
}

/// Draws a figure of class `class` on `image`, `[3, 32, 32]`.
fn draw(image: &mut [u8], class: u8, dice: &mut Dice) {
    let figure = Figure::random(class, dice);
    let mut coverage = [0; PLANE];
    for (i, quarters) in coverage.iter_mut().enumerate() {
        *quarters = figure.coverage(i % SIDE, i / SIDE);
    }
    // In levels, a standard deviation of 5 to 37 (see `gauss`).
    let noise = dice.between(4, 32);
    for plane in image.chunks_exact_mut(PLANE) {
        // The figure lies 64 to 192 levels above the ground, modulo 256: the two always differ by at
        // least 64, and either may be the brighter.
        let level = dice.between(0, 255);
        let ground = Shade::random(level, dice);
        let paint = Shade::random((level + dice.between(64, 192)) & 255, dice);
        for (i, pixel) in plane.iter_mut().enumerate() {
            let (x, y) = (i % SIDE, i / SIDE);
            let mixed = paint.at(x, y) * coverage[i] + ground.at(x, y) * (4 - coverage[i]);
            *pixel = (mixed / 64 + gauss(dice.0.next_u32()) * noise / 128).clamp(0, 255) as u8;
        }
    }
    for _ in 0..dice.between(3, 8) {
        speck(image, dice);
    }
}

/// The sum of four random bytes less its mean: bell-shaped, with a standard deviation of 148.
fn gauss(bits: u32) -> i32 {
    bits.to_le_bytes().iter().map(|&byte| i32::from(byte)).sum::<i32>() - 510
}

/// Covers a random rectangle of one to three pixels a side with one colour.
fn speck(image: &mut [u8], dice: &mut Dice) {
    let (width, height) = (dice.between(1, 3) as usize, dice.between(1, 3) as usize);
    let left = dice.between(0, (SIDE - width) as i32) as usize;
    let top = dice.between(0, (SIDE - height) as i32) as usize;
    for plane in image.chunks_exact_mut(PLANE) {
        let level = dice.between(0, 255) as u8;
        for row in plane.chunks_exact_mut(SIDE).skip(top).take(height) {
            row[left..left + width].fill(level);
        }
    }
}

#[cfg(test)]
mod tests;
