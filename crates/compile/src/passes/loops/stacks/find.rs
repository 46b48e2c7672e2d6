//! Which stacks other loops can have from less.

use std::collections::BTreeSet;

use cotangent_graph::ops::{ArrayOp, Scan};
use cotangent_graph::{Checkpoint, FastMap, Graph, Op, TensorType, Var};

use super::scan;
use crate::fuse::{SMALL, is_cheap};
use crate::passes::rules::padded_concat;

/// The most operations that run again in place of one more stack.
const MOST: usize = 8;

/// A stack of less than so many bytes stays in the second cache, where it costs less than to compute it again.
const NEAR: usize = 128 << 10;

/// How what a loop stacked is had from less.
#[derive(Default)]
pub(super) struct Recipe {
    /// The outputs of the body that are stacked no more.
    pub(super) outputs: Vec<usize>,
    /// The operations of the body that run again where those are read, in order.
    pub(super) ops: BTreeSet<Var>,
    /// What they read of a step, all of which is stacked.
    pub(super) stacked: BTreeSet<Var>,
    /// The inputs that are the same in every step and that they read.
    pub(super) shared: BTreeSet<Var>,
}

/// The stacks that change.
pub(super) struct Stacks {
    recipes: FastMap<Var, Recipe>,
    /// The loop and the number of its result that a variable is.
    variables: FastMap<Var, (Var, usize)>,
}

impl Stacks {
    pub(super) fn of(graph: &Graph) -> Stacks {
        let mut stacks = Stacks {
            recipes: FastMap::default(),
            variables: sliced(graph),
        };
        let mut outputs: FastMap<Var, BTreeSet<usize>> = FastMap::default();
        for (maker, output) in stacks.variables.values() {
            outputs.entry(*maker).or_default().insert(*output);
        }
        for (maker, outputs) in outputs {
            let Some(s) = scan(graph.equation(maker)) else {
                continue;
            };
            let body = Body::of(s);
            if let Some(recipe) = body.recipe(outputs.into_iter().filter(|i| *i >= s.carry)) {
                stacks.recipes.insert(maker, recipe);
            }
        }
        stacks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.recipes.is_empty()
    }

    /// How the stacks of a loop are had, where it stacks less.
    pub(super) fn recipe(&self, maker: Var) -> Option<&Recipe> {
        self.recipes.get(&maker)
    }

    /// The loop and the number of its result, where a variable is a stack that goes.
    pub(super) fn moved(&self, v: Var) -> Option<(Var, usize)> {
        let (maker, output) = *self.variables.get(&v)?;
        let gone = self.recipe(maker)?.outputs.contains(&output);
        gone.then_some((maker, output))
    }
}

/// The results of loops that nothing but loops reads, slice by slice.
fn sliced(graph: &Graph) -> FastMap<Var, (Var, usize)> {
    let mut variables: FastMap<Var, (Var, usize)> = FastMap::default();
    for (v, e) in graph.iter() {
        let (maker, output) = match (&e.op, e.args.first()) {
            (Op::Get(i), Some(tuple)) => (*tuple, *i),
            _ => (v, 0),
        };
        if e.ty.tensor().is_some() && scan(graph.equation(maker)).is_some() {
            variables.insert(v, (maker, output));
        }
    }
    let mut whole: Vec<Var> = graph.outputs().to_vec();
    for (_, e) in graph.iter() {
        let slices = scan(e).map_or(0..0, |s| s.carry..s.carry.saturating_add(s.scanned));
        let args = e.args.iter().enumerate();
        whole.extend(args.filter(|(i, _)| !slices.contains(i)).map(|(_, a)| *a));
    }
    let mut read: BTreeSet<(Var, usize)> = BTreeSet::new();
    for v in whole {
        read.extend(variables.get(&v));
    }
    variables.retain(|_, stack| !read.contains(stack));
    variables
}

/// The body of a loop that stacks.
struct Body<'a> {
    graph: &'a Graph,
    /// The inputs that are the same in every step.
    shared: BTreeSet<Var>,
    length: usize,
}

/// What an operation is had from.
#[derive(Default, Clone)]
struct Cone {
    ops: BTreeSet<Var>,
    leaves: BTreeSet<Var>,
    shared: BTreeSet<Var>,
}

