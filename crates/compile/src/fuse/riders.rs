//! Which operations run in the region of the one that reads them.

use cotangent_array::DType;
use cotangent_graph::ops::{ArrayOp, Binary, Ternary, Unary};
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use super::pattern::{Patterns, is_view};
use super::{anew, growing};

/// Which operations run with those that read them.
pub(super) struct Riders {
    /// For each variable whether its operation does.
    pub(super) rides: Vec<bool>,
    /// Whether it runs anew in the region of every one of its readers.
    pub(super) anew: Vec<bool>,
}

pub(super) fn riders(graph: &Graph, roots: &[Var], patterns: &Patterns, fma: bool) -> Riders {
    let reads = Reads::of(graph, roots);
    let rides = if fma {
        contracted(graph, roots, &reads)
    } else {
        vec![false; roots.len()]
    };
    let contracted = fma.then(|| rides.clone());
    let contracted = contracted.as_deref();
    let anew = anew::of(graph, &reads.count, contracted);
    let mut riders = Riders { rides, anew };
    growing::grow(
        graph,
        roots,
        patterns,
        &reads.count,
        contracted,
        &mut riders,
    );
    late(graph, roots, &reads, &riders.anew, &mut riders.rides);
    for (rides, anew) in riders.rides.iter_mut().zip(&riders.anew) {
        *rides |= anew;
    }
    riders
}

/// Who reads the memory of each variable, views aside.
struct Reads {
    count: Vec<u32>,
    /// The last two readers; outputs of the graph are read at its end.
    last: Vec<[usize; 2]>,
}

impl Reads {
    fn of(graph: &Graph, roots: &[Var]) -> Reads {
        let mut reads = Reads {
            count: vec![0; roots.len()],
            last: vec![[0; 2]; roots.len()],
        };
        let mut read = |v: Var, by: usize| {
            let root = roots[v.index()].index();
            reads.count[root] = reads.count[root].saturating_add(1);
            if reads.last[root][0] != by {
                reads.last[root] = [by, reads.last[root][0]];
            }
        };
        for (v, e) in graph.iter().filter(|(_, e)| !is_view(graph, e)) {
            e.args.iter().for_each(|a| read(*a, v.index()));
        }
        let outputs = graph.outputs().iter();
        outputs.for_each(|v| read(*v, roots.len()));
        reads
    }
}

/// Products of floats that nothing but one sum or difference reads: they are rounded with it. Of two
/// such terms of a sum the first is rounded by itself.
fn contracted(graph: &Graph, roots: &[Var], reads: &Reads) -> Vec<bool> {
    let mut contracted = vec![false; roots.len()];
    for e in graph.equations().iter().filter(|e| !is_view(graph, e)) {
        let float = e.ty.tensor().is_some_and(|t| t.dtype.is_float());
        if !float || !matches!(e.op, Op::Binary(Binary::Add | Binary::Sub)) {
            continue;
        }
        let product = |v: &Var| {
            reads.count[v.index()] == 1 && matches!(graph.equation(*v).op, Op::Binary(Binary::Mul))
        };
        let mut terms = e.args.iter().rev().map(|a| roots[a.index()]);
        if let Some(v) = terms.find(product) {
            contracted[v.index()] = true;
        }
    }
    contracted
}

/// Adds results that are read once, much later, and can be had by a few cheap operations from what is
/// still stored then: the slope `1 - y * y` of a `tanh`, which the way back reads, from `y`, which it
/// reads anyway.
fn late(graph: &Graph, roots: &[Var], reads: &Reads, anew: &[bool], rides: &mut [bool]) {
    for (reader, e) in graph.iter() {
        // Numbers are not stored anyway: tapes order them as they are read.
        let many = |t: &&TensorType| t.dtype.is_float() && t.shape.elements() > 1;
        let floats = e.ty.tensor().filter(many);
        let Some(ty) = floats.filter(|_| e.op.is_pointwise()) else {
            continue;
        };
        for a in &e.args {
            let top = roots[a.index()];
            let mut chain: SmallVec<[Var; 8]> = SmallVec::new();
            let mut work: SmallVec<[Var; 8]> = SmallVec::new();
            work.push(top);
            let mut found = true;
            while let Some(v) = work.pop() {
                let e = graph.equation(v);
                let beside = |v: Var| graph.ty(v).tensor().is_some_and(|t| fits(t, ty));
                let cheap = (is_cheap(&e.op) || is_mask(&e.op))
                    && reads.count[v.index()] == 1
                    && beside(v)
                    && e.args.iter().all(|a| beside(*a))
                    && chain.len() < LONGEST;
                if cheap {
                    chain.push(v);
                    work.extend(e.args.iter().map(|a| roots[a.index()]));
                } else if !(v != top
                    && (anew[v.index()]
                        || is_small(graph, v, ty)
                        || still_there(graph, reads, v, top, reader)))
                {
                    found = false;
                    break;
                }
            }
            if found {
                chain.iter().for_each(|v| rides[v.index()] = true);
            }
        }
    }
}

/// Whether elements of one type stand beside those of another in the lanes of a region.
pub(super) fn fits(one: &TensorType, other: &TensorType) -> bool {
    let lanes = match other.dtype {
        DType::F32 => matches!(one.dtype, DType::F32 | DType::I32 | DType::Bool),
        DType::F64 => matches!(one.dtype, DType::F64 | DType::I64 | DType::Bool),
        dtype => one.dtype == dtype,
    };
    lanes && one.shape == other.shape
}

