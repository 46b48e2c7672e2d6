//! What derivative and batching rules of matrices are written in.

use cotangent_array::{DType, Scalar, Shape};

use super::{Linalg, Shape2};
use crate::ops::axes::{check_dtype, repeated};
use crate::ops::{Compare, Concat, Dot, Iota, Kinds, Pad};
use crate::{Builder, TensorType, TypeError, Var, type_error};

/// The shape of the matrix in the last two axes.
pub(super) fn matrix(b: &Builder, x: Var) -> Shape2 {
    Shape2::of(&b.tensor(x), 2)
}

/// The axes before the last two.
pub(super) fn batch_of(b: &Builder, x: Var) -> Vec<usize> {
    let shape = b.shape(x);
    shape.dims()[..shape.rank().saturating_sub(2)].to_vec()
}

/// The batch with other last axes.
pub(super) fn with_last(batch: &[usize], last: &[usize]) -> Shape {
    [batch, last].concat().into()
}

/// x y
pub(super) fn mm(b: &mut Builder, x: Var, y: Var) -> Var {
    product(b, x, false, y, false)
}

/// xᵀ y
pub(super) fn tmm(b: &mut Builder, x: Var, y: Var) -> Var {
    product(b, x, true, y, false)
}

/// x yᵀ
pub(super) fn mmt(b: &mut Builder, x: Var, y: Var) -> Var {
    product(b, x, false, y, true)
}

fn product(b: &mut Builder, x: Var, turn_x: bool, y: Var, turn_y: bool) -> Var {
    let r = b.rank(x).saturating_sub(2);
    let batch: Vec<usize> = (0..r).collect();
    let op = Dot {
        contract: (
            vec![if turn_x { r } else { r + 1 }],
            vec![if turn_y { r + 1 } else { r }],
        ),
        batch: (batch.clone(), batch),
    };
    b.push(op, &[x, y])
}

/// The transposed matrices.
pub(super) fn turned(b: &mut Builder, x: Var) -> Var {
    let rank = b.rank(x);
    let mut axes: Vec<usize> = (0..rank).collect();
    if rank >= 2 {
        axes.swap(rank - 1, rank - 2);
    }
    b.transpose(x, &axes)
}

/// (x + xᵀ) / 2
pub(super) fn symmetric(b: &mut Builder, x: Var) -> Var {
    let t = turned(b, x);
    let sum = b.add(x, t);
    scaled(b, sum, 0.5)
}

/// x times a number.
pub(super) fn scaled(b: &mut Builder, x: Var, by: f64) -> Var {
    let by = b.like(x, by);
    b.mul(x, by)
}

/// Where `row` compares with `column` in this way, in the shape of `x`.
pub(super) fn where_place(b: &mut Builder, x: Var, compare: Compare) -> Var {
    let Shape2 { rows, columns } = matrix(b, x);
    let position = |b: &mut Builder, axis: usize| {
        b.push(
            Iota {
                shape: [rows, columns].into(),
                axis,
                dtype: DType::I64,
            },
            &[],
        )
    };
    let (i, j) = (position(b, 0), position(b, 1));
    let places = b.compare(compare, i, j);
    let shape = b.shape(x);
    let r = shape.rank().saturating_sub(2);
    b.broadcast(places, shape, &[r, r + 1])
}

/// `x` at places where `row` compares with `column` in this way, zero elsewhere.
pub(super) fn part(b: &mut Builder, x: Var, compare: Compare) -> Var {
    let places = where_place(b, x, compare);
    let zero = b.like(x, 0.0);
    b.select(places, x, zero)
}

/// The identity, in the type of square matrices `x`.
pub(super) fn identity(b: &mut Builder, x: Var) -> Var {
    let (one, zero) = (b.like(x, 1.0), b.like(x, 0.0));
    let places = where_place(b, x, Compare::Eq);
    b.select(places, one, zero)
}

/// The diagonal of square matrices.
pub(super) fn diagonal(b: &mut Builder, x: Var) -> Var {
    let kept = part(b, x, Compare::Eq);
    let rank = b.rank(x);
    b.sum(kept, &[rank.saturating_sub(1)])
}

