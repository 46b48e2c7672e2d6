//! What a loop stacks for other loops to read, where they can have it from less.
//!
//! The way back over `x * concat([1], y[..n - 1])` reads the concatenation of every step. Regions read `y`
//! shifted at no cost, so it is `y` that is stacked; and a few products and sums of what is stacked anyway
//! cost less than to write one more array in every step and to read it from far away.

mod find;

use std::sync::Arc;

use cotangent_graph::ops::{Region, Scan};
use cotangent_graph::{Builder, Callee, Equation, FastMap, Graph, Op, Var};

use crate::CompileError;
use find::{Recipe, Stacks};

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let stacks = Stacks::of(graph);
    if stacks.is_empty() {
        return Ok(None);
    }
    let mut b = Builder::new(graph.name());
    let mut walk = Walk {
        graph,
        stacks: &stacks,
        to: vec![None; graph.equations().len()],
        parts: FastMap::default(),
        sources: FastMap::default(),
    };
    for (name, v) in graph.inputs() {
        if let Some(ty) = graph.ty(*v).tensor() {
            walk.to[v.index()] = Some(b.input(name, ty.clone()));
        }
    }
    for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
        b.follow(e);
        walk.equation(&mut b, v, e)?;
    }
    b.set_location(None);
    let outputs = graph.outputs().iter();
    let outputs: Vec<Var> = outputs.filter_map(|o| walk.to[o.index()]).collect();
    Ok(Some(b.finish(&outputs)?))
}

fn scan(e: &Equation) -> Option<&Scan> {
    match &e.op {
        Op::Region(Region::Scan(s)) => Some(s),
        _ => None,
    }
}

/// The graph while it is built anew.
struct Walk<'a> {
    graph: &'a Graph,
    stacks: &'a Stacks,
    to: Vec<Option<Var>>,
    /// The results of loops that have changed, at their old numbers.
    parts: FastMap<Var, Vec<Option<Var>>>,
    /// The stack of a variable of a loop's body.
    sources: FastMap<(Var, Var), Var>,
}

impl Walk<'_> {
    fn equation(&mut self, b: &mut Builder, v: Var, e: &Equation) -> Result<(), CompileError> {
        if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first())
            && let Some(results) = self.parts.get(tuple)
        {
            self.to[v.index()] = results.get(*i).copied().flatten();
            return Ok(());
        }
        let changes = |s: &&Scan| self.stacks.recipe(v).is_some() || !self.makers(s, e).is_empty();
        let Some(s) = scan(e).filter(changes) else {
            let args: Vec<Var> = e.args.iter().filter_map(|a| self.to[a.index()]).collect();
            self.to[v.index()] = Some(b.push(e.op.clone(), &args));
            return Ok(());
        };
        let results = self.rebuilt(b, v, e, s)?;
        match e.ty.tensor() {
            Some(_) => self.to[v.index()] = results.first().copied().flatten(),
            None => drop(self.parts.insert(v, results)),
        }
        Ok(())
    }

    /// The loops of which this one reads a stack that is there no more.
    fn makers(&self, s: &Scan, e: &Equation) -> Vec<Var> {
        let slices = e.args.iter().skip(s.carry).take(s.scanned);
        let mut makers: Vec<Var> = slices
            .filter_map(|a| self.stacks.moved(*a))
            .map(|(maker, _)| maker)
            .collect();
        makers.sort_unstable();
        makers.dedup();
        makers
    }

    /// A loop that stacks less, or that computes what was stacked.
    fn rebuilt(
        &mut self,
        b: &mut Builder,
        v: Var,
        e: &Equation,
        s: &Scan,
    ) -> Result<Vec<Option<Var>>, CompileError> {
        let body = &s.body.0;
        let mut step = Step::new(body);
        let scanned = self.inputs(&mut step, e, s);
        step.rest(body);

        let recipe = self.stacks.recipe(v);
        let gone = |i: usize| recipe.is_some_and(|r| r.outputs.contains(&i));
        let (mut outputs, mut places): (Vec<Var>, Vec<Option<usize>>) = Default::default();
        for (i, o) in body.outputs().iter().enumerate() {
            places.push((!gone(i)).then_some(outputs.len()));
            outputs.extend(step.to[o.index()].filter(|_| !gone(i)));
        }
        let mut stacked = Vec::new();
        for source in recipe.iter().flat_map(|recipe| &recipe.stacked) {
            let Some(inside) = step.to[source.index()] else {
                continue;
            };
            let there = outputs.iter().skip(s.carry).position(|o| *o == inside);
            stacked.push((*source, there.map_or(outputs.len(), |k| k + s.carry)));
            if there.is_none() {
                outputs.push(inside);
            }
        }
        let region = Region::Scan(Scan {
            body: Callee(Arc::new(step.b.finish(&outputs)?.without_dead_code())),
            scanned,
            ..s.clone()
        });
        let results = b.region(region, &step.operands);
        for (source, place) in stacked {
            if let Some(stack) = results.get(place) {
                self.sources.insert((v, source), *stack);
            }
        }
        let old = places.into_iter();
        Ok(old.map(|place| results.get(place?).copied()).collect())
    }

    /// The inputs of the new body, and what stands for those that it has no more; how many of them are
    /// slices.
    fn inputs(&self, step: &mut Step, e: &Equation, s: &Scan) -> usize {
        let body = &s.body.0;
        let own: Vec<(Var, Var)> = (body.inputs().iter().map(|(_, input)| *input))
            .zip(e.args.iter().copied())
            .collect();
        let (carried, rest) = own.split_at(s.carry.min(own.len()));
        let (slices, shared) = rest.split_at(s.scanned.min(rest.len()));
        let kept = slices
            .iter()
            .filter(|(_, a)| self.stacks.moved(*a).is_none());
        for (input, operand) in carried.iter().chain(kept) {
            step.input(body, *input, self.to[operand.index()]);
        }
        let makers = self.makers(s, e);
        let makers = makers
            .iter()
            .filter_map(|m| Some((*m, self.stacks.recipe(*m)?, self.body(*m)?)));
        // For each of the makers what stands for the variables of its body.
        let mut known: Vec<(Var, &Recipe, &Graph, FastMap<Var, Var>)> = makers
            .map(|(maker, recipe, from)| (maker, recipe, from, FastMap::default()))
            .collect();
        for (maker, recipe, from, known) in &mut known {
            for source in &recipe.stacked {
                let stack = self.sources.get(&(*maker, *source)).copied();
                known.extend(step.found(s.carry, from, *source, stack));
            }
        }
        let first_shared = step.operands.len();
        for (input, operand) in shared {
            step.input(body, *input, self.to[operand.index()]);
        }
        for (maker, recipe, from, known) in &mut known {
            let operands = &self.graph.equation(*maker).args;
            for ((_, input), operand) in from.inputs().iter().zip(operands) {
                if recipe.shared.contains(input) {
                    let operand = self.to[operand.index()];
                    known.extend(step.found(first_shared, from, *input, operand));
                }
            }
            step.compute(from, recipe, known);
        }
        for (input, operand) in slices {
            let Some((maker, output)) = self.stacks.moved(*operand) else {
                continue;
            };
            let of_maker = known.iter().find(|(m, ..)| *m == maker);
            step.to[input.index()] = of_maker.and_then(|(_, _, from, known)| {
                let result = from.outputs().get(output)?;
                known.get(result).copied()
            });
        }
        first_shared - s.carry.min(first_shared)
    }

    fn body(&self, maker: Var) -> Option<&Graph> {
        Some(&scan(self.graph.equation(maker))?.body.0)
    }
}

