//! Resizing by an antialiased bilinear filter, and the centre of what comes of it.

use std::ops::Range;

/// Weights of the source's pixels, from the first on that counts.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// `pixels` are `[height, width, channels]`, the result is `[channels, rows, columns]`. The picture is resized, its proportions
/// kept, so that one side is as asked for and the other no shorter; the centre of that is returned. Only what is
/// returned is computed, so that a long strip takes no more memory than another picture.
pub(super) fn resize_and_crop(
    pixels: &[u8],
    [height, width, channels]: [usize; 3],
    [rows, columns]: [usize; 2],
) -> Vec<u8> {
    // Sides as torchvision's Resize rounds them. Which side is the shorter one is told without division.
    let (tall, wide) = match rows * width >= columns * height {
        true => (rows, (width * rows / height).max(columns)),
        false => ((height * columns / width).max(rows), columns),
    };
    let across = taps(width, wide, centre(wide, columns));
    let down = taps(height, tall, centre(tall, rows));
    let first = down.first().map_or(0, |taps| taps.first);
    let last = down.last().map_or(0, |taps| taps.first + taps.weights.len());
    // Along the rows that count, and then down the columns: [last - first, columns, channels].
    let mut lines = vec![0.0_f32; (last - first) * columns * channels];
    for (line, row) in lines.chunks_exact_mut(columns * channels).zip(first..last) {
        let source = &pixels[row * width * channels..][..width * channels];
        for (to, taps) in line.chunks_exact_mut(channels).zip(&across) {
            for (c, to) in to.iter_mut().enumerate() {
                let from = source[taps.first * channels + c..].iter().step_by(channels);
                *to = taps.weights.iter().zip(from).map(|(weight, &byte)| weight * f32::from(byte)).sum();
            }
        }
    }
    let mut result = vec![0; channels * rows * columns];
    for (row, taps) in down.iter().enumerate() {
        for column in 0..columns {
            for c in 0..channels {
                let at = ((taps.first - first) * columns + column) * channels + c;
                let from = lines[at..].iter().step_by(columns * channels);
                let sum: f32 = taps.weights.iter().zip(from).map(|(weight, value)| weight * value).sum();
                result[(c * rows + row) * columns + column] = sum.round() as u8;
            }
        }
    }
    result
}

/// Where a crop of `size` lies in the middle of `from`, halves rounded to even, as torchvision's CenterCrop does.
fn centre(from: usize, size: usize) -> Range<usize> {
    let rest = from - size;
    let half = rest / 2;
    let start = if rest % 2 == 1 { half + half % 2 } else { half };
    start..start + size
}

/// For the places `wanted` of an axis of `from` pixels that is resized to `to`: a triangle over the source's pixels, as
/// wide as the step where the axis is shortened.
fn taps(from: usize, to: usize, wanted: Range<usize>) -> Vec<Taps> {
    let step = from as f64 / to as f64;
    let support = step.max(1.0);
    let of = |place: usize| {
        let middle = (place as f64 + 0.5) * step;
        let first = (middle - support + 0.5).max(0.0) as usize;
        let end = ((middle + support + 0.5) as usize).min(from);
        let weight = |at: usize| (1.0 - ((at as f64 + 0.5 - middle) / support).abs()).max(0.0);
        let sum: f64 = (first..end).map(weight).sum();
        Taps { first, weights: (first..end).map(|at| (weight(at) / sum) as f32).collect() }
    };
    wanted.map(of).collect()
}
