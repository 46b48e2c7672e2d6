//! Every differentiable method on tensors against central differences, first and second order, in
//! both modes, and the compiled program against the reference evaluator.

#[path = "gradients/arrays.rs"]
mod arrays;
#[path = "gradients/differences.rs"]
mod differences;
#[path = "gradients/layers.rs"]
mod layers;
#[path = "gradients/pointwise.rs"]
mod pointwise;
#[path = "gradients/row.rs"]
mod row;

use cotangent::{
    Array, ConvOptions, DType, Error, Function, Interpolation, Key, NewAxis, PadMode, Padding,
    PoolOptions, Rest, Tensor, block_diag, concat, einsum, keep, meshgrid, scatter_add, select,
    stack, step,
};

use arrays::*;
use differences::*;
use layers::*;
use pointwise::*;
use row::Row;

/// Each line is the name of a method and its rows.
fn rows() -> Vec<Row> {
    let mut rows = unary_rows();
    rows.extend(binary_rows());
    rows.extend(reduce_rows());
    rows.extend(shape_rows());
    rows.extend(index_rows());
    rows.extend(linear_rows());
    rows.extend(matrix_rows());
    rows.extend(layer_rows());
    rows.extend(loss_rows());
    rows.extend(sort_rows());
    rows.extend(special_rows());
    rows
}

/// Methods that no derivative passes through, or that make or describe tensors.
const WITHOUT_DERIVATIVE: &[&str] = &[
    // The type and the values.
    "shape",
    "dtype",
    "ty",
    "rank",
    "dim",
    "len",
    "is_empty",
    "to_array",
    "item",
    "into_tensor",
    // New tensors.
    "full",
    "zeros",
    "ones",
    "scalar",
    "zeros_like",
    "ones_like",
    "full_like",
    "arange",
    "arange_step",
    "linspace",
    "iota",
    "eye",
    "eye_shifted",
    "one_hot",
    "random_bits",
    "uniform",
    "normal",
    "bernoulli",
    "new",
    "split_many",
    "split_rows",
    "fold_in",
    // Bools and integers.
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "is_finite",
    "is_nan",
    "is_inf",
    "is_close",
    "any",
    "all",
    "argmax",
    "argmin",
    "count_nonzero",
    "argsort",
    "argsort_descending",
    "searchsorted",
    "bincount",
    "cum_argmax",
    "cum_argmin",
    "cum_argmax_last",
    "cum_argmin_last",
    // No derivative by definition; see edges.rs.
    "stop_gradient",
    // Options.
    "keep",
    "range",
    "step",
    "stride",
    "padding",
    "dilation",
    "groups",
    "output_padding",
    "ceil",
    "count_include_pad",
];

#[test]
fn the_table_has_every_method() {
    let sources = [
        include_str!("../src/tensor/mod.rs"),
        include_str!("../src/tensor/activation.rs"),
        include_str!("../src/tensor/attention.rs"),
        include_str!("../src/tensor/axes.rs"),
        include_str!("../src/tensor/create.rs"),
        include_str!("../src/tensor/gather.rs"),
        include_str!("../src/tensor/index.rs"),
        include_str!("../src/tensor/layer.rs"),
        include_str!("../src/tensor/linear.rs"),
        include_str!("../src/tensor/loss.rs"),
        include_str!("../src/tensor/matrices.rs"),
        include_str!("../src/tensor/operand.rs"),
        include_str!("../src/tensor/pointwise.rs"),
        include_str!("../src/tensor/random.rs"),
        include_str!("../src/tensor/reduce.rs"),
        include_str!("../src/tensor/shape.rs"),
        include_str!("../src/tensor/sort.rs"),
        include_str!("../src/tensor/special.rs"),
    ];
    let rows = rows();
    let mut seen = 0;
    for line in sources.iter().flat_map(|s| s.lines()) {
        let line = line.trim();
        // `pub fn name(` or `pub fn name<`, or a line `name Operation;` of a macro.
        let name = match line.strip_prefix("pub fn ") {
            Some(rest) => rest.split(['(', '<']).next().unwrap_or_default(),
            None => match line.split_once(' ') {
                Some((name, op)) if op.ends_with(';') && is_row(name, op) => name,
                _ => continue,
            },
        };
        if name.starts_with('$') {
            continue;
        }
        seen += 1;
        let known = rows.iter().any(|r| r.name == name) || WITHOUT_DERIVATIVE.contains(&name);
        assert!(known, "no row for `{name}`");
    }
    assert!(seen > 200, "found only {seen} methods");
}

/// Whether a line is `name Operation;` or `name Family::Operation;`.
fn is_row(name: &str, op: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && op.starts_with(|c: char| c.is_ascii_uppercase())
        && op
            .trim_end_matches(';')
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == ':')
}

#[test]
fn values_agree_with_the_reference_and_places_are_the_users() -> Result<(), Error> {
    // Bodies stand in this file or in the folder beside it.
    let folder = file!().trim_end_matches(".rs");
    for r in rows() {
        let f = Function::new(r.body);
        let graph = f.graph(&(r.inputs.clone(),))?;
        for e in graph
            .equations()
            .iter()
            .filter(|e| !e.op.is_constant() && !e.op.is_input())
        {
            let place = e.location.map(|l| l.to_string()).unwrap_or_default();
            assert!(
                place.starts_with(folder),
                "{}: {} is at {place}",
                r.name,
                e.op.name()
            );
        }
        let expected = &cotangent::eval(&graph, &r.inputs).expect(r.name)[0];
        close(
            r.name,
            "value",
            &f.call((r.inputs.clone(),))?,
            expected,
            1e-12,
        );
    }
    Ok(())
}

