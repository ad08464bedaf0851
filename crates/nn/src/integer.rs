//! Integer types of tensors in files.

use safetensors::Dtype;

/// An integer type that a tensor has in a file. On the host and on the device its values are f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integer {
    /// `torch.bool`, as 0 and 1.
    Bool,
    /// `torch.uint8`.
    U8,
    /// `torch.int8`.
    I8,
    /// `torch.uint16`.
    U16,
    /// `torch.int16`.
    I16,
    /// `torch.uint32`.
    U32,
    /// `torch.int32`.
    I32,
    /// `torch.uint64`.
    U64,
    /// `torch.int64`.
    I64,
}

impl Integer {
    pub(crate) fn from_dtype(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::BOOL => Self::Bool,
            Dtype::U8 => Self::U8,
            Dtype::I8 => Self::I8,
            Dtype::U16 => Self::U16,
            Dtype::I16 => Self::I16,
            Dtype::U32 => Self::U32,
            Dtype::I32 => Self::I32,
            Dtype::U64 => Self::U64,
            Dtype::I64 => Self::I64,
            _ => return None,
        })
    }

    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Self::Bool => Dtype::BOOL,
            Self::U8 => Dtype::U8,
            Self::I8 => Dtype::I8,
            Self::U16 => Dtype::U16,
            Self::I16 => Dtype::I16,
            Self::U32 => Dtype::U32,
            Self::I32 => Dtype::I32,
            Self::U64 => Dtype::U64,
            Self::I64 => Dtype::I64,
        }
    }

    /// Bytes of a value, and the least and the largest value.
    fn limits(self) -> (usize, i128, i128) {
        let signed = |bytes: usize| (bytes, -(1i128 << (8 * bytes - 1)), (1i128 << (8 * bytes - 1)) - 1);
        let unsigned = |bytes: usize| (bytes, 0, (1i128 << (8 * bytes)) - 1);
        match self {
            Self::Bool => (1, 0, 1),
            Self::U8 => unsigned(1),
            Self::I8 => signed(1),
            Self::U16 => unsigned(2),
            Self::I16 => signed(2),
            Self::U32 => unsigned(4),
            Self::I32 => signed(4),
            Self::U64 => unsigned(8),
            Self::I64 => signed(8),
        }
    }

    /// Little-endian values as f32, or the first that is none of this type or that f32 cannot hold exactly.
    pub(crate) fn decode(self, data: &[u8]) -> Result<Vec<f32>, i128> {
        let (size, least, largest) = self.limits();
        let value = |bytes: &[u8]| {
            let mut wide = [if least < 0 && bytes[size - 1] >= 0x80 { 0xff } else { 0 }; 16];
            wide[..size].copy_from_slice(bytes);
            let value = i128::from_le_bytes(wide);
            let float = value as f32;
            if float as i128 == value && value <= largest { Ok(float) } else { Err(value) }
        };
        data.chunks_exact(size).map(value).collect()
    }

    /// Little-endian integers of these values; `None` if one of them is no whole number in the type's range.
    pub(crate) fn encode(self, values: &[f32]) -> Option<Vec<u8>> {
        let (size, least, largest) = self.limits();
        let mut bytes = Vec::with_capacity(size * values.len());
        for &value in values {
            let integer = value as i128;
            // -0 would come back as +0.
            let whole = integer as f32 == value && (value != 0.0 || value.is_sign_positive());
            if !whole || integer < least || integer > largest {
                return None;
            }
            bytes.extend_from_slice(&integer.to_le_bytes()[..size]);
        }
        Some(bytes)
    }
}
