//! The paths from an input to the outputs, and where they end.

use cotangent_graph::ops::{ArrayOp, Binary, Region, RuleKind, Ternary, Unary};
use cotangent_graph::{Builder, Equation, EvalError, Location, Op, Type, Var, eval};
use cotangent_transform as transform;

use super::{End, Explanation};
use crate::{Array, Complex64, Error, Graph, Scalar};

/// Why the gradient with respect to each chosen input is zero at a point, or is not.
///
/// A direction is drawn for the input and followed through every operation. Where an operation's
/// tangent vanishes for an operand that varies, a path ends, and the reason is said. Calls and
/// branches are looked into; a loop is one operation.
///
/// # Errors
/// Inputs that do not fit, an index out of range, or an operation without a derivative.
pub fn gradients(graph: &Graph, inputs: &[Array], wrt: &[bool]) -> Result<Vec<Explanation>, Error> {
    // The reference evaluator says what is wrong with inputs.
    eval(graph, inputs)?;
    let mut all = Vec::new();
    for (i, ((name, v), _)) in graph
        .inputs()
        .iter()
        .zip(wrt)
        .enumerate()
        .filter(|(_, (_, w))| **w)
    {
        let mut tangents: Vec<Option<Array>> = vec![None; inputs.len()];
        if let (Some(array), Some(tangent)) = (inputs.get(i), tangents.get_mut(i)) {
            *tangent = direction(array)?;
        }
        let mut walk = Walk { ends: Vec::new() };
        let outputs = walk.graph(graph, inputs, &tangents)?;
        let reaches = outputs.iter().any(Option::is_some);
        if !graph.equations().iter().any(|e| e.args.contains(v)) && !graph.outputs().contains(v) {
            let reason = format!("`{name}` is not used by anything that an output depends on");
            walk.end(None, reason);
        }
        all.push(Explanation {
            input: name.to_string(),
            reaches,
            ends: walk.ends,
        });
    }
    Ok(all)
}

struct Walk {
    ends: Vec<End>,
}

impl Walk {
    fn end(&mut self, location: Option<Location>, reason: String) {
        let location = location.map(Location::origin);
        let end = End { location, reason };
        if !self.ends.contains(&end) {
            self.ends.push(end);
        }
    }

