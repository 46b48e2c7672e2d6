//! Derivatives of both modes and of higher order.

use cotangent_array::Array;
use cotangent_graph::ops::Linalg;
use cotangent_graph::ops::linalg::MatrixFault;
use cotangent_graph::{EvalError, Graph, Op, eval};
use cotangent_transform::{Mode, TransformError, hessian, hvp, jacobian};

use super::vectors::{Quotients, inner};
use super::{Checked, Checker, Named, Verdict, failed, orders};
use crate::arrays::{parts, widened};
use crate::rewrite::{scalar_cost, widen};
use crate::walk::{Spread, Walk};

/// All checks of the derivatives of a case.
pub(super) fn all(c: &mut Checker) -> Checked {
    let graph = &c.case.graph;
    let types = graph.input_types();
    let floats: Vec<usize> = (0..types.len())
        .filter(|i| types[*i].dtype.is_inexact())
        .collect();
    if floats.is_empty() {
        return Ok(());
    }
    let mut wrt: Vec<bool> = types
        .iter()
        .map(|t| t.dtype.is_inexact() && c.rng.chance(0.8))
        .collect();
    if !wrt.contains(&true) {
        wrt[c.rng.pick(&floats).unwrap_or(0)] = true;
    }
    errors(c, graph, &wrt)?;
    if !graph.output_types().iter().any(|t| t.dtype.is_inexact()) {
        return Ok(());
    }
    as_drawn(c, &wrt)?;
    if !c.case.smooth {
        return Ok(());
    }
    c.tally.smooth += 1;
    let wide = widen(graph).named("widen")?;
    let inputs: Vec<Array> = (c.case.inputs.iter())
        .map(|a| a.convert(widened(a.dtype())))
        .collect();
    first_order(c, "", &wide, &inputs, &wrt)?;
    if c.rng.chance(0.5) {
        second_order(c, &wide, &inputs, &wrt)?;
    }
    if c.rng.chance(0.3) {
        whole(c, &wide, &inputs, &wrt)?;
    }
    if c.rng.chance(0.12) {
        orders::mixed(c, &wide, &inputs, &wrt)?;
    }
    if c.rng.chance(0.12) {
        orders::batched(c, &wide, &inputs, &wrt)?;
    }
    if graph
        .equations()
        .iter()
        .any(|e| e.ty.tensor().is_some_and(|t| widened(t.dtype) != t.dtype))
    {
        narrow(c, &wide, &inputs, &wrt)?;
    }
    Ok(())
}

/// Whether the graph or a callee of it takes the logarithm of a determinant.
fn has_slogdet(graph: &Graph) -> bool {
    let here = |op: &Op| matches!(op, Op::Linalg(Linalg::Slogdet(_)));
    let below = |op: &Op| op.callees().any(|callee| has_slogdet(&callee.0));
    let mut ops = graph.equations().iter().map(|e| &e.op);
    ops.any(|op| here(op) || below(op))
}

/// Whether an evaluation ended at a singular matrix.
fn is_singular(error: &EvalError) -> bool {
    match error {
        EvalError::Op { source, .. } => is_singular(source),
        EvalError::Matrix(e) => matches!(e.fault, MatrixFault::Singular(_)),
        _ => false,
    }
}

