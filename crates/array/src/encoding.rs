//! How values stand in files, shared by the formats: which number types there are, how each becomes one of ours
//! without loss, and how they are read without trusting the size that a header claims.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use num_complex::Complex;

use crate::array::{fitting, read_bool};
use crate::{Array, ArrayError, Element, Shape};

/// A number type of a file. Those that are none of our dtypes become the smallest one that holds all their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "safetensors"), allow(dead_code))]
pub enum Encoding {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    /// Read as `i64`; a value beyond it is an error.
    U64,
    F16,
    BF16,
    F32,
    F64,
    C64,
    C128,
}

/// Bytes read at a time: large enough to be quick, small enough to be worth nothing to an attacker.
const CHUNK: usize = 1 << 16;

impl Encoding {
    /// Bytes per value.
    pub fn size(self) -> usize {
        match self {
            Encoding::Bool | Encoding::I8 | Encoding::U8 => 1,
            Encoding::I16 | Encoding::U16 | Encoding::F16 | Encoding::BF16 => 2,
            Encoding::I32 | Encoding::U32 | Encoding::F32 => 4,
            Encoding::I64 | Encoding::U64 | Encoding::F64 | Encoding::C64 => 8,
            Encoding::C128 => 16,
        }
    }

    /// Bytes per number whose order may be turned: a part of a complex value.
    fn part(self) -> usize {
        match self {
            Encoding::C64 => 4,
            Encoding::C128 => 8,
            other => other.size(),
        }
    }

    /// Reads the values of a shape, which stand in row-major order.
    ///
    /// Memory grows with the bytes that really come, never with what the shape claims.
    pub fn read(
        self,
        reader: &mut dyn Read,
        shape: Shape,
        order: ByteOrder,
    ) -> Result<Array, ArrayError> {
        let source = Source {
            reader,
            shape,
            order,
            encoding: self,
        };
        match self {
            Encoding::Bool => source.read(|[byte], at| read_bool(byte, at)),
            Encoding::I8 => source.read(|b, _| Ok(i32::from(i8::from_le_bytes(b)))),
            Encoding::U8 => source.read(|b, _| Ok(u8::from_le_bytes(b))),
            Encoding::I16 => source.read(|b, _| Ok(i32::from(i16::from_le_bytes(b)))),
            Encoding::U16 => source.read(|b, _| Ok(i32::from(u16::from_le_bytes(b)))),
            Encoding::I32 => source.read(|b, _| Ok(i32::from_le_bytes(b))),
            Encoding::U32 => source.read(|b, _| Ok(u32::from_le_bytes(b))),
            Encoding::I64 => source.read(|b, _| Ok(i64::from_le_bytes(b))),
            Encoding::U64 => source.read(|b, at| {
                let x = u64::from_le_bytes(b);
                i64::try_from(x).map_err(|_| {
                    ArrayError::Format(format!(
                        "expected 64-bit integers up to {}, found {x} at element {at}",
                        i64::MAX
                    ))
                })
            }),
            Encoding::F16 => source.read(|b, _| Ok(f16_to_f32(u16::from_le_bytes(b)))),
            // A bfloat16 is the upper half of an f32.
            Encoding::BF16 => {
                source.read(|b, _| Ok(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)))
            }
            Encoding::F32 => source.read(|b, _| Ok(f32::from_le_bytes(b))),
            Encoding::F64 => source.read(|b, _| Ok(f64::from_le_bytes(b))),
            Encoding::C64 => source.read(|b: [u8; 8], _| {
                let (re, im) = halves(b);
                Ok(Complex::new(f32::from_le_bytes(re), f32::from_le_bytes(im)))
            }),
            Encoding::C128 => source.read(|b: [u8; 16], _| {
                let (re, im) = halves(b);
                Ok(Complex::new(f64::from_le_bytes(re), f64::from_le_bytes(im)))
            }),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Bool => "bool",
            Encoding::I8 => "i8",
            Encoding::U8 => "u8",
            Encoding::I16 => "i16",
            Encoding::U16 => "u16",
            Encoding::I32 => "i32",
            Encoding::U32 => "u32",
            Encoding::I64 => "i64",
            Encoding::U64 => "u64",
            Encoding::F16 => "f16",
            Encoding::BF16 => "bf16",
            Encoding::F32 => "f32",
            Encoding::F64 => "f64",
            Encoding::C64 => "c64",
            Encoding::C128 => "c128",
        })
    }
}

