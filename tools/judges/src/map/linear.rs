//! Products of vectors, matrices and tensors.

use cotangent::{DType, Tensor, einsum};

use super::Table;
use super::tools::{dim, one};
use crate::args::{Args, Node, Outs, Res, Stop};

pub const TABLE: Table = &[
    (&["mm", "bmm", "matmul", "mv", "dot"], |a| {
        one(a.x()?.matmul(&a.tensor(1, "other")?))
    }),
    (&["__rmatmul__"], |a| {
        one(a.tensor(1, "other")?.matmul(&a.x()?))
    }),
    (&["vdot"], |a| one(a.x()?.vdot(&a.tensor(1, "other")?))),
    (&["inner"], |a| one(a.x()?.inner(&a.tensor(1, "other")?))),
    (&["outer", "ger"], |a| {
        one(a.x()?.outer(&a.tensor(1, "vec2")?))
    }),
    (&["kron"], |a| one(a.x()?.kron(&a.tensor(1, "other")?))),
    (&["addmm", "addmv", "baddbmm"], |a| {
        added(a, |x, y| x.matmul(y))
    }),
    (&["addbmm"], |a| added(a, |x, y| x.matmul(y).sum(0))),
    (&["addr"], |a| added(a, |x, y| x.outer(y))),
    (&["einsum"], |a| {
        let (tensors, equation) = match a.node(0, "operands") {
            Node::Text(text) => {
                let all: Option<Vec<Tensor>> =
                    a.all().iter().skip(1).map(|n| a.to_tensor(n)).collect();
                match all {
                    Some(all) => (all, text.as_str()),
                    None => (a.tensors(1, "operands")?, text.as_str()),
                }
            }
            _ => (a.tensors(0, "operands")?, a.text_or(1, "equation", "")?),
        };
        // PyTorch sums over the axes of `...` where the result does not name them.
        let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        if let Some((inputs, output)) = equation.split_once("->")
            && inputs.contains("...")
            && !output.contains("...")
        {
            let named = output.chars().count();
            let all = einsum(&format!("{inputs}->...{output}"), &tensors);
            let axes: Vec<usize> = (0..all.rank().saturating_sub(named)).collect();
            return one(all.sum(axes));
        }
        one(einsum(&equation, &tensors))
    }),
    (&["tensordot"], tensordot),
    (&["linalg.multi_dot", "chain_matmul"], |a| {
        let all = a.tensors(0, "tensors")?;
        let mut all = all.iter();
        let mut product = all.next().ok_or("no matrices")?.clone();
        for next in all {
            product = product.matmul(next);
        }
        one(product)
    }),
    (&["linalg.vecdot"], |a| {
        let product = a.x()? * a.tensor(1, "y")?;
        one(product.sum(dim(a.int_or(2, "dim", -1)?, product.rank())?))
    }),
    (&["linalg.cross"], |a| cross(a, Some(-1))),
    (&["cross"], |a| cross(a, None)),
    (&["linalg.vander"], |a| {
        let x = a.x()?;
        let x = if x.rank() == 0 { x.reshape([1]) } else { x };
        let n = a.int_or(1, "N", x.dim(-1) as i64)?;
        one(x.vander(usize::try_from(n).map_err(|e| e.to_string())?))
    }),
    (&["cov"], |a| one(covariance(a)?)),
    (&["corrcoef"], |a| {
        let c = covariance(a)?;
        if c.rank() == 0 {
            let own = c.clone();
            return one(c / own);
        }
        let deviation = c.diagonal(0, 0, 1).sqrt();
        let r = c / deviation.expand_dims(1) / deviation.expand_dims(0);
        one(r.clamp(-1.0, 1.0))
    }),
    (&["nn.functional.linear"], |a| {
        one(linear(
            &a.x()?,
            &a.tensor(1, "weight")?,
            a.opt_tensor(2, "bias")?,
        ))
    }),
    (&["nn.functional.bilinear"], |a| {
        let (x, y, w) = (
            a.tensor(0, "input1")?,
            a.tensor(1, "input2")?,
            a.tensor(2, "weight")?,
        );
        let z = einsum("...i,oij,...j->...o", &[x, w, y]);
        one(match a.opt_tensor(3, "bias")? {
            Some(bias) => z + bias,
            None => z,
        })
    }),
];

/// x W^T + b; a vector W gives one number for each row.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<Tensor>) -> Tensor {
    let y = if weight.rank() > 1 {
        x.matmul(&weight.t())
    } else {
        x.matmul(weight)
    };
    match bias {
        Some(bias) => y + bias,
        None => y,
    }
}

