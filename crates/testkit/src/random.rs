//! Random graphs together with inputs at which they are well behaved.
//!
//! A generator evaluates each operation while it builds, so that it knows the values that an
//! operand has and can move them into the range that the next operation's row declares.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cotangent_array::{Array, Complex64, DType, Scalar, Shape};
use cotangent_graph::ops::{
    Binary, Broadcast, Compare, Linalg, Region, Reshape, Slice, Ternary, Unary,
};
use cotangent_graph::{Builder, Callee, Graph, Op, TensorType, Var, eval, eval_op};

use crate::arrays::{extent, is_finite};
use crate::rng::Rng;
use crate::samples;

/// A graph and the inputs to run it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// The graph.
    pub graph: Graph,
    /// One array for each input.
    pub inputs: Vec<Array>,
    /// What it was drawn from; the choices that checks make are drawn from it too.
    pub seed: u64,
    /// Whether it is differentiable at the inputs, with values of ordinary size. Others hold
    /// infinities, NaN and the largest integers, and are only run.
    pub smooth: bool,
}

impl Case {
    /// The case of a seed.
    pub fn draw(seed: u64) -> Case {
        let mut rng = Rng::new(seed);
        let large = rng.chance(0.05);
        let smooth = large || rng.chance(0.8);
        let mut g = Generator::new(rng, smooth);
        g.large = large;
        let starts = g.rng.size(1, 2);
        for _ in 0..starts {
            let ty = TensorType::new(g.float(), g.shape());
            g.new_input(ty);
        }
        let steps = if g.rng.chance(0.08) {
            g.rng.size(13, 40)
        } else {
            g.rng.size(2, 12)
        };
        g.grow(steps);
        let name = g
            .rng
            .pick(&["main", "f", "loss", "sin", "g_2"])
            .unwrap_or("main");
        let (graph, inputs) = g.finish(name);
        Case {
            graph,
            inputs,
            seed,
            // Differences of large arrays would take too long.
            smooth: smooth && !large,
        }
    }

    /// The same case with every float input moved a little, to leave a kink behind.
    pub fn moved(&self, attempt: u64) -> Case {
        let mut rng = Rng::new(Rng::seed(self.seed, attempt));
        let inputs = self
            .inputs
            .iter()
            .map(|a| crate::arrays::jitter(a, 0.02, &mut rng))
            .collect();
        Case {
            inputs,
            ..self.clone()
        }
    }
}

/// The most elements that an array of a random graph has, and of one that is large on purpose, to
/// meet what kernels do beyond the width of a vector and the size of a block.
const MOST_ELEMENTS: [usize; 2] = [64, 4096];

/// A graph that grows, with the value of every variable at the inputs drawn.
#[derive(Debug)]
pub struct Generator {
    /// The source of all choices.
    pub rng: Rng,
    /// Whether values are kept finite and of ordinary size.
    pub smooth: bool,
    b: Builder,
    values: HashMap<Var, Array>,
    pool: Vec<Var>,
    inputs: Vec<Array>,
    names: HashSet<String>,
    most_inputs: usize,
    depth: usize,
    callees: Vec<Arc<Graph>>,
    floats: &'static [DType],
    large: bool,
}

impl Generator {
    fn new(mut rng: Rng, smooth: bool) -> Generator {
        use DType::{C64, C128, F32, F64};
        let floats: [&'static [DType]; 8] = [
            &[F64],
            &[F64],
            &[F64],
            &[F32],
            &[F64, F32],
            &[F64, C128],
            &[F32, C64],
            &[C128, F64, C64, F32],
        ];
        let floats = rng.pick(&floats).unwrap_or(&[F64]);
        let most_inputs = rng.size(2, 5);
        Generator {
            rng,
            smooth,
            b: Builder::new(""),
            values: HashMap::new(),
            pool: Vec::new(),
            inputs: Vec::new(),
            names: HashSet::new(),
            most_inputs,
            depth: 0,
            callees: Vec::new(),
            floats,
            large: false,
        }
    }

    /// Adds operations, some tries of which may fail.
    pub fn grow(&mut self, steps: usize) {
        for _ in 0..steps {
            let kind = samples::draw(&mut self.rng);
            kind.sample(self);
        }
    }