/// Jacobians of both modes are one another, and a Hessian times a vector is the derivative of the
/// gradient along it.
fn whole(c: &mut Checker, graph: &Graph, inputs: &[Array], wrt: &[bool]) -> Checked {
    // Jacobians are of real variables.
    let mut types = graph.input_types().into_iter().chain(graph.output_types());
    if types.any(|t| t.dtype.is_complex()) {
        return Ok(());
    }
    let chosen = graph
        .input_types()
        .into_iter()
        .zip(wrt)
        .filter(|(_, w)| **w);
    let elements: usize = chosen.map(|(t, _)| t.shape.elements()).sum();
    let results: usize = graph
        .output_types()
        .iter()
        .map(|t| t.shape.elements())
        .sum();
    if elements > 16 || results > 24 || graph.operation_count() > 60 {
        return Ok(());
    }
    if graph.output_types().iter().all(|t| t.dtype.is_inexact()) {
        let forward = jacobian(graph, wrt, Mode::Forward).named("jacobian, forward")?;
        let reverse = jacobian(graph, wrt, Mode::Reverse).named("jacobian, reverse")?;
        let spread = Spread::of(&forward, inputs, 16, &mut c.rng).named("evaluate jacobian")?;
        let found = Spread::of(&reverse, inputs, 16, &mut c.rng).named("evaluate jacobian")?;
        close(c, "jacobian forward is reverse", &spread, &found)?;
    }
    let cost = scalar_cost(graph).named("scalar cost")?;
    let full = hessian(&cost, wrt).named("hessian")?;
    let along = hvp(&cost, wrt).named("hvp")?;
    let direction = c.directions(&cost, wrt);
    let full = Spread::of(&full, inputs, 16, &mut c.rng).named("evaluate hessian")?;
    let at = [inputs, &direction].concat();
    let along = Spread::of(&along, &at, 16, &mut c.rng).named("evaluate hvp")?;
    // Block (a, b) of the Hessian times the direction of input b, summed over b.
    let mut products = along.clone();
    (products.base, products.deviation) = (Vec::new(), Vec::new());
    let blocks = full.base.chunks(direction.len().max(1));
    let deviations = full.deviation.chunks(direction.len().max(1));
    for ((blocks, deviations), part) in blocks.zip(deviations).zip(&along.base) {
        let (mut sums, mut errors) = (vec![0.0; part.len()], vec![0.0; part.len()]);
        for ((block, deviation), v) in blocks.iter().zip(deviations).zip(&direction) {
            let (block, v) = (block.to_f64s(), v.to_f64s());
            for (i, (h, d)) in block.iter().zip(deviation).enumerate() {
                let (row, column) = (i / v.len().max(1), i % v.len().max(1));
                sums[row] += h * v[column];
                // Rounding of the sum belongs to the error too.
                errors[row] += (d + f64::EPSILON * h.abs()) * v[column].abs();
            }
        }
        products
            .base
            .push(crate::arrays::floats(part.dtype(), part.shape(), &sums));
        products.deviation.push(errors);
    }
    close(c, "hessian times a vector is hvp", &products, &along)
}

/// Two results that each have a spread of their own.
pub(super) fn close(c: &mut Checker, check: &str, one: &Spread, other: &Spread) -> Checked {
    let mut both = one.clone();
    for (x, y) in both.deviation.iter_mut().zip(&other.deviation) {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    }
    both.round();
    c.agree(check, &both, &other.base)
}

/// The tangents of a graph with f32 in it are those of the same graph in f64, within the spread
/// that rounding to f32 shows.
fn narrow(c: &mut Checker, wide: &Graph, inputs: &[Array], wrt: &[bool]) -> Checked {
    let graph = &c.case.graph;
    let (mut here, mut there) = (Walk::plain(), Walk::plain());
    here.run(graph, &c.case.inputs).named("evaluate")?;
    there.run(wide, inputs).named("evaluate in f64")?;
    if here.decisions != there.decisions {
        // What was rounded to f32 is compared with what was not.
        return Ok(());
    }
    let forward = (c.engine.jvp)(graph, wrt).named("jvp")?;
    let tangents = c.directions(graph, wrt);
    let at = [&c.case.inputs[..], &tangents].concat();
    let mut spread = Spread::of(&forward, &at, 6, &mut c.rng).named("evaluate jvp")?;
    spread.round();
    let forward = (c.engine.jvp)(wide, wrt).named("jvp")?;
    let tangents: Vec<Array> = tangents
        .iter()
        .map(|t| t.convert(widened(t.dtype())))
        .collect();
    let at = [inputs, &tangents].concat();
    let found = eval(&forward, &at).named("evaluate jvp")?;
    let found: Vec<Array> = found
        .iter()
        .zip(&spread.base)
        .map(|(a, like)| a.convert(like.dtype()))
        .collect();
    c.agree("jvp in f32 is jvp in f64", &spread, &found)
}

