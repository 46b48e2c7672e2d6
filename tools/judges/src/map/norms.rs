//! Norms and distances.

use cotangent::{MatrixNorm, Tensor};

use super::Table;
use super::reduce::converted;
use super::tools::{Dims, as_i64, dim, one, pick_along, with_ones};
use crate::args::{Args, Node, Outs, Res, Stop, not_mapped};

pub const TABLE: Table = &[
    (&["linalg.vector_norm"], |a| {
        let x = converted(a)?;
        let dims = Dims::of(a, &x, 2, 3)?;
        one(vector_norm(&x, a.float_or(1, "ord", 2.0)?, &dims))
    }),
    (&["linalg.matrix_norm"], |a| {
        let x = converted(a)?;
        let dims = a.opt_ints(2, "dim")?.unwrap_or(vec![-2, -1]);
        let keep = a.bool_or(3, "keepdim", false)?;
        one(matrix_norm(
            &x,
            &Order::of(a, 1, "ord", Order::Named("fro"))?,
            &dims,
            keep,
        )?)
    }),
    (&["linalg.norm"], linalg_norm),
    (&["norm"], norm),
    (&["dist"], |a| {
        let difference = a.x()? - a.tensor(1, "other")?;
        let p = a.float_or(2, "p", 2.0)?;
        let dims = Dims::new(&[], difference.rank(), false)?;
        one(vector_norm(&difference, p, &dims))
    }),
    (&["cdist"], |a| {
        one(a
            .tensor(0, "x1")?
            .cdist(&a.tensor(1, "x2")?, a.float_or(2, "p", 2.0)?))
    }),
    (&["nn.functional.pdist"], |a| {
        let x = a.x()?;
        let n = x.dim(0);
        let rows = |first: bool| {
            (0..n)
                .flat_map(move |i| (i + 1..n).map(move |j| if first { i } else { j }))
                .collect()
        };
        let row = |rows: Vec<usize>| {
            let positions: Vec<Option<usize>> = rows.into_iter().map(Some).collect();
            pick_along(&x, 0, &positions, 0.0)
        };
        let difference = row(rows(true))? - row(rows(false))?;
        one(vector_norm(
            &difference,
            a.float_or(1, "p", 2.0)?,
            &Dims::new(&[1], 2, false)?,
        ))
    }),
    (&["nn.functional.pairwise_distance"], |a| {
        let (x, y) = (a.tensor(0, "x1")?, a.tensor(1, "x2")?);
        let p = a.float_or(2, "p", 2.0)?;
        let eps = a.float_or(3, "eps", 1e-6)?;
        one(distance(&x, &y, p, eps, a.bool_or(4, "keepdim", false)?)?)
    }),
    (&["nn.functional.normalize"], |a| {
        let x = a.x()?;
        let p = a.float_or(1, "p", 2.0)?;
        let dims = a.opt_ints(2, "dim")?.unwrap_or(vec![1]);
        let eps = a.float_or(3, "eps", 1e-12)?;
        let norm = vector_norm(&x, p, &Dims::new(&dims, x.rank(), true)?);
        one(x / at_least(&norm, eps))
    }),
    (&["nn.functional.cosine_similarity"], |a| {
        let (x, y) = (a.tensor(0, "x1")?, a.tensor(1, "x2")?);
        let eps = a.float_or(3, "eps", 1e-8)?;
        let product = &x * &y;
        let d = a.int_or(2, "dim", 1)?;
        let dims = Dims::new(&[d], product.rank(), false)?;
        let shape = product.shape().clone();
        let norm = |x: &Tensor| at_least(&x.broadcast_to(&shape).norm(&dims), eps);
        one(product.sum(&dims) / (norm(&x) * norm(&y)))
    }),
    (&["renorm"], |a| {
        let x = a.x()?;
        let p = a.float(1, "p")?;
        let d = dim(a.int(2, "dim")?, x.rank())?;
        let limit = a.float(3, "maxnorm")?;
        let axes: Vec<usize> = (0..x.rank()).filter(|k| *k != d).collect();
        let norm = vector_norm(&x, p, &Dims { axes, keep: true });
        let factor = norm
            .greater(limit)
            .select((&norm + 1e-7).reciprocal() * limit, 1.0);
        one(x * factor)
    }),
];

/// A number, or a name.
enum Order<'a> {
    Number(f64),
    Named(&'a str),
}

