//! Functions with derivatives of their author's own.

use std::panic::Location as Caller;
use std::sync::Arc;

use cotangent_graph::ops::{Custom, Region, RuleKind};
use cotangent_graph::{Builder, Callee, GraphError, Location, Var};
use cotangent_transform::{self as transform, TransformError};

use super::derivative::expect_like;
use super::{Failed, Function, Inner, IntoFunction, Signature, Traced};
use crate::trace::Place;
use crate::tree::Structure;
use crate::{Error, Graph, Tensor, Tree};

/// Rules of your own for derivatives; see [`custom`](crate::custom).
impl<I: Tree<Tensor> + 'static, O: Tree<Tensor> + 'static> Function<I, O> {
    /// The same function with a rule for its derivative in a direction, in place of that of its
    /// operations. Reverse mode transposes the rule.
    ///
    /// The rule takes the tuple of the arguments, the result and the tuple of the arguments'
    /// tangents, and gives the tangent of the result, of the result's structure and types. It must
    /// be linear in the tangents. Leaves that are neither floats nor complex have tangents of zero, and the rule
    /// gives any values of their type for them. Neither the function nor the rule may use tensors of
    /// an enclosing traced function, whose derivatives the rule would lose.
    ///
    /// Errors of the rule, a result of another shape or an operation that is not linear come out
    /// when the function is traced, and name the place.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// // A straight-through estimator: rounding, with the derivative of the identity.
    /// let round = Function::new(|x: &Tensor| x.round())
    ///     .with_jvp(|_x: (Tensor,), _y: Tensor, (t,): (Tensor,)| t);
    /// let f = Function::new(move |x: &Tensor| round.apply((x.clone(),)).square().sum(..));
    /// assert_eq!(f.grad().call(([0.4, 1.7].into(),))?, [0.0, 4.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn with_jvp<M, R>(&self, rule: R) -> Function<I, O>
    where
        R: IntoFunction<M, In = (I, O, I), Out = O> + Send + Sync + 'static,
    {
        self.with_rule(
            RuleKind::Jvp,
            rule.into_function().inner(),
            Caller::caller(),
        )
    }

    /// The same function with a rule for the cotangents of its arguments. Forward mode transposes
    /// the rule.
    ///
    /// The rule takes the tuple of the arguments, the result and the result's cotangent, and gives
    /// the tuple of the arguments' cotangents, of their structure and types. It must be linear in the
    /// cotangents; all else is as for [`with_jvp`](Function::with_jvp).
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// let f = Function::new(|x: &Tensor, y: &Tensor| x * y).with_vjp(
    ///     |(x, y): (Tensor, Tensor), _: Tensor, ct: Tensor| (&ct * y, ct * x),
    /// );
    /// let (z, dz) = f.jvp().call(((2.0.into(), 5.0.into()), (1.0.into(), 0.0.into())))?;
    /// assert_eq!((z, dz), (10.0.into(), 5.0.into()));
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn with_vjp<M, R>(&self, rule: R) -> Function<I, O>
    where
        R: IntoFunction<M, In = (I, O, O), Out = I> + Send + Sync + 'static,
    {
        self.with_rule(
            RuleKind::Vjp,
            rule.into_function().inner(),
            Caller::caller(),
        )
    }

    /// As [`with_vjp`](Function::with_vjp) for a rule that need not be linear, such as one that
    /// clips. There is no forward mode through it, and so no forward over reverse mode either:
    /// asking for one is an error. Reverse over reverse mode differentiates the rule.
    ///
    /// ```
    /// use cotangent::{Function, Tensor};
    /// // The identity, which lets no cotangent beyond 1 through.
    /// let clip = Function::new(|x: &Tensor| x.clone())
    ///     .with_backward(|_x: (Tensor,), _y: Tensor, ct: Tensor| (ct.clamp(-1.0, 1.0),));
    /// let scales = Tensor::from([0.5, 7.0]);
    /// let f = Function::new(move |x: &Tensor| (clip.apply((x.clone(),)) * &scales).sum(..));
    /// assert_eq!(f.grad().call(([1.0, 1.0].into(),))?, [0.5, 1.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn with_backward<M, R>(&self, rule: R) -> Function<I, O>
    where
        R: IntoFunction<M, In = (I, O, O), Out = I> + Send + Sync + 'static,
    {
        self.with_rule(
            RuleKind::Backward,
            rule.into_function().inner(),
            Caller::caller(),
        )
    }

