//! Real graphs over complex numbers, and derivatives by complex step.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_array::DType;
use cotangent_graph::ops::{ArrayOp, Binary, Compare, Indexed, Max, Part, Sum, Ternary, Unary};
use cotangent_graph::{Builder, Callee, Equation, Graph, Op, TensorType, Var};

use crate::TransformError;
use crate::forward::{check_choice, is_float};

/// The graph over complex numbers: every float input and output becomes a complex one, f64 a c128 and
/// f32 a c64.
///
/// Smooth operations are continued off the real axis. What decides or has kinks looks at real parts
/// (Martins, Sturdza and Alonso, The complex-step derivative approximation, 2003): comparisons, maxima,
/// `sign`, and `abs(z)`, which is z times the sign of its real part. On real numbers the graph gives what it
/// gave before.
///
/// # Errors
/// A complex variable in the graph, or an operation without a meaning on complex numbers: `floor` and its
/// kin, the error and gamma functions, window maxima, branches and loops.
pub fn complexify(graph: &Graph) -> Result<Graph, TransformError> {
    Complexify::default().graph(graph)
}

/// The values of a real graph and its directional derivative by complex step: Im f(x + i h t) / h for a
/// step h so small that h^2 vanishes beside x (Squire and Trapp, Using complex variables to estimate
/// derivatives of real functions, 1998). It is exact up to rounding, as nothing is subtracted.
///
/// Inputs and outputs are those of [`jvp`](crate::jvp).
///
/// # Errors
/// As for [`complexify`], and a choice that does not fit the inputs.
pub fn complex_step(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    check_choice(graph, wrt)?;
    let complex = complexify(graph)?;
    let mut b = Builder::new(&format!("{}_complex_step", graph.name()));
    let inputs: Vec<Var> = graph
        .inputs()
        .iter()
        .zip(graph.input_types())
        .map(|((name, _), ty)| b.input(name, ty))
        .collect();
    let mut args = Vec::with_capacity(inputs.len());
    for (i, ((name, _), x)) in graph.inputs().iter().zip(&inputs).enumerate() {
        let ty = b.tensor(*x);
        args.push(match (is_float(&ty), wrt.get(i)) {
            (true, Some(true)) => {
                let tangent = b.input(&format!("t_{name}"), ty.clone());
                let h = b.like(*x, step(ty.dtype));
                let moved = b.mul(tangent, h);
                b.complex(*x, moved)
            }
            (true, _) => lifted(&mut b, *x),
            (false, _) => *x,
        });
    }
    let results = b.inline(&complex, &args);
    let (mut outputs, mut tangents) = (Vec::new(), Vec::new());
    for (z, ty) in results.into_iter().zip(graph.output_types()) {
        outputs.push(match is_float(&ty) {
            true => b.part(Part::Real, z),
            false => z,
        });
        if is_float(&ty) {
            let im = b.part(Part::Imag, z);
            let h = b.like(im, step(ty.dtype));
            tangents.push(b.div(im, h));
        }
    }
    outputs.extend(tangents);
    Ok(b.finish(&outputs)?.without_dead_code())
}

/// A step whose square vanishes beside 1, with room below it for small factors.
fn step(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 1e-20,
        _ => 1e-150,
    }
}

#[derive(Default)]
struct Complexify {
    /// Callees by what they are, so that each is made complex once.
    callees: HashMap<Callee, Arc<Graph>>,
}

