//! Calls, branches and loops: their bodies are transformed as graphs of their own.

mod cond;
mod custom;
mod lanes;
mod open;
mod repeat;
mod scan;
mod turn;

pub(crate) use custom::check_forward;
pub use custom::check_rule;
pub(crate) use open::opened;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cotangent_graph::ops::{Custom, Operand, Region};
use cotangent_graph::{
    Builder, Callee, Checkpoint, Equation, FastHasher, Graph, Location, Op, Var,
};

use crate::TransformError;
use crate::linearize::{Linearized, linearize_call};
use crate::transpose::transpose_call;

/// A result and its tangent.
type Moved = (Var, Option<Var>);

/// The results of an operation with bodies, and their tangents.
pub(crate) fn forward(
    b: &mut Builder,
    op: &Op,
    args: &[Var],
    tangents: &[Option<Var>],
    split: bool,
    location: Option<Location>,
) -> Result<Vec<Moved>, TransformError> {
    if tangents.iter().all(Option::is_none) {
        return Ok(plain(b, op, args).into_iter().map(|v| (v, None)).collect());
    }
    match op {
        Op::Call(callee) => call(b, callee, args, tangents),
        Op::Region(Region::Cond(c)) => cond::forward(b, c, args, tangents),
        Op::Region(Region::Scan(s)) => scan::forward(b, s, args, tangents),
        Op::Region(Region::While(w)) => repeat::forward(b, &w.into(), args, tangents, split),
        Op::Region(Region::Sweeps(s)) => repeat::forward(b, s, args, tangents, split),
        Op::Region(Region::Custom(c)) => custom::forward(b, c, args, tangents, split, location),
        _ => Ok(Vec::new()),
    }
}

/// The cotangents of the operands of an operation with bodies that is linear in some of them.
pub(crate) fn transpose(
    b: &mut Builder,
    e: &Equation,
    operands: &[Operand],
    cotangents: &[Var],
) -> Result<Vec<Option<Var>>, TransformError> {
    let results = match &e.op {
        Op::Region(Region::Pullback(p)) => {
            return custom::transpose(b, p, e, operands, cotangents);
        }
        // Where such a function is part of a linear map, it is its own derivative.
        Op::Call(callee) | Op::Region(Region::Custom(Custom { call: callee, .. })) => {
            let args: Vec<Var> = known(operands).chain(cotangents.iter().copied()).collect();
            let open = args.iter().map(|a| !b.is_finite(*a)).collect::<Vec<bool>>();
            let turned = transposed(&callee.0, operands, &open)?;
            b.call(&Arc::new(turned), &args)
        }
        Op::Region(Region::Cond(c)) => cond::transpose(b, c, e, operands, cotangents)?,
        Op::Region(Region::Scan(s)) => scan::transpose(b, s, operands, cotangents)?,
        Op::Region(Region::While(w)) => {
            return turn::transpose(b, &w.into(), e, operands, cotangents);
        }
        Op::Region(Region::Sweeps(s)) => {
            return turn::transpose(b, s, e, operands, cotangents);
        }
        _ => return Err(not_linear(e)),
    };
    let mut results = results.into_iter();
    Ok(operands
        .iter()
        .map(|o| if o.is_linear() { results.next() } else { None })
        .collect())
}

/// An operation with bodies over a batch.
pub(crate) fn batch(
    b: &mut Builder,
    op: &Op,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    if args.iter().all(|a| !a.1) {
        let vars: Vec<Var> = args.iter().map(|a| a.0).collect();
        return Ok(plain(b, op, &vars)
            .into_iter()
            .map(|v| (v, false))
            .collect());
    }
    match op {
        Op::Call(callee) => {
            let vars: Vec<Var> = args.iter().map(|a| a.0).collect();
            let flags: Vec<bool> = args.iter().map(|a| a.1).collect();
            let (mapped, out) = batched_body(&callee.0, &flags, size, &[])?;
            let results = b.call(&Arc::new(mapped), &vars);
            Ok(results.into_iter().zip(out).collect())
        }
        Op::Region(Region::Cond(c)) => cond::batch(b, c, args, size),
        Op::Region(Region::Scan(s)) => scan::batch(b, s, args, size),
        Op::Region(Region::While(w)) => repeat::batch(b, &w.into(), args, size),
        Op::Region(Region::Sweeps(s)) => repeat::batch(b, s, args, size),
        Op::Region(region @ (Region::Custom(_) | Region::Pullback(_))) => {
            custom::batch(b, region, args, size)
        }
        _ => Ok(Vec::new()),
    }
}

