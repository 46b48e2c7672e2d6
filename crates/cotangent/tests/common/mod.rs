//! What several tests draw.

use cotangent::Array;

/// Numbers between -0.5 and 0.5, the same for the same seed.
pub fn numbers(shape: &[usize], mut seed: u64) -> Array {
    let draw = || {
        // Knuth's linear congruential generator (The Art of Computer Programming, 3.3.4).
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
    };
    let count = shape.iter().product();
    let data: Vec<f64> = std::iter::repeat_with(draw).take(count).collect();
    Array::new(shape, data).unwrap()
}
