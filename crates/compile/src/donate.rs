//! Which outputs may stand where inputs stood that are given away.

mod wait;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use cotangent_graph::{FastMap, TensorType};

use crate::plan::{Place, Plan, Step, StepOp};
pub(crate) use wait::wait;

impl Plan {
    /// For each output the input whose memory it may take over, if the caller gives that away: an input of the same
    /// type that no step reads any more when the output is written, or that the very step reads place by place which
    /// writes it, as an update of parameters does. No input is taken twice. Outputs choose as they are written.
    ///
    /// ```
    /// let module = cotangent_graph::parse(
    ///     "fn f(p: f64[3], g: f64[3], n: f64[3]) -> (f64, f64[3]) { (sum(g), p - 0.1 * g) }",
    /// )?;
    /// let plan = cotangent_compile::compile(module.entry(), &cotangent_compile::Target::plain())?;
    /// assert_eq!(plan.taken_over(), [None, Some(0)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn taken_over(&self) -> Vec<Option<usize>> {
        // For each type its inputs in the order in which they are read for the last time.
        let last_read = self.last_reads();
        let mut ending: FastMap<&TensorType, Ending> = FastMap::default();
        let mut inputs: Vec<usize> = (0..self.inputs.len()).collect();
        inputs.sort_by_key(|i| last_read.get(*i).copied().flatten());
        for i in inputs {
            if let (Some((_, ty)), Some(last)) = (self.inputs.get(i), last_read.get(i)) {
                ending.entry(ty).or_default().waiting.push_back((i, *last));
            }
        }
        let mut taken = vec![false; self.inputs.len()];
        let mut over = vec![None; self.outputs.len()];
        let mut seen = vec![false; self.outputs.len()];
        for (s, step) in self.steps.iter().enumerate() {
            for (k, out) in step.outs.iter().enumerate() {
                let Place::Output(j) = out.place else {
                    continue;
                };
                let (Some(ty), Some(seen)) =
                    (self.outputs.get(j as usize), seen.get_mut(j as usize))
                else {
                    continue;
                };
                // The first step that writes an output decides.
                if std::mem::replace(seen, true) {
                    continue;
                }
                // Rather what the step itself reads: an update stands where it stood.
                let own = step.args.iter().filter_map(|arg| match arg.place {
                    Place::Input(i) => Some(i as usize),
                    _ => None,
                });
                let own = own.filter(|i| {
                    let same = self.inputs.get(*i).is_some_and(|(_, own)| own == ty);
                    let ends = last_read.get(*i) == Some(&Some(s));
                    same && ends && taken.get(*i) == Some(&false) && in_place(step, *i, k)
                });
                let free = |ending: &mut Ending| ending.free(s, &taken);
                let input = (own.min()).or_else(|| ending.get_mut(ty).and_then(free));
                if let Some(taken) = input.and_then(|i| taken.get_mut(i)) {
                    *taken = true;
                }
                if let Some(over) = over.get_mut(j as usize) {
                    *over = input;
                }
            }
        }
        over
    }

    /// For each input the last step that reads it.
    fn last_reads(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.inputs.len()];
        for (s, step) in self.steps.iter().enumerate() {
            for arg in &step.args {
                if let Place::Input(i) = arg.place
                    && let Some(last) = last.get_mut(i as usize)
                {
                    *last = Some(s);
                }
            }
        }
        last
    }
}

/// The inputs of one type, as steps run.
#[derive(Default)]
struct Ending {
    /// Those that may still be read, and their last reader, in the order of the latter.
    waiting: VecDeque<(usize, Option<usize>)>,
    /// Those that are read no more, the first one on top.
    free: BinaryHeap<Reverse<usize>>,
}

impl Ending {
    /// The first input that nobody has taken and that neither a step nor what follows it reads.
    fn free(&mut self, step: usize, taken: &[bool]) -> Option<usize> {
        while let Some((input, last)) = self.waiting.front()
            && last.is_none_or(|last| last < step)
        {
            self.free.push(Reverse(*input));
            self.waiting.pop_front();
        }
        let mut free = std::iter::from_fn(|| self.free.pop());
        free.find(|Reverse(i)| taken.get(*i) == Some(&false))
            .map(|Reverse(i)| i)
    }
}

/// Whether a step reads an input only place by place where it writes a result of the same type.
fn in_place(step: &Step, input: usize, out: usize) -> bool {
    // Others read and write whole arrays, which must not be the same.
    let by_place = matches!(step.op, StepOp::Region(_) | StepOp::Rows(_));
    let mut reads = step.args.iter().enumerate();
    by_place
        && reads.all(|(k, arg)| match arg.place {
            Place::Input(i) if i as usize == input => {
                let same = step.outs.get(out).is_some_and(|o| o.ty == arg.ty);
                same && step.op.may_overwrite(k, out)
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use crate::{Target, compile};

    fn taken_over(text: &str) -> Vec<Option<usize>> {
        let module = parse(text).unwrap_or_else(|e| panic!("{}", e.render(text)));
        compile(module.entry(), &Target::plain())
            .unwrap()
            .taken_over()
    }

    #[test]
    fn outputs_take_what_is_read_no_more() {
        // Two products read y, so neither stands there; x is free for the second alone.
        let text = "fn f(x: f64[4, 4], y: f64[4, 4]) -> (f64[4, 4], f64[4, 4]) { (x @ y, y @ y) }";
        assert_eq!(taken_over(text), [None, Some(0)]);
        // What nobody reads is free from the beginning, for one of them.
        let text =
            "fn f(x: f64[4, 4], n: f64[4, 4]) -> (f64[4, 4], f64[4, 4]) { (x @ x, x @ x @ x) }";
        assert_eq!(taken_over(text), [Some(1), None]);
        // Of another type it is not.
        let text = "fn f(x: f64[4, 4], n: f32[4, 4]) -> f64[4, 4] { x @ x }";
        assert_eq!(taken_over(text), [None]);
    }

    #[test]
    fn updates_stand_where_their_parameters_stood() {
        // Though another input is free.
        let text = "fn f(n: f64[4], p: f64[4]) -> f64[4] { sin(p) }";
        assert_eq!(taken_over(text), [Some(1)]);
    }
}
