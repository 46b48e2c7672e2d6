//! From arrays to the matrices of a batch, one after another.

use cotangent_array::Array;

use super::Linalg;
use crate::ops::Values;
use crate::ops::axes::{filled, missing};
use crate::{EvalError, TensorType};

/// Rows and columns of a matrix; one of each for a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape2 {
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
}

impl Shape2 {
    /// The shape of the matrix that the last `axes` axes of an array are.
    pub fn of(ty: &TensorType, axes: usize) -> Shape2 {
        let at = |back: usize| ty.rank().checked_sub(back).map_or(1, |axis| ty.dim(axis));
        match axes {
            0 => Shape2 {
                rows: 1,
                columns: 1,
            },
            _ => Shape2 {
                rows: at(2),
                columns: at(1),
            },
        }
    }

    /// The number of entries.
    pub fn len(self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    /// Whether there are no entries.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The smaller of rows and columns.
    pub fn least(self) -> usize {
        self.rows.min(self.columns)
    }
}

/// What is wrong with a matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatrixFault {
    /// It has no inverse: the pivot at this place is 0.
    Singular(usize),
    /// The leading minor of this order is not positive.
    Indefinite(usize),
}

/// A matrix for which an operation is not defined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatrixError {
    /// What is wrong.
    pub fault: MatrixFault,
    /// Which matrix of the batch it is; empty where there is no batch.
    pub member: Vec<usize>,
}

impl MatrixError {
    /// The fault of member number `flat` of a batch of this shape.
    pub fn new(fault: MatrixFault, batch: &[usize], mut flat: usize) -> MatrixError {
        let mut member = vec![0; batch.len()];
        for (place, n) in member.iter_mut().zip(batch).rev() {
            *place = flat % (*n).max(1);
            flat /= (*n).max(1);
        }
        MatrixError { fault, member }
    }
}

impl std::error::Error for MatrixError {}

impl std::fmt::Display for MatrixError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.member[..] {
            [] => f.write_str("the matrix")?,
            member => write!(f, "matrix {member:?} of the batch")?,
        }
        match self.fault {
            MatrixFault::Singular(at) => write!(f, " is singular: pivot {at} is 0"),
            MatrixFault::Indefinite(order) => write!(
                f,
                " is not positive definite: its leading minor of order {order} is not positive"
            ),
        }
    }
}

/// Runs the plain loops for one member, unless an operand that is watched has an entry that is not
/// finite: then floats become NaN, and positions count up.
pub fn apply(
    op: &Linalg,
    shapes: &[Shape2],
    args: &[&[f64]],
    outs: &mut [&mut [f64]],
    positions: &[bool],
    work: &mut [f64],
) -> Result<(), MatrixFault> {
    let finite = |x: &[f64]| x.iter().all(|x| x.is_finite());
    if args.iter().take(op.watched()).all(|x| finite(x)) {
        return op.member(shapes, args, outs, work);
    }
    for (out, positions) in outs.iter_mut().zip(positions) {
        for (i, x) in out.iter_mut().enumerate() {
            *x = if *positions { i as f64 } else { f64::NAN };
        }
    }
    Ok(())
}

/// See [`Linalg::eval`].
pub(super) fn eval(
    op: &Linalg,
    args: &[&Array],
    outs: &[TensorType],
) -> Result<Vec<Array>, EvalError> {
    let malformed = || {
        missing(
            &outs
                .first()
                .cloned()
                .unwrap_or_else(|| TensorType::scalar(cotangent_array::DType::F64)),
        )
    };
    if args.len() != op.axes().len() {
        return Err(malformed());
    }
    let types: Vec<TensorType> = args
        .iter()
        .map(|a| TensorType::new(a.dtype(), a.shape()))
        .collect();
    let shapes: Vec<Shape2> = (types.iter().zip(op.axes()))
        .map(|(t, axes)| Shape2::of(t, *axes))
        .collect();
    let batch: Vec<usize> = match (types.first(), op.axes().first()) {
        (Some(t), Some(axes)) => t.shape.dims()[..t.rank().saturating_sub(*axes)].to_vec(),
        _ => return Err(malformed()),
    };
    let members: usize = batch.iter().product();
    let values: Vec<Vec<f64>> = args.iter().map(|a| a.to_f64s()).collect();
    let mut results: Vec<Vec<f64>> = outs
        .iter()
        .map(|t| filled(t, 0.0))
        .collect::<Result<_, _>>()?;
    let positions: Vec<bool> = outs.iter().map(|t| !t.dtype.is_float()).collect();
    let sizes: Vec<usize> = results.iter().map(|r| r.len() / members.max(1)).collect();
    let mut work = vec![0.0; op.work(&shapes)];
    for k in 0..members {
        let own: Vec<&[f64]> = values
            .iter()
            .zip(&shapes)
            .map(|(v, s)| v.get(k * s.len()..(k + 1) * s.len()).unwrap_or(&[]))
            .collect();
        let mut to: Vec<&mut [f64]> = results
            .iter_mut()
            .zip(&sizes)
            .map(|(r, n)| r.get_mut(k * n..(k + 1) * n).unwrap_or(&mut []))
            .collect();
        apply(op, &shapes, &own, &mut to, &positions, &mut work)
            .map_err(|fault| MatrixError::new(fault, &batch, k))?;
    }
    results
        .into_iter()
        .zip(outs)
        .map(|(r, t)| {
            let values = if t.dtype.is_float() {
                Values::Float(r)
            } else {
                Values::Int(r.into_iter().map(|x| x as i64).collect())
            };
            Ok(values.into_array(t)?)
        })
        .collect()
}