    /// The graph with some of its unread variables as outputs, and the inputs.
    fn finish(mut self, name: &str) -> (Graph, Vec<Array>) {
        let mut read = HashSet::new();
        for e in self.b.graph().equations() {
            read.extend(e.args.iter().copied());
        }
        let mut ends: Vec<Var> = self
            .pool
            .iter()
            .copied()
            .filter(|v| !read.contains(v))
            .collect();
        self.rng.shuffle(&mut ends);
        // A float first, so that there is something to differentiate.
        ends.sort_by_key(|v| !self.b.dtype(*v).is_inexact());
        let most = self.rng.size(1, 4);
        ends.truncate(most);
        if ends.is_empty() || self.rng.chance(0.04) {
            ends.extend(self.rng.pick(&self.pool));
        }
        if self.rng.chance(0.04) {
            ends.extend(self.rng.pick(&ends.clone()));
        }
        if self.rng.chance(0.03) {
            let ty = TensorType::new(self.float(), self.shape());
            let constant = self.constant(&ty);
            ends.push(constant);
        }
        if self.depth > 0 && self.rng.chance(0.02) {
            ends.clear();
        }
        let graph = self.b.finish(&ends).map(|g| g.renamed(name));
        (
            graph.unwrap_or_else(|e| panic!("the generator drew a bad graph: {e}")),
            self.inputs,
        )
    }

    /// The value of a variable at the inputs.
    pub fn value(&self, v: Var) -> &Array {
        &self.values[&v]
    }

    /// The type of a variable.
    pub fn ty(&self, v: Var) -> TensorType {
        self.b.tensor(v)
    }

    /// One of the dtypes that this graph uses for floats.
    pub fn float(&mut self) -> DType {
        self.rng.pick(self.floats).unwrap_or(DType::F64)
    }

    /// A dtype out of those that `allowed` takes: a float most of the time.
    pub fn dtype(&mut self, allowed: impl Fn(DType) -> bool) -> Option<DType> {
        if self.rng.chance(0.7) {
            let float = self.float();
            if allowed(float) {
                return Some(float);
            }
        }
        let others: Vec<DType> = DType::ALL.iter().copied().filter(|d| allowed(*d)).collect();
        let others: Vec<DType> = match self.floats {
            // Graphs of some float dtypes stay so, but for conversions.
            own if others.len() > 1 => others
                .into_iter()
                .filter(|d| !d.is_inexact() || own.contains(d))
                .collect(),
            _ => others,
        };
        self.rng.pick(&others)
    }

