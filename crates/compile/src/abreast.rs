//! Joins chains that do not wait for one another.
//!
//! A running sum or product of one lane is a chain: each element waits for the one before, and the machine
//! could do several times as much meanwhile. So chains of about one length that stand near each other
//! become one step, which takes them element by element side by side. Each does what it would do by
//! itself, so no bit depends on it. What stands between them and needs nothing of them runs before, what
//! needs their results behind.

use std::collections::VecDeque;

use cotangent_array::DType;
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{FastMap, Op, TensorType};
use smallvec::SmallVec;

use crate::plan::{Key, Operand, Place, Step, StepOp, key};

/// The most chains of a step; the machine does no more of them in the same time.
pub(crate) const MOST: usize = 4;
/// The fewest elements of a chain.
const SHORTEST: usize = 16;
/// The most steps between two chains; what was computed before them waits in memory.
const WINDOW: usize = 12;

/// Puts joined steps in the place of chains.
pub(crate) fn join(steps: Vec<Step>) -> Vec<Step> {
    if steps.iter().filter(|s| Chain::of(s).is_some()).count() < 2 {
        return steps;
    }
    let mut joined = Vec::with_capacity(steps.len());
    let mut left: VecDeque<Step> = steps.into();
    while let Some(step) = left.pop_front() {
        let Some(passed) = Chain::of(&step).and_then(|chain| partners(&step, chain, &left)) else {
            joined.push(step);
            continue;
        };
        let (mut chains, mut late) = (vec![step], Vec::new());
        for (step, passed) in left.drain(..passed.len()).zip(passed) {
            match passed {
                Passed::Joined => chains.push(step),
                Passed::Before => joined.push(step),
                Passed::Behind => late.push(step),
            }
        }
        joined.extend(abreast(chains));
        late.into_iter().rev().for_each(|s| left.push_front(s));
    }
    joined
}

/// The operations of a step, each with its operands and its result.
fn parts<'a>(
    ops: &'a [ArrayOp],
    step: &'a Step,
) -> impl Iterator<Item = (&'a ArrayOp, &'a [Operand], &'a Operand)> {
    let mut rest = &step.args[..];
    ops.iter().zip(&step.outs).map(move |(op, out)| {
        let count = match op {
            ArrayOp::Recurrence(_) => 2,
            _ => 1,
        };
        let (own, behind) = rest.split_at(count.min(rest.len()));
        rest = behind;
        (op, own, out)
    })
}

/// Operations of one run, in units of one addition.
pub(crate) fn cost(ops: &[ArrayOp], step: &Step) -> u64 {
    let each = parts(ops, step).map(|(op, args, out)| {
        let types: SmallVec<[&TensorType; 2]> = args.iter().map(|a| &*a.ty).collect();
        op.cost(&types, &out.ty)
    });
    each.fold(0, u64::saturating_add)
}

/// Checks that the operations of a step are chains, and that operands and results are theirs.
pub(crate) fn check(ops: &[ArrayOp], step: &Step) -> Result<(), String> {
    let mut read = 0;
    for (op, args, out) in parts(ops, step) {
        read += args.len();
        if Chain::of_operation(op, args, out).is_none() {
            return Err("expected chains of one lane, of arrays".into());
        }
        let types: SmallVec<[&TensorType; 2]> = args.iter().map(|a| &*a.ty).collect();
        if !op.arity().allows(types.len()) {
            return Err("an operation has not all of its operands".into());
        }
        match op.infer(&types) {
            Ok(ty) if ty == *out.ty => {}
            Ok(ty) => return Err(format!("expected the result {ty}, found {}", out.ty)),
            Err(e) => return Err(e.to_string()),
        }
    }
    let whole = ops.len() == step.outs.len() && read == step.args.len();
    match whole && (2..=MOST).contains(&ops.len()) {
        true => Ok(()),
        false => Err("operands and results are not those of a few operations".into()),
    }
}

/// What chains have in common that are joined.
#[derive(Clone, Copy)]
struct Chain {
    dtype: DType,
    length: usize,
}

impl Chain {
    fn of(step: &Step) -> Option<Chain> {
        let (StepOp::Op(Op::Array(op)), [out]) = (&step.op, &step.outs[..]) else {
            return None;
        };
        let chain = Chain::of_operation(op, &step.args, out)?;
        // What runs again must not run early, or it would have to be kept until then.
        (!step.again && chain.length >= SHORTEST).then_some(chain)
    }

    fn of_operation(op: &ArrayOp, args: &[Operand], out: &Operand) -> Option<Chain> {
        let axis = match op {
            ArrayOp::CumSum(op) => op.axis,
            ArrayOp::CumProd(op) => op.axis,
            ArrayOp::Recurrence(op) => op.axis,
            _ => return None,
        };
        let TensorType { dtype, shape } = &*out.ty;
        let length = shape.get(axis).copied()?;
        let stored = !args.iter().any(|a| matches!(a.place, Place::Splat(_)));
        let chain = stored && dtype.is_float() && shape.elements() == length;
        let dtype = *dtype;
        chain.then_some(Chain { dtype, length })
    }

    /// Whether most of the longer one runs beside the other.
    fn fits(self, other: Chain) -> bool {
        let (short, long) = (self.length.min(other.length), self.length.max(other.length));
        self.dtype == other.dtype && short >= long / 2
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Passed {
    Joined,
    Before,
    Behind,
}

/// Where the steps behind a chain are, up to the last one that is joined with it.
fn partners(first: &Step, chain: Chain, left: &VecDeque<Step>) -> Option<Vec<Passed>> {
    let mut passed: Vec<Passed> = Vec::new();
    let (mut last, mut count) = (0, 1);
    // What is known only when the chains have run.
    let mut late: FastMap<Key, ()> = FastMap::default();
    let write = |step: &Step, late: &mut FastMap<Key, ()>| {
        let outs = step.outs.iter().filter_map(|o| key(o.place));
        late.extend(outs.map(|key| (key, ())));
    };
    write(first, &mut late);
    for (k, step) in left.iter().enumerate() {
        let single = matches!(
            step.op,
            StepOp::Call(_) | StepOp::Flow(_) | StepOp::Native(_)
        );
        if single || k - last > WINDOW || count >= MOST {
            break;
        }
        let waits = (step.args.iter()).any(|a| key(a.place).is_some_and(|k| late.contains_key(&k)));
        let joins = !waits && Chain::of(step).is_some_and(|other| chain.fits(other));
        if waits || joins {
            write(step, &mut late);
        }
        passed.push(match (joins, waits) {
            (true, _) => Passed::Joined,
            (_, true) => Passed::Behind,
            _ => Passed::Before,
        });
        if joins {
            (last, count) = (k + 1, count + 1);
        }
    }
    passed.truncate(last);
    (count > 1).then_some(passed)
}

/// The step that does what these do.
fn abreast(chains: Vec<Step>) -> Option<Step> {
    let location = chains.first()?.location;
    let mut ops = Vec::with_capacity(chains.len());
    let (mut args, mut outs) = (SmallVec::new(), SmallVec::new());
    for step in chains {
        if let StepOp::Op(Op::Array(op)) = step.op {
            ops.push(op);
            args.extend(step.args);
            outs.extend(step.outs);
        }
    }
    Some(Step {
        op: StepOp::Abreast(ops.into()),
        args,
        outs,
        scratch: 0..0,
        location,
        again: false,
    })
}