/// beta * input + alpha * product. PyTorch does not read the input where beta is 0.
fn added(a: &Args, product: fn(&Tensor, &Tensor) -> Tensor) -> Outs {
    let (x, y) = (a.tensor(1, "mat1")?, a.tensor(2, "mat2")?);
    let beta = a.float_or(usize::MAX, "beta", 1.0)?;
    let alpha = a.float_or(usize::MAX, "alpha", 1.0)?;
    let product = product(&x, &y) * alpha;
    let input = a.x()?;
    one(match beta == 0.0 {
        true => product + input.stop_gradient().full_like(0.0),
        false => input * beta + product,
    })
}

fn tensordot(a: &Args) -> Outs {
    let (x, y) = (a.tensor(0, "a")?, a.tensor(1, "b")?);
    let numbers = |node: &Node| -> Res<Vec<i64>> {
        match node {
            Node::Int(d) => Ok(vec![*d]),
            Node::List(list) => list
                .iter()
                .map(|n| match n {
                    Node::Int(d) => Ok(*d),
                    other => Err(Stop::Wrong(format!("dimension {other:?}"))),
                })
                .collect(),
            other => Err(Stop::Wrong(format!("dimensions {other:?}"))),
        }
    };
    let (of_x, of_y) = match a.node(2, "dims") {
        Node::List(list) => match &list[..] {
            [first, second] => (numbers(first)?, numbers(second)?),
            _ => return Err("expected two lists of dimensions".into()),
        },
        _ => {
            let n = a.int_or(2, "dims", 2)?;
            (
                ((x.rank() as i64 - n)..x.rank() as i64).collect(),
                (0..n).collect(),
            )
        }
    };
    // Where one of the two lengths is 1, the other tensor is summed first.
    let (mut x, mut y) = (x, y);
    for (i, j) in of_x.iter().zip(&of_y) {
        let (i, j) = (dim(*i, x.rank())?, dim(*j, y.rank())?);
        if x.dim(i) == 1 {
            y = y.sum(cotangent::keep(j));
        } else if y.dim(j) == 1 {
            x = x.sum(cotangent::keep(i));
        }
    }
    one(x.tensordot(&y, of_x, of_y))
}

/// The vector product along a dimension; without one along the first of length 3.
fn cross(a: &Args, default: Option<i64>) -> Outs {
    let (x, y) = (a.x()?, a.tensor(1, "other")?);
    let rank = x.rank().max(y.rank());
    let d = match (a.has(2, "dim"), default) {
        (true, _) => dim(a.int(2, "dim")?, rank)?,
        (false, Some(d)) => dim(d, rank)?,
        (false, None) => x
            .shape()
            .iter()
            .position(|n| *n == 3)
            .ok_or("no dimension of length 3")?,
    };
    one(x.cross(&y, d as i64 - rank as i64))
}

/// Of variables in rows, with optional weights of the observations.
fn covariance(a: &Args) -> Res<Tensor> {
    let x = a.x()?;
    let x = if x.rank() < 2 { x.reshape([1, -1]) } else { x };
    let correction = a.float_or(usize::MAX, "correction", 1.0)?;
    // The weights are summed in their own precision, as PyTorch does.
    let f = a.opt_tensor(usize::MAX, "fweights")?;
    let w = a.opt_tensor(usize::MAX, "aweights")?;
    let weight = match (&f, &w) {
        (Some(f), Some(w)) => Some(f.convert(w.dtype()) * w),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    let exact = |t: Tensor| t.convert(DType::F64);
    let sum = match &weight {
        Some(weight) => exact(weight.sum(..)),
        None => Tensor::scalar(x.dim(1) as f64),
    };
    let divisor = match (&weight, &w) {
        (Some(weight), Some(w)) if correction != 0.0 => {
            let sum = weight.sum(..);
            exact(&sum - &((weight * w).sum(..) / &sum * correction))
        }
        _ => &sum - correction,
    };
    let weighted = |x: &Tensor| match &weight {
        Some(weight) => x * exact(weight.clone()),
        None => x.clone(),
    };
    let mean = weighted(&x).sum(cotangent::keep(1)) / &sum;
    let deviation = x - mean;
    let product = weighted(&deviation).matmul(&deviation.t());
    Ok((product / divisor.maximum(0.0)).squeeze(..))
}
