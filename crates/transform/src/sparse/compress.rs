//! Graphs that compute a sparse derivative: all groups in one batch, then the entries.

use cotangent_array::{Array, DType};
use cotangent_graph::ops::{Compare, Concat, Gather, Iota};
use cotangent_graph::{Builder, Graph, TensorType, Var};

use super::substitute::substitute;
use super::{
    Bidirectional, Groups, Pattern, color_acyclic, color_bidirectional, color_columns, color_rows,
    color_star,
};
use crate::forward::{check_choice, is_float};
use crate::{TransformError, hvp, jvp, vjp, vmap};

/// How the groups of a sparse Jacobian are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Coloring {
    /// Whichever of the others costs the fewest operations.
    #[default]
    Auto,
    /// Groups of columns: forward mode.
    Columns,
    /// Groups of rows: reverse mode.
    Rows,
    /// Groups of columns and of rows: both modes.
    Bidirectional,
}

/// How the groups of a sparse Hessian are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum HessianColoring {
    /// Star, unless acyclic needs at most three quarters as many groups.
    #[default]
    Auto,
    /// Each entry is read off from one product.
    Star,
    /// Fewer groups; the entries follow one from the other, and so do their rounding errors.
    Acyclic,
}

/// The graph of the entries of a sparse derivative.
#[derive(Clone, Debug)]
pub struct SparseGraph {
    /// Inputs: those of the graph that was differentiated. Output: the entries, in the order of
    /// `pattern`; f64 if any chosen input or output is, f32 otherwise.
    pub graph: Graph,
    /// Where the entries stand.
    pub pattern: Pattern,
    /// How many products with the Jacobian (for a Hessian: with it) are computed.
    pub columns: usize,
    /// How many products with the transposed Jacobian are computed.
    pub rows: usize,
}

/// The entries of a Jacobian that is zero outside of a pattern. Rows and columns are numbered as in
/// [`sparsity`](super::sparsity).
///
/// The pattern is believed: entries outside of it that are not zero make others wrong.
///
/// # Errors
/// As for [`jacobian`](crate::jacobian), or a pattern of another size than the Jacobian.
pub fn sparse_jacobian(
    graph: &Graph,
    wrt: &[bool],
    pattern: &Pattern,
    coloring: Coloring,
) -> Result<SparseGraph, TransformError> {
    let problem = Problem::new(graph, wrt)?;
    if !graph.output_types().iter().any(is_float) {
        return Err(TransformError::OutputNotFloat {
            graph: graph.name().to_owned(),
            found: "no floats".to_owned(),
        });
    }
    problem.check(pattern, elements(&problem.outputs), "Jacobian")?;
    let none = |count: usize| Groups::new(vec![super::color::NO_GROUP; count]);
    let by_columns = || Bidirectional {
        columns: color_columns(pattern),
        rows: none(pattern.rows()),
        rows_first: false,
    };
    let by_rows = || Bidirectional {
        columns: none(pattern.columns()),
        rows: color_rows(pattern),
        rows_first: true,
    };
    let groups = match coloring {
        Coloring::Columns => by_columns(),
        Coloring::Rows => by_rows(),
        Coloring::Bidirectional => color_bidirectional(pattern),
        Coloring::Auto => {
            // A graph that has no derivative in one mode costs without bound there.
            let cost = |g: Result<Graph, TransformError>| g.map_or(u64::MAX, |g| g.cost().max(1));
            let (forward, reverse) = (cost(jvp(graph, wrt)), cost(vjp(graph, wrt)));
            let price = |g: &Bidirectional| {
                let one = |groups: &Groups, each: u64| match groups.count() as u64 {
                    0 => 0,
                    n => each.saturating_mul(n),
                };
                one(&g.columns, forward).saturating_add(one(&g.rows, reverse))
            };
            let mut best = color_bidirectional(pattern);
            // No grouping has fewer groups than the fullest row or column has entries.
            let least = [
                (
                    pattern.fullest_row(),
                    forward,
                    &by_columns as &dyn Fn() -> Bidirectional,
                ),
                (pattern.transpose().fullest_row(), reverse, &by_rows),
            ];
            for (groups, each, make) in least {
                if each.saturating_mul(groups as u64) < price(&best) {
                    let found = make();
                    if price(&found) < price(&best) {
                        best = found;
                    }
                }
            }
            best
        }
    };
    let (mut b, inputs) = problem.start("sparse_jacobian");
    let mut flat = Vec::new();
    let count = groups.columns.count();
    if count > 0 {
        let pushed = jvp(graph, wrt)?;
        let seeds = seeds(&mut b, &groups.columns, &problem.chosen)?;
        let moved = batched(&mut b, &pushed, &inputs, &seeds, count)?;
        let tangents = moved.get(graph.outputs().len()..).unwrap_or_default();
        flat.push(flatten(&mut b, tangents, count, problem.dtype));
    }
    let turned = groups.rows.count();
    if turned > 0 {
        let pulled = vjp(graph, wrt)?;
        let seeds = seeds(&mut b, &groups.rows, &problem.outputs)?;
        let cotangents = batched(&mut b, &pulled, &inputs, &seeds, turned)?;
        flat.push(flatten(&mut b, &cotangents, turned, problem.dtype));
    }
    let first = count * pattern.rows();
    let places = pattern.iter().map(|(i, j)| {
        let place = if groups.by_row(i, j) {
            groups
                .rows
                .group(i)
                .map(|r| first + r * pattern.columns() + j)
        } else {
            groups.columns.group(j).map(|c| c * pattern.rows() + i)
        };
        place.unwrap_or(0)
    });
    let values = take(&mut b, &flat, places.collect(), problem.dtype);
    Ok(SparseGraph {
        graph: b.finish(&[values])?.without_dead_code(),
        pattern: pattern.clone(),
        columns: count,
        rows: turned,
    })
}

