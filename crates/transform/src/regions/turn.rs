//! Sweeps over the steps of a loop, turned around.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cotangent_graph::ops::{Operand, Region, Sweeps};
use cotangent_graph::{Builder, Callee, Equation, Graph, TensorType, Var};

use super::{emit, not_linear};
use crate::TransformError;
use crate::linearize::dependents;
use crate::transpose::transpose_call;

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
                let summed = later == j && i >= self.s.carried();
                if !summed && !moved.contains(&i) {
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
