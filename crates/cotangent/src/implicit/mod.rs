//! Solutions of equations, and derivatives of them that do not go through the solver.
//!
//! [`fixed_point`] solves x = f(p, x), [`root`] f(p, x) = 0 by Newton's method, and [`argmin`] finds a
//! minimum of f(p, x) by a damped Newton method. All of them are `while` loops in the graph. A solution
//! x satisfies F(p, x) = 0 for F = f(p, x) - x, f or the gradient of f, so its derivative is that of
//! the implicit function theorem, dx = -(dF/dx)^-1 dF/dp dp (Krantz, Parks, The Implicit Function
//! Theorem, 2002): one linear system at the solution, whatever the number of steps. It is a rule of
//! tangents that is transposed for reverse mode and differentiated for higher orders, and a batch is
//! solved example by example.
//!
//! ```
//! use cotangent::implicit::{Options, root};
//! use cotangent::{Function, Tensor};
//! // The square root of p, as the root of x^2 - p.
//! let sqrt = Function::new(|p: &Tensor| {
//!     let start = p.ones_like();
//!     root(|p: &Tensor, x: &Tensor| x * x - p, p, &start, &Options::default()).value
//! });
//! assert!((sqrt.call((9.0.into(),))?.item::<f64>()? - 3.0).abs() < 1e-12);
//! assert!((sqrt.grad().call((9.0.into(),))?.item::<f64>()? - 1.0 / 6.0).abs() < 1e-12);
//! assert!((sqrt.grad().grad().call((9.0.into(),))?.item::<f64>()? + 1.0 / 108.0).abs() < 1e-12);
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! The linear system is dense: its matrix has a row and a column for each unknown, so this is for up
//! to some hundreds of them. Tensors of an enclosing traced function may be used inside of `f`; their
//! derivatives count as those of parameters do.

mod solver;

use std::panic::Location as Caller;
use std::sync::Arc;

use cotangent_graph::{GraphError, Location};

use crate::control::Given;
use crate::function::{Failed, Signature, Traced, finish, trace_closure};
use crate::trace::Place;
use crate::tree::Structure;
use crate::{DType, Error, Tensor, Tree};
use solver::{Method, Problem};

/// When a solver stops.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Options {
    /// The solution is found when the Euclidean norm of F(p, x) over all unknowns is at most this;
    /// 1e-10 for unknowns of type f64 and 1e-4 for f32 if not given.
    pub tolerance: Option<f64>,
    /// The solver gives up after this many steps.
    pub max_steps: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tolerance: None,
            max_steps: 1000,
        }
    }
}

/// What a solver found, as tensors of the function that is traced.
#[derive(Clone, Debug)]
pub struct Solution<X> {
    /// The unknowns where the solver stopped.
    pub value: X,
    /// The norm of F(p, x) there, a scalar of the unknowns' dtype. It has no derivative.
    pub residual: Tensor,
    /// How many steps were taken, an i64 scalar.
    pub steps: Tensor,
    /// Whether the residual is within the tolerance, a bool scalar. Where it is not, neither the
    /// value nor its derivative means anything: return it beside the value, or select by it.
    pub converged: Tensor,
}

/// The solution of x = f(p, x), by repeating x <- f(p, x) from `init`.
///
/// The map must be a contraction near the solution. Unknowns are floats of one dtype, and `f` gives
/// the structure and types that it takes. The solution does not depend on `init` as far as
/// derivatives go.
///
/// ```
/// use cotangent::implicit::{Options, fixed_point};
/// use cotangent::{Function, Tensor};
/// let f = Function::new(|p: &Tensor| {
///     let found = fixed_point(
///         |p: &Tensor, x: &Tensor| (p * x.cos()) + 0.1,
///         p,
///         &p.zeros_like(),
///         &Options::default(),
///     );
///     (found.value, found.converged)
/// });
/// let (x, converged) = f.call((0.5.into(),))?;
/// let x = x.item::<f64>()?;
/// assert!(converged.item::<bool>()? && (x - 0.5 * x.cos() - 0.1).abs() < 1e-9);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn fixed_point<P: Tree<Tensor>, X: Tree<Tensor>>(
    f: impl Fn(&P, &X) -> X,
    params: &P,
    init: &X,
    options: &Options,
) -> Solution<X> {
    let at = Caller::caller();
    let (p, x) = (Given::of(params), Given::of(init));
    let built = traced(&f, &p, &x).and_then(|f| {
        expect_same(&x, &f, at).map_err(|e| failed(&x, e))?;
        Ok(f)
    });
    solve(Method::FixedPoint, built, &p, &x, options, at)
}

/// A root of f(p, x) = 0 by Newton's method from `init`: in each step the linear system of the
/// Jacobian is solved.
///
/// `f` gives as many equations as there are unknowns, in the structure and types of the unknowns,
/// which are floats of one dtype. Where the Jacobian is singular the solver stops with a residual
/// that is NaN, and `converged` is false.
#[track_caller]
pub fn root<P: Tree<Tensor>, X: Tree<Tensor>>(
    f: impl Fn(&P, &X) -> X,
    params: &P,
    init: &X,
    options: &Options,
) -> Solution<X> {
    let at = Caller::caller();
    let (p, x) = (Given::of(params), Given::of(init));
    let built = traced(&f, &p, &x).and_then(|f| {
        expect_same(&x, &f, at).map_err(|e| failed(&x, e))?;
        Ok(f)
    });
    solve(Method::Root, built, &p, &x, options, at)
}

