//! Takes arrays of a long first axis and short other ones apart into columns.
//!
//! What is written for one small thing and batched over many of them (`vmap` of a function of 15
//! numbers) works on arrays `[many, few]`. Operations that mix along the short axes (slices, pads,
//! concatenations, sums, small products, broadcasts) then cost a walk over memory each. As columns
//! `[many]` they are names for what is there, everything between inputs and results is pointwise, and
//! one region computes it. Columns that are zero wherever derivatives put zeros vanish.
//!
//! Operations that are connected are taken apart together, where what is saved is clearly more than
//! what it costs to read and write columns at the border.

mod build;
mod shape;

use cotangent_array::DType;
use cotangent_graph::ops::{ArrayOp, Binary};
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};

use self::shape::{columns, moved, places};
use super::{cse, simplify};
use crate::CompileError;

/// The fewest places for which columns are worth their while.
const FEW_PLACES: usize = 64;
/// The most columns of one array.
const MAX_COLUMNS: usize = 48;
/// The most products in one column-wise product of arrays.
const MAX_PRODUCTS: usize = 128;
/// The most operations that one operation becomes on average.
const MAX_GROWTH: usize = 12;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let Some(chosen) = choose(graph) else {
        return Ok(None);
    };
    let mut graph = build::build(graph, &chosen)?;
    for pass in [simplify::run, cse::run] {
        if let Some(better) = pass(&graph)? {
            graph = better;
        }
    }
    Ok(Some(graph))
}

/// How an operation goes on columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Column by column.
    Pointwise,
    /// Its columns are columns of operands.
    Move,
    /// A sum, product or extreme along short axes.
    Reduce,
    /// Small products, one for each place.
    Dot,
    /// Rows of a table.
    Gather,
}

/// How an operation could go on columns; `None` where it cannot.
fn kind(graph: &Graph, e: &Equation) -> Option<Kind> {
    let ty = e.ty.tensor()?;
    let fits = |t: &TensorType| {
        matches!(t.dtype, DType::F64 | DType::I64 | DType::Bool) && columns(t) <= MAX_COLUMNS
    };
    let p = places(ty).filter(|p| *p >= FEW_PLACES)?;
    if !fits(ty) {
        return None;
    }
    let types: Vec<&TensorType> = e
        .args
        .iter()
        .map(|a| graph.ty(*a).tensor())
        .collect::<Option<_>>()?;
    let inside = |t: &TensorType| fits(t) && places(t) == Some(p);
    match &e.op {
        op if op.is_pointwise() && !types.is_empty() => {
            types.iter().all(|t| inside(t)).then_some(Kind::Pointwise)
        }
        Op::Array(ArrayOp::Dot(op)) => {
            let first = (op.batch.0.first(), op.batch.1.first()) == (Some(&0), Some(&0));
            let floats = ty.dtype == DType::F64 && types.iter().all(|t| inside(t));
            let terms = op.contract.0.iter().map(|a| types[0].dim(*a));
            let products = terms.fold(columns(ty), |n, d| n.saturating_mul(d));
            (first && floats && products <= MAX_PRODUCTS).then_some(Kind::Dot)
        }
        Op::Array(ArrayOp::Gather(op)) => match types[..] {
            [x, index] => {
                let rows = op.axis == 0 && op.batch == 0 && index.rank() == 1;
                (rows && fits(x) && x.rank() > 0).then_some(Kind::Gather)
            }
            _ => None,
        },
        _ => {
            if let Some((_, axes, x)) = crate::fuse::reduction(e) {
                let x = graph.ty(x).tensor()?;
                let short = !axes.contains(&0) && ty.dtype != DType::Bool && inside(x);
                return short.then_some(Kind::Reduce);
            }
            moved(e, &types, ty).map(|_| Kind::Move)
        }
    }
}

