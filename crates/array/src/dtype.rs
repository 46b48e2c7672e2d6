//! Element types.

use std::fmt;
use std::str::FromStr;

use crate::ArrayError;

/// The type of an array's elements.
///
/// The list may grow, so a `match` on it needs a `_` arm.
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
    /// A complex number of two binary32: the real part, then the imaginary part (NumPy's `complex64`).
    C64,
    /// A complex number of two binary64: the real part, then the imaginary part (NumPy's `complex128`).
    C128,
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
        DType::C64,
        DType::C128,
    ];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 => 1,
            DType::U32 | DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 | DType::C64 => 8,
            DType::C128 => 16,
        }
    }

    /// Whether this is a real floating-point type, `f32` or `f64`.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Whether this is a complex type, `c64` or `c128`.
    pub fn is_complex(self) -> bool {
        matches!(self, DType::C64 | DType::C128)
    }

    /// Whether numbers of this type may vary in a derivative: `f32`, `f64`, `c64` and `c128`. These are also the types
    /// that hold infinities and NaN (NumPy's `inexact`).
    pub fn is_inexact(self) -> bool {
        self.is_float() || self.is_complex()
    }

    /// The type of the real and the imaginary part: `f32` for `c64`, `f64` for `c128`, and the type itself for any
    /// other.
    pub fn real(self) -> DType {
        match self {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            other => other,
        }
    }

    /// The complex type whose parts are of this type: `c64` for `f32`, `c128` for `f64`, a complex type itself.
    /// `None` for integers and `bool`.
    pub fn complex(self) -> Option<DType> {
        match self {
            DType::F32 | DType::C64 => Some(DType::C64),
            DType::F64 | DType::C128 => Some(DType::C128),
            _ => None,
        }
    }

    /// Whether this is an integer type (`u8`, `u32`, `i32`, `i64`); `bool` is not.
    pub fn is_int(self) -> bool {
        matches!(self, DType::U8 | DType::U32 | DType::I32 | DType::I64)
    }

    /// Whether this is `bool`.
    pub fn is_bool(self) -> bool {
        self == DType::Bool
    }

    /// Whether the type holds negative numbers (`i32`, `i64`, `f32`, `f64`, `c64`, `c128`).
    pub fn is_signed(self) -> bool {
        matches!(self, DType::I32 | DType::I64) || self.is_inexact()
    }

    /// The name in text: `"bool"`, `"u8"`, `"u32"`, `"i32"`, `"i64"`, `"f32"`,
    /// `"f64"`, `"c64"` or `"c128"`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::U32 => "u32",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::C64 => "c64",
            DType::C128 => "c128",
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
            let kinds = [
                dtype.is_bool(),
                dtype.is_int(),
                dtype.is_float(),
                dtype.is_complex(),
            ];
            assert_eq!(kinds.iter().filter(|&&is| is).count(), 1, "{dtype}");
        }
    }

    #[test]
    fn complex_types_have_parts() {
        for &dtype in DType::ALL {
            match dtype.complex() {
                Some(complex) => assert_eq!(complex.real(), dtype.real()),
                None => assert!(!dtype.is_inexact()),
            }
            if dtype.is_complex() {
                assert_eq!(dtype.size(), 2 * dtype.real().size());
            } else {
                assert_eq!(dtype.real(), dtype);
            }
        }
    }

    #[test]
    fn display_honours_width() {
        assert_eq!(format!("{:>5}|{:<4}", DType::F64, DType::U8), "  f64|u8  ");
    }
}
