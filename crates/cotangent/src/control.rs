//! Control flow in traced functions: branches, loops and checkpoints written as closures.
//!
//! A closure is traced once, whatever the number of steps; tensors from around it may be used
//! inside. All of them are differentiated in both modes, to any order, and batched. Reverse mode
//! through a [`while_loop`] keeps what the loop carries, step by step, within a
//! [limit](crate::Function::with_loop_memory).
//!
//! In a batch of which some examples take no part, because their loop is done or their branch is the
//! other one, these examples compute with the values of one that does. So a batch raises no errors,
//! makes no NaN and never runs longer than its examples do alone.
//!
//! ```
//! use cotangent::{Function, Tensor, control};
//! // x, x^2, x^4, ...: ten squarings of a number, and their derivative.
//! let f = Function::new(|x: &Tensor| control::fori_loop(10, |_, y: Tensor| &y * &y, x.clone()));
//! assert_eq!(f.call((1.0.into(),))?, 1.0.into());
//! assert_eq!(f.grad().call((1.0.into(),))?, 1024.0.into());
//! # Ok::<(), cotangent::Error>(())
//! ```

use std::panic::Location as Caller;
use std::sync::Arc;

use cotangent_graph::ops::{Cond, Custom, Region, Scan, While};
use cotangent_graph::{Builder, Callee, Graph, GraphError, Location, Op, TensorType, Var};

use crate::function::{Failed, Signature, Traced, finish, trace_closure, trace_with};
use crate::trace::Place;
use crate::tree::{Structure, Tree};
use crate::{Error, Tensor};

/// One of two functions of the same arguments, by a bool scalar. Only the one taken runs.
///
/// ```
/// use cotangent::{Function, Tensor, control};
/// let f = Function::new(|x: &Tensor| {
///     control::cond(&x.greater(0.0), |x: Tensor| x.sqrt(), |x: Tensor| -x, x.clone())
/// });
/// assert_eq!(f.call((4.0.into(),))?, 2.0.into());
/// assert_eq!(f.grad().call(((-4.0).into(),))?, (-1.0).into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn cond<A: Tree<Tensor>, O: Tree<Tensor>>(
    condition: &Tensor,
    then: impl Fn(A) -> O,
    otherwise: impl Fn(A) -> O,
    arguments: A,
) -> O {
    let at = Caller::caller();
    let given = Given::of(&arguments);
    let build = || -> Result<(Traced, Vec<Tensor>), Failed> {
        let signature = given.signature();
        let then = trace_closure("then", &[], &signature, &|(a,): (A,)| then(a))?;
        let otherwise = trace_closure("otherwise", &[], &signature, &|(a,): (A,)| otherwise(a))?;
        let result = then.result().clone();
        if let Err(e) = result.expect_same(otherwise.result()) {
            return Err(Failed::known(
                &result,
                located(at, &format!("cond: the branches differ: {e}")),
            ));
        }
        let captures = union(&[&then, &otherwise]);
        let bodies = [&then, &otherwise].map(|b| widened(b, given.types.len(), &captures));
        let region = || -> Result<Region, GraphError> {
            let [then, otherwise] = bodies;
            Ok(Region::Cond(Cond {
                then: then?,
                otherwise: otherwise?,
            }))
        };
        let mut operands = vec![condition.clone()];
        operands.extend(given.tensors.iter().cloned());
        operands.extend(captures);
        wrap(region(), &operands, result, at).map(|t| (t, operands))
    };
    run(build(), at)
}

/// A loop over the leading axis of `xs`: the body takes what is carried and one slice, and gives
/// what is carried on and a slice of the result. Gives the last carried value and the slices stacked.
///
/// ```
/// use cotangent::{Function, Tensor, control};
/// // Running products.
/// let f = Function::new(|x: &Tensor| {
///     let one = Tensor::from(1.0);
///     control::scan(|p: Tensor, x: Tensor| { let p = p * x; (p.clone(), p) }, one, x.clone()).1
/// });
/// assert_eq!(f.call(([2.0, 3.0, 4.0].into(),))?, [2.0, 6.0, 24.0].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn scan<C: Tree<Tensor>, X: Tree<Tensor>, Y: Tree<Tensor>>(
    body: impl Fn(C, X) -> (C, Y),
    init: C,
    xs: X,
) -> (C, Y) {
    scan_at(&body, &init, &xs, None, false, Caller::caller())
}

/// [`scan`] from the last slice to the first; results stand at the places of their slices.
#[track_caller]
pub fn scan_reverse<C: Tree<Tensor>, X: Tree<Tensor>, Y: Tree<Tensor>>(
    body: impl Fn(C, X) -> (C, Y),
    init: C,
    xs: X,
) -> (C, Y) {
    scan_at(&body, &init, &xs, None, true, Caller::caller())
}

