//! `dot`: any contraction, as a batch of products of matrices.
//!
//! Strides express transposed operands. Where the free axes of the first operand cannot be walked with one step,
//! the first of them count the products of a batch instead, whose second operand stays. Otherwise an operand is
//! copied to working memory where its free or its contracted axes cannot be walked with one step.

use cotangent_array::Shape;
use cotangent_compile::Triangles;
use cotangent_graph::TensorType;
use cotangent_graph::ops::Dot;
use smallvec::SmallVec;

use super::gemm::{self, Batch, Matrix, Means, Ready, multiply_all, multiply_triangles};
use super::moves::strides;
use super::walk::{Dim, Walk};
use super::{Site, resized};
use crate::RunError;
use crate::memory::{Frame, Run};
use crate::number::{Number, by_dtype};
use crate::pool::{self, DIVIDE, Team};

/// `front` says how many free axes of the first operand stay in front where the result is turned.
pub(super) fn scratch(op: &Dot, front: Option<usize>, x: &TensorType, y: &TensorType) -> usize {
    let product = Product::new(op, front, &x.shape, &y.shape);
    let copies = product.a.room() + product.b.room();
    let packed = by_dtype!(numeric x.dtype, T => product.packed::<T>(), else 0);
    copies.saturating_add(packed).saturating_mul(x.dtype.size())
}

/// `front` as for [`scratch`].
pub(super) fn dot(op: &Dot, front: Option<usize>, site: &Site<'_>) -> Option<Run> {
    let [x, y] = site.args else { return None };
    let product = Product::new(op, front, &x.ty.shape, &y.ty.shape);
    let dtype = site.out.ty.dtype;
    let scratch = resized(site.scratch, dtype.size());
    let (x, y, out) = (x.slot, y.slot, site.out.slot);
    by_dtype!(numeric dtype, T => {
        if site.work >= DIVIDE {
            site.wants(product.packed::<T>().saturating_mul(dtype.size()));
        } else if let Some(ready) = product.ready::<T>() {
            let (x, y) = if product.swapped { (y, x) } else { (x, y) };
            return Some(Box::new(move |frame: &mut Frame<'_>| {
                // SAFETY: as below.
                unsafe { ready.run(frame.read(x), frame.read(y), frame.write(out)) };
                Ok(())
            }));
        }
        Some(Box::new(move |frame: &mut Frame<'_>| {
            // SAFETY: the plan was checked: nothing that is written overlaps anything else, and the
            // types are those of the plan. Working memory holds any numbers.
            unsafe {
                let (x, y) = (frame.read::<T>(x), frame.read::<T>(y));
                let (out, scratch) = (frame.write::<T>(out), frame.write::<T>(scratch));
                product.run(x, y, out, scratch, &frame.team)
            }
        }) as Run)
    }, else None)
}

/// A product of which parts need not be multiplied.
pub(super) fn triangular(op: &Dot, triangles: &Triangles, site: &Site<'_>) -> Option<Run> {
    let [x, y] = site.args else { return None };
    let product = Product::new(op, None, &x.ty.shape, &y.ty.shape);
    let triangles = match product.swapped {
        true => triangles.turned(),
        false => *triangles,
    };
    let dtype = site.out.ty.dtype;
    let scratch = resized(site.scratch, dtype.size());
    let (x, y, out) = (x.slot, y.slot, site.out.slot);
    by_dtype!(float dtype, T => {
        if site.work >= DIVIDE {
            site.wants(product.packed::<T>().saturating_mul(dtype.size()));
        }
        Some(Box::new(move |frame: &mut Frame<'_>| {
            // SAFETY: as for `dot`.
            unsafe {
                let (x, y) = (frame.read::<T>(x), frame.read::<T>(y));
                let (out, scratch) = (frame.write::<T>(out), frame.write::<T>(scratch));
                product.each(x, y, out, scratch, &frame.team, |inner, a, b, out, means| {
                    let sizes = [product.m, product.n, product.k];
                    let out = (out, product.n);
                    multiply_triangles(sizes, inner, a, b, out, &triangles, means)
                })
            }
        }) as Run)
    }, else None)
}

