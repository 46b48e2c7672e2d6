//! The determinant by expansion along rows.

use cotangent::{Array, Function, Tensor};

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

/// All sets of columns are walked through: 2^20 of them at most.
const LARGEST: usize = 20;

pub fn eval() -> Eval {
    let primal = Function::new(determinant);
    let gradient = primal.grad();
    Eval::default()
        .with("gradient", gradient, read, |g| nested(flat(g)))
        .with("primal", primal, read, nested)
}

fn read(input: &Input<'_>) -> Result<(Array,), EvalError> {
    let (a, ell) = (input.floats_of_rank("A", 1)?, input.size("ell")?);
    if !(1..=LARGEST).contains(&ell) || a.len() != ell * ell {
        let expected = format!("ell x ell numbers, ell from 1 to {LARGEST}");
        return Err(input.unexpected("A", expected));
    }
    Ok((a.reshape([ell, ell])?,))
}

fn flat(a: Array) -> Array {
    let count = a.len();
    a.reshape([count]).unwrap_or(a)
}

/// Expansion by minors: det M = sum_j (-1)^j M[0, j] det(M without row 0 and column j).
///
/// The minors of the last m rows are known by their columns alone, so equal ones are computed once:
/// all minors of m rows at a time, as a vector over the sets of m columns, from those of m - 1 rows.
fn determinant(a: &Tensor) -> Tensor {
    let n = a.dim(0);
    let mut smaller = sets(n, 1);
    let mut minors = a.at(n as i64 - 1);
    for m in 2..=n {
        let larger = sets(n, m);
        let row = a.at((n - m) as i64);
        let mut sum: Option<Tensor> = None;
        for j in 0..m {
            // Of each set its column j, and where the set without it stands among the smaller ones.
            let columns: Vec<i64> = larger.iter().map(|s| i64::from(column(*s, j))).collect();
            let without: Vec<i64> = larger
                .iter()
                .map(|s| s & !(1 << column(*s, j)))
                .map(|s| smaller.partition_point(|t| *t < s) as i64)
                .collect();
            let term = row.take(Array::from(columns), 0) * minors.take(Array::from(without), 0);
            sum = Some(match sum {
                None => term,
                Some(sum) if j % 2 == 0 => sum + term,
                Some(sum) => sum - term,
            });
        }
        minors = sum.unwrap_or(minors);
        smaller = larger;
    }
    minors.at(0)
}

/// The sets of m of n columns as bits, in increasing order.
fn sets(n: usize, m: usize) -> Vec<u32> {
    (0..1_u32 << n)
        .filter(|s| s.count_ones() as usize == m)
        .collect()
}

/// The column of a set at a place.
fn column(mut set: u32, place: usize) -> u32 {
    for _ in 0..place {
        set &= set.wrapping_sub(1);
    }
    set.trailing_zeros()
}
