//! The graph: a pure function as a list of equations.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use cotangent_array::Scalar;
use smallvec::SmallVec;

use crate::{Checkpoint, Location, Op, Scope, TensorType, Type};

/// A variable of a graph: the index of the equation that defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Var(pub(crate) u32);

impl Var {
    /// What a failed operation returns while its builder holds the error.
    pub(crate) const POISON: Var = Var(u32::MAX);

    /// The position of the defining equation in [`Graph::equations`].
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The variable that the equation at this position defines.
    #[inline]
    pub fn from_index(index: usize) -> Var {
        Var(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// One variable: the operation and operands that define it, and its type.
#[derive(Clone, Debug)]
pub struct Equation {
    /// The operation.
    pub op: Op,
    /// The operands, all defined by earlier equations.
    pub args: SmallVec<[Var; 3]>,
    /// The type of the result.
    pub ty: Type,
    /// Where the operation was written; no part of equality.
    pub location: Option<Location>,
    /// Which named part of the function it was written in; no part of equality.
    pub scope: Scope,
    /// The checkpoints around it; no part of equality.
    pub checkpoint: Checkpoint,
}

/// A pure function: named inputs, equations in order, outputs.
///
/// Graphs are made by a [`crate::Builder`] or by [`crate::parse()`]. Two graphs are equal when
/// their inputs (names and types), equations and outputs are. No part of equality are locations, scopes,
/// checkpoints, the graph's own name (a label, like a location), equations that define constants (a constant
/// is compared by value where it is used) and the numbers of variables.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) name: Arc<str>,
    pub(crate) equations: Vec<Equation>,
    pub(crate) inputs: Vec<(Arc<str>, Var)>,
    pub(crate) outputs: Vec<Var>,
    pub(crate) depth: u32,
    /// For each output whether it is finite where the inputs are, as far as is known.
    pub(crate) finite: Vec<bool>,
    pub(crate) fingerprint: OnceLock<u128>,
    /// Callees are shared, so counting them anew at every call would be exponential.
    pub(crate) cost: OnceLock<u64>,
    /// What the checkpoints around operations come to, for the text.
    pub(crate) labels: OnceLock<u64>,
}

/// Calls nest at most this deep, so that walks over called graphs may recurse.
pub(crate) const MAX_CALL_DEPTH: u32 = 256;

impl Graph {
    /// The name of the function.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same function under another name.
    pub fn renamed(&self, name: &str) -> Graph {
        Graph {
            name: name.into(),
            ..self.clone()
        }
    }

    /// All equations in order; the position of an equation is its variable.
    #[inline]
    pub fn equations(&self) -> &[Equation] {
        &self.equations
    }

    /// The equations together with the variables that they define.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Var, &Equation)> + ExactSizeIterator {
        self.equations
            .iter()
            .enumerate()
            .map(|(i, e)| (Var(i as u32), e))
    }

    /// The equation that defines a variable of this graph.
    ///
    /// # Panics
    /// When `var` belongs to another, longer graph.
    #[inline]
    pub fn equation(&self, var: Var) -> &Equation {
        &self.equations[var.index()]
    }

    /// The type of a variable of this graph.
    ///
    /// # Panics
    /// When `var` belongs to another, longer graph.
    #[inline]
    pub fn ty(&self, var: Var) -> &Type {
        &self.equations[var.index()].ty
    }

    /// The inputs: name and variable.
    pub fn inputs(&self) -> &[(Arc<str>, Var)] {
        &self.inputs
    }

    /// The variables that are the results.
    pub fn outputs(&self) -> &[Var] {
        &self.outputs
    }

    /// The types of the inputs, in order.
    pub fn input_types(&self) -> Vec<TensorType> {
        self.inputs
            .iter()
            .filter_map(|(_, v)| self.ty(*v).tensor().cloned())
            .collect()
    }

    /// The types of the outputs, in order.
    pub fn output_types(&self) -> Vec<TensorType> {
        self.outputs
            .iter()
            .filter_map(|v| self.ty(*v).tensor().cloned())
            .collect()
    }

    /// What a call of this graph gives: an array for one output, otherwise a tuple.
    pub fn result_type(&self) -> Type {
        match &self.output_types()[..] {
            [one] => Type::Tensor(one.clone()),
            several => Type::Tuple(several.into()),
        }
    }

    /// The number of operations: equations that are neither inputs nor constants.
    pub fn operation_count(&self) -> usize {
        self.equations
            .iter()
            .filter(|e| !e.op.is_input() && !e.op.is_constant())
            .count()
    }

    /// How deep calls nest below this graph: 0 when it calls nothing.
    pub fn call_depth(&self) -> u32 {
        self.depth
    }

    /// For each variable the index of the last equation that reads it; outputs are read last
    /// (`equations().len()`), unread variables at their own index.
    pub fn last_uses(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.equations.len()).collect();
        for (i, e) in self.equations.iter().enumerate() {
            for a in &e.args {
                last[a.index()] = i;
            }
        }
        for o in &self.outputs {
            last[o.index()] = self.equations.len();
        }
        last
    }

