//! W7: a transformer block with layer norm before attention and before the perceptron; the gradient of
//! the mean square of what it gives, by its input and all parameters.

use cotangent::nn::{LayerNorm, Linear};
use cotangent::{Array, Function, Tensor, Tree};

use crate::error::BenchError;
use crate::inputs::Inputs;
use crate::job::Job;
use crate::random::Random;

/// Width d: queries, keys and values from one `[d, 3 d]` layer, a perceptron of one hidden layer.
#[derive(Clone, Tree)]
struct Block<T> {
    before_attention: LayerNorm<T>,
    queries_keys_values: Linear<T>,
    attended: Linear<T>,
    before_perceptron: LayerNorm<T>,
    hidden: Linear<T>,
    output: Linear<T>,
    #[tree(plain)]
    heads: usize,
}

impl Block<Tensor> {
    /// `[batch, length, d]` to the same shape.
    fn apply(&self, x: &Tensor) -> Tensor {
        let (batch, length, width) = (x.dim(0), x.dim(1), x.dim(2));
        let projected = self
            .queries_keys_values
            .apply(&self.before_attention.apply(x));
        let [q, k, v] = [0, 1, 2].map(|part| {
            let from = part * width;
            projected
                .at((.., .., from..from + width))
                .reshape([batch, length, self.heads, width / self.heads])
                .swapaxes(1, 2)
        });
        let heads = q.attention(&k, &v, None).swapaxes(1, 2);
        let x = x + self.attended.apply(&heads.reshape([batch, length, width]));
        let hidden = self.hidden.apply(&self.before_perceptron.apply(&x));
        x + self.output.apply(&hidden.gelu_tanh())
    }
}

/// The input comes first in the gradient, then the parameters.
fn objective((x, block): &(Tensor, Block<Tensor>)) -> Tensor {
    block.apply(x).square().mean(..)
}

pub fn job(inputs: &Inputs) -> Result<Job, BenchError> {
    let [batch, length, width] = inputs.dims("x")?;
    let heads = inputs.size("heads")?.max(1);
    let [s1, o1, wq, bq, wo, bo, s2, o2, w1, b1, w2, b2] = inputs.list_of("params")?;
    let norm = |scale: Array, offset: Array| LayerNorm { scale, offset };
    let linear = |weight: Array, bias: Array| Linear {
        weight,
        bias: Some(bias),
    };
    let size = format!(
        "batch={batch} length={length} d={width} heads={heads} hidden={}",
        b1.len()
    );
    let block = Block {
        before_attention: norm(s1, o1),
        queries_keys_values: linear(wq, bq),
        attended: linear(wo, bo),
        before_perceptron: norm(s2, o2),
        hidden: linear(w1, b1),
        output: linear(w2, b2),
        heads,
    };
    let arguments = ((inputs.array("x")?, block),);
    Ok(Job::gradient(size, Function::new(objective), arguments))
}

pub fn inputs(
    [batch, length, width, heads, hidden]: [usize; 5],
    r: &mut Random,
) -> Result<Inputs, BenchError> {
    let mut params = Vec::new();
    let norm = |params: &mut Vec<Array>, r: &mut Random| -> Result<(), BenchError> {
        params.push(r.array(cotangent::DType::F32, [width], |_| 1.0)?);
        params.push(r.normals32([width], 0.0)?);
        Ok(())
    };
    let linear = |params: &mut Vec<Array>,
                  r: &mut Random,
                  from: usize,
                  to: usize|
     -> Result<(), BenchError> {
        params.push(r.normals32([from, to], 1.0 / (from as f64).sqrt())?);
        params.push(r.normals32([to], 0.0)?);
        Ok(())
    };
    norm(&mut params, r)?;
    linear(&mut params, r, width, 3 * width)?;
    linear(&mut params, r, width, width)?;
    norm(&mut params, r)?;
    linear(&mut params, r, width, hidden)?;
    linear(&mut params, r, hidden, width)?;
    Ok(Inputs::default()
        .with_list("params", params)
        .with("x", r.normals32([batch, length, width], 1.0)?)
        .with_size("heads", heads))
}
