//! Arithmetic, rounding, comparison and choice on each element by itself.

use cotangent::Tensor;

use super::Table;
use super::tools::one;
use crate::args::{Args, Node, Outs, Res};

pub const TABLE: Table = &[
    (&["abs"], |a| one(a.x()?.abs())),
    (&["acos"], |a| one(a.x()?.acos())),
    (&["acosh"], |a| one(a.x()?.acosh())),
    (&["asin"], |a| one(a.x()?.asin())),
    (&["asinh"], |a| one(a.x()?.asinh())),
    (&["atan"], |a| one(a.x()?.atan())),
    (&["atanh"], |a| one(a.x()?.atanh())),
    (&["ceil"], |a| one(a.x()?.ceil())),
    (&["cos"], |a| one(a.x()?.cos())),
    (&["cosh"], |a| one(a.x()?.cosh())),
    (&["deg2rad"], |a| one(a.x()?.deg2rad())),
    (&["exp"], |a| one(a.x()?.exp())),
    (&["exp2"], |a| one(a.x()?.exp2())),
    (&["expm1"], |a| one(a.x()?.expm1())),
    (&["floor"], |a| one(a.x()?.floor())),
    (&["frac"], |a| one(a.x()?.frac())),
    (&["log"], |a| one(a.x()?.log())),
    (&["log10"], |a| one(a.x()?.log10())),
    (&["log1p"], |a| one(a.x()?.log1p())),
    (&["log2"], |a| one(a.x()?.log2())),
    (&["neg"], |a| one(-a.x()?)),
    (&["rad2deg"], |a| one(a.x()?.rad2deg())),
    (&["reciprocal"], |a| one(a.x()?.reciprocal())),
    (&["rsqrt"], |a| one(a.x()?.rsqrt())),
    // The sign of NaN is 0.
    (&["sgn", "sign"], |a| {
        let x = a.x()?;
        one(x.is_nan().select(0.0, x.sign()))
    }),
    (&["sin"], |a| one(a.x()?.sin())),
    (&["sinh"], |a| one(a.x()?.sinh())),
    (&["sqrt"], |a| one(a.x()?.sqrt())),
    (&["square"], |a| one(a.x()?.square())),
    (&["tan"], |a| one(a.x()?.tan())),
    (&["tanh"], |a| one(a.x()?.tanh())),
    (&["trunc"], |a| one(a.x()?.trunc())),
    (&["round"], round),
    (&["nan_to_num"], nan_to_num),
    (&["frexp"], frexp),
    (
        &[
            "alias_copy",
            "clone",
            "conj",
            "conj_physical",
            "contiguous",
            "positive",
            "real",
            "resolve_conj",
            "resolve_neg",
        ],
        |a| one(a.x()?),
    ),
    (&["double"], |a| one(a.x()?.convert(cotangent::DType::F64))),
    (&["to"], |a| {
        let x = a.x()?;
        // The dtype of another tensor, where one is given.
        match a.node(1, "other") {
            node @ (Node::Input(_) | Node::Known(_)) => {
                let dtype = a.to_tensor(node).map_or(x.dtype(), |t| t.dtype());
                one(x.convert(dtype))
            }
            _ => one(x.convert(a.dtype()?.unwrap_or(x.dtype()))),
        }
    }),
    // The angle of a real number: 0 or pi.
    (&["angle"], |a| {
        let x = a.x()?;
        let angle = x
            .less(0.0)
            .select(x.full_like(std::f64::consts::PI), x.full_like(0.0));
        one(x.is_nan().select(f64::NAN, angle))
    }),
    (&["add"], |a| {
        let (x, y) = pair(a)?;
        one(x + scaled(a, y)?)
    }),
    (&["sub"], |a| {
        let (x, y) = pair(a)?;
        one(x - scaled(a, y)?)
    }),
    (&["rsub"], |a| {
        let (x, y) = pair(a)?;
        one(y - scaled(a, x)?)
    }),
    (&["mul", "__rmul__"], |a| binary(a, |x, y| x * y)),
    (&["__radd__"], |a| binary(a, |x, y| y + x)),
    (&["__rsub__"], |a| binary(a, |x, y| y - x)),
    (&["__rdiv__"], |a| binary(a, |x, y| y / x)),
    (&["__rmod__"], |a| binary(a, |x, y| y % x)),
    (&["__rpow__"], |a| binary(a, |x, y| y.pow(x))),
    (&["true_divide"], |a| binary(a, |x, y| x / y)),
    (&["div"], |a| {
        let (x, y) = pair(a)?;
        one(match a.named("rounding_mode") {
            Node::Null => x / y,
            Node::Text(mode) if mode == "trunc" => (x / y).trunc(),
            Node::Text(mode) if mode == "floor" => floor_divide(&x, &y),
            other => return Err(format!("unknown rounding_mode {other:?}").into()),
        })
    }),
    (&["fmod"], |a| binary(a, |x, y| x.fmod(y))),
    (&["remainder"], |a| binary(a, |x, y| x % y)),
    (&["pow", "float_power"], |a| {
        let x = a.x()?;
        match a.node(1, "exponent") {
            // A number stays one, so that the library sees a whole power.
            Node::Int(n) => one(x.pow(*n)),
            Node::Float(y) => one(x.pow(*y)),
            _ => one(x.pow(a.real(1, "exponent")?)),
        }
    }),
    (&["hypot"], |a| binary(a, |x, y| x.hypot(y))),
    (&["atan2"], |a| binary(a, |x, y| x.atan2(y))),
    (&["copysign"], |a| binary(a, |x, y| x.copysign(y))),
    (&["ldexp"], |a| binary(a, |x, y| x * y.exp2())),
    (&["maximum"], |a| binary(a, |x, y| x.maximum(y))),
    (&["minimum"], |a| binary(a, |x, y| x.minimum(y))),
    (&["fmax"], |a| binary(a, |x, y| x.fmax(y))),
    (&["fmin"], |a| binary(a, |x, y| x.fmin(y))),
    (&["logaddexp"], |a| binary(a, |x, y| x.logaddexp(y))),
    (&["logaddexp2"], |a| binary(a, |x, y| x.logaddexp2(y))),
    (&["xlogy"], |a| binary(a, |x, y| x.xlogy(y))),
    (&["special.xlog1py"], |a| binary(a, |x, y| x.xlog1py(y))),
    (&["nextafter"], |a| binary(a, next_after)),
    (&["lerp"], |a| {
        one(a.x()?.lerp(a.real(1, "end")?, a.real(2, "weight")?))
    }),
    (&["addcmul"], |a| {
        let value = a.float_or(3, "value", 1.0)?;
        one(a.x()? + a.real(1, "tensor1")? * a.real(2, "tensor2")? * value)
    }),
    (&["addcdiv"], |a| {
        let value = a.float_or(3, "value", 1.0)?;
        one(a.x()? + a.real(1, "tensor1")? / a.real(2, "tensor2")? * value)
    }),
    (&["clamp"], |a| {
        let x = a.x()?;
        let border = |at: usize, name: &str| a.has(at, name).then(|| a.real(at, name)).transpose();
        let (lo, hi) = (border(1, "min")?, border(2, "max")?);
        one(match (a.node(1, "min"), a.node(2, "max"), lo, hi) {
            (Node::Int(_) | Node::Float(_), Node::Int(_) | Node::Float(_), Some(lo), Some(hi)) => {
                x.clamp(lo, hi)
            }
            // Beside tensors a tie splits the derivative.
            (_, _, Some(lo), Some(hi)) => x.maximum(lo).minimum(hi),
            (_, _, Some(lo), None) => x.maximum(lo),
            (_, _, None, Some(hi)) => x.minimum(hi),
            (_, _, None, None) => return Err("clamp without a border".into()),
        })
    }),
    (&["clamp_min"], |a| one(a.x()?.maximum(a.real(1, "min")?))),
    (&["clamp_max"], |a| one(a.x()?.minimum(a.real(1, "max")?))),
    // The condition stands between the two.
    (&["where"], |a| {
        one(a
            .tensor(1, "condition")?
            .select(a.x()?, a.real(2, "other")?))
    }),
    (&["fill"], |a| {
        let value = a.tensor(1, "value")?;
        let x = a.x()?;
        one(value.broadcast_to(x.shape()))
    }),
    (&["zero_"], |a| one(a.x()?.zeros_like())),
];