/// The operations that are taken apart, if any are.
fn choose(graph: &Graph) -> Option<Vec<Option<Kind>>> {
    // Where nothing has several columns there is nothing to gain.
    let several = |e: &Equation| {
        let many = |ty: &TensorType| places(ty) >= Some(FEW_PLACES);
        let x = e.args.first().and_then(|x| graph.ty(*x).tensor());
        e.ty.tensor()
            .is_some_and(|ty| many(ty) && (columns(ty) > 1 || x.is_some_and(|x| columns(x) > 1)))
    };
    if !graph.equations().iter().any(several) {
        return None;
    }
    let live = graph.live();
    let mut kinds: Vec<Option<Kind>> = vec![None; graph.equations().len()];
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        kinds[v.index()] = kind(graph, e);
    }
    if kinds.iter().all(Option::is_none) {
        return None;
    }
    let mut parents: Vec<u32> = (0..kinds.len() as u32).collect();
    for (v, e) in graph.iter().filter(|(v, _)| kinds[v.index()].is_some()) {
        for a in &e.args {
            if joins(graph, &kinds, v, *a) {
                let (a, v) = (find(&mut parents, a.index()), find(&mut parents, v.index()));
                // The older one stays, which keeps chains short.
                parents[a.max(v)] = a.min(v) as u32;
            }
        }
    }
    let mut sums: Vec<Account> = vec![Account::default(); kinds.len()];
    let width = |v: Var| graph.ty(v).tensor().map_or(0, columns);
    let mut outside = vec![false; kinds.len()];
    for (v, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
        let root = find(&mut parents, v.index());
        let Some(kind) = kinds[v.index()] else {
            for a in &e.args {
                outside[a.index()] = true;
            }
            continue;
        };
        let own = &mut sums[root];
        let (out, x) = (width(v), e.args.first().map_or(0, |x| width(*x)));
        let view = crate::fuse::is_view(graph, e);
        let mixes = kind != Kind::Pointwise && !view && (out > 1 || x > 1);
        own.operations += 1;
        own.columns += match (kind, &e.op) {
            (Kind::Dot, Op::Array(ArrayOp::Dot(op))) => {
                let x = e.args.first().and_then(|x| graph.ty(*x).tensor());
                let dims = op.contract.0.iter().map(|a| x.map_or(1, |x| x.dim(*a)));
                2 * dims.fold(out, |n, d| n.saturating_mul(d))
            }
            (Kind::Reduce, _) => x,
            (Kind::Move, _) => 0,
            _ => out,
        };
        if mixes {
            own.saved += out + if kind == Kind::Gather { 0 } else { x };
        }
        for a in &e.args {
            // What is read at the border is read column by column.
            if kinds[a.index()].is_none() && width(*a) > 1 && kind != Kind::Gather {
                own.border += width(*a);
            }
        }
    }
    for v in graph.outputs() {
        outside[v.index()] = true;
    }
    for (v, _) in graph.iter().filter(|(v, _)| kinds[v.index()].is_some()) {
        if outside[v.index()] && width(v) > 1 {
            let root = find(&mut parents, v.index());
            sums[root].border += width(v);
        }
    }
    for v in 0..kinds.len() {
        let own = &sums[find(&mut parents, v)];
        if !own.worth() {
            kinds[v] = None;
        }
    }
    kinds.iter().any(Option::is_some).then_some(kinds)
}

/// What is gained and paid for operations that are connected, in columns.
#[derive(Clone, Copy, Default)]
struct Account {
    operations: usize,
    columns: usize,
    saved: usize,
    border: usize,
}

impl Account {
    fn worth(&self) -> bool {
        self.saved > self.border.saturating_mul(2)
            && self.columns <= self.operations.saturating_mul(MAX_GROWTH)
    }
}

/// Whether an operation reads the columns of an operand that is taken apart too.
fn joins(graph: &Graph, kinds: &[Option<Kind>], v: Var, a: Var) -> bool {
    let same = |v: Var| graph.ty(v).tensor().and_then(places);
    kinds[a.index()].is_some() && same(v) == same(a)
}

fn find(parents: &mut [u32], mut v: usize) -> usize {
    while parents[v] as usize != v {
        parents[v] = parents[parents[v] as usize];
        v = parents[v] as usize;
    }
    v
}

/// The operation that joins two columns where one along short axes joins many.
fn joining(e: &Equation) -> Option<Binary> {
    use crate::lane::Fold;
    let (fold, ..) = crate::fuse::reduction(e)?;
    Some(match fold {
        Fold::Sum | Fold::WideSum => Binary::Add,
        Fold::Prod => Binary::Mul,
        Fold::Max => Binary::Maximum,
        Fold::Min => Binary::Minimum,
    })
}
