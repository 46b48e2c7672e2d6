//! Loops that run as long as a test holds, and sweeps over their steps.
//!
//! A `while` is a single sweep, so one set of rules serves both. Its tangents are a sweep that
//! carries tangents beside values. The transpose needs the values before the tangents' cotangents,
//! which run the other way: it is the sweeps over what is known, and after them those of the linear
//! values, each turned around, the last one first. That is sweeps again, so derivatives nest to any
//! order in any mix of modes.

use std::ops::Range;
use std::sync::Arc;

use cotangent_graph::ops::{Region, Sweeps};
use cotangent_graph::{Builder, Callee, Graph, TensorType, Var};

use super::lanes::{self, Lanes};
use super::{Moved, batched_body, finite_tangents};
use crate::TransformError;
use crate::forward::Forward;

/// Sweeps that carry values and tangents together. Where the tangents are to be a linear part of
/// their own, the values come from sweeps of their own.
pub(super) fn forward(
    b: &mut Builder,
    s: &Sweeps,
    args: &[Var],
    tangents: &[Option<Var>],
    split: bool,
) -> Result<Vec<Moved>, TransformError> {
    let mut joint = Joint {
        types: args.iter().map(|a| b.tensor(*a)).collect(),
        active: tangents.iter().map(Option::is_some).collect(),
        finite: args.iter().map(|a| b.is_finite(*a)).collect(),
        moving: finite_tangents(b, tangents),
    };
    let (ranges, total) = (s.ranges(), s.carried());
    let shared = total..args.len();
    let mut bodies = Vec::with_capacity(s.bodies.len());
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (body, range) in s.bodies.iter().zip(&ranges) {
        groups.push(range.clone());
        let inputs = [&groups[..], std::slice::from_ref(&shared)].concat();
        bodies.push(joint.body(&body.0, &inputs, range, split)?);
    }
    let plain = |b: &mut Builder| b.region(Region::from(s.clone()), args);
    if !joint.active[..total].contains(&true) {
        return Ok(plain(b).into_iter().map(|v| (v, None)).collect());
    }
    let test = {
        let mut t = Builder::new(s.test.0.name());
        let groups = [ranges.first().cloned().unwrap_or(0..0), shared.clone()];
        let (values, _) = joint.inputs(&mut t, &s.test.0, &groups);
        let holds = t.inline(&s.test.0, &values);
        Callee(Arc::new(t.finish(&holds)?))
    };
    let mut operands = Vec::new();
    for range in ranges.iter().chain([&shared]) {
        operands.extend(&args[range.clone()]);
        for i in range.clone().filter(|i| joint.active[*i]) {
            operands.push(tangents[i].unwrap_or_else(|| b.like(args[i], 0.0)));
        }
    }
    let moving = |range: &Range<usize>| range.clone().filter(|i| joint.active[*i]).count();
    let carry = ranges.iter().map(|r| r.len() + moving(r)).collect();
    let both = Sweeps {
        test,
        bodies,
        carry,
    };
    let mut found = b.region(Region::from(both), &operands).into_iter();
    let mut results: Vec<Moved> = Vec::with_capacity(total);
    for range in &ranges {
        let first = results.len();
        results.extend(found.by_ref().take(range.len()).map(|v| (v, None)));
        for i in range.clone().filter(|i| joint.active[*i]) {
            if let (Some(result), Some(tangent)) =
                (results.get_mut(first + i - range.start), found.next())
            {
                result.1 = Some(tangent);
            }
        }
    }
    if split {
        for (result, value) in results.iter_mut().zip(plain(b)) {
            result.0 = value;
        }
    }
    Ok(results)
}

/// What is known of the operands, as it holds in every step.
struct Joint {
    types: Vec<TensorType>,
    /// Which of them vary.
    active: Vec<bool>,
    /// Which of them are finite.
    finite: Vec<bool>,
    /// Which of their tangents are finite.
    moving: Vec<bool>,
}

impl Joint {
    /// The body of one sweep on values and tangents: for each group of operands the values, then the
    /// tangents of those that vary. What varies, or is infinite, in one step may make more carried
    /// values so in the next, so this goes on until nothing new is found.
    fn body(
        &mut self,
        body: &Graph,
        groups: &[Range<usize>],
        own: &Range<usize>,
        split: bool,
    ) -> Result<Callee, TransformError> {
        loop {
            let mut l = Builder::new(&format!("{}_jvp", body.name()));
            let (values, moves) = self.inputs(&mut l, body, groups);
            let walked = Forward::walk(&mut l, body, &values, &moves, split)?;
            let mut outputs = walked.values(body);
            let mut changed = false;
            for ((i, o), v) in own.clone().zip(body.outputs()).zip(&outputs) {
                let tangent = walked.tangents[o.index()];
                changed |= (tangent.is_some() && !self.active[i])
                    || (self.finite[i] && !l.is_finite(*v))
                    || (self.moving[i] && !tangent.is_none_or(|t| l.is_finite(t)));
                self.active[i] |= tangent.is_some();
                self.finite[i] &= l.is_finite(*v);
                self.moving[i] &= tangent.is_none_or(|t| l.is_finite(t));
            }
            if changed {
                continue;
            }
            for (i, o) in own.clone().zip(body.outputs()) {
                if self.active[i] {
                    let tangent = walked.tangents[o.index()];
                    outputs.push(tangent.unwrap_or_else(|| l.zeros(&self.types[i])));
                }
            }
            return Ok(Callee(Arc::new(l.finish(&outputs)?.without_dead_code())));
        }
    }

