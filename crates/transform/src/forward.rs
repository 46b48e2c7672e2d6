//! Forward mode: tangents beside values.

use cotangent_array::Scalar;
use cotangent_graph::ops::complex::{abs_jvp, complex_jvp};
use cotangent_graph::ops::{Binary, Linalg, Ternary, Unary};
use cotangent_graph::{Builder, Equation, FastMap, Graph, Op, TensorType, Var};

use crate::TransformError;
use crate::regions;

/// The Jacobian-vector product: the graph of the values and of the directional derivative.
///
/// `wrt` chooses the inputs that vary. Inputs of the result: those of `graph`, then a tangent
/// `t_NAME` of the same type for every chosen input. Outputs: those of `graph`, then the tangents
/// of its float and complex outputs. Of complex variables this is the differential over the real numbers:
/// f'(z) t where f is holomorphic.
///
/// # Errors
/// A choice that does not fit the inputs, or that names an input that is neither a float nor complex.
pub fn jvp(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
    let (mut b, forward) = Forward::start(graph, wrt, "jvp", false)?;
    let mut outputs = forward.values(graph);
    for (o, value) in graph.outputs().iter().zip(forward.values(graph)) {
        if is_inexact(&b.tensor(value)) {
            let tangent = forward.tangents[o.index()];
            outputs.push(tangent.unwrap_or_else(|| b.like(value, 0.0)));
        }
    }
    let out = b.finish(&outputs)?.into_live(&[]);
    regions::check_forward(&out)?;
    Ok(out)
}

/// A walk over a graph that emits each operation and, where its operands vary, its tangent.
pub(crate) struct Forward {
    /// The variable in the new graph for each of the old one.
    pub(crate) to: Vec<Var>,
    /// The tangent of each variable; `None` is zero.
    pub(crate) tangents: Vec<Option<Var>>,
    /// The tangent inputs, in order of the chosen inputs.
    pub(crate) seeds: Vec<Var>,
    /// Whether the tangents are to be a linear part that can be taken out or transposed; values and
    /// tangents then share nothing but what is known without the tangents.
    split: bool,
    /// The results of calls and of linear algebra: their components and the tangents of these.
    parts: FastMap<Var, Vec<(Var, Option<Var>)>>,
    /// The operands of one operation and their tangents: lists that every step fills anew.
    operands: (Vec<Var>, Vec<Option<Var>>),
}

impl Forward {
    /// Copies `graph` into a new builder named `graph_SUFFIX`, with tangents from new inputs.
    pub(crate) fn start(
        graph: &Graph,
        wrt: &[bool],
        suffix: &str,
        split: bool,
    ) -> Result<(Builder, Forward), TransformError> {
        let finite = vec![true; wrt.len()];
        Forward::start_with(graph, wrt, suffix, split, &finite, &finite)
    }

    /// The same where only some inputs, and only the tangents of some, are known to be finite, as
    /// in a callee.
    pub(crate) fn start_with(
        graph: &Graph,
        wrt: &[bool],
        suffix: &str,
        split: bool,
        finite: &[bool],
        finite_tangents: &[bool],
    ) -> Result<(Builder, Forward), TransformError> {
        check_choice(graph, wrt)?;
        let mut b = Builder::new(&format!("{}_{suffix}", graph.name()));
        let inputs: Vec<Var> = graph
            .inputs()
            .iter()
            .zip(graph.input_types())
            .map(|((n, _), t)| b.input(n, t))
            .collect();
        for (v, _) in inputs.iter().zip(finite).filter(|(_, finite)| !**finite) {
            b.set_open(*v);
        }
        let mut seeds = Vec::new();
        let mut tangents = vec![None; inputs.len()];
        for (i, (name, _)) in graph.inputs().iter().enumerate().filter(|(i, _)| wrt[*i]) {
            let ty = b.tensor(inputs[i]);
            let seed = b.input(&format!("t_{name}"), ty);
            if !finite_tangents.get(i).copied().unwrap_or(true) {
                b.set_open(seed);
            }
            seeds.push(seed);
            tangents[i] = Some(seed);
        }
        let mut forward = Forward::walk(&mut b, graph, &inputs, &tangents, split)?;
        forward.seeds = seeds;
        Ok((b, forward))
    }

