//! Replaces operations by cheaper equal ones.

use cotangent_array::{DType, Scalar};
use cotangent_graph::{Builder, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use super::rewrite::rewrite;
pub use super::rules::RULES;
use crate::CompileError;

/// A rule of the simplifier: an operation is replaced by another, or by one of its operands.
///
/// Rules hold bit for bit unless their reason says otherwise, signed zeros, infinities and NaN
/// included (which NaN apart).
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What is replaced by what.
    pub name: &'static str,
    /// Why that is right.
    pub reason: &'static str,
    /// Matches an operation.
    pub apply: fn(&mut Site<'_>) -> Option<Better>,
}

/// What a rule puts in place of an operation.
#[derive(Debug)]
pub enum Better {
    /// A variable that is there.
    Var(Var),
    /// Another operation, which the rules then look at in turn.
    Op(Op, SmallVec<[Var; 3]>),
}

/// The operation that a rule looks at.
#[derive(Debug)]
pub struct Site<'a> {
    /// The graph being built.
    pub b: &'a mut Builder,
    /// The operation.
    pub op: Op,
    /// Its operands, in the graph being built.
    pub args: SmallVec<[Var; 3]>,
    /// Its type.
    pub ty: TensorType,
}

/// Rules lead to cheaper operations, so chains of them are short; this only guards against a pair
/// that undo each other.
const MAX_STEPS: usize = 16;

/// Walks over the graph and tries all rules at each operation, until none applies.
pub(super) fn run(graph: &Graph) -> Result<Graph, CompileError> {
    rewrite(graph, |b, e, args| {
        let ty = e.ty.tensor()?;
        if e.op.is_constant() || matches!(e.op, Op::Call(_) | Op::Region(_) | Op::Get(_)) {
            return None;
        }
        let args = SmallVec::from_slice(args);
        let mut site = Site {
            b,
            op: e.op.clone(),
            args,
            ty: ty.clone(),
        };
        let mut changed = false;
        for _ in 0..MAX_STEPS {
            match RULES.iter().find_map(|rule| (rule.apply)(&mut site)) {
                None => break,
                Some(Better::Var(var)) => return Some(var),
                Some(Better::Op(op, args)) => {
                    (site.op, site.args) = (op, args);
                    changed = true;
                }
            }
        }
        changed.then(|| site.b.push(site.op, &site.args))
    })
}

impl Site<'_> {
    /// The operation that defines an operand, with its own operands.
    pub(super) fn inner(&self, operand: usize) -> Option<(&Op, &[Var])> {
        let var = self.args.get(operand)?;
        let e = self.b.graph().equations().get(var.index())?;
        Some((&e.op, &e.args))
    }

    /// The number that an operand is everywhere.
    pub(super) fn number(&self, operand: usize) -> Option<Scalar> {
        self.b.graph().splat(*self.args.get(operand)?)
    }

    /// The other operand where one of two is this number everywhere.
    pub(super) fn beside(&self, number: Scalar) -> Option<Better> {
        let [x, y] = self.args[..] else { return None };
        if self.number(1) == Some(number) {
            Some(Better::Var(x))
        } else if self.number(0) == Some(number) {
            Some(Better::Var(y))
        } else {
            None
        }
    }

    /// The dtype of the result.
    pub(super) fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// A number of the result's dtype.
    pub(super) fn scalar(&self, x: f64) -> Scalar {
        Scalar::from_f64(self.ty.dtype, x)
    }

    /// A number everywhere in the result's shape.
    pub(super) fn everywhere(&self, value: Scalar) -> Option<Better> {
        Some(Better::Op(
            Op::Full(value, self.ty.shape.clone()),
            SmallVec::new(),
        ))
    }
}

impl Better {
    /// Another operation.
    pub(super) fn op(op: impl Into<Op>, args: &[Var]) -> Option<Better> {
        Some(Better::Op(op.into(), SmallVec::from_slice(args)))
    }
}
