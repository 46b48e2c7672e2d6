//! The loops that solve, and the rule for the derivative of what they found.

use std::sync::Arc;

use cotangent_graph::ops::{Concat, Custom, Region, RuleKind};
use cotangent_graph::{Builder, Callee, GraphError, Location, Var};
use cotangent_transform::{self as transform, Mode};

use crate::trace::{self, Place};
use crate::{DType, Error, Graph, Tensor, TensorType, control, run};

/// What is solved for, and how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Method {
    FixedPoint,
    Root,
    ArgMin,
}

/// An equation F(p, x) = 0 in unknowns x.
pub(super) struct Problem {
    pub(super) method: Method,
    /// Takes parameters, unknowns, and tensors from around.
    pub(super) f: Arc<Graph>,
    pub(super) params: usize,
    pub(super) unknowns: Vec<TensorType>,
    pub(super) tolerance: f64,
    pub(super) max_steps: i64,
    pub(super) at: Place,
}

/// A graph that is applied to tensors.
struct Map {
    graph: Arc<Graph>,
    program: run::Program,
    at: Place,
}

impl Map {
    fn new(graph: Graph, at: Place) -> Map {
        Map {
            graph: Arc::new(graph),
            program: run::Program::default(),
            at,
        }
    }

    /// The only output, on unknowns and then parameters.
    fn at(&self, x: &Tensor, params: &[Tensor]) -> Tensor {
        let args: Vec<Tensor> = [std::slice::from_ref(x), params].concat();
        let mut all = trace::apply(&self.graph, &self.program, &args, false, self.at);
        all.pop().unwrap_or_else(|| x.clone())
    }
}

impl Problem {
    /// Inputs: those of `f`. Outputs: the unknowns, the residual, the steps, whether it converged.
    pub(super) fn graph(&self) -> Result<Graph, Error> {
        let residuals = self.residuals()?;
        let call = self.solver(&residuals)?;
        let rule = self.rule(&residuals, &call)?;
        let custom = Custom {
            call: Callee(Arc::new(call)),
            rule: Callee(Arc::new(rule)),
            kind: RuleKind::Jvp,
        };
        transform::check_rule(&custom)?;
        let mut b = Builder::new(self.name());
        let inputs = self.f.inputs().iter().zip(self.f.input_types());
        let inputs: Vec<Var> = inputs.map(|((n, _), t)| b.input(n, t)).collect();
        b.set_location(Some(Location::Code(self.at)));
        let x = inputs.get(self.unknowns_range()).unwrap_or_default();
        let mut args = vec![joined(&mut b, x)];
        args.extend(self.others(&inputs));
        let found = b.region(Region::Custom(custom), &args);
        let [x, residual, steps] = found[..] else {
            return Err(GraphError::other("a solver gave too little", None).into());
        };
        let mut outputs = self.parted(&mut b, x);
        let tolerance = b.like(residual, self.tolerance);
        let converged = b.compare(cotangent_graph::ops::Compare::Le, residual, tolerance);
        outputs.extend([residual, steps, converged]);
        Ok(b.finish(&outputs)?)
    }