impl Complexify {
    /// Calls nest at most 256 deep, so this may recurse through them.
    fn graph(&mut self, graph: &Graph) -> Result<Graph, TransformError> {
        let mut b = Builder::new(&format!("{}_complex", graph.name()));
        let mut to = vec![Var::from_index(0); graph.equations().len()];
        for ((name, v), ty) in graph.inputs().iter().zip(graph.input_types()) {
            let dtype = match is_float(&ty) {
                true => ty.dtype.complex().unwrap_or(ty.dtype),
                false => ty.dtype,
            };
            to[v.index()] = b.input(name, ty.with_dtype(dtype));
        }
        let live = graph.live();
        for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
            if e.ty.components().iter().any(|t| t.dtype.is_complex()) {
                return Err(undefined(e, "the graph is not real"));
            }
            if e.op.is_input() {
                continue;
            }
            b.follow(e);
            let args: Vec<Var> = e.args.iter().map(|a| to[a.index()]).collect();
            to[v.index()] = self.step(&mut b, e, &args)?;
            if b.failed() {
                break;
            }
        }
        b.set_location(None);
        let outputs: Vec<Var> = graph
            .outputs()
            .iter()
            .map(|o| {
                let z = to[o.index()];
                if is_float(&b.tensor(z)) {
                    lifted(&mut b, z)
                } else {
                    z
                }
            })
            .collect();
        Ok(b.finish(&outputs)?.without_dead_code())
    }

    /// One operation on operands some of which may be complex now.
    fn step(&mut self, b: &mut Builder, e: &Equation, args: &[Var]) -> Result<Var, TransformError> {
        if let Op::Call(callee) = &e.op {
            let graph = match self.callees.get(callee) {
                Some(graph) => graph.clone(),
                None => {
                    let graph = Arc::new(self.graph(&callee.0)?);
                    self.callees.insert(callee.clone(), graph.clone());
                    graph
                }
            };
            let args: Vec<Var> = args.iter().map(|a| lifted(b, *a)).collect();
            return Ok(b.push(Op::Call(Callee(graph)), &args));
        }
        // A variable that no float input reaches stays real.
        if !args.iter().any(|a| b.dtype(*a).is_complex()) {
            return Ok(b.push(e.op.clone(), args));
        }
        match (&e.op, args) {
            (Op::Get(_), _) => Ok(b.push(e.op.clone(), args)),
            (Op::Unary(op), [z]) => unary(b, e, *op, *z),
            (Op::Indexed(Indexed::Powi, n), [z]) => Ok(b.indexed(Indexed::Powi, *n, *z)),
            (Op::Binary(op), [x, y]) => {
                let (x, y) = (lifted(b, *x), lifted(b, *y));
                binary(b, e, *op, x, y)
            }
            (Op::Compare(op), [x, y]) => {
                let (x, y) = (b.part(Part::Real, *x), b.part(Part::Real, *y));
                Ok(b.compare(*op, x, y))
            }
            (Op::Test(op), [x]) => {
                let x = b.part(Part::Real, *x);
                Ok(b.test(*op, x))
            }
            (Op::Ternary(Ternary::Select), [c, x, y]) => {
                let (x, y) = (lifted(b, *x), lifted(b, *y));
                Ok(b.select(*c, x, y))
            }
            (Op::Ternary(Ternary::Clamp), [x, lo, hi]) => {
                let [x, lo, hi] = [*x, *lo, *hi].map(|v| lifted(b, v));
                let raised = larger(b, x, lo, Compare::Ge);
                Ok(larger(b, raised, hi, Compare::Le))
            }
            (Op::Convert(dtype), [z]) => Ok(match dtype.complex() {
                Some(dtype) => b.convert(dtype, *z),
                None => {
                    let x = b.part(Part::Real, *z);
                    b.convert(*dtype, x)
                }
            }),
            (Op::Array(op), args) => array(b, e, op, args),
            _ => Err(undefined(e, NO_MEANING)),
        }
    }
}

const NO_MEANING: &str = "it has no meaning on complex numbers";

fn undefined(e: &Equation, why: &'static str) -> TransformError {
    TransformError::NotComplex {
        op: e.op.name().to_owned(),
        why,
        location: e.location,
    }
}

/// A float as a complex number; anything else as it is.
fn lifted(b: &mut Builder, x: Var) -> Var {
    match b.dtype(x) {
        dtype if dtype.is_float() => b.convert(dtype.complex().unwrap_or(dtype), x),
        _ => x,
    }
}

