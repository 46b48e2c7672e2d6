//! Functions with a derivative of their author's own.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Builder, Callee, Graph, GraphError, TensorType, Type, TypeError, type_error};

/// A function with a rule for its derivative, which replaces the derivative of its operations.
///
/// Operands and results are those of `call`, which is the meaning. The rule for one mode serves both:
/// the other one transposes it, so it must be linear in tangents or cotangents. It is a graph like
/// any other and is differentiated itself for higher orders.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Custom {
    /// The function.
    pub call: Callee,
    /// Its derivative. Inputs: those of `call`, then its outputs, then what `kind` says.
    pub rule: Callee,
    /// What the rule takes and gives.
    pub kind: RuleKind,
}

/// What the rule of a [`Custom`] function takes and gives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleKind {
    /// Takes a tangent for each differentiable input, gives one for each differentiable output; linear.
    Jvp,
    /// Takes a cotangent for each differentiable output, gives one for each differentiable input; linear.
    Vjp,
    /// As `Vjp`, but it need not be linear; so there is no forward mode.
    Backward,
    /// The rule is the function itself: its derivative is that of its operations, and of their values
    /// reverse mode keeps the function's operands and its [named](Custom::named) values alone, and
    /// computes the others again.
    Checkpoint,
}

/// A linear map of which only the transpose is known: what forward mode makes of a [`Custom`]
/// function with [`RuleKind::Backward`]. It cannot be run; reverse mode transposes it away.
///
/// Operands: `known` values, then tangents, one for each output of the rule. Results: a tangent for
/// each input of the rule behind the known ones.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pullback {
    /// The transpose: takes the known values and cotangents of the results, gives cotangents of the
    /// tangents.
    pub rule: Callee,
    /// How many operands are values.
    pub known: usize,
}

impl RuleKind {
    /// Every kind.
    pub const ALL: [RuleKind; 4] = [
        RuleKind::Jvp,
        RuleKind::Vjp,
        RuleKind::Backward,
        RuleKind::Checkpoint,
    ];

    /// The name of the attribute that holds such a rule.
    pub fn name(self) -> &'static str {
        match self {
            RuleKind::Jvp => "jvp",
            RuleKind::Vjp => "vjp",
            RuleKind::Backward => "backward",
            RuleKind::Checkpoint => "checkpoint",
        }
    }

    /// The types of what a rule of this kind takes and gives for a function.
    pub fn rule_types(self, call: &Graph) -> (Vec<TensorType>, Vec<TensorType>) {
        let (inputs, outputs) = (call.input_types(), call.output_types());
        let floats = |types: &[TensorType]| -> Vec<TensorType> {
            let floats = types.iter().filter(|t| t.dtype.is_inexact());
            floats.cloned().collect()
        };
        let (from, to) = match self {
            RuleKind::Jvp => (floats(&inputs), floats(&outputs)),
            RuleKind::Vjp | RuleKind::Backward => (floats(&outputs), floats(&inputs)),
            RuleKind::Checkpoint => return (inputs, outputs),
        };
        ([inputs, outputs, from].concat(), to)
    }
}

impl Custom {
    pub(crate) fn from_callees(callees: &mut HashMap<String, Callee>) -> Result<Custom, TypeError> {
        let Some(call) = callees.remove("f") else {
            type_error!("missing attribute `f`: expected the name of a function");
        };
        let mut rules = RuleKind::ALL
            .into_iter()
            .filter_map(|kind| callees.remove(kind.name()).map(|rule| (kind, rule)));
        match (rules.next(), rules.next()) {
            (Some((kind, rule)), None) => Ok(Custom { call, rule, kind }),
            _ => type_error!(
                "expected one attribute of `jvp`, `vjp`, `backward` and `checkpoint`: the name of a function"
            ),
        }
    }

    /// A function whose values reverse mode computes again.
    pub fn checkpoint(call: Callee) -> Custom {
        Custom {
            rule: call.clone(),
            call,
            kind: RuleKind::Checkpoint,
        }
    }

    /// A value with a name: the identity, by which a checkpoint around it finds what it is to keep.
    pub fn named(name: &str, ty: TensorType) -> Result<Custom, GraphError> {
        let mut b = Builder::new(name);
        let x = b.input("x", ty);
        let call = b.finish(&[x])?;
        Ok(Custom::checkpoint(Callee(Arc::new(call))))
    }

    /// The name, where this gives a value a name and does nothing else.
    pub fn name(&self) -> Option<&str> {
        let graph = &self.call.0;
        let same = matches!(
            (graph.inputs(), graph.outputs()),
            ([(_, input)], [output]) if input == output
        );
        (self.kind == RuleKind::Checkpoint && same).then(|| graph.name())
    }

    pub(crate) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        expect(
            "f",
            "input",
            &self.call.0.input_types(),
            args.iter().copied(),
        )?;
        let (takes, gives) = self.kind.rule_types(&self.call.0);
        let (inputs, outputs) = (self.rule.0.input_types(), self.rule.0.output_types());
        expect(self.kind.name(), "input", &takes, inputs.iter())?;
        expect(self.kind.name(), "result", &gives, outputs.iter())?;
        Ok(self.call.0.result_type())
    }
}

impl Pullback {
    pub(crate) fn operand_type(&self, position: usize) -> Option<TensorType> {
        match position.checked_sub(self.known) {
            None => self.rule.0.input_types().get(position).cloned(),
            Some(tangent) => self.rule.0.output_types().get(tangent).cloned(),
        }
    }

    pub(crate) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        let mut results = self.rule.0.input_types();
        if self.known > results.len() {
            type_error!(
                "expected a rule of {} inputs or more, found {}",
                self.known,
                results.len()
            );
        }
        let tangents = results.split_off(self.known);
        let takes = [results, self.rule.0.output_types()].concat();
        expect("rule", "operand", &takes, args.iter().copied())?;
        Ok(super::region::tuple(tangents))
    }
}

fn expect<'a>(
    what: &str,
    part: &str,
    want: &[TensorType],
    found: impl ExactSizeIterator<Item = &'a TensorType>,
) -> Result<(), TypeError> {
    if want.len() != found.len() {
        type_error!(
            "expected `{what}` to have {} {part}s, found {}",
            want.len(),
            found.len()
        );
    }
    for (i, (want, found)) in want.iter().zip(found).enumerate() {
        if want != found {
            type_error!("expected {part} {i} of `{what}` to be {want}, found {found}");
        }
    }
    Ok(())
}
