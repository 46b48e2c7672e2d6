//! A sampler for each branch and loop, whose bodies are drawn like any other graph.

use cotangent_array::{Array, DType, Scalar, Shape};
use cotangent_graph::ops::{Binary, Compare, Cond, Region, Scan, While};
use cotangent_graph::{Callee, TensorType, Var};

use super::Sampler;
use crate::random::Generator;

/// The name and the sampler of every branch and loop.
pub(super) const SAMPLERS: &[(&str, Sampler)] =
    &[("cond", cond), ("scan", scan), ("while", while_)];

/// No default arm: an operation that is added must be thought of here.
#[allow(dead_code)]
fn is_complete(region: &Region) {
    match region {
        Region::Cond(_) | Region::Scan(_) | Region::While(_) => {}
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
    let condition = g.operand(DType::Bool, &().into());
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

/// A loop that counts up to a limit, in an integer or a float, beside whatever else it carries.
fn while_(g: &mut Generator) -> Option<Var> {
    let counter = if g.rng.chance(0.5) {
        DType::I64
    } else {
        g.dtype(DType::is_float)?
    };
    let start = g.full(Scalar::zero(counter), &().into());
    let carried: Vec<Var> = std::iter::once(start).chain(some(g, 1, 2)).collect();
    let shared = some(g, 0, 2);
    let operands: Vec<Var> = carried.iter().chain(&shared).copied().collect();
    let inputs = typed(g, &operands);
    let steps = g.rng.below(4) as f64 - if counter.is_float() { 0.5 } else { 0.0 };
    let test = {
        let mut inner = g.nested(&inputs);
        let count = inner.input(0)?;
        let limit = inner.full(Scalar::from_f64(counter, steps), &().into());
        let test = inner.push(Compare::Lt, &[count, limit])?;
        inner.finish_with("test", &[test])
    };
    let body = {
        let mut inner = g.nested(&inputs);
        let count = inner.input(0)?;
        let one = inner.full(Scalar::one(counter), &().into());
        let next = inner.push(Binary::Add, &[count, one])?;
        let steps = inner.rng.size(1, 4);
        inner.grow(steps);
        let mut results = vec![next];
        for v in carried.get(1..)? {
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
