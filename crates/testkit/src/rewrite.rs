//! Graphs rebuilt equation by equation.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cotangent_array::DType;
use cotangent_graph::ops::{ArrayOp, Iota, Part};
use cotangent_graph::{Builder, Callee, Graph, GraphError, Op, TensorType, Var};

use crate::arrays::widened as wide;

/// The same graph with every f32 an f64 and every c64 a c128, so that differences are not lost in rounding.
///
/// # Errors
/// When an operation does not take the wider dtype.
pub fn widen(graph: &Graph) -> Result<Graph, GraphError> {
    widen_with(graph, &mut HashMap::new())
}

type Widened = HashMap<*const Graph, Arc<Graph>>;

fn widen_with(graph: &Graph, known: &mut Widened) -> Result<Graph, GraphError> {
    let mut b = Builder::new(graph.name());
    let mut to: Vec<Var> = Vec::with_capacity(graph.equations().len());
    let names: HashMap<Var, &str> = graph.inputs().iter().map(|(n, v)| (*v, &**n)).collect();
    for (v, e) in graph.iter() {
        let args: Vec<Var> = e.args.iter().map(|a| to[a.index()]).collect();
        let op = match &e.op {
            Op::Input => {
                let ty = e.ty.tensor().map(|t| t.with_dtype(wide(t.dtype)));
                let ty = ty.unwrap_or_else(|| TensorType::scalar(DType::F64));
                to.push(b.input(names.get(&v).copied().unwrap_or(""), ty));
                continue;
            }
            Op::Full(x, shape) => Op::Full(x.convert(wide(x.dtype())), shape.clone()),
            Op::Constant(a) => Op::Constant(a.convert(wide(a.dtype()))),
            Op::Convert(dtype) => Op::Convert(wide(*dtype)),
            Op::Array(ArrayOp::Iota(op)) => Iota {
                dtype: wide(op.dtype),
                ..op.clone()
            }
            .into(),
            Op::Call(callee) => Op::Call(wider(callee, known)?),
            Op::Region(region) => Op::Region(region.map_callees(|callee| wider(callee, known))?),
            op => op.clone(),
        };
        to.push(b.push(op, &args));
    }
    let outputs: Vec<Var> = graph.outputs().iter().map(|o| to[o.index()]).collect();
    b.finish(&outputs)
}

/// The callee in f64, made once for each.
fn wider(
    callee: &Callee,
    known: &mut HashMap<*const Graph, Arc<Graph>>,
) -> Result<Callee, GraphError> {
    let key = Arc::as_ptr(&callee.0);
    if let Some(wider) = known.get(&key) {
        return Ok(Callee(wider.clone()));
    }
    let wider = Arc::new(widen_with(&callee.0, known)?);
    known.insert(key, wider.clone());
    Ok(Callee(wider))
}

/// The names of the operations that an output depends on, in called graphs too.
pub fn operations(graph: &Graph) -> BTreeSet<String> {
    let mut met = BTreeSet::new();
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        let live = graph.live();
        for (_, e) in graph.iter().filter(|(v, _)| live[v.index()]) {
            let name = if matches!(e.op, Op::Call(_)) {
                "call"
            } else {
                e.op.name()
            };
            met.insert(name.to_owned());
            graphs.extend(e.op.callees().map(|callee| &*callee.0));
        }
    }
    met
}

/// A scalar cost: the sum of all elements of all float outputs, and of both parts of complex ones.
///
/// # Errors
/// When there is no float output.
pub fn scalar_cost(graph: &Graph) -> Result<Graph, GraphError> {
    let mut b = Builder::new(graph.name());
    let inputs: Vec<Var> = (graph.inputs().iter())
        .zip(graph.input_types())
        .map(|((name, _), ty)| b.input(name, ty))
        .collect();
    let outputs = b.inline(graph, &inputs);
    let mut total = None;
    for o in outputs {
        let ty = b.tensor(o);
        if ty.dtype.is_inexact() {
            let axes: Vec<usize> = (0..ty.rank()).collect();
            let part = b.sum(o, &axes);
            let part = match ty.dtype.is_complex() {
                true => {
                    let (re, im) = (b.part(Part::Real, part), b.part(Part::Imag, part));
                    b.add(re, im)
                }
                false => part,
            };
            let part = b.convert(DType::F64, part);
            total = Some(match total {
                Some(total) => b.add(total, part),
                None => part,
            });
        }
    }
    match total {
        Some(total) => b.finish(&[total]),
        None => Err(GraphError::other("expected a float output", None)),
    }
}