/// Choices that make no sense are errors.
fn errors(c: &mut Checker, graph: &Graph, wrt: &[bool]) -> Checked {
    let none = vec![false; wrt.len()];
    if !matches!(
        (c.engine.jvp)(graph, &none),
        Err(TransformError::NothingChosen { .. })
    ) {
        return failed("jvp with respect to nothing", "expected an error");
    }
    let float_out = graph.output_types().iter().any(|t| t.dtype.is_inexact());
    if !float_out
        && !matches!(
            (c.engine.vjp)(graph, wrt),
            Err(TransformError::OutputNotFloat { .. })
        )
    {
        return failed("vjp without a float output", "expected an error");
    }
    Ok(())
}

/// In the dtypes of the graph: every transformation is sound, linearize and transpose give what
/// jvp and vjp give, and programs of the derivatives agree with the reference evaluator.
fn as_drawn(c: &mut Checker, wrt: &[bool]) -> Checked {
    let (graph, inputs) = (&c.case.graph, &c.case.inputs);
    let outputs = graph.outputs().len();

    let forward = (c.engine.jvp)(graph, wrt).named("jvp")?;
    c.sound("of jvp", &forward)?;
    let tangents = c.directions(graph, wrt);
    let at = [&inputs[..], &tangents].concat();
    if has_slogdet(graph) && eval(&forward, &at).is_err_and(|e| is_singular(&e)) {
        return Err(Verdict::Unstable(
            "the logarithm of a determinant of 0 has a value and no derivative".into(),
        ));
    }
    let pushed = c.spread("of jvp", &forward, &at)?;
    let values = eval(graph, inputs).named("evaluate")?;
    if pushed.base.get(..outputs) != Some(&values[..]) {
        return failed(
            "jvp keeps the values",
            format!("{values:?}\nbecame {:?}", pushed.base),
        );
    }
    if c.rng.chance(0.5) {
        c.program("jvp", &forward, &at, &pushed)?;
        c.passes("jvp", &forward, &at, &pushed)?;
    }
    if c.rng.chance(0.15) {
        c.batch("jvp", &forward, &at)?;
    }

    let reverse = (c.engine.vjp)(graph, wrt).named("vjp")?;
    c.sound("of vjp", &reverse)?;
    let cotangents = c.cotangents(graph);
    let from = [&inputs[..], &cotangents].concat();
    let pulled = c.spread("of vjp", &reverse, &from)?;
    if c.rng.chance(0.6) {
        c.program("vjp", &reverse, &from, &pulled)?;
        c.passes("vjp", &reverse, &from, &pulled)?;
    }
    if c.rng.chance(0.15) {
        c.batch("vjp", &reverse, &from)?;
    }
    split(c, wrt, &tangents, &cotangents, &pushed, &pulled)?;
    if c.rng.chance(0.2) {
        higher(c, graph, wrt)?;
    }
    Ok(())
}

/// linearize is jvp in two parts, and transposing the second part is vjp.
fn split(
    c: &mut Checker,
    wrt: &[bool],
    tangents: &[Array],
    cotangents: &[Array],
    pushed: &Spread,
    pulled: &Spread,
) -> Checked {
    let (graph, inputs) = (&c.case.graph, &c.case.inputs);
    let outputs = graph.outputs().len();
    let parts = (c.engine.linearize)(graph, wrt).named("linearize")?;
    c.sound("of linearize, values", &parts.primal)?;
    c.sound("of linearize, linear", &parts.linear)?;
    let mut values = eval(&parts.primal, inputs).named("evaluate linearize, values")?;
    let residuals = values.split_off(outputs.min(values.len()));
    if residuals.len() != parts.residuals {
        return failed("linearize", "another number of residuals");
    }
    let at = [&residuals[..], tangents].concat();
    let mut moved = eval(&parts.linear, &at)
        .named("evaluate linearize, linear")?
        .into_iter();
    let mut found = values;
    for (ty, varies) in graph.output_types().into_iter().zip(&parts.varying) {
        match (ty.dtype.is_inexact(), varies) {
            (true, true) => found.extend(moved.next()),
            (true, false) => found.push(Array::zeros(ty.dtype, ty.shape).named("zeros")?),
            (false, true) => return failed("linearize", "an output that is no float varies"),
            (false, false) => {}
        }
    }
    c.agree("linearize is jvp", pushed, &found)?;

    let linear: Vec<bool> = (0..parts.linear.inputs().len())
        .map(|i| i >= parts.residuals)
        .collect();
    let transposed = (c.engine.transpose)(&parts.linear, &linear).named("transpose")?;
    c.sound("of transpose", &transposed)?;
    let varying: Vec<Array> = (graph.output_types().iter().zip(&parts.varying))
        .filter(|(t, _)| t.dtype.is_inexact())
        .zip(cotangents)
        .filter(|((_, varies), _)| **varies)
        .map(|(_, ct)| ct.clone())
        .collect();
    let at = [&residuals[..], &varying].concat();
    let found = eval(&transposed, &at).named("evaluate transpose")?;
    if !c.case.smooth {
        // Cut in two, a graph does not know which residuals are infinite, and multiplies plainly.
        return Ok(());
    }
    c.agree("transpose of linearize is vjp", pulled, &found)
}

