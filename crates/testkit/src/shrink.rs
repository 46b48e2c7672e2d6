//! Makes a failing case small while it keeps failing in the same way.

mod edits;
mod lengths;
mod rebuild;
mod text;

use cotangent_array::Array;
use cotangent_graph::{Graph, Op};

use self::edits::edits;
pub use self::text::{brackets, describe};
use crate::random::Case;

/// The smallest case that could be reached, by removing outputs and operations, putting values in
/// the place of what computes them, inlining calls, shortening axes and rounding inputs.
///
/// `fails` says whether a case still fails; it is asked at most `tries` times.
pub fn shrink(case: &Case, tries: usize, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut left = tries;
    loop {
        let mut progress = false;
        let mut next = 0;
        // The list of edits belongs to the case, so it is made anew after each success; going on
        // at the same place keeps the whole linear in the tries.
        let mut edits = edits(&best);
        while next < edits.len() {
            if left == 0 {
                return best;
            }
            if let Some(smaller) = edits[next].apply(&best)
                && size(&smaller) < size(&best)
            {
                left -= 1;
                if fails(&smaller) {
                    best = smaller;
                    edits = self::edits::edits(&best);
                    progress = true;
                    continue;
                }
            }
            next += 1;
        }
        if !progress {
            return best;
        }
    }
}

/// What shrinking makes smaller, the most important first.
fn size(case: &Case) -> (usize, usize, usize, usize, usize) {
    fn operations(graph: &Graph) -> usize {
        let weight = |e: &cotangent_graph::Equation| match &e.op {
            Op::Input | Op::Full(..) => 0,
            Op::Constant(_) => 1,
            Op::Call(_) | Op::Region(_) => {
                3 + e
                    .op
                    .callees()
                    .map(|callee| operations(&callee.0))
                    .sum::<usize>()
            }
            _ => 2,
        };
        graph.equations().iter().map(weight).sum()
    }
    let g = &case.graph;
    let elements: usize = g
        .equations()
        .iter()
        .flat_map(|e| e.ty.components())
        .map(|t| t.shape.elements() + t.rank())
        .sum();
    let digits = case
        .inputs
        .iter()
        .flat_map(Array::scalars)
        .map(|s| s.to_string().len())
        .sum();
    (
        operations(g),
        g.outputs().len(),
        g.inputs().len(),
        elements,
        digits,
    )
}

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use super::*;

    fn case(text: &str, inputs: Vec<Array>) -> Case {
        Case {
            graph: parse(text).unwrap().entry().clone(),
            inputs,
            seed: 1,
            smooth: true,
        }
    }

    #[test]
    fn finds_the_operation_that_matters() {
        let text = "
            fn g(x: f64[3]) -> (f64[3], f64[3]) { (exp(x), sin(x * 2.0)) }
            fn f(x: f64[3], y: f64[3]) {
                let t = g(x);
                let a = get(t, index=0);
                let s = get(t, index=1);
                let c = cosh(s + y);
                (sum(c * a, axes=[0]), tanh(y))
            }";
        let x = Array::from([0.123, 0.456, 0.789]);
        let big = case(text, vec![x.clone(), x]);
        let has_cosh = |c: &Case| crate::rewrite::operations(&c.graph).contains("cosh");
        let small = shrink(&big, 1000, has_cosh);
        assert_eq!(small.graph.operation_count(), 1, "{}", describe(&small));
        assert!(has_cosh(&small));
        assert!(small.graph.inputs().len() <= 1, "{}", describe(&small));
        assert!(cotangent_graph::eval(&small.graph, &small.inputs).is_ok());
    }

    #[test]
    fn shortens_axes_and_rounds_inputs() {
        let big = case(
            "fn f(x: f64[2, 4]) { sum(reshape(x, shape=[4, 2]), axes=[0]) }",
            vec![Array::new([2, 4], vec![0.123; 8]).unwrap()],
        );
        let sums = |c: &Case| {
            let names = crate::rewrite::operations(&c.graph);
            names.contains("sum") && c.graph.inputs().len() == 1 && c.inputs[0].len() >= 2
        };
        let small = shrink(&big, 1000, sums);
        assert_eq!(small.inputs[0].len(), 2, "{}", describe(&small));
        assert!(
            small.inputs[0]
                .to_f64s()
                .iter()
                .all(|x| *x == 0.0 || *x == 1.0)
        );
    }
}
