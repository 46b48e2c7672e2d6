//! What is to be computed: steps in order, the values they read and write, and their sizes.

use smallvec::SmallVec;

/// Steps in their base order, with the bytes of every value and the cost of every step.
///
/// A step reads values and writes values, which live until they are no longer needed. A value
/// that no step writes is an input: it is there from the start to the end, and its bytes count
/// throughout. Every step can be run again, and gives the same values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub(crate) steps: Vec<Step>,
    pub(crate) bytes: Vec<u64>,
    pub(crate) outputs: Vec<u32>,
    /// The step that writes each value.
    pub(crate) writer: Vec<Option<u32>>,
    /// The steps that read each value, in order, each once.
    pub(crate) readers: Vec<Vec<u32>>,
    /// The bytes that are there throughout: those of the inputs, and what the caller adds.
    pub(crate) held: u64,
}

/// One step of a [`Problem`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// What one run costs, in any unit.
    pub cost: u64,
    /// The bytes of memory that are needed while it runs, and only then.
    pub scratch: u64,
    /// Whether it belongs to the backward half, which is a hint where to look.
    pub backward: bool,
    /// The values it reads.
    pub reads: Vec<u32>,
    /// The values it writes, which no other step writes.
    pub writes: Vec<u32>,
    /// Results that may take over the memory of something the step reads, where that ends with it: a
    /// result, and the values whose place it may take, the first choice first. They have as many bytes as
    /// the result; others are left out.
    pub over: Vec<(u32, Vec<u32>)>,
}

/// Why steps and values make no [`Problem`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// A step or the outputs name a value that there is not.
    #[error("{place} names value {value}, expected one below {values}")]
    UnknownValue {
        /// Where it is named.
        place: String,
        /// The value named.
        value: u32,
        /// How many values there are.
        values: usize,
    },
    /// Two steps write one value.
    #[error("steps {first} and {second} both write value {value}")]
    WrittenTwice {
        /// The value.
        value: u32,
        /// The step that writes it first.
        first: usize,
        /// The step that writes it again.
        second: usize,
    },
    /// A step reads a value that a later step, or the step itself, writes.
    #[error("step {step} reads value {value}, which is written by step {writer} and not before")]
    ReadBeforeWritten {
        /// The step that reads.
        step: usize,
        /// The value.
        value: u32,
        /// The step that writes the value.
        writer: usize,
    },
    /// The bytes of all values together, or the costs of all steps, overflow.
    #[error("the {what} overflow: expected a total of at most {limit}")]
    Overflow {
        /// What overflows.
        what: &'static str,
        /// The largest total.
        limit: u64,
    },
    /// There are more steps than can be numbered.
    #[error("there are {steps} steps, expected at most {limit}")]
    TooManySteps {
        /// How many there are.
        steps: usize,
        /// The most.
        limit: usize,
    },
}

impl Problem {
    /// The largest total of bytes, and of costs: sums of two of them still fit.
    pub const LIMIT: u64 = i64::MAX as u64 / 4;

    /// The most steps.
    pub const STEPS: usize = (i32::MAX / 4) as usize;

