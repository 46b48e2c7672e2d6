//! Element types.

use std::fmt;
use std::str::FromStr;

use crate::ArrayError;

/// The type of an array's elements.
///
/// The list will grow (complex numbers), so a `match` on it needs a `_` arm.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum DType {
    /// `false` or `true`, one byte each.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DType {
    /// Every dtype, in the order of the declaration.
    pub const ALL: &'static [DType] = &[
        DType::Bool,
        DType::U8,
        DType::U32,
        DType::I32,
        DType::I64,
        DType::F32,
        DType::F64,
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 => 1,
            DType::U32 | DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether this is a floating-point type.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Whether this is an integer type (`u8`, `u32`, `i32`, `i64`); `bool` is not.
    pub fn is_int(self) -> bool {
        matches!(self, DType::U8 | DType::U32 | DType::I32 | DType::I64)
    }

    /// Whether this is `bool`.
    pub fn is_bool(self) -> bool {
        self == DType::Bool
    }

    /// Whether the type holds negative numbers (`i32`, `i64`, `f32`, `f64`).
    pub fn is_signed(self) -> bool {
        matches!(self, DType::I32 | DType::I64 | DType::F32 | DType::F64)
    }

    /// The name in text: `"bool"`, `"u8"`, `"u32"`, `"i32"`, `"i64"`, `"f32"` or `"f64"`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::U32 => "u32",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = ArrayError;

    /// Reads a name as [`DType::name`] writes it. Anything else is [`ArrayError::UnknownDType`].
    fn from_str(text: &str) -> Result<DType, ArrayError> {
        DType::ALL
            .iter()
            .copied()
            .find(|dtype| dtype.name() == text)
            .ok_or_else(|| ArrayError::UnknownDType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for &dtype in DType::ALL {
            assert_eq!(dtype.to_string().parse::<DType>().unwrap(), dtype);
        }
        assert!(
            matches!("f16".parse::<DType>(), Err(ArrayError::UnknownDType(name)) if name == "f16")
        );
    }

    #[test]
    fn every_dtype_is_of_one_kind() {
        for &dtype in DType::ALL {
            let kinds = [dtype.is_bool(), dtype.is_int(), dtype.is_float()];
            assert_eq!(kinds.iter().filter(|&&is| is).count(), 1, "{dtype}");
        }
    }

    #[test]
    fn display_honours_width() {
        assert_eq!(format!("{:>5}|{:<4}", DType::F64, DType::U8), "  f64|u8  ");
    }
}
