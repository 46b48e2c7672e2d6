//! Operations with several results, and graphs within a graph.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Builder;
use crate::graph::Graph;
use crate::op::Callee;
use crate::ops::{Linalg, Region};
use crate::{Checkpoint, GraphError, Op, Scope, Type, Var};

impl Builder {
    /// Calls a graph; one variable for each of its outputs.
    pub fn call(&mut self, graph: &Arc<Graph>, args: &[Var]) -> Vec<Var> {
        let result = self.push(Op::Call(Callee(graph.clone())), args);
        let count = graph.outputs().len();
        if count == 1 {
            return vec![result];
        }
        (0..count)
            .map(|i| self.push(Op::Get(i), &[result]))
            .collect()
    }

    /// Runs a branch or a loop; one variable for each of its results.
    pub fn region(&mut self, region: Region, args: &[Var]) -> Vec<Var> {
        self.results(Op::Region(region), args)
    }

    /// An operation of linear algebra; one variable for each of its results.
    pub fn linalg(&mut self, op: impl Into<Linalg>, args: &[Var]) -> Vec<Var> {
        self.results(Op::Linalg(op.into()), args)
    }

    /// Adds an operation; one variable for each of its results.
    pub fn results(&mut self, op: Op, args: &[Var]) -> Vec<Var> {
        let result = self.push(op, args);
        match self.ty(result) {
            Type::Tensor(_) => vec![result],
            Type::Tuple(parts) => (0..parts.len())
                .map(|i| self.push(Op::Get(i), &[result]))
                .collect(),
        }
    }

    /// Copies the equations of a graph into this one, with its inputs replaced; one variable for
    /// each of its outputs.
    pub fn inline(&mut self, graph: &Graph, args: &[Var]) -> Vec<Var> {
        if args.len() != graph.inputs().len() {
            let message = format!(
                "`{}` takes {} inputs, {} were given",
                graph.name(),
                graph.inputs().len(),
                args.len()
            );
            let poison = self.fail(GraphError::other(message, self.location));
            return vec![poison; graph.outputs().len()];
        }
        let mut to = vec![Var::POISON; graph.equations().len()];
        for ((name, v), a) in graph.inputs().iter().zip(args) {
            if self.ty(*a) != graph.ty(*v) && !self.failed() {
                let message = format!(
                    "input `{name}` of `{}` is {}, found {}",
                    graph.name(),
                    graph.ty(*v),
                    self.ty(*a)
                );
                self.fail(GraphError::other(message, self.location));
            }
            to[v.index()] = *a;
        }
        let (outer, around, inside) = (self.location, self.scope, self.checkpoint);
        // Neighbours are mostly of one scope, and in the same checkpoints.
        let mut last = (Scope::ROOT, around);
        let mut held = (Checkpoint::NONE, inside);
        let copy = self.graph.equations.len() as u64;
        for (v, e) in graph.iter().filter(|(_, e)| !e.op.is_input()) {
            let args: SmallVec<[Var; 3]> = e.args.iter().map(|a| to[a.index()]).collect();
            self.location = e.location.or(outer);
            if e.scope != last.0 {
                last = (e.scope, e.scope.within(around));
            }
            self.scope = last.1;
            if e.checkpoint != held.0 {
                held = (e.checkpoint, e.checkpoint.copied(copy).within(inside));
            }
            self.checkpoint = held.1;
            to[v.index()] = self.copy(e, &args);
        }
        (self.location, self.scope, self.checkpoint) = (outer, around, inside);
        graph.outputs().iter().map(|o| to[o.index()]).collect()
    }
}
