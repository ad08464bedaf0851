//! Data made from a seed, for the presets: tables as the text of a CSV file, and drawn images.

use crate::config::Generator;

/// Numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In -1..1.
    fn sided(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// Of mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let length = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        length * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// The text of a CSV file of so many rows; `None` for generators of images.
///
/// - two-features: points of the square [-1, 1]², of class 1 where `x1 + x2 > 0`;
/// - xor: such points, of class 1 where their signs differ;
/// - blobs: two clouds around (-1, -1) and (1, 1), of deviation 0.8;
/// - line: `y = 2 x + 1`, and noise of deviation 0.2.
pub(crate) fn table(generator: Generator, rows: usize, seed: u64) -> Option<String> {
    let mut random = Random(seed);
    let mut text = match generator {
        Generator::TwoFeatures | Generator::Xor | Generator::Blobs => "x1,x2,label\n".to_owned(),
        Generator::Line => "x,y\n".to_owned(),
        Generator::Figures | Generator::Digits => return None,
    };
    for _ in 0..rows {
        let (a, b) = (random.sided(), random.sided());
        let row = match generator {
            Generator::TwoFeatures => format!("{a:.6},{b:.6},{}\n", u8::from(a + b > 0.0)),
            Generator::Xor => format!("{a:.6},{b:.6},{}\n", u8::from((a > 0.0) != (b > 0.0))),
            Generator::Blobs => {
                let class = u8::from(a > 0.0);
                let centre = 2.0 * f64::from(class) - 1.0;
                let (x1, x2) = (centre + 0.8 * random.normal(), centre + 0.8 * random.normal());
                format!("{x1:.6},{x2:.6},{class}\n")
            }
            Generator::Line => format!("{a:.6},{:.6}\n", 2.0 * a + 1.0 + 0.2 * random.normal()),
            Generator::Figures | Generator::Digits => String::new(),
        };
        text.push_str(&row);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_rows_and_another_seed_others() {
        let rows = |seed| table(Generator::Xor, 50, seed).unwrap();
        assert_eq!(rows(3), rows(3));
        assert_ne!(rows(3), rows(4));
        assert_eq!(rows(3).lines().count(), 51);
        assert!(table(Generator::Figures, 5, 0).is_none());
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random(1);
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
