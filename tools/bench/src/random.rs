//! Numbers for inputs that no file holds: the same bits on every machine.

use cotangent::{Array, DType, Shape};

use crate::error::BenchError;

/// A generator, SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of a name.
    pub fn named(name: &str) -> Random {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Random {
            state: name.bytes().fold(0xcbf2_9ce4_8422_2325, mix),
        }
    }

    /// 64 random bits.
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number of mean 0 and variance 1, nearly normal: the sum of four uniform ones. Logarithms
    /// and cosines, as exact methods use them, differ from system to system.
    pub fn normal(&mut self) -> f64 {
        let sum = self.uniform() + self.uniform() + self.uniform() + self.uniform();
        (sum - 2.0) * 3.0_f64.sqrt()
    }

    /// A whole number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.uniform() * end as f64) as usize).min(end.saturating_sub(1))
    }

    /// An array of what a function draws.
    pub fn array(
        &mut self,
        dtype: DType,
        shape: impl Into<Shape>,
        mut draw: impl FnMut(&mut Random) -> f64,
    ) -> Result<Array, BenchError> {
        let shape = shape.into();
        let count: usize = shape.dims().iter().product();
        if dtype == DType::F32 {
            let values: Vec<f32> = (0..count).map(|_| draw(self) as f32).collect();
            return Ok(Array::new(shape, values)?);
        }
        let values: Vec<f64> = (0..count).map(|_| draw(self)).collect();
        Ok(Array::new(shape, values)?)
    }

    /// Nearly normal f64 numbers with a scale.
    pub fn normals(&mut self, shape: impl Into<Shape>, scale: f64) -> Result<Array, BenchError> {
        self.array(DType::F64, shape, |r| r.normal() * scale)
    }

    /// Nearly normal f32 numbers with a scale.
    pub fn normals32(&mut self, shape: impl Into<Shape>, scale: f64) -> Result<Array, BenchError> {
        self.array(DType::F32, shape, |r| r.normal() * scale)
    }

    /// f64 numbers from 0 to below 1.
    pub fn uniforms(&mut self, shape: impl Into<Shape>) -> Result<Array, BenchError> {
        self.array(DType::F64, shape, Random::uniform)
    }

    /// Whole numbers below `end`, i64.
    pub fn indices(&mut self, count: usize, end: usize) -> Array {
        let values: Vec<i64> = (0..count).map(|_| self.below(end) as i64).collect();
        Array::from(values)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_are_those_of_their_name_and_spread() {
        let draw = |name: &str| Random::named(name).normals([10_000], 2.0).unwrap();
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
        let values = draw("a").to_f64s();
        let mean = values.iter().sum::<f64>() / 1e4;
        let variance = values.iter().map(|x| x * x).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.1 && (variance - 4.0).abs() < 0.2);
        let mut r = Random::named("c");
        assert!((0..1000).map(|_| r.below(7)).all(|i| i < 7));
        assert_eq!(r.below(0), 0);
    }
}