/// Whether a variable has so few elements, beside those of a type, that it is as good as there to the end.
fn is_small(graph: &Graph, v: Var, beside: &TensorType) -> bool {
    let e = graph.equation(v);
    // A broadcast is read as what it repeats.
    let source = match (&e.op, e.args.first()) {
        (Op::Array(ArrayOp::Broadcast(_)), Some(source)) => *source,
        _ => v,
    };
    let elements = graph.ty(source).tensor().map(|t| t.shape.elements());
    elements.is_some_and(|n| n.saturating_mul(SMALL) <= beside.shape.elements())
}

/// How many times fewer elements are few.
const SMALL: usize = 16;

/// Whether a variable is read by another operation about when `reader` runs, rather than about when
/// `top` would.
fn still_there(graph: &Graph, reads: &Reads, v: Var, top: Var, reader: Var) -> bool {
    let op = &graph.equation(source_of(graph, v)).op;
    if op.is_input() || op.is_constant() {
        return true;
    }
    let near = |by: usize| by > top.index() && by.abs_diff(reader.index()) < by - top.index();
    reads.last[v.index()].iter().any(|by| near(*by))
}

/// What regions read for a variable: of a part, or of one with numbers around it, the whole.
fn source_of(graph: &Graph, mut v: Var) -> Var {
    for _ in 0..LONGEST {
        let e = graph.equation(v);
        match (&e.op, e.args.first()) {
            (Op::Array(ArrayOp::Slice(_) | ArrayOp::Pad(_)), Some(x)) => v = *x,
            _ => break,
        }
    }
    v
}

/// The most operations that run late for one reader.
const LONGEST: usize = 16;

/// Whether computing a result by arithmetic costs less than storing it and reading it.
pub(crate) fn is_cheap(op: &Op) -> bool {
    match op {
        Op::Unary(op) => matches!(op, Unary::Neg | Unary::Abs),
        Op::Binary(op) => matches!(
            op,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Maximum | Binary::Minimum
        ),
        _ => false,
    }
}

/// Whether an operation says where something is, or takes it from there, which costs no more.
fn is_mask(op: &Op) -> bool {
    matches!(op, Op::Compare(_) | Op::Ternary(Ternary::Select))
}

/// For each variable whether it is a slice that is stored, although its readers could read it inside
/// what it is cut from: all that is much larger, and would wait for one that comes much later.
pub(super) fn cut_out(graph: &Graph, roots: &[Var]) -> Vec<bool> {
    let mut cut = vec![false; roots.len()];
    let slices = |(_, e): &(Var, &Equation)| matches!(e.op, Op::Array(ArrayOp::Slice(_)));
    if !graph.iter().any(|e| slices(&e)) {
        return cut;
    }
    let reads = Reads::of(graph, roots);
    for (v, e) in graph.iter().filter(slices) {
        let (Some(part), Some(source)) = (e.ty.tensor(), e.args.first()) else {
            continue;
        };
        let source = roots[source.index()];
        let op = &graph.equation(source).op;
        let there = op.is_input() || op.is_constant() || graph.outputs().contains(&source);
        let whole = graph.ty(source).tensor().map_or(0, TensorType::bytes);
        let saved = whole.saturating_sub(part.bytes());
        let last = reads.last[v.index()][0];
        let waits = last < roots.len() && last - v.index() >= LATE && {
            // Whatever else reads all of it has done so long before.
            let by = reads.last[source.index()].iter().max().copied();
            by.is_some_and(|by| by < last - LATE / 2)
        };
        cut[v.index()] = !there && waits && saved >= part.bytes().max(LARGE);
    }
    cut
}

/// So many operations later is much later.
const LATE: usize = 48;

/// What takes less memory than this need not be cut.
const LARGE: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use crate::{Plan, StepOp, Target, compile};

    /// Whether a part of a large array is stored that is read after so many products of matrices.
    fn stored(products: usize, read: &str) -> (bool, Plan) {
        let chain: String = (0..products)
            .map(|k| format!("let m{} = m{k} @ m{k};", k + 1))
            .collect();
        let text = format!(
            "fn f(x: f32[256, 256], m0: f32[64, 64]) -> f32[64, 64] {{
                let y = exp(x @ x);
                let part = y[0:64, 0:64];
                let other = sum(y) + m0;
                let m1 = m0 @ other;
                {}
                {read}
            }}",
            chain.replacen("let m1 = m0 @ m0;", "", 1)
        );
        let plan = compile(parse(&text).unwrap().entry(), &Target::plain()).unwrap();
        plan.check().unwrap();
        let slice = |s: &crate::Step| matches!(&s.op, StepOp::Op(op) if op.name() == "slice");
        (plan.steps.iter().any(slice), plan)
    }

    #[test]
    fn a_part_that_is_read_much_later_is_cut_out() {
        let (late, plan) = stored(90, "sin(part) + m90");
        assert!(late, "{plan}");
        let (soon, plan) = stored(4, "sin(part) + m4");
        assert!(!soon, "{plan}");
        // What is there to the end need not be cut.
        let (there, plan) = stored(90, "sin(part) + m90 + sum(cos(y))");
        assert!(!there, "{plan}");
    }

    #[test]
    fn masks_of_other_lanes_stay_where_they_are() {
        for (x, y) in [
            ("f32", "f64"),
            ("f64", "f32"),
            ("i64", "f32"),
            ("i32", "f32"),
        ] {
            let text = format!(
                "fn f(t: {x}[40, 30], a: {y}[40, 30]) -> {y}[40, 30] {{
                    let mask = t <= 1;
                    let y = exp(a);
                    select(mask, y / broadcast(sum(y, axes=[1]), shape=[40, 30], dims=[0]), 0.0)
                }}"
            );
            let text = if x.starts_with('f') {
                text.replace("t <= 1", "t <= 1.0")
            } else {
                text
            };
            let plan = compile(parse(&text).unwrap().entry(), &Target::plain()).unwrap();
            assert_eq!(plan.check(), Ok(()), "{plan}");
        }
    }
}