    /// Steps in base order, the bytes of each value, the values that must be there at the end, and
    /// the bytes that are taken throughout beside the inputs.
    ///
    /// # Errors
    /// Where values are named that are not there, written twice or read before they are written;
    /// where the bytes of all values together or the costs of all steps are beyond
    /// [`Problem::LIMIT`].
    ///
    /// # Examples
    /// ```
    /// use cotangent_compile::remat::{Problem, Step};
    ///
    /// let double = Step { cost: 1, reads: vec![0], writes: vec![1], ..Step::default() };
    /// let problem = Problem::new(vec![double], vec![8, 8], vec![1], 0)?;
    /// assert_eq!(problem.base_peak(), 16);
    /// # Ok::<(), cotangent_compile::remat::ProblemError>(())
    /// ```
    pub fn new(
        mut steps: Vec<Step>,
        bytes: Vec<u64>,
        mut outputs: Vec<u32>,
        held: u64,
    ) -> Result<Problem, ProblemError> {
        if steps.len() > Problem::STEPS {
            return Err(ProblemError::TooManySteps {
                steps: steps.len(),
                limit: Problem::STEPS,
            });
        }
        let known = |value: u32, place: &dyn Fn() -> String| {
            if (value as usize) < bytes.len() {
                return Ok(());
            }
            Err(ProblemError::UnknownValue {
                place: place(),
                value,
                values: bytes.len(),
            })
        };
        let mut writer: Vec<Option<u32>> = vec![None; bytes.len()];
        for (i, step) in steps.iter_mut().enumerate() {
            step.reads.sort_unstable();
            step.reads.dedup();
            for &value in step.reads.iter().chain(&step.writes) {
                known(value, &|| format!("step {i}"))?;
            }
            for &value in &step.writes {
                if let Some(first) = writer[value as usize].replace(i as u32) {
                    return Err(ProblemError::WrittenTwice {
                        value,
                        first: first as usize,
                        second: i,
                    });
                }
            }
        }
        for step in &mut steps {
            let (reads, writes) = (&step.reads, &step.writes);
            step.over.retain_mut(|(result, values)| {
                let size = bytes.get(*result as usize);
                values.retain(|v| {
                    let inner = writer.get(*v as usize).is_some_and(Option::is_some);
                    inner && reads.binary_search(v).is_ok() && bytes.get(*v as usize) == size
                });
                !values.is_empty() && writes.contains(result)
            });
        }
        outputs.sort_unstable();
        outputs.dedup();
        for &value in &outputs {
            known(value, &|| "the list of outputs".into())?;
        }
        let mut readers: Vec<Vec<u32>> = vec![Vec::new(); bytes.len()];
        for (i, step) in steps.iter().enumerate() {
            for &value in &step.reads {
                match writer[value as usize] {
                    Some(w) if w as usize >= i => {
                        return Err(ProblemError::ReadBeforeWritten {
                            step: i,
                            value,
                            writer: w as usize,
                        });
                    }
                    _ => readers[value as usize].push(i as u32),
                }
            }
        }
        let scratch = steps.iter().map(|s| s.scratch);
        let all = bytes.iter().copied().chain(scratch).chain([held]);
        total("bytes", all)?;
        total("costs", steps.iter().map(|s| s.cost))?;
        let inputs = bytes.iter().zip(&writer).filter(|(_, w)| w.is_none());
        let held = held + inputs.map(|(b, _)| b).sum::<u64>();
        Ok(Problem {
            steps,
            bytes,
            outputs,
            writer,
            readers,
            held,
        })
    }

    /// A graph whose node `i` writes value `i` of `bytes[i]` bytes at `cost[i]`; edges lead from
    /// a node to one that reads it. Nothing need be there at the end.
    ///
    /// # Errors
    /// Those of [`Problem::new`]; nodes without a cost or a flag cost nothing and are forward.
    pub fn of_graph(
        bytes: Vec<u64>,
        cost: &[u64],
        backward: &[bool],
        edges: &[(u32, u32)],
    ) -> Result<Problem, ProblemError> {
        let mut steps: Vec<Step> = (0..bytes.len())
            .map(|i| Step {
                cost: cost.get(i).copied().unwrap_or(0),
                backward: backward.get(i).copied().unwrap_or(false),
                writes: vec![i as u32],
                ..Step::default()
            })
            .collect();
        for &(from, to) in edges {
            let values = bytes.len();
            let step = steps.get_mut(to as usize);
            let step = step.ok_or_else(|| ProblemError::UnknownValue {
                place: format!("an edge from {from}"),
                value: to,
                values,
            })?;
            step.reads.push(from);
        }
        Problem::new(steps, bytes, Vec::new(), 0)
    }

    /// The steps in base order; what each reads is sorted.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The bytes of each value.
    pub fn bytes(&self) -> &[u64] {
        &self.bytes
    }

    /// The values that must be there at the end, sorted.
    pub fn outputs(&self) -> &[u32] {
        &self.outputs
    }

    /// The bytes that are taken throughout, those of the inputs included.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The step that writes a value; `None` for an input.
    pub fn writer(&self, value: u32) -> Option<u32> {
        self.writer.get(value as usize).copied().flatten()
    }

    /// What one run of every step costs.
    pub fn cost(&self) -> u64 {
        self.steps.iter().map(|s| s.cost).sum()
    }