/// The sum over the last two axes.
pub(super) fn total(b: &mut Builder, x: Var) -> Var {
    let rank = b.rank(x);
    b.sum(x, &[rank.saturating_sub(2), rank.saturating_sub(1)])
}

/// A number for each member, everywhere in the shape of `like`.
pub(super) fn spread(b: &mut Builder, x: Var, like: Var) -> Var {
    let shape = b.shape(like);
    let axes: Vec<usize> = (0..b.rank(x)).collect();
    b.broadcast(x, shape, &axes)
}

/// A vector for each member as rows (`[.., 1, n]` repeated) in the shape of matrices `like`.
pub(super) fn as_rows(b: &mut Builder, x: Var, like: Var) -> Var {
    along(b, x, like, true)
}

/// A vector for each member as columns in the shape of matrices `like`.
pub(super) fn as_columns(b: &mut Builder, x: Var, like: Var) -> Var {
    along(b, x, like, false)
}

fn along(b: &mut Builder, x: Var, like: Var, rows: bool) -> Var {
    let shape = b.shape(like);
    let r = shape.rank().saturating_sub(2);
    let mut axes: Vec<usize> = (0..r).collect();
    axes.push(if rows { r + 1 } else { r });
    b.broadcast(x, shape, &axes)
}

/// 1 / x, and 0 where x is 0: never infinite.
pub(super) fn safe_reciprocal(b: &mut Builder, x: Var) -> Var {
    let (zero, one) = (b.like(x, 0.0), b.like(x, 1.0));
    let vanishes = b.compare(Compare::Eq, x, zero);
    let divisor = b.select(vanishes, one, x);
    let inverse = b.div(one, divisor);
    b.select(vanishes, zero, inverse)
}

/// The first `rows` rows and `columns` columns.
pub(super) fn corner(b: &mut Builder, x: Var, rows: usize, columns: usize) -> Var {
    let r = b.rank(x).saturating_sub(2);
    let x = b.slice_axis(x, r, 0, rows);
    b.slice_axis(x, r + 1, 0, columns)
}

/// The matrices with zeros below and to the right, up to so many rows and columns.
pub(super) fn padded(b: &mut Builder, x: Var, rows: usize, columns: usize) -> Var {
    let own = matrix(b, x);
    let rank = b.rank(x);
    if own == (Shape2 { rows, columns }) || rank < 2 {
        return x;
    }
    let mut high = vec![0; rank];
    high[rank - 2] = rows.saturating_sub(own.rows);
    high[rank - 1] = columns.saturating_sub(own.columns);
    let zero = b.scalar(b.dtype(x), 0.0);
    let op = Pad {
        low: vec![0; rank],
        high,
        interior: vec![0; rank],
    };
    b.push(op, &[x, zero])
}

/// The block matrix [[p, q], [r, s]].
pub(super) fn blocks(b: &mut Builder, [p, q, r, s]: [Var; 4]) -> Var {
    let last = b.rank(p).saturating_sub(1);
    let join = |b: &mut Builder, axis: usize, parts: &[Var]| b.push(Concat { axis }, parts);
    let top = join(b, last, &[p, q]);
    let bottom = join(b, last, &[r, s]);
    join(b, last.saturating_sub(1), &[top, bottom])
}

/// Zeros of so many rows and columns, with the batch and dtype of `like`.
pub(super) fn zeros(b: &mut Builder, like: Var, rows: usize, columns: usize) -> Var {
    let shape = with_last(&batch_of(b, like), &[rows, columns]);
    let zero = Scalar::zero(b.dtype(like));
    b.full(zero, shape)
}

/// The sum of two tangents that may be zero.
pub(super) fn sum(b: &mut Builder, x: Option<Var>, y: Option<Var>) -> Option<Var> {
    match (x, y) {
        (Some(x), Some(y)) => Some(b.add(x, y)),
        (x, y) => x.or(y),
    }
}

