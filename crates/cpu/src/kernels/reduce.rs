//! Reductions: axes vanish and one number stands for all elements along them.
//!
//! The order in which elements are joined is a tree fixed by the shape alone: contiguous elements in
//! blocks of [`LEAF`] by [`LANES`] lanes side by side, blocks pairwise; along strided axes in blocks
//! of [`ROWS`] rows. So the same values give the same bits, and the rounding error of a sum grows
//! with the logarithm of its length.

use std::marker::PhantomData;

use cotangent_array::Shape;
use smallvec::SmallVec;

use super::Site;
use crate::lane::has_avx2;
use crate::memory::{Cell, Run, Slot, run1};
use crate::number::{Float, Number, Ordered, by_dtype};
use crate::pool::{Shared, share};

/// How elements are joined.
pub(super) trait Fold: Send + Sync + 'static {
    type In: Cell;
    type Acc: Copy;
    type Out: Cell;
    const START: Self::Acc;
    fn lift(x: Self::In) -> Self::Acc;
    fn join(x: Self::Acc, y: Self::Acc) -> Self::Acc;
    fn finish(x: Self::Acc) -> Self::Out;

    /// Whether elements are joined one by one in row-major order, because another order shows.
    #[inline(always)]
    fn in_order() -> bool {
        false
    }
}

