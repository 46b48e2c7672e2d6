//! Loops with a fixed number of steps.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_graph::ops::{Operand, Region, Scan};
use cotangent_graph::{Builder, Callee, Graph, TensorType, Var};

use super::{
    Carried, Moved, batched_body, emit, finite_outputs, finite_tangents, known, linearize_loop,
    transposed,
};
use crate::TransformError;
use crate::linearize::dependents;

/// Two loops: one over the values, which stacks the residuals of every step, and one over the
/// tangents, which reads them. Residuals that are the same in every step are computed once outside.
pub(super) fn forward(
    b: &mut Builder,
    s: &Scan,
    args: &[Var],
    tangents: &[Option<Var>],
) -> Result<Vec<Moved>, TransformError> {
    let finite: Vec<bool> = args.iter().map(|a| b.is_finite(*a)).collect();
    let moving = finite_tangents(b, tangents);
    let Carried { split, active } = linearize_loop(&s.body.0, s.carry, tangents, &finite, &moving)?;
    let count = s.body.0.outputs().len();
    let shared = s.carry + s.scanned;

    // Which residuals change from step to step.
    let stepping: Vec<Var> = split
        .primal
        .inputs()
        .iter()
        .take(shared)
        .map(|(_, v)| *v)
        .collect();
    let depends = dependents(&split.primal, &stepping);
    let residuals: Vec<Var> = split.primal.outputs().iter().skip(count).copied().collect();
    let changes: Vec<bool> = residuals.iter().map(|v| depends[v.index()]).collect();
    let mut outside: HashMap<Var, Var> = split
        .primal
        .inputs()
        .iter()
        .map(|(_, v)| *v)
        .zip(args.iter().copied())
        .collect();
    let steady: Vec<Var> = residuals
        .iter()
        .zip(&changes)
        .filter(|(_, c)| !**c)
        .map(|(v, _)| *v)
        .collect();
    let steady = emit(b, &split.primal, &mut outside, &steady);

    let body = values(&split.primal, count, &changes)?;
    let mut results = b.region(Region::Scan(Scan { body, ..s.clone() }), args);
    let stacks = results.split_off(count);
    let varies = |i: usize| {
        if i < s.carry {
            active[i]
        } else {
            split.varying.get(i) == Some(&true)
        }
    };
    if !(0..count).any(varies) {
        return Ok(results.into_iter().map(|v| (v, None)).collect());
    }

    // The loop over the tangents: carried tangents, stacks and scanned tangents, shared values.
    let types: Vec<TensorType> = s.body.0.input_types();
    let tangent = |b: &mut Builder, i: usize| tangents[i].unwrap_or_else(|| b.like(args[i], 0.0));
    let group =
        |range: std::ops::Range<usize>| range.filter(|i| active[*i]).collect::<Vec<usize>>();
    let (carried, scanned, still) = (
        group(0..s.carry),
        group(s.carry..shared),
        group(shared..args.len()),
    );
    let mut operands: Vec<Var> = carried.iter().map(|i| tangent(b, *i)).collect();
    operands.extend(&stacks);
    operands.extend(scanned.iter().map(|i| tangent(b, *i)));
    operands.extend(&steady);
    operands.extend(still.iter().map(|i| tangent(b, *i)));

    let mut l = Builder::new(split.linear.name());
    let linear_types = split.linear.input_types();
    let mut seeds: HashMap<usize, Var> = HashMap::new();
    let seed = |l: &mut Builder, i: &usize, seeds: &mut HashMap<usize, Var>| {
        let v = l.input("t", types[*i].clone());
        seeds.insert(*i, v);
    };
    carried.iter().for_each(|i| seed(&mut l, i, &mut seeds));
    let residual = |l: &mut Builder, of: bool| -> Vec<Option<Var>> {
        let pairs = changes.iter().zip(&linear_types);
        pairs
            .map(|(c, t)| (*c == of).then(|| l.input("r", t.clone())))
            .collect()
    };
    let stepped = residual(&mut l, true);
    scanned.iter().for_each(|i| seed(&mut l, i, &mut seeds));
    let fixed = residual(&mut l, false);
    still.iter().for_each(|i| seed(&mut l, i, &mut seeds));
    let mut inner: Vec<Var> = stepped
        .into_iter()
        .zip(fixed)
        .filter_map(|(x, y)| x.or(y))
        .collect();
    inner.extend((0..args.len()).filter_map(|i| seeds.get(&i).copied()));
    let mut found = l.inline(&split.linear, &inner).into_iter();
    let out_types = s.body.0.output_types();
    let mut outputs = Vec::new();
    for (i, ty) in out_types.iter().enumerate() {
        let moved = if split.varying.get(i) == Some(&true) {
            found.next()
        } else {
            None
        };
        if varies(i) {
            outputs.push(moved.unwrap_or_else(|| l.zeros(ty)));
        }
    }
    let body = Callee(Arc::new(l.finish(&outputs)?));
    let linear = Scan {
        body,
        carry: carried.len(),
        scanned: stacks.len() + scanned.len(),
        length: s.length,
        reverse: s.reverse,
    };
    let mut moved = b.region(Region::Scan(linear), &operands).into_iter();
    let pairs = results.into_iter().enumerate();
    Ok(pairs
        .map(|(i, v)| (v, if varies(i) { moved.next() } else { None }))
        .collect())
}

