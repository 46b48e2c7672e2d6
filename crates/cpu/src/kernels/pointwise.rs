//! Pointwise operations: a loop for each row and dtype, and the drivers that feed them.
//!
//! A loop is a safe function over slices, with the row's meaning inlined; the match over rows stands
//! outside it. An f32 is computed in f64 and rounded, as the reference evaluator does; the compiler
//! narrows what it can prove equal (+ - * / sqrt, comparisons) back to f32.

use std::ops::Range;

use cotangent_array::Element;
use cotangent_graph::complex;
use cotangent_graph::ops::{Binary, Compare, Indexed, Orders, Part, Special, Ternary, Test, Unary};

use super::Site;
use crate::RunError;
use crate::memory::{BLOCK, Block, Cell, Feed, Frame, Run, Sink, Slot};
use crate::number::{Bits, Float, Ordered, Pair, by_dtype};
use crate::pool::{Shared, share};

type Loop1<A, U> = fn(&[A], &mut [U]);
type Loop2<A, B, U> = fn(&[A], &[B], &mut [U]);

/// Matches a row against all rows, each arm with the row as a constant.
macro_rules! rows {
    ($op:expr, $E:ident: $($V:ident)+; $row:ident => $body:expr) => {
        match $op { $($E::$V => { const $row: $E = $E::$V; $body })+ }
    };
}

macro_rules! unary_rows {
    ($op:expr, $row:ident => $body:expr) => {
        rows!($op, Unary: Neg StopGradient Not Abs Sign Floor Ceil Round Trunc Sqrt Rsqrt Cbrt Exp
            Exp2 Expm1 Log Log2 Log10 Log1p Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh
            Atanh Sigmoid Erf Erfc Erfcx Erfinv Erfcinv LogNdtr Lgamma Digamma; $row => $body)
    };
}

macro_rules! binary_rows {
    ($op:expr, $row:ident => $body:expr) => {
        rows!($op, Binary: Add Sub Mul Zmul Div Rem Pow Atan2 Maximum Minimum And Or Xor Shl Shr;
            $row => $body)
    };
}

macro_rules! compare_rows {
    ($op:expr, $row:ident => $body:expr) => {
        rows!($op, Compare: Eq Ne Lt Le Gt Ge; $row => $body)
    };
}

pub(super) fn unary(op: Unary, site: &Site<'_>) -> Option<Run> {
    let dtype = site.args.first()?.ty.dtype;
    by_dtype!(pair dtype, T => return unary_pair::<T>(op, site), else {});
    by_dtype!(float dtype, T => return run1(site, unary_float::<T>(op)), else {});
    op.int()?;
    by_dtype!(bits dtype, T => run1(site, unary_bits::<T>(op)), else None)
}

fn unary_float<T: Float>(op: Unary) -> Loop1<T, T> {
    unary_rows!(op, ROW => |x, out| map(x, out, |x| T::of(ROW.float(x.to()))))
}

/// The rows' meanings on complex numbers are long, so a call of each costs nothing to speak of.
fn unary_pair<T: Pair>(op: Unary, site: &Site<'_>) -> Option<Run> {
    if op == Unary::Abs {
        return run1(site, |x: &[T], out: &mut [T::Part]| {
            map(x, out, |z| T::Part::of(complex::abs(z.to())))
        });
    }
    let f = op.complex()?;
    run1(site, move |x: &[T], out: &mut [T]| {
        map(x, out, |z| T::of(f(z.to())))
    })
}

pub(super) fn part(op: Part, site: &Site<'_>) -> Option<Run> {
    by_dtype!(pair site.args.first()?.ty.dtype, T => part_of::<T>(op, site), else None)
}

fn part_of<T: Pair>(op: Part, site: &Site<'_>) -> Option<Run> {
    match op {
        Part::Conj => run1(site, |x: &[T], out: &mut [T]| {
            map(x, out, |z| {
                let (re, im) = z.parts();
                T::join(re, T::Part::of(-im.to()))
            })
        }),
        Part::Real => run1(site, |x: &[T], out: &mut [T::Part]| {
            map(x, out, |z| z.parts().0)
        }),
        Part::Imag => run1(site, |x: &[T], out: &mut [T::Part]| {
            map(x, out, |z| z.parts().1)
        }),
        Part::Angle => run1(site, |x: &[T], out: &mut [T::Part]| {
            map(x, out, |z| T::Part::of(complex::angle(z.to())))
        }),
    }
}