/// A batch of products of matrices.
struct Product {
    /// Whether the second operand is the first here.
    swapped: bool,
    /// Rows and columns of a result, terms of each element.
    m: usize,
    n: usize,
    k: usize,
    /// For each shared axis its length and the steps in both operands.
    batch: SmallVec<[(usize, usize, usize); 2]>,
    a: Side,
    b: Side,
}

/// An axis that counts products: its length and the steps in both operands and the result.
#[derive(Clone, Copy)]
struct Count {
    n: usize,
    a: usize,
    b: usize,
    out: usize,
}

/// One operand: the steps of its free and of its contracted axes, after a copy if there is one.
struct Side {
    free: usize,
    contract: usize,
    batch: SmallVec<[usize; 2]>,
    copied: Option<(Walk, usize)>,
}

impl Product {
    fn new(op: &Dot, front: Option<usize>, x: &Shape, y: &Shape) -> Product {
        let (free_x, free_y) = op.free_axes(x.rank(), y.rank());
        // Of a vector and matrices whose rows stand apart, the matrices count products.
        let vector = free_x.iter().all(|axis| x.get(*axis) == Some(&1));
        if front.is_none() && vector && joined(y, &y.strides(), &free_y).is_none() {
            let product = Product::new(&op.flipped(), None, y, x);
            return Product {
                swapped: true,
                ..product
            };
        }
        let (alone, free_x) = match front {
            Some(front) => free_x.split_at(front.min(free_x.len())),
            None => peeled(
                x,
                &free_x,
                free_y.iter().all(|axis| y.get(*axis) == Some(&1)),
            ),
        };
        let length = |shape: &Shape, axes: &[usize]| {
            axes.iter()
                .filter_map(|a| shape.get(*a))
                .fold(1_usize, |n, d| n.saturating_mul(*d))
        };
        // Contracted pairs may be taken in any order that is the same for both operands.
        let pairs: Vec<(usize, usize)> = op
            .contract
            .0
            .iter()
            .copied()
            .zip(op.contract.1.iter().copied())
            .collect();
        let (mut by_x, mut by_y) = (pairs.clone(), pairs);
        by_x.sort_unstable();
        by_y.sort_unstable_by_key(|(_, y)| *y);
        let counted: Vec<usize> = op.batch.0.iter().chain(alone).copied().collect();
        let sides = [by_x, by_y].map(|pairs| {
            let (of_x, of_y): (Vec<usize>, Vec<usize>) = pairs.into_iter().unzip();
            let mut b = Side::new(y, &op.batch.1, &free_y, &of_y);
            b.batch.extend(alone.iter().map(|_| 0));
            let a = Side::new(x, &counted, free_x, &of_x);
            if front.is_some() { (b, a) } else { (a, b) }
        });
        let [first, second] = sides;
        let room = |(a, b): &(Side, Side)| a.room() + b.room();
        let (a, b) = if room(&second) < room(&first) {
            second
        } else {
            first
        };
        let sizes = counted.iter().filter_map(|axis| x.get(*axis));
        let counts = sizes.zip(a.batch.iter().zip(&b.batch));
        let batch = counted_as_one(counts.map(|(n, (a, b))| (*n, *a, *b)));
        let (mut m, mut n) = (length(x, free_x), length(y, &free_y));
        if front.is_some() {
            std::mem::swap(&mut m, &mut n);
        }
        Product {
            swapped: front.is_some(),
            m,
            n,
            k: length(x, &op.contract.0),
            batch,
            a,
            b,
        }
    }

    /// Elements of working memory that one of the products wants.
    fn packed<T>(&self) -> usize {
        let (a, b) = (&self.a, &self.b);
        let steps = ([a.free, a.contract], [b.contract, b.free]);
        gemm::room::<T>([self.m, self.n, self.k], steps.0, steps.1)
    }