/// A fixed number of steps; the body takes the number of the step (an i64 scalar) and what is
/// carried.
#[track_caller]
pub fn fori_loop<C: Tree<Tensor>>(steps: usize, body: impl Fn(Tensor, C) -> C, init: C) -> C {
    let at = Caller::caller();
    let zero = Tensor::scalar(0_i64);
    let step = |(i, c): (Tensor, C), (): ()| {
        let next = body(i.clone(), c);
        ((i + 1_i64, next), ())
    };
    let ((_, last), ()): ((Tensor, C), ()) =
        scan_at(&step, &(zero, init), &(), Some(steps), false, at);
    last
}

/// Steps as long as a test holds, which gives a bool scalar. The number of steps is known only when
/// the program runs; reverse mode keeps what is carried, step by step, in memory that grows.
///
/// ```
/// use cotangent::{Function, Tensor, control};
/// // Newton's method for a square root.
/// let root = Function::new(|a: &Tensor| {
///     let far = |x: &Tensor| (x * x - a).abs().greater(1e-12);
///     control::while_loop(far, |x: Tensor| (&x + a / &x) * 0.5, a.clone())
/// });
/// assert!((root.call((2.0.into(),))?.item::<f64>()? - 2.0_f64.sqrt()).abs() < 1e-12);
/// let (_, slope) = root.jvp().call(((2.0.into(),), (1.0.into(),)))?;
/// assert!((slope.item::<f64>()? - 0.5 / 2.0_f64.sqrt()).abs() < 1e-9);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn while_loop<C: Tree<Tensor>>(
    test: impl Fn(&C) -> Tensor,
    body: impl Fn(C) -> C,
    init: C,
) -> C {
    let at = Caller::caller();
    let given = Given::of(&init);
    let build = || -> Result<(Traced, Vec<Tensor>), Failed> {
        let signature = given.signature();
        let test = trace_closure("test", &[], &signature, &|(c,): (C,)| test(&c))?;
        let body = trace_closure("body", &[], &signature, &|(c,): (C,)| body(c))?;
        let result = given.structure.clone();
        if let Err(e) = result.expect_same(body.result()) {
            let message = format!("while_loop: the body must give what it takes: {e}");
            return Err(Failed::known(&result, located(at, &message)));
        }
        let captures = union(&[&test, &body]);
        let bodies = [&test, &body].map(|b| widened(b, given.types.len(), &captures));
        let region = || -> Result<Region, GraphError> {
            let [test, body] = bodies;
            Ok(Region::While(While {
                test: test?,
                body: body?,
                carry: given.types.len(),
            }))
        };
        let mut operands = given.tensors.clone();
        operands.extend(captures);
        wrap(region(), &operands, result, at).map(|t| (t, operands))
    };
    run(build(), at)
}

/// A part of a function of whose values reverse mode keeps nothing but the arguments, and the tensors
/// from around it: what the derivative needs is computed again when it is needed. That saves memory
/// and costs time. The values are the same, bit for bit, and so is what is computed again: random
/// numbers come from keys, which are arguments.
///
/// To keep some values inside as well, see [`checkpoint_keeping`]; to let a number of bytes decide,
/// [`with_memory_budget`](crate::Function::with_memory_budget).
///
/// - Of a loop whose body has a checkpoint, states are kept and steps run again.
/// - An arm of a [`cond`], or a function that is [called](crate::Function::apply_as_call), runs again as
///   a whole, with what is around the checkpoint in it, where it has one.
/// - [`linearize`](crate::Function::linearize) keeps what it would keep without checkpoints, since its linear
///   map is there to be applied often without computing the function again. So does forward mode, which
///   keeps nothing for later anyway.
///
/// ```
/// use cotangent::{Function, Tensor, control};
/// let layer = |x: Tensor| (x.sin() * 2.0).exp();
/// let plain = Function::new(move |x: &Tensor| layer(layer(x.clone())).sum(..));
/// let less = Function::new(move |x: &Tensor| {
///     let y = control::checkpoint(layer, x.clone());
///     control::checkpoint(layer, y).sum(..)
/// });
/// let x = [0.5, 1.0, -2.0];
/// assert_eq!(less.grad().call((x.into(),))?, plain.grad().call((x.into(),))?);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn checkpoint<A: Tree<Tensor>, O: Tree<Tensor>>(body: impl Fn(A) -> O, arguments: A) -> O {
    checkpoint_at(&[], &body, &arguments, Caller::caller())
}