/// Which byte of a value comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The order of the machine.
    pub const NATIVE: ByteOrder = if cfg!(target_endian = "big") {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    };
}

/// The values as files hold them: little-endian, row-major.
pub fn little_endian_bytes(array: &Array) -> Cow<'_, [u8]> {
    let bytes = array.as_bytes();
    match ByteOrder::NATIVE {
        ByteOrder::Little => Cow::Borrowed(bytes),
        ByteOrder::Big => {
            let mut swapped = bytes.to_vec();
            for value in swapped.chunks_exact_mut(array.dtype().real().size()) {
                value.reverse();
            }
            Cow::Owned(swapped)
        }
    }
}

/// Fills the buffer as far as the reader goes, and says how far that is.
pub fn read_up_to(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The rest of a fixed-size piece of a header, or an error that names it.
pub fn read_piece<const N: usize>(
    reader: &mut dyn Read,
    what: &str,
) -> Result<[u8; N], ArrayError> {
    let mut piece = [0; N];
    match read_up_to(reader, &mut piece)? {
        count if count == N => Ok(piece),
        count => Err(ArrayError::Format(format!(
            "expected {N} bytes of {what}, found {count}"
        ))),
    }
}

/// A header of `len` bytes. Memory grows with the bytes that really come.
pub fn read_header(reader: &mut dyn Read, len: u64, what: &str) -> Result<Vec<u8>, ArrayError> {
    let mut header = Vec::new();
    reader.take(len).read_to_end(&mut header)?;
    if header.len() as u64 != len {
        return Err(ArrayError::Format(format!(
            "expected {len} bytes of {what}, found {}",
            header.len()
        )));
    }
    Ok(header)
}

/// Values on their way in.
struct Source<'a> {
    reader: &'a mut dyn Read,
    shape: Shape,
    order: ByteOrder,
    encoding: Encoding,
}

impl Source<'_> {
    /// Reads all values, each from `N` bytes in little-endian order and with its number, to name it in errors.
    fn read<T: Element, const N: usize>(
        self,
        convert: impl Fn([u8; N], usize) -> Result<T, ArrayError>,
    ) -> Result<Array, ArrayError> {
        debug_assert_eq!(N, self.encoding.size());
        let count = fitting::<T>(&self.shape)?;
        let mut values: Vec<T> = Vec::new();
        let mut chunk = vec![0u8; CHUNK.min(count.saturating_mul(N))];
        while values.len() < count {
            let left = count - values.len();
            let take = left.min(CHUNK / N);
            let bytes = chunk.get_mut(..take * N).unwrap_or_default();
            let found = read_up_to(self.reader, bytes)?;
            if found < bytes.len() {
                return Err(ArrayError::Format(format!(
                    "expected {} bytes of values for {}{}, found {}",
                    count as u128 * N as u128,
                    self.encoding,
                    self.shape,
                    values.len() * N + found
                )));
            }
            if values.capacity() - values.len() < take {
                // Doubles like any `Vec`, but never past what the shape needs.
                let more = left.min(values.len().max(take));
                if values.try_reserve_exact(more).is_err() {
                    return Err(ArrayError::TooLarge {
                        shape: self.shape,
                        dtype: T::DTYPE,
                    });
                }
            }
            for &value in bytes.as_chunks::<N>().0 {
                let mut value = value;
                if self.order == ByteOrder::Big {
                    for part in value.chunks_exact_mut(self.encoding.part()) {
                        part.reverse();
                    }
                }
                values.push(convert(value, values.len())?);
            }
        }
        Array::new(self.shape, values)
    }
}

