//! The picture to learn: made in code, or a PNG file.

/// Rows of the picture that is made in code.
pub const SIDE: usize = 128;

/// Colours of pixels.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row, from 0 to 1 and encoded as sRGB.
    pub rgb: Vec<[f32; 3]>,
}

impl Picture {
    /// An evening in the mountains, above water.
    pub fn evening() -> Self {
        let rgb = (0..SIDE * SIDE)
            .map(|i| {
                let (x, y) = ((i % SIDE) as f32 + 0.5, (i / SIDE) as f32 + 0.5);
                colour(x / SIDE as f32, y / SIDE as f32)
            })
            .collect();
        Self { width: SIDE, height: SIDE, rgb }
    }

    /// A PNG file, made smaller where its longer side is over 192 pixels.
    ///
    /// # Errors
    /// [`crate::error::Error::Picture`] if it cannot be read.
    #[cfg(feature = "png")]
    pub fn load(path: &std::path::Path) -> crate::error::Result<Self> {
        let failed = |error: image::ImageError| crate::error::Error::Picture {
            path: path.display().to_string(),
            message: error.to_string(),
        };
        let picture = image::open(path).map_err(failed)?;
        let small = picture.width().max(picture.height()) <= 192;
        let picture = if small { picture } else { picture.thumbnail(192, 192) }.to_rgb32f();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Ok(Self { width, height, rgb: picture.pixels().map(|pixel| pixel.0).collect() })
    }

    /// Bytes of the pixels, red, green, blue and 255.
    pub fn rgba(&self) -> Vec<u8> {
        let byte = |value: f32| (255.0 * value.clamp(0.0, 1.0)).round() as u8;
        self.rgb.iter().flat_map(|&[r, g, b]| [byte(r), byte(g), byte(b), 255]).collect()
    }
}

const HORIZON: f32 = 0.66;
const SUN: [f32; 2] = [0.62, 0.4];

/// The colour at a place, from the left and from the top, both 0 to 1.
fn colour(x: f32, y: f32) -> [f32; 3] {
    if y <= HORIZON {
        return land(x, y);
    }
    // The water shows the land upside down, darker, and shaken by waves that grow towards the viewer.
    let depth = y - HORIZON;
    let wave = (0.006 + 0.05 * depth) * (60.0 * depth / (0.12 + depth) + 14.0 * x).sin();
    let mirrored = land(x + wave, HORIZON - 0.9 * depth - 0.4 * wave.abs());
    mix(mirrored.map(|c| 0.8 * c), [0.04, 0.09, 0.22], 0.25 + 0.9 * depth)
}

/// Sky, sun and three ridges, the nearest the darkest.
fn land(x: f32, y: f32) -> [f32; 3] {
    let mut rgb = sky(x, y);
    let ridges = [
        (0.46, 0.07, 5.0, 0.4, [0.50, 0.30, 0.44]),
        (0.54, 0.06, 8.0, 2.1, [0.30, 0.18, 0.34]),
        (0.62, 0.05, 13.0, 4.4, [0.13, 0.09, 0.20]),
    ];
    for (base, height, frequency, phase, shade) in ridges {
        let top = base - height * ridge(frequency * x + phase);
        rgb = mix(rgb, shade, smooth(top - 0.004, top + 0.004, y));
    }
    rgb
}

fn sky(x: f32, y: f32) -> [f32; 3] {
    let rgb = mix([0.10, 0.13, 0.36], [0.98, 0.58, 0.36], smooth(0.0, 0.55, y));
    let distance = (x - SUN[0]).hypot(y - SUN[1]);
    let rgb = mix(rgb, [1.0, 0.86, 0.55], 0.8 * (-9.0 * distance).exp());
    let cloud = (26.0 * y + 3.0 * (4.0 * x).sin()).sin() * (7.0 * x + 12.0 * y).sin();
    let rgb = mix(rgb, [1.0, 0.74, 0.66], 0.35 * smooth(0.35, 0.9, cloud));
    mix(rgb, [1.0, 0.96, 0.82], smooth(0.086, 0.078, distance))
}

/// Peaks between -1 and 1.
fn ridge(x: f32) -> f32 {
    let peak = |x: f32| 1.0 - 2.0 * x.sin().abs();
    0.6 * peak(x) + 0.28 * peak(2.3 * x + 1.0) + 0.12 * peak(5.1 * x + 2.0)
}

fn mix(a: [f32; 3], b: [f32; 3], share: f32) -> [f32; 3] {
    [0, 1, 2].map(|i| a[i] + share.clamp(0.0, 1.0) * (b[i] - a[i]))
}

/// From 0 at `from` to 1 at `to`, without corners.
fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
