//! Linearization: a graph split into its values and the linear map of its tangents.

use std::collections::HashMap;

use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Builder, Graph, Op, Var};

use crate::TransformError;
use crate::forward::{Forward, check_choice};

/// A graph split at a point: what is computed once, and the map that is applied often.
#[derive(Clone, Debug)]
pub struct Linearized {
    /// Inputs of the graph -> its outputs, then the residuals.
    pub primal: Graph,
    /// Residuals, then a tangent for each chosen input -> the tangents of the outputs that vary.
    /// Linear in the tangents.
    pub linear: Graph,
    /// Which outputs vary with the chosen inputs; the others have the tangent zero.
    pub varying: Vec<bool>,
    /// How many residuals there are.
    pub residuals: usize,
}

/// Splits a graph into its values with residuals and the linear map of the chosen inputs' tangents.
///
/// # Errors
/// A choice that does not fit the inputs, or that names an input that is not a float.
pub fn linearize(graph: &Graph, wrt: &[bool]) -> Result<Linearized, TransformError> {
    linearize_call(graph, wrt, &vec![true; wrt.len()])
}

/// The same for a callee, whose inputs may hold infinite values.
pub(crate) fn linearize_call(
    graph: &Graph,
    wrt: &[bool],
    finite: &[bool],
) -> Result<Linearized, TransformError> {
    check_choice(graph, wrt)?;
    let mut b = Builder::new(graph.name());
    let inputs: Vec<Var> =
        graph.inputs().iter().zip(graph.input_types()).map(|((n, _), t)| b.input(n, t)).collect();
    for (v, _) in inputs.iter().zip(finite).filter(|(_, f)| !**f) {
        b.set_open(*v);
    }
    let mut names = crate::forward::Names::of(graph);
    let mut seeds = Vec::new();
    let mut tangents = vec![None; inputs.len()];
    for (i, (name, _)) in graph.inputs().iter().enumerate().filter(|(i, _)| wrt[*i]) {
        let ty = b.tensor(inputs[i]);
        let seed = b.input(&names.fresh(&format!("t_{name}")), ty);
        seeds.push(seed);
        tangents[i] = Some(seed);
    }
    let forward = Forward::walk(&mut b, graph, &inputs, &tangents)?;
    let values = forward.values(graph);
    let moved: Vec<Option<Var>> =
        graph.outputs().iter().map(|o| forward.tangents[o.index()]).collect();
    let all: Vec<Var> = values.iter().copied().chain(moved.iter().flatten().copied()).collect();
    let joint = b.finish(&all)?;
    split(&joint, graph, &seeds, &values, &moved)
}

/// Which variables depend on some of these inputs.
pub(crate) fn dependents(graph: &Graph, on: &[Var]) -> Vec<bool> {
    let mut depends = vec![false; graph.equations().len()];
    for v in on {
        if let Some(d) = depends.get_mut(v.index()) {
            *d = true;
        }
    }
    for (v, e) in graph.iter() {
        if e.args.iter().any(|a| depends[a.index()]) {
            depends[v.index()] = true;
        }
    }
    depends
}

