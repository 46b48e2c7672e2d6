//! Whether a graph is linear in some of its inputs, and what follows where some of those are zero.

use std::collections::HashMap;

use cotangent_array::Scalar;
use cotangent_graph::ops::{
    ArrayOp, Binary, Linalg, Operand, Part, Region, Sweeps, Ternary, Unary,
};
use cotangent_graph::{Builder, Callee, Graph, Location, Op, TensorType, Var};

use crate::TransformError;
use crate::linearize::dependents;
use crate::transpose::transpose_call;

/// Fails unless every output of the graph is linear in these inputs, which are floats.
///
/// A graph that can be transposed is affine in them, and so is one whose derivative by them does not
/// depend on them; it is linear if it also gives zero where they are zero, which is followed through
/// each operation.
///
/// # Errors
/// The operation that is not linear, with its place.
pub fn check_linear(graph: &Graph, linear: &[bool]) -> Result<(), TransformError> {
    if !linear.contains(&true) {
        return Ok(());
    }
    // The transpose says best which operation is wrong, but knows no loops that also carry values.
    if let Err(e) = transpose_call(graph, linear, &[])
        && !is_affine(graph, linear)?
    {
        return Err(e);
    }
    let zeros = Zeros::of(graph, linear);
    if graph.outputs().iter().all(|o| zeros.is_zero(*o)) {
        return Ok(());
    }
    // The first operation that adds something to what vanishes, or the output that never depended on
    // the inputs at all.
    let on: Vec<Var> = (graph.inputs().iter().zip(linear))
        .filter(|(_, linear)| **linear)
        .map(|((_, v), _)| *v)
        .collect();
    let (depends, live) = (dependents(graph, &on), graph.live());
    let culprit = (graph.iter())
        .find(|(v, _)| live[v.index()] && depends[v.index()] && zeros.parts(*v).contains(&false))
        .or_else(|| {
            let output = graph.outputs().iter().find(|o| !zeros.is_zero(**o))?;
            Some((*output, graph.equation(*output)))
        });
    let (op, location): (&str, Option<Location>) = match culprit {
        Some((_, e)) => (e.op.name(), e.location),
        None => (graph.name(), None),
    };
    Err(TransformError::NotLinear {
        op: op.to_owned(),
        location,
    })
}

/// Whether the derivative by these inputs is the same wherever they are.
fn is_affine(graph: &Graph, linear: &[bool]) -> Result<bool, TransformError> {
    let derivative = crate::forward::jvp(graph, linear)?;
    let mut at = linear.to_vec();
    at.resize(derivative.inputs().len(), false);
    let depends = outputs_on(&derivative, &at);
    Ok(!depends.iter().skip(graph.outputs().len()).any(|d| *d))
}

/// Which outputs depend on some inputs, through bodies result by result: what a loop carries beside
/// its tangents does not depend on them.
fn outputs_on(graph: &Graph, on: &[bool]) -> Vec<bool> {
    let mut parts: Vec<Vec<bool>> = Vec::with_capacity(graph.equations().len());
    let flags: HashMap<Var, bool> = (graph.inputs().iter().zip(on))
        .map(|((_, v), on)| (*v, *on))
        .collect();
    for (v, e) in graph.iter() {
        let count = e.ty.components().len();
        let args: Vec<bool> = (e.args.iter())
            .map(|a| parts[a.index()].contains(&true))
            .collect();
        let own = match (&e.op, e.args.first()) {
            (Op::Input, _) => vec![flags.get(&v) == Some(&true)],
            (Op::Get(i), Some(tuple)) => vec![parts[tuple.index()].get(*i) == Some(&true)],
            (_, _) if !args.contains(&true) => vec![false; count],
            (Op::Call(callee), _) => outputs_on(&callee.0, &args),
            (Op::Region(region), _) => region_on(region, args, count),
            _ => vec![true; count],
        };
        parts.push(own);
    }
    let outputs = graph.outputs().iter();
    outputs.map(|o| parts[o.index()].contains(&true)).collect()
}

fn region_on(region: &Region, mut on: Vec<bool>, count: usize) -> Vec<bool> {
    let (body, carry) = match region {
        Region::Cond(c) if on.first() == Some(&false) => {
            let inputs = on.get(1..).unwrap_or_default();
            let (x, y) = (
                outputs_on(&c.then.0, inputs),
                outputs_on(&c.otherwise.0, inputs),
            );
            return x.into_iter().zip(y).map(|(x, y)| x || y).collect();
        }
        Region::Custom(c) => return outputs_on(&c.call.0, &on),
        Region::Sweeps(s) => return sweeps_on(s, on),
        Region::Scan(s) => (&s.body, s.carry),
        Region::While(w) => (&w.body, w.carry),
        _ => return vec![true; count],
    };
    loop {
        let out = outputs_on(&body.0, &on);
        let new: Vec<usize> = (0..carry)
            .filter(|i| out.get(*i) == Some(&true) && on.get(*i) == Some(&false))
            .collect();
        if new.is_empty() {
            let tested = match region {
                Region::While(w) => outputs_on(&w.test.0, &on).contains(&true),
                _ => false,
            };
            // What is carried is given back as it came where no step is taken.
            let given = |i: usize| i < carry && on.get(i) == Some(&true);
            let all = out.iter().enumerate();
            return all.map(|(i, out)| tested || *out || given(i)).collect();
        }
        for i in new {
            on[i] = true;
        }
    }
}

