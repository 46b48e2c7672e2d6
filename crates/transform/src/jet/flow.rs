//! Calls, branches and loops: their bodies carry coefficients beside the values.

use std::ops::Range;
use std::sync::Arc;

use cotangent_graph::ops::{Cond, Custom, Region, RuleKind, Scan, Sweeps};
use cotangent_graph::{Builder, Callee, Graph, Op, TensorType, Var};

use super::{Curve, walk};
use crate::TransformError;

type Curves = Result<Vec<Curve>, TransformError>;

/// The curves of the results of an operation with bodies.
pub(super) fn region(b: &mut Builder, op: &Op, args: &[Curve], order: usize) -> Curves {
    let active: Vec<bool> = args
        .iter()
        .map(|c| c.iter().skip(1).any(Option::is_some))
        .collect();
    match op {
        Op::Call(callee)
        | Op::Region(Region::Custom(Custom {
            call: callee,
            kind: RuleKind::Checkpoint,
            ..
        })) => {
            let body = Body::new(&callee.0, &active, &[], order)?;
            let whole = 0..args.len();
            let operands = operands(b, args, &active, &[whole], order);
            let results = b.call(&Arc::new(body.graph), &operands);
            let count = callee.0.outputs().len();
            Ok(curves(
                results,
                &body.varying,
                std::slice::from_ref(&(0..count)),
                order,
            ))
        }
        Op::Region(Region::Cond(c)) => cond(b, c, args, &active, order),
        Op::Region(Region::Scan(s)) => scan(b, s, args, active, order),
        Op::Region(Region::While(w)) => sweeps(b, &Sweeps::from(w), args, active, order),
        Op::Region(Region::Sweeps(s)) => sweeps(b, s, args, active, order),
        op if !active.contains(&true) => {
            let whole = 0..args.len();
            let operands = operands(b, args, &active, &[whole], order);
            let results = b.results(op.clone(), &operands);
            let still = vec![false; results.len()];
            let all = 0..results.len();
            Ok(curves(results, &still, std::slice::from_ref(&all), order))
        }
        // A rule says what the first derivative is, not the next ones.
        op => Err(TransformError::NoJet {
            op: op
                .callees()
                .next()
                .map_or(op.name(), |c| c.0.name())
                .to_owned(),
            location: None,
        }),
    }
}

fn cond(b: &mut Builder, c: &Cond, args: &[Curve], active: &[bool], order: usize) -> Curves {
    let (Some((condition, inputs)), Some((_, active))) = (args.split_first(), active.split_first())
    else {
        return Ok(Vec::new());
    };
    let then = Body::new(&c.then.0, active, &[], order)?;
    let otherwise = Body::new(&c.otherwise.0, active, &[], order)?;
    let pairs = then.varying.iter().zip(&otherwise.varying);
    let varying: Vec<bool> = pairs.map(|(x, y)| *x || *y).collect();
    let branch =
        |g: &Graph| Body::new(g, active, &varying, order).map(|b| Callee(Arc::new(b.graph)));
    let region = Region::Cond(Cond {
        then: branch(&c.then.0)?,
        otherwise: branch(&c.otherwise.0)?,
    });
    let mut all: Vec<Var> = condition.first().copied().flatten().into_iter().collect();
    let whole = 0..inputs.len();
    all.extend(operands(b, inputs, active, &[whole], order));
    let results = b.region(region, &all);
    Ok(curves(
        results,
        &varying,
        std::slice::from_ref(&(0..varying.len())),
        order,
    ))
}

fn scan(b: &mut Builder, s: &Scan, args: &[Curve], mut active: Vec<bool>, order: usize) -> Curves {
    let shared = s.carry.saturating_add(s.scanned).min(args.len());
    let groups = [0..s.carry, s.carry..shared, shared..args.len()];
    let body = settled(&s.body.0, &mut active, 0..s.carry, order)?;
    let count = s.body.0.outputs().len();
    let results = [0..s.carry, s.carry..count];
    let arranged = body.arranged(&s.body.0.input_types(), &active, &groups, &results, order)?;
    let lengths = |r: &Range<usize>, flags: &[bool]| {
        let moving = flags
            .get(r.clone())
            .unwrap_or_default()
            .iter()
            .filter(|a| **a)
            .count();
        r.len() + moving * order
    };
    let region = Region::Scan(Scan {
        body: Callee(Arc::new(arranged)),
        carry: lengths(&groups[0], &active),
        scanned: lengths(&groups[1], &active),
        ..s.clone()
    });
    let operands = operands(b, args, &active, &groups, order);
    let found = b.region(region, &operands);
    Ok(curves(found, &body.varying, &results, order))
}