fn pair(a: &Args) -> Res<(Tensor, Tensor)> {
    Ok((a.real(0, "input")?, a.real(1, "other")?))
}

fn binary(a: &Args, f: fn(&Tensor, &Tensor) -> Tensor) -> Outs {
    let (x, y) = pair(a)?;
    one(f(&x, &y))
}

/// The operand that the argument `alpha` scales.
fn scaled(a: &Args, y: Tensor) -> Res<Tensor> {
    match a.has(2, "alpha") {
        true => Ok(y * a.float(2, "alpha")?),
        false => Ok(y),
    }
}

/// The whole part below x / y, exact where x / y itself would be rounded up to a whole number.
fn floor_divide(x: &Tensor, y: &Tensor) -> Tensor {
    let quotient = (x - &(x % y)) / y;
    let floor = quotient.floor();
    let up = (&quotient - &floor).greater(0.5);
    let exact = up.select(&floor + 1.0, &floor);
    y.equal(0.0).select(x / y, exact).stop_gradient()
}

/// The number beside `x` towards `y`. It moves with `x`, so its derivative is that of `x`.
fn next_after(x: &Tensor, y: &Tensor) -> Tensor {
    let up = y.greater(x);
    let away = up.equal(x.greater(0.0));
    let size = x.abs().stop_gradient();
    // A step from a power of two towards zero is half as long.
    let floor = size.log2().floor().exp2();
    let floor = floor.greater(&size).select(&floor * 0.5, &floor);
    let floor = (&floor * 2.0)
        .less_equal(&size)
        .select(&floor * 2.0, &floor);
    let step = &floor * f64::EPSILON;
    let step = (size.equal(&floor) & !away)
        .select(&step * 0.5, &step)
        .maximum(5e-324);
    let moved = x + &up.select(&step, &(-&step));
    x.equal(y)
        .select(y, (x.is_nan() | y.is_nan()).select(f64::NAN, moved))
}