fn unary(b: &mut Builder, e: &Equation, op: Unary, z: Var) -> Result<Var, TransformError> {
    let real = b.part(Part::Real, z);
    Ok(match op {
        // Nothing passes through these but the value.
        Unary::StopGradient | Unary::Sign => b.unary(op, real),
        Unary::Abs => {
            let sign = sign(b, real);
            b.mul(z, sign)
        }
        Unary::Cbrt => {
            // The cube root is odd, and the principal one of a number with a positive real part.
            let sign = sign(b, real);
            let size = b.mul(z, sign);
            let third = b.like(z, 1.0 / 3.0);
            let root = b.binary(Binary::Pow, size, third);
            b.mul(root, sign)
        }
        op if op.complex().is_some() => b.unary(op, z),
        _ => return Err(undefined(e, NO_MEANING)),
    })
}

/// The sign of a real variable as a complex number.
fn sign(b: &mut Builder, real: Var) -> Var {
    let sign = b.unary(Unary::Sign, real);
    lifted(b, sign)
}

fn binary(
    b: &mut Builder,
    e: &Equation,
    op: Binary,
    x: Var,
    y: Var,
) -> Result<Var, TransformError> {
    Ok(match op {
        Binary::Maximum => larger(b, x, y, Compare::Ge),
        Binary::Minimum => larger(b, x, y, Compare::Le),
        Binary::Rem => {
            let (re_x, re_y) = (b.part(Part::Real, x), b.part(Part::Real, y));
            let quotient = b.div(re_x, re_y);
            let whole = b.unary(Unary::Floor, quotient);
            let whole = lifted(b, whole);
            let part = b.mul(whole, y);
            b.sub(x, part)
        }
        Binary::Atan2 => {
            // The angle of the real point, and the small one from there: with (x0, y0) real,
            // tan of the difference is (y x0 - x y0) / (x x0 + y y0).
            let (y, x) = (x, y);
            let (y0, x0) = (b.part(Part::Real, y), b.part(Part::Real, x));
            let at = b.binary(Binary::Atan2, y0, x0);
            let at = lifted(b, at);
            let (y0, x0) = (lifted(b, y0), lifted(b, x0));
            let (a, c) = (b.mul(y, x0), b.mul(x, y0));
            let across = b.sub(a, c);
            let (a, c) = (b.mul(x, x0), b.mul(y, y0));
            let along = b.add(a, c);
            let zero = b.like(along, 0.0);
            let origin = b.compare(Compare::Eq, along, zero);
            let one = b.like(along, 1.0);
            let safe = b.select(origin, one, along);
            let small = b.div(across, safe);
            let small = b.unary(Unary::Atan, small);
            b.add(at, small)
        }
        op if op.complex().is_some() => b.binary(op, x, y),
        _ => return Err(undefined(e, NO_MEANING)),
    })
}

/// `x` where its real part compares so with that of `y`, else `y`.
fn larger(b: &mut Builder, x: Var, y: Var, op: Compare) -> Var {
    let (re_x, re_y) = (b.part(Part::Real, x), b.part(Part::Real, y));
    let first = b.compare(op, re_x, re_y);
    b.select(first, x, y)
}