    fn name(&self) -> &'static str {
        match self.method {
            Method::FixedPoint => "fixed_point",
            Method::Root => "root",
            Method::ArgMin => "argmin",
        }
    }

    fn unknowns_range(&self) -> std::ops::Range<usize> {
        self.params..self.params + self.unknowns.len()
    }

    /// What is no unknown among the inputs of `f`: parameters and tensors from around.
    fn others<T: Copy>(&self, inputs: &[T]) -> Vec<T> {
        let range = self.unknowns_range();
        let all = inputs.iter().enumerate();
        all.filter(|(i, _)| !range.contains(i))
            .map(|(_, x)| *x)
            .collect()
    }

    fn count(&self) -> usize {
        self.unknowns.iter().map(|t| t.shape.elements()).sum()
    }

    /// A vector as the unknowns that it is made of.
    fn parted(&self, b: &mut Builder, x: Var) -> Vec<Var> {
        let mut start = 0;
        let mut parts = Vec::with_capacity(self.unknowns.len());
        for ty in &self.unknowns {
            let end = start + ty.shape.elements();
            let part = b.slice_axis(x, 0, start, end);
            parts.push(b.reshape(part, ty.shape.clone()));
            start = end;
        }
        parts
    }

    /// Inputs: the unknowns as one vector, then parameters and tensors from around. `outputs` makes the
    /// results from those of `f` and the vector.
    fn vectorized(
        &self,
        f: &Graph,
        outputs: impl Fn(&mut Builder, &[Var], Var) -> Vec<Var>,
    ) -> Result<Graph, Error> {
        let mut b = Builder::new(self.name());
        let dtype = self.unknowns.first().map_or(DType::F64, |t| t.dtype);
        let x = b.input("x", TensorType::new(dtype, [self.count()]));
        let mut parts = self.parted(&mut b, x).into_iter();
        let (range, mut args) = (self.unknowns_range(), Vec::new());
        for (i, ((name, _), ty)) in self.f.inputs().iter().zip(self.f.input_types()).enumerate() {
            match range.contains(&i) {
                true => args.extend(parts.next()),
                false => args.push(b.input(name, ty)),
            }
        }
        let results = b.inline(f, &args);
        let outputs = outputs(&mut b, &results, x);
        Ok(b.finish(&outputs)?.without_dead_code())
    }

    /// The graph of F: what is zero at a solution, as a vector.
    fn residuals(&self) -> Result<Graph, Error> {
        let wrt: Vec<bool> = (0..self.f.inputs().len())
            .map(|i| self.unknowns_range().contains(&i))
            .collect();
        match self.method {
            Method::FixedPoint => self.vectorized(&self.f, |b, results, x| {
                let next = joined(b, results);
                vec![b.sub(next, x)]
            }),
            Method::Root => self.vectorized(&self.f, |b, results, _| vec![joined(b, results)]),
            Method::ArgMin => {
                let gradient = transform::grad(&self.f, &wrt)?;
                self.vectorized(&gradient, |b, results, _| vec![joined(b, results)])
            }
        }
    }

    /// The loop. Inputs as those of F; outputs: the vector of unknowns, the residual's norm, the steps.
    fn solver(&self, residuals: &Graph) -> Result<Graph, Error> {
        let f = Map::new(residuals.clone(), self.at);
        let jacobian = match self.method {
            Method::FixedPoint => None,
            _ => Some(Map::new(self.jacobian(residuals)?, self.at)),
        };
        let cost = match self.method {
            Method::ArgMin => Some(Map::new(
                self.vectorized(&self.f, |_, r, _| r.to_vec())?,
                self.at,
            )),
            _ => None,
        };
        let inputs = named(residuals);
        let outcome = trace::trace(
            self.name(),
            &inputs,
            |mut inputs| {
                let params = inputs.split_off(1);
                let x = inputs.pop().unwrap_or_else(|| Tensor::scalar(0.0));
                match (&jacobian, &cost) {
                    (Some(j), Some(cost)) => self.descend(&f, j, cost, x, &params),
                    (j, _) => self.repeat(&f, j.as_ref(), x, &params),
                }
            },
            |(x, norm, steps)| vec![x.clone(), norm.clone(), steps.clone()],
        );
        Ok(outcome.graph?.0)
    }

    fn goes_on(&self, norm: &Tensor, steps: &Tensor) -> Tensor {
        norm.greater(self.tolerance) & steps.less(self.max_steps)
    }

    /// x <- x + d, where d is F(x) for a fixed point and solves J d = -F(x) for a root.
    fn repeat(
        &self,
        f: &Map,
        jacobian: Option<&Map>,
        x: Tensor,
        params: &[Tensor],
    ) -> (Tensor, Tensor, Tensor) {
        let first = f.at(&x, params);
        let init = (x, first, Tensor::scalar(0_i64));
        let (x, r, steps) = control::while_loop(
            |(_, r, steps): &(Tensor, Tensor, Tensor)| self.goes_on(&r.norm(0), steps),
            |(x, r, steps)| {
                let x = match jacobian {
                    None => x + &r,
                    Some(j) => {
                        let step = linear_solve(&j.at(&x, params), &r);
                        x - step
                    }
                };
                let r = f.at(&x, params);
                (x, r, steps + 1)
            },
            init,
        );
        (x, r.norm(0), steps)
    }

    /// Damped Newton steps on the gradient: a step that raises the cost is not taken.
    fn descend(
        &self,
        gradient: &Map,
        hessian: &Map,
        cost: &Map,
        x: Tensor,
        params: &[Tensor],
    ) -> (Tensor, Tensor, Tensor) {
        let dtype = x.dtype();
        let rounding = match dtype {
            DType::F32 => f64::from(f32::EPSILON),
            _ => f64::EPSILON,
        };
        let (g, value) = (gradient.at(&x, params), cost.at(&x, params));
        let damping = Tensor::scalar(1e-3).convert(dtype);
        type State = ((Tensor, Tensor), (Tensor, Tensor), Tensor);
        let init: State = ((x, g), (value, damping), Tensor::scalar(0_i64));
        let ((x, g), _, steps) = control::while_loop(
            |((_, g), _, steps): &State| self.goes_on(&g.norm(0), steps),
            |((x, g), (value, damping), steps): State| {
                let h = hessian.at(&x, params) + Tensor::eye(self.count(), dtype) * &damping;
                let moved = &x - linear_solve(&h, &g);
                let (new, found) = (gradient.at(&moved, params), cost.at(&moved, params));
                // Near the minimum costs differ by their rounding alone.
                let better = found.less_equal(&value + value.abs() * (8.0 * rounding));
                // Shrinking a hundredfold lets Newton's method end as fast as it should.
                let damping = better.select(&damping * 0.01, damping.maximum(1e-6) * 10.0);
                let state = (better.select(moved, x), better.select(new, g));
                (state, (better.select(found, value), damping), steps + 1)
            },
            init,
        );
        let norm = g.norm(0);
        (x, norm, steps)
    }

    /// The matrix dF/dx.
    fn jacobian(&self, residuals: &Graph) -> Result<Graph, Error> {
        let wrt: Vec<bool> = (0..residuals.inputs().len()).map(|i| i == 0).collect();
        Ok(transform::jacobian(residuals, &wrt, Mode::Auto)?)
    }

    /// dx = -(dF/dx)^-1 dF/dp dp at the solution. The rule takes inputs, results and tangents of the
    /// inputs that are differentiable, and gives those of the vector and of the residual, which is 0.
    fn rule(&self, residuals: &Graph, call: &Graph) -> Result<Graph, Error> {
        let (takes, _) = RuleKind::Jvp.rule_types(call);
        let mut b = Builder::new(&format!("{}_rule", self.name()));
        b.set_location(Some(Location::Code(self.at)));
        let mut args: Vec<Var> = takes.into_iter().map(|t| b.input("x", t)).collect();
        let known = call.inputs().len() + call.outputs().len();
        let tangents = args.split_off(known.min(args.len()));
        let results = args.split_off(call.inputs().len());
        let (Some(solution), Some(norm)) = (results.first(), results.get(1)) else {
            return Err(GraphError::other("a solver gave too little", None).into());
        };
        // The same inputs with the solution in place of the start, whose tangent does not matter.
        let mut inputs = vec![*solution];
        inputs.extend(args.iter().skip(1));
        let wrt: Vec<bool> = (residuals.input_types().iter().enumerate())
            .map(|(i, t)| i > 0 && t.dtype.is_inexact())
            .collect();
        let dx = if wrt.contains(&true) {
            let pushed = transform::jvp(residuals, &wrt)?;
            let mut operands = inputs.clone();
            operands.extend(tangents.iter().skip(1));
            let pushed = b.inline(&pushed, &operands);
            let matrix = b.inline(&self.jacobian(residuals)?, &inputs);
            let (Some(df), Some(matrix)) = (pushed.get(1), matrix.first()) else {
                return Err(GraphError::other("a derivative has no result", None).into());
            };
            let types = [b.tensor(*matrix), b.tensor(*df)];
            let dx = b.inline(&elimination(&types)?, &[*matrix, *df]);
            let dx = dx.first().copied().unwrap_or(*df);
            b.neg(dx)
        } else {
            b.like(*solution, 0.0)
        };
        let zero = b.like(*norm, 0.0);
        Ok(b.finish(&[dx, zero])?.without_dead_code())
    }
}