    /// A shape of rank 0 to 4 with axes of length 0 to 4.
    pub fn shape(&mut self) -> Shape {
        loop {
            let rank = self
                .rng
                .pick(&[0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
                .unwrap_or(1);
            let shape: Shape = (0..rank).map(|_| self.length()).collect();
            if shape.elements() <= self.most() {
                return shape;
            }
        }
    }

    /// The most elements that an array may have.
    pub fn most(&self) -> usize {
        MOST_ELEMENTS[usize::from(self.large)]
    }

    /// The length of an axis.
    pub fn length(&mut self) -> usize {
        if self.large {
            return self.rng.pick(&[1, 2, 3, 5, 8, 13, 17, 33, 70]).unwrap_or(2);
        }
        if self.rng.chance(0.03) {
            0
        } else {
            self.rng.pick(&[1, 1, 2, 2, 2, 3, 3, 3, 4]).unwrap_or(2)
        }
    }

    /// A variable of a type that fits; recent ones more often.
    pub fn some(&mut self, fits: impl Fn(&TensorType) -> bool) -> Option<Var> {
        let fitting: Vec<Var> = self
            .pool
            .iter()
            .copied()
            .filter(|v| self.b.ty(*v).tensor().is_some_and(&fits))
            .collect();
        let last = fitting.len();
        let at = self.rng.below(last).max(self.rng.below(last));
        fitting.get(at).copied()
    }

    /// A variable of this dtype and any shape that fits, made if there is none.
    pub fn any(&mut self, dtype: DType, fits: impl Fn(&Shape) -> bool) -> Option<Var> {
        if self.rng.chance(0.85)
            && let Some(v) = self.some(|t| t.dtype == dtype && fits(&t.shape))
        {
            return Some(v);
        }
        for _ in 0..8 {
            let shape = match self.rng.chance(0.5) {
                true => self.some(|t| fits(&t.shape)).map(|v| self.ty(v).shape),
                false => None,
            };
            let shape = shape.unwrap_or_else(|| self.shape());
            if fits(&shape) {
                return Some(self.operand(dtype, &shape));
            }
        }
        None
    }

    /// A variable of this type: one that is there, one made from others, an input or a constant.
    pub fn operand(&mut self, dtype: DType, shape: &Shape) -> Var {
        let ty = TensorType::new(dtype, shape.clone());
        if self.rng.chance(0.7)
            && let Some(v) = self.some(|t| *t == ty)
        {
            return v;
        }
        if self.rng.chance(0.6)
            && let Some(v) = self.some(|t| t.dtype == dtype && t.shape.elements() > 0)
            && let Some(v) = self.adapt(v, shape)
        {
            return v;
        }
        if dtype.is_bool() && self.rng.chance(0.6) {
            let of = self.float();
            let x = self.operand_of_values(of, shape);
            let y = self.constant(&TensorType::new(of, shape.clone()));
            let op = self.rng.pick(Compare::ALL).unwrap_or(Compare::Lt);
            if let Some(v) = self.push(op, &[x, y]) {
                return v;
            }
        }
        if dtype.is_inexact() && self.rng.chance(0.3) {
            let other = self.some(|t| t.dtype != dtype && t.shape == *shape);
            if let Some(v) = other.and_then(|v| self.push(Op::Convert(dtype), &[v])) {
                return self.fit(v, -3.0, 3.0).unwrap_or(v);
            }
        }
        self.operand_of_values(dtype, shape)
    }

    fn operand_of_values(&mut self, dtype: DType, shape: &Shape) -> Var {
        let ty = TensorType::new(dtype, shape.clone());
        if self.inputs.len() < self.most_inputs && self.rng.chance(0.7) {
            return self.new_input(ty);
        }
        self.constant(&ty)
    }

    /// The elements of `x` in another shape, repeated or cut off as need be.
    pub fn adapt(&mut self, x: Var, shape: &Shape) -> Option<Var> {
        let have = self.ty(x).shape.elements();
        let want = shape.elements();
        if have == 0 {
            return None;
        }
        let times = want.div_ceil(have).max(1);
        let mut v = self.reshape(x, [have])?;
        if times > 1 {
            v = self.push(
                Broadcast {
                    shape: [times, have].into(),
                    dims: vec![1],
                },
                &[v],
            )?;
            v = self.reshape(v, [times * have])?;
        }
        if times * have != want {
            let cut = Slice {
                start: vec![0],
                limit: vec![want],
                stride: vec![1],
            };
            v = self.push(cut, &[v])?;
        }
        self.reshape(v, shape.clone())
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, x: Var, shape: impl Into<Shape>) -> Option<Var> {
        let shape = shape.into();
        if self.ty(x).shape == shape {
            Some(x)
        } else {
            self.push(Reshape { shape }, &[x])
        }
    }

    /// A new input with values drawn.
    pub fn new_input(&mut self, ty: TensorType) -> Var {
        let values = self.draw_values(&ty);
        self.given_input(ty, values)
    }

    fn given_input(&mut self, ty: TensorType, values: Array) -> Var {
        // Names that transformations and the printer make themselves must not be in their way.
        const NAMES: &[&str] = &[
            "x", "y", "w", "a", "b", "v0", "v1", "t_x", "ct_out0", "ct_out1", "r0", "r1", "t_t_x",
        ];
        let name = loop {
            let name = self.rng.pick(NAMES).unwrap_or("x").to_owned();
            if self.names.insert(name.clone()) {
                break name;
            }
            let name = format!("{name}_{}", self.inputs.len());
            if self.names.insert(name.clone()) {
                break name;
            }
        };
        let v = self.b.input(&name, ty);
        self.inputs.push(values.clone());
        self.values.insert(v, values);
        self.pool.push(v);
        v
    }

    /// A constant of this type, one number everywhere or an array.
    pub fn constant(&mut self, ty: &TensorType) -> Var {
        let op = if ty.shape.is_scalar() || self.rng.chance(0.6) {
            Op::Full(self.draw_value(ty.dtype), ty.shape.clone())
        } else {
            Op::Constant(self.draw_values(ty))
        };
        self.push_constant(op)
    }

    /// One number everywhere.
    pub fn full(&mut self, value: Scalar, shape: &Shape) -> Var {
        self.push_constant(Op::Full(value, shape.clone()))
    }

    fn push_constant(&mut self, op: Op) -> Var {
        let v = self.b.push(op.clone(), &[]);
        let value = eval_op(&op, &[], &self.b.tensor(v));
        self.values.insert(
            v,
            value.unwrap_or_else(|e| panic!("a constant has no value: {e}")),
        );
        v
    }

    /// An array of values that operations of its dtype take.
    pub fn draw_values(&mut self, ty: &TensorType) -> Array {
        let n = ty.shape.elements();
        let values: Vec<Scalar> = (0..n).map(|_| self.draw_value(ty.dtype)).collect();
        Array::from_scalars(ty.dtype, ty.shape.clone(), values)
            .unwrap_or_else(|e| panic!("values of {ty}: {e}"))
    }

    fn draw_value(&mut self, dtype: DType) -> Scalar {
        if dtype.is_complex() {
            let mut part = || self.draw_value(dtype.real()).to_f64();
            return Scalar::from_complex(dtype, Complex64::new(part(), part()));
        }
        if dtype.is_bool() {
            return Scalar::Bool(self.rng.chance(0.5));
        }
        if dtype.is_inexact() {
            const ROUND: &[f64] = &[0.5, 1.0, -1.0, 2.0, -0.25, 1.5, 3.0];
            const WILD: &[f64] = &[
                0.0,
                -0.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NAN,
                1e-310,
                1e-40,
                1e20,
                -1e-7,
            ];
            let x = if !self.smooth && self.rng.chance(0.25) {
                self.rng.pick(WILD).unwrap_or(0.0)
            } else if self.rng.chance(0.15) {
                self.rng.pick(ROUND).unwrap_or(1.0)
            } else {
                self.rng.uniform(-2.0, 2.0)
            };
            return Scalar::from_f64(dtype, x);
        }
        if !self.smooth && self.rng.chance(0.25) {
            const WILD: &[i64] = &[
                i64::MIN,
                i64::MAX,
                -1,
                0,
                255,
                256,
                i32::MIN as i64,
                i32::MAX as i64,
                1 << 32,
            ];
            return cotangent_graph::ops::wrap(dtype, self.rng.pick(WILD).unwrap_or(0));
        }
        let lo = if dtype.is_signed() { -4 } else { 0 };
        Scalar::from_i64(dtype, self.rng.between(lo, 8))
    }

    /// Adds an operation, unless the operands do not fit or, in a smooth graph, a value leaves the
    /// ordinary range.
    pub fn push(&mut self, op: impl Into<Op>, args: &[Var]) -> Option<Var> {
        let (v, known) = self.emit(op.into(), args, false)?;
        if !known {
            self.pool.push(v);
        }
        Some(v)
    }

    /// As [`Generator::push`], for a step on the way to finite values: it may hold infinities in any graph, and
    /// no other operation is drawn with it.
    pub fn push_infinite(&mut self, op: impl Into<Op>, args: &[Var]) -> Option<Var> {
        self.emit(op.into(), args, true).map(|(v, _)| v)
    }

    /// The variable of an operation, and whether it was there.
    fn emit(&mut self, op: Op, args: &[Var], infinite: bool) -> Option<(Var, bool)> {
        let types: Vec<_> = args.iter().map(|a| self.b.ty(*a).clone()).collect();
        let ty = op
            .infer(&types.iter().collect::<Vec<_>>())
            .ok()?
            .tensor()?
            .clone();
        let operands: Vec<&Array> = args.iter().map(|a| &self.values[a]).collect();
        let value = eval_op(&op, &operands, &ty).ok()?;
        if !infinite && !self.takes(&value) {
            return None;
        }
        let v = self.b.push(op, args);
        let known = self.values.insert(v, value).is_some();
        Some((v, known))
    }

    fn takes(&self, value: &Array) -> bool {
        !self.smooth || !value.dtype().is_inexact() || (is_finite(value) && extent(value).1 < 1e6)
    }

    /// In a smooth graph `x` with its values moved between `lo` and `hi`, unless they are there.
    pub fn fit(&mut self, x: Var, lo: f64, hi: f64) -> Option<Var> {
        let ty = self.ty(x);
        if !self.smooth || !ty.dtype.is_inexact() || ty.shape.elements() == 0 {
            return Some(x);
        }
        if ty.dtype.is_complex() {
            return self.fit_complex(x, lo, hi);
        }
        let (least, most) = crate::arrays::range(self.value(x));
        if least >= lo && most <= hi && self.rng.chance(0.9) {
            return Some(x);
        }
        let (middle, half) = ((lo + hi) / 2.0, (hi - lo) / 2.0);
        let number = |g: &mut Generator, x: f64| g.full(Scalar::from_f64(ty.dtype, x), &ty.shape);
        let largest = extent(self.value(x)).1;
        let squashed = match self.rng.below(10) {
            0..=2 => {
                let s = self.push(Unary::Sin, &[x])?;
                let by = number(self, 0.9 * half);
                self.push(Binary::Mul, &[s, by])?
            }
            3..=4 => {
                let s = self.push(Unary::Tanh, &[x])?;
                let by = number(self, 0.9 * half);
                self.push(Binary::Mul, &[s, by])?
            }
            5 => {
                let (lo, hi) = (number(self, lo + 0.1 * half), number(self, hi - 0.1 * half));
                return self.push(Ternary::Clamp, &[x, lo, hi]);
            }
            _ => {
                // A power of two keeps the printed graph readable.
                let by = (0.9 * half / largest.max(1e-3)).log2().floor().exp2();
                let by = number(self, by);
                self.push(Binary::Mul, &[x, by])?
            }
        };
        if middle == 0.0 {
            return Some(squashed);
        }
        let middle = number(self, middle);
        self.push(Binary::Add, &[squashed, middle])
    }

    /// `x` moved into a disc around the middle of an interval, small enough that no pole or branch point of
    /// an operation that is smooth on the interval lies in it.
    fn fit_complex(&mut self, x: Var, lo: f64, hi: f64) -> Option<Var> {
        let ty = self.ty(x);
        let (middle, radius) = ((lo + hi) / 2.0, ((hi - lo) / 2.0).min(0.8));
        let inside = |s: Scalar| (s.to_complex() - middle).norm() <= radius;
        if self.value(x).scalars().all(inside) && self.rng.chance(0.9) {
            return Some(x);
        }
        let number = |g: &mut Generator, x: f64| g.full(Scalar::from_f64(ty.dtype, x), &ty.shape);
        let largest = extent(self.value(x)).1;
        let by = (0.9 * radius / largest.max(1e-3)).log2().floor().exp2();
        let by = number(self, by);
        let scaled = self.push(Binary::Mul, &[x, by])?;
        if middle == 0.0 {
            return Some(scaled);
        }
        let middle = number(self, middle);
        self.push(Binary::Add, &[scaled, middle])
    }

    /// Positions from 0 to before `n` of an integer dtype and this shape.
    pub fn index(&mut self, n: usize, dtype: DType, shape: &Shape) -> Option<Var> {
        if n == 0 && shape.elements() > 0 {
            return None;
        }
        let largest = Scalar::from_i64(dtype, n as i64);
        if self.rng.chance(0.4) || n == 0 {
            let places: Vec<Scalar> = (0..shape.elements())
                .map(|_| Scalar::from_i64(dtype, self.rng.below(n) as i64))
                .collect();
            let places = Array::from_scalars(dtype, shape.clone(), places).ok()?;
            // Wild graphs read some positions from inputs as they stand, to be made wrong later.
            if !self.smooth && self.inputs.len() < self.most_inputs && self.rng.chance(0.3) {
                let ty = TensorType::new(dtype, shape.clone());
                return Some(self.given_input(ty, places));
            }
            return Some(self.push_constant(match places.at(0) {
                Some(only) if shape.is_scalar() => Op::Full(only, shape.clone()),
                _ => Op::Constant(places),
            }));
        }
        let x = self.operand(dtype, shape);
        if self.rng.chance(0.5) {
            let n = self.full(largest, shape);
            return self.push(Binary::Rem, &[x, n]);
        }
        let least = self.full(Scalar::zero(dtype), shape);
        let most = self.full(Scalar::from_i64(dtype, n as i64 - 1), shape);
        self.push(Ternary::Clamp, &[x, least, most])
    }

    /// Calls a graph drawn for the purpose, or one that was called before.
    pub fn call(&mut self) -> Option<()> {
        if self.depth >= 2 {
            return None;
        }
        let known = if self.rng.chance(0.35) {
            self.rng.pick(&self.callee_numbers())
        } else {
            None
        };
        let (callee, args) = match known.map(|i| self.callees[i].clone()) {
            Some(callee) => {
                let types = callee.input_types();
                let args = types
                    .iter()
                    .map(|t| self.operand(t.dtype, &t.shape))
                    .collect();
                (callee, args)
            }
            None => self.new_callee()?,
        };
        let values: Vec<Array> = args.iter().map(|a| self.values[a].clone()).collect();
        let results = eval(&callee, &values).ok()?;
        if !results.iter().all(|r| self.takes(r)) {
            return None;
        }
        let vars = self.b.call(&callee, &args);
        for (v, value) in vars.into_iter().zip(results) {
            if self.values.insert(v, value).is_none() {
                self.pool.push(v);
            }
        }
        Some(())
    }

    fn callee_numbers(&self) -> Vec<usize> {
        (0..self.callees.len()).collect()
    }

    /// Adds an operation of linear algebra; the first of its results.
    pub fn linalg(&mut self, op: impl Into<Linalg>, args: &[Var]) -> Option<Var> {
        let op = op.into();
        let types: Vec<TensorType> = args.iter().map(|a| self.ty(*a)).collect();
        let results = op.results(&types.iter().collect::<Vec<_>>()).ok()?;
        let values: Vec<&Array> = args.iter().map(|a| &self.values[a]).collect();
        let values = op.eval(&values, &results).ok()?;
        if !values.iter().all(|r| self.takes(r)) {
            return None;
        }
        let vars = self.b.linalg(op, args);
        for (v, value) in vars.iter().zip(values) {
            if self.values.insert(*v, value).is_none() {
                self.pool.push(*v);
            }
        }
        vars.first().copied()
    }

    /// Adds a branch or a loop.
    pub fn region(&mut self, region: Region, args: &[Var]) -> Option<Var> {
        if self.depth >= 2 {
            return None;
        }
        let types: Vec<TensorType> = args.iter().map(|a| self.ty(*a)).collect();
        region.infer(&types.iter().collect::<Vec<_>>()).ok()?;
        let values: Vec<Array> = args.iter().map(|a| self.values[a].clone()).collect();
        let run = &mut |callee: &Callee, inputs: &[Array]| eval(&callee.0, inputs);
        let results = region.eval(&values, run).ok()?;
        if !results.iter().all(|r| self.takes(r)) {
            return None;
        }
        let vars = self.b.region(region, args);
        for (v, value) in vars.iter().zip(results) {
            if self.values.insert(*v, value).is_none() {
                self.pool.push(*v);
            }
        }
        vars.first().copied()
    }

    /// A generator of a body with inputs of these types and values.
    pub fn nested(&mut self, inputs: &[(TensorType, Array)]) -> Generator {
        let mut inner = Generator::new(Rng::new(self.rng.bits()), self.smooth);
        inner.floats = self.floats;
        inner.large = self.large;
        inner.depth = self.depth + 1;
        inner.callees = self.callees.clone();
        for (ty, value) in inputs {
            inner.given_input(ty.clone(), value.clone());
        }
        inner.most_inputs = 0;
        inner
    }

    /// The input at this place.
    pub fn input(&self, i: usize) -> Option<Var> {
        self.b.graph().inputs().get(i).map(|(_, v)| *v)
    }

    /// A variable of this type, of ordinary size, that may be the result of a body.
    pub fn result(&mut self, ty: &TensorType) -> Option<Var> {
        let v = self.operand(ty.dtype, &ty.shape);
        self.fit(v, -3.0, 3.0)
    }

    /// The graph with these outputs.
    pub fn finish_with(self, name: &str, outputs: &[Var]) -> Callee {
        let graph = self.b.finish(outputs).map(|g| g.renamed(name));
        Callee(Arc::new(graph.unwrap_or_else(|e| {
            panic!("the generator drew a bad body: {e}")
        })))
    }

    fn new_callee(&mut self) -> Option<(Arc<Graph>, Vec<Var>)> {
        let count = self.rng.size(1, 3);
        let args: Vec<Var> = (0..count).filter_map(|_| self.some(|_| true)).collect();
        let inputs: Vec<(TensorType, Array)> = args
            .iter()
            .map(|a| (self.ty(*a), self.values[a].clone()))
            .collect();
        let mut inner = self.nested(&inputs);
        let steps = self.rng.size(1, 5);
        inner.grow(steps);
        let name = self
            .rng
            .pick(&["f", "g", "h", "cos", "f_2", "my-part", "let"])?;
        let callee = Arc::new(inner.finish(name).0);
        self.callees.push(callee.clone());
        Some((callee, args))
    }
}