    /// The tangents of the outputs; `None` is zero.
    fn graph(
        &mut self,
        graph: &Graph,
        inputs: &[Array],
        input_tangents: &[Option<Array>],
    ) -> Result<Vec<Option<Array>>, Error> {
        let count = graph.equations().len();
        let mut values: Vec<Vec<Array>> = vec![Vec::new(); count];
        let mut tangents: Vec<Vec<Option<Array>>> = vec![Vec::new(); count];
        for (((_, v), value), tangent) in graph.inputs().iter().zip(inputs).zip(input_tangents) {
            values[v.index()] = vec![value.clone()];
            tangents[v.index()] = vec![tangent.clone()];
        }
        let live = graph.live();
        let varies = |t: &[Option<Array>]| t.iter().any(Option::is_some);
        for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
            if !live[v.index()] {
                // What no output needs is not computed, but a path may end in it.
                let reads = e.args.iter().any(|a| varies(&tangents[a.index()]));
                let only = e.args.iter().all(|a| live[a.index()]);
                if reads && only {
                    self.end(
                        e.location,
                        format!("no output depends on the result of `{}`", e.op.label()),
                    );
                }
                continue;
            }
            if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first()) {
                values[v.index()] = values[tuple.index()].get(*i).cloned().into_iter().collect();
                let tangent = tangents[tuple.index()].get(*i).cloned();
                tangents[v.index()] = tangent.into_iter().collect();
                continue;
            }
            let args: Vec<Array> = (e.args.iter())
                .filter_map(|a| values[a.index()].first().cloned())
                .collect();
            let moving: Vec<Option<Array>> = (e.args.iter())
                .map(|a| tangents[a.index()].first().cloned().flatten())
                .collect();
            values[v.index()] = evaluate(graph, e, &args)?;
            tangents[v.index()] = match varies(&moving) {
                true => self.equation(graph, e, &args, &moving)?,
                false => vec![None; e.ty.components().len()],
            };
        }
        let outputs = graph.outputs().iter();
        Ok(outputs
            .map(|o| tangents[o.index()].first().cloned().flatten())
            .collect())
    }

    fn equation(
        &mut self,
        graph: &Graph,
        e: &Equation,
        args: &[Array],
        moving: &[Option<Array>],
    ) -> Result<Vec<Option<Array>>, Error> {
        match &e.op {
            Op::Call(callee) => return self.graph(&callee.0, args, moving),
            Op::Native(native) => {
                let name = native.name();
                let reason = format!("native operation `{name}` has no rule for its derivative");
                self.end(e.location, reason);
                return Ok(vec![None; e.ty.components().len()]);
            }
            Op::Region(Region::Cond(c)) => {
                let taken = args.first().map_or(Ok(false), Array::item::<bool>)?;
                let branch = if taken { &c.then } else { &c.otherwise };
                let (args, moving) = (args.get(1..), moving.get(1..));
                let (args, moving) = (args.unwrap_or_default(), moving.unwrap_or_default());
                let side = if taken { "then" } else { "otherwise" };
                for ((_, v), t) in branch.0.inputs().iter().zip(moving) {
                    let used = branch.0.equations().iter().any(|e| e.args.contains(v))
                        || branch.0.outputs().contains(v);
                    if t.is_some() && !used {
                        let reason =
                            format!("`cond` takes the arm `{side}` here, which does not use it");
                        self.end(e.location, reason);
                    }
                }
                return self.graph(&branch.0, args, moving);
            }
            _ => {}
        }
        let count = e.ty.components().len();
        let mut some = vec![false; count];
        for (i, tangent) in moving.iter().enumerate() {
            if tangent.is_none() {
                continue;
            }
            let mut alone = vec![None; moving.len()];
            alone[i] = tangent.clone();
            let own = push(graph, e, args, &alone)?;
            match own.iter().any(Option::is_some) {
                false => self.end(e.location, reason(e, i, args)),
                true => own
                    .iter()
                    .zip(&mut some)
                    .for_each(|(own, some)| *some |= own.is_some()),
            }
        }
        let all = match moving.iter().flatten().count() {
            0 => vec![None; count],
            _ => push(graph, e, args, moving)?,
        };
        if some.contains(&true) && all.iter().all(Option::is_none) {
            let reason = format!(
                "the derivatives by the operands of `{}` cancel",
                e.op.label()
            );
            self.end(e.location, reason);
        }
        Ok(all)
    }
}

/// The values of one operation.
fn evaluate(graph: &Graph, e: &Equation, args: &[Array]) -> Result<Vec<Array>, Error> {
    Ok(eval(&alone(graph, e)?, args)?)
}

/// The tangents of one operation's results; `None` where they are zero.
fn push(
    graph: &Graph,
    e: &Equation,
    args: &[Array],
    tangents: &[Option<Array>],
) -> Result<Vec<Option<Array>>, Error> {
    let none = vec![None; e.ty.components().len()];
    if !e.ty.components().iter().any(|t| t.dtype.is_inexact()) {
        return Ok(none);
    }
    let one = alone(graph, e)?;
    let wrt: Vec<bool> = tangents.iter().map(Option::is_some).collect();
    let pushed = transform::jvp(&one, &wrt)?;
    let given: Vec<Array> = args
        .iter()
        .chain(tangents.iter().flatten())
        .cloned()
        .collect();
    let found = eval(&pushed, &given)?;
    let mut found = found.into_iter().skip(none.len());
    let is_zero = |a: &Array| a.scalars().all(|x| x.as_real() == Some(0.0));
    let types = e.ty.components().iter();
    Ok(types
        .map(|t| match t.dtype.is_inexact() {
            true => found.next().filter(|a| !is_zero(a)),
            false => None,
        })
        .collect())
}

