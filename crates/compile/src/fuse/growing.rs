//! Sums that grow from region to region, put together by the last one.
//!
//! A sum whose terms become known one after the other would be stored by every region that adds a term and
//! read again by the next. Where what its terms are had from is in memory anyway, as inputs are and what
//! something reads across a shift, the region of the last term reads all of that, and sums are not stored.

use cotangent_graph::{Equation, Graph, TensorType, Var};
use smallvec::SmallVec;

use super::anew::{is_array, read_apart};
use super::group::{Group, add, add_cuts};
use super::pattern::{Patterns, cuts_of, is_view};
use super::riders::{Riders, is_cheap};

/// The most arrays that one result may be had from: fewer than a region reads.
const MOST_SOURCES: usize = 10;
/// The most operations that it may be had by.
const MOST: usize = 32;
/// The most arrays and operations that a result is had from which more than one region computes.
const MOST_ANEW: [usize; 2] = [2, 4];
/// How often sums are gone over.
const TURNS: usize = 3;
/// To store a sum and to read it takes as long as to read so many arrays: a line of the cache that is written
/// comes and goes.
const STORED: usize = 3;

/// Adds the terms of such sums to the operations that run with their readers. `reads` says how many read
/// each variable; `contracted` which products are rounded with the sum that reads them, where any are.
pub(super) fn grow(
    graph: &Graph,
    roots: &[Var],
    patterns: &Patterns,
    reads: &[u32],
    contracted: Option<&[bool]>,
    riders: &mut Riders,
) {
    let spread = |v: Var| patterns.get(v).is_some_and(|p| p.chosen.is_none());
    if !graph.iter().any(|(v, e)| spread(v) && many(e).is_some()) {
        return;
    }
    let apart = read_apart(graph, contracted);
    let mut sums = Sums {
        graph,
        patterns,
        reads,
        depths: Vec::with_capacity(reads.len()),
        had: Vec::with_capacity(reads.len()),
        stored: vec![false; reads.len()],
        late: vec![None; reads.len()],
    };
    for pattern in graph.iter().filter_map(|(v, _)| patterns.get(v)) {
        sums.stored[roots[pattern.source.index()].index()] = true;
    }
    for (v, e) in graph.iter() {
        sums.depths.push(sums.depth(e));
        let had = sums.had(e).filter(|_| !apart[v.index()]);
        let had = had.filter(|had| match reads.get(v.index()) {
            Some(1) => true,
            _ => had.sources.len() <= MOST_ANEW[0] && had.by <= MOST_ANEW[1],
        });
        sums.had.push(had);
    }
    // What one sum reads late is there for the others.
    for _ in 0..TURNS {
        let mut found = false;
        for (v, e) in graph.iter().rev() {
            if riders.rides[v.index()] || many(e).is_none() || !e.op.is_pointwise() {
                continue;
            }
            let Some(tree) = sums.tree(v, e) else {
                continue;
            };
            for (term, anew) in &tree.terms {
                found |= !riders.rides[term.index()];
                riders.rides[term.index()] = true;
                riders.anew[term.index()] |= anew;
            }
            for source in &tree.sources {
                let late = &mut sums.late[source.index()];
                *late = (*late).max(Some(sums.depths[v.index()]));
            }
        }
        if !found {
            break;
        }
    }
}

/// The type of a result with floats at many places.
fn many(e: &Equation) -> Option<&TensorType> {
    e.ty.tensor().filter(|ty| is_array(ty))
}

/// What a result is had from.
#[derive(Clone)]
struct Had {
    sources: SmallVec<[Var; 4]>,
    /// By how many operations, where what is read by several counts for each.
    by: usize,
}

/// All that one result is put together from.
struct Tree {
    /// Its operations, and whether regions compute them anew.
    terms: SmallVec<[(Var, bool); 16]>,
    sources: SmallVec<[Var; 8]>,
}

struct Sums<'a> {
    graph: &'a Graph,
    patterns: &'a Patterns,
    reads: &'a [u32],
    /// How many regions that wait for one another come before each result, about.
    depths: Vec<u32>,
    /// What results are had from that may run with their readers.
    had: Vec<Option<Had>>,
    /// What is read through strides, so that it is stored.
    stored: Vec<bool>,
    /// The deepest result that reads an array late.
    late: Vec<Option<u32>>,
}

