//! How broadcasts and slices show the elements of another array.

use cotangent_array::DType;
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Equation, Graph, Op, Var};
use smallvec::SmallVec;

use crate::lane::LanePad;

/// The most slices of slices that are looked through.
const MAX_SLICES: usize = 4;

/// How an array stands in a space.
pub(crate) struct Pattern {
    /// The array.
    pub(crate) source: Var,
    /// The number of elements before the first.
    pub(crate) start: usize,
    /// From the outermost, length and stride.
    pub(crate) loops: SmallVec<[(usize, usize); 4]>,
    /// Where positions come from memory, one at each place.
    pub(crate) chosen: Option<Chosen>,
    /// The number of elements from one position to the next.
    pub(crate) step: usize,
    /// A number around the elements of the innermost loop.
    pub(crate) pad: Option<LanePad>,
}

/// Positions from memory.
#[derive(Clone, Copy)]
pub(crate) struct Chosen {
    /// The indices, one for each place in order.
    pub(crate) index: Var,
    /// Indices are from 0 to below this.
    pub(crate) length: usize,
}

/// Whether the result is the operand's memory under another shape.
pub(crate) fn is_view(graph: &Graph, e: &Equation) -> bool {
    match &e.op {
        Op::Array(ArrayOp::Reshape(_)) => true,
        Op::Array(ArrayOp::Broadcast(_)) => e.args.first().is_some_and(|x| {
            let (x, out) = (graph.ty(*x).tensor(), e.ty.tensor());
            x.map(|t| t.shape.elements()) == out.map(|t| t.shape.elements())
        }),
        _ => false,
    }
}

/// For each variable how its operand stands in its space, if it is a broadcast, a slice or a choice of
/// elements.
pub(crate) struct Patterns(Vec<Option<Box<Pattern>>>);

impl Patterns {
    pub(super) fn of(graph: &Graph) -> Patterns {
        let patterns = graph.iter().map(|(v, _)| pattern(graph, v).map(Box::new));
        Patterns(patterns.collect())
    }

    /// How the operand of a broadcast, a slice or a choice of elements stands in the space of the result;
    /// `None` for all else and where there are no elements. A slice of a vector is looked through: it is
    /// its operand, further on.
    pub(crate) fn get(&self, v: Var) -> Option<&Pattern> {
        self.0.get(v.index())?.as_deref()
    }
}

fn pattern(graph: &Graph, v: Var) -> Option<Pattern> {
    let mut pattern = own_pattern(graph, v)?;
    for _ in 0..MAX_SLICES {
        let mut root = pattern.source;
        while let Some(x) = viewed(graph, root) {
            root = x;
        }
        match own_pattern(graph, root) {
            Some(Pattern {
                source,
                start,
                loops,
                chosen: None,
                pad: None,
                ..
            }) if is_slice(graph, root) && loops.len() <= 1 => {
                let step = loops.first().map_or(1, |(_, step)| *step);
                pattern.source = source;
                pattern.start = pattern.start.checked_mul(step)?.checked_add(start)?;
                for (_, stride) in &mut pattern.loops {
                    *stride = stride.checked_mul(step)?;
                }
                pattern.step = pattern.step.checked_mul(step)?;
            }
            _ => break,
        }
    }
    Some(pattern)
}

fn is_slice(graph: &Graph, v: Var) -> bool {
    matches!(graph.equation(v).op, Op::Array(ArrayOp::Slice(_)))
}

/// What a view shows.
fn viewed(graph: &Graph, v: Var) -> Option<Var> {
    let e = graph.equation(v);
    let x = e.args.first().copied();
    x.filter(|_| is_view(graph, e))
}

