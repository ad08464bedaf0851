//! [`Wire`]: how sums travel.

use half::f16;

/// The type that the values of a sum have on their way between ranks; they are added up as f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// Exact.
    #[default]
    F32,
    /// Half the bytes. Each rank's values, and the sums, are rounded to 11 bits of mantissa; each message has a factor of its own, so that
    /// its largest value is never too large for the type. A value x of a message whose largest is m is off by at most
    /// |x| / 2048 + m / 2^38.
    F16,
}

impl Wire {
    /// Bytes of a message of so many values.
    pub(crate) fn bytes(self, values: usize) -> usize {
        match self {
            Self::F32 => values * 4,
            // The factor comes first.
            Self::F16 => 4 + values * 2,
        }
    }

    /// Appends a message of these values.
    pub(crate) fn write(self, values: &[f32], out: &mut Vec<u8>) {
        match self {
            Self::F32 => out.extend_from_slice(bytemuck::cast_slice(values)),
            Self::F16 => {
                let scale = scale(values);
                out.extend_from_slice(&scale.to_le_bytes());
                out.extend(values.iter().flat_map(|value| f16::from_f32(value / scale).to_le_bytes()));
            }
        }
    }

    /// The values of a message, in order.
    pub(crate) fn read(self, message: &[u8]) -> impl Iterator<Item = f32> {
        let (scale, values, width) = match self {
            Self::F32 => (1.0, message, 4),
            Self::F16 => {
                let (scale, values) = message.split_at(message.len().min(4));
                (scale.try_into().map_or(1.0, f32::from_le_bytes), values, 2)
            }
        };
        values.chunks_exact(width).map(move |value| match value {
            [a, b] => f16::from_le_bytes([*a, *b]).to_f32() * scale,
            [a, b, c, d] => f32::from_le_bytes([*a, *b, *c, *d]),
            _ => f32::NAN,
        })
    }
}

/// A power of two by which the largest finite value becomes less than 2^14: multiplying by it rounds nothing, and a value too small
/// for f16 is then 2^-38 of the largest one. Infinities and NaN stay what they are.
fn scale(values: &[f32]) -> f32 {
    let most = values.iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f32::max);
    if most == 0.0 {
        return 1.0;
    }
    // Within what is a normal number both as it is and divided by.
    let exponent = (most.log2().floor() as i32 + 1 - 14).clamp(-120, 120);
    f32::powi(2.0, exponent)
}