impl<'a> Order<'a> {
    fn of(a: &Args<'a>, position: usize, name: &str, default: Order<'a>) -> Res<Order<'a>> {
        Ok(match a.node(position, name) {
            Node::Null => default,
            Node::Text(text) => Order::Named(text),
            _ => Order::Number(a.float(position, name)?),
        })
    }
}

/// The norm of vectors along dimensions.
pub fn vector_norm(x: &Tensor, p: f64, dims: &Dims) -> Tensor {
    x.norm_p(p, dims)
}

/// A norm that is used as a divisor.
pub fn at_least(norm: &Tensor, eps: f64) -> Tensor {
    norm.less(eps).select(eps, norm)
}

/// The norm of the difference and a small number along the last dimension.
pub fn distance(x: &Tensor, y: &Tensor, p: f64, eps: f64, keep: bool) -> Res<Tensor> {
    let difference = x - y + eps;
    let dims = Dims::new(&[-1], difference.rank(), keep)?;
    Ok(vector_norm(&difference, p, &dims))
}

fn matrix_norm(x: &Tensor, order: &Order, numbers: &[i64], keep: bool) -> Res<Tensor> {
    let [row, column] = numbers else {
        return Err(Stop::Wrong(format!(
            "expected two dimensions, found {numbers:?}"
        )));
    };
    let (row, column) = (dim(*row, x.rank())?, dim(*column, x.rank())?);
    let mut axes = vec![row, column];
    axes.sort_unstable();
    let both = Dims {
        axes: axes.clone(),
        keep: false,
    };
    let inner = |d: usize| Dims {
        axes: vec![d],
        keep: true,
    };
    let result = match *order {
        Order::Named("fro") => x.norm(&both),
        Order::Named("nuc") => matrices(x, row, column).matrix_norm(MatrixNorm::Nuclear),
        Order::Named(name) => return not_mapped(format!("matrix norm `{name}`")),
        Order::Number(p) if p.abs() == 2.0 => matrices(x, row, column).matrix_norm(match p > 0.0 {
            true => MatrixNorm::Two,
            false => MatrixNorm::MinusTwo,
        }),
        Order::Number(p) => {
            let summed = if p.is_infinite() { column } else { row };
            let sums = x.abs().sum(&inner(summed));
            if p > 0.0 {
                sums.max(&both)
            } else {
                sums.min(&both)
            }
        }
    };
    Ok(match keep {
        true => result.reshape(as_i64(&with_ones(x.shape(), &axes))),
        false => result,
    })
}

/// The tensor with the matrices in its last two axes.
fn matrices(x: &Tensor, row: usize, column: usize) -> Tensor {
    x.moveaxis([row as i64, column as i64], [-2, -1])
}

/// `torch.linalg.norm`: of vectors or of matrices, by the number of dimensions.
fn linalg_norm(a: &Args) -> Outs {
    let x = converted(a)?;
    let keep = a.bool_or(3, "keepdim", false)?;
    let order = a
        .has(1, "ord")
        .then(|| Order::of(a, 1, "ord", Order::Number(2.0)))
        .transpose()?;
    let dims = a.opt_ints(2, "dim")?;
    let Some(order) = order else {
        let dims = Dims::new(&dims.unwrap_or_default(), x.rank(), keep)?;
        return one(vector_norm(&x, 2.0, &dims));
    };
    let numbers = match dims {
        Some(numbers) => numbers,
        None if x.rank() <= 1 => vec![0],
        None => vec![-2, -1],
    };
    match (&order, numbers.len()) {
        (Order::Number(p), 0 | 1) => {
            one(vector_norm(&x, *p, &Dims::new(&numbers, x.rank(), keep)?))
        }
        _ => one(matrix_norm(&x, &order, &numbers, keep)?),
    }
}

/// `torch.norm`: of vectors over any dimensions; by name of matrices.
fn norm(a: &Args) -> Outs {
    let x = converted(a)?;
    let keep = a.bool_or(3, "keepdim", false)?;
    let numbers = a.opt_ints(2, "dim")?;
    let dims = Dims::new(&numbers.clone().unwrap_or_default(), x.rank(), keep)?;
    match Order::of(a, 1, "p", Order::Named("fro"))? {
        Order::Named("fro") => one(vector_norm(&x, 2.0, &dims)),
        order @ Order::Named(_) => {
            let numbers = numbers.unwrap_or(vec![-2, -1]);
            one(matrix_norm(&x, &order, &numbers, keep)?)
        }
        Order::Number(p) => one(vector_norm(&x, p, &dims)),
    }
}