/// Third derivatives are sound graphs, and so is the Hessian of the summed outputs.
fn higher(c: &mut Checker, graph: &Graph, wrt: &[bool]) -> Checked {
    let reverse = (c.engine.vjp)(graph, wrt).named("vjp")?;
    let wrt_of = |g: &Graph| -> Vec<bool> {
        (0..g.inputs().len())
            .map(|i| wrt.get(i).copied().unwrap_or(false))
            .collect()
    };
    let second = (c.engine.jvp)(&reverse, &wrt_of(&reverse)).named("jvp of vjp")?;
    c.sound("of jvp of vjp", &second)?;
    let twice = (c.engine.vjp)(&reverse, &wrt_of(&reverse)).named("vjp of vjp")?;
    c.sound("of vjp of vjp", &twice)?;
    if second.operation_count() < 400 {
        let third = (c.engine.vjp)(&second, &wrt_of(&second)).named("vjp of jvp of vjp")?;
        c.sound("of vjp of jvp of vjp", &third)?;
    }
    let elements: usize = graph.input_types().iter().map(|t| t.shape.elements()).sum();
    let real = !graph.input_types().iter().any(|t| t.dtype.is_complex());
    if elements <= 12 && real {
        let cost = scalar_cost(graph).named("scalar cost")?;
        let gradient = cotangent_transform::value_and_grad(&cost, wrt).named("value_and_grad")?;
        c.sound("of value_and_grad", &gradient)?;
        let hessian = hessian(&cost, wrt).named("hessian")?;
        c.sound("of hessian", &hessian)?;
    }
    Ok(())
}

/// In f64: jvp against differences, and vjp against jvp.
fn first_order(
    c: &mut Checker,
    of: &str,
    graph: &Graph,
    inputs: &[Array],
    wrt: &[bool],
) -> Checked {
    let forward = (c.engine.jvp)(graph, wrt).named(&format!("jvp{of}"))?;
    let tangents = c.directions(graph, wrt);
    let at = [inputs, &tangents].concat();
    let mut values = eval(&forward, &at).named(&format!("evaluate jvp{of}"))?;
    let pushed = values.split_off(graph.outputs().len());
    differences(c, of, graph, inputs, wrt, &tangents, (&forward, &pushed))?;

    let reverse = (c.engine.vjp)(graph, wrt).named(&format!("vjp{of}"))?;
    let cotangents = c.cotangents(graph);
    let from = [inputs, &cotangents].concat();
    let pulled = eval(&reverse, &from).named(&format!("evaluate vjp{of}"))?;
    let check = format!("<u, J v> = <J^T u, v>{of}");
    c.tally.count(&check);
    let (left, right) = (inner(&cotangents, &pushed), inner(&pulled, &tangents));
    let off = (left.0 - right.0).abs();
    let tolerance = 1e-9 * (left.1 + right.1);
    if off <= tolerance {
        return Ok(());
    }
    // Terms may cancel inside of the graphs, which the noise of the reference shows.
    let noise = |c: &mut Checker, graph: &Graph, at: &[Array], skip: usize, by: &[Array]| {
        let spread = Spread::of(graph, at, 4, &mut c.rng).named("evaluate")?;
        let deviations = spread.deviation.get(skip..).unwrap_or_default();
        let terms = deviations.iter().zip(by).map(|(d, b)| {
            d.iter()
                .zip(parts(b))
                .map(|(d, b)| d * b.abs())
                .sum::<f64>()
        });
        Ok::<f64, Verdict>(terms.sum())
    };
    let tolerance = tolerance
        + 8.0 * noise(c, &forward, &at, graph.outputs().len(), &cotangents)?
        + 8.0 * noise(c, &reverse, &from, 0, &tangents)?;
    if off <= tolerance {
        return Ok(());
    }
    failed(
        check,
        format!(
            "{:e} and {:e} differ by {off:e}, more than {tolerance:e}",
            left.0, right.0
        ),
    )
}

