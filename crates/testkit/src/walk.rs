//! The reference evaluator with noise, with frozen values, and with a record of every decision.

use cotangent_array::{Array, DType, Indices, Scalar};
use cotangent_graph::ops::{ArrayOp, Binary, Linalg, Part, Ternary, Unary, WindowArgMax};
use cotangent_graph::{Callee, EvalError, Graph, Op, TensorType, Type, eval_op};

use crate::arrays::{map_parts, parts, ulp, width};
use crate::rng::Rng;

/// What is added to the results of operations that round.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Noise {
    /// Nothing.
    None,
    /// The next number above or below, at random.
    Ulp,
    /// Up to this share of the value.
    Relative(f64),
}

/// An evaluation that may depart from the plain one, and what it decided on its way.
#[derive(Debug)]
pub struct Walk<'a> {
    noise: Noise,
    rng: Rng,
    /// The values that `stop_gradient` gives, in order, in place of its operand's.
    frozen: Option<&'a [Array]>,
    /// The values that `stop_gradient` gave.
    pub stopped: Vec<Array>,
    /// A hash of every discrete value and every branch: comparisons, floors, which of two numbers
    /// is the larger, on which side of a kink an operand stands.
    pub decisions: u64,
}

#[derive(Clone)]
enum Value {
    One(Array),
    Several(Vec<Array>),
}

