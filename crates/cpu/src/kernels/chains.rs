//! Chains of floats: running sums, running products and recurrences, several of them side by side.
//!
//! An element of a chain waits for the one before, some cycles each. Meanwhile the machine does as much for
//! other chains. All of them are recurrences here, h_i = a_i h_(i-1) + b_i: of a running sum every a is 1,
//! of a running product every b is -0, which changes no bit.

use std::marker::PhantomData;

use cotangent_graph::ops::ArrayOp;
use smallvec::SmallVec;

use super::{Site, around};
use crate::lane::has_avx2;
use crate::memory::{Frame, Run, Slot};
use crate::number::{Float, by_dtype};

/// Chains that run at a time: more of them take longer.
const TOGETHER: usize = 4;

/// The elements of a row from which on chains side by side are faster: out of shorter ones the machine runs
/// ahead into the next row by itself.
const LONG: usize = 256;
/// The most bytes of an operand whose rows run side by side: from memory they come no faster.
const NEAR: usize = 1 << 20;

/// The kernel of operations that each walk along one lane.
pub(super) fn abreast(ops: &[ArrayOp], site: &Site<'_>) -> Option<Run> {
    let mut rest = site.args.iter();
    let mut parts = Vec::with_capacity(ops.len());
    for (op, out) in ops.iter().zip(site.outs) {
        let (kind, reverse) = match op {
            ArrayOp::CumSum(op) => (Kind::Sum, op.reverse),
            ArrayOp::CumProd(op) => (Kind::Product, op.reverse),
            ArrayOp::Recurrence(op) => (Kind::Recurrence, op.reverse),
            _ => return None,
        };
        let a = rest.next()?.slot;
        let b = match kind {
            Kind::Recurrence => rest.next()?.slot,
            _ => a,
        };
        let same = out.ty.dtype == site.out.ty.dtype;
        let fit = [a, b].iter().all(|x| x.len == out.slot.len);
        if !same || !fit {
            return None;
        }
        parts.push(Part {
            kind,
            reverse,
            a,
            b,
            out: out.slot,
        });
    }
    by_dtype!(float site.out.ty.dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        let mut chains: Chains<'_, T> = SmallVec::new();
        for part in &parts {
            // SAFETY: the plan was checked: operands and results are arrays of this type, and nothing
            // that is written overlaps anything else.
            let (a, b, out) = unsafe {
                (frame.read(part.a), frame.read(part.b), frame.write(part.out))
            };
            chains.extend(Chain::new(part.kind, part.reverse, a, b, out));
        }
        run(chains);
        Ok(())
    }) as Run), else None)
}

/// The kernel of one operation along the rows of an array, each a chain; `None` where these are not several long
/// rows of floats in a near cache.
pub(super) fn of_rows(kind: Kind, axis: usize, reverse: bool, site: &Site<'_>) -> Option<Run> {
    let [rows, n, inner] = around(&site.out.ty, axis);
    let near = site.out.ty.bytes() <= NEAR;
    if rows < 2 || n < LONG || inner != 1 || !near {
        return None;
    }
    let (a, b) = match site.args {
        [x] => (x.slot, x.slot),
        [a, b] => (a.slot, b.slot),
        _ => return None,
    };
    let out = site.out.slot;
    by_dtype!(float site.out.ty.dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        // SAFETY: as in `abreast`.
        let (a, b, out): (&[T], &[T], &mut [T]) = unsafe {
            (frame.read(a), frame.read(b), frame.write(out))
        };
        let rows = a.chunks_exact(n).zip(b.chunks_exact(n)).zip(out.chunks_exact_mut(n));
        let mut chains = rows.filter_map(|((a, b), out)| Chain::new(kind, reverse, a, b, out));
        loop {
            let some: Chains<'_, T> = chains.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                return Ok(());
            }
            run(some);
        }
    }) as Run), else None)
}

/// What one of the operations of a step reads and writes.
struct Part {
    kind: Kind,
    reverse: bool,
    a: Slot,
    b: Slot,
    out: Slot,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// The operand is b.
    Sum,
    /// The operand is a.
    Product,
    Recurrence,
}

type Chains<'a, T> = SmallVec<[Chain<'a, T>; TOGETHER]>;