/// A [`checkpoint`] that keeps, beside the arguments, the values inside that have one of these
/// [names](name).
///
/// ```
/// use cotangent::{Function, Tensor, control};
/// let f = Function::new(|x: &Tensor| {
///     let layer = |x: Tensor| control::name("dear", &x.exp()).sin() * x;
///     control::checkpoint_keeping(["dear"], layer, x.clone()).sum(..)
/// });
/// assert_eq!(f.grad().call(([0.0].into(),))?, [1.0_f64.sin()].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn checkpoint_keeping<'a, A: Tree<Tensor>, O: Tree<Tensor>>(
    names: impl IntoIterator<Item = &'a str>,
    body: impl Fn(A) -> O,
    arguments: A,
) -> O {
    let names: Vec<String> = names.into_iter().map(identifier).collect();
    checkpoint_at(&names, &body, &arguments, Caller::caller())
}

/// The same value with a name, by which a [checkpoint](checkpoint_keeping) around it can be told to
/// keep it. Several values may share a name; signs that no identifier has become `_`.
#[track_caller]
pub fn name(name: &str, x: &Tensor) -> Tensor {
    let at = Caller::caller();
    let given = Given::of(x);
    let region = Custom::named(&identifier(name), x.ty().clone()).map(Region::Custom);
    let operands = vec![x.clone()];
    let built = wrap(region, &operands, given.structure, at);
    run(built.map(|t| (t, operands)), at)
}

/// A name as graphs have them.
fn identifier(name: &str) -> String {
    let sign = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(sign).collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        true => format!("_{name}"),
        false => name,
    }
}

fn checkpoint_at<A: Tree<Tensor>, O: Tree<Tensor>>(
    names: &[String],
    body: &dyn Fn(A) -> O,
    arguments: &A,
    at: Place,
) -> O {
    let given = Given::of(arguments);
    let build = || -> Result<(Traced, Vec<Tensor>), Failed> {
        let signature = given.signature();
        // What nobody needs stays: derivatives are to follow the order in which all was written.
        let body = trace_with("checkpoint", &[], &signature, true, &|(a,): (A,)| body(a))?;
        let result = body.result().clone();
        let captures = union(&[&body]);
        let region = whole(&body, given.types.len(), &captures)
            .and_then(|call| with_names(&call, names))
            .map(|call| Region::Custom(Custom::checkpoint(Callee(Arc::new(call)))));
        let mut operands = given.tensors.clone();
        operands.extend(captures);
        wrap(region, &operands, result, at).map(|t| (t, operands))
    };
    run(build(), at)
}

/// The graph in which no other values have names than these.
fn with_names(graph: &Graph, names: &[String]) -> Result<Graph, GraphError> {
    let mut b = Builder::new(graph.name());
    let mut to: Vec<Var> = Vec::with_capacity(graph.equations().len());
    let mut inputs = graph.inputs().iter().zip(graph.input_types());
    for (_, e) in graph.iter() {
        let args: Vec<Var> = e.args.iter().map(|a| to[a.index()]).collect();
        b.follow(e);
        let named = match &e.op {
            Op::Region(Region::Custom(c)) => c.name(),
            _ => None,
        };
        to.push(match (&e.op, named, &args[..]) {
            (Op::Input, ..) => match inputs.next() {
                Some(((name, _), ty)) => b.input(name, ty),
                None => return Err(GraphError::other("an input is not in the list", None)),
            },
            (_, Some(name), [x]) if !names.iter().any(|n| n == name) => *x,
            (op, ..) => b.push(op.clone(), &args),
        });
    }
    b.set_location(None);
    let outputs: Vec<Var> = graph.outputs().iter().map(|o| to[o.index()]).collect();
    b.finish(&outputs)
}