/// The operation as it stands; one variable for each result.
fn plain(b: &mut Builder, op: &Op, args: &[Var]) -> Vec<Var> {
    match op {
        Op::Call(callee) => b.call(&callee.0, args),
        Op::Region(region) => b.region(region.clone(), args),
        _ => Vec::new(),
    }
}

/// A call whose operands vary: the callee split into values with residuals, and the linear map of
/// the tangents.
fn call(
    b: &mut Builder,
    callee: &Callee,
    args: &[Var],
    tangents: &[Option<Var>],
) -> Result<Vec<Moved>, TransformError> {
    let active: Vec<bool> = tangents.iter().map(Option::is_some).collect();
    let finite: Vec<bool> = args.iter().map(|a| b.is_finite(*a)).collect();
    let split = linearize_call(&callee.0, &active, &finite, &finite_tangents(b, tangents))?;
    let count = callee.0.outputs().len();
    let around = b.checkpoint();
    enter_where_held(b, &[&split.primal], count);
    let mut values = b.call(&Arc::new(split.primal), args);
    let residuals = values.split_off(count);
    if split.varying.iter().all(|v| !v) {
        b.set_checkpoint(around);
        return Ok(values.into_iter().map(|v| (v, None)).collect());
    }
    let operands: Vec<Var> = residuals
        .into_iter()
        .chain(tangents.iter().flatten().copied())
        .collect();
    b.set_checkpoint(b.checkpoint().derived());
    let moved = b.call(&Arc::new(split.linear), &operands);
    b.set_checkpoint(around);
    Ok(pair(values, &split.varying, moved))
}

/// Opens a checkpoint around the call of bodies that give residuals, behind so many values, of which some
/// stand in a checkpoint. What is called runs as a whole, so for the way back all of it runs again, or
/// nothing could be given up.
fn enter_where_held(b: &mut Builder, bodies: &[&Graph], values: usize) {
    let held = |body: &&Graph| {
        let mut residuals = body.outputs().iter().skip(values);
        residuals.any(|v| body.equation(*v).checkpoint != Checkpoint::NONE)
    };
    if bodies.iter().any(held) {
        // No other checkpoint around the same bodies is met where the graph has as many operations.
        let mut id = FastHasher::default();
        b.len().hash(&mut id);
        bodies
            .iter()
            .for_each(|body| body.fingerprint().hash(&mut id));
        b.set_checkpoint(b.checkpoint().enter(id.finish()));
    }
}

/// Values with the tangents of those that vary.
fn pair(values: Vec<Var>, varying: &[bool], moved: Vec<Var>) -> Vec<Moved> {
    let mut moved = moved.into_iter();
    let tangent = |varies: &bool, moved: &mut std::vec::IntoIter<Var>| {
        if *varies { moved.next() } else { None }
    };
    values
        .into_iter()
        .zip(varying)
        .map(|(v, varies)| (v, tangent(varies, &mut moved)))
        .collect()
}

/// Which tangents are known to be finite; a zero is.
fn finite_tangents(b: &Builder, tangents: &[Option<Var>]) -> Vec<bool> {
    tangents
        .iter()
        .map(|t| t.is_none_or(|t| b.is_finite(t)))
        .collect()
}

/// The transpose of a body in its linear operands; `open` says which of its inputs (the known
/// operands, then the cotangents) may hold infinite values.
fn transposed(body: &Graph, operands: &[Operand], open: &[bool]) -> Result<Graph, TransformError> {
    let linear: Vec<bool> = operands.iter().map(Operand::is_linear).collect();
    let open: Vec<usize> = (0..open.len()).filter(|i| open[*i]).collect();
    transpose_call(body, &linear, &open)
}

/// The operands that are values.
fn known(operands: &[Operand]) -> impl Iterator<Item = Var> + '_ {
    operands.iter().filter_map(Operand::known)
}

