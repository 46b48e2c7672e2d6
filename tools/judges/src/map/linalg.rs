//! Factorisations, systems of equations, determinants, powers.

use cotangent::{Array, DType, Tensor, Triangular, keep};

use super::Table;
use super::tools::one;
use crate::args::{Args, Node, Outs, Res, Stop, not_mapped};

pub const TABLE: Table = &[
    (&["linalg.cholesky", "cholesky"], |a| {
        one(cholesky(&a.x()?, a.bool_or(1, "upper", false)?))
    }),
    (&["linalg.cholesky_ex"], |a| {
        let x = a.x()?;
        with_info(cholesky(&x, a.bool_or(1, "upper", false)?), &x, 1)
    }),
    (&["cholesky_inverse"], |a| {
        let l = lower(&a.x()?, a.bool_or(1, "upper", false)?);
        one(l.matmul(&l.t()).inv())
    }),
    (&["cholesky_solve"], |a| {
        let l = lower(&a.tensor(1, "input2")?, a.bool_or(2, "upper", false)?);
        let (l, b) = broadcast(&l, &a.x()?)?;
        let y = l.solve_triangular(&b, Triangular::LOWER);
        let turned = Triangular {
            transposed: true,
            ..Triangular::LOWER
        };
        one(l.solve_triangular(&y, turned))
    }),
    (&["linalg.inv", "inverse"], |a| one(a.x()?.inv())),
    (&["linalg.inv_ex"], |a| {
        let x = a.x()?;
        with_info(x.inv(), &x, 1)
    }),
    (&["linalg.solve"], |a| one(solve(a)?)),
    (&["linalg.solve_ex"], |a| with_info(solve(a)?, &a.x()?, 1)),
    (&["linalg.solve_triangular"], |a| {
        let (x, b) = broadcast(&a.x()?, &a.tensor(1, "B")?)?;
        let triangle = Triangular {
            lower: !a.bool_or(usize::MAX, "upper", false)?,
            unit_diagonal: a.bool_or(usize::MAX, "unitriangular", false)?,
            transposed: false,
        };
        one(sided(a, &x, &b, |x, b, turned| {
            let transposed = turned;
            x.solve_triangular(
                b,
                Triangular {
                    transposed,
                    ..triangle
                },
            )
        })?)
    }),
    (&["triangular_solve"], |a| {
        let (b, x) = (a.x()?, a.tensor(1, "A")?);
        let triangle = Triangular {
            lower: !a.bool_or(2, "upper", true)?,
            transposed: a.bool_or(3, "transpose", false)?,
            unit_diagonal: a.bool_or(4, "unitriangular", false)?,
        };
        let (x, b) = broadcast(&x, &b)?;
        Ok(vec![x.solve_triangular(&b, triangle), x])
    }),
    (&["linalg.tensorinv"], |a| {
        let (x, ind) = (a.x()?, a.int_or(1, "ind", 2)? as usize);
        let (first, last) = x.shape().split_at(ind.min(x.rank()));
        let n: usize = first.iter().product();
        let shape: Vec<i64> = last.iter().chain(first).map(|d| *d as i64).collect();
        one(x.reshape([n as i64, n as i64]).inv().reshape(shape))
    }),
    (&["linalg.tensorsolve"], tensorsolve),
    (&["linalg.det", "det"], |a| one(a.x()?.det())),
    (&["linalg.slogdet", "slogdet"], |a| {
        let (sign, logarithm) = a.x()?.slogdet();
        Ok(vec![sign, logarithm])
    }),
    (&["logdet"], |a| {
        let (sign, logarithm) = a.x()?.slogdet();
        one(sign.less(0.0).select(f64::NAN, logarithm))
    }),
    (&["linalg.lu_factor", "lu"], |a| {
        let (factors, order) = factors(a)?;
        let k = factors.dim(-1).min(factors.dim(-2));
        let mut outs = vec![factors.clone(), exchanges(&order, k)];
        if a.bool_or(2, "get_infos", false)? {
            outs.push(info(&factors, 2));
        }
        Ok(outs)
    }),
    (&["linalg.lu_factor_ex"], |a| {
        let (factors, order) = factors(a)?;
        let k = factors.dim(-1).min(factors.dim(-2));
        Ok(vec![
            factors.clone(),
            exchanges(&order, k),
            info(&factors, 2),
        ])
    }),
    (&["linalg.lu"], |a| {
        let (p, l, u) = a.x()?.lu();
        Ok(vec![p, l, u])
    }),
    (&["linalg.lu_solve"], |a| {
        let (lu, b) = (a.x()?, a.tensor(2, "B")?);
        let pivots = a.known(1, "pivots")?;
        let adjoint = a.bool_or(usize::MAX, "adjoint", false)?;
        one(match a.bool_or(usize::MAX, "left", true)? {
            true => lu_solve(&lu, pivots, &b, adjoint)?,
            false => lu_solve(&lu, pivots, &b.t(), !adjoint)?.t(),
        })
    }),
    (&["lu_solve"], |a| {
        let lu = a.tensor(1, "LU_data")?;
        one(lu_solve(&lu, a.known(2, "LU_pivots")?, &a.x()?, false)?)
    }),
    (&["linalg.qr", "qr"], |a| {
        let x = a.x()?;
        let (q, r) = x.qr();
        match a.text_or(1, "mode", "reduced")? {
            "r" => Ok(vec![Tensor::zeros([0], x.dtype()), r]),
            "complete" if x.dim(-2) > x.dim(-1) => not_mapped("the complete Q has no derivative"),
            _ => Ok(vec![q, r]),
        }
    }),
    (&["linalg.householder_product", "orgqr"], |a| {
        let (v, tau) = (a.x()?, a.tensor(1, "tau")?);
        let ones = Tensor::eye(v.dim(-2), v.dtype());
        let mut shape = v.shape().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = v.dim(-2);
        }
        let q = reflected(&v, &tau, &ones.broadcast_to(shape), false);
        one(q.slice_axis(-1, 0..v.dim(-1)))
    }),
    (&["ormqr"], |a| {
        let (v, tau, c) = (a.x()?, a.tensor(1, "tau")?, a.tensor(2, "other")?);
        let left = a.bool_or(3, "left", true)?;
        let transpose = a.bool_or(4, "transpose", false)?;
        one(match left {
            true => reflected(&v, &tau, &c, transpose),
            // C Q = (Qᵀ Cᵀ)ᵀ
            false => reflected(&v, &tau, &c.t(), !transpose).t(),
        })
    }),
    (&["linalg.svd", "svd"], |a| {
        let (u, s, vt) = a.x()?.svd();
        let full = a.bool_or(1, "full_matrices", true)?;
        if full && u.dim(-2) != vt.dim(-1) {
            return not_mapped("the full factors have no derivative");
        }
        Ok(vec![u, s, vt])
    }),
    (&["linalg.svdvals"], |a| one(a.x()?.svdvals())),
    (&["linalg.eigh"], |a| {
        let (w, v) = a.x()?.eigh();
        Ok(vec![w, v])
    }),
    (&["linalg.eigvalsh"], |a| one(a.x()?.eigvalsh())),
    (&["linalg.polar"], |a| {
        let (u, s, vt) = a.x()?.svd();
        let p = vt.t().matmul(&(s.expand_dims(-1) * &vt));
        Ok(vec![u.matmul(&vt), p])
    }),
    (&["linalg.pinv", "pinverse"], |a| {
        let x = a.x()?;
        if a.variant == "singular" {
            let b = a.tensor(1, "b")?;
            return one(x.matmul(&b.t()).pinv());
        }
        one(match (a.has(usize::MAX, "rtol"), a.has(1, "rcond")) {
            (true, _) => x.pinv_rtol(a.tensor(usize::MAX, "rtol")?),
            (_, true) => x.pinv_rtol(a.tensor(1, "rcond")?),
            _ => x.pinv(),
        })
    }),
    (&["linalg.lstsq"], lstsq),
    (&["linalg.matrix_rank"], |a| one(a.x()?.matrix_rank())),
    (&["linalg.cond"], |a| match a.node(1, "p") {
        Node::Null => one(a.x()?.cond()),
        _ => not_mapped("a condition number by another norm"),
    }),
    (&["linalg.matrix_power", "matrix_power"], |a| {
        let n = i32::try_from(a.int(1, "n")?).map_err(|e| e.to_string())?;
        one(a.x()?.matrix_power(n))
    }),
    (&["matrix_exp", "linalg.matrix_exp"], |a| one(a.x()?.expm())),
];

