//! Inner products and difference quotients of lists of arrays.

use cotangent_array::Array;
use cotangent_graph::Graph;

use crate::arrays::{floats, parts};
use crate::walk::Walk;

/// The inner product of lists of arrays, and the sum of the magnitudes of its terms. Complex numbers pair
/// as the real part of their product, without conjugation.
pub(super) fn inner(x: &[Array], y: &[Array]) -> (f64, f64) {
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let complex = x.dtype().is_complex();
        for (i, (x, y)) in parts(x).into_iter().zip(parts(y)).enumerate() {
            // Re((a + ib)(c + id)) = ac - bd
            sum += if complex && i % 2 == 1 { -x * y } else { x * y };
            magnitude += (x * y).abs();
        }
    }
    (sum, magnitude)
}

/// The directional derivative of a graph's float outputs by central differences.
pub(super) struct Quotients<'a> {
    graph: &'a Graph,
    inputs: &'a [Array],
    /// The direction of each input; `None` for those that stay.
    directions: Vec<Option<&'a Array>>,
    decisions: u64,
    stopped: Vec<Array>,
    /// The largest magnitude in each float output.
    size: Vec<f64>,
}

/// What differences say about one output.
pub(super) struct Estimate {
    /// The derivative of each number; complex elements have two.
    pub(super) value: Vec<f64>,
    /// How far off it may be.
    pub(super) error: Vec<f64>,
}

impl<'a> Quotients<'a> {
    /// Differences around these inputs; `None` when the graph has no value there.
    pub(super) fn new(
        graph: &'a Graph,
        inputs: &'a [Array],
        wrt: &[bool],
        directions: &'a [Array],
    ) -> Option<Quotients<'a>> {
        let mut walk = Walk::plain();
        let outputs = walk.run(graph, inputs).ok()?;
        let mut given = directions.iter();
        let directions = wrt
            .iter()
            .map(|w| if *w { given.next() } else { None })
            .collect();
        let size = outputs.iter().filter(|a| a.dtype().is_inexact());
        let size = size.map(|a| crate::arrays::extent(a).1).collect();
        let (decisions, stopped) = (walk.decisions, walk.stopped);
        Some(Quotients {
            graph,
            inputs,
            directions,
            decisions,
            stopped,
            size,
        })
    }

    /// Richardson's extrapolation from the steps h, h/2 and h/4, for each float output. Its error
    /// is judged by how much the two extrapolated values differ. `None` when a decision changes
    /// within the steps.
    pub(super) fn estimate(&self, h: f64) -> Option<Vec<Estimate>> {
        let steps = [h, h / 2.0, h / 4.0].map(|h| self.quotient(h));
        let [Some(a), Some(b), Some(c)] = steps else {
            return None;
        };
        let extrapolate = |coarse: f64, fine: f64| (4.0 * fine - coarse) / 3.0;
        let estimates = a
            .iter()
            .zip(&b)
            .zip(&c)
            .zip(&self.size)
            .map(|(((a, b), c), size)| {
                let (mut value, mut error) = (Vec::new(), Vec::new());
                for ((a, b), c) in a.iter().zip(b).zip(c) {
                    let (first, second) = (extrapolate(*a, *b), extrapolate(*b, *c));
                    value.push(second);
                    // Rounding of the values, magnified by the smallest step.
                    let rounding = 64.0 * f64::EPSILON * size / (h / 4.0);
                    error.push(4.0 * (first - second).abs() + rounding);
                }
                Estimate { value, error }
            });
        Some(estimates.collect())
    }

    fn quotient(&self, h: f64) -> Option<Vec<Vec<f64>>> {
        let (above, below) = (self.at(h)?, self.at(-h)?);
        let quotients = above
            .iter()
            .zip(&below)
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b) / (2.0 * h)).collect());
        Some(quotients.collect())
    }

    /// The float outputs a step away.
    fn at(&self, h: f64) -> Option<Vec<Vec<f64>>> {
        let moved: Vec<Array> = (self.inputs.iter().zip(&self.directions))
            .map(|(x, d)| match d {
                Some(d) => {
                    let moved: Vec<f64> = parts(x)
                        .iter()
                        .zip(parts(d))
                        .map(|(x, d)| x + h * d)
                        .collect();
                    floats(x.dtype(), x.shape(), &moved)
                }
                None => x.clone(),
            })
            .collect();
        let mut walk = Walk::frozen(&self.stopped);
        let outputs = walk.run(self.graph, &moved).ok()?;
        if walk.decisions != self.decisions {
            return None;
        }
        Some(
            outputs
                .iter()
                .filter(|a| a.dtype().is_inexact())
                .map(parts)
                .collect(),
        )
    }
}
