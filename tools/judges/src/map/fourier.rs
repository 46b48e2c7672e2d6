//! Fourier transforms.

use cotangent::{Array, FftNorm, PadMode, Tensor};

use super::Table;
use crate::args::{Args, Outs, Res, not_mapped};

pub const TABLE: Table = &[
    (&["fft.fft"], |a| one(a, Tensor::fft)),
    (&["fft.ifft"], |a| one(a, Tensor::ifft)),
    (&["fft.rfft"], |a| one(a, Tensor::rfft)),
    (&["fft.irfft"], |a| one(a, Tensor::irfft)),
    (&["fft.hfft"], |a| one(a, Tensor::hfft)),
    (&["fft.ihfft"], |a| one(a, Tensor::ihfft)),
    (&["fft.fftn"], |a| several(a, None, Tensor::fftn)),
    (&["fft.ifftn"], |a| several(a, None, Tensor::ifftn)),
    (&["fft.rfftn"], |a| several(a, None, Tensor::rfftn)),
    (&["fft.irfftn"], |a| several(a, None, Tensor::irfftn)),
    (&["fft.hfftn"], |a| several(a, None, Tensor::hfftn)),
    (&["fft.fft2"], |a| several(a, LAST, Tensor::fftn)),
    (&["fft.ifft2"], |a| several(a, LAST, Tensor::ifftn)),
    (&["fft.rfft2"], |a| several(a, LAST, Tensor::rfftn)),
    (&["fft.irfft2"], |a| several(a, LAST, Tensor::irfftn)),
    (&["fft.hfft2"], |a| several(a, LAST, Tensor::hfftn)),
    (&["fft.fftshift"], |a| {
        Ok(vec![a.x()?.fftshift(shifted(a)?)])
    }),
    (&["fft.ifftshift"], |a| {
        Ok(vec![a.x()?.ifftshift(shifted(a)?)])
    }),
    (&["stft"], stft),
];

const LAST: Option<&[i64]> = Some(&[-2, -1]);

type One = fn(&Tensor, Option<usize>, i64, FftNorm) -> Tensor;
type Several = fn(&Tensor, Option<&[usize]>, Option<&[i64]>, FftNorm) -> Tensor;

/// `(input, n, dim, norm)`
fn one(a: &Args, transform: One) -> Outs {
    let n = match a.has(1, "n") {
        true => Some(a.size(1, "n")?),
        false => None,
    };
    Ok(vec![transform(
        &a.x()?,
        n,
        a.int_or(2, "dim", -1)?,
        norm(a)?,
    )])
}

/// `(input, s, dim, norm)`
fn several(a: &Args, default: Option<&[i64]>, transform: Several) -> Outs {
    let lengths = match a.opt_ints(1, "s")? {
        Some(s) => Some(
            s.into_iter()
                .map(|n| usize::try_from(n).map_err(|_| format!("expected a length, found {n}")))
                .collect::<Result<Vec<usize>, String>>()?,
        ),
        None => None,
    };
    let axes = a.opt_ints(2, "dim")?;
    let axes = axes.as_deref().or(default);
    Ok(vec![transform(&a.x()?, lengths.as_deref(), axes, norm(a)?)])
}

fn norm(a: &Args) -> Res<FftNorm> {
    Ok(match a.text_or(3, "norm", "backward")? {
        "ortho" => FftNorm::Ortho,
        "forward" => FftNorm::Forward,
        _ => FftNorm::Backward,
    })
}

fn shifted(a: &Args) -> Res<Vec<i64>> {
    let rank = a.x()?.rank() as i64;
    Ok(a.opt_ints(1, "dim")?.unwrap_or_else(|| (0..rank).collect()))
}

/// PyTorch pads the signal by reflection, so that pieces stand around their places.
fn stft(a: &Args) -> Outs {
    let x = a.x()?;
    let n = a.size(1, "n_fft")?;
    let hop = usize::try_from(a.int_or(2, "hop_length", (n / 4) as i64)?).unwrap_or(0);
    if x.rank() != 1 || a.has(3, "win_length") || !a.bool_or(7, "onesided", true)? {
        return not_mapped("stft of batches, with a shorter window or of both sides");
    }
    let window = match a.opt_tensor(4, "window")? {
        Some(window) => window,
        None => Tensor::from(Array::vector(vec![1.0; n])),
    };
    let x = match a.bool_or(5, "center", true)? {
        true => x.pad([(n / 2, n / 2)], PadMode::Reflect),
        false => x,
    };
    let mut spectrum = x.stft(&window, hop);
    if a.bool_or(6, "normalized", false)? {
        spectrum /= (n as f64).sqrt();
    }
    match a.bool_or(8, "return_complex", false)? {
        true => Ok(vec![spectrum]),
        false => Ok(vec![cotangent::stack(
            [spectrum.real(), spectrum.imag()],
            -1,
        )]),
    }
}
