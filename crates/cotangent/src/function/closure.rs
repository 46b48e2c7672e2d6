//! How a closure is traced, and what was traced applied to tensors.

use std::panic::resume_unwind;
use std::sync::Arc;

use cotangent_graph::Location;

use super::{Failed, Signature, Traced, arguments};
use crate::trace::{self, Place};
use crate::tree::{TreeError, from_leaves};
use crate::{Error, GraphError, Tensor, TensorType, Tree};

/// Applies what was traced to tensors, or records why there is nothing to apply.
pub(crate) fn finish<O: Tree<Tensor>>(
    traced: Result<Arc<Traced>, Failed>,
    tensors: &mut Vec<Tensor>,
    call: bool,
    at: Place,
) -> O {
    let (result, outputs) = match traced {
        Ok(traced) => {
            tensors.extend(traced.captures.iter().cloned());
            let outputs = trace::apply(&traced.graph, &traced.program, tensors, call, at);
            (traced.result.clone(), outputs)
        }
        Err(Failed { result, error }) => {
            let error = error.into_graph_error(Some(Location::Code(at)));
            let failed = trace::fail(error, &tensors.iter().collect::<Vec<_>>());
            match result {
                Some(result) => {
                    let count = result.leaf_count();
                    (result, vec![failed; count])
                }
                // The error is recorded; whoever traces the code around us reports it.
                None => resume_unwind(Box::new("a function could not be traced")),
            }
        }
    };
    match from_leaves(&result, outputs) {
        Ok(result) => result,
        Err(e) => {
            trace::fail(
                GraphError::other(e.to_string(), Some(Location::Code(at))),
                &[],
            );
            resume_unwind(Box::new(e.to_string()))
        }
    }
}

/// Traces a function for arguments of these types.
pub(crate) fn trace_closure<I: Tree<Tensor>, O: Tree<Tensor>>(
    name: &str,
    arguments: &[String],
    signature: &Signature,
    f: &dyn Fn(I) -> O,
) -> Result<Traced, Failed> {
    trace_with(name, arguments, signature, false, f)
}

/// The same; with `all` operations stay that no output needs.
pub(crate) fn trace_with<I: Tree<Tensor>, O: Tree<Tensor>>(
    name: &str,
    arguments: &[String],
    signature: &Signature,
    all: bool,
    f: &dyn Fn(I) -> O,
) -> Result<Traced, Failed> {
    let names = arguments::input_names(&signature.structure, arguments);
    let inputs: Vec<(String, TensorType)> = names
        .into_iter()
        .zip(signature.types.iter().cloned())
        .collect();
    let outcome = trace::trace_parts(
        name,
        &inputs,
        &arguments::input_parts(&signature.structure),
        all,
        |tensors| from_leaves(&signature.structure, tensors).map(f),
        |result: &Result<O, TreeError>| match result {
            Ok(result) => result.leaves().into_iter().cloned().collect(),
            Err(_) => Vec::new(),
        },
    );
    let structure = match outcome.result {
        Some(Ok(result)) => Some(result.structure()),
        Some(Err(e)) => {
            return Err(Failed::unknown(e));
        }
        None => None,
    };
    match (outcome.graph, structure) {
        (Ok((graph, captures)), Some(result)) => Ok(Traced::new(graph, result, captures)),
        (Ok(_), None) => Err(Failed::unknown(Error::Argument(format!(
            "`{name}` gave no result"
        )))),
        (Err(e), result) => Err(Failed {
            result,
            error: Box::new(e.into()),
        }),
    }
}
