//! Cheap results that every reader computes for itself.
//!
//! What is had from one input by a few sums and products need not be stored for regions that run later:
//! they read the input in its place, which is there to the end.

use cotangent_graph::ops::Binary;
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use super::riders::{fits, is_cheap};
use crate::lane;

/// The most operations that run anew for a reader.
const MOST: u32 = 4;

/// For each variable whether each of its readers computes it for itself. `reads` says how many read it;
/// `contracted` which products are rounded with the sum that reads them, where any are.
pub(super) fn of(graph: &Graph, reads: &[u32], contracted: Option<&[bool]>) -> Vec<bool> {
    let mut anew = vec![false; reads.len()];
    let several = |v: Var| reads.get(v.index()).is_some_and(|n| *n > 1);
    if !graph
        .iter()
        .any(|(v, e)| several(v) && source(graph, &[], e).is_some())
    {
        return anew;
    }
    let apart = read_apart(graph, contracted);
    // What a variable is had from, and by how many operations.
    let mut found: Vec<Option<Had>> = vec![None; reads.len()];
    for (v, e) in graph.iter() {
        let had = source(graph, &found, e).filter(|had| had.by <= MOST);
        let rides = had.is_some() && !apart[v.index()];
        found[v.index()] = had.filter(|_| rides);
        anew[v.index()] = rides && several(v);
    }
    // What these are had from goes with them.
    for (v, e) in graph
        .iter()
        .rev()
        .filter(|(v, _)| found[v.index()].is_some())
    {
        if anew[v.index()] {
            for a in e.args.iter().filter(|a| found[a.index()].is_some()) {
                anew[a.index()] = true;
            }
        }
    }
    anew
}

/// What a variable is had from.
#[derive(Clone, Copy)]
struct Had {
    from: Var,
    by: u32,
}

/// The one input that an operation is had from, where it is cheap and reads nothing else but numbers.
fn source(graph: &Graph, found: &[Option<Had>], e: &Equation) -> Option<Had> {
    let ty = e.ty.tensor().filter(|ty| is_array(ty))?;
    if !is_cheap(&e.op) {
        return None;
    }
    let mut had: Option<Had> = None;
    for a in &e.args {
        if graph.splat(*a).is_some() {
            continue;
        }
        let own = graph.ty(*a).tensor();
        let same = own.is_some_and(|own| own.dtype == ty.dtype && own.shape == ty.shape);
        let next = match found.get(a.index()).copied().flatten() {
            Some(next) => next,
            None if graph.equation(*a).op.is_input() => Had { from: *a, by: 0 },
            None => return None,
        };
        if !same || had.is_some_and(|had| had.from != next.from) {
            return None;
        }
        let by = had.map_or(0, |had| had.by) + next.by;
        had = Some(Had { by, ..next });
    }
    had.map(|had| Had {
        by: had.by + 1,
        ..had
    })
}

pub(super) fn is_array(ty: &TensorType) -> bool {
    ty.dtype.is_float() && ty.shape.elements() > 1
}

/// For each variable whether something reads it that is no operation on lanes of the same places, or not
/// within the same checkpoints, or that would round a product with its sum in a region where nothing else
/// reads that. Outputs are read by the caller.
pub(super) fn read_apart(graph: &Graph, contracted: Option<&[bool]>) -> Vec<bool> {
    let mut apart = vec![false; graph.equations().len()];
    for v in graph.outputs() {
        apart[v.index()] = true;
    }
    for (_, e) in graph.iter() {
        let ty = e.ty.tensor().filter(|_| e.op.is_pointwise());
        let types: Option<SmallVec<[&TensorType; 3]>> =
            e.args.iter().map(|a| graph.ty(*a).tensor()).collect();
        let in_lanes = |ty: &TensorType| {
            let dtypes: SmallVec<[_; 3]> = types.iter().flatten().map(|ty| ty.dtype).collect();
            lane::lanes_of(&e.op, &dtypes, ty.dtype).is_some()
        };
        let ty = ty.filter(|ty| types.is_some() && in_lanes(ty));
        for a in &e.args {
            let own = graph.equation(*a);
            let beside = |own: &TensorType| ty.is_some_and(|ty| fits(own, ty));
            if !own.ty.tensor().is_some_and(beside) || own.checkpoint != e.checkpoint {
                apart[a.index()] = true;
            }
        }
        if let (Some(contracted), Op::Binary(Binary::Add | Binary::Sub)) = (contracted, &e.op) {
            // The last product that may be rounded with a sum is.
            let terms = e.args.iter().rev().map(|a| a.index());
            for a in terms.take_while(|a| !contracted[*a]) {
                apart[a] |= matches!(graph.equations()[a].op, Op::Binary(Binary::Mul));
            }
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use crate::{Plan, StepOp, Target, compile};

    fn plan(text: &str) -> Plan {
        let plan = compile(parse(text).unwrap().entry(), &Target::plain()).unwrap();
        assert_eq!(plan.check(), Ok(()), "{plan}");
        plan
    }

    /// How many results the regions store.
    fn stored(plan: &Plan) -> usize {
        let regions = plan
            .steps
            .iter()
            .filter(|s| matches!(s.op, StepOp::Region(_)));
        regions.map(|s| s.outs.len()).sum()
    }

    #[test]
    fn what_is_had_from_an_input_is_not_stored_for_later_regions() {
        let plan = plan(
            "fn f(c: f64[1000], x: f64[1000]) -> f64[1000] {
                let a = c * 0.25;
                let b = a * 2.0;
                let s = sin(a * x);
                let t = b + pad(s[1:1000], 0.0, low=[0], high=[1]) * 0.5;
                let u = sin(b * t);
                a - pad(u[1:1000], 0.0, low=[0], high=[1]) * x
            }",
        );
        assert_eq!(stored(&plan), 3, "{plan}");
    }

    #[test]
    fn what_others_than_regions_read_is_stored_once() {
        for reader in ["cumsum(a, axis=0)", "polygamma(a, n=1)"] {
            let plan = plan(&format!(
                "fn f(c: f64[1000], x: f64[1000]) -> f64[1000] {{
                    let a = c * 0.25;
                    let s = sin(a * x);
                    let other = {reader};
                    a * pad(s[1:1000], 0.0, low=[0], high=[1]) + other
                }}"
            ));
            let region = |s: &&crate::Step| matches!(s.op, StepOp::Region(_));
            let of_c = |s: &&crate::Step| {
                region(s) && s.args.iter().any(|a| a.place == crate::Place::Input(0))
            };
            assert_eq!(plan.steps.iter().filter(of_c).count(), 1, "{plan}");
        }
    }

    #[test]
    fn products_are_rounded_alike_in_every_region() {
        let target = Target {
            fma: true,
            ..Target::plain()
        };
        // In a region of its own the sum would round the product with itself.
        let text = "fn f(c: f64[1000], x: f64[1000]) -> f64[1000] {
            let a = c * 0.3;
            let s = sin(a * x);
            pad(s[1:1000], 0.0, low=[0], high=[1]) + a
        }";
        let plan = compile(parse(text).unwrap().entry(), &target).unwrap();
        assert_eq!(stored(&plan), 3, "{plan}");
    }
}
