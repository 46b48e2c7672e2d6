//! Random graphs through the sparse derivatives: patterns miss nothing, and every colouring gives
//! the entries of the dense derivative.
//!
//! `COTANGENT_GRAPHS` sets how many (a tenth of it), `COTANGENT_SEED` the base seed.

use cotangent_array::Array;
use cotangent_graph::{Builder, Graph, eval};
use cotangent_testkit::rewrite::{scalar_cost, widen};
use cotangent_testkit::shrink::describe;
use cotangent_testkit::{Case, Rng};
use cotangent_transform::sparse::{self, Coloring, HessianColoring, Pattern, SparseGraph};
use cotangent_transform::{Mode, TransformError, hessian, jacobian};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_graphs() {
    let count = number("COTANGENT_GRAPHS").unwrap_or(5_000) / 10;
    let base = number("COTANGENT_SEED").unwrap_or(0x5fa5);
    let (mut jacobians, mut hessians, mut entries, mut gaps) = (0, 0, 0, 0);
    for i in 0..count {
        let case = Case::draw(Rng::seed(base, i));
        // In wide floats, so that the ways that sums are formed make little difference.
        let Some(graph) = widen(&case.graph).ok().and_then(|g| float_part(&g)) else {
            continue;
        };
        let inputs: Vec<Array> = case
            .inputs
            .iter()
            .zip(graph.input_types())
            .map(|(a, t)| a.convert(t.dtype))
            .collect();
        let wrt: Vec<bool> = graph
            .input_types()
            .iter()
            .map(|t| t.dtype.is_float())
            .collect();
        let size: usize = graph.input_types().iter().map(|t| t.shape.elements()).sum();
        if !case.smooth || size > 200 || !wrt.contains(&true) {
            continue;
        }
        match check_jacobian(&graph, &wrt, &inputs) {
            Ok(Some((found, of))) => {
                jacobians += 1;
                entries += found;
                gaps += of - found;
            }
            Ok(None) => {}
            Err(e) => panic!("case {i}: {e}\n{}", describe(&case)),
        }
        let Ok(cost) = scalar_cost(&graph) else {
            continue;
        };
        if size <= 40 {
            match check_hessian(&cost, &wrt, &inputs) {
                Ok(done) => hessians += usize::from(done),
                Err(e) => panic!("case {i}: {e}\n{}", describe(&case)),
            }
        }
    }
    eprintln!("{jacobians} Jacobians with {entries} entries and {gaps} gaps, {hessians} Hessians");
    assert!(jacobians * 10 > count as usize && hessians * 20 > count as usize);
    assert!(gaps > entries);
}

/// The graph with its float outputs alone.
fn float_part(graph: &Graph) -> Option<Graph> {
    let mut b = Builder::new("part");
    let inputs: Vec<_> = graph
        .inputs()
        .iter()
        .zip(graph.input_types())
        .map(|((n, _), t)| b.input(n, t))
        .collect();
    let outputs = b.inline(graph, &inputs);
    let floats: Vec<_> = outputs
        .into_iter()
        .filter(|o| b.dtype(*o).is_float())
        .collect();
    let part = b.finish(&floats).ok()?.without_dead_code();
    (!floats.is_empty()).then_some(part)
}

type Checked<T> = Result<T, String>;

