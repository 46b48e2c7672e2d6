//! Operations and derivatives of your own.
//!
//! A traced function may be given a rule for its derivative, which then stands in place of the
//! derivative of its operations: [`Function::with_jvp`](crate::Function::with_jvp) for a rule on
//! tangents, [`Function::with_vjp`](crate::Function::with_vjp) for one on cotangents. One is enough:
//! the other mode transposes it. Rules are traced functions themselves, so higher derivatives, batches
//! and texts work as everywhere.
//!
//! ```
//! use cotangent::{Function, Tensor};
//! // log(1 + exp(x)), whose own derivative, exp(x) / (1 + exp(x)), overflows for large x.
//! let f = Function::new(|x: &Tensor| x.exp().log1p())
//!     .with_jvp(|(x,): (Tensor,), _y: Tensor, (t,): (Tensor,)| t * x.sigmoid());
//! assert_eq!(f.grad().call((1000.0.into(),))?, 1.0.into());
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! A [`Native`] operation is a Rust closure on arrays, for what no traced function can say. It has no
//! derivative of its own; the function around it may have a rule:
//!
//! ```
//! use cotangent::{Array, Function, Tensor, custom};
//! let cube = custom::Native::new(
//!     "cube",
//!     |operands| Ok(operands.to_vec()),
//!     |operands: &[Array]| -> Result<Vec<Array>, cotangent::ArrayError> {
//!         let values: Vec<f64> = operands[0].to_f64s().iter().map(|x| x.powi(3)).collect();
//!         Ok(vec![Array::new(operands[0].shape(), values)?])
//!     },
//! );
//! let f = Function::new(move |x: &Tensor| custom::call(&cube, [x]))
//!     .with_vjp(|(x,): (Tensor,), _y: Tensor, ct: Tensor| (ct * 3.0 * &x * &x,));
//! assert_eq!(f.call((2.0.into(),))?, 8.0.into());
//! assert_eq!(f.grad().call((2.0.into(),))?, 12.0.into());
//! // The second derivative is that of the rule.
//! assert_eq!(f.grad().grad().call((2.0.into(),))?, 12.0.into());
//! # Ok::<(), cotangent::Error>(())
//! ```
//!
//! A text writes a native operation as `native(x, name=cube, version=1)`, with its attributes; to
//! read it back, [`parse_with`](crate::parse_with) takes a [`Registry`].

use std::panic::Location as Caller;
use std::sync::Arc;

use cotangent_graph::{Builder, Graph, GraphError, Location, Op, TensorType};

pub use cotangent_graph::ops::{Native, Registry};

use crate::Tensor;
use crate::function::{Failed, Traced, finish};
use crate::trace::{self, Place};
use crate::tree::Structure;

/// Applies a native operation that has one result.
///
/// It runs when the program does, and outside of any trace at once. A wrong number of results is
/// recorded as an error, as that of any operation.
#[track_caller]
pub fn call<'a>(native: &Native, operands: impl IntoIterator<Item = &'a Tensor>) -> Tensor {
    let at = Caller::caller();
    let operands: Vec<Tensor> = operands.into_iter().cloned().collect();
    let mut results = results(native, operands, at);
    match (results.pop(), results.is_empty()) {
        (Some(one), true) => one,
        (_, _) => {
            let message = format!("`{}`: expected one result; see call_all", native.name());
            trace::fail(GraphError::other(message, Some(Location::Code(at))), &[])
        }
    }
}

/// Applies a native operation; one tensor for each of its results.
///
/// ```
/// use cotangent::{Array, Tensor, custom};
/// // The quotient and the remainder together.
/// let divide = custom::Native::new(
///     "divide",
///     |operands| Ok(vec![operands[0].clone(), operands[0].clone()]),
///     |operands: &[Array]| -> Result<Vec<Array>, cotangent::ArrayError> {
///         let (x, y) = (operands[0].item::<i64>()?, operands[1].item::<i64>()?);
///         Ok(vec![x.div_euclid(y).into(), x.rem_euclid(y).into()])
///     },
/// );
/// let (x, y) = (Tensor::scalar(17_i64), Tensor::scalar(5_i64));
/// let both = custom::call_all(&divide, [&x, &y]);
/// assert_eq!((both[0].item::<i64>()?, both[1].item::<i64>()?), (3, 2));
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn call_all<'a>(
    native: &Native,
    operands: impl IntoIterator<Item = &'a Tensor>,
) -> Vec<Tensor> {
    let at = Caller::caller();
    results(native, operands.into_iter().cloned().collect(), at)
}

fn results(native: &Native, mut operands: Vec<Tensor>, at: Place) -> Vec<Tensor> {
    let types: Vec<TensorType> = operands.iter().map(|t| t.ty().clone()).collect();
    let graph = || -> Result<Graph, GraphError> {
        let mut b = Builder::new(native.name());
        let inputs: Vec<_> = types.iter().map(|t| b.input("x", t.clone())).collect();
        b.set_location(Some(Location::Code(at)));
        let outputs = b.results(Op::Native(native.clone()), &inputs);
        b.finish(&outputs)
    };
    let list = |count: usize| Structure::list("list", vec![Structure::Leaf; count]);
    let traced = match graph() {
        Ok(graph) => {
            let count = graph.outputs().len();
            Ok(Arc::new(Traced::new(graph, list(count), Vec::new())))
        }
        // Nothing is known of the results, so one stands for them all.
        Err(e) => Err(Failed::known(&list(1), e)),
    };
    finish(traced, &mut operands, false, at)
}