    /// Copies `graph` into `b` on the given inputs and their tangents.
    pub(crate) fn walk(
        b: &mut Builder,
        graph: &Graph,
        inputs: &[Var],
        input_tangents: &[Option<Var>],
        split: bool,
    ) -> Result<Forward, TransformError> {
        let Some((open, to)) = regions::opened(graph)? else {
            return Forward::walk_open(b, graph, inputs, input_tangents, split);
        };
        let walked = Forward::walk_open(b, &open, inputs, input_tangents, split)?;
        let values = to.iter().map(|v| v.map(|v| walked.to[v.index()]));
        let tangents = to.iter().map(|v| walked.tangents[v.as_ref()?.index()]);
        Ok(Forward {
            to: values.map(|v| v.unwrap_or(Var::from_index(0))).collect(),
            tangents: tangents.collect(),
            ..walked
        })
    }

    /// The same for a graph without checkpoints.
    fn walk_open(
        b: &mut Builder,
        graph: &Graph,
        inputs: &[Var],
        input_tangents: &[Option<Var>],
        split: bool,
    ) -> Result<Forward, TransformError> {
        let n = graph.equations().len();
        b.reserve(2 * n);
        let mut f = Forward {
            // Dead equations are never read, so any variable stands for them.
            to: vec![Var::from_index(0); n],
            tangents: vec![None; n],
            seeds: Vec::new(),
            split,
            parts: FastMap::default(),
            operands: (Vec::new(), Vec::new()),
        };
        for (((_, v), input), tangent) in graph.inputs().iter().zip(inputs).zip(input_tangents) {
            f.to[v.index()] = *input;
            f.tangents[v.index()] = *tangent;
        }
        let live = graph.live();
        for (v, e) in graph
            .iter()
            .filter(|(v, e)| live[v.index()] && !e.op.is_input())
        {
            b.follow(e);
            f.step(b, v, e)?;
            if b.failed() {
                break;
            }
        }
        b.set_location(None);
        Ok(f)
    }

    /// The outputs of the graph in the new one.
    pub(crate) fn values(&self, graph: &Graph) -> Vec<Var> {
        graph.outputs().iter().map(|o| self.to[o.index()]).collect()
    }

    fn step(&mut self, b: &mut Builder, v: Var, e: &Equation) -> Result<(), TransformError> {
        if let (Op::Get(index), Some(tuple)) = (&e.op, e.args.first()) {
            if let Some((value, tangent)) = self.parts.get(tuple).and_then(|p| p.get(*index)) {
                self.to[v.index()] = *value;
                self.tangents[v.index()] = *tangent;
            }
            return Ok(());
        }
        let (mut args, mut tangents) = std::mem::take(&mut self.operands);
        args.clear();
        args.extend(e.args.iter().map(|a| self.to[a.index()]));
        tangents.clear();
        tangents.extend(e.args.iter().map(|a| self.tangents[a.index()]));
        let done = self.operation(b, v, e, &args, &tangents);
        self.operands = (args, tangents);
        done
    }

    fn operation(
        &mut self,
        b: &mut Builder,
        v: Var,
        e: &Equation,
        args: &[Var],
        tangents: &[Option<Var>],
    ) -> Result<(), TransformError> {
        if e.op.callees().next().is_some() {
            let results = regions::forward(b, &e.op, args, tangents, self.split, e.location)?;
            if let ([(value, tangent)], Some(_)) = (&results[..], e.ty.tensor()) {
                self.to[v.index()] = *value;
                self.tangents[v.index()] = *tangent;
            }
            self.parts.insert(v, results);
            return Ok(());
        }
        if let Op::Native(native) = &e.op {
            if tangents.iter().any(Option::is_some) && e.ty.components().iter().any(is_inexact) {
                return Err(TransformError::NoRule {
                    op: native.name().to_owned(),
                    why: "is a native operation without a rule for its derivative; give the \
                          function around it one by `with_jvp` or `with_vjp`, or stop the gradient \
                          of its operands",
                    location: e.location,
                });
            }
            let values = b.results(e.op.clone(), args);
            if let ([value], Some(_)) = (&values[..], e.ty.tensor()) {
                self.to[v.index()] = *value;
            }
            self.parts
                .insert(v, values.into_iter().map(|value| (value, None)).collect());
            return Ok(());
        }
        if let Op::Linalg(op) = &e.op {
            self.linalg(b, v, e, op, args, tangents);
            return Ok(());
        }
        let out = b.copy(e, args);
        self.to[v.index()] = out;
        if tangents.iter().any(Option::is_some) && b.dtype(out).is_inexact() {
            b.follow_derivative(e);
            self.tangents[v.index()] = tangent(b, &e.op, args, out, tangents);
        }
        Ok(())
    }

