//! Random graphs together with inputs at which they are well behaved.
//!
//! A generator evaluates each operation while it builds, so that it knows the values that an
//! operand has and can move them into the range that the next operation's row declares.

mod bodies;
mod operands;
mod values;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cotangent_array::{Array, DType};
use cotangent_graph::ops::Linalg;
use cotangent_graph::{Builder, Graph, Op, TensorType, Var, eval_op};

use crate::arrays::{extent, is_finite};
use crate::rng::Rng;
use crate::samples;

/// A graph and the inputs to run it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// The graph.
    pub graph: Graph,
    /// One array for each input.
    pub inputs: Vec<Array>,
    /// What it was drawn from; the choices that checks make are drawn from it too.
    pub seed: u64,
    /// Whether it is differentiable at the inputs, with values of ordinary size. Others hold
    /// infinities, NaN and the largest integers, and are only run.
    pub smooth: bool,
}

impl Case {
    /// The case of a seed.
    pub fn draw(seed: u64) -> Case {
        let mut rng = Rng::new(seed);
        let large = rng.chance(0.05);
        let smooth = large || rng.chance(0.8);
        let mut g = Generator::new(rng, smooth);
        g.large = large;
        let starts = g.rng.size(1, 2);
        for _ in 0..starts {
            let ty = TensorType::new(g.float(), g.shape());
            g.new_input(ty);
        }
        let steps = if g.rng.chance(0.08) {
            g.rng.size(13, 40)
        } else {
            g.rng.size(2, 12)
        };
        g.grow(steps);
        let name = g
            .rng
            .pick(&["main", "f", "loss", "sin", "g_2"])
            .unwrap_or("main");
        let (graph, inputs) = g.finish(name);
        Case {
            graph,
            inputs,
            seed,
            // Differences of large arrays would take too long.
            smooth: smooth && !large,
        }
    }

    /// The same case with every float input moved a little, to leave a kink behind.
    pub fn moved(&self, attempt: u64) -> Case {
        let mut rng = Rng::new(Rng::seed(self.seed, attempt));
        let inputs = self
            .inputs
            .iter()
            .map(|a| crate::arrays::jitter(a, 0.02, &mut rng))
            .collect();
        Case {
            inputs,
            ..self.clone()
        }
    }
}

/// The most elements that an array of a random graph has, and of one that is large on purpose, to
/// meet what kernels do beyond the width of a vector and the size of a block.
const MOST_ELEMENTS: [usize; 2] = [64, 4096];

/// A graph that grows, with the value of every variable at the inputs drawn.
#[derive(Debug)]
pub struct Generator {
    /// The source of all choices.
    pub rng: Rng,
    /// Whether values are kept finite and of ordinary size.
    pub smooth: bool,
    b: Builder,
    values: HashMap<Var, Array>,
    pool: Vec<Var>,
    inputs: Vec<Array>,
    names: HashSet<String>,
    most_inputs: usize,
    depth: usize,
    callees: Vec<Arc<Graph>>,
    floats: &'static [DType],
    large: bool,
}

impl Generator {
    fn new(mut rng: Rng, smooth: bool) -> Generator {
        use DType::{C64, C128, F32, F64};
        let floats: [&'static [DType]; 8] = [
            &[F64],
            &[F64],
            &[F64],
            &[F32],
            &[F64, F32],
            &[F64, C128],
            &[F32, C64],
            &[C128, F64, C64, F32],
        ];
        let floats = rng.pick(&floats).unwrap_or(&[F64]);
        let most_inputs = rng.size(2, 5);
        Generator {
            rng,
            smooth,
            b: Builder::new(""),
            values: HashMap::new(),
            pool: Vec::new(),
            inputs: Vec::new(),
            names: HashSet::new(),
            most_inputs,
            depth: 0,
            callees: Vec::new(),
            floats,
            large: false,
        }
    }

    /// Adds operations, some tries of which may fail.
    pub fn grow(&mut self, steps: usize) {
        for _ in 0..steps {
            let kind = samples::draw(&mut self.rng);
            kind.sample(self);
        }
    }

