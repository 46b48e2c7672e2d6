//! Graphs within a random graph: functions that it calls, branches and loops.

use std::sync::Arc;

use cotangent_array::Array;
use cotangent_graph::ops::Region;
use cotangent_graph::{Callee, Graph, TensorType, Var, eval};

use super::Generator;
use crate::rng::Rng;

impl Generator {
    /// Calls a graph drawn for the purpose, or one that was called before.
    pub fn call(&mut self) -> Option<()> {
        if self.depth >= 2 {
            return None;
        }
        let known = if self.rng.chance(0.35) {
            self.rng.pick(&self.callee_numbers())
        } else {
            None
        };
        let (callee, args) = match known.map(|i| self.callees[i].clone()) {
            Some(callee) => {
                let types = callee.input_types();
                let args = types
                    .iter()
                    .map(|t| self.operand(t.dtype, &t.shape))
                    .collect();
                (callee, args)
            }
            None => self.new_callee()?,
        };
        let values: Vec<Array> = args.iter().map(|a| self.values[a].clone()).collect();
        let results = eval(&callee, &values).ok()?;
        if !results.iter().all(|r| self.takes(r)) {
            return None;
        }
        let vars = self.b.call(&callee, &args);
        for (v, value) in vars.into_iter().zip(results) {
            if self.values.insert(v, value).is_none() {
                self.pool.push(v);
            }
        }
        Some(())
    }

    /// Adds a branch or a loop.
    pub fn region(&mut self, region: Region, args: &[Var]) -> Option<Var> {
        if self.depth >= 2 {
            return None;
        }
        let types: Vec<TensorType> = args.iter().map(|a| self.ty(*a)).collect();
        region.infer(&types.iter().collect::<Vec<_>>()).ok()?;
        let values: Vec<Array> = args.iter().map(|a| self.values[a].clone()).collect();
        let run = &mut |callee: &Callee, inputs: &[Array]| eval(&callee.0, inputs);
        let results = region.eval(&values, run).ok()?;
        if !results.iter().all(|r| self.takes(r)) {
            return None;
        }
        let vars = self.b.region(region, args);
        for (v, value) in vars.iter().zip(results) {
            if self.values.insert(*v, value).is_none() {
                self.pool.push(*v);
            }
        }
        vars.first().copied()
    }

    /// A generator of a body with inputs of these types and values.
    pub fn nested(&mut self, inputs: &[(TensorType, Array)]) -> Generator {
        let mut inner = Generator::new(Rng::new(self.rng.bits()), self.smooth);
        inner.floats = self.floats;
        inner.large = self.large;
        inner.depth = self.depth + 1;
        inner.callees = self.callees.clone();
        for (ty, value) in inputs {
            inner.given_input(ty.clone(), value.clone());
        }
        inner.most_inputs = 0;
        inner
    }

    /// The input at this place.
    pub fn input(&self, i: usize) -> Option<Var> {
        self.b.graph().inputs().get(i).map(|(_, v)| *v)
    }

    /// A variable of this type, of ordinary size, that may be the result of a body.
    pub fn result(&mut self, ty: &TensorType) -> Option<Var> {
        let v = self.operand(ty.dtype, &ty.shape);
        self.fit(v, -3.0, 3.0)
    }

    /// The graph with these outputs.
    pub fn finish_with(self, name: &str, outputs: &[Var]) -> Callee {
        let graph = self.b.finish(outputs).map(|g| g.renamed(name));
        Callee(Arc::new(graph.unwrap_or_else(|e| {
            panic!("the generator drew a bad body: {e}")
        })))
    }

    fn callee_numbers(&self) -> Vec<usize> {
        (0..self.callees.len()).collect()
    }

    fn new_callee(&mut self) -> Option<(Arc<Graph>, Vec<Var>)> {
        let count = self.rng.size(1, 3);
        let args: Vec<Var> = (0..count).filter_map(|_| self.some(|_| true)).collect();
        let inputs: Vec<(TensorType, Array)> = args
            .iter()
            .map(|a| (self.ty(*a), self.values[a].clone()))
            .collect();
        let mut inner = self.nested(&inputs);
        let steps = self.rng.size(1, 5);
        inner.grow(steps);
        let name = self
            .rng
            .pick(&["f", "g", "h", "cos", "f_2", "my-part", "let"])?;
        let callee = Arc::new(inner.finish(name).0);
        self.callees.push(callee.clone());
        Some((callee, args))
    }
}
