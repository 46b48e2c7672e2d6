//! Kernels, one for each operation, and the choice of one for a step.

mod chains;
mod conv;
mod cumulative;
mod dot;
mod fft;
mod gather;
pub(crate) mod gemm;
mod linalg;
mod moves;
mod picked;
mod pointwise;
mod reduce;
mod rows;
mod sort;
mod spatial;
pub(crate) mod transpose;
mod walk;
mod window;

use std::cell::Cell;
use std::sync::Arc;

use cotangent_array::Scalar;
use cotangent_compile::{Picked, Planes, StepOp, Triangles};
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Op, TensorType};

use crate::RunError;
use crate::memory::{Run, Slot, run0, run2};
use crate::number::{Number, by_dtype};

/// An operand or a result of a step.
#[derive(Clone, Debug)]
pub(crate) struct Arg {
    /// Where it stands.
    pub(crate) slot: Slot,
    /// Its type; a number that stands everywhere has one element in memory.
    pub(crate) ty: Arc<TensorType>,
}

/// What a kernel is chosen for.
pub(crate) struct Site<'a> {
    pub(crate) args: &'a [Arg],
    /// The result; the first one of several.
    pub(crate) out: &'a Arg,
    pub(crate) outs: &'a [Arg],
    /// Working memory, in bytes.
    pub(crate) scratch: Slot,
    /// Whether the result takes over the memory of an operand.
    pub(crate) in_place: bool,
    /// About how many nanoseconds the step takes.
    pub(crate) work: u64,
    /// The most bytes of working memory that each further thread wants; see [`Site::wants`].
    pub(crate) spare: &'a Cell<usize>,
}

impl Site<'_> {
    /// Says that each further thread that works on the step wants so many bytes of working memory.
    pub(crate) fn wants(&self, bytes: usize) {
        self.spare.set(self.spare.get().max(bytes));
    }
}

/// The working memory that the kernel of an operation wants, in bytes.
pub(crate) fn scratch(step: &StepOp, args: &[&TensorType], out: &TensorType) -> usize {
    let (op, front) = match step {
        StepOp::Op(op) | StepOp::Planes(op, _) | StepOp::Triangular(op, _) => (op, None),
        StepOp::Turned(op, front) => (op, Some(*front)),
        StepOp::Picked(..) => return args.first().map_or(0, |numbers| picked::scratch(numbers)),
        _ => return 0,
    };
    match (op, args) {
        (Op::Array(ArrayOp::Dot(op)), [x, y]) => dot::scratch(op, front, x, y),
        (Op::Array(ArrayOp::Conv(op)), [x, kernel]) => conv::scratch(op, x, kernel, out),
        (Op::Array(ArrayOp::ScatterAdd(_)), [x, ..]) => gather::scratch(x, out),
        (Op::Array(op @ (ArrayOp::Fft(_) | ArrayOp::Rfft(_) | ArrayOp::Irfft(_))), [x]) => {
            fft::scratch(op, x)
        }
        (Op::Array(ArrayOp::ArgSort(op)), [x]) => sort::scratch(op, x),
        (Op::Linalg(op), args) => linalg::scratch(op, args),
        _ => 0,
    }
}

/// The kernel of a step, or `None` when there is none for these types.
pub(crate) fn choose(op: &Op, site: &Site<'_>) -> Option<Run> {
    match op {
        Op::Unary(op) => pointwise::unary(*op, site),
        Op::Indexed(op, n) => pointwise::indexed(*op, *n, site),
        Op::Special(op, orders) => pointwise::special(*op, *orders, site),
        Op::Binary(op) => pointwise::binary(*op, site),
        Op::Part(op) => pointwise::part(*op, site),
        Op::Complex => pointwise::complex(site),
        Op::Compare(op) => pointwise::compare(*op, site),
        Op::Test(op) => pointwise::test(*op, site),
        Op::Ternary(op) => pointwise::ternary(*op, site),
        Op::Convert(_) => pointwise::convert(site),
        Op::Array(op) => array(op, site),
        Op::Linalg(op) => linalg::choose(op, site),
        Op::Input
        | Op::Full(..)
        | Op::Constant(_)
        | Op::Call(_)
        | Op::Region(_)
        | Op::Native(_)
        | Op::Get(_) => None,
    }
}

/// The kernel of a convolution whose planes do not follow one another in one array.
pub(crate) fn planes(op: &Op, planes: &Planes, site: &Site<'_>) -> Option<Run> {
    match op {
        Op::Array(ArrayOp::Conv(op)) => conv::conv(op, Some(planes), site),
        _ => None,
    }
}

/// The kernel of a product whose result is turned.
pub(crate) fn turned(op: &Op, front: usize, site: &Site<'_>) -> Option<Run> {
    match op {
        Op::Array(ArrayOp::Dot(op)) => dot::dot(op, Some(front), site),
        _ => None,
    }
}

/// The kernel of a product with rows that indices pick.
pub(crate) fn picked(op: &Op, picked: &Picked, site: &Site<'_>) -> Option<Run> {
    match op {
        Op::Array(ArrayOp::Dot(op)) => picked::dot(op, picked, site),
        _ => None,
    }
}