/// The operation itself over one more leading axis, operands that have none repeated.
pub(super) fn repeat_batch(
    op: impl Into<Linalg>,
    b: &mut Builder,
    args: &[Var],
    batched: &[bool],
    size: usize,
) -> Vec<Var> {
    let args: Vec<Var> = args
        .iter()
        .zip(batched)
        .map(|(a, batched)| if *batched { *a } else { repeated(b, *a, size) })
        .collect();
    b.linalg(op, &args)
}

/// Fails unless the operand is a matrix of floats, with a batch or without.
pub(super) fn check_matrix(x: &TensorType) -> Result<Shape2, TypeError> {
    check_dtype(x, Kinds::Float)?;
    if x.rank() < 2 {
        type_error!("expected matrices (rank 2 or more), found {x}");
    }
    Ok(Shape2::of(x, 2))
}

/// Fails unless the operand is a square matrix of floats.
pub(super) fn check_square(x: &TensorType) -> Result<usize, TypeError> {
    let shape = check_matrix(x)?;
    if shape.rows != shape.columns {
        type_error!("expected square matrices, found {x}");
    }
    Ok(shape.rows)
}

/// Fails unless both operands have one dtype and one batch.
pub(super) fn check_beside(x: &TensorType, y: &TensorType) -> Result<(), TypeError> {
    check_matrix(y)?;
    if x.dtype != y.dtype {
        type_error!(
            "expected operands of one dtype, found {} and {}",
            x.dtype,
            y.dtype
        );
    }
    if batch(x) != batch(y) {
        type_error!(
            "expected the same axes before the matrices, found {} and {}",
            x.shape,
            y.shape
        );
    }
    Ok(())
}

/// The axes of a type before its matrix.
pub(super) fn batch(x: &TensorType) -> &[usize] {
    &x.shape.dims()[..x.rank().saturating_sub(2)]
}

/// The type with other axes behind the batch.
pub(super) fn with_matrix(x: &TensorType, last: &[usize]) -> TensorType {
    x.with_shape(with_last(batch(x), last))
}

/// The only operand.
pub(super) fn only<'a>(args: &[&'a TensorType]) -> Result<&'a TensorType, TypeError> {
    match args {
        [x] => Ok(x),
        _ => type_error!("expected 1 operand, found {}", args.len()),
    }
}

/// The entries of all members of the first operand.
pub(super) fn squares(args: &[&TensorType]) -> u64 {
    args.first().map_or(0, |t| t.shape.elements() as u64)
}

/// `times` m n k for m x n matrices in the first operand with k the smaller of both, over all members.
pub(super) fn cubes(args: &[&TensorType], times: u64) -> u64 {
    let least = args.first().map_or(0, |t| Shape2::of(t, 2).least() as u64);
    squares(args).saturating_mul(least).saturating_mul(times)
}

/// A system of equations over one more leading axis. Where only the right side has it, its members
/// become columns, so that the matrix is factorised once.
pub(super) fn batch_system(
    op: impl Into<Linalg>,
    b: &mut Builder,
    args: &[Var],
    batched: &[bool],
    size: usize,
) -> Vec<Var> {
    let (&[a, right], [false, true]) = (args, batched) else {
        return repeat_batch(op, b, args, batched, size);
    };
    let shape = b.shape(right);
    let rank = shape.rank();
    if rank < 3 {
        return vec![Var::POISON];
    }
    // [size, .., n, k] as [.., n, size, k]
    let mut axes: Vec<usize> = (1..rank - 1).collect();
    axes.extend([0, rank - 1]);
    let moved = b.transpose(right, &axes);
    let moved_shape = b.shape(moved);
    let mut wide = moved_shape.dims()[..rank - 2].to_vec();
    wide.push(size.saturating_mul(shape.dims()[rank - 1]));
    let columns = b.reshape(moved, wide);
    let solved = b.linalg(op, &[a, columns]);
    let solved: Vec<Var> = solved
        .into_iter()
        .map(|x| {
            let x = b.reshape(x, moved_shape.clone());
            let mut back: Vec<usize> = vec![rank - 2];
            back.extend((0..rank - 2).chain([rank - 1]));
            b.transpose(x, &back)
        })
        .collect();
    solved
}