/// A body over a batch: inputs with a flag have a leading batch axis; so have the outputs with a
/// flag, which are those that need it and those asked for.
fn batched_body(
    body: &Graph,
    flags: &[bool],
    size: usize,
    also: &[bool],
) -> Result<(Graph, Vec<bool>), TransformError> {
    let mut b = Builder::new(&format!("{}_vmap", body.name()));
    let mut inputs = Vec::with_capacity(flags.len());
    for (((name, _), ty), flag) in body.inputs().iter().zip(body.input_types()).zip(flags) {
        let ty = if *flag {
            cotangent_graph::ops::region::stacked(&ty, size)
        } else {
            ty
        };
        inputs.push((b.input(name, ty), *flag));
    }
    let results = crate::vmap::walk(&mut b, body, &inputs, size)?;
    let mut outputs = Vec::with_capacity(results.len());
    let mut out = Vec::with_capacity(results.len());
    for (i, (v, batched)) in results.into_iter().enumerate() {
        let wanted = batched || also.get(i) == Some(&true);
        outputs.push(if wanted && !batched {
            cotangent_graph::ops::repeated(&mut b, v, size)
        } else {
            v
        });
        out.push(wanted);
    }
    Ok((b.finish(&outputs)?.without_dead_code(), out))
}

/// Which outputs of a body are finite where its inputs are as given.
fn finite_outputs(body: &Graph, finite: &[bool]) -> Result<Vec<bool>, TransformError> {
    let mut b = Builder::new(body.name());
    let mut inputs = Vec::with_capacity(finite.len());
    for (((name, _), ty), finite) in body.inputs().iter().zip(body.input_types()).zip(finite) {
        let v = b.input(name, ty);
        if !finite {
            b.set_open(v);
        }
        inputs.push(v);
    }
    let outputs = b.inline(body, &inputs);
    Ok(outputs.into_iter().map(|v| b.is_finite(v)).collect())
}

/// A body linearized in the operands that vary, with the carried ones that come to vary on the way.
struct Carried {
    split: Linearized,
    /// Which operands vary in some step.
    active: Vec<bool>,
}

/// Linearizes the body of a loop: what varies in one step may make a carried value vary in the
/// next, so this goes on until nothing new varies.
fn linearize_loop(
    body: &Graph,
    carry: usize,
    tangents: &[Option<Var>],
    finite: &[bool],
    moving: &[bool],
) -> Result<Carried, TransformError> {
    let mut active: Vec<bool> = tangents.iter().map(Option::is_some).collect();
    let (mut finite, mut moving) = (finite.to_vec(), moving.to_vec());
    loop {
        let found = finite_outputs(body, &finite)?;
        if !lose(&mut finite, &found, carry) {
            break;
        }
    }
    loop {
        let split = linearize_call(body, &active, &finite, &moving)?;
        let new: Vec<usize> = (0..carry)
            .filter(|i| split.varying.get(*i) == Some(&true) && !active[*i])
            .collect();
        for i in &new {
            active[*i] = true;
        }
        if !new.is_empty() {
            continue;
        }
        // A tangent that is finite at first may come to be infinite in some step.
        let residuals = finite_outputs(&split.primal, &finite)?.split_off(split.varying.len());
        let seeds = (0..active.len()).filter(|i| active[*i]).map(|i| moving[i]);
        let inputs: Vec<bool> = residuals.into_iter().chain(seeds).collect();
        let mut found = finite_outputs(&split.linear, &inputs)?.into_iter();
        let found: Vec<bool> = split
            .varying
            .iter()
            .map(|v| !v || found.next() == Some(true))
            .collect();
        if !lose(&mut moving, &found, carry) {
            return Ok(Carried { split, active });
        }
    }
}

/// Takes finiteness away from carried values that one step does not keep finite; whether it did.
fn lose(finite: &mut [bool], found: &[bool], carry: usize) -> bool {
    let mut lost = false;
    for (f, kept) in finite.iter_mut().zip(found).take(carry) {
        lost |= *f && !kept;
        *f &= kept;
    }
    lost
}

/// Emits the equations of `graph` that `wanted` need, where `to` has its inputs.
fn emit(b: &mut Builder, graph: &Graph, to: &mut HashMap<Var, Var>, wanted: &[Var]) -> Vec<Var> {
    let mut needed = vec![false; graph.equations().len()];
    for v in wanted {
        needed[v.index()] = true;
    }
    for (v, e) in graph.iter().rev() {
        if needed[v.index()] && !to.contains_key(&v) {
            for a in &e.args {
                needed[a.index()] = true;
            }
        }
    }
    for (v, e) in graph.iter() {
        if needed[v.index()] && !to.contains_key(&v) && !e.op.is_input() {
            let args: Vec<Var> = e.args.iter().filter_map(|a| to.get(a).copied()).collect();
            let out = b.push(e.op.clone(), &args);
            to.insert(v, out);
        }
    }
    wanted.iter().filter_map(|v| to.get(v).copied()).collect()
}

fn not_linear(e: &Equation) -> TransformError {
    TransformError::NotLinear {
        op: e.op.name().to_owned(),
        location: e.location,
    }
}