fn scan_at<C: Tree<Tensor>, X: Tree<Tensor>, Y: Tree<Tensor>>(
    body: &dyn Fn(C, X) -> (C, Y),
    init: &C,
    xs: &X,
    steps: Option<usize>,
    reverse: bool,
    at: Place,
) -> (C, Y) {
    let (carried, scanned) = (Given::of(init), Given::of(xs));
    let build = || -> Result<(Traced, Vec<Tensor>), Failed> {
        let mut length = steps;
        let mut types = carried.types.clone();
        for ty in &scanned.types {
            let Some((n, rest)) = ty.shape.dims().split_first() else {
                let message =
                    format!("scan: expected arrays with a leading axis to walk over, found {ty}");
                return Err(Failed::unknown(located(at, &message)));
            };
            if *length.get_or_insert(*n) != *n {
                let message = format!(
                    "scan: expected leading axes of one length, found {} and {n}",
                    length.unwrap_or_default()
                );
                return Err(Failed::unknown(located(at, &message)));
            }
            types.push(ty.with_shape(rest));
        }
        let Some(length) = length else {
            let message = "scan: expected at least one array to walk over; see fori_loop";
            return Err(Failed::unknown(located(at, message)));
        };
        let structure = Structure::list(
            "tuple",
            [carried.structure.clone(), scanned.structure.clone()],
        );
        let signature = Signature { structure, types };
        let step = trace_closure("body", &[], &signature, &|(c, x): (C, X)| body(c, x))?;
        let result = step.result().clone();
        let kept = Signature {
            structure: result.clone(),
            types: step.graph().output_types(),
        };
        let same = kept.argument(0).and_then(|(c, range)| {
            carried.structure.expect_same(c)?;
            Ok(range.len())
        });
        if let Err(e) = same {
            let message = format!("scan: the body must carry on what it was given: {e}");
            return Err(Failed::known(&result, located(at, &message)));
        }
        let captures = union(&[&step]);
        let body = widened(&step, signature.types.len(), &captures);
        let region = body.map(|body| {
            let (carry, scanned) = (carried.types.len(), scanned.types.len());
            Region::Scan(Scan {
                body,
                carry,
                scanned,
                length,
                reverse,
            })
        });
        let mut operands = carried.tensors.clone();
        operands.extend(scanned.tensors.iter().cloned());
        operands.extend(captures);
        wrap(region, &operands, result, at).map(|t| (t, operands))
    };
    run(build(), at)
}

/// The leaves of an argument.
pub(crate) struct Given {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) types: Vec<TensorType>,
    pub(crate) structure: Structure,
}

impl Given {
    pub(crate) fn of<T: Tree<Tensor>>(tree: &T) -> Given {
        let tensors: Vec<Tensor> = tree.leaves().into_iter().cloned().collect();
        let types = tensors.iter().map(|t| t.ty().clone()).collect();
        Given {
            tensors,
            types,
            structure: tree.structure(),
        }
    }

    /// The signature of a function of this one argument.
    fn signature(&self) -> Signature {
        let structure = Structure::list("tuple", [self.structure.clone()]);
        Signature {
            structure,
            types: self.types.clone(),
        }
    }
}

/// The tensors from around that some body uses, each once.
fn union(bodies: &[&Traced]) -> Vec<Tensor> {
    let mut all: Vec<Tensor> = Vec::new();
    for tensor in bodies.iter().flat_map(|b| b.captures()) {
        if !all.iter().any(|t| t.is_same(tensor)) {
            all.push(tensor.clone());
        }
    }
    all
}

/// The body with an input for each tensor that any body of its operation uses.
fn widened(body: &Traced, own: usize, captures: &[Tensor]) -> Result<Callee, GraphError> {
    let graph = whole(body, own, captures)?;
    Ok(Callee(Arc::new(graph.without_dead_code())))
}

fn whole(body: &Traced, own: usize, captures: &[Tensor]) -> Result<Graph, GraphError> {
    let graph = body.graph();
    let mut b = Builder::new(graph.name());
    let types = graph.input_types();
    let inputs = graph.inputs().iter().zip(&types).take(own);
    let mut args: Vec<Var> = inputs.map(|((n, _), t)| b.input(n, t.clone())).collect();
    let shared: Vec<Var> = captures
        .iter()
        .map(|t| b.input("shared", t.ty().clone()))
        .collect();
    for tensor in body.captures() {
        let found = captures.iter().position(|t| t.is_same(tensor));
        args.extend(found.and_then(|i| shared.get(i)));
    }
    let outputs = b.inline(graph, &args);
    b.finish(&outputs)
}

/// A graph of the one operation, so that it can be applied like any traced function.
fn wrap(
    region: Result<Region, GraphError>,
    operands: &[Tensor],
    result: Structure,
    at: Place,
) -> Result<Traced, Failed> {
    let graph = || -> Result<Graph, GraphError> {
        let region = region?;
        let mut b = Builder::new(region.name());
        let inputs: Vec<Var> = operands
            .iter()
            .map(|t| b.input("x", t.ty().clone()))
            .collect();
        b.set_location(Some(Location::Code(at)));
        let outputs = b.region(region, &inputs);
        b.set_location(None);
        b.finish(&outputs)
    };
    match graph() {
        Ok(graph) => Ok(Traced::new(graph, result, Vec::new())),
        Err(e) => Err(Failed::known(&result, e)),
    }
}

fn run<O: Tree<Tensor>>(built: Result<(Traced, Vec<Tensor>), Failed>, at: Place) -> O {
    match built {
        Ok((traced, mut operands)) => finish(Ok(Arc::new(traced)), &mut operands, false, at),
        Err(failed) => finish(Err(failed), &mut Vec::new(), false, at),
    }
}

fn located(at: Place, message: &str) -> Error {
    GraphError::other(message, Some(Location::Code(at))).into()
}