/// The entries of a Hessian that is zero outside of a pattern, which is made symmetric. Rows and
/// columns are numbered as in [`hessian_sparsity`](super::hessian_sparsity).
///
/// # Errors
/// As for [`hvp`], or a pattern of another size than the Hessian.
pub fn sparse_hessian(
    graph: &Graph,
    wrt: &[bool],
    pattern: &Pattern,
    coloring: HessianColoring,
) -> Result<SparseGraph, TransformError> {
    let problem = Problem::new(graph, wrt)?;
    let product = hvp(graph, wrt)?;
    problem.check(pattern, elements(&problem.chosen), "Hessian")?;
    let pattern = pattern.symmetric()?;
    let (groups, direct) = match coloring {
        HessianColoring::Star => (color_star(&pattern)?, true),
        HessianColoring::Acyclic => (color_acyclic(&pattern)?, false),
        HessianColoring::Auto => {
            let (star, acyclic) = (color_star(&pattern)?, color_acyclic(&pattern)?);
            if 4 * acyclic.count() <= 3 * star.count() {
                (acyclic, false)
            } else {
                (star, true)
            }
        }
    };
    let (mut b, inputs) = problem.start("sparse_hessian");
    let count = groups.count();
    let mut flat = Vec::new();
    if count > 0 {
        let seeds = seeds(&mut b, &groups, &problem.chosen)?;
        let products = batched(&mut b, &product, &inputs, &seeds, count)?;
        flat.push(flatten(&mut b, &products, count, problem.dtype));
    }
    let values = match (direct, &flat[..]) {
        (false, [sums]) => substitute(&mut b, &pattern, &groups, *sums, problem.dtype),
        _ => {
            let places = star_places(&pattern, &groups);
            take(&mut b, &flat, places, problem.dtype)
        }
    };
    Ok(SparseGraph {
        graph: b.finish(&[values])?.without_dead_code(),
        pattern,
        columns: count,
        rows: 0,
    })
}

/// Where each entry of a Hessian stands among the products: in its row's sum over the group of its
/// column if it is alone there, and else in the sum of the entry across the diagonal.
fn star_places(pattern: &Pattern, groups: &Groups) -> Vec<usize> {
    let n = pattern.rows();
    let group = |v: usize| groups.group(v).unwrap_or(0);
    let mut met = vec![0_u32; groups.count()];
    let mut places = Vec::with_capacity(pattern.len());
    for i in 0..n {
        for j in pattern.row(i) {
            met[group(*j as usize)] += 1;
        }
        for j in pattern.row(i) {
            let j = *j as usize;
            let alone = met[group(j)] == 1;
            places.push(if alone || i == j {
                group(j) * n + i
            } else {
                group(i) * n + j
            });
        }
        for j in pattern.row(i) {
            met[group(*j as usize)] = 0;
        }
    }
    places
}

/// What both derivatives ask of a graph.
struct Problem<'a> {
    graph: &'a Graph,
    chosen: Vec<TensorType>,
    outputs: Vec<TensorType>,
    dtype: DType,
}

