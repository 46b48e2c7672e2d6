//! A graph with f64 wherever it has f32, so that differences of its values mean something.

use std::collections::HashMap;
use std::sync::Arc;

use cotangent_graph::ops::{ArrayOp, Iota};
use cotangent_graph::{Builder, Callee, Op, Var};

use crate::{Array, DType, Graph, GraphError, TensorType};

/// The same graph with f64 for f32.
pub(super) fn widen(graph: &Graph) -> Result<Graph, GraphError> {
    rebuild(graph, &mut HashMap::new())
}

/// The same array with f64 for f32.
pub(super) fn widen_array(array: &Array) -> Array {
    array.convert(wide(array.dtype()))
}

fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F32 => DType::F64,
        DType::C64 => DType::C128,
        other => other,
    }
}

fn rebuild_callee(
    callee: &Callee,
    known: &mut HashMap<u128, Arc<Graph>>,
) -> Result<Callee, GraphError> {
    let key = callee.0.fingerprint();
    if let Some(rebuilt) = known.get(&key) {
        return Ok(Callee(rebuilt.clone()));
    }
    let rebuilt = Arc::new(rebuild(&callee.0, known)?);
    known.insert(key, rebuilt.clone());
    Ok(Callee(rebuilt))
}

/// Calls nest at most 256 deep, so this may recurse; every callee is rebuilt once.
fn rebuild(graph: &Graph, known: &mut HashMap<u128, Arc<Graph>>) -> Result<Graph, GraphError> {
    let mut b = Builder::new(graph.name());
    let mut to: Vec<Vec<Var>> = vec![Vec::new(); graph.equations().len()];
    let names: HashMap<Var, &str> = graph
        .inputs()
        .iter()
        .map(|(name, var)| (*var, &**name))
        .collect();
    for (var, equation) in graph.iter() {
        b.follow(equation);
        let first = |arg: &Var| to[arg.index()].first().copied();
        let args: Vec<Var> = equation.args.iter().filter_map(first).collect();
        to[var.index()] = match &equation.op {
            Op::Input => {
                let ty = equation
                    .ty
                    .tensor()
                    .cloned()
                    .unwrap_or_else(|| TensorType::scalar(DType::F64));
                let name = names.get(&var).copied().unwrap_or_default();
                vec![b.input(name, ty.with_dtype(wide(ty.dtype)))]
            }
            Op::Call(callee) => {
                let callee = rebuild_callee(callee, known)?;
                b.call(&callee.0, &args)
            }
            Op::Region(region) => {
                let region = region.map_callees(|callee| rebuild_callee(callee, known))?;
                b.region(region, &args)
            }
            Op::Get(index) => {
                let tuple = equation.args.first().map(|tuple| &to[tuple.index()]);
                tuple
                    .and_then(|tuple| tuple.get(*index))
                    .copied()
                    .into_iter()
                    .collect()
            }
            Op::Full(value, shape) => {
                vec![b.push(
                    Op::Full(value.convert(wide(value.dtype())), shape.clone()),
                    &[],
                )]
            }
            Op::Constant(array) => vec![b.push(Op::Constant(widen_array(array)), &[])],
            Op::Convert(dtype) => vec![b.push(Op::Convert(wide(*dtype)), &args)],
            Op::Array(ArrayOp::Iota(iota)) => {
                vec![b.push(
                    Iota {
                        dtype: wide(iota.dtype),
                        ..iota.clone()
                    },
                    &[],
                )]
            }
            Op::Linalg(op) => b.linalg(op.clone(), &args),
            Op::Native(native) => {
                // The closure knows its own dtypes.
                let narrow = args.iter().zip(&equation.args).map(|(v, old)| {
                    let ty = graph.ty(*old).tensor().map(|t| t.dtype);
                    b.convert(ty.unwrap_or(DType::F64), *v)
                });
                let narrow: Vec<Var> = narrow.collect();
                let results = b.results(Op::Native(native.clone()), &narrow);
                let widened = results.into_iter().map(|v| {
                    let dtype = wide(b.dtype(v));
                    b.convert(dtype, v)
                });
                widened.collect()
            }
            op => vec![b.push(op.clone(), &args)],
        };
    }
    let outputs: Vec<Var> = graph
        .outputs()
        .iter()
        .filter_map(|output| to[output.index()].first().copied())
        .collect();
    b.finish(&outputs)
}