    /// The graph with some of its unread variables as outputs, and the inputs.
    fn finish(mut self, name: &str) -> (Graph, Vec<Array>) {
        let mut read = HashSet::new();
        for e in self.b.graph().equations() {
            read.extend(e.args.iter().copied());
        }
        let mut ends: Vec<Var> = self
            .pool
            .iter()
            .copied()
            .filter(|v| !read.contains(v))
            .collect();
        self.rng.shuffle(&mut ends);
        // A float first, so that there is something to differentiate.
        ends.sort_by_key(|v| !self.b.dtype(*v).is_inexact());
        let most = self.rng.size(1, 4);
        ends.truncate(most);
        if ends.is_empty() || self.rng.chance(0.04) {
            ends.extend(self.rng.pick(&self.pool));
        }
        if self.rng.chance(0.04) {
            ends.extend(self.rng.pick(&ends.clone()));
        }
        if self.rng.chance(0.03) {
            let ty = TensorType::new(self.float(), self.shape());
            let constant = self.constant(&ty);
            ends.push(constant);
        }
        if self.depth > 0 && self.rng.chance(0.02) {
            ends.clear();
        }
        let graph = self.b.finish(&ends).map(|g| g.renamed(name));
        (
            graph.unwrap_or_else(|e| panic!("the generator drew a bad graph: {e}")),
            self.inputs,
        )
    }

    /// The value of a variable at the inputs.
    pub fn value(&self, v: Var) -> &Array {
        &self.values[&v]
    }

    /// The type of a variable.
    pub fn ty(&self, v: Var) -> TensorType {
        self.b.tensor(v)
    }

    /// Adds an operation, unless the operands do not fit or, in a smooth graph, a value leaves the
    /// ordinary range.
    pub fn push(&mut self, op: impl Into<Op>, args: &[Var]) -> Option<Var> {
        let (v, known) = self.emit(op.into(), args, false)?;
        if !known {
            self.pool.push(v);
        }
        Some(v)
    }

    /// As [`Generator::push`], for a step on the way to finite values: it may hold infinities in any graph, and
    /// no other operation is drawn with it.
    pub fn push_infinite(&mut self, op: impl Into<Op>, args: &[Var]) -> Option<Var> {
        self.emit(op.into(), args, true).map(|(v, _)| v)
    }

    /// The variable of an operation, and whether it was there.
    fn emit(&mut self, op: Op, args: &[Var], infinite: bool) -> Option<(Var, bool)> {
        let types: Vec<_> = args.iter().map(|a| self.b.ty(*a).clone()).collect();
        let ty = op
            .infer(&types.iter().collect::<Vec<_>>())
            .ok()?
            .tensor()?
            .clone();
        let operands: Vec<&Array> = args.iter().map(|a| &self.values[a]).collect();
        let value = eval_op(&op, &operands, &ty).ok()?;
        if !infinite && !self.takes(&value) {
            return None;
        }
        let v = self.b.push(op, args);
        let known = self.values.insert(v, value).is_some();
        Some((v, known))
    }

    fn takes(&self, value: &Array) -> bool {
        !self.smooth || !value.dtype().is_inexact() || (is_finite(value) && extent(value).1 < 1e6)
    }

    /// Adds an operation of linear algebra; the first of its results.
    pub fn linalg(&mut self, op: impl Into<Linalg>, args: &[Var]) -> Option<Var> {
        let op = op.into();
        let types: Vec<TensorType> = args.iter().map(|a| self.ty(*a)).collect();
        let results = op.results(&types.iter().collect::<Vec<_>>()).ok()?;
        let values: Vec<&Array> = args.iter().map(|a| &self.values[a]).collect();
        let values = op.eval(&values, &results).ok()?;
        if !values.iter().all(|r| self.takes(r)) {
            return None;
        }
        let vars = self.b.linalg(op, args);
        for (v, value) in vars.iter().zip(values) {
            if self.values.insert(*v, value).is_none() {
                self.pool.push(*v);
            }
        }
        vars.first().copied()
    }
}
