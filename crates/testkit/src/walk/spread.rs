//! How far the results of a graph go when each of its operations rounds in another way.

use cotangent_array::Array;
use cotangent_graph::{EvalError, Graph};

use super::{Noise, Walk, exact_outputs};
use crate::arrays::{parts, ulp, width};
use crate::rng::Rng;

/// The outputs of the reference evaluator and how far they go when each result is disturbed.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The outputs.
    pub base: Vec<Array>,
    /// The largest deviation of each number of each output; a complex element has two.
    pub deviation: Vec<Vec<f64>>,
    /// Whether no decision changed under the noise.
    pub stable: bool,
    exact: Vec<bool>,
    graph: Graph,
    inputs: Vec<Array>,
    decisions: u64,
}

/// A result that is not what the reference says.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Difference {
    /// Which output and element, what was expected and found.
    pub message: String,
    /// Whether noise changes a decision, so that nothing is proved.
    pub unstable: bool,
}

impl Spread {
    /// Evaluates a graph once plainly and `draws` times with noise.
    ///
    /// # Errors
    /// As for [`cotangent_graph::eval`], of the plain evaluation.
    pub fn of(
        graph: &Graph,
        inputs: &[Array],
        draws: usize,
        rng: &mut Rng,
    ) -> Result<Spread, EvalError> {
        let mut plain = Walk::plain();
        let base = plain.run(graph, inputs)?;
        let mut spread = Spread {
            deviation: (base.iter())
                .map(|a| vec![0.0; width(a.dtype()) * a.len()])
                .collect(),
            base,
            stable: true,
            exact: exact_outputs(graph),
            graph: graph.clone(),
            inputs: inputs.to_vec(),
            decisions: plain.decisions,
        };
        spread.widen(draws, rng);
        Ok(spread)
    }

    /// Evaluates some more times with noise.
    fn widen(&mut self, draws: usize, rng: &mut Rng) {
        for _ in 0..draws {
            self.stable &= self.disturb(rng);
        }
    }

    fn disturb(&mut self, rng: &mut Rng) -> bool {
        let mut walk = Walk::noisy(Noise::Ulp, rng.bits());
        // An index that noise drove out of range is a changed decision.
        let Ok(outputs) = walk.run(&self.graph, &self.inputs) else {
            return false;
        };
        for (deviation, (base, noisy)) in self
            .deviation
            .iter_mut()
            .zip(self.base.iter().zip(&outputs))
        {
            for (d, (x, y)) in deviation
                .iter_mut()
                .zip(parts(base).into_iter().zip(parts(noisy)))
            {
                *d = d.max(distance(x, y));
            }
        }
        walk.decisions == self.decisions
    }

    /// From now on no output is expected bit for bit.
    pub fn round(&mut self) {
        self.exact.fill(false);
    }

    /// Whether results computed another way agree: bit for bit where nothing rounds, else within
    /// eight times the spread and eight units in the last place.
    ///
    /// # Errors
    /// The first element that does not agree.
    pub fn agree(&self, found: &[Array]) -> Result<(), Difference> {
        let first = self.compare(found);
        if first.is_ok() {
            return first;
        }
        // A few draws may have missed how far the noise goes; nothing is said before many have.
        let mut wider = self.clone();
        wider.widen(32, &mut Rng::new(self.decisions));
        wider.compare(found)
    }

    fn compare(&self, found: &[Array]) -> Result<(), Difference> {
        let bad = |message: String| {
            Err(Difference {
                message,
                unstable: !self.stable,
            })
        };
        if found.len() != self.base.len() {
            return bad(format!(
                "expected {} outputs, found {}",
                self.base.len(),
                found.len()
            ));
        }
        for (k, (x, y)) in self.base.iter().zip(found).enumerate() {
            if (x.dtype(), x.shape()) != (y.dtype(), y.shape()) {
                return bad(format!(
                    "output {k}: expected {}{}, found {}{}",
                    x.dtype(),
                    x.shape(),
                    y.dtype(),
                    y.shape()
                ));
            }
            for (i, (a, b)) in x.scalars().zip(y.scalars()).enumerate() {
                // Both parts of a complex number come from both parts of others.
                let of = width(x.dtype());
                let deviation = self.deviation[k][of * i..of * (i + 1)]
                    .iter()
                    .fold(0.0_f64, |most, d| most.max(*d));
                let same = if self.exact[k] || !x.dtype().is_inexact() {
                    a == b
                } else {
                    let (a, b) = (a.to_complex(), b.to_complex());
                    let ulp = match a.norm() {
                        size if size.is_finite() => ulp(x.dtype(), size),
                        _ => ulp(x.dtype(), a.re),
                    };
                    let tolerance = 8.0 * (deviation + ulp);
                    distance(a.re, b.re) <= tolerance && distance(a.im, b.im) <= tolerance
                };
                if !same {
                    let how = if self.exact[k] {
                        "exactly".to_owned()
                    } else {
                        format!("within {:e}", 8.0 * deviation)
                    };
                    return bad(format!(
                        "output {k}, element {i}: expected {a} {how}, found {b}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// |x - y|, 0 for equal infinities and for two NaN, infinite where just one is not a number.
pub fn distance(x: f64, y: f64) -> f64 {
    if x == y || (x.is_nan() && y.is_nan()) {
        0.0
    } else if x.is_finite() && y.is_finite() {
        (x - y).abs()
    } else {
        f64::INFINITY
    }
}

/// Whether every decision stays as it is when all results move by a millionth.
pub fn is_stable(graph: &Graph, inputs: &[Array], rng: &mut Rng) -> bool {
    let mut plain = Walk::plain();
    let Ok(outputs) = plain.run(graph, inputs) else {
        return false;
    };
    outputs
        .iter()
        .all(|a| !a.dtype().is_inexact() || crate::arrays::is_finite(a))
        && (0..2).all(|_| {
            let mut walk = Walk::noisy(Noise::Relative(1e-6), rng.bits());
            walk.run(graph, inputs).is_ok() && walk.decisions == plain.decisions
        })
}

#[cfg(test)]
mod tests {
    use cotangent_array::Array;
    use cotangent_graph::parse;

    use super::*;

    #[test]
    fn what_is_beside_large_elements_is_uncertain_in_transforms_alone() {
        // The element behind the first is a billionth of it.
        let line = Array::new(vec![3], vec![1.0, 1e-9, 0.0]).unwrap();
        let deviation = |text: &str| {
            let graph = parse(text).unwrap().entry().clone();
            let mut rng = Rng::new(1);
            let spread = Spread::of(&graph, std::slice::from_ref(&line), 16, &mut rng).unwrap();
            spread.deviation[0].clone()
        };
        let there_and_back =
            "fn f(x: f64[3]) -> f64[3] { irfft(rfft(x, axis=0), axis=0, n=3) / 3.0 }";
        let transformed = deviation(there_and_back);
        assert!(
            transformed.iter().all(|d| (1e-16..1e-14).contains(d)),
            "{transformed:?}"
        );
        let sums = deviation("fn f(x: f64[3]) -> f64[3] { cumsum(reverse(x, axes=[0]), axis=0) }");
        assert!(sums[1] < 1e-23, "{sums:?}");
    }
}