/// The kernel of a product of which parts need not be multiplied.
pub(crate) fn triangular(op: &Op, triangles: &Triangles, site: &Site<'_>) -> Option<Run> {
    match op {
        Op::Array(ArrayOp::Dot(op)) => dot::triangular(op, triangles, site),
        _ => None,
    }
}

/// The kernel that copies an operand, or repeats its only element.
pub(crate) fn copy(site: &Site<'_>) -> Option<Run> {
    moves::copy(site)
}

/// The kernel of chains that run side by side.
pub(crate) fn abreast(ops: &[ArrayOp], site: &Site<'_>) -> Option<Run> {
    chains::abreast(ops, site)
}

fn array(op: &ArrayOp, site: &Site<'_>) -> Option<Run> {
    use ArrayOp as A;
    match op {
        A::Iota(op) => iota(op.axis, site),
        A::RandomBits(op) => random_bits(op.shape.elements(), site),
        A::Reshape(_) => moves::copy(site),
        A::Transpose(op) => moves::transpose(&op.axes, site),
        A::Broadcast(op) => moves::broadcast(&op.dims, site),
        A::Reverse(op) => moves::reverse(&op.axes, site),
        A::Slice(op) => moves::slice(&op.start, &op.stride, site),
        A::Pad(op) => moves::pad(&op.low, &op.interior, site),
        A::Concat(op) => moves::concat(op.axis, site),
        A::Gather(op) => gather::gather(op.axis, op.batch, site),
        A::ScatterAdd(op) => gather::scatter_add(op.axis, op.batch, site),
        A::Sum(op) => reduce::sum(&op.axes, site),
        A::Prod(op) => reduce::prod(&op.axes, site),
        A::Max(op) => reduce::max(&op.axes, site),
        A::Min(op) => reduce::min(&op.axes, site),
        A::Norm(op) => reduce::norm(&op.axes, site),
        A::ArgMax(op) => rows::argmax(op.axis, site),
        A::ArgMin(op) => rows::argmin(op.axis, site),
        A::Any(op) => reduce::any(&op.axes, site),
        A::All(op) => reduce::all(&op.axes, site),
        A::CumSum(op) => cumulative::cumsum(op.axis, op.reverse, site),
        A::CumProd(op) => cumulative::cumprod(op.axis, op.reverse, site),
        A::Recurrence(op) => cumulative::recurrence(op.axis, op.reverse, site),
        A::CumArgMax(op) => sort::cum_argmax(op.axis, op.last, site),
        A::CumArgMin(op) => sort::cum_argmin(op.axis, op.last, site),
        A::ArgSort(op) => sort::argsort(op, site),
        A::SearchSorted(op) => sort::searchsorted(op, site),
        A::Dot(op) => dot::dot(op, None, site),
        A::Conv(op) => conv::conv(op, None, site),
        A::WindowSum(op) => window::sum(&window::Windows::of_sum(op), site),
        A::WindowMax(op) => window::max(&window::Windows::of_max(op), site),
        A::WindowArgMax(op) => window::argmax(&window::Windows::of_argmax(op), site),
        A::Fft(_) | A::Rfft(_) | A::Irfft(_) => fft::kernel(op, site),
    }
}

fn iota(axis: usize, site: &Site<'_>) -> Option<Run> {
    let out = site.out;
    let [_, n, inner] = around(&out.ty, axis);
    by_dtype!(number out.ty.dtype, T => Some(run0(out.slot, move |out: &mut [T]| {
        for group in out.chunks_exact_mut((n * inner).max(1)) {
            for (i, run) in group.chunks_exact_mut(inner.max(1)).enumerate() {
                run.fill(position::<T>(i));
            }
        }
        Ok(())
    })), else None)
}

/// A position as the reference evaluator has it: wrapped to an integer dtype, rounded to a float.
fn position<T: Number>(i: usize) -> T {
    T::from_scalar(Scalar::from_i64(T::DTYPE, i as i64))
}

fn random_bits(words: usize, site: &Site<'_>) -> Option<Run> {
    let [key, counter] = site.args else {
        return None;
    };
    let run = run2(
        key.slot,
        counter.slot,
        site.out.slot,
        site.scratch,
        move |keys: &[u32], counters: &[u32], out: &mut [u32], _: &mut [u8]| {
            let streams = keys.chunks_exact(2).zip(counters);
            for (out, (key, counter)) in out.chunks_exact_mut(words.max(1)).zip(streams) {
                cotangent_graph::ops::random::random_words([key[0], key[1]], *counter, out);
            }
            Ok(())
        },
    );
    Some(run)
}

/// The numbers of elements before, along and behind an axis.
fn around(ty: &TensorType, axis: usize) -> [usize; 3] {
    let dims = ty.shape.dims();
    let product = |dims: &[usize]| dims.iter().fold(1_usize, |n, d| n.saturating_mul(*d));
    let axis = axis.min(dims.len());
    [
        product(&dims[..axis]),
        ty.dim(axis),
        product(dims.get(axis + 1..).unwrap_or(&[])),
    ]
}

/// The slot with as many elements of another size as fit.
fn resized(slot: Slot, size: usize) -> Slot {
    Slot {
        len: slot.len / size.max(1),
        ..slot
    }
}

fn out_of_range(index: i64, length: usize) -> RunError {
    RunError::IndexOutOfRange { index, length }
}