/// The loop run the other way: cotangents of the carried values are carried, those of the shared
/// values add up, those of the slices are stacked.
pub(super) fn transpose(
    b: &mut Builder,
    s: &Scan,
    operands: &[Operand],
    cotangents: &[Var],
) -> Result<Vec<Var>, TransformError> {
    let shared = s.carry + s.scanned;
    let types = s.body.0.input_types();
    // The body is linear in all that it carries, also where the loop starts from a known value, as
    // from the zero tangent of something that does not vary.
    let given = operands;
    let operands: Vec<Operand> = given
        .iter()
        .enumerate()
        .map(|(i, o)| {
            if i < s.carry {
                Operand::Linear(types[i].clone())
            } else {
                o.clone()
            }
        })
        .collect();
    // Cotangents that are finite at first stay so, or any of them may be infinite.
    let mut open: Vec<bool> = known(&operands).map(|v| !b.is_finite(v)).collect();
    let first = open.len();
    let wide = cotangents.iter().any(|c| !b.is_finite(*c));
    open.resize(first + cotangents.len(), wide);
    let mut turned = transposed(&s.body.0, &operands, &open)?;
    let inputs: Vec<bool> = open.iter().map(|o| !o).collect();
    if !wide && finite_outputs(&turned, &inputs)?.contains(&false) {
        open[first..].fill(true);
        turned = transposed(&s.body.0, &operands, &open)?;
    }
    let linear = |range: std::ops::Range<usize>| {
        range
            .filter(|i| operands[*i].is_linear())
            .collect::<Vec<usize>>()
    };
    let (slices, still) = (linear(s.carry..shared), linear(shared..operands.len()));
    let fixed = |range: std::ops::Range<usize>| {
        range
            .filter(|i| !operands[*i].is_linear())
            .collect::<Vec<usize>>()
    };
    let (read, held) = (fixed(s.carry..shared), fixed(shared..operands.len()));
    let outputs = s.body.0.output_types();

    let mut l = Builder::new(turned.name());
    let carried: Vec<Var> = types
        .iter()
        .take(s.carry)
        .map(|t| l.input("ct", t.clone()))
        .collect();
    let sums: Vec<Var> = still
        .iter()
        .map(|i| l.input("sum", types[*i].clone()))
        .collect();
    let mut values: HashMap<usize, Var> = HashMap::new();
    for i in &read {
        values.insert(*i, l.input("r", types[*i].clone()));
    }
    let rows: Vec<Var> = outputs
        .iter()
        .skip(s.carry)
        .map(|t| l.input("ct_row", t.clone()))
        .collect();
    for i in &held {
        values.insert(*i, l.input("r", types[*i].clone()));
    }
    let mut args: Vec<Var> = (0..operands.len())
        .filter_map(|i| values.get(&i).copied())
        .collect();
    args.extend(carried.iter().chain(&rows));
    let mut found = l.inline(&turned, &args);
    let mut more = found.split_off(s.carry.min(found.len()));
    let parts = more.split_off(slices.len().min(more.len()));
    for (sum, part) in sums.iter().zip(parts) {
        found.push(l.add(*sum, part));
    }
    found.extend(more);
    let body = Callee(Arc::new(l.finish(&found)?));

    let mut args: Vec<Var> = cotangents.iter().take(s.carry).copied().collect();
    args.extend(still.iter().map(|i| b.zeros(&types[*i])));
    args.extend(read.iter().filter_map(|i| operands[*i].known()));
    args.extend(cotangents.iter().skip(s.carry));
    args.extend(held.iter().filter_map(|i| operands[*i].known()));
    debug_assert_eq!(
        args.len(),
        s.carry + still.len() + known(&operands).count() + rows.len()
    );
    let back = Scan {
        body,
        carry: s.carry + still.len(),
        scanned: read.len() + rows.len(),
        length: s.length,
        reverse: !s.reverse,
    };
    let mut results = b.region(Region::Scan(back), &args);
    // Operands stand in the order carried, scanned, shared; results carried, shared, scanned.
    let mut rest = results.split_off(s.carry);
    let rows = rest.split_off(still.len());
    let mut carried = given.iter();
    results.retain(|_| carried.next().is_some_and(Operand::is_linear));
    results.extend(rows);
    results.extend(rest);
    Ok(results)
}