fn sweeps_on(s: &Sweeps, mut on: Vec<bool>) -> Vec<bool> {
    let total = s.carried();
    for (j, (body, range)) in s.bodies.iter().zip(s.ranges()).enumerate() {
        // What is carried, also where no step is taken, and what a step makes of it.
        loop {
            let out = outputs_on(&body.0, &s.read_by(j, &on));
            let own = on.get_mut(range.clone()).unwrap_or_default();
            let new = (own.iter().zip(&out)).any(|(on, out)| *out && !*on);
            own.iter_mut().zip(out).for_each(|(on, out)| *on |= out);
            if !new {
                break;
            }
        }
        // How many steps there are decides every result.
        if j == 0 && outputs_on(&s.test.0, &s.read_by(j, &on)).contains(&true) {
            return vec![true; total];
        }
    }
    on.truncate(total);
    on
}

/// Which variables are zero because some inputs are, whatever the others hold, infinities included:
/// what a map does that is linear in those inputs.
pub(crate) struct Zeros {
    parts: Vec<Vec<bool>>,
}

impl Zeros {
    /// Follows zeros through a graph whose inputs with a flag are zero.
    pub(crate) fn of(graph: &Graph, inputs: &[bool]) -> Zeros {
        let mut parts: Vec<Vec<bool>> = Vec::with_capacity(graph.equations().len());
        let flags: HashMap<Var, bool> = (graph.inputs().iter().zip(inputs))
            .map(|((_, v), zero)| (*v, *zero))
            .collect();
        for (v, e) in graph.iter() {
            let own = match &e.op {
                Op::Input => vec![flags.get(&v) == Some(&true)],
                Op::Get(i) => {
                    let tuple = e.args.first().and_then(|t| parts.get(t.index()));
                    vec![tuple.and_then(|t| t.get(*i)) == Some(&true)]
                }
                op => {
                    let zero = |a: &Var| parts[a.index()] == [true];
                    let args: Vec<bool> = e.args.iter().map(zero).collect();
                    let types: Vec<TensorType> = (e.args.iter())
                        .filter_map(|a| graph.ty(*a).tensor().cloned())
                        .collect();
                    let count = e.ty.components().len();
                    results(op, &args, &types, count)
                }
            };
            parts.push(own);
        }
        Zeros { parts }
    }

    /// Whether the whole variable is zero.
    pub(crate) fn is_zero(&self, v: Var) -> bool {
        self.parts(v).iter().all(|zero| *zero)
    }

    fn parts(&self, v: Var) -> &[bool] {
        self.parts.get(v.index()).map_or(&[], |p| p)
    }
}

/// Which results of an operation are zero where operands with a flag are.
fn results(op: &Op, zero: &[bool], types: &[TensorType], count: usize) -> Vec<bool> {
    match op {
        Op::Call(callee) => outputs(callee, zero),
        Op::Region(region) => of_region(region, zero, count),
        _ => vec![one(op, zero, types); count],
    }
}

fn is_zero(x: Scalar) -> bool {
    x.as_real() == Some(0.0)
}

fn one(op: &Op, zero: &[bool], types: &[TensorType]) -> bool {
    match (op, zero) {
        (Op::Full(value, _), _) => is_zero(*value),
        (Op::Constant(array), _) => array.scalars().all(is_zero),
        (Op::Unary(Unary::Neg), [x]) => *x,
        (Op::Part(Part::Real | Part::Imag | Part::Conj), [x]) => *x,
        (Op::Binary(Binary::Add | Binary::Sub) | Op::Complex, [x, y]) => *x && *y,
        (Op::Binary(Binary::Mul | Binary::Zmul), [x, y]) => *x || *y,
        (Op::Binary(Binary::Div), [x, _]) => *x,
        (Op::Ternary(Ternary::Select), [_, x, y]) => *x && *y,
        (Op::Convert(_), [x]) => *x,
        (Op::Array(op), zero) => array(op, zero, types),
        (Op::Linalg(op), zero) => matrices(op, zero, types),
        _ => false,
    }
}