fn array(b: &mut Builder, e: &Equation, op: &ArrayOp, args: &[Var]) -> Result<Var, TransformError> {
    match op {
        ArrayOp::Reshape(_)
        | ArrayOp::Transpose(_)
        | ArrayOp::Broadcast(_)
        | ArrayOp::Reverse(_)
        | ArrayOp::Slice(_)
        | ArrayOp::Pad(_)
        | ArrayOp::Concat(_)
        | ArrayOp::Gather(_)
        | ArrayOp::ScatterAdd(_)
        | ArrayOp::Sum(_)
        | ArrayOp::Prod(_)
        | ArrayOp::CumSum(_)
        | ArrayOp::CumProd(_)
        | ArrayOp::Recurrence(_)
        | ArrayOp::Dot(_)
        | ArrayOp::Conv(_)
        | ArrayOp::WindowSum(_) => {
            let args: Vec<Var> = args.iter().map(|a| lifted(b, *a)).collect();
            Ok(b.push(op.clone(), &args))
        }
        ArrayOp::ArgMax(_)
        | ArrayOp::ArgMin(_)
        | ArrayOp::CumArgMax(_)
        | ArrayOp::CumArgMin(_)
        | ArrayOp::ArgSort(_)
        | ArrayOp::SearchSorted(_)
        | ArrayOp::WindowArgMax(_) => {
            let args: Vec<Var> = args.iter().map(|a| b.part(Part::Real, *a)).collect();
            Ok(b.push(op.clone(), &args))
        }
        ArrayOp::Max(Max { axes }) => extreme(b, e, op, args, axes),
        ArrayOp::Min(min) => extreme(b, e, op, args, &min.axes),
        ArrayOp::Norm(norm) => {
            let [z] = args else {
                return Err(undefined(e, NO_MEANING));
            };
            let squares = b.mul(*z, *z);
            let sum = b.sum(squares, &norm.axes);
            Ok(b.unary(Unary::Sqrt, sum))
        }
        _ => Err(undefined(e, NO_MEANING)),
    }
}

/// The mean of the elements whose real parts are the extreme one.
fn extreme(
    b: &mut Builder,
    e: &Equation,
    op: &ArrayOp,
    args: &[Var],
    axes: &[usize],
) -> Result<Var, TransformError> {
    let [z] = args else {
        return Err(undefined(e, NO_MEANING));
    };
    let real = b.part(Part::Real, *z);
    let found = b.push(op.clone(), &[real]);
    let ty: TensorType = b.tensor(real);
    let kept: Vec<usize> = (0..ty.rank()).filter(|a| !axes.contains(a)).collect();
    let spread = b.broadcast(found, ty.shape, &kept);
    let wins = b.compare(Compare::Eq, real, spread);
    let (one, zero) = (b.like(*z, 1.0), b.like(*z, 0.0));
    let (chosen, count) = (b.select(wins, *z, zero), b.select(wins, one, zero));
    let sum = |b: &mut Builder, v| match axes {
        [] => v,
        axes => b.push(
            Sum {
                axes: axes.to_vec(),
            },
            &[v],
        ),
    };
    let (chosen, count) = (sum(b, chosen), sum(b, count));
    Ok(b.div(chosen, count))
}

#[cfg(test)]
mod tests {
    use cotangent_array::{Array, Scalar};
    use cotangent_graph::{eval, parse};

    use super::*;
    use crate::jvp;

    fn compare(text: &str, at: &[f64]) {
        let module = parse(text).unwrap();
        let graph = module.entry();
        let wrt = vec![true; graph.inputs().len()];
        let mut inputs: Vec<Array> = at.iter().map(|x| Array::from(*x)).collect();
        inputs.extend(
            at.iter()
                .enumerate()
                .map(|(i, _)| Array::from(1.0 - 0.3 * i as f64)),
        );
        let step = eval(&complex_step(graph, &wrt).unwrap(), &inputs).unwrap();
        let exact = eval(&jvp(graph, &wrt).unwrap(), &inputs).unwrap();
        assert_eq!(step.len(), exact.len());
        for (s, e) in step.iter().zip(&exact) {
            for (s, e) in s.to_f64s().into_iter().zip(e.to_f64s()) {
                let off = (s - e).abs();
                assert!(
                    off <= 1e-14 * (1.0 + e.abs()),
                    "{text} at {at:?}: {s} and {e}"
                );
            }
        }
    }