    /// The product as one call, if nothing is copied or packed.
    fn ready<T: Number>(&self) -> Option<Ready<T>> {
        let batch = match self.batch[..] {
            [] => Batch::ONE,
            [(members, a, b)] => Batch {
                members,
                a,
                b,
                out: self.m.checked_mul(self.n)?,
            },
            _ => return None,
        };
        if self.a.copied.is_some() || self.b.copied.is_some() {
            return None;
        }
        let (a, b) = (&self.a, &self.b);
        let steps = ([a.free, a.contract], [b.contract, b.free]);
        Ready::new([self.m, self.n, self.k], batch, steps.0, steps.1)
    }

    fn run<T: Number>(
        &self,
        x: &[T],
        y: &[T],
        out: &mut [T],
        scratch: &mut [T],
        team: &Team,
    ) -> Result<(), RunError> {
        let sizes = [self.m, self.n, self.k];
        self.each(x, y, out, scratch, team, |inner, a, b, out, means| {
            multiply_all(sizes, inner, a, b, out, self.n, means)
        })
    }

    /// Multiplies by a kernel that walks along one of the counted axes.
    #[inline(always)]
    fn each<T: Number>(
        &self,
        x: &[T],
        y: &[T],
        out: &mut [T],
        scratch: &mut [T],
        team: &Team,
        multiply: impl Fn(
            Batch,
            Matrix<'_, T>,
            Matrix<'_, T>,
            &mut [T],
            Means<'_, T>,
        ) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let (x, y) = if self.swapped { (y, x) } else { (x, y) };
        let size = self.m.saturating_mul(self.n);
        if out.is_empty() || size == 0 {
            return Ok(());
        }
        let (left, rest) = scratch.split_at_mut(self.a.room().min(scratch.len()));
        let (right, packed) = rest.split_at_mut(self.b.room().min(rest.len()));
        let (x, y) = (
            self.a.elements(x, left, team)?,
            self.b.elements(y, right, team)?,
        );
        // The kernel walks along the longest of the counted axes by itself.
        let mut apart = size;
        let mut outer: SmallVec<[Count; 4]> = SmallVec::new();
        for (n, a, b) in self.batch.iter().rev().copied() {
            let out = apart;
            apart = apart.saturating_mul(n);
            outer.push(Count { n, a, b, out });
        }
        let longest = (0..outer.len()).rev().max_by_key(|i| outer[*i].n);
        let inner = longest.map_or(Batch::ONE, |i| {
            let Count { n, a, b, out } = outer.remove(i);
            let members = n;
            Batch { members, a, b, out }
        });
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, outer.len());
        let (mut at_x, mut at_y, mut at_out) = (0, 0, 0);
        let times = outer
            .iter()
            .fold(1_usize, |all, count| all.saturating_mul(count.n));
        for _ in 0..times {
            let a = Matrix {
                elements: &x[at_x.min(x.len())..],
                row: self.a.free,
                column: self.a.contract,
            };
            let b = Matrix {
                elements: &y[at_y.min(y.len())..],
                row: self.b.contract,
                column: self.b.free,
            };
            let (out, scratch) = (&mut out[at_out..], &mut *packed);
            multiply(inner, a, b, out, Means { scratch, team })?;
            for (i, count) in index.iter_mut().zip(&outer) {
                *i += 1;
                at_x += count.a;
                at_y += count.b;
                at_out += count.out;
                if *i < count.n {
                    break;
                }
                *i = 0;
                at_x -= count.a * count.n;
                at_y -= count.b * count.n;
                at_out -= count.out * count.n;
            }
        }
        Ok(())
    }
}

