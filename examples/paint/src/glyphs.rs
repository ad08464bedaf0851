//! Drawings by nobody: shapes and digits as short lists of points, made different each time by a shaky hand.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::raster::{Drawing, Pixels, Point};

/// A name, and the strokes on a square from -1 to 1 with y down.
pub struct Glyph {
    pub name: &'static str,
    strokes: &'static [&'static [Point]],
}

pub const SHAPES: [Glyph; 6] = [
    Glyph {
        name: "circle",
        strokes: &[&[
            [0.0, -1.0],
            [0.5, -0.87],
            [0.87, -0.5],
            [1.0, 0.0],
            [0.87, 0.5],
            [0.5, 0.87],
            [0.0, 1.0],
            [-0.5, 0.87],
            [-0.87, 0.5],
            [-1.0, 0.0],
            [-0.87, -0.5],
            [-0.5, -0.87],
            [0.0, -1.0],
        ]],
    },
    Glyph { name: "square", strokes: &[&[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]]] },
    Glyph { name: "triangle", strokes: &[&[[0.0, -1.0], [1.0, 0.8], [-1.0, 0.8], [0.0, -1.0]]] },
    Glyph { name: "cross", strokes: &[&[[-1.0, -1.0], [1.0, 1.0]], &[[1.0, -1.0], [-1.0, 1.0]]] },
    Glyph { name: "zigzag", strokes: &[&[[-1.0, 0.5], [-0.5, -0.5], [0.0, 0.5], [0.5, -0.5], [1.0, 0.5]]] },
    Glyph { name: "arrow", strokes: &[&[[-1.0, 0.0], [1.0, 0.0]], &[[0.3, -0.7], [1.0, 0.0], [0.3, 0.7]]] },
];

pub const DIGITS: [Glyph; 10] = [
    Glyph {
        name: "0",
        strokes: &[&[
            [0.0, -1.0],
            [0.45, -0.75],
            [0.6, 0.0],
            [0.45, 0.75],
            [0.0, 1.0],
            [-0.45, 0.75],
            [-0.6, 0.0],
            [-0.45, -0.75],
            [0.0, -1.0],
        ]],
    },
    Glyph { name: "1", strokes: &[&[[-0.4, -0.6], [0.1, -1.0], [0.1, 1.0]]] },
    Glyph {
        name: "2",
        strokes: &[&[
            [-0.6, -0.6],
            [-0.3, -0.95],
            [0.2, -1.0],
            [0.55, -0.65],
            [0.4, -0.1],
            [-0.6, 1.0],
            [0.65, 1.0],
        ]],
    },
    Glyph {
        name: "3",
        strokes: &[&[
            [-0.55, -0.8],
            [0.0, -1.0],
            [0.5, -0.7],
            [0.4, -0.2],
            [-0.1, 0.0],
            [0.5, 0.2],
            [0.6, 0.65],
            [0.1, 1.0],
            [-0.6, 0.8],
        ]],
    },
    Glyph { name: "4", strokes: &[&[[0.1, -1.0], [-0.7, 0.3], [0.7, 0.3]], &[[0.3, -0.3], [0.3, 1.0]]] },
    Glyph {
        name: "5",
        strokes: &[&[
            [0.55, -1.0],
            [-0.45, -1.0],
            [-0.5, -0.15],
            [0.1, -0.3],
            [0.6, 0.15],
            [0.5, 0.75],
            [0.0, 1.0],
            [-0.6, 0.8],
        ]],
    },
    Glyph {
        name: "6",
        strokes: &[&[
            [0.45, -1.0],
            [-0.2, -0.5],
            [-0.55, 0.3],
            [-0.3, 0.9],
            [0.2, 1.0],
            [0.55, 0.5],
            [0.2, 0.05],
            [-0.45, 0.3],
        ]],
    },
    Glyph { name: "7", strokes: &[&[[-0.6, -1.0], [0.6, -1.0], [-0.1, 1.0]]] },
    Glyph {
        name: "8",
        strokes: &[&[
            [0.0, 0.0],
            [-0.45, -0.45],
            [0.0, -1.0],
            [0.45, -0.5],
            [0.0, 0.0],
            [-0.55, 0.5],
            [0.0, 1.0],
            [0.55, 0.5],
            [0.0, 0.0],
        ]],
    },
    Glyph {
        name: "9",
        strokes: &[&[
            [0.5, -0.4],
            [0.0, -0.05],
            [-0.5, -0.45],
            [-0.1, -1.0],
            [0.45, -0.8],
            [0.5, -0.3],
            [0.3, 1.0],
        ]],
    },
];

/// Draws glyphs, each time a little differently; a seed gives the same drawings everywhere.
pub struct Hand(Pcg32);

impl Hand {
    pub fn new(seed: u64) -> Self {
        Self(Pcg32::seed_from_u64(seed))
    }

    /// The glyph turned by up to 15 degrees, sheared, stretched, each point off by a little, with a brush of its own.
    pub fn draw(&mut self, glyph: &Glyph) -> Pixels {
        let (sin, cos) = self.up_to(0.26).sin_cos();
        let (shear, width, height) = (self.up_to(0.2), 1.0 + self.up_to(0.25), 1.0 + self.up_to(0.25));
        let mut shaky = |&[x, y]: &Point| -> Point {
            let (x, y) = (width * (x + self.up_to(0.09)), height * (y + self.up_to(0.09)));
            let x = x + shear * y;
            [0.5 + 0.3 * (cos * x - sin * y), 0.5 + 0.3 * (sin * x + cos * y)]
        };
        let strokes = glyph.strokes.iter().map(|stroke| stroke.iter().map(&mut shaky).collect()).collect();
        Drawing { strokes }.raster(2.2 + self.up_to(0.7))
    }

    /// Evenly between `-most` and `most`.
    fn up_to(&mut self, most: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32;
        most * (2.0 * unit - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_differ_and_repeat() {
        let (mut a, mut b) = (Hand::new(1), Hand::new(1));
        let first = a.draw(&SHAPES[0]);
        assert_eq!(first, b.draw(&SHAPES[0]));
        assert_ne!(first, a.draw(&SHAPES[0]));
    }

    #[test]
    fn every_glyph_leaves_ink_and_paper() {
        let mut hand = Hand::new(0);
        for glyph in SHAPES.iter().chain(&DIGITS) {
            let pixels = hand.draw(glyph);
            let ink = pixels.iter().filter(|&&pixel| pixel > 128).count();
            assert!((20..400).contains(&ink), "{}: {ink} pixels of ink", glyph.name);
        }
    }
}
