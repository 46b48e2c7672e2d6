//! W3: the loss of a recurrent network on a sequence, and its gradient by all parameters.

use cotangent::{DType, Function};
use gradbench::evals::lstm::{Data, Parameters, loss};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let parameters = Parameters {
        main: inputs.array("main")?,
        extra: inputs.array("extra")?,
    };
    let data = Data {
        state: inputs.array("state")?,
        sequence: inputs.array("seq")?,
    };
    let ([layers, ..], [steps, b]): ([usize; 4], _) = (inputs.dims("main")?, inputs.dims("seq")?);
    let size = format!("layers={layers} steps={steps} b={b}");
    Ok(Job::gradient(size, Function::new(loss), (parameters, data)))
}

pub fn inputs([layers, steps, b]: [usize; 3], r: &mut Random) -> Result<Inputs, BenchError> {
    let bit = |r: &mut Random| f64::from(u8::from(r.uniform() < 0.4));
    Ok(Inputs::default()
        .with_size("l", layers)
        .with_size("c", steps)
        .with_size("b", b)
        .with("main", r.uniforms([layers, 2, 4, b])?)
        .with("extra", r.uniforms([3, b])?)
        .with("state", r.uniforms([layers, 2, b])?)
        .with("seq", r.array(DType::F64, [steps, b], bit)?))
}
