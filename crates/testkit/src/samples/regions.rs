//! A sampler for each branch and loop, whose bodies are drawn like any other graph.

use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_graph::ops::{Binary, Compare, Cond, Custom, Region, RuleKind, Scan, While};
use cotangent_graph::{Builder, Callee, Graph, TensorType, Var};
use cotangent_transform as transform;

use super::Sampler;
use crate::random::Generator;

/// The name and the sampler of every branch and loop.
pub(super) const SAMPLERS: &[(&str, Sampler)] = &[
    ("cond", cond),
    ("scan", scan),
    ("while", while_),
    ("custom", custom),
];

/// No default arm: an operation that is added must be thought of here.
#[allow(dead_code)]
fn is_complete(region: &Region) {
    match region {
        Region::Cond(_) | Region::Scan(_) | Region::While(_) | Region::Custom(_) => {}
        // Forward mode makes it of rules for reverse mode alone, and it cannot be run.
        Region::Pullback(_) => {}
        // Reverse mode makes it of `while`.
        Region::Sweeps(_) => {}
    }
}

/// Some operands of any type.
fn some(g: &mut Generator, least: usize, most: usize) -> Vec<Var> {
    let count = g.rng.size(least, most);
    (0..count).filter_map(|_| g.some(|_| true)).collect()
}

fn typed(g: &Generator, args: &[Var]) -> Vec<(TensorType, Array)> {
    args.iter()
        .map(|a| (g.ty(*a), g.value(*a).clone()))
        .collect()
}

fn cond(g: &mut Generator) -> Option<Var> {
    let condition = condition(g)?;
    let args = some(g, 1, 3);
    let inputs = typed(g, &args);
    let mut types: Vec<TensorType> = Vec::new();
    for _ in 0..g.rng.size(1, 2) {
        let like = g.some(|_| true)?;
        types.push(g.ty(like));
    }
    let then = body(g, &inputs, &types)?;
    let otherwise = body(g, &inputs, &types)?;
    let operands: Vec<Var> = std::iter::once(condition).chain(args).collect();
    g.region(Region::Cond(Cond { then, otherwise }), &operands)
}

/// A bool, or a comparison that is near enough to turn in other examples of a batch.
fn condition(g: &mut Generator) -> Option<Var> {
    if !g.smooth || g.rng.chance(0.5) {
        return Some(g.operand(DType::Bool, &().into()));
    }
    let (x, value) = scalar(g)?;
    let dtype = g.ty(x).dtype;
    let away = if g.rng.chance(0.5) { 0.02 } else { -0.02 };
    let border = g.full(Scalar::from_f64(dtype, value + away), &().into());
    g.push(Compare::Lt, &[x, border])
}

/// A float scalar of ordinary size, and its value at the sample.
fn scalar(g: &mut Generator) -> Option<(Var, f64)> {
    let dtype = g.dtype(DType::is_float)?;
    let x = g.operand(dtype, &().into());
    let x = g.fit(x, -3.0, 3.0)?;
    let value = g.value(x).at(0)?.to_f64();
    Some((x, value))
}

fn scan(g: &mut Generator) -> Option<Var> {
    let carried = some(g, 0, 2);
    let mut scanned = Vec::new();
    let mut length = g.rng.size(1, 3);
    if g.rng.chance(0.8) {
        let x = g.some(|t| t.rank() > 0 && t.dim(0) <= 4)?;
        length = g.ty(x).dim(0);
        scanned.push(x);
        if g.rng.chance(0.4) {
            let rest: Vec<usize> = (0..g.rng.below(2)).map(|_| g.length()).collect();
            let shape: Shape = std::iter::once(length).chain(rest).collect();
            let dtype = g.dtype(|_| true)?;
            scanned.push(g.operand(dtype, &shape));
        }
    }
    let shared = some(g, 0, 2);
    let (carry, reverse) = (carried.len(), g.rng.chance(0.4));
    let mut inputs = typed(g, &carried);
    for x in &scanned {
        // The first slice that the body meets, or any values where there is none.
        let ty = g.ty(*x);
        let ty = ty.with_shape(ty.shape.get(1..)?);
        let first = if reverse { length.saturating_sub(1) } else { 0 };
        let slice = match crate::arrays::row(g.value(*x), first) {
            Some(slice) if length > 0 => slice,
            _ => g.draw_values(&ty),
        };
        inputs.push((ty, slice));
    }
    inputs.extend(typed(g, &shared));
    let mut types: Vec<TensorType> = carried.iter().map(|v| g.ty(*v)).collect();
    for _ in 0..g.rng.size(usize::from(carry == 0), 2) {
        let most = g.most();
        let like = g.some(|t| t.shape.elements() * length.max(1) <= most)?;
        types.push(g.ty(like));
    }
    let body = body(g, &inputs, &types)?;
    let region = Scan {
        body,
        carry,
        scanned: scanned.len(),
        length,
        reverse,
    };
    let operands: Vec<Var> = carried.into_iter().chain(scanned).chain(shared).collect();
    g.region(Region::Scan(region), &operands)
}