/// A graph of the one operation.
fn alone(graph: &Graph, e: &Equation) -> Result<Graph, Error> {
    let mut b = Builder::new(e.op.label());
    let mut inputs: Vec<Var> = Vec::with_capacity(e.args.len());
    for a in &e.args {
        match graph.ty(*a) {
            Type::Tensor(ty) => inputs.push(b.input("x", ty.clone())),
            Type::Tuple(_) => {
                let message = "expected an array, found a tuple".to_owned();
                return Err(EvalError::Malformed { var: *a, message }.into());
            }
        }
    }
    b.set_location(e.location);
    let outputs = b.results(e.op.clone(), &inputs);
    Ok(b.finish(&outputs)?)
}

/// Why a path ends at an operand of an operation.
fn reason(e: &Equation, operand: usize, args: &[Array]) -> String {
    let name = e.op.label();
    let zero = |a: Option<&Array>| a.is_some_and(|a| a.scalars().all(|x| x.as_real() == Some(0.0)));
    match &e.op {
        Op::Unary(Unary::StopGradient) => "`stop_gradient` ends it".to_owned(),
        Op::Compare(_) | Op::Test(_) => {
            format!("`{name}` compares it: a bool has no derivative")
        }
        Op::Convert(dtype) => format!("it is converted to {dtype}, which has no derivative"),
        _ if !e.ty.components().iter().any(|t| t.dtype.is_inexact()) => {
            format!("`{name}` gives {}, which has no derivative", e.ty)
        }
        Op::Unary(Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc | Unary::Sign) => {
            format!("`{name}` is flat, so its derivative is 0 everywhere")
        }
        Op::Ternary(Ternary::Select) => {
            format!("`{name}` takes the other arm wherever it varies")
        }
        Op::Ternary(Ternary::Clamp) => {
            format!("`{name}` takes another of its operands wherever it varies")
        }
        Op::Binary(Binary::Maximum | Binary::Minimum) => {
            format!("`{name}` takes the other operand wherever it varies")
        }
        Op::Binary(Binary::Mul | Binary::Zmul) if zero(args.get(1 - operand.min(1))) => {
            format!("`{name}` multiplies by a factor that is exactly 0")
        }
        Op::Array(ArrayOp::Dot(_) | ArrayOp::Conv(_)) if zero(args.get(1 - operand.min(1))) => {
            format!("`{name}` multiplies by an array that is exactly 0")
        }
        Op::Array(ArrayOp::Slice(_) | ArrayOp::Gather(_)) => {
            format!("`{name}` takes none of the elements that vary")
        }
        Op::Region(Region::Custom(c)) if c.kind != RuleKind::Checkpoint => {
            format!(
                "the {} rule of `{}` gives 0 for it",
                c.kind.name(),
                c.call.0.name()
            )
        }
        Op::Region(_) => format!("the results of `{name}` do not vary with it here"),
        _ => format!("the derivative of `{name}` by it is 0 at this point"),
    }
}

/// A direction without zeros, other for each element, so that nothing cancels by chance.
fn direction(array: &Array) -> Result<Option<Array>, Error> {
    if array.is_empty() {
        return Ok(None);
    }
    // The golden ratio spreads numbers well (Knuth, The Art of Computer Programming, 6.4).
    let number = |k: usize| 0.5 + (k as f64 + 1.0) * 0.618_033_988_749_894_8 % 1.0;
    let scalars = (0..array.len()).map(|k| match array.dtype().is_complex() {
        true => Scalar::C128(Complex64::new(number(2 * k), number(2 * k + 1))),
        false => Scalar::F64(number(k)),
    });
    let scalars = scalars.map(|x| x.convert(array.dtype()));
    let made = Array::from_scalars(array.dtype(), array.shape().clone(), scalars)?;
    Ok(Some(made))
}
