//! Products of rows with matrices as stages of row blocks.

use cotangent_array::{DType, Shape};
use cotangent_graph::Op;
use cotangent_graph::ops::ArrayOp;
use smallvec::SmallVec;

use crate::plan::{Step, StepOp};
use crate::triangles::Triangles;

/// The fewest terms and columns of a matrix: rows times less are no work beside reading them.
const SMALLEST: usize = 16;
/// The most of terms or columns, whichever are fewer, of a matrix that rows are multiplied with while they are in
/// a cache. With more of them the product takes so long that it is of no account where its rows come from.
const NARROWEST: usize = 128;
/// A matrix is read again for every few rows, so it must stand in the second cache, of which this is as many
/// times what a row block keeps there otherwise.
const NEAR: usize = 8;
/// The rows of a step that are in memory anyway are kept in a cache where they are as many times what a row block
/// keeps there: fewer stay in that cache by themselves.
const FAR: usize = 16;
/// Bytes of a line of a cache, of which the columns of a packed matrix fill whole ones.
const LINE: usize = 64;

/// The product of each row with a matrix, of which there is one for every so many rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowMatrix {
    /// The dtype of rows, matrices and results.
    pub dtype: DType,
    /// How many rows are multiplied with one matrix.
    pub rows: usize,
    /// The elements of a row, as many as a matrix has rows.
    pub terms: usize,
    /// The elements of a row of the result, as many as a matrix has columns.
    pub columns: usize,
    /// How many matrices there are: axes that count them, each with the step from one to the next.
    pub matrices: SmallVec<[(usize, usize); 2]>,
    /// The steps from a row and from a column of a matrix to the next.
    pub steps: [usize; 2],
    /// What need not be multiplied; never of the matrices.
    pub triangles: Triangles,
}

impl RowMatrix {
    /// The product that a step is, where that is one of rows that stand in order.
    pub(super) fn of(step: &Step) -> Option<RowMatrix> {
        let (op, triangles) = match &step.op {
            StepOp::Op(op) => (op, Triangles::default()),
            StepOp::Triangular(op, triangles) => (op, **triangles),
            _ => return None,
        };
        let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (op, &step.args[..]) else {
            return None;
        };
        let (of_x, of_y) = (&x.ty.shape, &y.ty.shape);
        let (free_x, free_y) = dot.free_axes(of_x.rank(), of_y.rank());
        let mut pairs: Vec<(usize, usize)> = (dot.contract.0.iter().copied())
            .zip(dot.contract.1.iter().copied())
            .collect();
        pairs.sort_unstable();
        let (by_x, by_y): (Vec<usize>, Vec<usize>) = pairs.into_iter().unzip();
        let order = dot.batch.0.iter().chain(&free_x).chain(&by_x);
        if !order.copied().eq(0..of_x.rank()) || triangles.second.is_some() {
            return None;
        }
        let strides = of_y.strides();
        let matrices = dot.batch.1.iter().map(|axis| {
            let step = strides.get(*axis)?;
            Some((of_y.get(*axis).copied()?, *step))
        });
        let length = |shape: &Shape, axes: &[usize]| {
            let sizes = axes.iter().filter_map(|axis| shape.get(*axis));
            sizes.fold(1_usize, |all, n| all.saturating_mul(*n))
        };
        let product = RowMatrix {
            dtype: x.ty.dtype,
            rows: length(of_x, &free_x),
            terms: length(of_x, &by_x),
            columns: length(of_y, &free_y),
            matrices: matrices.collect::<Option<_>>()?,
            steps: [
                walked(of_y, &strides, &by_y)?,
                walked(of_y, &strides, &free_y)?,
            ],
            triangles,
        };
        let fits = product.check().is_ok() && product.terms.min(product.columns) >= SMALLEST;
        fits.then_some(product)
    }

    /// Whether it is worth to multiply while rows are at hand, of which `fast` bytes are kept in a cache, where
    /// they make so many bytes in all.
    pub(super) fn is_near(&self, fast: usize, bytes: usize) -> bool {
        self.terms.min(self.columns) <= NARROWEST
            && self.packed().saturating_mul(self.dtype.size()) <= fast.saturating_mul(NEAR)
            && bytes >= fast.saturating_mul(FAR)
    }

    /// How many matrices there are.
    pub fn count(&self) -> usize {
        let counts = self.matrices.iter().map(|(n, _)| *n);
        counts.fold(1, usize::saturating_mul)
    }

    /// All rows.
    pub fn all_rows(&self) -> usize {
        self.count().saturating_mul(self.rows)
    }

    /// The elements of a matrix with its columns in whole lines.
    pub fn packed(&self) -> usize {
        let width = LINE / self.dtype.size().max(1);
        let columns = self.columns.div_ceil(width.max(1)).saturating_mul(width);
        columns.saturating_mul(self.terms)
    }

    /// The bytes of working memory: a line that says which matrix stands behind it.
    pub(super) fn scratch(&self) -> usize {
        let packed = self.packed().saturating_mul(self.dtype.size());
        packed.saturating_add(LINE)
    }

    /// The elements that an array of all matrices has at least; `None` where that is no number.
    pub(super) fn matrix_elements(&self) -> Option<usize> {
        let [row, column] = self.steps;
        let axes = [(self.terms, row), (self.columns, column)];
        axes.iter()
            .chain(&self.matrices)
            .try_fold(1, |end: usize, (n, step)| {
                end.checked_add(n.checked_sub(1)?.checked_mul(*step)?)
            })
    }

    pub(super) fn cost(&self) -> u64 {
        let all = [self.all_rows(), self.terms, self.columns, 2];
        let all = all
            .iter()
            .fold(1_u64, |all, n| all.saturating_mul(*n as u64));
        self.triangles
            .cost(all, [self.rows, self.columns, self.terms])
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.dtype.is_float() {
            return Err("expected a product of floats".into());
        }
        // One row or column is a product with a vector, which adds in another order.
        if self.rows < 2 || self.columns < 2 || self.terms < 2 || self.count() == 0 {
            return Err("expected a product of matrices".into());
        }
        let most = isize::MAX as usize / 16;
        let sizes = [
            self.all_rows().saturating_mul(self.terms.max(self.columns)),
            self.matrix_elements().unwrap_or(usize::MAX),
            self.packed(),
        ];
        match sizes.iter().all(|n| *n <= most) && self.triangles.second.is_none() {
            true => Ok(()),
            false => Err("the product of rows is larger than memory, or of triangles".into()),
        }
    }
}

/// The one step with which these axes are walked in order, if there is one.
fn walked(shape: &Shape, strides: &[usize], axes: &[usize]) -> Option<usize> {
    let mut found = None;
    let mut next = 0;
    for axis in axes.iter().rev() {
        let (n, step) = (*shape.get(*axis)?, *strides.get(*axis)?);
        if n == 1 {
            continue;
        }
        if found.is_some() && step != next {
            return None;
        }
        found = found.or(Some(step));
        next = step.checked_mul(n)?;
    }
    Some(found.unwrap_or(1))
}