/// The body of a loop while it is built anew, and the operands of the loop.
struct Step {
    b: Builder,
    to: Vec<Option<Var>>,
    inputs: Vec<Var>,
    operands: Vec<Var>,
}

impl Step {
    fn new(body: &Graph) -> Step {
        Step {
            b: Builder::new(body.name()),
            to: vec![None; body.equations().len()],
            inputs: Vec::new(),
            operands: Vec::new(),
        }
    }

    /// An input that the body had.
    fn input(&mut self, body: &Graph, input: Var, operand: Option<Var>) {
        self.to[input.index()] = self.more(body, input, operand);
    }

    /// An input of the type that a variable of another body has.
    fn more(&mut self, from: &Graph, v: Var, operand: Option<Var>) -> Option<Var> {
        let name = from.inputs().iter().find(|(_, input)| *input == v);
        let name = name.map_or("r", |(name, _)| name);
        let input = self.b.input(name, from.ty(v).tensor()?.clone());
        self.inputs.push(input);
        self.operands.push(operand?);
        Some(input)
    }

    /// A variable of another body and the input that takes the operand which it is: one from `first` on that is
    /// there, or a new one.
    fn found(
        &mut self,
        first: usize,
        from: &Graph,
        v: Var,
        operand: Option<Var>,
    ) -> Option<(Var, Var)> {
        let mut taken = self.operands.iter().zip(&self.inputs).skip(first);
        let there = taken.find(|(o, _)| Some(**o) == operand);
        let there = there.map(|(_, input)| *input);
        Some((v, there.or_else(|| self.more(from, v, operand))?))
    }

    /// Computes again what another body computed.
    fn compute(&mut self, from: &Graph, recipe: &Recipe, known: &mut FastMap<Var, Var>) {
        for v in &recipe.ops {
            let e = from.equation(*v);
            self.b.follow(e);
            let args: Vec<Var> = e
                .args
                .iter()
                .filter_map(|a| known.get(a).copied())
                .collect();
            let found = self.b.push(e.op.clone(), &args);
            known.insert(*v, found);
        }
    }

    /// All operations that the body had.
    fn rest(&mut self, body: &Graph) {
        for (v, e) in body.iter().filter(|(_, e)| !e.op.is_input()) {
            self.b.follow(e);
            let args: Vec<Var> = e.args.iter().filter_map(|a| self.to[a.index()]).collect();
            self.to[v.index()] = Some(self.b.push(e.op.clone(), &args));
        }
    }
}