    /// The equations that some output needs.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.equations.len()];
        for o in &self.outputs {
            live[o.index()] = true;
        }
        for (i, e) in self.equations.iter().enumerate().rev() {
            if live[i] {
                for a in &e.args {
                    live[a.index()] = true;
                }
            }
        }
        live
    }

    /// The same graph without the operations that no output needs. Inputs stay.
    pub fn without_dead_code(&self) -> Graph {
        let mut live = self.live();
        for (_, v) in &self.inputs {
            live[v.index()] = true;
        }
        if live.iter().all(|l| *l) {
            return self.clone();
        }
        let mut to = vec![Var(0); self.equations.len()];
        let mut equations = Vec::with_capacity(live.iter().filter(|l| **l).count());
        // A dead call may have been the deepest.
        let mut depth = 0;
        for (i, e) in self.equations.iter().enumerate().filter(|(i, _)| live[*i]) {
            to[i] = Var(equations.len() as u32);
            let mut e = e.clone();
            for a in &mut e.args {
                *a = to[a.index()];
            }
            for callee in e.op.callees() {
                depth = depth.max(callee.0.call_depth() + 1);
            }
            equations.push(e);
        }
        Graph {
            name: self.name.clone(),
            equations,
            inputs: self
                .inputs
                .iter()
                .map(|(n, v)| (n.clone(), to[v.index()]))
                .collect(),
            outputs: self.outputs.iter().map(|v| to[v.index()]).collect(),
            depth,
            finite: self.finite.clone(),
            fingerprint: OnceLock::new(),
            cost: OnceLock::new(),
            labels: OnceLock::new(),
        }
    }

    /// As [`Graph::without_dead_code`], of a graph that is given away; and without the inputs in
    /// `dropped`, where nothing reads them.
    pub fn into_live(mut self, dropped: &[Var]) -> Graph {
        let mut live = self.live();
        let mut kept = vec![true; self.equations.len()];
        for v in dropped {
            if let Some(kept) = kept.get_mut(v.index()) {
                *kept = false;
            }
        }
        for (_, v) in &self.inputs {
            live[v.index()] |= kept[v.index()];
        }
        if live.iter().all(|l| *l) {
            return self;
        }
        let mut to = vec![Var(0); self.equations.len()];
        let (mut at, mut next, mut depth) = (0, 0, 0);
        self.equations.retain_mut(|e| {
            let kept = live[at];
            if kept {
                to[at] = Var(next);
                next += 1;
                for a in &mut e.args {
                    *a = to[a.index()];
                }
                // A dead call may have been the deepest.
                for callee in e.op.callees() {
                    depth = depth.max(callee.0.call_depth() + 1);
                }
            }
            at += 1;
            kept
        });
        self.inputs.retain_mut(|(_, v)| {
            let kept = live[v.index()];
            *v = to[v.index()];
            kept
        });
        for v in &mut self.outputs {
            *v = to[v.index()];
        }
        self.depth = depth;
        self.fingerprint = OnceLock::new();
        self.cost = OnceLock::new();
        self.labels = OnceLock::new();
        self
    }

    /// The scalar value of a variable that is constant and the same everywhere.
    #[inline]
    pub fn splat(&self, var: Var) -> Option<Scalar> {
        self.equations.get(var.index()).and_then(|e| e.op.splat())
    }
}

