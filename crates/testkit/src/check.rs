//! Everything that must hold of a graph, checked at one point.

mod derivatives;
mod orders;
mod vectors;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cotangent_array::Array;
use cotangent_graph::{Graph, parse, print};

use crate::arrays::{direction, jitter, row, shuffled, stack};
use crate::engine::Engine;
use crate::random::Case;
use crate::rng::Rng;
use crate::tally::Tally;
use crate::walk::{Spread, is_stable};

/// A check that does not hold.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{check}: {message}")]
pub struct Failure {
    /// The name of the check.
    pub check: String,
    /// What was expected and found.
    pub message: String,
}

/// Why the checks of a case did not all pass.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Verdict {
    /// A decision stands within the noise at this sample; another one should be drawn.
    #[error("unstable: {0}")]
    Unstable(String),
    /// A check does not hold.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What a check gives.
pub type Checked<T = ()> = Result<T, Verdict>;

/// Puts a case through everything; a panic is a failure like any other.
///
/// # Errors
/// The first check that does not hold, or that the sample is unstable.
pub fn check(case: &Case, engine: &Engine, tally: &mut Tally) -> Checked {
    let mut checker = Checker {
        case,
        engine,
        tally,
        rng: Rng::new(!case.seed),
    };
    match catch_unwind(AssertUnwindSafe(|| checker.all())) {
        Ok(checked) => checked,
        Err(panic) => {
            let message = (panic.downcast_ref::<String>().map(String::as_str))
                .or(panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            // The place of the panic is no part of the name, so that shrinking may move it.
            failed("no panic", message)
        }
    }
}

/// A failure with this name and message.
pub(crate) fn failed<T>(check: impl Into<String>, message: impl ToString) -> Checked<T> {
    Err(Verdict::Failed(Failure {
        check: check.into(),
        message: message.to_string(),
    }))
}

/// Names an error as a failure of a check.
pub(crate) trait Named<T> {
    /// The value, or a failure with this name.
    fn named(self, check: &str) -> Checked<T>;
}

impl<T, E: ToString> Named<T> for Result<T, E> {
    fn named(self, check: &str) -> Checked<T> {
        self.or_else(|e| failed(check, e))
    }
}

struct Checker<'a> {
    case: &'a Case,
    engine: &'a Engine,
    tally: &'a mut Tally,
    rng: Rng,
}