impl<'a> Problem<'a> {
    fn new(graph: &'a Graph, wrt: &[bool]) -> Result<Problem<'a>, TransformError> {
        check_choice(graph, wrt)?;
        let inputs = graph.input_types().into_iter().zip(wrt);
        let chosen: Vec<TensorType> = inputs.filter(|(_, w)| **w).map(|(t, _)| t).collect();
        let outputs: Vec<TensorType> = graph.output_types().into_iter().filter(is_float).collect();
        let wide = chosen.iter().chain(&outputs).any(|t| t.dtype == DType::F64);
        Ok(Problem {
            graph,
            chosen,
            outputs,
            dtype: if wide { DType::F64 } else { DType::F32 },
        })
    }

    fn check(&self, pattern: &Pattern, rows: usize, what: &str) -> Result<(), TransformError> {
        let columns = elements(&self.chosen);
        if (pattern.rows(), pattern.columns()) == (rows, columns) {
            return Ok(());
        }
        Err(TransformError::Sparse(format!(
            "`{}`: expected a pattern of the {what}, {rows} rows and {columns} columns, found {} rows and {} columns",
            self.graph.name(),
            pattern.rows(),
            pattern.columns()
        )))
    }

    fn start(&self, suffix: &str) -> (Builder, Vec<Var>) {
        let mut b = Builder::new(&format!("{}_{suffix}", self.graph.name()));
        let inputs = self.graph.inputs().iter().zip(self.graph.input_types());
        let inputs = inputs.map(|((n, _), t)| b.input(n, t)).collect();
        (b, inputs)
    }
}

fn elements(types: &[TensorType]) -> usize {
    let counts = types.iter().map(|t| t.shape.elements());
    counts.fold(0, usize::saturating_add)
}

/// The seed of every group, along a leading axis: 1 for its members, 0 for the others; one array for
/// each type.
fn seeds(
    b: &mut Builder,
    groups: &Groups,
    types: &[TensorType],
) -> Result<Vec<Var>, TransformError> {
    let mut first = 0;
    let mut seeds = Vec::with_capacity(types.len());
    for ty in types {
        let members = first..first + ty.shape.elements();
        first = members.end;
        let of: Vec<i64> = members
            .map(|m| groups.group(m).map_or(-1, |c| c as i64))
            .collect();
        let of =
            Array::new(ty.shape.clone(), of).map_err(|e| TransformError::Sparse(e.to_string()))?;
        let mut shape = vec![groups.count()];
        shape.extend_from_slice(ty.shape.dims());
        let axes: Vec<usize> = (1..shape.len()).collect();
        let of = b.constant(of);
        let of = b.broadcast(of, &shape[..], &axes);
        let iota = Iota {
            shape: shape[..].into(),
            axis: 0,
            dtype: DType::I64,
        };
        let number = b.push(iota, &[]);
        let is = b.compare(Compare::Eq, of, number);
        seeds.push(b.convert(ty.dtype, is));
    }
    Ok(seeds)
}

/// A derivative over a batch of seeds, which are its last inputs.
fn batched(
    b: &mut Builder,
    derivative: &Graph,
    inputs: &[Var],
    seeds: &[Var],
    count: usize,
) -> Result<Vec<Var>, TransformError> {
    let mut axes = vec![None; inputs.len()];
    axes.resize(inputs.len() + seeds.len(), Some(0));
    let over = vmap(derivative, &axes, count)?;
    Ok(b.inline(&over, &[inputs, seeds].concat()))
}

/// Arrays with a leading axis of this length, flat: all elements of the first group, then all of the
/// second.
fn flatten(b: &mut Builder, parts: &[Var], count: usize, dtype: DType) -> Var {
    let mut rows = Vec::with_capacity(parts.len());
    let mut total = 0;
    for part in parts {
        let size = b.shape(*part).elements() / count.max(1);
        total += size;
        let row = b.convert(dtype, *part);
        rows.push(b.reshape(row, [count, size]));
    }
    let joined = match &rows[..] {
        [one] => *one,
        rows => b.push(Concat { axis: 1 }, rows),
    };
    b.reshape(joined, [count * total])
}

/// The elements at these places of arrays that stand one after the other.
pub(super) fn take(b: &mut Builder, flat: &[Var], places: Vec<usize>, dtype: DType) -> Var {
    if places.is_empty() || flat.is_empty() {
        return b.zeros(&TensorType::new(dtype, [places.len()]));
    }
    let all = match flat {
        [one] => *one,
        several => b.push(Concat { axis: 0 }, several),
    };
    let places: Vec<i64> = places.into_iter().map(|p| p as i64).collect();
    let index = b.constant(Array::vector(places));
    b.push(Gather { axis: 0, batch: 0 }, &[all, index])
}