/// Tangents against central differences.
fn differences(
    c: &mut Checker,
    of: &str,
    graph: &Graph,
    inputs: &[Array],
    wrt: &[bool],
    tangents: &[Array],
    (forward, pushed): (&Graph, &[Array]),
) -> Checked {
    let check = format!("jvp against differences{of}");
    let Some(quotients) = Quotients::new(graph, inputs, wrt, tangents) else {
        return failed(check, "no value at the sample");
    };
    c.tally.differences += 1;
    // The digits that are lost inside of the graphs, which only matter where jvp seems wrong.
    let mut noise: Option<Noises> = None;
    let mut moved = true;
    let mut conclusive = false;
    for h in [4e-3, 2e-4, 1e-5] {
        let Some(estimates) = quotients.estimate(h) else {
            continue;
        };
        moved = false;
        let found = estimates.iter().zip(pushed).enumerate();
        let mut worst: Option<(f64, String)> = None;
        let mut close = true;
        for (k, (estimate, tangent)) in found {
            let tangent = parts(tangent);
            let size = tangent.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            let terms = estimate
                .value
                .iter()
                .zip(&estimate.error)
                .zip(&tangent)
                .enumerate();
            for (i, ((value, error), tangent)) in terms {
                let mut tolerance = error + 1e-8 * size;
                let off = (value - tangent).abs();
                if off > tolerance {
                    if noise.is_none() {
                        noise = Some(Noises::of(c, graph, inputs, forward, tangents)?);
                    }
                    tolerance += noise.as_ref().map_or(0.0, |n| n.at(k, i, h));
                }
                close &= tolerance <= 1e-4 * (1.0 + size);
                if (off.is_nan() || off > tolerance) && worst.as_ref().is_none_or(|w| off > w.0) {
                    let message = format!(
                        "output {k}, element {i}: differences give {value:e} within \
                         {tolerance:e}, jvp {tangent:e}"
                    );
                    worst = Some((off, message));
                }
            }
        }
        match worst {
            // A coarse step may be too coarse; only one that is sure of itself convicts.
            Some((_, message)) if close => return failed(check, message),
            None if close => {
                conclusive = true;
                break;
            }
            _ => {}
        }
    }
    if moved {
        return Err(Verdict::Unstable(
            "a kink within the steps of the differences".into(),
        ));
    }
    c.tally.count(&check);
    c.tally.inconclusive += usize::from(!conclusive);
    Ok(())
}

/// How far the float outputs of a graph, and their tangents, go when each result is disturbed.
struct Noises {
    values: Vec<Vec<f64>>,
    tangents: Vec<Vec<f64>>,
}

impl Noises {
    fn of(
        c: &mut Checker,
        graph: &Graph,
        inputs: &[Array],
        forward: &Graph,
        tangents: &[Array],
    ) -> Checked<Noises> {
        let at = [inputs, tangents].concat();
        let spread = Spread::of(forward, &at, 8, &mut c.rng).named("evaluate jvp")?;
        let floats = spread
            .base
            .iter()
            .map(|a| a.dtype().is_inexact())
            .collect::<Vec<bool>>();
        let (values, tangents) = spread.deviation.split_at(graph.outputs().len());
        let values = values.iter().zip(floats).filter(|(_, float)| *float);
        Ok(Noises {
            values: values.map(|(d, _)| d.clone()).collect(),
            tangents: tangents.to_vec(),
        })
    }

