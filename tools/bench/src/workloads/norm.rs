//! W12: layer norm, and the softmax cross-entropy of what it gives, by input, scale and offset.

use cotangent::nn::{LayerNorm, softmax_cross_entropy};
use cotangent::{DType, Function, Tensor};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

fn loss((x, norm): &(Tensor, LayerNorm<Tensor>), labels: &Tensor) -> Tensor {
    softmax_cross_entropy(&norm.apply(x), labels)
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let [rows, width] = inputs.dims("x")?;
    let norm = LayerNorm {
        scale: inputs.array("g")?,
        offset: inputs.array("b")?,
    };
    let arguments = ((inputs.array("x")?, norm), inputs.array("y")?);
    let size = format!("rows={rows} width={width}");
    Ok(Job::gradient(size, Function::new(loss), arguments))
}

pub fn inputs([rows, width]: [usize; 2], r: &mut Random) -> Result<Inputs, BenchError> {
    let scale = |r: &mut Random| 1.0 + 0.1 * r.normal();
    Ok(Inputs::default()
        .with("x", r.normals32([rows, width], 1.0)?)
        .with("g", r.array(DType::F32, [width], scale)?)
        .with("b", r.normals32([width], 0.1)?)
        .with("y", r.indices(rows, width)))
}
