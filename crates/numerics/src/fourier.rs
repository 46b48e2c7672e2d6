//! Plans of Fourier transforms along one line.

use std::sync::Arc;

use realfft::RealFftPlanner;
pub use realfft::{ComplexToReal, RealToComplex};
pub use rustfft::Fft;
use rustfft::FftPlanner;

/// A float with Fourier transforms. None of them is scaled.
pub trait Fourier: realfft::FftNum {
    /// A transform of `n` complex numbers, in place.
    fn complex(n: usize, inverse: bool) -> Arc<dyn Fft<Self>>;
    /// A transform of `n` real numbers to the `n / 2 + 1` frequencies that are not mirrored.
    fn forward(n: usize) -> Arc<dyn RealToComplex<Self>>;
    /// A transform of `n / 2 + 1` frequencies to `n` real numbers.
    fn backward(n: usize) -> Arc<dyn ComplexToReal<Self>>;
}

macro_rules! fourier {
    ($($T:ident)*) => {
        $(
            impl Fourier for $T {
                fn complex(n: usize, inverse: bool) -> Arc<dyn Fft<$T>> {
                    let mut planner = FftPlanner::new();
                    match inverse {
                        true => planner.plan_fft_inverse(n),
                        false => planner.plan_fft_forward(n),
                    }
                }

                fn forward(n: usize) -> Arc<dyn RealToComplex<$T>> {
                    RealFftPlanner::new().plan_fft_forward(n)
                }

                fn backward(n: usize) -> Arc<dyn ComplexToReal<$T>> {
                    RealFftPlanner::new().plan_fft_inverse(n)
                }
            }
        )*
    };
}

fourier!(f32 f64);