/// The bytes of the real and of the imaginary part.
fn halves<const N: usize, const H: usize>(bytes: [u8; N]) -> ([u8; H], [u8; H]) {
    let (mut re, mut im) = ([0; H], [0; H]);
    re.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    let rest = bytes.iter().skip(H);
    im.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    (re, im)
}

/// IEEE 754 binary16 to binary32, which holds every value of it. A NaN keeps its sign and payload.
fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits & 0x03ff);
    match (exponent, fraction) {
        // Zero and subnormal: the fraction counts steps of 2^-24.
        (0, _) => {
            let size = fraction as f32 * (1.0 / 16_777_216.0);
            f32::from_bits(sign | size.to_bits())
        }
        (0x1f, _) => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        // The exponent's bias goes from 15 to 127.
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_floats() {
        let cases = [
            (0x0000, 0.0f32),
            (0x8000, -0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_95),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, expected) in cases {
            assert_eq!(
                f16_to_f32(bits).to_bits(),
                expected.to_bits(),
                "{bits:#06x}"
            );
        }
        assert!(f16_to_f32(0x7e00).is_nan() && f16_to_f32(0xfc01).is_nan());
    }

    #[test]
    fn every_half_is_distinct_and_ordered() {
        // From zero to infinity, bits and values rise together.
        for bits in 0..0x7c00u16 {
            assert!(f16_to_f32(bits) < f16_to_f32(bits + 1), "{bits:#06x}");
        }
    }

    #[test]
    fn memory_follows_the_data() {
        // A shape of 2^55 values with ten bytes behind it.
        let shape = Shape::from([1 << 55]);
        let error = Encoding::U8
            .read(&mut &[0u8; 10][..], shape, ByteOrder::Little)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 36028797018963968 bytes of values for u8[36028797018963968], found 10"
        );
        let shape = Shape::from([usize::MAX, usize::MAX]);
        let error = Encoding::F32
            .read(&mut &[][..], shape, ByteOrder::Little)
            .unwrap_err();
        assert!(matches!(error, ArrayError::TooLarge { .. }));
    }

    #[test]
    fn values_beyond_a_chunk_stay_in_order() {
        let values: Vec<i64> = (0..20_000).map(|i| i * i - 7).collect();
        let big: Vec<u8> = values.iter().flat_map(|x| x.to_be_bytes()).collect();
        let array = Encoding::I64
            .read(&mut &big[..], Shape::from([20_000]), ByteOrder::Big)
            .unwrap();
        assert_eq!(array.as_slice::<i64>().unwrap(), values);
    }

    #[test]
    fn parts_of_complex_numbers_keep_their_places() {
        let values = [Complex::new(1.5, -2.25), Complex::new(-0.0, 1e300)];
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let bytes: Vec<u8> = (values.iter().flat_map(|z| [z.re, z.im]))
                .flat_map(|x: f64| match order {
                    ByteOrder::Little => x.to_le_bytes(),
                    ByteOrder::Big => x.to_be_bytes(),
                })
                .collect();
            let array = Encoding::C128
                .read(&mut &bytes[..], Shape::from([2]), order)
                .unwrap();
            assert_eq!(array, Array::vector(values));
        }
    }

    #[test]
    fn unsigned_64_bits_fit_or_fail() {
        let read = |x: u64| {
            Encoding::U64.read(
                &mut &x.to_le_bytes()[..],
                Shape::from(()),
                ByteOrder::Little,
            )
        };
        assert_eq!(read(i64::MAX as u64).unwrap(), Array::from(i64::MAX));
        let error = read(1 << 63).unwrap_err().to_string();
        assert_eq!(
            error,
            "expected 64-bit integers up to 9223372036854775807, found 9223372036854775808 at element 0"
        );
    }
}