/// A local minimum of a scalar f(p, x) over x, from `init`.
///
/// Newton's method on the gradient, with a multiple of the identity added to the Hessian that grows
/// where a step would raise f and shrinks where it lowers it (Levenberg and Marquardt). The residual
/// is the norm of the gradient.
///
/// ```
/// use cotangent::implicit::{Options, argmin};
/// use cotangent::{Array, Function, Tensor};
/// // Ridge regression: the weights as a function of the penalty.
/// let fit = Function::new(|penalty: &Tensor| {
///     let x = Tensor::from([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
///     let y = Tensor::from([1.0, 3.0, 5.0]);
///     let loss = |p: &Tensor, w: &Tensor| {
///         (x.dot(w) - &y).square().sum(..) + p * w.square().sum(..)
///     };
///     argmin(loss, penalty, &Tensor::from([0.0, 0.0]), &Options::default()).value
/// });
/// let w = fit.call((0.0.into(),))?.to_f64s();
/// assert!((w[0] - 1.0).abs() < 1e-9 && (w[1] - 2.0).abs() < 1e-9);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn argmin<P: Tree<Tensor>, X: Tree<Tensor>>(
    f: impl Fn(&P, &X) -> Tensor,
    params: &P,
    init: &X,
    options: &Options,
) -> Solution<X> {
    let at = Caller::caller();
    let (p, x) = (Given::of(params), Given::of(init));
    let built = traced(&f, &p, &x).and_then(|f| {
        let found = f.graph().output_types();
        match &found[..] {
            [t] if t.shape.is_scalar() && t.dtype.is_float() => Ok(f),
            _ => {
                let message = format!(
                    "argmin: expected a function that gives one float scalar, found {}",
                    types(&found)
                );
                Err(failed(&x, located(message, at)))
            }
        }
    });
    solve(Method::ArgMin, built, &p, &x, options, at)
}

fn traced<P: Tree<Tensor>, X: Tree<Tensor>, O: Tree<Tensor>>(
    f: &dyn Fn(&P, &X) -> O,
    p: &Given,
    x: &Given,
) -> Result<Traced, Failed> {
    let structure = Structure::list("tuple", [p.structure.clone(), x.structure.clone()]);
    let signature = Signature {
        structure,
        types: [&p.types[..], &x.types].concat(),
    };
    let body = |(p, x): (P, X)| f(&p, &x);
    trace_closure("f", &[], &signature, &body).map_err(|e| Failed {
        result: Some(result(x)),
        error: e.error,
    })
}

fn expect_same(x: &Given, f: &Traced, at: Place) -> Result<(), Error> {
    let wrong = |e: String| {
        located(
            format!("expected a function that gives what it takes as unknowns: {e}"),
            at,
        )
    };
    x.structure
        .expect_same(f.result())
        .map_err(|e| wrong(e.to_string()))?;
    let found = f.graph().output_types();
    if found != x.types {
        return Err(wrong(format!(
            "{}, found {}",
            types(&x.types),
            types(&found)
        )));
    }
    Ok(())
}

fn solve<X: Tree<Tensor>>(
    method: Method,
    f: Result<Traced, Failed>,
    p: &Given,
    x: &Given,
    options: &Options,
    at: Place,
) -> Solution<X> {
    let mut operands: Vec<Tensor> = [&p.tensors[..], &x.tensors].concat();
    let traced = f.and_then(|f| {
        let dtype = match x.types.first().map(|t| t.dtype) {
            Some(dtype) if dtype.is_float() && x.types.iter().all(|t| t.dtype == dtype) => dtype,
            _ => {
                let found = types(&x.types);
                let message = format!("expected unknowns of one float dtype, found {found}");
                return Err(failed(x, located(message, at)));
            }
        };
        let problem = Problem {
            method,
            f: f.graph().clone(),
            params: p.types.len(),
            unknowns: x.types.clone(),
            tolerance: options.tolerance.unwrap_or(match dtype {
                DType::F32 => 1e-4,
                _ => 1e-10,
            }),
            max_steps: i64::try_from(options.max_steps).unwrap_or(i64::MAX),
            at,
        };
        let graph = problem.graph().map_err(|e| failed(x, e))?;
        Ok(Arc::new(Traced::new(
            graph,
            result(x),
            f.captures().to_vec(),
        )))
    });
    let (value, (residual, steps, converged)) = finish(traced, &mut operands, false, at);
    Solution {
        value,
        residual,
        steps,
        converged,
    }
}

/// The structure of what a solver gives: the unknowns, and three scalars.
fn result(x: &Given) -> Structure {
    let scalars = Structure::list("tuple", vec![Structure::Leaf; 3]);
    Structure::list("tuple", [x.structure.clone(), scalars])
}

fn failed(x: &Given, error: Error) -> Failed {
    Failed::known(&result(x), error)
}

fn located(message: String, at: Place) -> Error {
    GraphError::other(message, Some(Location::Code(at))).into()
}

fn types(types: &[crate::TensorType]) -> String {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    format!("({})", types.join(", "))
}