pub(super) fn complex(site: &Site<'_>) -> Option<Run> {
    by_dtype!(float site.args.first()?.ty.dtype, T => complex_of::<T>(site), else None)
}

fn complex_of<T: Float>(site: &Site<'_>) -> Option<Run> {
    run2(site, |re: &[T], im: &[T], out: &mut [T::Pair]| {
        map2(re, im, out, T::Pair::join);
    })
}

fn unary_bits<T: Bits>(op: Unary) -> Loop1<T, T> {
    unary_rows!(op, ROW => |x, out| if let Some(f) = ROW.int() {
        map(x, out, |x| T::of(f(x.to())))
    })
}

pub(super) fn indexed(op: Indexed, n: i64, site: &Site<'_>) -> Option<Run> {
    let dtype = site.out.ty.dtype;
    by_dtype!(pair dtype, T => return run1(site, move |x: &[T], out: &mut [T]| map(x, out, |z| Pair::of(op.complex(n, Pair::to(z))))), else {});
    by_dtype!(float dtype, T => return rows!(op, Indexed: Powi Polygamma BesselJ BesselY BesselI BesselIe BesselK BesselKe;
        ROW => run1(site, move |x: &[T], out: &mut [T]| map(x, out, |x| T::of(ROW.float(n, x.to()))))), else {});
    by_dtype!(bits dtype, T => run1(site, move |x: &[T], out: &mut [T]| map(x, out, |x| T::of(op.int(n, x.to())))), else None)
}

pub(super) fn binary(op: Binary, site: &Site<'_>) -> Option<Run> {
    let dtype = site.out.ty.dtype;
    by_dtype!(pair dtype, T => return binary_pair::<T>(op, site), else {});
    by_dtype!(float dtype, T => return run2(site, binary_float::<T>(op)), else {});
    by_dtype!(number dtype, T => if let Some(f) = binary_number::<T>(op) { return run2(site, f) }, else {});
    op.int()?;
    by_dtype!(bits dtype, T => run2(site, binary_bits::<T>(op)), else None)
}

fn binary_float<T: Float>(op: Binary) -> Loop2<T, T, T> {
    match binary_number::<T>(op) {
        Some(f) => f,
        None => {
            binary_rows!(op, ROW => |x, y, out| map2(x, y, out, |x, y| T::of(ROW.float(x.to(), y.to()))))
        }
    }
}

fn binary_pair<T: Pair>(op: Binary, site: &Site<'_>) -> Option<Run> {
    match op {
        Binary::Add => run2(site, |x: &[T], y: &[T], out: &mut [T]| {
            map2(x, y, out, T::plus)
        }),
        _ => {
            let f = op.complex()?;
            run2(site, move |x: &[T], y: &[T], out: &mut [T]| {
                map2(x, y, out, |x, y| T::of(f(x.to(), y.to())))
            })
        }
    }
}

/// Rows that are the same in the type itself as in the wider one.
fn binary_number<T: Ordered>(op: Binary) -> Option<Loop2<T, T, T>> {
    Some(match op {
        Binary::Add => |x, y, out| map2(x, y, out, T::plus),
        Binary::Mul => |x, y, out| map2(x, y, out, T::times),
        Binary::Zmul => |x, y, out| {
            map2(x, y, out, |x, y| {
                let product = x.times(y);
                if product.is_nan() && (x == T::NOTHING || y == T::NOTHING) {
                    T::NOTHING
                } else {
                    product
                }
            })
        },
        Binary::Maximum => |x, y, out| map2(x, y, out, T::larger),
        Binary::Minimum => |x, y, out| map2(x, y, out, T::smaller),
        _ => return None,
    })
}

fn binary_bits<T: Bits>(op: Binary) -> Loop2<T, T, T> {
    binary_rows!(op, ROW => |x, y, out| if let Some(f) = ROW.int() {
        map2(x, y, out, |x, y| T::of(f(x.to(), y.to())))
    })
}

pub(super) fn compare(op: Compare, site: &Site<'_>) -> Option<Run> {
    let dtype = site.args.first()?.ty.dtype;
    by_dtype!(pair dtype, T => return run2(site, move |x: &[T], y: &[T], out: &mut [bool]| {
        map2(x, y, out, |x, y| op.complex(Pair::to(x), Pair::to(y)))
    }), else {});
    by_dtype!(float dtype, T => return run2(site, compare_float::<T>(op)), else {});
    by_dtype!(bits dtype, T => run2(site, compare_bits::<T>(op)), else None)
}

