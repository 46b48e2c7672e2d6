//! Loops that run as long as a test holds, and sweeps over their steps.
//!
//! A `while` is a single sweep, so one set of rules serves both. Its tangents are a sweep that
//! carries tangents beside values. The transpose needs the values before the tangents' cotangents,
//! which run the other way: it is the sweeps over what is known, and after them those of the linear
//! values, each turned around, the last one first. That is sweeps again, so derivatives nest to any
//! order in any mix of modes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cotangent_graph::ops::{Operand, Region, Sweeps};
use cotangent_graph::{Builder, Callee, Equation, Graph, TensorType, Var};

use super::lanes::{self, Lanes};
use super::{Moved, batched_body, emit, finite_tangents, not_linear};
use crate::TransformError;
use crate::forward::Forward;
use crate::linearize::dependents;
use crate::transpose::transpose_call;

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
        let inputs = [&groups[..], &[shared.clone()]].concat();
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

/// The transpose of sweeps in some of what they carry and share: the sweeps over the rest, and
/// behind them those over the cotangents.
pub(super) fn transpose(
    b: &mut Builder,
    s: &Sweeps,
    e: &Equation,
    operands: &[Operand],
    cotangents: &[Var],
) -> Result<Vec<Option<Var>>, TransformError> {
    let Some(turn) = Turn::new(b, s, operands)? else {
        return Ok(vec![None; operands.len()]);
    };
    let test = turn.test(e)?;
    let mut bodies = Vec::new();
    for j in 0..=turn.last {
        bodies.push(turn.known_step(j)?);
    }
    for j in (turn.first..=turn.last).rev() {
        bodies.push(turn.step_back(j)?);
    }
    let value = |i: &usize| operands[*i].known();
    let (mut args, mut carry) = (Vec::new(), Vec::new());
    for j in 0..=turn.last {
        let known = turn.known(j);
        args.extend(known.iter().filter_map(value));
        carry.push(known.len());
    }
    let behind = args.len();
    for j in (turn.first..=turn.last).rev() {
        let (moved, summed) = (turn.moved(j), &turn.summed[j]);
        args.extend(moved.iter().filter_map(|i| cotangents.get(*i)));
        for i in summed {
            args.push(b.zeros(&turn.types[*i]));
        }
        carry.push(moved.len() + summed.len());
    }
    args.extend(turn.fixed().iter().filter_map(value));
    let sweeps = Sweeps {
        test,
        bodies,
        carry,
    };
    let results = b.region(Region::from(sweeps), &args);
    let mut results = results.into_iter().skip(behind);
    let mut found: HashMap<usize, Var> = HashMap::new();
    for j in (turn.first..=turn.last).rev() {
        for i in turn.moved(j).iter().chain(&turn.summed[j]) {
            let Some(part) = results.next() else { break };
            let total = match found.get(i) {
                Some(before) => b.add(*before, part),
                None => part,
            };
            found.insert(*i, total);
        }
    }
    let wanted = operands.iter().enumerate();
    Ok(wanted
        .map(|(i, o)| o.is_linear().then(|| found.get(&i).copied()).flatten())
        .collect())
}

/// Sweeps that are being turned around.
struct Turn<'a> {
    s: &'a Sweeps,
    types: Vec<TensorType>,
    ranges: Vec<Range<usize>>,
    /// Which operands are linear; the others are known.
    linear: Vec<bool>,
    /// The first and the last sweep that carry something linear.
    first: usize,
    last: usize,
    /// The transpose of each body, where something of its sweep is linear.
    turned: Vec<Option<Graph>>,
    /// The linear shared operands that each body reads.
    summed: Vec<Vec<usize>>,
}