    /// How far differences with the step h and jvp may be apart for this alone.
    fn at(&self, output: usize, element: usize, h: f64) -> f64 {
        let of = |d: &[Vec<f64>]| {
            d.get(output)
                .and_then(|d| d.get(element))
                .copied()
                .unwrap_or(0.0)
        };
        // The finest quotient divides the difference of two values by h / 2, and extrapolation
        // magnifies what is left of that.
        8.0 * (of(&self.tangents) + of(&self.values) / (h / 8.0))
    }
}

/// In f64: the derivative of vjp against its differences, forward over reverse against reverse
/// over reverse, and the symmetry of second derivatives.
fn second_order(c: &mut Checker, graph: &Graph, inputs: &[Array], wrt: &[bool]) -> Checked {
    let reverse = (c.engine.vjp)(graph, wrt).named("vjp")?;
    if reverse.operation_count() > 400 {
        return Ok(());
    }
    let cotangents = c.cotangents(graph);
    let at = [inputs, &cotangents].concat();
    let wrt2: Vec<bool> = wrt
        .iter()
        .copied()
        .chain(cotangents.iter().map(|_| false))
        .collect();
    first_order(c, ", order two", &reverse, &at, &wrt2)?;

    let second = (c.engine.jvp)(&reverse, &wrt2).named("jvp of vjp")?;
    let (v, w) = (c.directions(&reverse, &wrt2), c.directions(&reverse, &wrt2));
    let mut along = |direction: &[Array]| -> Checked<(Vec<Array>, Spread)> {
        let at = [&at[..], direction].concat();
        let spread = Spread::of(&second, &at, 2, &mut c.rng).named("evaluate jvp of vjp")?;
        Ok((
            spread
                .base
                .get(reverse.outputs().len()..)
                .unwrap_or_default()
                .to_vec(),
            spread,
        ))
    };
    let ((hv, spread_v), (hw, spread_w)) = (along(&v)?, along(&w)?);
    let (left, right) = (inner(&w, &hv), inner(&v, &hw));
    let noise = |spread: &Spread, by: &[Array]| -> f64 {
        let deviations = spread
            .deviation
            .get(reverse.outputs().len()..)
            .unwrap_or_default();
        deviations
            .iter()
            .zip(by)
            .map(|(d, b)| {
                d.iter()
                    .zip(parts(b))
                    .map(|(d, b)| d * b.abs())
                    .sum::<f64>()
            })
            .sum()
    };
    let off = (left.0 - right.0).abs();
    let tolerance = 1e-9 * (left.1 + right.1) + 8.0 * (noise(&spread_v, &w) + noise(&spread_w, &v));
    c.tally.count("<w, H v> = <v, H w>");
    if off.is_nan() || off > tolerance {
        let message = format!(
            "{:e} and {:e} differ by {off:e}, more than {tolerance:e}",
            left.0, right.0
        );
        return failed("<w, H v> = <v, H w>", message);
    }
    if c.rng.chance(0.3) {
        // Forward over forward, along the inputs and along the tangents.
        let forward = (c.engine.jvp)(graph, wrt).named("jvp")?;
        let tangents = c.directions(graph, wrt);
        let at = [inputs, &tangents].concat();
        let wrt2: Vec<bool> = wrt
            .iter()
            .copied()
            .chain(tangents.iter().map(|_| true))
            .collect();
        first_order(c, ", jvp of jvp", &forward, &at, &wrt2)?;
    }
    if c.rng.chance(0.1) && second.operation_count() < 400 {
        let at = [&at[..], &v].concat();
        let wrt3: Vec<bool> = wrt2
            .iter()
            .copied()
            .chain(v.iter().map(|_| false))
            .collect();
        first_order(c, ", order three", &second, &at, &wrt3)?;
    }
    Ok(())
}
