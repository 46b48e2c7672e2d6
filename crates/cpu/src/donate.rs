//! Runs on arrays that the caller gives away.

use cotangent_array::Array;

use crate::RunError;
use crate::program::Program;
use crate::steps::Core;

impl Program {
    /// Runs on arrays that are given away, one for each input; one array for each output. Results stand in
    /// the memory of inputs of their type that are read no more when they are written, so parameters are updated in
    /// place; see [`Plan::taken_over`](cotangent_compile::Plan::taken_over). An array that has clones is copied for
    /// that.
    ///
    /// # Errors
    /// Those of [`Program::run`].
    pub fn run_donated(&self, mut inputs: Vec<Array>) -> Result<Vec<Array>, RunError> {
        self.check_inputs(inputs.len(), inputs.iter())?;
        let plan = self.plan();
        let taken = self.taken.get_or_init(|| plan.taken_over());
        let mut shared = Vec::new();
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for (k, (ty, taken)) in plan.outputs.iter().zip(taken).enumerate() {
            let donated = taken.and_then(|i| Some((i, inputs.get_mut(i)?)));
            outputs.push(match donated {
                Some((i, input)) => {
                    shared.push((i, k));
                    std::mem::replace(input, Array::scalar(false))
                }
                None => Array::zeros(ty.dtype, ty.shape.clone())?,
            });
        }
        self.execute(inputs.iter(), &mut outputs, &shared, Core::run_now)?;
        Ok(outputs)
    }
}
