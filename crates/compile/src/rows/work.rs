//! What a stage of a row block does, and what of it belongs to which row.

use std::sync::Arc;

use cotangent_array::DType;
use cotangent_graph::Op;
use cotangent_graph::ops::ArrayOp;

use super::aligned::{joins_rows, row_of, row_of_input};
use super::matrix::RowMatrix;
use crate::lane::LaneProgram;
use crate::plan::{Step, StepOp};

/// The fewest elements of a row of a matrix; vectors with an element for each shorter one would take about as
/// much memory as it does.
const SHORTEST: usize = 8;

/// What a stage of a row block does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowWork {
    /// Operations fused into one loop nest.
    Region(Arc<LaneProgram>),
    /// The product of a matrix with a vector.
    Product(RowProduct),
    /// The product of each row with a matrix.
    Matrix(Arc<RowMatrix>),
}

/// The product of a matrix, whose rows are those of the block, with a vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowProduct {
    /// The dtype of matrix, vector and result.
    pub dtype: DType,
    /// The number of rows of the matrix.
    pub rows: usize,
    /// The elements of a row.
    pub row: usize,
    /// Whether the matrix is the first operand.
    pub first: bool,
    /// Whether the rows, each times its element of the vector, are added up in ascending order; otherwise the
    /// result has the inner product of each row with the vector.
    pub sums: bool,
}

impl RowProduct {
    /// The product that a step is, where that is one of a whole matrix of floats with a whole vector. Axes of
    /// either may be several, which stand in memory as one.
    pub(super) fn of(step: &Step) -> Option<RowProduct> {
        let (StepOp::Op(Op::Array(ArrayOp::Dot(dot))), [x, y]) = (&step.op, &step.args[..]) else {
            return None;
        };
        let (by_x, by_y) = (&dot.contract.0, &dot.contract.1);
        let first = by_y.len() == y.ty.shape.rank();
        let (matrix, vector, axes, others) = match first {
            true => (&x.ty, &y.ty, by_x, by_y),
            false => (&y.ty, &x.ty, by_y, by_x),
        };
        if !dot.batch.0.is_empty()
            || !vector.dtype.is_float()
            || others.len() != vector.shape.rank()
        {
            return None;
        }
        let mut pairs: Vec<(usize, usize)> =
            (axes.iter().copied()).zip(others.iter().copied()).collect();
        pairs.sort_unstable();
        let (count, rank) = (pairs.len(), matrix.shape.rank());
        let begin = pairs.first()?.0;
        let straight =
            (pairs.iter().enumerate()).all(|(k, (axis, other))| *axis == begin + k && *other == k);
        let cut = match begin {
            0 => count,
            _ if begin + count == rank => begin,
            _ => return None,
        };
        let (outer, inner) = matrix.shape.dims().split_at_checked(cut)?;
        let product = RowProduct {
            dtype: vector.dtype,
            rows: outer.iter().product(),
            row: inner.iter().product(),
            first,
            sums: begin == 0,
        };
        (straight && product.rows > 1 && product.row >= SHORTEST).then_some(product)
    }

    /// The number of the operand that is the matrix.
    pub fn matrix(&self) -> usize {
        usize::from(!self.first)
    }

    fn elements(&self) -> usize {
        self.rows.saturating_mul(self.row)
    }
}

impl RowWork {
    /// Operations of one run, in units of one addition.
    pub(super) fn cost(&self) -> u64 {
        match self {
            RowWork::Region(region) => region.cost(),
            RowWork::Product(product) => (product.elements() as u64).saturating_mul(2),
            RowWork::Matrix(product) => product.cost(),
        }
    }