/// The inputs of a graph, to trace a function of them.
fn named(graph: &Graph) -> Vec<(String, TensorType)> {
    let inputs = graph.inputs().iter().zip(graph.input_types());
    inputs.map(|((n, _), t)| (n.to_string(), t)).collect()
}

/// Arrays as one vector.
fn joined(b: &mut Builder, parts: &[Var]) -> Var {
    let mut flat: Vec<Var> = Vec::with_capacity(parts.len());
    for part in parts {
        let count = b.shape(*part).elements();
        flat.push(b.reshape(*part, [count]));
    }
    match &flat[..] {
        [one] => *one,
        several => b.push(Concat { axis: 0 }, several),
    }
}

/// The graph of [`linear_solve`] for operands of these types.
fn elimination([matrix, vector]: &[TensorType; 2]) -> Result<Graph, Error> {
    let inputs = [
        ("a".to_owned(), matrix.clone()),
        ("b".to_owned(), vector.clone()),
    ];
    let outcome = trace::trace(
        "linear_solve",
        &inputs,
        |inputs| match &inputs[..] {
            [a, b] => linear_solve(a, b),
            _ => Tensor::scalar(0.0),
        },
        |x| vec![x.clone()],
    );
    Ok(outcome.graph?.0)
}

/// The solution of a x = b for a square matrix and a vector, by Gauss-Jordan elimination with partial
/// pivoting (Golub, Van Loan, Matrix Computations, 3.4): as many steps as there are rows, in a `scan`.
/// A singular matrix gives values that are not finite.
fn linear_solve(a: &Tensor, b: &Tensor) -> Tensor {
    let n = b.len();
    let rows = Tensor::arange(n, DType::I64);
    let column = rows.expand_dims(1);
    let steps = rows.clone();
    let step = |(a, b): (Tensor, Tensor), k: Tensor| {
        // The largest element on or below the diagonal goes onto it.
        let size = rows.less(&k).select(-1.0, a.take(&k, 1).abs());
        let p = size.argmax(0).convert(DType::I64);
        let order = rows.equal(&k).select(&p, rows.equal(&p).select(&k, &rows));
        let (a, b) = (a.take(&order, 0), b.take(&order, 0));
        let pivot = a.take(&k, 0).take(&k, 0);
        let (row, value) = (a.take(&k, 0) / &pivot, b.take(&k, 0) / &pivot);
        let factors = a.take(&k, 1);
        let a = column
            .equal(&k)
            .broadcast_to([n, n])
            .select(row.broadcast_to([n, n]), &a - factors.expand_dims(1) * &row);
        let b = rows
            .equal(&k)
            .select(value.broadcast_to([n]), &b - factors * &value);
        ((a, b), ())
    };
    let ((_, x), ()): ((Tensor, Tensor), ()) = control::scan(step, (a.clone(), b.clone()), steps);
    x
}
