//! The loss of a recurrent network (LSTM with diagonal weights) on a sequence.

use cotangent::{Array, Function, Tensor, Tree, control};
use serde_json::Value;

use crate::eval::{Eval, EvalError};
use crate::input::Input;
use crate::output::nested;

pub(crate) fn eval() -> Eval {
    let objective = Function::new(loss);
    Eval::default()
        .with("jacobian", objective.grad(), read, write)
        .with("objective", objective, read, nested)
}

/// For each layer 4 weights and 4 biases (forget, ingate, outgate, change) of width b, as
/// `main[layers, 2, 4, b]`; `extra[3, b]` holds the weight of the input and the weight and bias
/// of the output.
#[derive(Clone, Tree)]
pub struct Parameters<T> {
    /// `[layers, 2, 4, b]`: weights, then biases.
    pub main: T,
    /// `[3, b]`
    pub extra: T,
}

/// Hidden and cell `state[layers, 2, b]` at the beginning, and a sequence `[steps, b]`.
#[derive(Clone, Tree)]
pub struct Data<T> {
    /// `[layers, 2, b]`: hidden, then cell.
    pub state: T,
    /// `[steps, b]`
    pub sequence: T,
}

fn read(input: &Input<'_>) -> Result<(Parameters<Array>, Data<Array>), EvalError> {
    let main = input.floats_of_rank("main_params", 2)?;
    let sequence = input.floats_of_rank("sequence", 2)?;
    let (layers, b) = match (main.shape().dims(), sequence.shape().dims()) {
        ([rows, _], [_, b]) => (rows / 2, *b),
        _ => (0, 0),
    };
    if layers == 0 {
        return Err(input.unexpected("main_params", "two rows or more"));
    }
    let shaped = |field: &str, array: Array, shape: &[usize]| -> Result<Array, EvalError> {
        let wrong = |_| input.unexpected(field, format!("numbers that fill {shape:?}"));
        array.reshape(shape.to_vec()).map_err(wrong)
    };
    let parameters = Parameters {
        main: shaped("main_params", main, &[layers, 2, 4, b])?,
        extra: shaped("extra_params", input.floats("extra_params")?, &[3, b])?,
    };
    let state = shaped("state", input.floats("state")?, &[layers, 2, b])?;
    Ok((parameters, Data { state, sequence }))
}

fn write(gradient: Parameters<Array>) -> Value {
    let mut flat = gradient.main.to_f64s();
    flat.extend(gradient.extra.to_f64s());
    flat.into()
}

/// Minus the mean logarithm of the probability that the network gives to the next element.
pub fn loss(parameters: &Parameters<Tensor>, data: &Data<Tensor>) -> Tensor {
    let Parameters { main, extra } = parameters;
    let layers: Vec<(Tensor, Tensor)> = (0..main.dim(0) as i64)
        .map(|i| (main.at((i, 0)), main.at((i, 1))))
        .collect();
    let state: Vec<(Tensor, Tensor)> = (0..data.state.dim(0) as i64)
        .map(|i| (data.state.at((i, 0)), data.state.at((i, 1))))
        .collect();
    let step = |state: Vec<(Tensor, Tensor)>, input: Tensor| {
        let mut next = Vec::with_capacity(state.len());
        let mut input = input;
        for ((weight, bias), (hidden, cell)) in layers.iter().zip(&state) {
            let (hidden, cell) = layer(weight, bias, hidden, cell, &input);
            input = hidden.clone();
            next.push((hidden, cell));
        }
        (next, input)
    };
    let inputs = data.sequence.at(..-1) * extra.at(0);
    let (_, outputs) = control::scan(step, state, inputs);
    let predicted = outputs * extra.at(1) + extra.at(2);
    let normal = (predicted.exp().sum(cotangent::keep(1)) + 2.0).log();
    -(data.sequence.at(1..) * (predicted - normal)).mean(..)
}

/// The hidden and cell state of a layer after an input.
fn layer(
    weight: &Tensor,
    bias: &Tensor,
    hidden: &Tensor,
    cell: &Tensor,
    input: &Tensor,
) -> (Tensor, Tensor) {
    let gate = |i: i64, x: &Tensor| x * weight.at(i) + bias.at(i);
    let forget = gate(0, input).sigmoid();
    let ingate = gate(1, hidden).sigmoid();
    let outgate = gate(2, input).sigmoid();
    let change = gate(3, hidden).tanh();
    let cell = cell * forget + ingate * change;
    (outgate * cell.tanh(), cell)
}