impl PartialEq for Graph {
    fn eq(&self, other: &Graph) -> bool {
        if self.inputs.len() != other.inputs.len() || self.outputs.len() != other.outputs.len() {
            return false;
        }
        let mut to: HashMap<Var, Var> = HashMap::with_capacity(self.equations.len());
        for ((n, v), (m, w)) in self.inputs.iter().zip(&other.inputs) {
            if n != m || self.ty(*v) != other.ty(*w) || to.insert(*v, *w).is_some() {
                return false;
            }
        }
        let counted = |e: &&(Var, &Equation)| !e.1.op.is_input() && !e.1.op.is_constant();
        let mut mine = self.iter();
        let mut theirs = other.iter();
        loop {
            match (mine.find(|e| counted(&e)), theirs.find(|e| counted(&e))) {
                (None, None) => break,
                (Some((v, e)), Some((w, f))) => {
                    let same = e.op == f.op
                        && e.ty == f.ty
                        && e.args.len() == f.args.len()
                        && e.args
                            .iter()
                            .zip(&f.args)
                            .all(|(a, b)| self.same(&to, *a, other, *b));
                    if !same {
                        return false;
                    }
                    to.insert(v, w);
                }
                _ => return false,
            }
        }
        self.outputs
            .iter()
            .zip(&other.outputs)
            .all(|(a, b)| self.same(&to, *a, other, *b))
    }
}

impl Eq for Graph {}

impl Graph {
    fn same(&self, to: &HashMap<Var, Var>, a: Var, other: &Graph, b: Var) -> bool {
        let (e, f) = (self.equation(a), other.equation(b));
        if e.op.is_constant() && f.op.is_constant() {
            return e.ty == f.ty && e.op == f.op;
        }
        to.get(&a) == Some(&b)
    }
}

impl Graph {
    /// A 128-bit hash of what equality compares, computed once; calls compare and hash their
    /// callees by it, so that a deep pyramid of calls stays cheap.
    pub fn fingerprint(&self) -> u128 {
        *self.fingerprint.get_or_init(|| {
            let half = |seed: u64| {
                let mut h = std::collections::hash_map::DefaultHasher::new();
                seed.hash(&mut h);
                self.hash_content(&mut h);
                h.finish()
            };
            (u128::from(half(0x5eed)) << 64) | u128::from(half(0xfeed))
        })
    }

    fn hash_content(&self, h: &mut impl Hasher) {
        let mut number: Vec<u32> = vec![0; self.equations.len()];
        let mut next = 0;
        for (n, v) in &self.inputs {
            n.hash(h);
            self.ty(*v).hash(h);
            number[v.index()] = next;
            next += 1;
        }
        let put = |v: &Var, number: &[u32], h: &mut dyn Hasher| {
            let e = self.equation(*v);
            if e.op.is_constant() {
                let mut c = std::collections::hash_map::DefaultHasher::new();
                (&e.op, &e.ty).hash(&mut c);
                h.write_u64(c.finish());
            } else {
                h.write_u32(number[v.index()]);
            }
        };
        for (v, e) in self
            .iter()
            .filter(|(_, e)| !e.op.is_constant() && !e.op.is_input())
        {
            (&e.op, &e.ty, e.args.len()).hash(h);
            for a in &e.args {
                put(a, &number, h);
            }
            number[v.index()] = next;
            next += 1;
        }
        for o in &self.outputs {
            put(o, &number, h);
        }
    }
}

impl Hash for Graph {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint().hash(state);
    }
}