fn cholesky(x: &Tensor, upper: bool) -> Tensor {
    let l = x.cholesky();
    if upper { l.t() } else { l }
}

/// A factor of Cholesky's as a lower triangle.
fn lower(x: &Tensor, upper: bool) -> Tensor {
    if upper { x.t().tril(0) } else { x.tril(0) }
}

/// Zeros that say that all went well, one for each matrix.
fn info(x: &Tensor, axes: usize) -> Tensor {
    let batch = &x.shape()[..x.rank().saturating_sub(axes)];
    Tensor::zeros(batch, DType::I32)
}

fn with_info(result: Tensor, x: &Tensor, _: usize) -> Outs {
    let info = info(x, 2);
    Ok(vec![result, info])
}

/// Matrices with one batch.
fn broadcast(a: &Tensor, b: &Tensor) -> Res<(Tensor, Tensor)> {
    let batch = |t: &Tensor| t.shape()[..t.rank().saturating_sub(2)].to_vec();
    let common = cotangent::Shape::broadcast(&batch(a), &batch(b)).map_err(|e| e.to_string())?;
    let full = |t: &Tensor| [&common[..], &[t.dim(-2), t.dim(-1)]].concat();
    Ok((a.broadcast_to(full(a)), b.broadcast_to(full(b))))
}