impl Side {
    fn new(shape: &Shape, batch: &[usize], free: &[usize], contract: &[usize]) -> Side {
        if shape.elements() == 0 {
            let batch = SmallVec::from_elem(0, batch.len());
            return Side {
                free: 1,
                contract: 1,
                batch,
                copied: None,
            };
        }
        let steps = shape.strides();
        let step = |axis: &usize| steps.get(*axis).copied().unwrap_or(0);
        if let (Some(free), Some(contract)) =
            (joined(shape, &steps, free), joined(shape, &steps, contract))
        {
            return Side {
                free,
                contract,
                batch: batch.iter().map(step).collect(),
                copied: None,
            };
        }
        // A copy in the order: shared axes, free axes, contracted axes.
        let order: Vec<usize> = batch.iter().chain(free).chain(contract).copied().collect();
        let copy: Shape = order
            .iter()
            .map(|a| shape.get(*a).copied().unwrap_or(1))
            .collect();
        let (from, to) = (strides(shape), copy.strides());
        let dims = order.iter().zip(copy.iter()).zip(&to);
        let dims = dims.map(|((a, n), to)| Dim {
            n: *n,
            from: from.get(*a).copied().unwrap_or(0),
            to: *to,
        });
        let walk = Walk::new(dims, 0, 0);
        let terms = contract.iter().filter_map(|a| shape.get(*a)).product();
        Side {
            free: terms,
            contract: 1,
            batch: to.iter().take(batch.len()).copied().collect(),
            copied: Some((walk, shape.elements())),
        }
    }

    /// Elements of working memory, in whole lines of 64 bytes for any dtype.
    fn room(&self) -> usize {
        self.copied
            .as_ref()
            .map_or(0, |(_, n)| n.next_multiple_of(64))
    }

    fn elements<'a, T: Number>(
        &self,
        x: &'a [T],
        scratch: &'a mut [T],
        team: &Team,
    ) -> Result<&'a [T], RunError> {
        match &self.copied {
            None => Ok(x),
            Some((walk, n)) => {
                let work = pool::nanoseconds_of_bytes(2 * n * size_of::<T>());
                walk.copy_with(x, scratch, work, team)?;
                Ok(&scratch[..*n])
            }
        }
    }
}

/// Axes that count products (their lengths and the steps in both operands), those as one that one step leads
/// through: a kernel does the members of one axis in a call, and divides them among threads.
fn counted_as_one(
    counts: impl Iterator<Item = (usize, usize, usize)>,
) -> SmallVec<[(usize, usize, usize); 2]> {
    let mut joined: SmallVec<[(usize, usize, usize); 2]> = SmallVec::new();
    for (n, a, b) in counts.filter(|(n, ..)| *n != 1) {
        let steps = (n.checked_mul(a), n.checked_mul(b));
        match joined.last_mut() {
            Some((count, x, y)) if steps == (Some(*x), Some(*y)) => {
                (*count, *x, *y) = (count.saturating_mul(n), a, b);
            }
            _ => joined.push((n, a, b)),
        }
    }
    joined
}

/// Free axes of a first operand that count products, and those that are the rows of one: all of them where one
/// step walks these, or where a product would have few rows. Products with a `vector` are cheap.
fn peeled<'a>(x: &Shape, free: &'a [usize], vector: bool) -> (&'a [usize], &'a [usize]) {
    let fewest = if vector { 2 } else { FEWEST_ROWS };
    let steps = x.strides();
    let rows = |axes: &[usize]| axes.iter().filter_map(|a| x.get(*a)).product::<usize>();
    let splits = (0..free.len()).map(|k| free.split_at(k));
    let mut walked = splits.filter(|(_, rest)| joined(x, &steps, rest).is_some());
    let found = walked.next().filter(|(_, rest)| rows(rest) >= fewest);
    found.unwrap_or((&[], free))
}

/// Products of fewer rows are not worth a batch of their own.
const FEWEST_ROWS: usize = 16;