    /// The most bytes that are held at one time when every step runs once, in base order.
    pub fn base_peak(&self) -> u64 {
        let end = self.steps.len();
        let mut frees: Vec<u64> = vec![0; end];
        for (value, bytes) in self.bytes.iter().enumerate() {
            if let Some(w) = self.writer[value]
                && self.outputs.binary_search(&(value as u32)).is_err()
            {
                let last = self.readers[value].last().copied().unwrap_or(w);
                frees[last as usize] += bytes;
            }
        }
        let mut live = self.held;
        let mut peak = live;
        for (i, (step, free)) in self.steps.iter().zip(frees).enumerate() {
            live += self.written(step);
            let over = self.taken_over(step, |value| {
                let last = self.readers[value as usize].last();
                last == Some(&(i as u32)) && self.outputs.binary_search(&value).is_err()
            });
            peak = peak.max(live + step.scratch - over);
            live -= free;
        }
        peak
    }

    /// What results take over what, where `ends` says which of the values read end with the step.
    pub(crate) fn takers(
        &self,
        step: &Step,
        ends: impl Fn(u32) -> bool,
    ) -> SmallVec<[(u32, u32); 2]> {
        let mut takers: SmallVec<[(u32, u32); 2]> = SmallVec::new();
        for (result, values) in &step.over {
            let free = |v: &&u32| takers.iter().all(|(_, taken)| taken != *v) && ends(**v);
            if let Some(value) = values.iter().find(free) {
                takers.push((*result, *value));
            }
        }
        takers
    }

    /// The bytes that results take over; see [`Problem::takers`].
    pub(crate) fn taken_over(&self, step: &Step, ends: impl Fn(u32) -> bool) -> u64 {
        let takers = self.takers(step, ends);
        takers.iter().map(|(r, _)| self.bytes[*r as usize]).sum()
    }

    /// A budget that no schedule can undercut: each step needs what it reads, what it writes and
    /// its working memory, and the outputs are there together at the end.
    pub fn lower_bound(&self) -> u64 {
        let of = |step: &Step| {
            let reads = step.reads.iter().filter(|v| self.writer(**v).is_some());
            let reads: u64 = reads.map(|v| self.bytes[*v as usize]).sum();
            reads + self.written(step) + step.scratch - self.taken_over(step, |_| true)
        };
        let steps = self.steps.iter().map(of).max().unwrap_or(0);
        let outputs = self.outputs.iter().filter(|v| self.writer(**v).is_some());
        let outputs: u64 = outputs.map(|v| self.bytes[*v as usize]).sum();
        self.held + steps.max(outputs)
    }

    /// The bytes of what a step writes.
    pub(crate) fn written(&self, step: &Step) -> u64 {
        step.writes.iter().map(|v| self.bytes[*v as usize]).sum()
    }
}

fn total(what: &'static str, mut parts: impl Iterator<Item = u64>) -> Result<u64, ProblemError> {
    let limit = Problem::LIMIT;
    parts
        .try_fold(0_u64, |sum, part| sum.checked_add(part))
        .filter(|sum| *sum <= limit)
        .ok_or(ProblemError::Overflow { what, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_peak_and_lower_bound_of_a_chain() {
        // 0 -> 1 -> 2 -> 3, and 0 is read again by 3.
        let edges = [(0, 1), (1, 2), (2, 3), (0, 3)];
        let p = Problem::of_graph(vec![5, 1, 2, 4], &[1; 4], &[false; 4], &edges).unwrap();
        assert_eq!(p.base_peak(), 11);
        assert_eq!(p.lower_bound(), 11);
        assert_eq!(p.readers[0], [1, 3]);
    }

    #[test]
    fn malformed_problems_are_errors() {
        let of = |bytes: &[u64], edges: &[(u32, u32)]| {
            Problem::of_graph(bytes.to_vec(), &vec![1; bytes.len()], &[], edges)
        };
        let told = |r: Result<Problem, ProblemError>| r.unwrap_err().to_string();
        assert_eq!(
            told(of(&[1, 1], &[(1, 0)])),
            "step 0 reads value 1, which is written by step 1 and not before"
        );
        assert!(told(of(&[1, 1], &[(0, 7)])).contains("names value 7"));
        assert!(told(of(&[1, 1], &[(7, 1)])).contains("names value 7"));
        assert!(matches!(
            of(&[u64::MAX, 1], &[(0, 1)]),
            Err(ProblemError::Overflow { what: "bytes", .. })
        ));
        let write = |value: u32| Step {
            writes: vec![value],
            ..Step::default()
        };
        assert!(matches!(
            Problem::new(vec![write(0), write(0)], vec![1], vec![], 0),
            Err(ProblemError::WrittenTwice { .. })
        ));
        assert!(Problem::new(vec![write(0)], vec![1], vec![3], 0).is_err());
    }
}