/// A system with the unknown on the left or on the right of the matrix.
fn sided(
    a: &Args,
    x: &Tensor,
    b: &Tensor,
    solve: impl Fn(&Tensor, &Tensor, bool) -> Tensor,
) -> Res<Tensor> {
    Ok(match a.bool_or(usize::MAX, "left", true)? {
        true => solve(x, b, false),
        // X A = B is Aᵀ Xᵀ = Bᵀ.
        false => solve(x, &b.t(), true).t(),
    })
}

/// PyTorch takes the right side as vectors where it has one axis, or the batch and rows of the
/// matrix.
fn solve(a: &Args) -> Res<Tensor> {
    let (x, b) = (a.x()?, a.tensor(1, "B")?);
    let rows = &x.shape()[..x.rank().saturating_sub(1)];
    let vector = b.rank() == 1 || (b.rank() + 1 == x.rank() && b.shape()[..] == *rows);
    let right = if vector { b.expand_dims(-1) } else { b };
    let solved = match a.bool_or(usize::MAX, "left", true)? {
        true => x.solve(&right),
        false => x.t().solve(&right.t()).t(),
    };
    Ok(if vector { solved.squeeze(-1) } else { solved })
}

fn tensorsolve(a: &Args) -> Outs {
    let (mut x, b) = (a.x()?, a.tensor(1, "B")?);
    if let Some(dims) = a.opt_ints(2, "dims")? {
        let rank = x.rank() as i64;
        let to: Vec<i64> = (rank - dims.len() as i64..rank).collect();
        x = x.moveaxis(dims, to);
    }
    let rest: Vec<i64> = x.shape()[b.rank().min(x.rank())..]
        .iter()
        .map(|d| *d as i64)
        .collect();
    let n = b.len() as i64;
    one(x.reshape([n, n]).solve(&b.ravel()).reshape(rest))
}

fn factors(a: &Args) -> Res<(Tensor, Tensor)> {
    match a.bool_or(1, "pivot", true)? {
        true => Ok(a.x()?.lu_factor()),
        false => not_mapped("elimination without pivots"),
    }
}

/// LAPACK's way to write an order of rows: row i was exchanged with row `pivots[i]`, from 1.
fn exchanges(order: &Tensor, k: usize) -> Tensor {
    let m = order.dim(-1);
    let places = Tensor::arange(m, DType::I64);
    // Which row stands at each place, before each exchange.
    let mut rows = places.broadcast_to(order.shape());
    let mut pivots = Vec::new();
    for i in 0..k {
        let wanted = order.slice_axis(-1, i..i + 1);
        let there = rows.equal(&wanted);
        let zeros = there.convert(DType::I64);
        let place = (zeros * &places).sum(keep(-1));
        let here = rows.slice_axis(-1, i..i + 1);
        rows = there.select(here.broadcast_to(rows.shape()), &rows);
        rows = places
            .equal(i as i64)
            .select(wanted.broadcast_to(rows.shape()), &rows);
        pivots.push(place + 1_i64);
    }
    if pivots.is_empty() {
        return order.slice_axis(-1, 0..0).convert(DType::I32);
    }
    cotangent::concat(&pivots, -1).convert(DType::I32)
}