fn round(a: &Args) -> Outs {
    let x = a.x()?;
    let decimals = a.int_or(1, "decimals", 0)?;
    let scale = 10_f64.powi(i32::try_from(decimals.abs()).map_err(|e| e.to_string())?);
    one(match decimals {
        0 => x.round(),
        1.. => (x * scale).round() / scale,
        _ => (x / scale).round() * scale,
    })
}

fn nan_to_num(a: &Args) -> Outs {
    let x = a.x()?;
    one(x.nan_to_num(
        a.float_or(1, "nan", 0.0)?,
        a.float_or(2, "posinf", f64::MAX)?,
        a.float_or(3, "neginf", f64::MIN)?,
    ))
}

/// The mantissa in [0.5, 1) and the power of two.
fn frexp(a: &Args) -> Outs {
    let x = a.x()?;
    let size = x.abs().stop_gradient();
    let special = size.equal(0.0) | !size.is_finite();
    let size = special.select(0.5, size);
    let e = size.log2().floor() + 1.0;
    // The logarithm may be rounded over a whole number.
    let m = &size / &e.exp2();
    let e = m
        .greater_equal(1.0)
        .select(&e + 1.0, m.less(0.5).select(&e - 1.0, &e));
    let mantissa = &x / &e.exp2();
    Ok(vec![mantissa, e.convert(cotangent::DType::I32)])
}