impl Body<'_> {
    fn of(s: &Scan) -> Body<'_> {
        let graph = &*s.body.0;
        let shared = graph.inputs().iter().skip(s.carry + s.scanned);
        Body {
            graph,
            shared: shared.map(|(_, v)| *v).collect(),
            length: s.length,
        }
    }

    fn recipe(&self, outputs: impl Iterator<Item = usize>) -> Option<Recipe> {
        let outputs = outputs.filter_map(|i| Some((i, *self.graph.outputs().get(i)?)));
        let (open, kept): (Vec<_>, Vec<_>) = outputs.partition(|(_, o)| self.is_cheap(*o));
        let mut stacked: BTreeSet<Var> = kept.iter().map(|(_, o)| *o).collect();
        let mut recipe = Recipe::default();
        for (i, o) in open {
            let own = self.bytes(&o);
            let cone = self.cone(o, &stacked, &recipe, |v| self.is_cheap(v));
            let more = |cone: &Cone| -> usize {
                let leaves = cone.leaves.difference(&stacked);
                leaves.map(|v| self.bytes(v)).fold(0, usize::saturating_add)
            };
            let new = |cone: &Cone| cone.ops.difference(&recipe.ops).count();
            let far = own.saturating_mul(self.length) >= NEAR;
            let cone = if far && more(&cone) < own && new(&cone) <= MOST {
                cone
            } else {
                let moved = self.cone(o, &stacked, &recipe, |v| self.operand_of_shift(v).is_some());
                if moved.ops.is_empty() || more(&moved) > own {
                    stacked.insert(o);
                    continue;
                }
                moved
            };
            stacked.extend(&cone.leaves);
            recipe.outputs.push(i);
            recipe.ops.extend(&cone.ops);
            recipe.stacked.extend(&cone.leaves);
            recipe.shared.extend(&cone.shared);
        }
        (!recipe.outputs.is_empty()).then_some(recipe)
    }

    /// The operations that run again for a variable, back to what is stacked, is the same in every step or
    /// may not run again.
    fn cone(
        &self,
        v: Var,
        stacked: &BTreeSet<Var>,
        recipe: &Recipe,
        may: impl Fn(Var) -> bool,
    ) -> Cone {
        let mut cone = Cone::default();
        let mut work = vec![v];
        while let Some(v) = work.pop() {
            if self.shared.contains(&v) {
                cone.shared.insert(v);
                continue;
            }
            if self.graph.splat(v).is_some() {
                cone.ops.insert(v);
                continue;
            }
            let again = recipe.ops.contains(&v) || may(v);
            let long = cone.ops.len() > 8 * MOST && !cone.ops.contains(&v);
            if stacked.contains(&v) || !again || long {
                cone.leaves.insert(v);
            } else if cone.ops.insert(v) {
                let args = &self.graph.equation(v).args;
                match self.operand_of_shift(v).filter(|x| !self.is_near(*x)) {
                    // Its readers read across it, so it would be stored again: rather once and for all.
                    Some(x) => {
                        cone.leaves.insert(x);
                        work.extend(args.iter().filter(|a| **a != x));
                    }
                    None => work.extend(args),
                }
            }
        }
        cone
    }

    /// Whether what a shift reads is read further on, or need not be stored.
    fn is_near(&self, x: Var) -> bool {
        let found = self.shared.contains(&x) || self.graph.splat(x).is_some();
        found || self.operand_of_shift(x).is_some()
    }

    fn bytes(&self, v: &Var) -> usize {
        let ty = self.graph.ty(*v).tensor();
        ty.map_or(usize::MAX, TensorType::bytes)
    }

    /// Whether to compute a variable costs less than to write and to read it.
    fn is_cheap(&self, v: Var) -> bool {
        let e = self.graph.equation(v);
        let float = |ty: &&TensorType| ty.dtype.is_float() && ty.shape.elements() > SMALL;
        let op = is_cheap(&e.op) || self.operand_of_shift(v).is_some();
        op && e.checkpoint == Checkpoint::NONE && e.ty.tensor().filter(float).is_some()
    }

    /// What a vector is that regions read as another one, moved along, with a number where nothing comes
    /// from.
    fn operand_of_shift(&self, v: Var) -> Option<Var> {
        let e = self.graph.equation(v);
        let ty = e.ty.tensor().filter(|ty| ty.rank() == 1)?;
        let x = *e.args.first()?;
        match &e.op {
            Op::Array(ArrayOp::Slice(_)) => Some(x),
            Op::Array(ArrayOp::Pad(pad)) => {
                let plain = pad.interior.iter().all(|n| *n == 0);
                self.graph.splat(*e.args.get(1)?).filter(|_| plain)?;
                Some(x)
            }
            op => padded_concat(self.graph, op, &e.args, ty).map(|(x, ..)| x),
        }
    }
}
