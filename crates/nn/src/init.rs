//! How parameters start.

use rand::Rng;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

mod matrices;

/// Distribution of a parameter's first values. Counterpart: `torch.nn.init`.
///
/// Xavier's and Kaiming's go by the fans of the parameter's shape, as PyTorch counts them: `[out, in, ..]` has `in · rest` inputs to
/// each output and `out · rest` outputs of each input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All elements this value.
    Constant(f32),
    /// Uniform between `-bound` and `bound`.
    Uniform {
        /// The bound.
        bound: f32,
    },
    /// Uniform from `low` to `high`. Counterpart: `uniform_`.
    UniformRange {
        /// The lower bound.
        low: f32,
        /// The upper bound.
        high: f32,
    },
    /// Normal with mean 0 and standard deviation `std`.
    Normal {
        /// The standard deviation.
        std: f32,
    },
    /// Normal with this mean and standard deviation, drawn again outside of `low..=high`. Counterpart: `trunc_normal_`.
    TruncatedNormal {
        /// The mean before truncation.
        mean: f32,
        /// The standard deviation before truncation.
        std: f32,
        /// The lower bound.
        low: f32,
        /// The upper bound, above `low`; some of the range lies within two standard deviations of the mean.
        high: f32,
    },
    /// Uniform within `gain · √(6 / (fan_in + fan_out))`. Counterpart: `xavier_uniform_`.
    XavierUniform {
        /// The factor; [`Nonlinearity::gain`] knows some.
        gain: f32,
    },
    /// Normal with the standard deviation `gain · √(2 / (fan_in + fan_out))`. Counterpart: `xavier_normal_`.
    XavierNormal {
        /// The factor.
        gain: f32,
    },
    /// Uniform within `gain · √(3 / fan)`. Counterpart: `kaiming_uniform_`.
    KaimingUniform {
        /// Which fan.
        fan: Fan,
        /// What follows the layer: it says the gain.
        nonlinearity: Nonlinearity,
    },
    /// Normal with the standard deviation `gain / √fan`. Counterpart: `kaiming_normal_`.
    KaimingNormal {
        /// Which fan.
        fan: Fan,
        /// What follows the layer: it says the gain.
        nonlinearity: Nonlinearity,
    },
    /// Rows, or columns where there are fewer of them, at right angles and of length `gain`; of a shape of more than two axes
    /// those of `[first, rest]`. It takes time with the cube of the size. Counterpart: `orthogonal_`.
    Orthogonal {
        /// The factor.
        gain: f32,
    },
    /// A convolution that hands its input on: 1 in the middle of each filter at its own channel, and 0 elsewhere. Counterpart:
    /// `dirac_`.
    Dirac {
        /// Groups of output channels, each of which starts with the first input channel again.
        groups: usize,
    },
}

/// Which connections of a layer count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fan {
    /// Inputs of each output: magnitudes stay in the forward pass.
    #[default]
    In,
    /// Outputs of each input: they stay in the backward pass.
    Out,
}

/// What follows a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Nonlinearity {
    /// Nothing, or a convolution.
    Linear,
    /// The sigmoid.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// ReLU.
    Relu,
    /// Leaky ReLU of this slope below 0.
    LeakyRelu(f32),
    /// SELU.
    Selu,
}

impl Nonlinearity {
    /// By how much first values are to be larger, so that magnitudes stay. Counterpart: `calculate_gain`.
    pub fn gain(self) -> f32 {
        match self {
            Self::Linear | Self::Sigmoid => 1.0,
            Self::Tanh => 5.0 / 3.0,
            Self::Relu => std::f32::consts::SQRT_2,
            Self::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            Self::Selu => 0.75,
        }
    }
}

/// Inputs of each output, and outputs of each input; of a shape with two axes at least.
fn fans(shape: &[usize]) -> Option<[f32; 2]> {
    let &[outputs, inputs, ref rest @ ..] = shape else { return None };
    let rest: usize = rest.iter().product();
    Some([(inputs * rest) as f32, (outputs * rest) as f32])
}

impl Init {
    /// PyTorch's default for the weights and biases of linear and convolution layers: uniform between
    /// ±1/√fan_in (which is what `kaiming_uniform_(a=√5)` comes to), `fan_in` inputs to each output; 0 for no inputs.
    pub fn fan_in(fan_in: usize) -> Self {
        Self::Uniform { bound: if fan_in == 0 { 0.0 } else { 1.0 / (fan_in as f32).sqrt() } }
    }

    /// The same distribution of a parameter of this shape, told without its fans.
    fn resolved(self, shape: &[usize]) -> Result<Self, String> {
        let fans = || fans(shape).ok_or("its fans are those of two axes or more");
        let kaiming = |fan, nonlinearity: Nonlinearity| -> Result<f32, &str> {
            let fan = fans()?[usize::from(fan == Fan::Out)];
            Ok(nonlinearity.gain() / fan.sqrt())
        };
        let xavier = |gain: f32| -> Result<f32, &str> {
            let [inputs, outputs] = fans()?;
            Ok(gain * (2.0 / (inputs + outputs)).sqrt())
        };
        // A uniform distribution's deviation is its bound over √3.
        let uniform = |std: f32| Self::Uniform { bound: std * 3.0f32.sqrt() };
        Ok(match self {
            Self::XavierUniform { gain } => uniform(xavier(gain)?),
            Self::XavierNormal { gain } => Self::Normal { std: xavier(gain)? },
            Self::KaimingUniform { fan, nonlinearity } => uniform(kaiming(fan, nonlinearity)?),
            Self::KaimingNormal { fan, nonlinearity } => Self::Normal { std: kaiming(fan, nonlinearity)? },
            other => other,
        })
    }