fn split(
    joint: &Graph,
    graph: &Graph,
    seeds: &[Var],
    values: &[Var],
    moved: &[Option<Var>],
) -> Result<Linearized, TransformError> {
    let linear = dependents(joint, seeds);
    let live = joint.live();
    let mut b = Builder::new(&format!("{}_linear", graph.name()));
    // The known variables that linear equations read, as inputs of the linear graph.
    let mut residuals: Vec<Var> = Vec::new();
    let mut to: HashMap<Var, Var> = HashMap::new();
    for (v, e) in joint.iter().filter(|(v, _)| linear[v.index()] && live[v.index()]) {
        for a in e.args.iter().filter(|a| !linear[a.index()]) {
            let source = source(joint, *a);
            if !joint.equation(source).op.is_constant() && !to.contains_key(&source) {
                let name = format!("r{}", residuals.len());
                let ty = joint.ty(source).tensor().cloned();
                let Some(ty) = ty else {
                    return Err(TransformError::NotLinear {
                        op: e.op.name().to_owned(),
                        location: e.location,
                    });
                };
                residuals.push(source);
                to.insert(source, b.input(&name, ty));
            }
        }
        if e.op.is_input() {
            continue;
        }
    }
    let mut names: std::collections::HashSet<String> =
        (0..residuals.len()).map(|i| format!("r{i}")).collect();
    for seed in seeds {
        let name = joint
            .inputs()
            .iter()
            .find(|(_, v)| v == seed)
            .map_or_else(|| "t".to_owned(), |(n, _)| n.to_string());
        let name = if names.insert(name.clone()) { name } else { format!("{name}_t") };
        let ty = joint.ty(*seed).tensor().cloned();
        if let Some(ty) = ty {
            to.insert(*seed, b.input(&name, ty));
        }
    }
    for (v, e) in joint.iter().filter(|(v, e)| linear[v.index()] && live[v.index()] && !e.op.is_input()) {
        let args: Vec<Var> = e.args.iter().map(|a| known(&mut b, joint, &mut to, *a)).collect();
        b.set_location(e.location);
        let out = b.push(e.op.clone(), &args);
        to.insert(v, out);
    }
    b.set_location(None);
    let outputs: Vec<Var> = moved
        .iter()
        .flatten()
        .map(|m| to.get(m).copied().unwrap_or_else(|| known(&mut b, joint, &mut to.clone(), *m)))
        .collect();
    let linear_graph = b.finish(&outputs)?;

    let mut p = Builder::new(&format!("{}_primal", graph.name()));
    let inputs: Vec<Var> =
        graph.inputs().iter().zip(graph.input_types()).map(|((n, _), t)| p.input(n, t)).collect();
    let mut to_primal: HashMap<Var, Var> =
        joint.inputs().iter().map(|(_, v)| *v).zip(inputs).collect();
    for (v, e) in joint.iter().filter(|(v, e)| !linear[v.index()] && live[v.index()] && !e.op.is_input()) {
        let args: Vec<Var> = e.args.iter().filter_map(|a| to_primal.get(a).copied()).collect();
        p.set_location(e.location);
        let out = p.push(e.op.clone(), &args);
        to_primal.insert(v, out);
    }
    let outputs: Vec<Var> =
        values.iter().chain(&residuals).filter_map(|v| to_primal.get(v).copied()).collect();
    let primal = p.finish(&outputs)?.without_dead_code();
    Ok(Linearized {
        primal,
        linear: linear_graph,
        varying: moved.iter().map(Option::is_some).collect(),
        residuals: residuals.len(),
    })
}

/// What to keep for a known variable: a broadcast is made again from its smaller operand.
fn source(joint: &Graph, mut v: Var) -> Var {
    while let (Op::Array(ArrayOp::Broadcast(_)), [x]) =
        (&joint.equation(v).op, &joint.equation(v).args[..])
    {
        v = *x;
    }
    v
}

/// A known variable in the linear graph: a residual, a constant, or broadcasts of one.
fn known(b: &mut Builder, joint: &Graph, to: &mut HashMap<Var, Var>, v: Var) -> Var {
    if let Some(done) = to.get(&v) {
        return *done;
    }
    // Broadcasts from the residual up to the variable wanted, outermost first.
    let mut chain = vec![v];
    let mut at = v;
    while let (Op::Array(ArrayOp::Broadcast(_)), [x]) =
        (&joint.equation(at).op, &joint.equation(at).args[..])
    {
        if to.contains_key(&at) {
            break;
        }
        at = *x;
        chain.push(at);
    }
    let mut result = None;
    for v in chain.into_iter().rev() {
        let made = match (to.get(&v), result) {
            (Some(done), _) => *done,
            (None, None) => b.push(joint.equation(v).op.clone(), &[]),
            (None, Some(x)) => b.push(joint.equation(v).op.clone(), &[x]),
        };
        to.insert(v, made);
        result = Some(made);
    }
    result.unwrap_or(v)
}