fn check_jacobian(
    graph: &Graph,
    wrt: &[bool],
    inputs: &[Array],
) -> Checked<Option<(usize, usize)>> {
    let text = |e: TransformError| e.to_string();
    let Ok(dense) = jacobian(graph, wrt, Mode::Forward) else {
        return Ok(None);
    };
    let blocks = eval(&dense, inputs).map_err(|e| e.to_string())?;
    let outputs: Vec<usize> = graph
        .output_types()
        .iter()
        .map(|t| t.shape.elements())
        .collect();
    let chosen: Vec<usize> = graph
        .input_types()
        .iter()
        .zip(wrt)
        .filter(|(_, w)| **w)
        .map(|(t, _)| t.shape.elements())
        .collect();
    let dense = assemble(&blocks, &outputs, &chosen);
    let open = sparse::sparsity(graph, wrt, &[]).map_err(text)?;
    let known: Vec<Option<Array>> = inputs.iter().cloned().map(Some).collect();
    let at = sparse::sparsity(graph, wrt, &known).map_err(text)?;
    covers("the pattern for all inputs", &open, &dense)?;
    covers("the pattern at the point", &at, &dense)?;
    if let Some((i, j)) = at.iter().find(|(i, j)| !open.contains(*i, *j)) {
        return Err(format!("({i}, {j}) is in the pattern at the point alone"));
    }
    for pattern in [&open, &at] {
        for coloring in [
            Coloring::Columns,
            Coloring::Rows,
            Coloring::Bidirectional,
            Coloring::Auto,
        ] {
            let made = match sparse::sparse_jacobian(graph, wrt, pattern, coloring) {
                // No reverse mode through some loops.
                Err(TransformError::NotLinear { .. }) => continue,
                made => made.map_err(text)?,
            };
            same(&format!("{coloring:?}"), &made, &dense, inputs)?;
        }
    }
    let (r, c) = (open.rows(), open.columns());
    Ok(Some((open.len(), r * c)))
}

fn check_hessian(graph: &Graph, wrt: &[bool], inputs: &[Array]) -> Checked<bool> {
    let text = |e: TransformError| e.to_string();
    let Ok(dense) = hessian(graph, wrt) else {
        return Ok(false);
    };
    let blocks = eval(&dense, inputs).map_err(|e| e.to_string())?;
    let chosen: Vec<usize> = graph
        .input_types()
        .iter()
        .zip(wrt)
        .filter(|(_, w)| **w)
        .map(|(t, _)| t.shape.elements())
        .collect();
    let dense = assemble(&blocks, &chosen, &chosen);
    if dense
        .iter()
        .flatten()
        .any(|x| !x.is_finite() || x.abs() > 1e6)
    {
        return Ok(false);
    }
    let open = sparse::hessian_sparsity(graph, wrt, &[]).map_err(text)?;
    covers("the pattern of the Hessian", &open, &dense)?;
    for coloring in [
        HessianColoring::Star,
        HessianColoring::Acyclic,
        HessianColoring::Auto,
    ] {
        let made = sparse::sparse_hessian(graph, wrt, &open, coloring).map_err(text)?;
        same(&format!("{coloring:?}"), &made, &dense, inputs)?;
    }
    Ok(true)
}

/// Blocks for each output and chosen input as one matrix.
fn assemble(blocks: &[Array], outputs: &[usize], chosen: &[usize]) -> Vec<Vec<f64>> {
    let mut rows = Vec::new();
    for (k, m) in outputs.iter().enumerate() {
        for i in 0..*m {
            let of = |(l, n): (usize, &usize)| {
                let block = blocks[k * chosen.len() + l].to_f64s();
                block[i * n..(i + 1) * n].to_vec()
            };
            rows.push(chosen.iter().enumerate().flat_map(of).collect());
        }
    }
    rows
}

fn covers(what: &str, pattern: &Pattern, dense: &[Vec<f64>]) -> Checked<()> {
    for (i, row) in dense.iter().enumerate() {
        for (j, x) in row.iter().enumerate() {
            if *x != 0.0 && !pattern.contains(i, j) {
                return Err(format!("{what} misses ({i}, {j}), which is {x}"));
            }
        }
    }
    Ok(())
}

fn same(what: &str, made: &SparseGraph, dense: &[Vec<f64>], inputs: &[Array]) -> Checked<()> {
    let values = eval(&made.graph, inputs).map_err(|e| e.to_string())?[0].to_f64s();
    let largest =
        dense.iter().flatten().fold(
            1.0_f64,
            |m, x| if x.is_finite() { m.max(x.abs()) } else { m },
        );
    for ((i, j), x) in made.pattern.iter().zip(values) {
        let y = dense[i][j];
        let near = (x - y).abs() <= 1e-7 * y.abs().max(1e-3 * largest);
        let alike = near || x == y || (x.is_nan() && y.is_nan());
        if !alike {
            return Err(format!("{what}: expected {y} at ({i}, {j}), found {x}"));
        }
    }
    Ok(())
}