impl<'a> Turn<'a> {
    /// `None` when nothing that is carried is linear.
    fn new(
        b: &Builder,
        s: &'a Sweeps,
        operands: &[Operand],
    ) -> Result<Option<Turn<'a>>, TransformError> {
        let mut turn = Turn {
            s,
            types: operands.iter().map(|o| o.ty(b)).collect(),
            ranges: s.ranges(),
            linear: operands.iter().map(Operand::is_linear).collect(),
            first: 0,
            last: 0,
            turned: Vec::new(),
            summed: Vec::new(),
        };
        // What is linear in one step may make more carried values linear in the next.
        for (j, body) in s.bodies.iter().enumerate() {
            loop {
                let inputs = turn.inputs(j).into_iter().zip(body.0.inputs());
                let on: Vec<Var> = inputs
                    .filter(|(i, _)| turn.linear[*i])
                    .map(|(_, (_, v))| *v)
                    .collect();
                let depends = dependents(&body.0, &on);
                let outputs = turn.ranges[j].clone().zip(body.0.outputs());
                let new: Vec<usize> = outputs
                    .filter(|(i, o)| depends[o.index()] && !turn.linear[*i])
                    .map(|(i, _)| i)
                    .collect();
                if new.is_empty() {
                    break;
                }
                new.into_iter().for_each(|i| turn.linear[i] = true);
            }
        }
        let moves: Vec<usize> = (0..s.bodies.len())
            .filter(|j| !turn.moved(*j).is_empty())
            .collect();
        let (Some(first), Some(last)) = (moves.first(), moves.last()) else {
            return Ok(None);
        };
        (turn.first, turn.last) = (*first, *last);
        for (j, body) in s.bodies.iter().enumerate().take(turn.last + 1) {
            if turn.moved(j).is_empty() {
                turn.turned.push(None);
                turn.summed.push(Vec::new());
                continue;
            }
            let inputs = turn.inputs(j);
            let linear: Vec<bool> = inputs.iter().map(|i| turn.linear[*i]).collect();
            let open: Vec<usize> = (0..linear.len() + body.0.outputs().len()).collect();
            turn.turned
                .push(Some(transpose_call(&body.0, &linear, &open)?));
            let live = body.0.live();
            let read = inputs.iter().zip(body.0.inputs());
            let shared = read
                .filter(|(i, (_, v))| **i >= s.carried() && turn.linear[**i] && live[v.index()]);
            let summed = shared.map(|(i, _)| *i).collect();
            turn.summed.push(summed);
        }
        Ok(Some(turn))
    }

    /// The operands that the body of a sweep takes, in order.
    fn inputs(&self, j: usize) -> Vec<usize> {
        (0..self.ranges[j].end)
            .chain(self.s.carried()..self.types.len())
            .collect()
    }

    fn known(&self, j: usize) -> Vec<usize> {
        self.ranges[j]
            .clone()
            .filter(|i| !self.linear[*i])
            .collect()
    }

    fn moved(&self, j: usize) -> Vec<usize> {
        self.ranges[j].clone().filter(|i| self.linear[*i]).collect()
    }

    fn fixed(&self) -> Vec<usize> {
        (self.s.carried()..self.types.len())
            .filter(|i| !self.linear[*i])
            .collect()
    }

    /// Inputs for the known operands of the sweeps up to one, by operand.
    fn known_inputs(&self, l: &mut Builder, upto: usize, values: &mut HashMap<usize, Var>) {
        for j in 0..=upto {
            for i in self.known(j) {
                values.insert(i, l.input("r", self.types[i].clone()));
            }
        }
    }

    fn fixed_inputs(&self, l: &mut Builder, values: &mut HashMap<usize, Var>) {
        for i in self.fixed() {
            values.insert(i, l.input("r", self.types[i].clone()));
        }
    }

    /// Some outputs of a graph that takes what the body of a sweep takes, from known operands alone.
    fn only_known(
        &self,
        graph: &Graph,
        j: usize,
        wanted: &[Var],
    ) -> Result<Callee, TransformError> {
        let mut l = Builder::new(graph.name());
        let mut values = HashMap::new();
        self.known_inputs(&mut l, j, &mut values);
        self.fixed_inputs(&mut l, &mut values);
        let inputs = self.inputs(j).into_iter().zip(graph.inputs());
        let mut to = inputs
            .filter_map(|(i, (_, v))| Some((*v, *values.get(&i)?)))
            .collect();
        let outputs = emit(&mut l, graph, &mut to, wanted);
        Ok(Callee(Arc::new(l.finish(&outputs)?)))
    }

    fn known_step(&self, j: usize) -> Result<Callee, TransformError> {
        let body = &self.s.bodies[j].0;
        let outputs = self.ranges[j].clone().zip(body.outputs());
        let wanted: Vec<Var> = outputs
            .filter(|(i, _)| !self.linear[*i])
            .map(|(_, o)| *o)
            .collect();
        self.only_known(body, j, &wanted)
    }

    fn test(&self, e: &Equation) -> Result<Callee, TransformError> {
        let test = &self.s.test.0;
        let inputs = self.inputs(0).into_iter().zip(test.inputs());
        let on: Vec<Var> = inputs
            .filter(|(i, _)| self.linear[*i])
            .map(|(_, (_, v))| *v)
            .collect();
        let depends = dependents(test, &on);
        if test.outputs().iter().any(|o| depends[o.index()]) {
            return Err(not_linear(e));
        }
        self.only_known(test, 0, test.outputs())
    }

    /// One step of a sweep's cotangents: those of what it carries, and sums for what is shared. A
    /// later sweep reads what this one carried at the same step, so its cotangent comes in here,
    /// computed from what that sweep's cotangents were when they came to this step.
    fn step_back(&self, j: usize) -> Result<Callee, TransformError> {
        let mut l = Builder::new(&format!("{}_transpose", self.s.bodies[j].0.name()));
        let mut values = HashMap::new();
        self.known_inputs(&mut l, self.last, &mut values);
        let mut carried: HashMap<usize, Var> = HashMap::new();
        let mut sums = Vec::new();
        for later in (j..=self.last).rev() {
            for i in self.moved(later) {
                carried.insert(i, l.input("ct", self.types[i].clone()));
            }
            sums.clear();
            for i in &self.summed[later] {
                sums.push((*i, l.input("sum", self.types[*i].clone())));
            }
        }
        self.fixed_inputs(&mut l, &mut values);
        let moved = self.moved(j);
        let mut totals: HashMap<usize, Var> = HashMap::new();
        for later in j..=self.last {
            let Some(turned) = &self.turned[later] else {
                continue;
            };
            let body = &self.s.bodies[later].0;
            let inputs = self.inputs(later);
            let mut args: Vec<Var> = inputs
                .iter()
                .filter_map(|i| values.get(i).copied())
                .collect();
            for (i, ty) in self.ranges[later].clone().zip(body.output_types()) {
                args.push(carried.get(&i).copied().unwrap_or_else(|| l.zeros(&ty)));
            }
            let linear = inputs.into_iter().filter(|i| self.linear[*i]);
            for (i, part) in linear.zip(l.inline(turned, &args)) {
                if !moved.contains(&i) && !(later == j && i >= self.s.carried()) {
                    continue;
                }
                let total = match totals.get(&i) {
                    Some(before) => l.add(*before, part),
                    None => part,
                };
                totals.insert(i, total);
            }
        }
        let mut outputs: Vec<Var> = Vec::new();
        for i in &moved {
            let total = totals.get(i).copied();
            outputs.push(total.unwrap_or_else(|| l.zeros(&self.types[*i])));
        }
        for (i, sum) in sums {
            outputs.push(match totals.get(&i) {
                Some(part) => l.add(sum, *part),
                None => sum,
            });
        }
        Ok(Callee(Arc::new(l.finish(&outputs)?.without_dead_code())))
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
            crate::vmap::repeat(b, *v, size)
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
