//! Drawings as strokes, and as the 28×28 bytes that the network sees.

/// Rows and columns of a sample.
pub const SIDE: usize = 28;

/// Bytes of a sample.
pub const PIXELS: usize = SIDE * SIDE;

/// A place on the canvas: x to the right and y down, both 0 to 1.
pub type Point = [f32; 2];

/// Grey values, row by row: 0 is paper, 255 is ink.
pub type Pixels = [u8; PIXELS];

/// What was drawn: points joined by lines, one list for each time the brush touched the canvas.
#[derive(Clone, Debug, Default)]
pub struct Drawing {
    pub strokes: Vec<Vec<Point>>,
}

impl Drawing {
    pub fn is_empty(&self) -> bool {
        self.strokes.iter().all(Vec::is_empty)
    }

    /// The drawing with its centre in the middle and its longer side 20 pixels long, as MNIST's digits are: where and how
    /// large somebody draws says nothing about the class. `brush` is the width of the line in pixels.
    pub fn raster(&self, brush: f32) -> Pixels {
        let mut pixels = [0; PIXELS];
        let Some((centre, extent)) = self.bounds() else { return pixels };
        // A dot stays small: nothing is enlarged beyond this.
        let scale = 20.0 / extent.max(0.2);
        let place = |p: Point| [0, 1].map(|axis| (p[axis] - centre[axis]) * scale + SIDE as f32 / 2.0);
        for stroke in &self.strokes {
            let placed: Vec<Point> = stroke.iter().map(|&p| place(p)).collect();
            match placed[..] {
                [p] => draw_line(&mut pixels, p, p, brush),
                _ => placed.windows(2).for_each(|line| draw_line(&mut pixels, line[0], line[1], brush)),
            }
        }
        pixels
    }

    /// The middle of the smallest box around all points, and the length of the box's longer side.
    fn bounds(&self) -> Option<(Point, f32)> {
        let points = || self.strokes.iter().flatten();
        points().next()?;
        let low = [0, 1].map(|axis| points().map(|p| p[axis]).fold(f32::INFINITY, f32::min));
        let high = [0, 1].map(|axis| points().map(|p| p[axis]).fold(f32::NEG_INFINITY, f32::max));
        let extent = (high[0] - low[0]).max(high[1] - low[1]);
        Some(([0, 1].map(|axis| (low[axis] + high[axis]) / 2.0), extent))
    }
}

/// A line with round ends, its edge softened over one pixel. Where lines overlap the darker ink stays.
fn draw_line(pixels: &mut Pixels, from: Point, to: Point, width: f32) {
    let reach = width / 2.0 + 0.5;
    let range = |axis: usize| {
        let low = (from[axis].min(to[axis]) - reach).floor().clamp(0.0, SIDE as f32);
        let high = (from[axis].max(to[axis]) + reach).ceil().clamp(0.0, SIDE as f32);
        low as usize..high as usize
    };
    for y in range(1) {
        for x in range(0) {
            let distance = distance_to_line([x as f32 + 0.5, y as f32 + 0.5], from, to);
            let ink = (255.0 * (reach - distance).clamp(0.0, 1.0)) as u8;
            let pixel = &mut pixels[y * SIDE + x];
            *pixel = ink.max(*pixel);
        }
    }
}

fn distance_to_line(p: Point, a: Point, b: Point) -> f32 {
    let (ab, ap) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length2 = ab[0] * ab[0] + ab[1] * ab[1];
    let along = if length2 > 0.0 { ((ap[0] * ab[0] + ap[1] * ab[1]) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (ap[0] - along * ab[0]).hypot(ap[1] - along * ab[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_size_make_no_difference() {
        let small = Drawing { strokes: vec![vec![[0.1, 0.1], [0.4, 0.1], [0.4, 0.4]]] };
        let large = Drawing { strokes: vec![vec![[0.2, 0.3], [0.8, 0.3], [0.8, 0.9]]] };
        for (a, b) in small.raster(2.0).iter().zip(large.raster(2.0)) {
            assert!(a.abs_diff(b) <= 1, "{a} and {b}");
        }
    }

    #[test]
    fn ink_lies_where_the_line_is() {
        let line = Drawing { strokes: vec![vec![[0.0, 0.5], [1.0, 0.5]]] };
        let pixels = line.raster(2.0);
        let at = |x: usize, y: usize| pixels[y * SIDE + x];
        assert_eq!([at(14, 13), at(14, 14), at(5, 14)], [255; 3]);
        assert_eq!([at(14, 10), at(14, 17), at(1, 14)], [0; 3]);
    }

    #[test]
    fn no_points_and_one_point() {
        assert_eq!(Drawing { strokes: vec![vec![]] }.raster(2.0), [0; PIXELS]);
        let dot = Drawing { strokes: vec![vec![[0.9, 0.1]]] };
        assert!(dot.raster(3.0)[14 * SIDE + 14] > 200);
    }

    #[test]
    fn strokes_far_outside_are_harmless() {
        let far = Drawing { strokes: vec![vec![[-1e6, 1e6], [1e6, -1e6]], vec![[f32::NAN, 0.0]]] };
        far.raster(2.0);
    }
}