macro_rules! folds {
    ($(
        $(#[doc = $doc:literal])?
        $F:ident<$T:ident: $bound:ident> $In:ty => $Acc:ty => $Out:ty {
            $start:expr, |$x:ident| $lift:expr, |$a:ident, $b:ident| $join:expr, |$r:ident| $finish:expr
            $(, in order if $order:expr)?
        }
    )+) => {$(
        $(#[doc = $doc])?
        struct $F<$T>(PhantomData<fn() -> $T>);
        impl<$T: $bound> Fold for $F<$T> {
            type In = $In;
            type Acc = $Acc;
            type Out = $Out;
            const START: $Acc = $start;
            #[inline(always)]
            fn lift($x: $In) -> $Acc {
                $lift
            }
            #[inline(always)]
            fn join($a: $Acc, $b: $Acc) -> $Acc {
                $join
            }
            #[inline(always)]
            fn finish($r: $Acc) -> $Out {
                $finish
            }
            $(
                #[inline(always)]
                fn in_order() -> bool {
                    $order
                }
            )?
        }
    )+};
}

folds! {
    Sum<T: Number> T => T::Sum => T { T::ZERO, |x| x.widen(), |a, b| T::add(a, b), |r| T::narrow(r) }
    /// Products of complex numbers that are not finite are others in another order.
    Product<T: Number> T => T::Sum => T {
        T::ONE, |x| x.widen(), |a, b| T::factor(a, b), |r| T::narrow(r), in order if T::DTYPE.is_complex()
    }
    Largest<T: Ordered> T => T => T { T::LOWEST, |x| x, |a, b| a.larger(b), |r| r }
    Smallest<T: Ordered> T => T => T { T::HIGHEST, |x| x, |a, b| a.smaller(b), |r| r }
    /// The root of the sum of squares, without scaling.
    Length<T: Float> T => f64 => T { 0.0, |x| x.to() * x.to(), |a, b| a + b, |r| T::of(r.sqrt()) }
    Either<T: Logic> T => bool => bool { false, |x| x.truth(), |a, b| a | b, |r| r }
    Both<T: Logic> T => bool => bool { true, |x| x.truth(), |a, b| a & b, |r| r }
}

/// bool, as a bound for the table above.
trait Logic: Cell {
    fn truth(self) -> bool;
}

impl Logic for bool {
    #[inline(always)]
    fn truth(self) -> bool {
        self
    }
}

const LANES: usize = 8;
const LEAF: usize = 256;
const ROWS: usize = 64;
/// Columns that are reduced side by side; their accumulators stay in the first cache.
const COLUMNS: usize = 256;
/// Twice so many columns are done side by side in registers.
const WIDE: usize = 8;
const FEW: usize = 4;
/// Threads take whole groups of so many columns, which are a line of the cache or more.
const GRAIN: usize = 64;

pub(super) fn sum(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    by_dtype!(numeric site.out.ty.dtype, T => fold::<Sum<T>>(axes, site), else None)
}

pub(super) fn prod(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    by_dtype!(numeric site.out.ty.dtype, T => fold::<Product<T>>(axes, site), else None)
}

pub(super) fn max(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    by_dtype!(number site.out.ty.dtype, T => fold::<Largest<T>>(axes, site), else None)
}

pub(super) fn min(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    by_dtype!(number site.out.ty.dtype, T => fold::<Smallest<T>>(axes, site), else None)
}

pub(super) fn any(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    fold::<Either<bool>>(axes, site)
}

pub(super) fn all(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    fold::<Both<bool>>(axes, site)
}

fn fold<F: Fold>(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let plan = Reduction::new(&x.ty.shape, axes);
    let fast = has_avx2();
    let (x, out, work) = (x.slot, site.out.slot, site.work);
    let grain = if plan.inner_stays { GRAIN } else { 1 };
    Some(Box::new(move |frame| {
        let units = out.len.div_ceil(grain);
        let parts = frame.team.parts(work, units);
        if parts == 1 || plan.empty {
            // SAFETY: the plan was checked: the slots do not overlap, and the types are those of the plan.
            unsafe { plan.choose::<F>(fast, frame.read(x), frame.write(out), None) };
            return Ok(());
        }
        // SAFETY: parts read the operand and write results of their own.
        let shared = unsafe { Shared::new(&*frame) };
        frame.team.each(work, parts, |part, _| {
            let frame = *shared.get();
            let units = share(units, part, parts);
            let first = units.start * grain;
            let part = Slot {
                offset: out.offset + first * size_of::<F::Out>(),
                len: (units.end * grain).min(out.len) - first,
                ..out
            };
            // SAFETY: as above.
            unsafe { plan.choose::<F>(fast, frame.read(x), frame.write(part), Some(first)) };
            Ok(())
        })
    }))
}

/// The Euclidean length. Squares are added without scaling first, which is right unless they
/// overflow or vanish; those results, and none else, are computed again with scaled elements.
pub(super) fn norm(axes: &[usize], site: &Site<'_>) -> Option<Run> {
    let [x] = site.args else { return None };
    let plan = Reduction::new(&x.ty.shape, axes);
    let fast = has_avx2();
    by_dtype!(float site.out.ty.dtype, T => Some(run1(x.slot, site.out.slot, move |x: &[T], out: &mut [T]| {
        plan.choose::<Length<T>>(fast, x, out, None);
        plan.again(x, out, |length| !(1e-140..1e140).contains(&length.to()), |elements| {
            let largest = elements(&mut |m, x| m.larger(x.abs()), 0.0);
            let scale = scale(largest);
            let sum = elements(&mut |sum, x| sum + (x / scale) * (x / scale), 0.0);
            T::of(scale * sum.sqrt())
        });
        Ok(())
    })), else None)
}

/// The power of two just below a magnitude, by which scaling is exact.
fn scale(largest: f64) -> f64 {
    if !largest.is_finite() {
        1.0
    } else if largest < f64::MIN_POSITIVE {
        f64::MIN_POSITIVE
    } else {
        f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits())
    }
}

#[derive(Clone, Copy, Debug)]
struct Dim {
    n: usize,
    step: usize,
}

/// How a shape is reduced: axes without length 1, neighbours of one kind joined.
#[derive(Debug)]
struct Reduction {
    /// Axes that stay and axes that vanish, outermost first, but for the innermost of all.
    kept: SmallVec<[Dim; 4]>,
    gone: SmallVec<[Dim; 4]>,
    /// The innermost axis, contiguous, and whether it stays.
    inner: usize,
    inner_stays: bool,
    /// Whether there is nothing to reduce.
    empty: bool,
}

impl Reduction {
    fn new(shape: &Shape, axes: &[usize]) -> Reduction {
        let mut groups: SmallVec<[(Dim, bool); 6]> = SmallVec::new();
        for (axis, (n, step)) in shape.iter().zip(shape.strides()).enumerate() {
            let stays = !axes.contains(&axis);
            match groups.last_mut() {
                _ if *n == 1 => {}
                Some((outer, kind)) if *kind == stays => {
                    *outer = Dim {
                        n: outer.n.saturating_mul(*n),
                        step,
                    };
                }
                _ => groups.push((Dim { n: *n, step }, stays)),
            }
        }
        let (inner, inner_stays) = groups
            .pop()
            .map_or((1, true), |(dim, stays)| (dim.n, stays));
        let of = |kind: bool| {
            groups
                .iter()
                .filter(|(_, stays)| *stays == kind)
                .map(|(dim, _)| *dim)
                .collect()
        };
        Reduction {
            kept: of(true),
            gone: of(false),
            inner,
            inner_stays,
            empty: shape.elements() == 0,
        }
    }

    /// All results, or those from a number on, in the instructions that the machine has.
    fn choose<F: Fold>(&self, fast: bool, x: &[F::In], out: &mut [F::Out], first: Option<usize>) {
        #[inline(always)]
        fn run<F: Fold>(plan: &Reduction, x: &[F::In], out: &mut [F::Out], first: Option<usize>) {
            match first {
                None => plan.run::<F>(x, out),
                Some(first) => plan.some::<F>(x, out, first),
            }
        }
        #[cfg(target_arch = "x86_64")]
        if fast {
            #[target_feature(enable = "avx2")]
            fn inner<F: Fold>(
                plan: &Reduction,
                x: &[F::In],
                out: &mut [F::Out],
                first: Option<usize>,
            ) {
                run::<F>(plan, x, out, first);
            }
            // SAFETY: chosen only where the machine has AVX2.
            return unsafe { inner::<F>(self, x, out, first) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = fast;
        run::<F>(self, x, out, first);
    }

    #[inline(always)]
    fn run<F: Fold>(&self, x: &[F::In], out: &mut [F::Out]) {
        if self.empty {
            return out.fill(F::finish(F::START));
        }
        if !self.inner_stays && self.gone.is_empty() {
            for (out, x) in out.iter_mut().zip(x.chunks_exact(self.inner)) {
                *out = F::finish(and_row::<F>(F::START, x));
            }
            return;
        }
        let mut out = out.iter_mut();
        if !self.inner_stays {
            return each(&self.kept, |base| {
                let mut sum = F::START;
                each(&self.gone, |at| {
                    sum = and_row::<F>(sum, &x[base + at..][..self.inner])
                });
                if let Some(out) = out.next() {
                    *out = F::finish(sum);
                }
            });
        }
        let mut out = out.into_slice();
        each(&self.kept, |base| {
            let (part, rest) = std::mem::take(&mut out).split_at_mut(self.inner);
            out = rest;
            // A few sums stay in registers.
            match self.gone[..] {
                [rows] if (WIDE..=2 * WIDE).contains(&part.len()) => {
                    return pieces::<F, WIDE>(rows, &x[base..], part);
                }
                [rows] if (FEW..WIDE).contains(&part.len()) => {
                    return pieces::<F, FEW>(rows, &x[base..], part);
                }
                _ if part.len() <= WIDE => return self.columns::<F, WIDE>(&x[base..], part),
                _ => {}
            }
            for (i, part) in part.chunks_mut(COLUMNS).enumerate() {
                self.columns::<F, COLUMNS>(&x[base + i * COLUMNS..], part);
            }
        });
    }

    /// The results from number `first` on, as many as there is room for.
    #[inline(always)]
    fn some<F: Fold>(&self, x: &[F::In], mut out: &mut [F::Out], first: usize) {
        let mut next = first;
        while !out.is_empty() {
            let (k, column) = match self.inner_stays {
                true => (next / self.inner, next % self.inner),
                false => (next, 0),
            };
            let base = position(&self.kept, k);
            let count = match self.inner_stays {
                true => (self.inner - column).min(COLUMNS).min(out.len()),
                false => 1,
            };
            let (part, rest) = out.split_at_mut(count);
            if self.inner_stays {
                self.columns::<F, COLUMNS>(&x[base + column..], part);
            } else {
                let mut sum = F::START;
                each(&self.gone, |at| {
                    sum = and_row::<F>(sum, &x[base + at..][..self.inner])
                });
                part.iter_mut().for_each(|out| *out = F::finish(sum));
            }
            (out, next) = (rest, next + count);
        }
    }

    /// Reduces at most `N` columns side by side.
    #[inline(always)]
    fn columns<F: Fold, const N: usize>(&self, x: &[F::In], out: &mut [F::Out]) {
        let width = out.len().min(N);
        let (mut total, mut block) = ([F::START; N], [F::START; N]);
        let mut rows = 0;
        each(&self.gone, |at| {
            for (sum, x) in block[..width].iter_mut().zip(&x[at..at + width]) {
                *sum = F::join(*sum, F::lift(*x));
            }
            rows += 1;
            if rows == ROWS && !F::in_order() {
                for (total, sum) in total[..width].iter_mut().zip(&mut block[..width]) {
                    *total = F::join(*total, *sum);
                    *sum = F::START;
                }
                rows = 0;
            }
        });
        for ((out, total), sum) in out.iter_mut().zip(total).zip(block) {
            *out = F::finish(F::join(total, sum));
        }
    }

    /// Computes the results anew that `wanted` asks for, from a fold over their elements as f64.
    fn again<T: Float>(
        &self,
        x: &[T],
        out: &mut [T],
        wanted: impl Fn(T) -> bool,
        compute: impl Fn(&dyn Fn(&mut dyn FnMut(f64, f64) -> f64, f64) -> f64) -> T,
    ) {
        if self.empty || !out.iter().any(|x| wanted(*x)) {
            return;
        }
        let mut results = out.iter_mut();
        each(&self.kept, |base| {
            let columns = if self.inner_stays { self.inner } else { 1 };
            for (column, result) in results.by_ref().take(columns).enumerate() {
                if !wanted(*result) {
                    continue;
                }
                *result = compute(&|f, start| {
                    let mut acc = start;
                    each(&self.gone, |at| {
                        let first = base + at + column;
                        let run = if self.inner_stays { 1 } else { self.inner };
                        acc = x[first..first + run]
                            .iter()
                            .fold(acc, |acc, x| f(acc, x.to()));
                    });
                    acc
                });
            }
        });
    }
}

/// Reduces `N` to `2 N` columns in two pieces, which overlap where there are fewer than `2 N`.
#[inline(always)]
fn pieces<F: Fold, const N: usize>(rows: Dim, x: &[F::In], out: &mut [F::Out]) {
    let second = out.len() - N;
    let mut total = [[F::START; N]; 2];
    let mut left = 0..rows.n;
    let block_rows = if F::in_order() { rows.n } else { ROWS };
    while !left.is_empty() {
        let mut block = [[F::START; N]; 2];
        for row in left.by_ref().take(block_rows) {
            let x = &x[row * rows.step..][..second + N];
            let (first, last) = (&x[..N], &x[second..]);
            for k in 0..N {
                block[0][k] = F::join(block[0][k], F::lift(first[k]));
                block[1][k] = F::join(block[1][k], F::lift(last[k]));
            }
        }
        for (total, block) in total.iter_mut().flatten().zip(block.into_iter().flatten()) {
            *total = F::join(*total, block);
        }
    }
    let [first, last] = total;
    for (out, total) in out.iter_mut().zip(first) {
        *out = F::finish(total);
    }
    for (out, total) in out[second..].iter_mut().zip(last) {
        *out = F::finish(total);
    }
}

/// The position of the index with this number in row-major order.
fn position(dims: &[Dim], mut number: usize) -> usize {
    let mut at = 0;
    for dim in dims.iter().rev() {
        at += number % dim.n * dim.step;
        number /= dim.n;
    }
    at
}

/// Calls `f` with the position of each index of the axes, in row-major order.
#[inline(always)]
fn each(dims: &[Dim], mut f: impl FnMut(usize)) {
    match dims {
        [] => f(0),
        [dim] => (0..dim.n).for_each(|i| f(i * dim.step)),
        _ => {
            let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, dims.len());
            let mut at = 0;
            loop {
                f(at);
                let mut axis = dims.len();
                loop {
                    let Some(next) = axis.checked_sub(1) else {
                        return;
                    };
                    axis = next;
                    let dim = dims[axis];
                    index[axis] += 1;
                    at += dim.step;
                    if index[axis] < dim.n {
                        break;
                    }
                    index[axis] = 0;
                    at -= dim.step * dim.n;
                }
            }
        }
    }
}

/// What is joined so far with all elements of a contiguous run.
#[inline(always)]
fn and_row<F: Fold>(sum: F::Acc, x: &[F::In]) -> F::Acc {
    match F::in_order() {
        true => x.iter().fold(sum, |sum, x| F::join(sum, F::lift(*x))),
        false => F::join(sum, row::<F>(x)),
    }
}

/// All elements of a contiguous run: leaves joined pairwise, as if by halving.
#[inline(always)]
fn row<F: Fold>(x: &[F::In]) -> F::Acc {
    if x.len() <= LEAF {
        return leaf::<F>(x);
    }
    // Sums of 1, 2, 4, ... leaves that wait for a partner of their size.
    let mut waiting: SmallVec<[F::Acc; 64]> = SmallVec::new();
    for (i, part) in x.chunks(LEAF).enumerate() {
        let mut sum = leaf::<F>(part);
        for _ in 0..(i + 1).trailing_zeros() {
            if let Some(partner) = waiting.pop() {
                sum = F::join(partner, sum);
            }
        }
        waiting.push(sum);
    }
    let last = waiting.pop().unwrap_or(F::START);
    waiting
        .into_iter()
        .rev()
        .fold(last, |sum, partner| F::join(partner, sum))
}

#[inline(always)]
fn leaf<F: Fold>(x: &[F::In]) -> F::Acc {
    if x.len() < LANES {
        return x.iter().fold(F::START, |sum, x| F::join(sum, F::lift(*x)));
    }
    let mut lanes = [[F::START; 4]; 2];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.as_flattened_mut().iter_mut().zip(chunk) {
            *lane = F::join(*lane, F::lift(*x));
        }
    }
    let [mut low, mut high] = lanes;
    match rest.split_first_chunk::<4>() {
        Some((four, rest)) => {
            for (lane, x) in low.iter_mut().zip(four) {
                *lane = F::join(*lane, F::lift(*x));
            }
            few::<F>(&mut high, rest);
        }
        None => few::<F>(&mut low, rest),
    }
    let [low, high] = [low, high].map(|[a, b, c, d]| F::join(F::join(a, b), F::join(c, d)));
    F::join(low, high)
}

/// Joins fewer than four elements with the first lanes, each at a place that is known: a loop over them would
/// put all lanes into memory.
#[inline(always)]
fn few<F: Fold>(lanes: &mut [F::Acc; 4], x: &[F::In]) {
    let mut join = |lane: usize, x: F::In| lanes[lane] = F::join(lanes[lane], F::lift(x));
    match *x {
        [a] => join(0, a),
        [a, b] => {
            join(0, a);
            join(1, b);
        }
        [a, b, c] => {
            join(0, a);
            join(1, b);
            join(2, c);
        }
        _ => {}
    }
}