fn compare_float<T: Float>(op: Compare) -> Loop2<T, T, bool> {
    compare_rows!(op, ROW => |x, y, out| map2(x, y, out, |x, y| ROW.float(x.to(), y.to())))
}

fn compare_bits<T: Bits>(op: Compare) -> Loop2<T, T, bool> {
    compare_rows!(op, ROW => |x, y, out| map2(x, y, out, |x, y| ROW.int(x.to(), y.to())))
}

pub(super) fn test(op: Test, site: &Site<'_>) -> Option<Run> {
    let dtype = site.args.first()?.ty.dtype;
    by_dtype!(pair dtype, T => return run1(site, move |x: &[T], out: &mut [bool]| {
        map(x, out, |z| op.complex(Pair::to(z)))
    }), else {});
    by_dtype!(float dtype, T => return run1(site, test_float::<T>(op)), else {});
    by_dtype!(bits dtype, T => run1(site, move |x: &[T], out: &mut [bool]| map(x, out, |_| op.int())), else None)
}

fn test_float<T: Float>(op: Test) -> Loop1<T, bool> {
    rows!(op, Test: IsFinite IsNan IsInf; ROW => |x, out| map(x, out, |x| ROW.float(x.to())))
}

pub(super) fn ternary(op: Ternary, site: &Site<'_>) -> Option<Run> {
    let dtype = site.out.ty.dtype;
    match op {
        // Only bits move, so one loop serves all dtypes of a size.
        Ternary::Select => by_dtype!(size dtype, T => run3(site, select::<T>), else None),
        Ternary::Clamp => by_dtype!(number dtype, T => run3(site, clamp::<T>), else None),
    }
}

fn select<T: Cell>(condition: &[bool], x: &[T], y: &[T], out: &mut [T]) {
    for (out, (c, (x, y))) in out.iter_mut().zip(condition.iter().zip(x.iter().zip(y))) {
        *out = if *c { *x } else { *y };
    }
}

fn clamp<T: Ordered>(x: &[T], low: &[T], high: &[T], out: &mut [T]) {
    for (out, (x, (low, high))) in out.iter_mut().zip(x.iter().zip(low.iter().zip(high))) {
        *out = x.larger(*low).smaller(*high);
    }
}

/// The functions are long, so that a call of each costs nothing to speak of.
pub(super) fn special(op: Special, orders: Orders, site: &Site<'_>) -> Option<Run> {
    by_dtype!(float site.out.ty.dtype, T => special_of::<T>(op, orders, site), else None)
}

fn special_of<T: Float>(op: Special, orders: Orders, site: &Site<'_>) -> Option<Run> {
    if op.operands() == 2 {
        return run2(site, move |x: &[T], y: &[T], out: &mut [T]| {
            map2(x, y, out, |x, y| T::of(op.float2(orders, x.to(), y.to())));
        });
    }
    run3(site, move |x: &[T], y: &[T], z: &[T], out: &mut [T]| {
        for (out, (x, (y, z))) in out.iter_mut().zip(x.iter().zip(y.iter().zip(z))) {
            *out = T::of(op.float3(orders, x.to(), y.to(), z.to()));
        }
    })
}

pub(super) fn convert(site: &Site<'_>) -> Option<Run> {
    let from = site.args.first()?.ty.dtype;
    by_dtype!(any from, A => by_dtype!(any site.out.ty.dtype, U => {
        let convert: Loop1<A, U> = |x, out| map(x, out, |x| U::from_scalar(x.to_scalar()));
        run1(site, convert)
    }, else None), else None)
}

#[inline(always)]
fn map<A: Element, U: Element>(x: &[A], out: &mut [U], f: impl Fn(A) -> U) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f(*x);
    }
}

#[inline(always)]
fn map2<A: Element, U: Element>(x: &[A], y: &[A], out: &mut [U], f: impl Fn(A, A) -> U) {
    for (out, (x, y)) in out.iter_mut().zip(x.iter().zip(y)) {
        *out = f(*x, *y);
    }
}

