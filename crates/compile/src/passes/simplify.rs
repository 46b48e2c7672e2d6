//! Replaces operations by cheaper equal ones.

use std::borrow::Cow;

use cotangent_array::{DType, Scalar};
use cotangent_graph::{Builder, Equation, Graph, Op, TensorType, Type, Var};
use smallvec::SmallVec;

use super::fold::fold;
use super::rewrite::rewrite;
pub use super::rules::RULES;
use super::rules::rules_for;
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
    pub apply: fn(&Site<'_>) -> Option<Better>,
}

/// What a rule puts in place of an operation.
#[derive(Debug)]
pub enum Better {
    /// A variable that is there.
    Var(Var),
    /// Another operation, which the rules then look at in turn.
    Op(Op, SmallVec<[Var; 3]>),
    /// The same with a number everywhere before or behind the operands.
    WithNumber(Op, Var, Side, Scalar),
    /// Several operations in place of one of this type; the rules look no further at them.
    Several(fn(&mut Builder, &Op, &[Var], &TensorType) -> Option<Var>),
}

/// Where a number stands beside a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The number is the first operand.
    Left,
    /// The number is the second operand.
    Right,
}

/// The operation that a rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The graph that the operands are of.
    pub graph: &'a Graph,
    /// The operation.
    pub op: &'a Op,
    /// Its operands.
    pub args: &'a [Var],
    /// Its type.
    pub ty: &'a TensorType,
    /// Whether nothing else reads the first operand.
    pub only_use: bool,
}

/// Rules lead to cheaper operations, so chains of them are short; this only guards against a pair
/// that undo each other.
const MAX_STEPS: usize = 16;

/// Walks over the graph, computes operations on constants, and tries all rules at each other operation,
/// until none applies.
pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let mut uses = vec![0_u32; graph.equations().len()];
    for v in graph
        .equations()
        .iter()
        .flat_map(|e| &e.args)
        .chain(graph.outputs())
    {
        uses[v.index()] = uses[v.index()].saturating_add(1);
    }
    let only_use = |e: &Equation| e.args.first().is_some_and(|a| uses[a.index()] == 1);
    // Rules are many and builders are slow, so first see where there is anything to do.
    let applies = |e: &Equation| {
        let site = site(graph, &e.op, &e.args, &e.ty, only_use(e));
        fold(graph, &e.op, &e.args, &e.ty).is_some()
            || site.is_some_and(|site| better(&site).is_some())
    };
    let Some(first) = graph.equations().iter().position(applies) else {
        return Ok(None);
    };
    rewrite(graph, |b, v, e, args| {
        // Before it all stays as it is.
        if v.index() < first {
            return None;
        }
        // Rules before may have made the operands constants, which folding came too early for.
        if let Some(value) = fold(b.graph(), &e.op, args, &e.ty) {
            return Some(b.push(value, &[]));
        }
        let (mut op, mut args) = (Cow::Borrowed(&e.op), SmallVec::<[Var; 3]>::from_slice(args));
        let mut only_use = only_use(e);
        let mut changed = false;
        for _ in 0..MAX_STEPS {
            let site = site(b.graph(), &op, &args, &e.ty, only_use);
            match site.and_then(|site| better(&site)) {
                None => break,
                Some(Better::Var(var)) => return Some(var),
                Some(Better::Several(build)) => {
                    return e.ty.tensor().and_then(|ty| build(b, &op, &args, ty));
                }
                Some(Better::Op(new, operands)) => (op, args) = (Cow::Owned(new), operands),
                Some(Better::WithNumber(new, var, side, number)) => {
                    let number = b.full(number, b.shape(var));
                    op = Cow::Owned(new);
                    args = match side {
                        Side::Left => SmallVec::from_slice(&[number, var]),
                        Side::Right => SmallVec::from_slice(&[var, number]),
                    };
                }
            }
            changed = true;
            // The rule may have left an operation on constants.
            if let Some(value) = fold(b.graph(), &op, &args, &e.ty) {
                return Some(b.push(value, &[]));
            }
            // Uses were counted for the operands as they were.
            only_use = false;
        }
        changed.then(|| b.push(op.into_owned(), &args))
    })
    .map(Some)
}

/// What the first rule that applies puts in place of the operation.
fn better(site: &Site<'_>) -> Option<Better> {
    rules_for(site.op)
        .iter()
        .find_map(|rule| (rule.apply)(site))
}

/// The operation as rules see it; `None` for those that no rule is about.
fn site<'a>(
    graph: &'a Graph,
    op: &'a Op,
    args: &'a [Var],
    ty: &'a Type,
    only_use: bool,
) -> Option<Site<'a>> {
    if op.is_constant()
        || matches!(
            op,
            Op::Input | Op::Call(_) | Op::Region(_) | Op::Native(_) | Op::Get(_)
        )
    {
        return None;
    }
    Some(Site {
        graph,
        op,
        args,
        ty: ty.tensor()?,
        only_use,
    })
}

impl Site<'_> {
    /// The operation that defines an operand, with its own operands.
    pub(super) fn inner(&self, operand: usize) -> Option<(&Op, &[Var])> {
        let var = self.args.get(operand)?;
        let e = self.graph.equations().get(var.index())?;
        Some((&e.op, &e.args))
    }

    /// The number that an operand is everywhere.
    pub(super) fn number(&self, operand: usize) -> Option<Scalar> {
        self.graph.splat(*self.args.get(operand)?)
    }

    /// The other operand where one of two is this number everywhere.
    pub(super) fn beside(&self, number: Scalar) -> Option<Better> {
        let &[x, y] = self.args else { return None };
        if self.number(1) == Some(number) {
            Some(Better::Var(x))
        } else if self.number(0) == Some(number) {
            Some(Better::Var(y))
        } else {
            None
        }
    }

    /// The type of an operand; of the result where there is no such operand.
    pub(super) fn operand(&self, operand: usize) -> &TensorType {
        let var = self.args.get(operand);
        var.and_then(|v| self.graph.ty(*v).tensor())
            .unwrap_or(self.ty)
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
