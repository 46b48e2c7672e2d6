//! Loops whose steps are walked forward and backward in turn.

use std::ops::Range;

use super::eval::holds;
use super::infer::{expect_inputs, expect_test, list};
use super::{Region, RegionValue, RunBody, While, tuple};
use crate::{Callee, EvalError, TensorType, Type, TypeError, type_error};

/// A loop whose steps are walked several times, forward and backward in turn: what reverse mode
/// makes of a [`While`], once and again.
///
/// Operands: the initial carried values of the first sweep, of the second, and so on, then values
/// that all sweeps share. The first sweep runs as a `while` does, by the test, which takes its
/// carried values and the shared ones; this fixes the number of steps. The second sweep visits the
/// same steps from the last to the first, the third from the first to the last again, and so on.
/// At each step a body takes the values that every earlier sweep carried when it came to this step,
/// the values that its own sweep carries, and the shared values; it gives what its own sweep carries
/// next. Results: the last carried values of all sweeps.
///
/// The values that sweeps before the last one carried are kept, for each step. Their number is known
/// only when the program runs, so this is the one memory that is not planned ahead; it ends with
/// the operation.
///
/// With these the operation is closed: its tangents are sweeps that carry tangents beside values,
/// and its transpose is the sweeps over known values followed by those of the linear ones, turned
/// around, from the last to the first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sweeps {
    /// Whether the first sweep takes another step.
    pub test: Callee,
    /// One step of each sweep.
    pub bodies: Vec<Callee>,
    /// How many values each sweep carries.
    pub carry: Vec<usize>,
}

/// The names of the bodies of [`Sweeps`] in texts. Each reverse derivative doubles their number.
pub(super) const SWEEPS: [&str; 64] = [
    "sweep0", "sweep1", "sweep2", "sweep3", "sweep4", "sweep5", "sweep6", "sweep7", "sweep8",
    "sweep9", "sweep10", "sweep11", "sweep12", "sweep13", "sweep14", "sweep15", "sweep16",
    "sweep17", "sweep18", "sweep19", "sweep20", "sweep21", "sweep22", "sweep23", "sweep24",
    "sweep25", "sweep26", "sweep27", "sweep28", "sweep29", "sweep30", "sweep31", "sweep32",
    "sweep33", "sweep34", "sweep35", "sweep36", "sweep37", "sweep38", "sweep39", "sweep40",
    "sweep41", "sweep42", "sweep43", "sweep44", "sweep45", "sweep46", "sweep47", "sweep48",
    "sweep49", "sweep50", "sweep51", "sweep52", "sweep53", "sweep54", "sweep55", "sweep56",
    "sweep57", "sweep58", "sweep59", "sweep60", "sweep61", "sweep62", "sweep63",
];

impl From<&While> for Sweeps {
    fn from(w: &While) -> Sweeps {
        Sweeps {
            test: w.test.clone(),
            bodies: vec![w.body.clone()],
            carry: vec![w.carry],
        }
    }
}

impl From<Sweeps> for Region {
    /// One sweep is a `while`.
    fn from(s: Sweeps) -> Region {
        match (&s.bodies[..], &s.carry[..]) {
            ([body], [carry]) => Region::While(While {
                test: s.test,
                body: body.clone(),
                carry: *carry,
            }),
            _ => Region::Sweeps(s.into()),
        }
    }
}

impl Sweeps {
    /// Where each sweep's values stand among the operands, and among the results.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        let mut at = 0_usize;
        let mut next = |n: &usize| {
            let start = at;
            at = at.saturating_add(*n);
            start..at
        };
        self.carry.iter().map(&mut next).collect()
    }

    /// How many values all sweeps carry; the operands behind them are shared.
    pub fn carried(&self) -> usize {
        self.carry.iter().fold(0, |n, c| n.saturating_add(*c))
    }

    /// Of a list with one entry for each operand the entries of those that the body of a sweep reads:
    /// what the sweeps up to its own carry, then what is shared.
    pub fn read_by<T: Clone>(&self, sweep: usize, operands: &[T]) -> Vec<T> {
        let end = self.ranges().get(sweep).map_or(0, |r| r.end);
        let parts = [operands.get(..end), operands.get(self.carried()..)];
        parts.into_iter().flatten().flatten().cloned().collect()
    }

    pub(super) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        if self.bodies.len() > SWEEPS.len() || self.bodies.len() != self.carry.len() {
            type_error!(
                "expected at most {} sweeps and as many numbers of carried values, found {} and {}",
                SWEEPS.len(),
                self.bodies.len(),
                self.carry.len()
            );
        }
        let total = self.carried();
        if total > args.len() {
            type_error!(
                "expected at least {total} carried operands, found {}",
                args.len()
            );
        }
        let all: Vec<TensorType> = args.iter().map(|t| (*t).clone()).collect();
        let shared = &all[total..];
        for (j, (body, range)) in self.bodies.iter().zip(self.ranges()).enumerate() {
            let inputs = [&all[..range.end], shared].concat();
            let name = SWEEPS[j];
            if j == 0 {
                expect_inputs("test", &self.test, inputs.iter().cloned())?;
                expect_test(&self.test)?;
            }
            expect_inputs(name, body, inputs.into_iter())?;
            let (carried, found) = (&all[range], body.0.output_types());
            if found != carried {
                type_error!(
                    "expected `{name}` to give {}, found {}",
                    list(carried),
                    list(&found)
                );
            }
        }
        Ok(tuple(all[..total].to_vec()))
    }

    pub(super) fn eval<V: RegionValue, E: From<EvalError>>(
        &self,
        args: &[V],
        run: &mut RunBody<'_, V, E>,
    ) -> Result<Vec<V>, E> {
        let shared = args.get(self.carried()..).unwrap_or_default();
        // What the sweeps so far carried when they came to each step.
        let mut kept: Vec<Vec<V>> = Vec::new();
        let mut results = Vec::new();
        for (j, (body, range)) in self.bodies.iter().zip(self.ranges()).enumerate() {
            let mut state = args.get(range).unwrap_or_default().to_vec();
            if j == 0 {
                loop {
                    let inputs = [&state[..], shared].concat();
                    let test = run(&self.test, &inputs)?;
                    if !holds(&test)? {
                        break;
                    }
                    let next = run(body, &inputs)?;
                    kept.push(std::mem::replace(&mut state, next));
                }
            } else {
                let mut steps: Vec<&mut Vec<V>> = kept.iter_mut().collect();
                if j % 2 == 1 {
                    steps.reverse();
                }
                for step in steps {
                    step.extend(state);
                    state = run(body, &[&step[..], shared].concat())?;
                }
            }
            results.extend(state);
        }
        Ok(results)
    }
}