    /// Inputs for groups of operands: values, named as those of a graph, and then the tangents.
    fn inputs(
        &self,
        l: &mut Builder,
        like: &Graph,
        groups: &[Range<usize>],
    ) -> (Vec<Var>, Vec<Option<Var>>) {
        let (mut values, mut moves) = (Vec::new(), Vec::new());
        for range in groups {
            let first = values.len();
            for i in range.clone() {
                let name = like.inputs().get(values.len()).map_or("x", |(n, _)| n);
                let value = l.input(name, self.types[i].clone());
                if !self.finite[i] {
                    l.set_open(value);
                }
                values.push(value);
                moves.push(None);
            }
            for i in range.clone().filter(|i| self.active[*i]) {
                let tangent = l.input("t", self.types[i].clone());
                if !self.moving[i] {
                    l.set_open(tangent);
                }
                moves[first + i - range.start] = Some(tangent);
            }
        }
        (values, moves)
    }
}

/// The sweeps over a batch run as long as the test holds for some example. Those that are done keep
/// their values, in every sweep.
pub(super) fn batch(
    b: &mut Builder,
    s: &Sweeps,
    args: &[(Var, bool)],
    size: usize,
) -> Result<Vec<(Var, bool)>, TransformError> {
    let (ranges, total) = (s.ranges(), s.carried());
    let mut flags: Vec<bool> = args.iter().map(|a| a.1).collect();
    let taken = |flags: &[bool], j: usize| -> Vec<bool> {
        let end = ranges.get(j).map_or(0, |r| r.end);
        [&flags[..end], &flags[total..]].concat()
    };
    let mut each = false;
    for (j, (body, range)) in s.bodies.iter().zip(&ranges).enumerate() {
        loop {
            if j == 0 {
                let (_, tested) = batched_body(&s.test.0, &taken(&flags, 0), size, &[])?;
                each = tested.first() == Some(&true);
            }
            // An example that may stop by itself makes every carried value its own.
            let (_, out) = batched_body(&body.0, &taken(&flags, j), size, &[])?;
            let outputs = range.clone().zip(out);
            let new: Vec<usize> = outputs
                .filter(|(i, out)| (*out || each) && !flags[*i])
                .map(|(i, _)| i)
                .collect();
            if new.is_empty() {
                break;
            }
            new.into_iter().for_each(|i| flags[i] = true);
        }
    }
    let (test, _) = batched_body(&s.test.0, &taken(&flags, 0), size, &[])?;
    let mut bodies = Vec::with_capacity(s.bodies.len());
    for (j, (body, range)) in s.bodies.iter().zip(&ranges).enumerate() {
        let inputs = taken(&flags, j);
        let (mut body, _) = batched_body(&body.0, &inputs, size, &flags[range.clone()])?;
        if each {
            let first = ranges.first().map_or(0, Range::len);
            body = masked(&test, &body, first, range, &inputs, size)?;
        }
        bodies.push(Callee(Arc::new(body)));
    }
    let test = if each { some_holds(&test)? } else { test };
    let mut operands = Vec::with_capacity(args.len());
    for ((v, batched), flag) in args.iter().zip(&flags) {
        operands.push(if *flag && !batched {
            cotangent_graph::ops::repeated(b, *v, size)
        } else {
            *v
        });
    }
    let sweeps = Sweeps {
        test: Callee(Arc::new(test)),
        bodies,
        carry: s.carry.clone(),
    };
    let results = b.region(Region::from(sweeps), &operands);
    Ok(results.into_iter().zip(flags).collect())
}

fn some_holds(test: &Graph) -> Result<Graph, TransformError> {
    let (mut b, inputs) = start(test);
    let holds = b.inline(test, &inputs);
    let any: Vec<Var> = holds
        .into_iter()
        .map(|mask| lanes::some(&mut b, mask))
        .collect();
    Ok(b.finish(&any)?)
}

/// The body in which only the examples whose test holds take the step. The test takes the first
/// inputs, as many as the first sweep carries, and the shared ones; what the body carries itself
/// stands at `own`, and `flags` say which inputs are batched.
fn masked(
    test: &Graph,
    body: &Graph,
    first: usize,
    own: &Range<usize>,
    flags: &[bool],
    size: usize,
) -> Result<Graph, TransformError> {
    let (mut b, inputs) = start(body);
    let (carried, shared) = inputs.split_at(own.end.min(inputs.len()));
    let tested = [carried.get(..first).unwrap_or_default(), shared].concat();
    let holds = b.inline(test, &tested);
    let Some(mask) = holds.first() else {
        return Ok(body.clone());
    };
    let lanes = Lanes::new(&mut b, *mask, size);
    let mut filled = Vec::with_capacity(inputs.len());
    for (v, flag) in inputs.iter().zip(flags) {
        filled.push(if *flag { lanes.fill(&mut b, *v) } else { *v });
    }
    let next = b.inline(body, &filled);
    let kept = inputs.get(own.clone()).unwrap_or_default();
    let mut outputs = Vec::with_capacity(next.len());
    for (new, old) in next.into_iter().zip(kept) {
        outputs.push(lanes::select(&mut b, *mask, new, *old));
    }
    Ok(b.finish(&outputs)?.without_dead_code())
}

fn start(like: &Graph) -> (Builder, Vec<Var>) {
    let mut b = Builder::new(like.name());
    let inputs = like.inputs().iter().zip(like.input_types());
    let inputs = inputs.map(|((name, _), ty)| b.input(name, ty)).collect();
    (b, inputs)
}