impl Sums<'_> {
    fn depth(&self, e: &Equation) -> u32 {
        let beside = e.op.is_pointwise() || is_view(self.graph, e);
        let depths = e.args.iter().map(|a| {
            let op = &self.graph.equation(*a).op;
            let first = op.is_input() || op.is_constant() || self.is_number(*a);
            let depth = self.depths.get(a.index()).copied().unwrap_or(0);
            depth + u32::from(!beside && !first)
        });
        depths.max().unwrap_or(0)
    }

    fn is_number(&self, v: Var) -> bool {
        self.graph.splat(v).is_some()
    }

    /// Whether a variable is in memory whoever reads it, as it is or through strides.
    fn is_there(&self, v: Var) -> bool {
        let op = &self.graph.equation(v).op;
        op.is_input() || op.is_constant() || self.stored[v.index()] || self.is_spread(v)
    }

    fn is_spread(&self, v: Var) -> bool {
        self.patterns.get(v).is_some_and(|p| p.chosen.is_none())
    }

    fn had(&self, e: &Equation) -> Option<Had> {
        let ty = many(e).filter(|_| is_cheap(&e.op))?;
        let mut had = Had {
            sources: SmallVec::new(),
            by: 1,
        };
        for a in e.args.iter().filter(|a| !self.is_number(**a)) {
            let own = self.graph.ty(*a).tensor();
            let same = own.is_some_and(|own| own.dtype == ty.dtype && own.shape == ty.shape);
            if !same {
                return None;
            }
            if self.is_there(*a) {
                add(&mut had.sources, *a);
                continue;
            }
            let next = self.had.get(a.index())?.as_ref()?;
            next.sources.iter().for_each(|v| add(&mut had.sources, *v));
            had.by += next.by;
        }
        (had.sources.len() <= MOST_SOURCES && had.by <= MOST).then_some(had)
    }

    /// What a result can be put together from by its region, where that costs less than to store the sums
    /// before it.
    fn tree(&self, top: Var, e: &Equation) -> Option<Tree> {
        let mut tree = Tree {
            terms: SmallVec::new(),
            sources: SmallVec::new(),
        };
        let depth = |v: Var| self.depths.get(v.index()).copied().unwrap_or(0);
        let several = |v: Var| self.reads.get(v.index()).is_some_and(|n| *n > 1);
        // The arrays that a result as deep as this one reads anyway, and those that only it reads.
        let mut there: SmallVec<[Var; 8]> = SmallVec::new();
        let mut saved = 0;
        let mut work: SmallVec<[(Var, Var, bool); 16]> = SmallVec::new();
        work.extend(e.args.iter().map(|a| (*a, top, false)));
        while let Some((v, by, anew)) = work.pop() {
            if self.is_number(v) {
                continue;
            }
            if self.is_there(v) || self.had[v.index()].is_none() {
                // Of what is not there only operands of the result itself come here.
                add(&mut tree.sources, v);
                // What nobody else reads is read here instead.
                if depth(by) == depth(top) || !(anew || several(v)) {
                    add(&mut there, v);
                }
                continue;
            }
            let anew = anew || several(v);
            // What inputs alone are read for runs in any region.
            let stored = depth(v) > 0 && depth(v) < depth(by) && !anew;
            saved += usize::from(stored);
            match tree.terms.iter_mut().find(|(term, _)| *term == v) {
                Some((_, known)) if *known || !anew => continue,
                Some((_, known)) => *known = true,
                None => tree.terms.push((v, anew)),
            }
            work.extend(self.graph.equation(v).args.iter().map(|a| (*a, v, anew)));
        }
        let late = |v: Var| self.late[v.index()] >= Some(depth(top));
        let again = (tree.sources.iter()).filter(|v| !there.contains(v) && !late(**v));
        let pays = saved * STORED > again.count();
        (pays && self.fits(&tree.sources, many(e)?)).then_some(tree)
    }

    /// Whether a region can read all of these.
    fn fits(&self, sources: &[Var], ty: &TensorType) -> bool {
        let mut group = Group {
            elements: ty.shape.elements(),
            ..Group::default()
        };
        for pattern in sources.iter().filter_map(|v| self.patterns.get(*v)) {
            if add_cuts(&mut group.cuts, &cuts_of(pattern), group.elements).is_none() {
                return false;
            }
            let run = pattern.pad.and(pattern.loops.last().map(|(n, _)| *n));
            if run.is_some() && group.run.is_some_and(|n| Some(n) != run) {
                return false;
            }
            group.run = run.or(group.run);
        }
        sources.len() <= MOST_SOURCES && group.runs_fit()
    }
}

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use crate::{Plan, StepOp, Target, compile};

    fn plan(text: &str) -> Plan {
        let target = Target {
            fma: true,
            ..Target::plain()
        };
        let plan = compile(parse(text).unwrap().entry(), &target).unwrap();
        assert_eq!(plan.check(), Ok(()), "{plan}");
        plan
    }

    /// How many results each region stores.
    fn stored(plan: &Plan) -> Vec<usize> {
        let regions = plan
            .steps
            .iter()
            .filter(|s| matches!(s.op, StepOp::Region(_)));
        regions.map(|s| s.outs.len()).collect()
    }

    /// A sum of so many terms, each had from the one before across a shift.
    fn chain(terms: usize) -> String {
        let mut text = "fn f(x: f64[1000], w: f64[1000]) -> f64[1000] {
            let t0 = x * w;
            let s0 = x + x * w;"
            .to_owned();
        for k in 1..=terms {
            let before = k - 1;
            text += &format!(
                "let p{k} = pad(t{before}[1:1000], 0.0, low=[0], high=[1]);
                 let t{k} = p{k} * w;
                 let s{k} = s{before} + p{k} * 3.0;"
            );
        }
        text + &format!("s{terms} }}")
    }

    #[test]
    fn sums_that_grow_across_shifts_are_put_together_by_the_last_region() {
        let plan = plan(&chain(3));
        assert_eq!(stored(&plan), [1, 1, 1, 1], "{plan}");
    }

    #[test]
    fn sums_of_more_than_a_region_reads_are_stored_on_the_way() {
        let plan = plan(&chain(30));
        let regions = stored(&plan).len();
        assert_eq!(plan.steps.len(), regions, "{plan}");
        assert_eq!(regions, 31, "{plan}");
    }

    #[test]
    fn what_no_region_reads_together_is_stored_on_the_way() {
        // Pads along both axes: one cuts runs where the other must not.
        let plan = plan(
            "fn f(x: f64[40, 50], w: f64[40, 50]) -> f64[40, 50] {
                let a = pad((x * w)[:, 1:50], 0.0, low=[0, 0], high=[0, 1]);
                let s = x + a;
                let b = pad((a * w)[1:40, :], 0.0, low=[0, 0], high=[1, 0]);
                let t = s + b;
                let c = pad((b * w)[:, 1:50], 0.0, low=[0, 0], high=[0, 1]);
                t + c
            }",
        );
        let op = |s: &crate::Step| match &s.op {
            StepOp::Op(op) => op.is_pointwise(),
            _ => false,
        };
        assert!(!plan.steps.iter().any(op), "{plan}");
    }
}
