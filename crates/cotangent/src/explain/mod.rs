//! Explanations: why a gradient is zero, and why a value is kept for the backward pass.
//!
//! ```
//! use cotangent::{explain, parse};
//! let f = parse("fn f(x: f64, y: f64) -> f64 { select(x > 0.0, y * floor(x), 2.0 * x) }")?;
//! let why = explain::gradients(f.entry(), &[1.5.into(), 3.0.into()], &[true, true])?;
//! assert!(why[0].is_zero() && !why[1].is_zero());
//! let text = why[0].to_string();
//! assert!(text.contains("`floor` is flat, so its derivative is 0 everywhere"), "{text}");
//! assert!(text.contains("`select` takes the other arm"), "{text}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod kept;
mod paths;

use std::fmt;

use cotangent_graph::Location;

use crate::{Argument, Array, Error, Function, Tensor, Tree, Typed};
pub use kept::{Need, Residual, residuals};
pub use paths::gradients;

/// What becomes of the derivatives by one input, at a point.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The name of the input.
    pub input: String,
    /// Whether some output varies with it here, to first order.
    pub reaches: bool,
    /// Where paths from it to the outputs end, in the order of the operations.
    pub ends: Vec<End>,
}

/// Where a path from an input ends without a derivative.
#[derive(Clone, PartialEq, Debug)]
pub struct End {
    /// Where the operation was written at which it ends; `None` for the input itself.
    pub location: Option<Location>,
    /// Why it ends there.
    pub reason: String,
}

impl Explanation {
    /// Whether the gradient is zero here.
    pub fn is_zero(&self) -> bool {
        !self.reaches
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location {
            Some(location) => write!(f, "{location}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.reaches, self.ends.is_empty()) {
            (false, _) => "the gradient is zero here",
            (true, false) => "the gradient is not zero here, but some paths end",
            (true, true) => "the gradient is not zero here",
        };
        write!(f, "{}: {verdict}", self.input)?;
        self.ends
            .iter()
            .try_for_each(|end| write!(f, "\n    {end}"))
    }
}

impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// Why the gradient with respect to the leaves of the first argument is zero at these arguments,
    /// or is not: one explanation for each leaf that can be differentiated, path by path, with the
    /// places in the user's code. See [`explain`](crate::explain).
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor| x.stop_gradient().square().sum(..));
    /// let why = f.explain(([1.0, 2.0].into(),))?;
    /// assert!(why[0].is_zero());
    /// assert!(why[0].ends[0].reason.contains("`stop_gradient` ends it"));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`call`](Function::call).
    pub fn explain(&self, arguments: I::Of<Array>) -> Result<Vec<Explanation>, Error>
    where
        I: Argument<0>,
    {
        let leaves: Vec<Array> = arguments.leaves().into_iter().cloned().collect();
        let signature = crate::function::signature_of(&arguments);
        let (_, first) = signature.argument(0)?;
        let traced = self.trace(&arguments)?;
        traced.expect_closed()?;
        let wrt: Vec<bool> = (leaves.iter().enumerate())
            .map(|(i, leaf)| first.contains(&i) && leaf.tensor_type().dtype.is_inexact())
            .collect();
        gradients(traced.graph(), &leaves, &wrt)
    }
}
