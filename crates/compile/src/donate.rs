//! Which outputs may stand where inputs stood that are given away.

mod wait;

use crate::plan::{Place, Plan, Step, StepOp};
pub(crate) use wait::wait;

impl Plan {
    /// For each output the input whose memory it may take over, if the caller gives that away: an input of the same
    /// type that no step reads any more when the output is written, or that the very step reads place by place which
    /// writes it, as an update of parameters does. No input is taken twice.
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
        let last_read = self.last_reads();
        let mut written: Vec<Option<(usize, usize)>> = vec![None; self.outputs.len()];
        for (s, step) in self.steps.iter().enumerate() {
            for (k, out) in step.outs.iter().enumerate() {
                if let Place::Output(j) = out.place
                    && let Some(first) = written.get_mut(j as usize)
                {
                    first.get_or_insert((s, k));
                }
            }
        }
        let mut taken = vec![false; self.inputs.len()];
        let outputs = self.outputs.iter().zip(written).map(|(ty, written)| {
            let (s, k) = written?;
            let step = self.steps.get(s)?;
            let inputs = self.inputs.iter().zip(&last_read).enumerate();
            let free =
                inputs.filter(|(i, ((_, own), _))| own == ty && taken.get(*i) == Some(&false));
            let free: Vec<(usize, bool)> = free
                .filter_map(|(i, (_, last))| match last {
                    Some(last) if *last > s => None,
                    Some(last) if *last == s => in_place(step, i, k).then_some((i, true)),
                    _ => Some((i, false)),
                })
                .collect();
            // Rather what the step itself reads: an update stands where it stood.
            let own = free.iter().find(|(_, own)| *own).or(free.first());
            let (i, _) = *own?;
            *taken.get_mut(i)? = true;
            Some(i)
        });
        outputs.collect()
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