    /// An operation of linear algebra: all results and their tangents.
    fn linalg(
        &mut self,
        b: &mut Builder,
        v: Var,
        e: &Equation,
        op: &Linalg,
        args: &[Var],
        tangents: &[Option<Var>],
    ) {
        let outs = b.linalg(op.clone(), args);
        let moved = match tangents.iter().any(Option::is_some) {
            true => op.jvp(b, args, &outs, tangents),
            false => vec![None; outs.len()],
        };
        let results: Vec<(Var, Option<Var>)> = outs.into_iter().zip(moved).collect();
        if let ([(value, tangent)], Some(_)) = (&results[..], e.ty.tensor()) {
            self.to[v.index()] = *value;
            self.tangents[v.index()] = *tangent;
        }
        self.parts.insert(v, results);
    }
}

/// The tangent of one operation with one result: one match over the families.
pub(crate) fn tangent(
    b: &mut Builder,
    op: &Op,
    args: &[Var],
    out: Var,
    tangents: &[Option<Var>],
) -> Option<Var> {
    match (op, args, tangents) {
        (Op::Unary(Unary::Abs), [z], [Some(t)]) if b.dtype(*z).is_complex() => {
            Some(abs_jvp(b, *z, out, *t))
        }
        (Op::Part(op), [z], [Some(t)]) => Some(op.jvp(b, *z, *t)),
        (Op::Complex, [re, im], [tre, tim]) => complex_jvp(b, [*re, *im], [*tre, *tim]),
        (Op::Unary(op), [x], [Some(t)]) => {
            let partial = op.partial(b, *x, out);
            scale(b, *t, partial)
        }
        (Op::Indexed(op, n), [x], [Some(t)]) => {
            let partial = op.partial(*n, b, *x);
            scale(b, *t, partial)
        }
        (Op::Binary(Binary::Zmul), [x, y], [tx, ty]) => {
            // Bilinear, and both factors may be tangents of some level.
            let left = tx.map(|t| product(b, Binary::Zmul, t, *y));
            let right = ty.map(|t| product(b, Binary::Zmul, t, *x));
            sum(b, left, right)
        }
        (Op::Binary(op), [x, y], [tx, ty]) => {
            let left = tx.and_then(|t| {
                let partial = op.partial(0, b, *x, *y, out);
                scale(b, t, partial)
            });
            let right = ty.and_then(|t| match op {
                Binary::Sub if left.is_some() => Some(t),
                _ => {
                    let partial = op.partial(1, b, *x, *y, out);
                    scale(b, t, partial)
                }
            });
            match (op, left, right) {
                (Binary::Sub, Some(l), Some(r)) => Some(b.sub(l, r)),
                _ => sum(b, left, right),
            }
        }
        (Op::Ternary(Ternary::Select), [c, x, y], [_, tx, ty]) => {
            if tx.is_none() && ty.is_none() {
                return None;
            }
            let tx = tx.unwrap_or_else(|| b.like(*x, 0.0));
            let ty = ty.unwrap_or_else(|| b.like(*y, 0.0));
            Some(b.select(*c, tx, ty))
        }
        (Op::Ternary(op), [x, y, z], tangents) => {
            let mut total = None;
            for (i, t) in tangents.iter().enumerate() {
                if let Some(t) = t {
                    let partial = op.partial(i, b, *x, *y, *z);
                    let term = scale(b, *t, partial);
                    total = sum(b, total, term);
                }
            }
            total
        }
        (Op::Special(op, orders), args, tangents) => {
            let mut total = None;
            for (i, t) in tangents.iter().enumerate() {
                if let Some(t) = t {
                    let partial = op.partial(*orders, i, b, args);
                    let term = scale(b, *t, partial);
                    total = sum(b, total, term);
                }
            }
            total
        }
        (Op::Convert(dtype), _, [Some(t)]) => Some(b.convert(*dtype, *t)),
        (Op::Array(op), args, tangents) => op.jvp(b, args, out, tangents),
        // Comparisons and tests give bools; inputs and constants have no operands.
        _ => None,
    }
}