impl<'a> Walk<'a> {
    /// The plain evaluation.
    pub fn plain() -> Walk<'static> {
        Walk::noisy(Noise::None, 0)
    }

    /// An evaluation with noise.
    pub fn noisy(noise: Noise, seed: u64) -> Walk<'static> {
        Walk {
            noise,
            rng: Rng::new(seed),
            frozen: None,
            stopped: Vec::new(),
            decisions: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// An evaluation in which what stands behind a `stop_gradient` does not move.
    pub fn frozen(stopped: &'a [Array]) -> Walk<'a> {
        Walk {
            frozen: Some(stopped),
            ..Walk::plain()
        }
    }

    /// Evaluates a graph. Noise is put on float inputs too.
    ///
    /// # Errors
    /// As for [`cotangent_graph::eval`].
    pub fn run(&mut self, graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, EvalError> {
        let inputs: Vec<Array> = inputs.iter().map(|a| self.disturbed(a)).collect();
        self.graph(graph, inputs)
    }

    fn graph(&mut self, graph: &Graph, inputs: Vec<Array>) -> Result<Vec<Array>, EvalError> {
        let mut values: Vec<Option<Value>> = vec![None; graph.equations().len()];
        for ((_, v), a) in graph.inputs().iter().zip(inputs) {
            values[v.index()] = Some(Value::One(a));
        }
        let live = graph.live();
        for (v, e) in graph
            .iter()
            .filter(|(v, e)| live[v.index()] && !e.op.is_input())
        {
            let args: Vec<&Value> = e
                .args
                .iter()
                .filter_map(|a| values[a.index()].as_ref())
                .collect();
            let value = match (&e.op, &e.ty) {
                (Op::Get(index), _) => match args.first() {
                    Some(Value::Several(parts)) => Value::One(parts[*index].clone()),
                    _ => panic!("`get` of an array"),
                },
                (Op::Call(callee), ty) => {
                    let args = args.into_iter().map(|a| one(a).clone()).collect();
                    let mut results = self.graph(&callee.0, args)?;
                    match ty {
                        Type::Tensor(_) => Value::One(results.remove(0)),
                        Type::Tuple(_) => Value::Several(results),
                    }
                }
                (Op::Region(region), ty) => {
                    let args: Vec<Array> = args.into_iter().map(|a| one(a).clone()).collect();
                    let run = &mut |c: &Callee, inputs: &[Array]| self.graph(&c.0, inputs.to_vec());
                    let mut results = region.eval(&args, run)?;
                    match ty {
                        Type::Tensor(_) => Value::One(results.remove(0)),
                        Type::Tuple(_) => Value::Several(results),
                    }
                }
                (Op::Linalg(op), ty) => {
                    let args: Vec<&Array> = args.into_iter().map(one).collect();
                    let mut results = self.linalg(op, &args, ty)?;
                    match ty {
                        Type::Tensor(_) => Value::One(results.remove(0)),
                        Type::Tuple(_) => Value::Several(results),
                    }
                }
                (op, Type::Tensor(ty)) => {
                    let args: Vec<&Array> = args.into_iter().map(one).collect();
                    Value::One(self.step(op, &args, ty)?)
                }
                (op, ty) => panic!("`{}` gives {ty}", op.name()),
            };
            values[v.index()] = Some(value);
        }
        let outputs = graph.outputs().iter();
        Ok(outputs
            .filter_map(|o| values[o.index()].as_ref())
            .map(|v| one(v).clone())
            .collect())
    }

    /// As [`Walk::step`], with all results: every entry of a matrix takes part in each.
    fn linalg(&mut self, op: &Linalg, args: &[&Array], ty: &Type) -> Result<Vec<Array>, EvalError> {
        // Reflections and rotations mix all rows, one after the other, so the errors of every entry
        // are of the size of the largest, and grow as the root of the number of rows (Higham 2002,
        // section 19.3, and 2.8 on how rounding errors add up).
        use Linalg::*;
        let mixes = matches!(
            op,
            Eigh(_) | Eigvalsh(_) | Svd(_) | Svdvals(_) | Pinv(_) | Qr(_) | Expm(_)
        );
        let disturbed: Vec<Array> = match self.noise {
            Noise::Ulp if mixes => args.iter().map(|a| self.disturbed_whole(a)).collect(),
            Noise::Ulp => args.iter().map(|a| self.disturbed(a)).collect(),
            _ => args.iter().map(|a| (*a).clone()).collect(),
        };
        let operands: Vec<&Array> = disturbed.iter().collect();
        let results = op.eval(&operands, ty.components())?;
        // The signs of vectors, and the order of rows, jump.
        for result in &results {
            if !result.dtype().is_float() {
                result.scalars().for_each(|s| self.note(s.to_i64() as u64));
            }
        }
        match (op, &results[..]) {
            (Linalg::Qr(_), [_, r]) => self.signs(r),
            (Linalg::Eigh(_), [_, v]) => self.signs(v),
            (Linalg::Svd(_), [u, _, _]) => self.signs(u),
            (Linalg::Slogdet(_), [sign, _]) => self.signs(sign),
            _ => {}
        }
        let moved = results.iter().map(|r| match mixes && r.dtype().is_float() {
            true => self.disturbed_whole(r),
            false => self.disturbed(r),
        });
        Ok(moved.collect())
    }

    /// The signs of all but the smallest entries.
    fn signs(&mut self, x: &Array) {
        for s in x.scalars() {
            let x = s.to_f64();
            self.note(match x {
                x if x > 1e-3 => 1,
                x if x < -1e-3 => 2,
                _ => 0,
            });
        }
    }

    fn step(&mut self, op: &Op, args: &[&Array], ty: &TensorType) -> Result<Array, EvalError> {
        // A sum of several terms shows its error only when the terms move, each for itself.
        let disturbed: Vec<Array>;
        let disturbed_args: Vec<&Array>;
        let mut result = if self.noise == Noise::Ulp && accumulates(op) {
            disturbed = args.iter().map(|a| self.disturbed(a)).collect();
            disturbed_args = disturbed.iter().collect();
            eval_op(op, &disturbed_args, ty)?
        } else {
            eval_op(op, args, ty)?
        };
        if *op == Op::Unary(Unary::StopGradient) && ty.dtype.is_inexact() {
            if let Some(frozen) = self.frozen.and_then(|f| f.get(self.stopped.len())) {
                result = frozen.clone();
            }
            self.stopped.push(result.clone());
        }
        self.decide(op, args, &result)?;
        let narrows = matches!(op, Op::Convert(DType::F32 | DType::C64))
            && args[0].dtype().real() == DType::F64;
        if !is_exact(op) || narrows {
            result = self.disturbed(&result);
        }
        if let (Some(axes), Noise::Ulp) = (transformed(op), self.noise) {
            result = self.disturbed_lines(&result, axes);
        }
        // Equal terms round alike again and again, which moving each for itself does not show.
        if let (Op::Array(ArrayOp::Sum(_)), Noise::Ulp, [x]) = (op, self.noise, args) {
            let terms = x.len() as f64 / (result.len().max(1) as f64);
            let root = terms.sqrt();
            let dtype = result.dtype();
            result = map_parts(&result, |x| {
                let by = ulp(dtype, x) * if self.rng.chance(0.5) { root } else { -root };
                if x.is_finite() { x + by } else { x }
            });
        }
        Ok(result)
    }

    fn disturbed(&mut self, a: &Array) -> Array {
        if self.noise == Noise::None || !a.dtype().is_inexact() {
            return a.clone();
        }
        let dtype = a.dtype();
        map_parts(a, |x| {
            if !x.is_finite() {
                return x;
            }
            match self.noise {
                Noise::None => x,
                Noise::Ulp => {
                    let by = ulp(dtype, x);
                    if self.rng.chance(0.5) { x + by } else { x - by }
                }
                Noise::Relative(by) => {
                    let by = self.rng.uniform(-by, by);
                    x + by * x.abs().max(1e-3)
                }
            }
        })
    }

    /// Each element moved by an ulp of the largest, times the root of the length of its matrix.
    fn disturbed_whole(&mut self, a: &Array) -> Array {
        if self.noise != Noise::Ulp {
            return self.disturbed(a);
        }
        let largest = parts(a)
            .into_iter()
            .filter(|x| x.is_finite())
            .fold(0.0_f64, |most, x| most.max(x.abs()));
        let rows = a.shape().dims().iter().rev().take(2).max();
        let by = ulp(a.dtype(), largest) * (rows.copied().unwrap_or(1) as f64).sqrt();
        map_parts(a, |x| {
            let by = if self.rng.chance(0.5) { by } else { -by };
            if x.is_finite() { x + by } else { x }
        })
    }

    /// Each element moved by an ulp of the norm of all that are on one line with it, along these axes.
    ///
    /// Every element of a line enters each step of a fast Fourier transform, so what is bounded is the error of
    /// the whole line: its norm is at most about log2(n) units of roundoff times the norm of the line (Higham
    /// 2002, theorem 24.2, and the remarks behind it on other algorithms than that of radix 2). Nothing says how
    /// the elements share it, and small ones beside large ones get as much as those.
    fn disturbed_lines(&mut self, a: &Array, axes: &[usize]) -> Array {
        let shape = a.shape();
        let of = width(a.dtype());
        let strides = shape.strides();
        // The place of the first element of the line that an element is on.
        let line = |i: usize| {
            let along = axes.iter().map(|axis| {
                let (n, stride) = (shape[*axis].max(1), strides[*axis].max(1));
                i / stride % n * stride
            });
            i - along.sum::<usize>()
        };
        let values = parts(a);
        let mut squares = vec![0.0_f64; a.len()];
        for (i, x) in values.iter().enumerate() {
            squares[line(i / of)] += x * x;
        }
        let mut i = 0;
        map_parts(a, |x| {
            let by = ulp(a.dtype(), squares[line(i / of)].sqrt());
            i += 1;
            let by = if self.rng.chance(0.5) { by } else { -by };
            if x.is_finite() { x + by } else { x }
        })
    }

    fn note(&mut self, what: u64) {
        self.decisions = (self.decisions ^ what)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(5);
    }

    fn side(&mut self, x: f64, of: f64) {
        self.note(match x.partial_cmp(&of) {
            None => 0,
            Some(std::cmp::Ordering::Less) => 1,
            Some(std::cmp::Ordering::Equal) => 2,
            Some(std::cmp::Ordering::Greater) => 3,
        });
    }

    fn decide(&mut self, op: &Op, args: &[&Array], result: &Array) -> Result<(), EvalError> {
        if !result.dtype().is_inexact() {
            result.scalars().for_each(|s| self.note(s.to_i64() as u64));
            return Ok(());
        }
        match (op, args) {
            (Op::Unary(op), [z]) if z.dtype().is_complex() => self.cuts(*op, z),
            (Op::Part(Part::Angle), [z]) => self.cuts(Unary::Log, z),
            (Op::Binary(op), [x, y]) if x.dtype().is_complex() => match op {
                Binary::Pow => self.cuts(Unary::Log, x),
                Binary::Div => {
                    (y.scalars().map(Scalar::to_complex)).for_each(|z| self.side(z.norm(), 0.0))
                }
                _ => {}
            },
            (Op::Indexed(..), [x]) if x.dtype().is_complex() => {}
            (Op::Unary(op), [x]) if x.dtype().is_float() => {
                use Unary::{Ceil, Floor, Round, Sign, Trunc};
                for kink in op.row().kinks {
                    x.scalars().for_each(|x| self.side(x.to_f64(), *kink));
                }
                if matches!(op, Floor | Ceil | Round | Trunc | Sign) {
                    result
                        .scalars()
                        .for_each(|s| self.note((s.to_f64() + 0.0).to_bits()));
                }
            }
            (Op::Indexed(op, _), [x]) => {
                for kink in op.row().kinks {
                    x.scalars().for_each(|x| self.side(x.to_f64(), *kink));
                }
            }
            (Op::Binary(op), [x, y]) => {
                for (x, y) in x.scalars().zip(y.scalars()) {
                    let (x, y) = (x.to_f64(), y.to_f64());
                    match op {
                        Binary::Maximum | Binary::Minimum => self.side(x, y),
                        Binary::Rem => self.note((x / y).floor().to_bits()),
                        Binary::Pow | Binary::Atan2 => {
                            self.side(x, 0.0);
                            self.side(y, 0.0);
                        }
                        Binary::Div => self.side(y, 0.0),
                        _ => {}
                    }
                }
            }
            (Op::Ternary(Ternary::Clamp), [x, lo, hi]) => {
                for (x, (lo, hi)) in x.scalars().zip(lo.scalars().zip(hi.scalars())) {
                    self.side(x.to_f64(), lo.to_f64());
                    self.side(x.to_f64(), hi.to_f64());
                    self.side(lo.to_f64(), hi.to_f64());
                }
            }
            (Op::Array(ArrayOp::Max(op)), [x]) => self.ties(x, &op.axes, result),
            (Op::Array(ArrayOp::Min(op)), [x]) => self.ties(x, &op.axes, result),
            (Op::Array(ArrayOp::Norm(_)), _) => {
                result.scalars().for_each(|s| self.side(s.to_f64(), 0.0));
            }
            (Op::Array(ArrayOp::WindowMax(op)), [x]) => {
                let (window, stride) = (op.window.clone(), op.stride.clone());
                let (padding, dilation) = (op.padding.clone(), op.dilation.clone());
                let places = WindowArgMax {
                    window,
                    stride,
                    padding,
                    dilation,
                };
                let ty = TensorType::new(DType::I64, result.shape().clone());
                // A window without any element has no place, and then nothing to decide.
                if let Ok(places) = eval_op(&places.into(), &[x], &ty) {
                    places.scalars().for_each(|s| self.note(s.to_i64() as u64));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// On which side of a branch cut complex numbers stand, near one.
    fn cuts(&mut self, op: Unary, z: &Array) {
        use Unary::*;
        for z in z.scalars().map(Scalar::to_complex) {
            let real = match op {
                Sqrt | Rsqrt | Log | Log2 | Log10 => z.re <= 0.0,
                Log1p => z.re <= -1.0,
                Asin | Acos | Atanh => z.re.abs() >= 1.0,
                Acosh => z.re <= 1.0,
                Abs => {
                    self.side(z.norm(), 0.0);
                    false
                }
                _ => false,
            };
            if real {
                self.side(z.im, 0.0);
            }
            if matches!(op, Atan | Asinh) && z.im.abs() >= 1.0 {
                self.side(z.re, 0.0);
            }
        }
    }

    /// Which elements are the extreme ones of their reduction.
    fn ties(&mut self, x: &Array, axes: &[usize], result: &Array) {
        let mut strides = vec![0; x.rank()];
        let kept = (0..x.rank()).filter(|a| !axes.contains(a));
        for (axis, stride) in kept.zip(result.shape().strides()) {
            strides[axis] = stride;
        }
        let mut indices = Indices::new(x.shape());
        for s in x.scalars() {
            let Some(index) = indices.next_index() else {
                break;
            };
            let flat: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
            let tie = result.at(flat).is_some_and(|r| r.to_f64() == s.to_f64());
            self.note(u64::from(tie));
        }
    }
}

fn one(value: &Value) -> &Array {
    match value {
        Value::One(a) => a,
        Value::Several(_) => panic!("an operand is a tuple"),
    }
}

/// Whether an operation moves numbers or decides between them, so that it never rounds.
pub fn is_exact(op: &Op) -> bool {
    match op {
        Op::Unary(op) => {
            use Unary::*;
            matches!(
                op,
                Neg | StopGradient | Not | Abs | Sign | Floor | Ceil | Round | Trunc
            )
        }
        Op::Binary(op) => {
            use Binary::*;
            matches!(op, Maximum | Minimum | And | Or | Xor | Shl | Shr)
        }
        Op::Indexed(..) | Op::Special(..) | Op::Part(Part::Angle) | Op::Linalg(_) => false,
        Op::Array(op) => {
            use ArrayOp::*;
            match op {
                Iota(_) | RandomBits(_) | Reshape(_) | Transpose(_) | Broadcast(_) | Reverse(_)
                | Slice(_) | Pad(_) | Concat(_) | Gather(_) | Max(_) | Min(_) | ArgMax(_)
                | ArgMin(_) | Any(_) | All(_) | WindowMax(_) | WindowArgMax(_) | ArgSort(_)
                | SearchSorted(_) | CumArgMax(_) | CumArgMin(_) => true,
                ScatterAdd(_) | Sum(_) | Prod(_) | Norm(_) | CumSum(_) | CumProd(_)
                | Recurrence(_) | Dot(_) | Conv(_) | WindowSum(_) | Fft(_) | Rfft(_) | Irfft(_) => {
                    false
                }
            }
        }
        Op::Input
        | Op::Full(..)
        | Op::Constant(_)
        | Op::Part(_)
        | Op::Complex
        | Op::Compare(_)
        | Op::Test(_)
        | Op::Ternary(_)
        | Op::Convert(_)
        | Op::Call(_)
        | Op::Region(_)
        | Op::Native(_)
        | Op::Get(_) => true,
    }
}

/// The axes of a Fourier transform.
fn transformed(op: &Op) -> Option<&[usize]> {
    match op {
        Op::Array(ArrayOp::Fft(op)) => Some(&op.axes),
        Op::Array(ArrayOp::Rfft(op)) => Some(std::slice::from_ref(&op.axis)),
        Op::Array(ArrayOp::Irfft(op)) => Some(std::slice::from_ref(&op.axis)),
        _ => None,
    }
}

/// Whether an operation adds or multiplies several numbers, in an order that programs may choose.
fn accumulates(op: &Op) -> bool {
    matches!(op, Op::Array(_)) && !is_exact(op)
}

/// For each output whether no operation that it depends on rounds a float.
pub fn exact_outputs(graph: &Graph) -> Vec<bool> {
    let mut exact: Vec<bool> = Vec::with_capacity(graph.equations().len());
    for e in graph.equations() {
        let rounds = match &e.op {
            Op::Call(_) | Op::Region(_) => {
                e.op.callees()
                    .any(|callee| exact_outputs(&callee.0).contains(&false))
            }
            Op::Linalg(_) => true,
            op => e.ty.tensor().is_some_and(|t| t.dtype.is_inexact()) && !is_exact(op),
        };
        exact.push(!rounds && e.args.iter().all(|a| exact[a.index()]));
    }
    graph.outputs().iter().map(|o| exact[o.index()]).collect()
}

/// The outputs of the reference evaluator and how far they go when each result is disturbed.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The outputs.
    pub base: Vec<Array>,
    /// The largest deviation of each number of each output; a complex element has two.
    pub deviation: Vec<Vec<f64>>,
    /// Whether no decision changed under the noise.
    pub stable: bool,
    exact: Vec<bool>,
    graph: Graph,
    inputs: Vec<Array>,
    decisions: u64,
}

/// A result that is not what the reference says.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Difference {
    /// Which output and element, what was expected and found.
    pub message: String,
    /// Whether noise changes a decision, so that nothing is proved.
    pub unstable: bool,
}

impl Spread {
    /// Evaluates a graph once plainly and `draws` times with noise.
    ///
    /// # Errors
    /// As for [`cotangent_graph::eval`], of the plain evaluation.
    pub fn of(
        graph: &Graph,
        inputs: &[Array],
        draws: usize,
        rng: &mut Rng,
    ) -> Result<Spread, EvalError> {
        let mut plain = Walk::plain();
        let base = plain.run(graph, inputs)?;
        let mut spread = Spread {
            deviation: (base.iter())
                .map(|a| vec![0.0; width(a.dtype()) * a.len()])
                .collect(),
            base,
            stable: true,
            exact: exact_outputs(graph),
            graph: graph.clone(),
            inputs: inputs.to_vec(),
            decisions: plain.decisions,
        };
        spread.widen(draws, rng);
        Ok(spread)
    }

    /// Evaluates some more times with noise.
    fn widen(&mut self, draws: usize, rng: &mut Rng) {
        for _ in 0..draws {
            self.stable &= self.disturb(rng);
        }
    }

    fn disturb(&mut self, rng: &mut Rng) -> bool {
        let mut walk = Walk::noisy(Noise::Ulp, rng.bits());
        // An index that noise drove out of range is a changed decision.
        let Ok(outputs) = walk.run(&self.graph, &self.inputs) else {
            return false;
        };
        for (deviation, (base, noisy)) in self
            .deviation
            .iter_mut()
            .zip(self.base.iter().zip(&outputs))
        {
            for (d, (x, y)) in deviation
                .iter_mut()
                .zip(parts(base).into_iter().zip(parts(noisy)))
            {
                *d = d.max(distance(x, y));
            }
        }
        walk.decisions == self.decisions
    }

    /// From now on no output is expected bit for bit.
    pub fn round(&mut self) {
        self.exact.fill(false);
    }

    /// Whether results computed another way agree: bit for bit where nothing rounds, else within
    /// eight times the spread and eight units in the last place.
    ///
    /// # Errors
    /// The first element that does not agree.
    pub fn agree(&self, found: &[Array]) -> Result<(), Difference> {
        let first = self.compare(found);
        if first.is_ok() {
            return first;
        }
        // A few draws may have missed how far the noise goes; nothing is said before many have.
        let mut wider = self.clone();
        wider.widen(32, &mut Rng::new(self.decisions));
        wider.compare(found)
    }

    fn compare(&self, found: &[Array]) -> Result<(), Difference> {
        let bad = |message: String| {
            Err(Difference {
                message,
                unstable: !self.stable,
            })
        };
        if found.len() != self.base.len() {
            return bad(format!(
                "expected {} outputs, found {}",
                self.base.len(),
                found.len()
            ));
        }
        for (k, (x, y)) in self.base.iter().zip(found).enumerate() {
            if (x.dtype(), x.shape()) != (y.dtype(), y.shape()) {
                return bad(format!(
                    "output {k}: expected {}{}, found {}{}",
                    x.dtype(),
                    x.shape(),
                    y.dtype(),
                    y.shape()
                ));
            }
            for (i, (a, b)) in x.scalars().zip(y.scalars()).enumerate() {
                // Both parts of a complex number come from both parts of others.
                let of = width(x.dtype());
                let deviation = self.deviation[k][of * i..of * (i + 1)]
                    .iter()
                    .fold(0.0_f64, |most, d| most.max(*d));
                let same = if self.exact[k] || !x.dtype().is_inexact() {
                    a == b
                } else {
                    let (a, b) = (a.to_complex(), b.to_complex());
                    let ulp = match a.norm() {
                        size if size.is_finite() => ulp(x.dtype(), size),
                        _ => ulp(x.dtype(), a.re),
                    };
                    let tolerance = 8.0 * (deviation + ulp);
                    distance(a.re, b.re) <= tolerance && distance(a.im, b.im) <= tolerance
                };
                if !same {
                    let how = if self.exact[k] {
                        "exactly".to_owned()
                    } else {
                        format!("within {:e}", 8.0 * deviation)
                    };
                    return bad(format!(
                        "output {k}, element {i}: expected {a} {how}, found {b}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// |x - y|, 0 for equal infinities and for two NaN, infinite where just one is not a number.
pub fn distance(x: f64, y: f64) -> f64 {
    if x == y || (x.is_nan() && y.is_nan()) {
        0.0
    } else if x.is_finite() && y.is_finite() {
        (x - y).abs()
    } else {
        f64::INFINITY
    }
}

/// Whether every decision stays as it is when all results move by a millionth.
pub fn is_stable(graph: &Graph, inputs: &[Array], rng: &mut Rng) -> bool {
    let mut plain = Walk::plain();
    let Ok(outputs) = plain.run(graph, inputs) else {
        return false;
    };
    outputs
        .iter()
        .all(|a| !a.dtype().is_inexact() || crate::arrays::is_finite(a))
        && (0..2).all(|_| {
            let mut walk = Walk::noisy(Noise::Relative(1e-6), rng.bits());
            walk.run(graph, inputs).is_ok() && walk.decisions == plain.decisions
        })
}

#[cfg(test)]
mod tests {
    use cotangent_array::Array;
    use cotangent_graph::parse;

    use super::*;

    #[test]
    fn what_is_beside_large_elements_is_uncertain_in_transforms_alone() {
        // The element behind the first is a billionth of it.
        let line = Array::new(vec![3], vec![1.0, 1e-9, 0.0]).unwrap();
        let deviation = |text: &str| {
            let graph = parse(text).unwrap().entry().clone();
            let mut rng = Rng::new(1);
            let spread = Spread::of(&graph, std::slice::from_ref(&line), 16, &mut rng).unwrap();
            spread.deviation[0].clone()
        };
        let there_and_back =
            "fn f(x: f64[3]) -> f64[3] { irfft(rfft(x, axis=0), axis=0, n=3) / 3.0 }";
        let transformed = deviation(there_and_back);
        assert!(
            transformed.iter().all(|d| (1e-16..1e-14).contains(d)),
            "{transformed:?}"
        );
        let sums = deviation("fn f(x: f64[3]) -> f64[3] { cumsum(reverse(x, axes=[0]), axis=0) }");
        assert!(sums[1] < 1e-23, "{sums:?}");
    }
}