/// A system from its factors; the exchanges of rows are known.
fn lu_solve(lu: &Tensor, pivots: &Array, b: &Tensor, adjoint: bool) -> Res<Tensor> {
    let n = lu.dim(-1);
    let mut orders = Vec::with_capacity(pivots.len());
    let all: Vec<i64> = pivots.scalars().map(|s| s.to_i64()).collect();
    for own in all.chunks(n.max(1)) {
        let mut order: Vec<i64> = (0..n as i64).collect();
        for (i, p) in own.iter().enumerate() {
            let p = usize::try_from(*p - 1).map_err(|e| e.to_string())?;
            if p >= n {
                return Err(Stop::Wrong(format!("pivot {p} of {n}")));
            }
            order.swap(i, p);
        }
        orders.extend(order);
    }
    // P as a matrix: row order[i] of column i; a = P L U.
    let orders = Tensor::from(Array::new(pivots.shape(), orders)?);
    let p = Tensor::arange(n, DType::I64)
        .expand_dims(-1)
        .equal(orders.expand_dims(-2))
        .convert(lu.dtype());
    let (p, _) = broadcast(&p, lu)?;
    let (lu, b) = broadcast(lu, b)?;
    let (p, b) = broadcast(&p, &b)?;
    let low = Triangular {
        unit_diagonal: true,
        ..Triangular::LOWER
    };
    let turned = |t: Triangular| Triangular {
        transposed: true,
        ..t
    };
    Ok(match adjoint {
        false => {
            let y = lu.solve_triangular(&p.t().matmul(&b), low);
            lu.solve_triangular(&y, Triangular::UPPER)
        }
        true => {
            let y = lu.solve_triangular(&b, turned(Triangular::UPPER));
            p.matmul(&lu.solve_triangular(&y, turned(low)))
        }
    })
}

/// The product of reflections H_0 .. H_(k-1), or its transpose, with matrices. Column i of `v` holds
/// the vector of a reflection below its diagonal, where a one stands; H_i = I - tau_i v_i v_iᵀ.
fn reflected(v: &Tensor, tau: &Tensor, c: &Tensor, transpose: bool) -> Tensor {
    let k = tau.dim(-1);
    let places = Tensor::arange(v.dim(-2), DType::I64).expand_dims(-1);
    let mut c = c.clone();
    for step in 0..k {
        let i = if transpose { step } else { k - 1 - step };
        let column = v.slice_axis(-1, i..i + 1);
        let below = places.greater(i as i64).select(&column, 0.0);
        let at = places.equal(i as i64).convert(v.dtype());
        let own = below + at;
        let factor = tau.slice_axis(-1, i..i + 1).expand_dims(-1);
        c = &c - &(factor * &own).matmul(&own.t().matmul(&c));
    }
    c
}

/// The solution; the residuals where PyTorch gives them; the rank and singular values by some
/// drivers.
fn lstsq(a: &Args) -> Outs {
    let (x, b) = (a.x()?, a.tensor(1, "b")?);
    let (m, n) = (x.dim(-2), x.dim(-1));
    let vector = b.rank() == 1 || b.rank() + 1 == x.rank();
    let right = if vector { b.expand_dims(-1) } else { b };
    let solution = x.pinv().matmul(&right);
    let rank = x.matrix_rank();
    let residuals = match m > n {
        true => (x.matmul(&solution) - &right).square().sum(-2),
        false => Tensor::zeros([0], x.dtype()),
    };
    let driver = a.text_or(usize::MAX, "driver", "gelsy")?;
    let singular = match driver {
        "gelsd" | "gelss" => x.svdvals(),
        _ => Tensor::zeros([0], x.dtype()),
    };
    let solution = if vector {
        solution.squeeze(-1)
    } else {
        solution
    };
    if a.variant == "grad_oriented" {
        return Ok(vec![solution, residuals]);
    }
    let rank = match driver {
        "gels" => Tensor::zeros([0], DType::I64),
        _ => rank,
    };
    Ok(vec![solution, residuals, rank, singular])
}