/// For an operation that is linear in all float operands together all of them must be zero; for one
/// that is linear in each of them alone, such as a product, one is enough. Its transpose rule says
/// which it is.
fn array(op: &ArrayOp, zero: &[bool], types: &[TensorType]) -> bool {
    if !zero.contains(&true) {
        return false;
    }
    let floats: Vec<bool> = types.iter().map(|t| t.dtype.is_inexact()).collect();
    if is_transposable(op, &floats, types) {
        return floats.iter().zip(zero).all(|(float, zero)| !float || *zero);
    }
    let both: Vec<bool> = floats.iter().zip(zero).map(|(f, z)| *f && *z).collect();
    both.contains(&true) && is_transposable(op, &both, types)
        || each_alone(&both).any(|one| is_transposable(op, &one, types))
}

/// The flags that are set, one at a time.
fn each_alone(flags: &[bool]) -> impl Iterator<Item = Vec<bool>> {
    let set = (0..flags.len()).filter(|k| flags[*k]);
    set.map(|k| (0..flags.len()).map(|i| i == k).collect())
}

fn is_transposable(op: &ArrayOp, linear: &[bool], types: &[TensorType]) -> bool {
    let (mut b, operands) = probe(linear, types);
    let types: Vec<&TensorType> = types.iter().collect();
    let Ok(out) = op.infer(&types) else {
        return false;
    };
    let cotangent = b.input("ct", out);
    op.transpose(&mut b, &operands, cotangent).is_some() && !b.failed()
}

/// An operation on matrices is linear in one operand at most, and then in all of its result.
fn matrices(op: &Linalg, zero: &[bool], types: &[TensorType]) -> bool {
    each_alone(zero).any(|one| {
        let (mut b, operands) = probe(&one, types);
        let types: Vec<&TensorType> = types.iter().collect();
        let cotangents: Vec<Var> = (op.results(&types).unwrap_or_default().into_iter())
            .map(|ty| b.input("ct", ty))
            .collect();
        op.transpose(&mut b, &operands, &cotangents).is_some() && !b.failed()
    })
}

/// Operands as a transpose rule takes them.
fn probe(linear: &[bool], types: &[TensorType]) -> (Builder, Vec<Operand>) {
    let mut b = Builder::new("probe");
    let operands = (types.iter().zip(linear))
        .map(|(ty, linear)| match linear {
            true => Operand::Linear(ty.clone()),
            false => Operand::Known(b.input("x", ty.clone())),
        })
        .collect();
    (b, operands)
}

fn outputs(callee: &Callee, zero: &[bool]) -> Vec<bool> {
    let zeros = Zeros::of(&callee.0, zero);
    callee
        .0
        .outputs()
        .iter()
        .map(|o| zeros.is_zero(*o))
        .collect()
}

fn of_region(region: &Region, zero: &[bool], count: usize) -> Vec<bool> {
    let repeated = |body: &Callee, carry: usize| {
        let mut zero = zero.to_vec();
        loop {
            let out = outputs(body, &zero);
            let lost: Vec<usize> = (0..carry)
                .filter(|i| zero.get(*i) == Some(&true) && out.get(*i) != Some(&true))
                .collect();
            if lost.is_empty() {
                // A loop of no steps gives what it was given.
                return (out.iter().enumerate())
                    .map(|(i, out)| *out && (i >= carry || zero.get(i) == Some(&true)))
                    .collect();
            }
            for i in lost {
                zero[i] = false;
            }
        }
    };
    match region {
        Region::Cond(c) => {
            let inputs = zero.get(1..).unwrap_or_default();
            let (x, y) = (outputs(&c.then, inputs), outputs(&c.otherwise, inputs));
            x.into_iter().zip(y).map(|(x, y)| x && y).collect()
        }
        Region::Scan(s) => repeated(&s.body, s.carry),
        Region::While(w) => repeated(&w.body, w.carry),
        Region::Custom(c) => outputs(&c.call, zero),
        Region::Sweeps(s) => {
            let (mut zero, total) = (zero.to_vec(), s.carried());
            for (j, (body, range)) in s.bodies.iter().zip(s.ranges()).enumerate() {
                // What is zero has to stay so in every step.
                loop {
                    let out = outputs(body, &s.read_by(j, &zero));
                    let own = zero.get_mut(range.clone()).unwrap_or_default();
                    let lost = (own.iter().zip(&out)).any(|(zero, out)| *zero && !*out);
                    own.iter_mut().zip(out).for_each(|(zero, out)| *zero &= out);
                    if !lost {
                        break;
                    }
                }
            }
            zero.truncate(total);
            zero
        }
        Region::Pullback(p) => {
            let tangents = zero.get(p.known..).unwrap_or_default();
            vec![tangents.iter().all(|zero| *zero); count]
        }
    }
}