impl Checker<'_> {
    fn all(&mut self) -> Checked {
        let (graph, inputs) = (&self.case.graph, &self.case.inputs[..]);
        self.sound("", graph)?;
        if self.case.smooth {
            self.tally.count("noise leaves decisions alone");
            if !is_stable(graph, inputs, &mut self.rng) {
                return Err(Verdict::Unstable("a decision within a millionth".into()));
            }
        }
        let spread = self.spread("", graph, inputs)?;
        self.program("", graph, inputs, &spread)?;
        self.passes("", graph, inputs, &spread)?;
        self.wrong_indices()?;
        self.batch("", graph, inputs)?;
        derivatives::all(self)
    }

    /// The graph verifies, and its text is lossless.
    fn sound(&mut self, of: &str, graph: &Graph) -> Checked {
        self.tally.count("verify");
        graph.verify().named(&format!("verify {of}"))?;
        self.tally.count("parse(print(g)) == g");
        let check = format!("text {of}");
        let text = print(graph);
        let module = parse(&text).or_else(|e| failed(&check, format!("{e}\n{text}")))?;
        if module.entry() != graph {
            let again = print(module.entry());
            return failed(
                check,
                format!("another graph came back:\n{text}\nas\n{again}"),
            );
        }
        module
            .entry()
            .verify()
            .named(&format!("verify parsed {of}"))?;
        let again = print(module.entry());
        if again != text {
            return failed(
                check,
                format!("another text came back:\n{text}\nas\n{again}"),
            );
        }
        Ok(())
    }

    fn spread(&mut self, of: &str, graph: &Graph, inputs: &[Array]) -> Checked<Spread> {
        let spread =
            Spread::of(graph, inputs, 3, &mut self.rng).named(&format!("evaluate {of}"))?;
        if self.case.smooth && !spread.stable {
            return Err(Verdict::Unstable(format!(
                "a decision {of} within a unit in the last place"
            )));
        }
        Ok(spread)
    }

    /// Results computed another way are those of the reference evaluator.
    fn agree(&mut self, check: &str, spread: &Spread, found: &[Array]) -> Checked {
        self.tally
            .count(check.split(" of ").next().unwrap_or(check));
        match spread.agree(found) {
            Ok(()) => Ok(()),
            Err(e) if e.unstable => Err(Verdict::Unstable(e.message)),
            Err(e) => failed(check, e),
        }
    }

    /// The compiled program gives what the reference evaluator gives, and the same bits each time.
    fn program(&mut self, of: &str, graph: &Graph, inputs: &[Array], spread: &Spread) -> Checked {
        let check = format!("program of {of}");
        // Between two runs on the same inputs another one, which must leave nothing behind.
        let other: Vec<Array> = (inputs.iter())
            .map(|a| match a.dtype().is_inexact() {
                true => jitter(a, 0.5, &mut self.rng),
                false => shuffled(a, &mut self.rng),
            })
            .collect();
        let runs: &[&[Array]] = match self.rng.chance(0.3) {
            true if cotangent_graph::eval(graph, &other).is_ok() => &[inputs, &other, inputs],
            _ => &[inputs],
        };
        let found = (self.engine.run)(graph, runs).named(&check)?;
        for found in found.iter().step_by(2) {
            self.agree(&check, spread, found)?;
        }
        if found.first() != found.last() {
            return failed("program gives the same bits", format!("{found:?}"));
        }
        Ok(())
    }

    /// Every pass leaves a sound graph with the same results.
    fn passes(&mut self, of: &str, graph: &Graph, inputs: &[Array], spread: &Spread) -> Checked {
        let mut chosen: Vec<Option<&str>> = vec![None];
        for name in self.engine.passes.clone() {
            if self.rng.chance(0.3) {
                chosen.push(Some(name));
            }
        }
        for pass in chosen {
            let name = format!("pass {} of {of}", pass.unwrap_or("all"));
            let after = (self.engine.pass)(pass, graph).named(&name)?;
            if (after.input_types(), after.output_types())
                != (graph.input_types(), graph.output_types())
            {
                return failed(name, "another signature");
            }
            self.sound(&name, &after)?;
            let found = cotangent_graph::eval(&after, inputs).named(&name)?;
            self.agree(&name, spread, &found)?;
        }
        Ok(())
    }

    /// An index out of range is an error in every way of running, or in none.
    fn wrong_indices(&mut self) -> Checked {
        if self.case.smooth || !self.rng.chance(0.3) {
            return Ok(());
        }
        let mut rng = self.rng.clone();
        let inputs: Vec<Array> = (self.case.inputs.iter())
            .map(|a| match a.dtype().is_int() {
                true => crate::arrays::map(a, |s| {
                    cotangent_array::Scalar::from_i64(s.dtype(), rng.between(-1, 5))
                }),
                false => a.clone(),
            })
            .collect();
        let graph = &self.case.graph;
        self.tally
            .count("an index out of range is an error everywhere");
        match (
            cotangent_graph::eval(graph, &inputs),
            (self.engine.run)(graph, &[&inputs]),
        ) {
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => Ok(()),
            (Ok(_), Err(e)) => failed("index", format!("only the program fails: {e}")),
            (Err(e), Ok(_)) => {
                // Unless passes found that no output needs the operation.
                let after = (self.engine.pass)(None, graph).named("pass all of ")?;
                match cotangent_graph::eval(&after, &inputs) {
                    Ok(_) => Ok(()),
                    Err(_) => failed("index", format!("the program does not fail: {e}")),
                }
            }
        }
    }

    /// The batched graph does what a loop over the examples does.
    fn batch(&mut self, of: &str, graph: &Graph, inputs: &[Array]) -> Checked {
        if inputs.is_empty() {
            return Ok(());
        }
        let size = if self.rng.chance(0.05) {
            0
        } else {
            self.rng.size(1, 3)
        };
        let axes: Vec<Option<usize>> = inputs
            .iter()
            .map(|a| self.rng.chance(0.7).then(|| self.rng.size(0, a.rank())))
            .collect();
        let name = format!("vmap of {of}");
        let batched = (self.engine.vmap)(graph, &axes, size).named(&name)?;
        self.sound(&name, &batched)?;
        let mut examples: Vec<Vec<Array>> = vec![Vec::new(); size];
        let mut stacked = Vec::new();
        for (a, (axis, ty)) in inputs.iter().zip(axes.iter().zip(batched.input_types())) {
            let own: Vec<Array> = (0..size)
                .map(|k| match axis {
                    Some(_) if k > 0 && a.dtype().is_inexact() => jitter(a, 0.05, &mut self.rng),
                    Some(_) if k > 0 => shuffled(a, &mut self.rng),
                    _ => a.clone(),
                })
                .collect();
            stacked.push(match axis {
                Some(axis) if size > 0 => stack(&own, *axis).ok_or("stack").named(&name)?,
                Some(_) => Array::zeros(ty.dtype, ty.shape).named(&name)?,
                None => a.clone(),
            });
            for (example, own) in examples.iter_mut().zip(own) {
                example.push(own);
            }
        }
        let found = cotangent_graph::eval(&batched, &stacked);
        let mut spreads = Vec::new();
        for example in &examples {
            match Spread::of(graph, example, 3, &mut self.rng) {
                Ok(spread) => spreads.push(spread),
                // An example with an index out of range fails the batch.
                Err(_) if found.is_err() => return Ok(()),
                Err(e) => {
                    return failed(name, format!("an example fails, the batch does not: {e}"));
                }
            }
        }
        let found = found.named(&name)?;
        for (k, spread) in spreads.iter().enumerate() {
            let rows: Option<Vec<Array>> = found.iter().map(|a| row(a, k)).collect();
            let rows = rows.ok_or("an output without a batch axis").named(&name)?;
            match self.agree(&name, spread, &rows) {
                // Other examples than the first stand elsewhere, perhaps at a kink.
                Err(Verdict::Unstable(_)) => {}
                checked => checked?,
            }
        }
        if size > 0 && spreads.iter().all(|s| s.stable) && self.rng.chance(0.3) {
            let spread = self.spread(&name, &batched, &stacked)?;
            self.program(&name, &batched, &stacked, &spread)?;
        }
        Ok(())
    }

    /// A direction of ordinary size for each chosen input.
    fn directions(&mut self, graph: &Graph, wrt: &[bool]) -> Vec<Array> {
        let chosen = graph
            .input_types()
            .into_iter()
            .zip(wrt)
            .filter(|(_, chosen)| **chosen);
        chosen
            .map(|(t, _)| direction(t.dtype, &t.shape, &mut self.rng))
            .collect()
    }

    /// A cotangent of ordinary size for each float output.
    fn cotangents(&mut self, graph: &Graph) -> Vec<Array> {
        let floats = graph
            .output_types()
            .into_iter()
            .filter(|t| t.dtype.is_inexact());
        floats
            .map(|t| direction(t.dtype, &t.shape, &mut self.rng))
            .collect()
    }
}