/// A loop that counts up to a limit, in an integer or a float, beside whatever else it carries. A
/// count that starts at a computed value ends sooner or later in other examples of a batch.
fn while_(g: &mut Generator) -> Option<Var> {
    let steps = g.rng.below(4) as f64;
    let (start, limit) = match g.rng.below(4) {
        0 => (g.full(Scalar::zero(DType::I64), &().into()), steps),
        1 if g.smooth => {
            let (x, value) = scalar(g)?;
            let away = if g.rng.chance(0.5) { 0.02 } else { -0.02 };
            (x, value + steps + away)
        }
        _ => {
            let dtype = g.dtype(DType::is_float)?;
            (g.full(Scalar::zero(dtype), &().into()), steps - 0.5)
        }
    };
    let counter = g.ty(start).dtype;
    // However far away other examples start, they end.
    let zero = g.full(Scalar::zero(DType::I64), &().into());
    let carried: Vec<Var> = [start, zero].into_iter().chain(some(g, 1, 2)).collect();
    let shared = some(g, 0, 2);
    let operands: Vec<Var> = carried.iter().chain(&shared).copied().collect();
    let inputs = typed(g, &operands);
    let test = {
        let mut inner = g.nested(&inputs);
        let (count, number) = (inner.input(0)?, inner.input(1)?);
        let limit = inner.full(Scalar::from_f64(counter, limit), &().into());
        let below = inner.push(Compare::Lt, &[count, limit])?;
        let most = inner.full(Scalar::I64(6), &().into());
        let few = inner.push(Compare::Lt, &[number, most])?;
        let test = inner.push(Binary::And, &[below, few])?;
        inner.finish_with("test", &[test])
    };
    let body = {
        let mut inner = g.nested(&inputs);
        let mut results = Vec::new();
        for (i, dtype) in [counter, DType::I64].into_iter().enumerate() {
            let count = inner.input(i)?;
            let one = inner.full(Scalar::one(dtype), &().into());
            results.push(inner.push(Binary::Add, &[count, one])?);
        }
        let steps = inner.rng.size(1, 4);
        inner.grow(steps);
        for v in carried.get(2..)? {
            results.push(inner.result(&g.ty(*v))?);
        }
        inner.finish_with("body", &results)
    };
    let region = While {
        test,
        body,
        carry: carried.len(),
    };
    g.region(Region::While(region), &operands)
}

/// A function with its own derivative as a rule, for tangents or for cotangents.
fn custom(g: &mut Generator) -> Option<Var> {
    let operands = some(g, 1, 3);
    let inputs = typed(g, &operands);
    let mut types: Vec<TensorType> = Vec::new();
    for _ in 0..g.rng.size(1, 2) {
        let like = g.some(|_| true)?;
        types.push(g.ty(like));
    }
    let call = body(g, &inputs, &types)?;
    let kind = g
        .rng
        .pick(&[RuleKind::Jvp, RuleKind::Vjp, RuleKind::Checkpoint])?;
    let rule = Callee(std::sync::Arc::new(own_rule(&call.0, kind)?));
    g.region(Region::Custom(Custom { call, rule, kind }), &operands)
}

/// The derivative of a function as a rule.
fn own_rule(f: &Graph, kind: RuleKind) -> Option<Graph> {
    // Differences are taken in wide floats, for which the constants of a narrow rule are not exact.
    let narrow = |t: &TensorType| matches!(t.dtype, DType::F32 | DType::C64);
    if f.equations()
        .iter()
        .any(|e| e.ty.components().iter().any(narrow))
    {
        return None;
    }
    let float = |t: &TensorType| t.dtype.is_inexact();
    let wrt: Vec<bool> = f.input_types().iter().map(float).collect();
    if !wrt.contains(&true) || !f.output_types().iter().any(float) {
        return None;
    }
    let derivative = match kind {
        RuleKind::Jvp => transform::jvp(f, &wrt),
        RuleKind::Vjp | RuleKind::Backward => transform::vjp(f, &wrt),
        RuleKind::Checkpoint => return Some(f.clone()),
    };
    let derivative = derivative.unwrap_or_else(|e| panic!("the derivative of a body: {e}"));
    let (takes, _) = kind.rule_types(f);
    let mut b = Builder::new("rule");
    let mut args: Vec<Var> = takes.into_iter().map(|t| b.input("x", t)).collect();
    // The rule does not read the results.
    args.drain(f.inputs().len()..f.inputs().len() + f.outputs().len());
    let mut results = b.inline(&derivative, &args);
    if kind == RuleKind::Jvp {
        results.drain(..f.outputs().len());
    }
    let rule = b.finish(&results).map(|g| g.without_dead_code());
    Some(rule.unwrap_or_else(|e| panic!("a rule: {e}")))
}

/// A graph of inputs with these types and values that gives results of these types.
fn body(g: &mut Generator, inputs: &[(TensorType, Array)], types: &[TensorType]) -> Option<Callee> {
    let mut inner = g.nested(inputs);
    let steps = inner.rng.size(1, 5);
    inner.grow(steps);
    let results = types
        .iter()
        .map(|t| inner.result(t))
        .collect::<Option<Vec<Var>>>()?;
    let name = g.rng.pick(&["step", "f", "g", "sin", "arm"])?;
    Some(inner.finish_with(name, &results))
}
