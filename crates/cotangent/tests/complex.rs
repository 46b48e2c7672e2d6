//! Complex tensors, their derivatives, Fourier transforms and complex steps.

use cotangent::{
    Array, Complex64, DType, FftNorm, Function, Tensor, TensorType, fftfreq, grad, istft, rfftfreq,
};

fn c(re: f64, im: f64) -> Complex64 {
    Complex64::new(re, im)
}

/// Numbers in -1 to 1 that follow from the salt.
fn numbers(n: usize, salt: u64) -> Vec<f64> {
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn array(ty: &TensorType, salt: u64) -> Array {
    let n = ty.shape.elements();
    match ty.dtype.is_complex() {
        true => {
            let parts = numbers(2 * n, salt);
            let values = parts.as_chunks::<2>().0.iter().map(|[x, y]| c(*x, *y));
            Array::new(ty.shape.clone(), values.collect::<Vec<_>>()).unwrap()
        }
        false => Array::new(ty.shape.clone(), numbers(n, salt)).unwrap(),
    }
}

fn complex(shape: &[usize], salt: u64) -> Array {
    array(&TensorType::new(DType::C128, shape), salt)
}

fn real(shape: &[usize], salt: u64) -> Array {
    array(&TensorType::new(DType::F64, shape), salt)
}

fn type_of(a: &Array) -> TensorType {
    TensorType::new(a.dtype(), a.shape().clone())
}

fn close(found: &Array, expected: &Array, tolerance: f64) {
    assert_eq!(type_of(found), type_of(expected));
    for (f, e) in found.scalars().zip(expected.scalars()) {
        let off = (f.to_complex() - e.to_complex()).norm();
        assert!(off <= tolerance, "expected {expected:?}, found {found:?}");
    }
}

/// x + h t
fn moved(x: &Array, t: &Array, h: f64) -> Array {
    let sums = (x.scalars().zip(t.scalars())).map(|(x, t)| {
        let z = x.to_complex() + t.to_complex() * h;
        cotangent::Scalar::from_complex(x.dtype(), z)
    });
    Array::from_scalars(x.dtype(), x.shape().clone(), sums).unwrap()
}

/// Re(sum(x * y)), the pairing of cotangents and tangents.
fn pairing(x: &Array, y: &Array) -> f64 {
    (x.scalars().zip(y.scalars()))
        .map(|(x, y)| (x.to_complex() * y.to_complex()).re)
        .sum()
}

/// jvp against a central difference along a random complex direction, and vjp against jvp.
fn check(name: &str, x: &Array, f: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static) {
    let f = Function::new(f);
    let t = array(&type_of(x), 77);
    let (y, dy) = f.jvp().call(((x.clone(),), (t.clone(),))).unwrap();
    let h = 1e-5;
    let (above, below) = (
        f.call((moved(x, &t, h),)).unwrap(),
        f.call((moved(x, &t, -h),)).unwrap(),
    );
    for ((d, a), b) in dy.scalars().zip(above.scalars()).zip(below.scalars()) {
        let slope = (a.to_complex() - b.to_complex()) / (2.0 * h);
        let off = (slope - d.to_complex()).norm();
        assert!(off < 1e-7 * (1.0 + slope.norm()), "{name}: {slope} and {d}");
    }
    let u = array(&type_of(&y), 78);
    let (_, (back,)) = f.vjp().call(((x.clone(),), u.clone())).unwrap();
    let (left, right) = (pairing(&u, &dy), pairing(&back, &t));
    let off = (left - right).abs();
    assert!(
        off < 1e-10 * (1.0 + left.abs()),
        "{name}: {left} and {right}"
    );
}

#[test]
fn every_complex_method_has_its_derivatives() {
    let z = complex(&[3, 4], 1);
    let far = moved(&Array::full([3, 4], c(2.0, 0.0).into()).unwrap(), &z, 0.6);
    type Row = (&'static str, fn(&Tensor) -> Tensor);
    let rows: &[Row] = &[
        ("real", |z| z.real()),
        ("imag", |z| z.imag()),
        ("conj", |z| z.conj() * z),
        ("angle", |z| z.angle()),
        ("abs", |z| z.abs()),
        ("polar", |z| Tensor::polar(z.real(), z.imag())),
        ("complex", |z| Tensor::complex(z.imag(), z.real() * z.abs())),
        ("exp", |z| z.exp()),
        ("exp2", |z| z.exp2()),
        ("expm1", |z| z.expm1()),
        ("log", |z| z.log()),
        ("log2", |z| z.log2()),
        ("log10", |z| z.log10()),
        ("log1p", |z| z.log1p()),
        ("sqrt", |z| z.sqrt()),
        ("rsqrt", |z| z.rsqrt()),
        ("sin", |z| z.sin()),
        ("cos", |z| z.cos()),
        ("tan", |z| (z * 0.3).tan()),
        ("sinh", |z| z.sinh()),
        ("cosh", |z| z.cosh()),
        ("tanh", |z| (z * 0.3).tanh()),
        ("asin", |z| (z * 0.3).asin()),
        ("acos", |z| (z * 0.3).acos()),
        ("atan", |z| (z * 0.3).atan()),
        ("asinh", |z| (z * 0.3).asinh()),
        ("acosh", |z| z.acosh()),
        ("atanh", |z| (z * 0.3).atanh()),
        ("sigmoid", |z| z.sigmoid()),
        ("square", |z| z.square()),
        ("reciprocal", |z| 1.0 / z),
        ("powi", |z| z.powi(-3)),
        ("pow", |z| z.pow(z * 0.5)),
        ("div", |z| z / (z * z + 1.0)),
        ("select", |z| z.real().greater(2.0).select(z, z * z)),
        ("to_complex", |z| z.abs().to_complex() * z),
        ("sum", |z| z.sum(0)),
        ("mean", |z| z.mean(1)),
        ("prod", |z| z.prod(1)),
        ("cumsum", |z| z.cumsum(0)),
        ("cumprod", |z| z.cumprod(1)),
        ("norm", |z| z.norm(1)),
        ("matmul", |z| z.matmul(&z.transpose())),
        ("reshape", |z| {
            z.reshape([2, 6]).flip(0).transpose() * c(0.5, -2.0)
        }),
        ("take", |z| z.take(Array::from([2_i64, 0, 2]), 0)),
        ("fft", |z| z.fft(None, 1, FftNorm::Backward)),
        ("ifft", |z| z.ifft(6, 0, FftNorm::Ortho)),
        ("fft2", |z| z.fft2(None, FftNorm::Forward)),
        ("ifftn", |z| z.ifftn(Some(&[2, 5]), None, FftNorm::Backward)),
        ("irfft", |z| z.irfft(None, 1, FftNorm::Backward)),
        ("irfft, odd", |z| z.irfft(7, 1, FftNorm::Ortho)),
        ("irfftn", |z| z.irfftn(None, None, FftNorm::Backward)),
        ("hfft", |z| z.hfft(5, -1, FftNorm::Backward)),
        ("rfft", |z| z.abs().rfft(None, 1, FftNorm::Backward)),
        ("rfftn", |z| z.real().rfftn(None, None, FftNorm::Ortho)),
        ("ihfft", |z| z.imag().ihfft(None, 0, FftNorm::Backward)),
        ("fftshift", |z| z.fftshift([0, 1]) * z.ifftshift(1)),
    ];
    for (name, f) in rows {
        check(name, &far, *f);
        // Second derivatives: the gradient of a real cost, itself differentiated.
        let f = *f;
        let cost = move |z: &Tensor| f(z).abs().square().sum(..);
        let gradient = grad(cost);
        check(&format!("gradient of {name}"), &far, move |z: &Tensor| {
            gradient.apply((z.clone(),))
        });
    }
}

/// In JAX `jax.grad(lambda z: jnp.real(z * jnp.conj(z)) + jnp.imag(z) ** 3)(3 + 4j)` is 6 - 56j: the gradient
/// is dL/dx - i dL/dy. PyTorch's is the conjugate.
#[test]
fn gradients_follow_one_convention() {
    let cost = |z: &Tensor| (z * z.conj()).real() + z.imag().powi(3);
    let g = grad(cost).call((c(3.0, 4.0).into(),)).unwrap();
    assert_eq!(g, c(6.0, -56.0).into());

    // The same function of two real variables.
    let parts = |x: &Tensor, y: &Tensor| {
        let z = Tensor::complex(x, y);
        (&z * z.conj()).real() + z.imag().powi(3)
    };
    let parts = Function::new(parts);
    let at = || (3.0.into(), 4.0.into());
    let (dx, dy) = (
        parts.grad_of::<0>().call(at()).unwrap(),
        parts.grad_of::<1>().call(at()).unwrap(),
    );
    let (dx, dy) = (dx.item::<f64>().unwrap(), dy.item::<f64>().unwrap());
    assert_eq!(g, c(dx, -dy).into());

    // The conjugate, which PyTorch gives, is the direction of steepest ascent.
    let steepest = Function::new(move |z: &Tensor| grad(cost).apply((z.clone(),)).conj());
    assert_eq!(
        steepest.call((c(3.0, 4.0).into(),)).unwrap(),
        c(dx, dy).into()
    );

    // Holomorphic functions: the tangent is f'(z) t.
    let f = Function::new(|z: &Tensor| z.exp());
    let (value, tangent) = f
        .jvp()
        .call(((c(0.5, 1.0).into(),), (c(0.0, 2.0).into(),)))
        .unwrap();
    let expected = value.item::<Complex64>().unwrap() * c(0.0, 2.0);
    close(&tangent, &expected.into(), 1e-15);
}

#[test]
fn kinks_are_zero() {
    for f in [
        (|z: &Tensor| z.abs()) as fn(&Tensor) -> Tensor,
        |z| z.angle(),
        |z| z.norm(..),
    ] {
        let g = grad(f).call((c(0.0, 0.0).into(),)).unwrap();
        assert_eq!(g.item::<Complex64>().unwrap(), c(0.0, 0.0));
    }
}

/// Values by NumPy 2.4.
#[test]
fn transforms_are_those_of_numpy() {
    let x = Tensor::from([1.0, 2.0, 0.5, -1.0, 3.0]);
    let fft = x.fft(None, -1, FftNorm::Backward).to_array().unwrap();
    let expected = [
        c(5.5, 0.0),
        c(2.949593469062211, 0.06937863785644383),
        c(-3.199593469062211, 2.0143700267352034),
        c(-3.199593469062211, -2.0143700267352034),
        c(2.949593469062211, -0.06937863785644383),
    ];
    let numpy = |norm| x.fft(None, -1, norm).to_array().unwrap();
    close(&fft, &Array::from(expected), 1e-14);
    let scaled = |by: f64| Array::from(expected.map(|z| z * by));
    close(&numpy(FftNorm::Ortho), &scaled(0.2_f64.sqrt()), 1e-14);
    close(&numpy(FftNorm::Forward), &scaled(0.2), 1e-14);
    // Cut and filled up.
    let short = x.fft(3, -1, FftNorm::Backward);
    close(
        &short.to_array().unwrap(),
        &x.slice_axis(0, 0..3)
            .fft(None, -1, FftNorm::Backward)
            .to_array()
            .unwrap(),
        0.0,
    );
    let long = x.rfft(8, -1, FftNorm::Backward);
    assert_eq!(long.shape().dims(), [5]);
    for norm in [FftNorm::Backward, FftNorm::Ortho, FftNorm::Forward] {
        let back = x
            .rfft(None, -1, norm)
            .irfft(5, -1, norm)
            .to_array()
            .unwrap();
        close(&back, &x.to_array().unwrap(), 1e-15);
        let back = x
            .ihfft(None, -1, norm)
            .hfft(5, -1, norm)
            .to_array()
            .unwrap();
        close(&back, &x.to_array().unwrap(), 1e-14);
        let z = Tensor::from(complex(&[3, 4, 5], 3));
        let back = z
            .fftn(None, Some(&[0, 2]), norm)
            .ifftn(None, Some(&[2, 0]), norm);
        close(&back.to_array().unwrap(), &z.to_array().unwrap(), 1e-15);
        let y = Tensor::from(real(&[4, 5], 3));
        let back = y.rfft2(None, norm).irfft2(Some(&[4, 5]), norm);
        close(&back.to_array().unwrap(), &y.to_array().unwrap(), 1e-15);
        let twice = z.fft(None, 1, norm).fft(None, 1, norm);
        let axes = z.fftn(None, Some(&[1, 1]), norm);
        close(&axes.to_array().unwrap(), &twice.to_array().unwrap(), 1e-13);
    }
    assert_eq!(
        fftfreq(5, 0.1, DType::F64).to_array().unwrap(),
        [0.0, 2.0, 4.0, -4.0, -2.0].into()
    );
    assert_eq!(
        rfftfreq(4, 0.5, DType::F32).to_array().unwrap(),
        [0.0_f32, 0.5, 1.0].into()
    );
    let order = Tensor::from([0, 1, 2, -2, -1]);
    let shifted = order.fftshift(0);
    assert_eq!(shifted.to_array().unwrap(), [-2, -1, 0, 1, 2].into());
    assert_eq!(
        shifted.ifftshift(0).to_array().unwrap(),
        order.to_array().unwrap()
    );
}

#[test]
fn a_signal_comes_back_from_its_pieces() {
    let x = Tensor::from(real(&[2, 20], 9));
    let window = Tensor::from([0.2, 0.7, 1.0, 0.9, 0.8, 0.4, 0.3, 0.1]);
    let spectrum = x.stft(&window, 4);
    assert_eq!(spectrum.shape().dims(), [2, 5, 4]);
    let back = istft(&spectrum, &window, 4).to_array().unwrap();
    close(&back, &x.to_array().unwrap(), 1e-14);
    check("stft", &real(&[20], 4), move |x| x.stft(&window, 3));
}

#[test]
fn a_convolution_is_a_product_of_transforms() {
    let program = Function::new(|x: &Tensor, y: &Tensor| {
        let (x, y) = (
            x.rfft(12, -1, FftNorm::Backward),
            y.rfft(12, -1, FftNorm::Backward),
        );
        (x * y).irfft(12, -1, FftNorm::Backward)
    });
    let (x, y) = (real(&[7], 1), real(&[6], 2));
    let found = program.call((x.clone(), y.clone())).unwrap();
    let (x, y) = (x.to_f64s(), y.to_f64s());
    let mut expected = vec![0.0; 12];
    for (i, x) in x.iter().enumerate() {
        for (j, y) in y.iter().enumerate() {
            expected[i + j] += x * y;
        }
    }
    close(&found, &Array::vector(expected), 1e-14);
}

#[test]
fn batches_of_complex_functions() {
    let f = Function::new(|z: &Tensor| (z.fft(None, 0, FftNorm::Backward) * z.conj()).abs());
    let z = complex(&[4, 6], 5);
    let all = f.vmap().call((z.clone(),)).unwrap();
    for i in 0..4 {
        let row = z.select_rows(&[i]).unwrap().reshape([6]).unwrap();
        let one = f.call((row,)).unwrap();
        let part = all.select_rows(&[i]).unwrap().reshape([6]).unwrap();
        close(&part, &one, 1e-14);
    }
}

/// A small network by complex step, against the gradient.
#[test]
fn complex_steps_agree_with_gradients() {
    let loss = |w: &Tensor, v: &Tensor| {
        let x = Tensor::from([[0.3, -1.2, 0.7], [1.1, 0.4, -0.5]]);
        let hidden = x.matmul(w).tanh();
        let out = (hidden.matmul(v)).sigmoid().max(1);
        (out.log() + hidden.abs().sum(1) * 0.1).sum(..) / (1.0 + w.norm(..))
    };
    let (w, v) = (real(&[3, 4], 11), real(&[4, 2], 12));
    let f = Function::new(loss);
    let (tw, tv) = (real(&[3, 4], 13), real(&[4, 2], 14));
    let at = || (w.clone(), v.clone());
    let (value, step) = f
        .complex_step()
        .call((at(), (tw.clone(), tv.clone())))
        .unwrap();
    assert!(
        (value.item::<f64>().unwrap() - f.call(at()).unwrap().item::<f64>().unwrap()).abs() < 1e-15
    );
    let slope = pairing(&f.grad_of::<0>().call(at()).unwrap(), &tw)
        + pairing(&f.grad_of::<1>().call(at()).unwrap(), &tv);
    let off = (step.item::<f64>().unwrap() - slope).abs();
    assert!(off < 1e-14, "{off:e}");
}

#[test]
fn wrong_calls_are_errors() {
    let message = |f: fn(&Tensor) -> Tensor, ty: TensorType| {
        Function::new(f).trace(&(ty,)).unwrap_err().to_string()
    };
    let z = || TensorType::new(DType::C128, [4]);
    let x = || TensorType::new(DType::F64, [4]);
    let n = || TensorType::new(DType::I64, [4]);
    for (f, ty, expected) in [
        (
            (|z| z.less(z)) as fn(&Tensor) -> Tensor,
            z(),
            "a dtype with an order",
        ),
        (|z| z.maximum(z), z(), "found c128"),
        (|z| z.max(..), z(), "found c128"),
        (
            |z| z.convert(DType::F64),
            z(),
            "take real(x), imag(x) or abs(x)",
        ),
        (
            |x| x * c(0.0, 1.0),
            x(),
            "expected a real number for f64, found 0.0+1.0j",
        ),
        (
            |n| n.fft(None, 0, FftNorm::Backward),
            n(),
            "a float or a complex dtype",
        ),
        (|z| z.rfft(None, 0, FftNorm::Backward), z(), "found c128"),
        (|x| x.fft(0, 0, FftNorm::Backward), x(), "1 or more entries"),
        (|x| x.fft(None, 1, FftNorm::Backward), x(), "axis"),
        (
            |x| x.fftn(Some(&[2, 3]), Some(&[0]), FftNorm::Backward),
            x(),
            "a length for each",
        ),
        (
            |x| x.stft(&Tensor::from([1.0, 2.0]), 0),
            x(),
            "a hop of 1 or more",
        ),
        (
            |x| istft(x, &Tensor::from([1.0]), 1),
            x(),
            "a complex spectrum",
        ),
    ] {
        let found = message(f, ty);
        assert!(found.contains(expected), "{found}");
    }
    let f = Function::new(|z: &Tensor| z.real().sum(..));
    let error = f
        .complex_step()
        .call(((complex(&[2], 1),), (complex(&[2], 2),)))
        .unwrap_err();
    assert!(error.to_string().contains("not real"), "{error}");
    let error = f.jacobian().call((complex(&[2], 1),)).unwrap_err();
    assert!(error.to_string().contains("of real variables"), "{error}");
}
