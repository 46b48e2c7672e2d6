//! Checks that a graph is well formed.

use crate::{Graph, GraphError, Type};

impl Graph {
    /// Checks every invariant of a graph: operands come earlier, types are what the operations
    /// infer, inputs and outputs are arrays of this graph.
    ///
    /// # Errors
    /// The first equation that breaks one, with its location where that is known.
    pub fn verify(&self) -> Result<(), GraphError> {
        let mut inputs = 0;
        let mut depth = 0;
        let mut types: Vec<&Type> = Vec::new();
        for (v, e) in self.iter() {
            let bad = |message: String| {
                Err(GraphError::other(
                    format!("variable {}: {message}", v.index()),
                    e.location,
                ))
            };
            if let Some(a) = e.args.iter().find(|a| a.index() >= v.index()) {
                return bad(format!("operand {} is not defined before it", a.index()));
            }
            if e.op.is_input() {
                inputs += 1;
                if e.ty.tensor().is_none() || !e.args.is_empty() {
                    return bad("expected an input to be an array without operands".into());
                }
                continue;
            }
            for callee in e.op.callees() {
                depth = depth.max(callee.0.call_depth() + 1);
            }
            types.clear();
            types.extend(e.args.iter().map(|a| self.ty(*a)));
            match e.op.infer(&types) {
                Ok(ty) if ty == e.ty => {}
                Ok(ty) => return bad(format!("expected the type {ty}, found {}", e.ty)),
                Err(error) => {
                    let operands: Vec<String> = types.iter().map(|t| t.to_string()).collect();
                    return Err(GraphError::Op {
                        op: e.op.name().to_owned(),
                        operands: operands.join(", "),
                        error,
                        location: e.location,
                    });
                }
            }
        }
        let other = |message: &str| Err(GraphError::other(message, None));
        if inputs != self.inputs().len() {
            return other("the list of inputs does not match the equations");
        }
        for (i, (name, v)) in self.inputs().iter().enumerate() {
            if !self
                .equations()
                .get(v.index())
                .is_some_and(|e| e.op.is_input())
            {
                return other("an input in the list is not an input equation");
            }
            if i > 0 && self.inputs()[i - 1].1 >= *v {
                return other("the inputs are not in the order of their equations");
            }
            if crate::text::identifier(name) != **name || crate::text::is_reserved(name) {
                return other("the name of an input is not an identifier");
            }
        }
        for o in self.outputs() {
            if self
                .equations()
                .get(o.index())
                .is_none_or(|e| e.ty.tensor().is_none())
            {
                return other("an output is not an array of this graph");
            }
        }
        if depth != self.call_depth() {
            return other("the recorded depth of calls is wrong");
        }
        Ok(())
    }
}