/// A chain on its way: h_i is a_i h_(i-1) + b_i.
struct Chain<'a, T> {
    /// The h before, in which products and sums are rounded.
    state: f64,
    /// The elements that are left, from the places of `a`, `b` and `out` on.
    left: usize,
    a: *const T,
    b: *const T,
    out: *mut T,
    /// The steps from one element to the next of each, in elements.
    steps: [isize; 3],
    lives: PhantomData<(&'a [T], &'a mut [T])>,
}

impl<'a, T: Float> Chain<'a, T> {
    /// A chain behind its first element, which is that of the operand itself; `None` where there is none, or
    /// where operands and result are not of one length.
    fn new(
        kind: Kind,
        reverse: bool,
        a: &'a [T],
        b: &'a [T],
        out: &'a mut [T],
    ) -> Option<Chain<'a, T>> {
        let n = out.len();
        if n == 0 || a.len() != n || b.len() != n {
            return None;
        }
        let (first, step) = if reverse { (n - 1, -1) } else { (0, 1) };
        let start = match kind {
            Kind::Product => a[first],
            Kind::Sum | Kind::Recurrence => b[first],
        };
        let state = start.widen();
        out[first] = T::narrow(state);
        let mut chain = Chain {
            state,
            left: n - 1,
            a: &raw const a[first],
            b: &raw const b[first],
            out: &raw mut out[first],
            steps: [step; 3],
            lives: PhantomData,
        };
        match kind {
            Kind::Sum => (chain.a, chain.steps[0]) = (std::ptr::from_ref(T::UNIT), 0),
            Kind::Product => (chain.b, chain.steps[1]) = (std::ptr::from_ref(T::NO_TERM), 0),
            Kind::Recurrence => {}
        }
        chain.skip(1);
        Some(chain)
    }

    /// Goes to the element behind so many.
    fn skip(&mut self, n: usize) {
        let [a, b, out] = self.steps.map(|step| step.wrapping_mul(n as isize));
        self.a = self.a.wrapping_offset(a);
        self.b = self.b.wrapping_offset(b);
        self.out = self.out.wrapping_offset(out);
    }
}

/// Runs at most [`TOGETHER`] chains to their ends.
fn run<T: Float>(mut chains: Chains<'_, T>) {
    // Those that end first stand last.
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.left));
    while let Some(n) = chains.last().map(|chain| chain.left) {
        match &mut chains[..] {
            [a, b, c, d, ..] => some([a, b, c, d], n),
            [a, b, c] => some([a, b, c], n),
            [a, b] => some([a, b], n),
            [a] => some([a], n),
            [] => {}
        }
        chains.retain(|chain| chain.left > 0);
    }
}

/// Takes `n` elements of each chain, which has as many.
fn some<T: Float, const N: usize>(mut chains: [&mut Chain<'_, T>; N], n: usize) {
    debug_assert!(chains.iter().all(|chain| chain.left >= n));
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the machine has these instructions.
        return unsafe { some_fused(&mut chains, n) };
    }
    walk(&mut chains, n, |a, h, b| T::add(b, T::mul(a, h)));
}

/// # Safety
/// The machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn some_fused<T: Float, const N: usize>(chains: &mut [&mut Chain<'_, T>; N], n: usize) {
    walk(chains, n, T::fused);
}

#[inline(always)]
fn walk<T: Float, const N: usize>(
    chains: &mut [&mut Chain<'_, T>; N],
    n: usize,
    next: impl Fn(f64, f64, f64) -> f64,
) {
    // What changes stays in registers.
    let mut states = chains.each_ref().map(|chain| chain.state);
    let mut places = chains.each_ref().map(|chain| (chain.a, chain.b, chain.out));
    let steps = chains.each_ref().map(|chain| chain.steps);
    for _ in 0..n {
        for ((state, (a, b, out)), [by_a, by_b, by_out]) in
            states.iter_mut().zip(&mut places).zip(steps)
        {
            // SAFETY: the chain has at least `n` elements left from these places on, and nothing else
            // writes to them or reads its result while it lives.
            unsafe {
                *state = next((**a).widen(), *state, (**b).widen());
                **out = T::narrow(*state);
            }
            (*a, *b) = (a.wrapping_offset(by_a), b.wrapping_offset(by_b));
            *out = out.wrapping_offset(by_out);
        }
    }
    for (chain, state) in chains.iter_mut().zip(states) {
        chain.skip(n);
        (chain.state, chain.left) = (state, chain.left - n);
    }
}