fn own_pattern(graph: &Graph, v: Var) -> Option<Pattern> {
    let e = graph.equation(v);
    // Most equations are none of those below, which is told here at once.
    if !matches!(e.op, Op::Array(_)) {
        return None;
    }
    let source = *e.args.first()?;
    let (shape, x) = (&e.ty.tensor()?.shape, graph.ty(source).tensor()?);
    // Of an array without elements there is nothing to read.
    if shape.elements() == 0 {
        return None;
    }
    let mut start = 0_usize;
    let mut strides: SmallVec<[usize; 6]> = SmallVec::from_elem(0, shape.rank());
    match &e.op {
        Op::Array(ArrayOp::Broadcast(op)) => {
            for (dim, stride) in op.dims.iter().zip(x.shape.strides()) {
                *strides.get_mut(*dim)? = stride;
            }
        }
        Op::Array(ArrayOp::Slice(op)) => {
            for (axis, stride) in x.shape.strides().into_iter().enumerate() {
                start = start.checked_add(op.start.get(axis)?.checked_mul(stride)?)?;
                *strides.get_mut(axis)? = op.stride.get(axis)?.checked_mul(stride)?;
            }
        }
        // An element of a vector or of each row, at an index of its own.
        Op::Array(ArrayOp::Gather(op)) => {
            let [_, index] = e.args[..] else { return None };
            let whole = graph.ty(index).tensor()?;
            let vector = op.batch == 0 && x.shape.len() == 1;
            let rows = op.batch > 0
                && x.shape.len() == op.batch + 1
                && whole.shape.len() == op.batch
                && op.axis == op.batch;
            if !(vector || rows)
                || !matches!(whole.dtype, DType::I32 | DType::I64)
                || graph.splat(index).is_some()
            {
                return None;
            }
            let length = *x.shape.last()?;
            let stride = if rows { length } else { 0 };
            return (length > 0).then(|| Pattern {
                source,
                start: 0,
                loops: SmallVec::from_elem((shape.elements(), stride), 1),
                chosen: Some(Chosen { index, length }),
                step: 1,
                pad: None,
            });
        }
        // Numbers before and behind the elements of the last axis.
        Op::Array(ArrayOp::Pad(op)) => {
            let value = graph.splat(*e.args.get(1)?)?;
            let last = (0..x.shape.len())
                .rev()
                .find(|k| shape.get(*k) != Some(&1))?;
            let plain = |k: usize| op.low.get(k) == Some(&0) && op.high.get(k) == Some(&0);
            let inside = (0..x.shape.len()).all(|k| k == last || plain(k));
            let (length, n) = (*x.shape.get(last)?, *shape.get(last)?);
            if !inside || length == 0 || op.interior.iter().any(|k| *k > 0) {
                return None;
            }
            let low = *op.low.get(last)?;
            let outer = shape.elements() / n;
            let mut loops = SmallVec::new();
            if outer > 1 {
                loops.push((outer, length));
            }
            loops.push((n, 1));
            return Some(Pattern {
                source,
                start: 0,
                loops,
                chosen: None,
                step: 1,
                pad: Some(LanePad { low, length, value }),
            });
        }
        _ => return None,
    }
    let mut loops: SmallVec<[(usize, usize); 4]> = SmallVec::new();
    for (n, stride) in shape.iter().zip(strides) {
        match loops.last_mut() {
            _ if *n == 1 => {}
            // An outer loop whose turns follow one another in the inner one is the same loop.
            Some((outer, step)) if *step == stride.saturating_mul(*n) => {
                *outer = outer.saturating_mul(*n);
                *step = stride;
            }
            _ => loops.push((*n, stride)),
        }
    }
    Some(Pattern {
        source,
        start,
        loops,
        chosen: None,
        step: 1,
        pad: None,
    })
}

/// The lengths of the inner loops of a pattern.
pub(super) fn cuts_of(pattern: &Pattern) -> SmallVec<[usize; 4]> {
    let mut run = 1_usize;
    let mut cuts = SmallVec::new();
    for (n, _) in pattern.loops.iter().skip(1).rev() {
        run = run.saturating_mul(*n);
        cuts.push(run);
    }
    cuts
}
