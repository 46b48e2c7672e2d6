//! The checks find faults: a wrong rule, a lost term, a result off in its last digits.

use cotangent_array::{Array, DType, Scalar};
use cotangent_graph::ops::{Binary, Unary};
use cotangent_graph::{Builder, Graph, Op, Var, eval};
use cotangent_testkit::{Case, Engine, Rng, Tally, Verdict, check};
use cotangent_transform::TransformError;

/// Runs cases until one fails, and says which check it was.
fn found(engine: &Engine) -> String {
    let mut tally = Tally::default();
    for i in 0..3_000 {
        let case = Case::draw(Rng::seed(77, i));
        if let Err(Verdict::Failed(failure)) = check(&case, engine, &mut tally) {
            return failure.check;
        }
    }
    panic!("no check found the fault");
}

/// The graph with operations exchanged.
fn exchanged(graph: &Graph, by: impl Fn(&Op) -> Op) -> Graph {
    let mut b = Builder::new(graph.name());
    let mut names = graph.inputs().iter();
    let mut to: Vec<Var> = Vec::new();
    for e in graph.equations() {
        let args: Vec<Var> = e.args.iter().map(|a| to[a.index()]).collect();
        to.push(match &e.op {
            Op::Input => {
                let (name, v) = names.next().unwrap();
                b.input(name, graph.ty(*v).tensor().unwrap().clone())
            }
            op => b.push(by(op), &args),
        });
    }
    let outputs: Vec<Var> = graph.outputs().iter().map(|o| to[o.index()]).collect();
    b.finish(&outputs).unwrap()
}

#[test]
fn a_wrong_partial_is_found_by_differences() {
    fn wrong(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
        let right = cotangent_transform::jvp(graph, wrt)?;
        let values: usize = graph.operation_count();
        // Only what jvp added: the primal operations come with their own names.
        let uses_cos = cotangent_testkit::rewrite::operations(graph).contains("cos");
        let _ = values;
        Ok(exchanged(&right, |op| match op {
            Op::Unary(Unary::Cos) if !uses_cos => Op::Unary(Unary::Cosh),
            op => op.clone(),
        }))
    }
    let engine = Engine {
        jvp: wrong,
        ..Engine::default()
    };
    let check = found(&engine);
    assert!(
        ["jvp against differences", "linearize is jvp"].contains(&check.as_str()),
        "{check}"
    );
}

#[test]
fn a_small_error_of_reverse_mode_is_found_by_inner_products() {
    fn wrong(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
        let right = cotangent_transform::vjp(graph, wrt)?;
        let mut b = Builder::new(right.name());
        let inputs: Vec<Var> = (right.inputs().iter())
            .zip(right.input_types())
            .map(|((n, _), t)| b.input(n, t))
            .collect();
        let outputs = b.inline(&right, &inputs);
        let outputs: Vec<Var> = outputs
            .into_iter()
            .map(|o| {
                let by = b.like(o, 1.0 + 3e-7);
                b.mul(o, by)
            })
            .collect();
        Ok(b.finish(&outputs)?)
    }
    // Without the comparison with the transposed linear part, which would find it first.
    let engine = Engine {
        vjp: wrong,
        transpose: |graph, linear| {
            let right = cotangent_transform::transpose(graph, linear)?;
            let mut b = Builder::new(right.name());
            let inputs: Vec<Var> = (right.inputs().iter())
                .zip(right.input_types())
                .map(|((n, _), t)| b.input(n, t))
                .collect();
            let outputs = b.inline(&right, &inputs);
            let outputs: Vec<Var> = outputs
                .into_iter()
                .map(|o| {
                    let by = b.like(o, 1.0 + 3e-7);
                    b.mul(o, by)
                })
                .collect();
            Ok(b.finish(&outputs)?)
        },
        ..Engine::default()
    };
    assert_eq!(found(&engine), "<u, J v> = <J^T u, v>");
}

#[test]
fn a_lost_cotangent_is_found() {
    fn wrong(graph: &Graph, wrt: &[bool]) -> Result<Graph, TransformError> {
        let right = cotangent_transform::vjp(graph, wrt)?;
        Ok(exchanged(&right, |op| match op {
            Op::Binary(Binary::Sub) => Op::Binary(Binary::Add),
            op => op.clone(),
        }))
    }
    let engine = Engine {
        vjp: wrong,
        ..Engine::default()
    };
    let check = found(&engine);
    assert!(
        ["transpose of linearize is vjp", "<u, J v> = <J^T u, v>"].contains(&check.as_str()),
        "{check}"
    );
}

#[test]
fn a_batch_that_mixes_examples_is_found() {
    fn wrong(g: &Graph, axes: &[Option<usize>], n: usize) -> Result<Graph, TransformError> {
        let right = cotangent_transform::vmap(g, axes, n)?;
        let mut b = Builder::new(right.name());
        let inputs: Vec<Var> = (right.inputs().iter())
            .zip(right.input_types())
            .map(|((n, _), t)| b.input(n, t))
            .collect();
        let outputs = b.inline(&right, &inputs);
        let outputs: Vec<Var> = outputs
            .into_iter()
            .map(|o| b.push(cotangent_graph::ops::Reverse { axes: vec![0] }, &[o]))
            .collect();
        Ok(b.finish(&outputs)?)
    }
    let engine = Engine {
        vmap: wrong,
        ..Engine::default()
    };
    // Which of the two comes first depends on the draw.
    let check = found(&engine);
    let right = ["vmap of ", "vjp and vmap commute"];
    assert!(right.contains(&check.as_str()), "{check}");
}

#[test]
fn programs_that_round_worse_than_the_reference_are_found() {
    fn off(graph: &Graph, inputs: &[&[Array]], by: f64) -> Result<Vec<Vec<Array>>, String> {
        let outputs = eval(graph, inputs[0]).map_err(|e| e.to_string())?;
        let nudge = |a: &Array| match a.dtype() {
            DType::F64 => {
                cotangent_testkit::arrays::map(a, |s| Scalar::F64(s.to_f64() * (1.0 + by)))
            }
            DType::I64 => cotangent_testkit::arrays::map(a, |s| {
                Scalar::I64(s.to_i64().wrapping_add(i64::from(by > 0.5)))
            }),
            _ => a.clone(),
        };
        let outputs: Vec<Array> = outputs.iter().map(nudge).collect();
        Ok(vec![outputs; inputs.len()])
    }
    let floats = Engine {
        run: |g, x| off(g, x, 1e-12),
        ..Engine::default()
    };
    assert!(found(&floats).starts_with("program of "));
    let integers = Engine {
        run: |g, x| off(g, x, 1.0),
        ..Engine::default()
    };
    assert!(found(&integers).starts_with("program of "));
    let failing = Engine {
        run: |_, _| Err("no".into()),
        ..Engine::default()
    };
    assert!(found(&failing).starts_with("program of "));
    let panicking = Engine {
        run: |_, _| panic!("deliberate"),
        ..Engine::default()
    };
    assert_eq!(found(&panicking), "no panic");
}

#[test]
fn a_pass_that_changes_the_meaning_is_found() {
    let engine = Engine {
        passes: vec!["wrong"],
        pass: |name, graph| {
            Ok(match name {
                Some(_) => exchanged(graph, |op| match op {
                    Op::Binary(Binary::Maximum) => Op::Binary(Binary::Minimum),
                    op => op.clone(),
                }),
                None => graph.clone(),
            })
        },
        ..Engine::default()
    };
    assert!(found(&engine).starts_with("pass wrong of "));
}
