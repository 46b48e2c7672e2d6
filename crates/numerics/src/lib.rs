//! Matrix factorisations by [faer](https://docs.rs/faer) and Fourier transforms by
//! [rustfft](https://docs.rs/rustfft), for f32 and f64.
//!
//! These libraries are generic, and take longer to compile than everything around them. Here they
//! are compiled once, for the two floats, behind functions over plain slices: whoever changes a
//! kernel of the crate `cotangent-cpu` does not wait for them.

#[cfg(feature = "linalg")]
mod factor;
#[cfg(feature = "fft")]
mod fourier;

#[cfg(feature = "linalg")]
pub use factor::{Factor, Triangle};
#[cfg(feature = "fft")]
pub use fourier::{ComplexToReal, Fft, Fourier, RealToComplex};
