//! How parameters start.

use rand::Rng;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

/// Distribution of a parameter's first values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All elements this value.
    Constant(f32),
    /// Uniform between `-bound` and `bound`.
    Uniform {
        /// The bound.
        bound: f32,
    },
    /// Normal with mean 0 and standard deviation `std`.
    Normal {
        /// The standard deviation.
        std: f32,
    },
}

impl Init {
    /// PyTorch's default for the weights and biases of linear and convolution layers: uniform between
    /// ±1/√fan_in (which is what `kaiming_uniform_(a=√5)` comes to), `fan_in` inputs to each output.
    pub fn fan_in(fan_in: usize) -> Self {
        Self::Uniform { bound: 1.0 / (fan_in as f32).sqrt() }
    }

    /// Whether values can be drawn: a bound or deviation is finite and at least 0.
    pub(crate) fn is_usable(self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Uniform { bound: size } | Self::Normal { std: size } => size.is_finite() && size >= 0.0,
        }
    }

    /// The first values of the parameter of this dotted name.
    pub(crate) fn fill(self, values: &mut [f32], seed: u64, name: &str) {
        match self {
            Self::Constant(value) => values.fill(value),
            Self::Uniform { bound } => {
                let mut rng = Pcg64Mcg::seed_from_u64(key(seed, name));
                for value in values {
                    // 24 random bits are all that an f32 in 0..1 can hold evenly.
                    let unit = (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
                    *value = (2.0 * unit - 1.0) * bound;
                }
            }
            Self::Normal { std } => {
                let mut rng = Pcg64Mcg::seed_from_u64(key(seed, name));
                // Box and Muller's transform, with both numbers in 0..1 and the first above 0.
                let mut unit = || (f64::from(rng.next_u32()) + 0.5) / f64::from(u32::MAX);
                for value in values {
                    let (length, angle) = ((-2.0 * unit().ln()).sqrt(), std::f64::consts::TAU * unit());
                    *value = (length * angle.cos() * f64::from(std)) as f32;
                }
            }
        }
    }
}

/// FNV-1a of seed and name, whose every bit matters.
fn key(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