/// Sweeps over the steps of a loop, of which a `while` is one: all carry coefficients.
fn sweeps(
    b: &mut Builder,
    s: &Sweeps,
    args: &[Curve],
    mut active: Vec<bool>,
    order: usize,
) -> Curves {
    let (ranges, total) = (s.ranges(), s.carried().min(args.len()));
    let (mut bodies, mut carry) = (Vec::new(), Vec::new());
    for (j, (body, range)) in s.bodies.iter().zip(&ranges).enumerate() {
        // A body reads what the sweeps up to its own carry, and what all share.
        let mut local = s.read_by(j, &active);
        let settled = loop {
            let carried = local.get(range.clone()).unwrap_or_default().to_vec();
            let found = Body::new(&body.0, &local, &carried, order)?;
            if found.varying == carried {
                break found;
            }
            let own = local.get_mut(range.clone()).unwrap_or_default();
            for (a, v) in own.iter_mut().zip(&found.varying) {
                *a |= *v;
            }
        };
        for (a, l) in active.iter_mut().zip(&local).take(range.end) {
            *a = *l;
        }
        let mut groups = ranges.get(..=j).unwrap_or_default().to_vec();
        groups.push(range.end..local.len());
        let whole = 0..range.len();
        let results = std::slice::from_ref(&whole);
        let graph = settled.arranged(&body.0.input_types(), &local, &groups, results, order)?;
        carry.push(graph.outputs().len());
        bodies.push(Callee(Arc::new(graph)));
    }
    let first = ranges.first().map_or(0, |r| r.end);
    let local = s.read_by(0, &active);
    let groups = [0..first, first..local.len()];
    let region = Region::from(Sweeps {
        test: test(&s.test.0, &s.test.0.input_types(), &local, &groups, order)?,
        bodies,
        carry,
    });
    let mut groups = ranges.clone();
    groups.push(total..args.len());
    let operands = operands(b, args, &active, &groups, order);
    let found = b.region(region, &operands);
    active.truncate(total);
    Ok(curves(found, &active, &ranges, order))
}

/// The body of a loop, where each carried value varies that varies after some step.
fn settled(
    graph: &Graph,
    active: &mut [bool],
    carry: Range<usize>,
    order: usize,
) -> Result<Body, TransformError> {
    loop {
        let carried = active.get(carry.clone()).unwrap_or_default().to_vec();
        let body = Body::new(graph, active, &carried, order)?;
        let now = body.varying.get(carry.clone()).unwrap_or_default();
        if now == carried {
            return Ok(body);
        }
        for (a, v) in active.iter_mut().zip(now) {
            *a |= *v;
        }
    }
}

/// A body with coefficients. Inputs: its values, then the coefficients of each active one. Outputs:
/// its values, then the coefficients of each one that varies.
struct Body {
    graph: Graph,
    varying: Vec<bool>,
}

impl Body {
    /// `also` names outputs that have coefficients even where these are zero.
    fn new(
        graph: &Graph,
        active: &[bool],
        also: &[bool],
        order: usize,
    ) -> Result<Body, TransformError> {
        let mut b = Builder::new(&format!("{}_jet", graph.name()));
        let types = graph.input_types();
        let mut input = |name: &str, ty: &TensorType| {
            let v = b.input(name, ty.clone());
            // What a loop carries may come to be infinite.
            b.set_open(v);
            v
        };
        let names = graph.inputs().iter().zip(&types);
        let mut inputs: Vec<Curve> = names.map(|((n, _), t)| vec![Some(input(n, t))]).collect();
        for ((curve, ty), _) in inputs
            .iter_mut()
            .zip(&types)
            .zip(active)
            .filter(|(_, a)| **a)
        {
            curve.extend((0..order).map(|_| Some(input("c", ty))));
        }
        let found = walk(&mut b, graph, inputs, order)?;
        let varying: Vec<bool> = found
            .iter()
            .enumerate()
            .map(|(i, c)| also.get(i) == Some(&true) || c.iter().skip(1).any(Option::is_some))
            .collect();
        let mut outputs: Vec<Var> = found
            .iter()
            .filter_map(|c| c.first().copied().flatten())
            .collect();
        for ((curve, ty), _) in found
            .iter()
            .zip(graph.output_types())
            .zip(&varying)
            .filter(|(_, v)| **v)
        {
            for k in 1..=order {
                let c = curve.get(k).copied().flatten();
                outputs.push(c.unwrap_or_else(|| b.zeros(&ty)));
            }
        }
        Ok(Body {
            graph: b.finish(&outputs)?.without_dead_code(),
            varying,
        })
    }