/// The loop over a batch. A carried value is batched when it comes to depend on the batch.
pub(super) fn batch(
    b: &mut Builder,
    s: &Scan,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let mut flags: Vec<bool> = args.iter().map(|a| a.1).collect();
    let (body, out) = loop {
        let (body, out) = batched_body(&s.body.0, &flags, size, &flags[..s.carry])?;
        let new: Vec<usize> = (0..s.carry).filter(|i| out[*i] && !flags[*i]).collect();
        if new.is_empty() {
            break (body, out);
        }
        for i in new {
            flags[i] = true;
        }
    };
    let mut operands = Vec::with_capacity(args.len());
    for (i, ((v, batched), flag)) in args.iter().zip(&flags).enumerate() {
        let scanned = (s.carry..s.carry + s.scanned).contains(&i);
        operands.push(match (*batched, scanned) {
            (true, true) => swap_leading(b, *v),
            (false, _) if *flag => cotangent_graph::ops::repeated(b, *v, size),
            _ => *v,
        });
    }
    let region = Region::Scan(Scan {
        body: Callee(Arc::new(body)),
        ..s.clone()
    });
    let results = b.region(region, &operands);
    let mut batched = Vec::with_capacity(results.len());
    for (i, (v, flag)) in results.into_iter().zip(out).enumerate() {
        batched.push((
            if flag && i >= s.carry {
                swap_leading(b, v)
            } else {
                v
            },
            flag,
        ));
    }
    Ok(batched)
}

/// The body that gives its values, then the residuals that change from step to step.
fn values(primal: &Graph, count: usize, changes: &[bool]) -> Result<Callee, TransformError> {
    let mut b = Builder::new(primal.name());
    let inputs: Vec<Var> = primal
        .inputs()
        .iter()
        .zip(primal.input_types())
        .map(|((name, _), ty)| b.input(name, ty))
        .collect();
    let mut outputs = b.inline(primal, &inputs);
    let residuals = outputs.split_off(count);
    outputs.extend(
        residuals
            .into_iter()
            .zip(changes)
            .filter(|(_, c)| **c)
            .map(|(v, _)| v),
    );
    Ok(Callee(Arc::new(b.finish(&outputs)?.without_dead_code())))
}

fn swap_leading(b: &mut Builder, v: Var) -> Var {
    let mut axes: Vec<usize> = (0..b.rank(v)).collect();
    if axes.len() >= 2 {
        axes.swap(0, 1);
    }
    b.transpose(v, &axes)
}