fn run1<A: Cell, U: Cell>(
    site: &Site<'_>,
    f: impl Fn(&[A], &mut [U]) + Send + Sync + 'static,
) -> Option<Run> {
    let [x] = site.args else { return None };
    let (x, out, in_place) = (x.slot, site.out.slot, site.in_place);
    let work = site.work;
    Some(Box::new(move |frame| {
        divided(frame, work, out.len, |frame, range| {
            // SAFETY: the plan was checked: the operand has as many elements as the result or one, and
            // where they share memory the operand is read before the result is written.
            unsafe {
                let mut block = Block::uninit();
                let x = Feed::<A>::new(frame, x, out.len, &mut block);
                let whole = x.is_plain() && !in_place;
                each_block(frame, out, range, whole, in_place, |from, count, sink| {
                    sink.put(from, count, |out| f(x.block(from, count), out));
                });
            }
        })
    }))
}

fn run2<A: Cell, B: Cell, U: Cell>(
    site: &Site<'_>,
    f: impl Fn(&[A], &[B], &mut [U]) + Send + Sync + 'static,
) -> Option<Run> {
    let [x, y] = site.args else { return None };
    let (x, y, out, in_place) = (x.slot, y.slot, site.out.slot, site.in_place);
    let work = site.work;
    Some(Box::new(move |frame| {
        divided(frame, work, out.len, |frame, range| {
            // SAFETY: as in `run1`.
            unsafe {
                let (mut first, mut second) = (Block::uninit(), Block::uninit());
                let (x, y) = (
                    Feed::<A>::new(frame, x, out.len, &mut first),
                    Feed::<B>::new(frame, y, out.len, &mut second),
                );
                let whole = x.is_plain() && y.is_plain() && !in_place;
                each_block(frame, out, range, whole, in_place, |from, count, sink| {
                    sink.put(from, count, |out| {
                        f(x.block(from, count), y.block(from, count), out)
                    });
                });
            }
        })
    }))
}

fn run3<A: Cell, B: Cell, C: Cell, U: Cell>(
    site: &Site<'_>,
    f: impl Fn(&[A], &[B], &[C], &mut [U]) + Send + Sync + 'static,
) -> Option<Run> {
    let [x, y, z] = site.args else { return None };
    let (x, y, z, out, in_place) = (x.slot, y.slot, z.slot, site.out.slot, site.in_place);
    let work = site.work;
    Some(Box::new(move |frame| {
        divided(frame, work, out.len, |frame, range| {
            // SAFETY: as in `run1`.
            unsafe {
                let mut first = Block::uninit();
                let (mut second, mut third) = (Block::uninit(), Block::uninit());
                let x = Feed::<A>::new(frame, x, out.len, &mut first);
                let (y, z) = (
                    Feed::<B>::new(frame, y, out.len, &mut second),
                    Feed::<C>::new(frame, z, out.len, &mut third),
                );
                let whole = x.is_plain() && y.is_plain() && z.is_plain() && !in_place;
                each_block(frame, out, range, whole, in_place, |from, count, sink| {
                    let (x, y, z) = (
                        x.block(from, count),
                        y.block(from, count),
                        z.block(from, count),
                    );
                    sink.put(from, count, |out| f(x, y, z, out));
                });
            }
        })
    }))
}

/// Calls `f` for all elements, divided between threads in whole blocks.
#[inline(always)]
fn divided(
    frame: &Frame<'_>,
    work: u64,
    n: usize,
    f: impl Fn(&Frame<'_>, Range<usize>),
) -> Result<(), RunError> {
    let blocks = n.div_ceil(BLOCK);
    let parts = frame.team.parts(work, blocks);
    if parts == 1 {
        f(frame, 0..n);
        return Ok(());
    }
    // SAFETY: parts write elements of their own, and in place they read the same ones.
    let shared = unsafe { Shared::new((frame, &f)) };
    frame.team.each(work, parts, |part, _| {
        let (frame, f) = *shared.get();
        let blocks = share(blocks, part, parts);
        f(frame, blocks.start * BLOCK..n.min(blocks.end * BLOCK));
        Ok(())
    })
}

/// Calls `f` for a range of elements at once, or block by block.
#[inline(always)]
fn each_block<U: Cell>(
    frame: &Frame<'_>,
    out: Slot,
    range: Range<usize>,
    whole: bool,
    in_place: bool,
    mut f: impl FnMut(usize, usize, &mut Sink<'_, U>),
) {
    let mut block = Block::uninit();
    let mut sink = Sink::new(frame, out, in_place, &mut block);
    if whole {
        return f(range.start, range.len(), &mut sink);
    }
    for from in range.clone().step_by(BLOCK) {
        f(from, BLOCK.min(range.end - from), &mut sink);
    }
}