    /// Fails, with what is wrong, unless values of this shape can be drawn.
    pub(crate) fn check(self, shape: &[usize]) -> Result<(), String> {
        if shape.contains(&0) {
            return Ok(());
        }
        let size = |size: f32| match size.is_finite() && size >= 0.0 {
            true => Ok(()),
            false => Err("a bound is finite and at least 0".to_owned()),
        };
        match self.resolved(shape)? {
            Self::Uniform { bound } => size(bound),
            Self::Normal { std } => size(std),
            Self::UniformRange { low, high } if !(low <= high && (high - low).is_finite()) => {
                Err("the bounds are finite, and low is at most high".to_owned())
            }
            Self::TruncatedNormal { mean, std, low, high } => {
                size(std)?;
                // Draws from the tails would take for ever.
                let holds = low < high && mean - 2.0 * std < high && mean + 2.0 * std > low;
                match holds && mean.is_finite() {
                    true => Ok(()),
                    false => {
                        Err("low is below high, and within two deviations of the mean lies some of it"
                            .to_owned())
                    }
                }
            }
            Self::Orthogonal { gain } if shape.len() < 2 || !gain.is_finite() => {
                Err("it takes two axes or more, and a finite gain".to_owned())
            }
            Self::Dirac { groups } => match shape {
                [outputs, _, rest @ ..]
                    if (1..=3).contains(&rest.len()) && groups > 0 && outputs % groups == 0 =>
                {
                    Ok(())
                }
                _ => {
                    Err("it takes [out, in, ..] of three to five axes, and groups that divide out".to_owned())
                }
            },
            _ => Ok(()),
        }
    }

    /// The first values of the parameter of this dotted name and shape, for which [`Init::check`] holds.
    pub(crate) fn fill(self, values: &mut [f32], shape: &[usize], seed: u64, name: &str) {
        let mut rng = Pcg64Mcg::seed_from_u64(key(seed, name));
        let init = self.resolved(shape).unwrap_or(self);
        match init {
            Self::Constant(value) => values.fill(value),
            Self::Uniform { bound } => {
                values.iter_mut().for_each(|value| *value = (2.0 * unit(&mut rng) - 1.0) * bound);
            }
            Self::UniformRange { low, high } => {
                values.iter_mut().for_each(|value| *value = low + (high - low) * unit(&mut rng));
            }
            Self::Normal { std } => {
                values.iter_mut().for_each(|value| *value = (normal(&mut rng) * f64::from(std)) as f32);
            }
            Self::TruncatedNormal { mean, std, low, high } => {
                values.iter_mut().for_each(|value| *value = truncated(&mut rng, [mean, std], [low, high]));
            }
            Self::Orthogonal { gain } => matrices::orthogonal(values, shape[0], gain, || normal(&mut rng)),
            Self::Dirac { groups } => matrices::dirac(values, shape, groups),
            // These were told without their fans above.
            Self::XavierUniform { .. }
            | Self::XavierNormal { .. }
            | Self::KaimingUniform { .. }
            | Self::KaimingNormal { .. } => {}
        }
    }
}

/// A number in 0..1. 24 random bits are all that an f32 there can hold evenly.
fn unit(rng: &mut Pcg64Mcg) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// The length of Box and Muller's transform. The greatest of the numbers that it is given is above 1 by a rounding, and would make
/// a root of less than 0.
fn normal_length(even: f64) -> f64 {
    (-2.0 * even.ln()).max(0.0).sqrt()
}

/// A normal number by Box and Muller's transform, with both numbers in 0..1 and the first above 0.
fn normal(rng: &mut Pcg64Mcg) -> f64 {
    let mut unit = || (f64::from(rng.next_u32()) + 0.5) / f64::from(u32::MAX);
    let (even, angle) = (unit(), std::f64::consts::TAU * unit());
    normal_length(even) * angle.cos()
}

/// A normal number between bounds: drawn until it is, evenly where the range is so narrow that few normal ones hit it.
fn truncated(rng: &mut Pcg64Mcg, [mean, std]: [f32; 2], [low, high]: [f32; 2]) -> f32 {
    loop {
        let drawn = if high - low >= std {
            (f64::from(mean) + normal(rng) * f64::from(std)) as f32
        } else {
            let even = low + (high - low) * unit(rng);
            let distance = |x: f32| f64::from((x - mean) / std);
            let nearest = distance(mean.clamp(low, high));
            let density = (0.5 * (nearest * nearest - distance(even).powi(2))).exp();
            if f64::from(unit(rng)) < density { even } else { continue }
        };
        if (low..=high).contains(&drawn) {
            return drawn;
        }
    }
}

/// FNV-1a of seed and name, whose every bit matters.
fn key(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    /// All numbers but one in four billion are below 1, too many for a test that draws them.
    #[test]
    fn the_greatest_number_drawn_has_a_normal_one() {
        let greatest = (f64::from(u32::MAX) + 0.5) / f64::from(u32::MAX);
        assert!(greatest > 1.0);
        assert_eq!(super::normal_length(greatest), 0.0);
    }
}