/// The tangent times the partial, nothing for the partials 0, 1 and -1.
pub(crate) fn scale(b: &mut Builder, tangent: Var, partial: Var) -> Option<Var> {
    match b.graph().splat(partial).and_then(Scalar::as_real) {
        Some(0.0) => return None,
        Some(1.0) => return Some(tangent),
        Some(-1.0) => return Some(b.unary(Unary::Neg, tangent)),
        _ => {}
    }
    Some(product(b, Binary::Mul, tangent, partial))
}

/// A tangent or cotangent times a known factor. For `mul` a plain product where both are known to
/// be finite, the strong zero elsewhere: a factor may be a tangent of another level, and whichever
/// of the two is 0 stays so beside an infinity, so that both modes agree, which meet such a pair
/// from opposite sides. What is a `zmul` already stays one. No product at all where the tangent is
/// 1 everywhere, as the seed of a gradient is.
pub(crate) fn product(b: &mut Builder, op: Binary, c: Var, factor: Var) -> Var {
    let splat = |v| b.graph().splat(v);
    let is_plain = |v| splat(v).is_some_and(|s| s.as_real() != Some(0.0) && s.is_finite());
    match splat(c).and_then(Scalar::as_real) {
        Some(1.0) => factor,
        Some(-1.0) => b.unary(Unary::Neg, factor),
        // Beside a number that is neither 0 nor infinite the product needs no care.
        _ if is_plain(c) || is_plain(factor) => b.binary(Binary::Mul, c, factor),
        _ if b.is_finite(c) && b.is_finite(factor) => b.binary(op, c, factor),
        _ => b.binary(Binary::Zmul, c, factor),
    }
}

/// The sum of two tangents or cotangents that may be zero.
pub(crate) fn sum(b: &mut Builder, x: Option<Var>, y: Option<Var>) -> Option<Var> {
    match (x, y) {
        (Some(x), Some(y)) => Some(b.add(x, y)),
        (x, y) => x.or(y),
    }
}

/// Whether variables of this type may vary: floats and complex numbers.
pub(crate) fn is_inexact(ty: &TensorType) -> bool {
    ty.dtype.is_inexact()
}

/// Whether this is a real type that may vary.
pub(crate) fn is_float(ty: &TensorType) -> bool {
    ty.dtype.is_float()
}

/// Fails unless the choice names each input once and only floats and complex numbers, and at least
/// one.
pub(crate) fn check_choice(graph: &Graph, wrt: &[bool]) -> Result<(), TransformError> {
    if wrt.len() != graph.inputs().len() {
        return Err(TransformError::InputCount {
            graph: graph.name().to_owned(),
            expected: graph.inputs().len(),
            found: wrt.len(),
        });
    }
    if !wrt.contains(&true) {
        return Err(TransformError::NothingChosen {
            graph: graph.name().to_owned(),
        });
    }
    for ((name, v), _) in graph
        .inputs()
        .iter()
        .zip(wrt)
        .filter(|(_, chosen)| **chosen)
    {
        if !graph.ty(*v).tensor().is_some_and(is_inexact) {
            return Err(TransformError::NotFloat {
                graph: graph.name().to_owned(),
                name: name.to_string(),
                found: graph.ty(*v).to_string(),
            });
        }
    }
    Ok(())
}