/// The one step with which these axes can be walked in row-major order, if there is one.
fn joined(shape: &Shape, steps: &[usize], axes: &[usize]) -> Option<usize> {
    let mut inner: Option<(usize, usize)> = None;
    let mut whole = 1_usize;
    for axis in axes.iter().rev() {
        let (n, step) = (*shape.get(*axis)?, *steps.get(*axis)?);
        if n == 1 {
            continue;
        }
        match inner {
            None => inner = Some((step, n)),
            Some((first, _)) if step != first.checked_mul(whole)? => return None,
            Some(_) => {}
        }
        whole = whole.checked_mul(n)?;
    }
    Some(inner.map_or(1, |(step, _)| step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(op: &Dot, x: impl Into<Shape>, y: impl Into<Shape>) -> usize {
        let product = Product::new(op, None, &x.into(), &y.into());
        product.a.room() + product.b.room()
    }

    fn op(x: &[usize], y: &[usize]) -> Dot {
        Dot {
            contract: (x.to_vec(), y.to_vec()),
            batch: (Vec::new(), Vec::new()),
        }
    }

    #[test]
    fn transposed_operands_are_not_copied() {
        assert_eq!(room(&op(&[1], &[0]), [3, 4], [4, 5]), 0);
        assert_eq!(room(&op(&[0], &[0]), [4, 3], [4, 5]), 0);
        assert_eq!(room(&op(&[1], &[1]), [3, 4], [5, 4]), 0);
        assert_eq!(room(&op(&[0, 1], &[0, 1]), [4, 3, 2], [4, 3, 5]), 0);
        // Pairs in the wrong order, but the order of pairs is free.
        assert_eq!(room(&op(&[1, 0], &[1, 0]), [4, 3, 2], [4, 3, 5]), 0);
    }

    #[test]
    fn rows_apart_make_a_batch() {
        let product = Product::new(&op(&[1], &[0]), None, &[3, 4, 16].into(), &[4, 5].into());
        assert_eq!(product.a.room() + product.b.room(), 0);
        assert_eq!((product.m, product.n, product.k), (16, 5, 4));
        assert_eq!(product.batch[..], [(3, 64, 0)]);
    }

    #[test]
    fn matrices_apart_make_a_batch_for_a_vector() {
        let op = Dot {
            contract: (vec![1], vec![2]),
            batch: (vec![0], vec![1]),
        };
        let product = Product::new(&op, None, &[9, 3].into(), &[5, 9, 3, 4].into());
        assert!(product.swapped);
        assert_eq!(product.a.room() + product.b.room(), 0);
        assert_eq!((product.m, product.n, product.k), (4, 1, 3));
        assert_eq!(product.batch[..], [(9, 12, 3), (5, 108, 0)]);
    }

    #[test]
    fn axes_of_one_step_make_one_batch() {
        let op = Dot {
            contract: (vec![4], vec![3]),
            batch: (vec![0, 1, 2], vec![0, 1, 2]),
        };
        let batch = |x: [usize; 5], y: [usize; 5]| {
            Product::new(&op, None, &x.into(), &y.into()).batch.to_vec()
        };
        assert_eq!(batch([2, 3, 4, 5, 6], [2, 3, 4, 6, 7]), [(24, 30, 42)]);
        assert_eq!(batch([2, 1, 4, 5, 6], [2, 1, 4, 6, 7]), [(8, 30, 42)]);
        // Heads beside the elements of each place: no step leads from the last head to the next member.
        let op = Dot {
            contract: (vec![3], vec![3]),
            batch: (vec![0, 2], vec![0, 2]),
        };
        let (x, y) = ([2, 9, 3, 4].into(), [2, 8, 3, 4].into());
        let product = Product::new(&op, None, &x, &y);
        assert_eq!(product.batch[..], [(2, 108, 96), (3, 4, 4)]);
    }

    #[test]
    fn what_no_step_walks_is_copied() {
        assert_eq!(room(&op(&[1], &[0]), [3, 4, 2], [4, 5]), 64);
        assert_eq!(room(&op(&[0, 2], &[0, 1]), [3, 4, 2], [3, 2, 5]), 64);
    }
}