#[test]
fn first_and_second_derivatives_agree_with_differences() -> Result<(), Error> {
    for r in rows() {
        let f = Function::new(r.body);
        // g(x) = <c, f(x)>, a scalar with every part of f in it.
        let body = r.body;
        let g = Function::new(move |a: &Vec<Tensor>| weighted(&body(a)));
        let x = r.inputs.clone();
        let v: Vec<Array> = x.iter().map(|a| direction(a, 0.13)).collect();
        let gradient = g.grad();
        let analytic = gradient.call((x.clone(),))?;
        let (_, slope) = g.jvp().call(((x.clone(),), (v.clone(),)))?;
        let slope = slope.item::<f64>()?;
        let product = inner(&analytic, &v);
        near(r.name, "forward and reverse", slope, product, 1e-10);
        let at = |h: f64| -> Result<f64, Error> { Ok(g.call((moved(&x, &v, h),))?.item::<f64>()?) };
        near(r.name, "slope", slope, difference(at)?, 1e-6);
        // <u, J v> = <J^T u, v> for f itself.
        let y = f.call((x.clone(),))?;
        let u = direction(&y, 0.71);
        let (_, jv) = f.jvp().call(((x.clone(),), (v.clone(),)))?;
        let (_, (ju,)) = f.vjp().call(((x.clone(),), u.clone()))?;
        near(
            r.name,
            "transpose",
            inner(&[u], &[jv]),
            inner(&ju, &v),
            1e-10,
        );
        // The second derivative in two directions, forward over reverse and reverse over reverse.
        let w: Vec<Array> = x.iter().map(|a| direction(a, 0.41)).collect();
        let (_, (hv,)) = gradient_jvp(&gradient, &x, &v)?;
        let along = w.clone();
        let gw = gradient.clone();
        let h = Function::new(move |a: &Vec<Tensor>| {
            let parts = gw.apply((a.clone(),));
            let mut sum = Tensor::scalar(0.0);
            for (p, w) in parts.iter().zip(&along) {
                sum += (p * w).sum(..);
            }
            sum
        });
        let hw = h.grad().call((x.clone(),))?;
        near(r.name, "symmetry", inner(&hv, &w), inner(&hw, &v), 1e-9);
        let at =
            |h: f64| -> Result<f64, Error> { Ok(inner(&gradient.call((moved(&x, &v, h),))?, &w)) };
        near(r.name, "curvature", inner(&hv, &w), difference(at)?, 1e-6);
    }
    Ok(())
}

#[test]
fn f32_stays_f32() -> Result<(), Error> {
    for r in rows().into_iter().filter(|r| r.name != "convert") {
        let f = Function::new(r.body);
        let expected = f.call((r.inputs.clone(),))?;
        let narrow: Vec<Array> = r.inputs.iter().map(|a| a.convert(DType::F32)).collect();
        let found = f.call((narrow.clone(),))?;
        assert_eq!(found.dtype(), DType::F32, "{}", r.name);
        close(r.name, "f32", &found, &expected, 2e-4);
        let (_, gradients) = f.vjp().call(((narrow,), found))?;
        assert!(
            gradients.0.iter().all(|g| g.dtype() == DType::F32),
            "{}",
            r.name
        );
    }
    Ok(())
}

#[test]
fn batches_agree_with_examples() -> Result<(), Error> {
    for r in rows() {
        let f = Function::new(r.body);
        let other: Vec<Array> = moved(&r.inputs, &r.inputs, 0.03);
        let both: Vec<Array> = r
            .inputs
            .iter()
            .zip(&other)
            .map(|(a, b)| pile(a, b))
            .collect();
        let expected = pile(&f.call((r.inputs.clone(),))?, &f.call((other.clone(),))?);
        close(
            r.name,
            "vmap",
            &f.vmap().call((both.clone(),))?,
            &expected,
            1e-11,
        );
        // The gradient of each example.
        let body = r.body;
        let g = Function::new(move |a: &Vec<Tensor>| weighted(&body(a))).grad();
        let (first, second) = (g.call((r.inputs.clone(),))?, g.call((other,))?);
        let found = g.vmap().call((both,))?;
        for (found, (a, b)) in found.iter().zip(first.iter().zip(&second)) {
            close(r.name, "vmap of grad", found, &pile(a, b), 1e-10);
        }
    }
    Ok(())
}

type Gradient = Function<(Vec<Tensor>,), Vec<Tensor>>;
type Both = (Vec<Array>, (Vec<Array>,));

fn gradient_jvp(gradient: &Gradient, x: &[Array], v: &[Array]) -> Result<Both, Error> {
    let (g, hv) = gradient.jvp().call(((x.to_vec(),), (v.to_vec(),)))?;
    Ok((g, (hv,)))
}

fn weighted(y: &Tensor) -> Tensor {
    let weights = Tensor::arange(y.len(), DType::F64).cos() + 0.3;
    (y.ravel() * weights).sum(..)
}