    /// The same with inputs and outputs in groups: the values of each group, then its coefficients.
    fn arranged(
        &self,
        types: &[TensorType],
        active: &[bool],
        groups: &[Range<usize>],
        results: &[Range<usize>],
        order: usize,
    ) -> Result<Graph, TransformError> {
        let mut b = Builder::new(self.graph.name());
        let args = grouped_inputs(&mut b, types, active, groups, order);
        let found = b.inline(&self.graph, &args);
        let count = self.varying.len();
        let (values, moving) = found.split_at(count.min(found.len()));
        let mut moving = moving.chunks(order.max(1));
        let of: Vec<&[Var]> = self
            .varying
            .iter()
            .map(|v| {
                if *v {
                    moving.next().unwrap_or_default()
                } else {
                    &[]
                }
            })
            .collect();
        let mut outputs = Vec::with_capacity(found.len());
        for group in results {
            outputs.extend(values.get(group.clone()).unwrap_or_default());
            outputs.extend(
                of.get(group.clone())
                    .unwrap_or_default()
                    .iter()
                    .copied()
                    .flatten(),
            );
        }
        Ok(b.finish(&outputs)?)
    }
}

/// A test over values and coefficients, of which it reads the values.
fn test(
    graph: &Graph,
    types: &[TensorType],
    active: &[bool],
    groups: &[Range<usize>],
    order: usize,
) -> Result<Callee, TransformError> {
    let mut b = Builder::new(graph.name());
    let mut args = grouped_inputs(&mut b, types, active, groups, order);
    args.truncate(types.len());
    let outputs = b.inline(graph, &args);
    Ok(Callee(Arc::new(b.finish(&outputs)?)))
}

/// Inputs in groups, the values of each before its coefficients; given back as all values, then all
/// coefficients.
fn grouped_inputs(
    b: &mut Builder,
    types: &[TensorType],
    active: &[bool],
    groups: &[Range<usize>],
    order: usize,
) -> Vec<Var> {
    let (mut values, mut moving) = (Vec::new(), Vec::new());
    for group in groups {
        let members = || types.get(group.clone()).unwrap_or_default().iter();
        values.extend(members().map(|t| b.input("x", t.clone())));
        let flags = active.get(group.clone()).unwrap_or_default();
        for (ty, _) in members().zip(flags).filter(|(_, a)| **a) {
            moving.extend((0..order).map(|_| b.input("c", ty.clone())));
        }
    }
    values.extend(moving);
    values
}

/// Operands in groups: the values of each, then the coefficients of those that are active.
fn operands(
    b: &mut Builder,
    args: &[Curve],
    active: &[bool],
    groups: &[Range<usize>],
    order: usize,
) -> Vec<Var> {
    let mut all = Vec::new();
    for group in groups {
        let members = args.get(group.clone()).unwrap_or_default();
        all.extend(members.iter().filter_map(|c| c.first().copied().flatten()));
        let flags = active.get(group.clone()).unwrap_or_default();
        for (curve, _) in members.iter().zip(flags).filter(|(_, a)| **a) {
            for k in 1..=order {
                let c = curve.get(k).copied().flatten();
                let value = curve.first().copied().flatten();
                all.extend(c.or_else(|| value.map(|v| b.like(v, 0.0))));
            }
        }
    }
    all
}

/// The curves of results in groups.
fn curves(
    results: Vec<Var>,
    varying: &[bool],
    groups: &[Range<usize>],
    order: usize,
) -> Vec<Curve> {
    let mut results = results.into_iter();
    let mut curves: Vec<Curve> = Vec::with_capacity(varying.len());
    for group in groups {
        let first = curves.len();
        curves.extend(results.by_ref().take(group.len()).map(|v| vec![Some(v)]));
        let flags = varying.get(group.clone()).unwrap_or_default();
        let own = curves.get_mut(first..).unwrap_or_default();
        for (curve, _) in own.iter_mut().zip(flags).filter(|(_, v)| **v) {
            curve.extend(results.by_ref().take(order).map(Some));
        }
    }
    curves
}