    fn with_rule(&self, kind: RuleKind, rule: &Arc<Inner>, at: Place) -> Function<I, O> {
        let (f, rule) = (self.inner().clone(), rule.clone());
        let name = f.name().to_owned();
        Function::from_build(&name, move |signature| {
            let traced = f.traced(signature)?;
            let result = Signature {
                structure: traced.result().clone(),
                types: traced.graph().output_types(),
            };
            let (takes, gives) = match kind {
                RuleKind::Jvp => (signature, &result),
                _ => (&result, signature),
            };
            let failed = |e: Box<Error>| Failed {
                result: Some(result.structure.clone()),
                error: e,
            };
            let all = Signature {
                structure: Structure::list(
                    "tuple",
                    [&signature.structure, &result.structure, &takes.structure].map(Clone::clone),
                ),
                types: [&signature.types[..], &result.types, &takes.types].concat(),
            };
            let rule = rule.traced(&all).map_err(|e| failed(e.error))?;
            let graph = custom(kind, f.name(), signature, &traced, &rule, gives, at);
            let graph = graph.map_err(|e| failed(Box::new(e)))?;
            Ok(Traced::new(graph, result.structure.clone(), Vec::new()))
        })
    }
}

/// A graph of the one operation: the function with its rule.
fn custom(
    kind: RuleKind,
    name: &str,
    arguments: &Signature,
    f: &Traced,
    rule: &Traced,
    gives: &Signature,
    at: Place,
) -> Result<Graph, Error> {
    let located = |message: String| GraphError::other(message, Some(Location::Code(at)));
    if !f.captures().is_empty() || !rule.captures().is_empty() {
        return Err(located(format!(
            "`{name}` has a rule of its own, so neither of them may use a tensor of an enclosing \
             traced function; expected it as an argument"
        ))
        .into());
    }
    let (what, of) = match kind {
        RuleKind::Jvp => ("tangents", "result"),
        _ => ("cotangents", "arguments"),
    };
    let found = Signature {
        structure: rule.result().clone(),
        types: rule.graph().output_types(),
    };
    expect_like(what, of, gives, &found)
        .map_err(|e| located(format!("the {} rule of `{name}`: {e}", kind.name())))?;
    let rule = adapted(kind, name, arguments, f.graph(), rule.graph())?;
    let custom = Custom {
        call: Callee(f.graph().clone()),
        rule: Callee(Arc::new(rule)),
        kind,
    };
    match transform::check_rule(&custom) {
        Ok(()) => {}
        Err(TransformError::NotLinear { op, location }) => {
            let what = match kind {
                RuleKind::Jvp => "tangents",
                _ => "cotangents",
            };
            let message = format!(
                "`{op}` is not linear in the {what}, as the {} rule of `{name}` must be",
                kind.name()
            );
            let at = location.unwrap_or(Location::Code(at)).origin();
            return Err(GraphError::other(message, Some(at)).into());
        }
        Err(e) => return Err(e.into()),
    }
    let mut b = Builder::new(name);
    let types = f.graph().input_types();
    let inputs = f.graph().inputs().iter().zip(types);
    let inputs: Vec<Var> = inputs.map(|((n, _), t)| b.input(n, t)).collect();
    b.set_location(Some(Location::Code(at)));
    let outputs = b.region(Region::Custom(custom), &inputs);
    Ok(b.finish(&outputs)?)
}

/// The rule as the operation wants it: tangents of floats alone, taken and given.
fn adapted(
    kind: RuleKind,
    name: &str,
    arguments: &Signature,
    f: &Graph,
    rule: &Graph,
) -> Result<Graph, GraphError> {
    let known = arguments.types.len() + f.outputs().len();
    let mut b = Builder::new(&format!("{name}_{}_rule", kind.name()));
    let mut args = Vec::with_capacity(rule.inputs().len());
    let (mut t, mut out) = (0, 0);
    let names = f.inputs().iter().map(|(n, _)| &**n);
    let names: Vec<&str> = names.collect();
    for (i, ty) in rule.input_types().into_iter().enumerate() {
        let input = if i < names.len() {
            b.input(names.get(i).copied().unwrap_or("x"), ty)
        } else if i < known {
            out += 1;
            b.input(&format!("out{}", out - 1), ty)
        } else {
            t += 1;
            let name = match kind {
                RuleKind::Jvp => format!("t_{}", names.get(t - 1).copied().unwrap_or("x")),
                _ => format!("ct_out{}", t - 1),
            };
            match ty.dtype.is_inexact() {
                true => b.input(&name, ty),
                false => b.zeros(&ty),
            }
        };
        args.push(input);
    }
    let outputs = b.inline(rule, &args);
    let floats = outputs.into_iter().zip(rule.output_types());
    let floats: Vec<Var> = floats
        .filter(|(_, t)| t.dtype.is_inexact())
        .map(|(v, _)| v)
        .collect();
    Ok(b.finish(&floats)?.without_dead_code())
}
