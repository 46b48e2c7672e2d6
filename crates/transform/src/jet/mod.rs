//! Taylor mode: the coefficients of functions of one parameter, to any order.
//!
//! Where the inputs move along curves x(t) = x_0 + x_1 t + x_2 t^2 + ..., the outputs move along
//! curves too, and [`jet`] gives their coefficients. The k-th derivative is k! times the coefficient.
//! The work grows with the square of the order, where derivatives nested k deep grow as 2^k.
//!
//! No operation needs a table of its own: what its derivative rule says is a differential equation
//! for the coefficients. With y' = p(x, y) x' the coefficient of t^(k-1) on the right follows from
//! those of x up to k and those of y up to k - 1, and gives k y_k (Griewank and Walther, Evaluating
//! Derivatives, 2008, chapter 13). Products, quotients and linear operations, in which these end, are
//! sums over their factors' coefficients (Cauchy products).

mod flow;
mod series;

use std::collections::HashMap;

use cotangent_graph::ops::Concat;
use cotangent_graph::{Builder, Graph, Op, Var};

use crate::TransformError;
use crate::forward::{check_choice, is_inexact};
use series::{Id, Series};

/// The highest order of a jet.
pub const MAX_ORDER: usize = 255;

/// The Taylor coefficients of a graph's outputs from those of its inputs.
///
/// Inputs of the result: those of `graph`, which are the coefficients of t^0, then for each chosen
/// input its coefficients of t^1 to t^`order`, stacked along a leading axis, as `c_NAME`. Outputs:
/// those of `graph`, then for each float or complex output its coefficients, stacked likewise. At a kink the
/// curve goes on as the convention of the derivative says.
///
/// ```
/// use cotangent_array::Array;
/// let f = cotangent_graph::parse("fn f(x: f64) -> f64 { exp(2.0 * x) }")?.entry().clone();
/// let j = cotangent_transform::jet(&f, &[true], 3)?;
/// // x(t) = t, so the coefficients are 2^k / k!.
/// let found = cotangent_graph::eval(&j, &[0.0.into(), [1.0, 0.0, 0.0].into()])?;
/// assert_eq!(found[1], Array::from([2.0, 2.0, 4.0 / 3.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A choice that does not fit the inputs, or that names an input that is neither float nor complex; an order of 0
/// or above [`MAX_ORDER`].
pub fn jet(graph: &Graph, wrt: &[bool], order: usize) -> Result<Graph, TransformError> {
    check_choice(graph, wrt)?;
    if !(1..=MAX_ORDER).contains(&order) {
        return Err(TransformError::Order {
            graph: graph.name().to_owned(),
            found: order,
        });
    }
    let mut b = Builder::new(&format!("{}_jet", graph.name()));
    let inputs = graph.inputs().iter().zip(graph.input_types());
    let values: Vec<Var> = inputs.map(|((n, _), t)| b.input(n, t)).collect();
    let mut curves: Vec<Curve> = Vec::with_capacity(values.len());
    for (i, v) in values.iter().enumerate() {
        let mut curve = vec![Some(*v)];
        if wrt.get(i) == Some(&true) {
            let ty = b.tensor(*v);
            let name = graph.inputs().get(i).map_or("x", |(n, _)| n);
            let mut dims = vec![order];
            dims.extend_from_slice(ty.shape.dims());
            let stack = b.input(&format!("c_{name}"), ty.with_shape(dims));
            for k in 0..order {
                let row = b.slice_axis(stack, 0, k, k + 1);
                curve.push(Some(b.reshape(row, &ty.shape)));
            }
        }
        curves.push(curve);
    }
    let found = walk(&mut b, graph, curves, order)?;
    let mut outputs: Vec<Var> = found
        .iter()
        .filter_map(|c| c.first().copied().flatten())
        .collect();
    for (curve, ty) in found
        .iter()
        .zip(graph.output_types())
        .filter(|(_, t)| is_inexact(t))
    {
        let mut dims = vec![1];
        dims.extend_from_slice(ty.shape.dims());
        let rows: Vec<Var> = (1..=order)
            .map(|k| {
                let c = curve.get(k).copied().flatten();
                let c = c.unwrap_or_else(|| b.zeros(&ty));
                b.reshape(c, &dims[..])
            })
            .collect();
        outputs.push(match &rows[..] {
            [one] => *one,
            rows => b.push(Concat { axis: 0 }, rows),
        });
    }
    Ok(b.finish(&outputs)?.without_dead_code())
}

/// The coefficients of a variable: that of t^0 is its value; missing ones and `None` are zero.
type Curve = Vec<Option<Var>>;

/// Emits the graph on inputs that move; the curves of its outputs.
fn walk(
    b: &mut Builder,
    graph: &Graph,
    inputs: Vec<Curve>,
    order: usize,
) -> Result<Vec<Curve>, TransformError> {
    let mut series = Series::new(order);
    let mut to: Vec<Id> = vec![0; graph.equations().len()];
    let mut parts: HashMap<Var, Vec<Id>> = HashMap::new();
    for ((_, v), curve) in graph.inputs().iter().zip(inputs) {
        to[v.index()] = series.given(b, curve);
    }
    let live = graph.live();
    for (v, e) in graph
        .iter()
        .filter(|(v, e)| live[v.index()] && !e.op.is_input())
    {
        b.follow(e);
        if let (Op::Get(i), Some(tuple)) = (&e.op, e.args.first()) {
            if let Some(part) = parts.get(tuple).and_then(|p| p.get(*i)) {
                to[v.index()] = *part;
            }
            continue;
        }
        let args: Vec<Id> = e.args.iter().map(|a| to[a.index()]).collect();
        if e.op.callees().next().is_some() {
            let operands: Vec<Curve> = args.iter().map(|a| series.curve(*a)).collect();
            let results = flow::region(b, &e.op, &operands, order)?;
            let results: Vec<Id> = results.into_iter().map(|c| series.given(b, c)).collect();
            if let ([one], Some(_)) = (&results[..], e.ty.tensor()) {
                to[v.index()] = *one;
            }
            parts.insert(v, results);
            continue;
        }
        if let Op::Linalg(op) = &e.op {
            let results = series.results(op, &args);
            for id in &results {
                series.complete(b, *id)?;
            }
            if let ([one], Some(_)) = (&results[..], e.ty.tensor()) {
                to[v.index()] = *one;
            }
            parts.insert(v, results);
            continue;
        }
        if e.ty.tensor().is_none() || matches!(e.op, Op::Native(_)) {
            return Err(TransformError::NoJet {
                op: e.op.name().to_owned(),
                location: e.location,
            });
        }
        let id = series.push(e.op.clone(), args);
        series.complete(b, id)?;
        to[v.index()] = id;
        if b.failed() {
            break;
        }
    }
    b.set_location(None);
    let outputs = graph.outputs().iter();
    Ok(outputs.map(|o| series.curve(to[o.index()])).collect())
}