    /// The bytes of working memory.
    pub(super) fn scratch(&self) -> usize {
        match self {
            RowWork::Region(region) => region.layout().bytes,
            RowWork::Product(_) => 0,
            RowWork::Matrix(product) => product.scratch(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            RowWork::Region(region) => region.check(),
            RowWork::Product(product) => {
                let elements = product.rows.checked_mul(product.row);
                match product.dtype.is_float() && elements.is_some_and(|n| n > 0) {
                    true => Ok(()),
                    false => Err("expected a product of floats".into()),
                }
            }
            RowWork::Matrix(product) => product.check(),
        }
    }

    /// How many operands and results there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        match self {
            RowWork::Region(region) => (region.inputs.len(), region.outputs.len()),
            RowWork::Product(_) | RowWork::Matrix(_) => (2, 1),
        }
    }

    /// The dtype of an operand, and the elements that it has at least.
    pub(super) fn input(&self, input: usize) -> Option<(DType, usize)> {
        match self {
            RowWork::Region(region) => {
                let own = region.inputs.get(input)?;
                Some((own.dtype, region.input_elements(input)))
            }
            RowWork::Product(product) => {
                let elements = match (input == product.matrix(), product.sums) {
                    (true, _) => product.elements(),
                    (_, true) => product.rows,
                    _ => product.row,
                };
                Some((product.dtype, elements))
            }
            RowWork::Matrix(product) => {
                let elements = match input {
                    0 => product.all_rows().checked_mul(product.terms),
                    _ => product.matrix_elements(),
                };
                Some((product.dtype, elements?))
            }
        }
    }

    /// The dtype of a result, and its elements.
    pub(super) fn output(&self, output: usize) -> Option<(DType, usize)> {
        match self {
            RowWork::Region(region) => {
                let own = region.outputs.get(output)?;
                Some((own.dtype, region.output_elements(output)))
            }
            RowWork::Product(product) => {
                let elements = match product.sums {
                    true => product.row,
                    false => product.rows,
                };
                Some((product.dtype, elements))
            }
            RowWork::Matrix(product) => {
                let elements = product.all_rows().checked_mul(product.columns)?;
                Some((product.dtype, elements))
            }
        }
    }

    /// How many places each of so many rows has; `None` where the places are not those of so many rows.
    pub(super) fn row(&self, rows: usize) -> Option<usize> {
        match self {
            RowWork::Region(region) => row_of(region, rows).map(|(_, row)| row),
            RowWork::Product(product) => (product.rows == rows).then_some(product.row),
            RowWork::Matrix(product) => (product.all_rows() == rows).then_some(product.columns),
        }
    }

    /// Whether it reads, for each row, nothing but that row of an operand with `row` elements in each.
    pub(super) fn reads_row(&self, rows: usize, input: usize, row: usize) -> bool {
        match self {
            RowWork::Region(region) => row_of_input(region, rows, input, row),
            RowWork::Product(product) => match input == product.matrix() {
                true => row == product.row,
                false => row == 1 && product.sums,
            },
            RowWork::Matrix(product) => input == 0 && row == product.terms,
        }
    }

    /// Whether a result joins several rows.
    pub(super) fn joins_rows(&self, rows: usize, output: usize) -> bool {
        match self {
            RowWork::Region(region) => joins_rows(region, rows, output),
            RowWork::Product(product) => product.sums,
            RowWork::Matrix(_) => false,
        }
    }

    /// Whether a result is sums over the rows that grow from some rows to the next.
    pub(super) fn grows(&self, output: usize) -> bool {
        match self {
            RowWork::Region(region) => region.outputs.get(output).is_some_and(|o| o.leading),
            RowWork::Product(product) => product.sums,
            RowWork::Matrix(_) => false,
        }
    }

    /// The places of a chunk in which a result that grows is added, where it is in several.
    pub(super) fn chunk(&self, output: usize) -> Option<usize> {
        let RowWork::Region(region) = self else {
            // The rows of a product are added in one go, as the whole product adds them.
            return None;
        };
        let chunks = region.chunks(output);
        let places = (chunks.turns).saturating_mul(region.output_elements(output));
        (chunks.count > 1).then_some(places)
    }

    /// Whether it keeps something in its working memory from some rows to the next: sums, or a matrix.
    pub(super) fn keeps(&self) -> bool {
        match self {
            RowWork::Region(region) => region.outputs.iter().any(|o| o.leading),
            RowWork::Product(_) => false,
            RowWork::Matrix(_) => true,
        }
    }

    /// Whether a result is written only when all rows have been read, or as its rows are.
    pub(super) fn may_overwrite(&self, arg: usize, out: usize) -> bool {
        match self {
            RowWork::Region(region) => region.may_overwrite(arg, out),
            RowWork::Product(_) | RowWork::Matrix(_) => false,
        }
    }
}