    /// Every row that has a meaning on complex numbers, and those that look at real parts.
    #[test]
    fn every_smooth_row_agrees_with_forward_mode() {
        for op in Unary::ALL {
            let row = op.row();
            let text = format!("fn f(x: f64) -> f64 {{ {}(x) }}", row.name);
            let Ok(module) = parse(&text) else { continue };
            if complexify(module.entry()).is_err() {
                continue;
            }
            let (lo, hi) = row.samples[0];
            for part in [0.13, 0.48, 0.91] {
                compare(&text, &[lo + part * (hi - lo)]);
            }
        }
        for op in Binary::ALL {
            let row = op.row();
            let text = format!("fn f(x: f64, y: f64) -> f64 {{ {}(x, y) }}", row.name);
            let Ok(module) = parse(&text) else { continue };
            if complexify(module.entry()).is_err() {
                continue;
            }
            let [(lo, hi), (lo2, hi2)] = [row.samples[0], row.samples[1]];
            for part in [0.13, 0.48, 0.91] {
                let at = [lo + part * (hi - lo), lo2 + (1.0 - part) * (hi2 - lo2)];
                compare(&text, &at);
            }
        }
    }

    #[test]
    fn compositions_agree_with_forward_mode() {
        for text in [
            "fn f(x: f64, y: f64) -> f64 { abs(x - y) * maximum(x, y) + clamp(x, 0.0, 1.0) }",
            "fn f(x: f64, y: f64) -> f64 { select(x > y, exp(x), sin(y)) / cbrt(-x) }",
            "fn g(x: f64) -> f64 { x * tanh(x) }\nfn f(x: f64, y: f64) -> f64 { g(x * y) + g(y) }",
            "fn f(x: f64, y: f64) -> (f64, f64) { (powi(x, n=5), stop_gradient(x) * y) }",
        ] {
            for at in [[0.3, 0.7], [1.4, 0.2], [0.9, 2.5]] {
                compare(text, &at);
            }
        }
        let text = "fn f(x: f64[3, 2]) -> f64[2] { max(sin(x) @ x[:2], axes=[0]) + norm(x, axes=[0]) * cumsum(x, axis=0)[2] }";
        let module = parse(text).unwrap();
        let x = Array::from([[0.1, -0.4], [0.7, 1.2], [-0.9, 0.3]]);
        let t = Array::from([[1.0, 0.5], [-0.2, 0.4], [0.3, -1.0]]);
        let at = [x, t];
        let step = eval(&complex_step(module.entry(), &[true]).unwrap(), &at).unwrap();
        let exact = eval(&jvp(module.entry(), &[true]).unwrap(), &at).unwrap();
        for (s, e) in step.iter().zip(&exact) {
            for (s, e) in s.to_f64s().into_iter().zip(e.to_f64s()) {
                assert!((s - e).abs() < 1e-14, "{s} and {e}");
            }
        }
    }

    #[test]
    fn what_has_no_complex_meaning_is_named() {
        for (body, name) in [
            ("floor(x)", "floor"),
            ("erf(x)", "erf"),
            ("lgamma(x)", "lgamma"),
        ] {
            let module = parse(&format!("fn f(x: f64) -> f64 {{ {body} }}")).unwrap();
            let error = complexify(module.entry()).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        let module = parse("fn f(x: c128) -> f64 { real(x * x) }").unwrap();
        let error = complex_step(module.entry(), &[true])
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not real"), "{error}");
    }

    #[test]
    fn f32_is_stepped_in_c64() {
        let module = parse("fn f(x: f32) -> f32 { exp(x) }").unwrap();
        let at = [Array::from(0.5_f32), Array::from(1.0_f32)];
        let found = eval(&complex_step(module.entry(), &[true]).unwrap(), &at).unwrap();
        let slope = found[1].at(0).map(Scalar::to_f64).unwrap();
        assert!((slope - 0.5_f64.exp()).abs() < 1e-6, "{slope}");
    }
}
