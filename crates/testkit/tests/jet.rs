//! Random graphs in Taylor mode: the coefficients along a straight line are those that forward mode,
//! nested, gives.
//!
//! `COTANGENT_GRAPHS` sets how many (a tenth of it), `COTANGENT_SEED` the base seed.

use cotangent_array::Array;
use cotangent_graph::{Builder, Graph, Var, eval};
use cotangent_testkit::arrays::{direction, parts, stack};
use cotangent_testkit::rewrite::{operations, widen};
use cotangent_testkit::shrink::describe;
use cotangent_testkit::{Case, Rng};
use cotangent_transform::{jet, jvp};

const ORDER: usize = 3;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_graphs() {
    let count = number("COTANGENT_GRAPHS").unwrap_or(5_000) / 10;
    let base = number("COTANGENT_SEED").unwrap_or(0x7a71);
    let (mut done, mut compared) = (0, 0);
    for i in 0..count {
        let case = Case::draw(Rng::seed(base, i));
        let Ok(graph) = widen(&case.graph) else {
            continue;
        };
        let types = graph.input_types();
        let wrt: Vec<bool> = types.iter().map(|t| t.dtype.is_inexact()).collect();
        let size: usize = types.iter().map(|t| t.shape.elements()).sum();
        // A rule for a first derivative says nothing of the next ones.
        let ruled = operations(&graph).contains("custom");
        if !case.smooth || ruled || size > 300 || !wrt.contains(&true) {
            continue;
        }
        let mut rng = Rng::new(Rng::seed(case.seed, 77));
        let inputs: Vec<Array> = case
            .inputs
            .iter()
            .zip(&types)
            .map(|(a, t)| a.convert(t.dtype))
            .collect();
        let lines: Vec<Array> = types
            .iter()
            .zip(&wrt)
            .filter(|(_, w)| **w)
            .map(|(t, _)| direction(t.dtype, &t.shape, &mut rng))
            .collect();
        match check(&graph, &wrt, &inputs, &lines) {
            Ok(n) => {
                done += 1;
                compared += n;
            }
            Err(e) => panic!("case {i}: {e}\n{}", describe(&case)),
        }
    }
    eprintln!("{done} graphs, {compared} coefficients");
    assert!(done * 3 > count && compared > 5 * count as usize);
}

/// How many coefficients of order 1 to 3 were compared.
fn check(graph: &Graph, wrt: &[bool], inputs: &[Array], lines: &[Array]) -> Result<usize, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let made = jet(graph, wrt, ORDER).map_err(|e| text(&e))?;
    let mut args = inputs.to_vec();
    for line in lines {
        let zeros = Array::zeros(line.dtype(), line.shape().clone()).map_err(|e| text(&e))?;
        let mut rows = vec![line.clone()];
        rows.resize(ORDER, zeros);
        args.push(stack(&rows, 0).ok_or("rows of one shape")?);
    }
    let found = eval(&made, &args).map_err(|e| text(&e))?;
    let outputs = graph.output_types();
    let floats = outputs.iter().filter(|t| t.dtype.is_inexact()).count();
    let coefficients = found.get(outputs.len()..).unwrap_or_default();

    let mut g = graph.clone();
    let mut args = inputs.to_vec();
    let mut kept = floats;
    let (mut factorial, mut compared) = (1.0, 0);
    for k in 1..=ORDER {
        let choice: Vec<bool> = (0..g.inputs().len())
            .map(|i| wrt.get(i) == Some(&true))
            .collect();
        let pushed = jvp(&g, &choice).map_err(|e| text(&e))?;
        let mut b = Builder::new("next");
        let vars: Vec<Var> = pushed
            .inputs()
            .iter()
            .zip(pushed.input_types())
            .map(|((n, _), t)| b.input(n, t))
            .collect();
        let outputs = b.inline(&pushed, &vars);
        let newest = outputs[outputs.len() - kept..].to_vec();
        g = b.finish(&newest).map_err(|e| text(&e))?.without_dead_code();
        args.extend(lines.iter().cloned());
        kept = newest.len();
        factorial *= k as f64;
        let slopes = eval(&g, &args).map_err(|e| text(&e))?;
        for (rows, slope) in coefficients.iter().zip(slopes) {
            let (rows, slope) = (parts(rows), parts(&slope));
            let n = slope.len();
            let row = rows.get((k - 1) * n..k * n).unwrap_or_default();
            let slope: Vec<f64> = slope.iter().map(|x| x / factorial).collect();
            let largest = slope.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
            for (x, y) in row.iter().zip(slope) {
                // Where numbers grow out of hand the two round apart.
                if largest.is_nan() || largest >= 1e8 {
                    continue;
                }
                compared += 1;
                if (x - y).abs() > 1e-6 * largest {
                    return Err(format!("order {k}: expected {y}, found {x}"));
                }
            }
        }
    }
    Ok(compared)
}
