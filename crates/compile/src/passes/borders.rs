//! Puts numbers before and behind what is repeated along an axis by comparing positions.
//!
//! `pad(broadcast(x))` along an axis that the broadcast adds is a choice at every place: the number, or an element of
//! `x`. So regions read `x`, and what is repeated is stored neither for the pad nor by it.

use cotangent_array::{Array, Scalar};
use cotangent_graph::ops::{ArrayOp, Broadcast, Pad};
use cotangent_graph::{Builder, Equation, Graph, Op, Var};

use super::rewrite::rewrite;
use crate::CompileError;
use crate::lane::lanes_of_moves;

/// The longest axis: its positions are constants of the program.
const LONGEST: usize = 1024;
/// The fewest places at each position; fewer would take about as much memory as the constants.
const FEWEST: usize = 8;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let found = |e: &Equation| bordered(graph, e, &e.args).is_some();
    if !graph.equations().iter().any(found) {
        return Ok(None);
    }
    rewrite(graph, |b, _, e, args| {
        let bordered = bordered(b.graph(), e, args)?;
        bordered.build(b, e)
    })
    .map(Some)
}

/// What is repeated, with a number around it.
struct Bordered {
    source: Var,
    /// The axes of the source among those of the result.
    dims: Vec<usize>,
    number: Scalar,
    /// The axis along which it is repeated, and the positions at which it stands.
    axis: usize,
    first: usize,
    end: usize,
}

fn bordered(graph: &Graph, e: &Equation, args: &[Var]) -> Option<Bordered> {
    let (Op::Array(ArrayOp::Pad(pad)), [x, value]) = (&e.op, args) else {
        return None;
    };
    let repeated = graph.equations().get(x.index())?;
    let Op::Array(ArrayOp::Broadcast(Broadcast { dims, .. })) = &repeated.op else {
        return None;
    };
    let (ty, number) = (e.ty.tensor()?, graph.splat(*value)?);
    let axis = only_axis(pad)?;
    let length = *repeated.ty.tensor()?.shape.get(axis)?;
    let n = *ty.shape.get(axis)?;
    let first = *pad.low.get(axis)?;
    let worth = n <= LONGEST && ty.shape.elements() / n.max(1) >= FEWEST;
    // Other elements regions do not move.
    let moves = lanes_of_moves(ty.dtype).is_some();
    let source = *repeated.args.first()?;
    (worth && moves && !dims.contains(&axis)).then(|| Bordered {
        source,
        dims: dims.clone(),
        number,
        axis,
        first,
        end: first + length,
    })
}

/// The one axis along which something is put, if that is before and behind all elements.
fn only_axis(pad: &Pad) -> Option<usize> {
    let mut ends = pad.low.iter().zip(&pad.high).enumerate();
    let (axis, _) = ends.find(|(_, (low, high))| **low + **high > 0)?;
    let others = ends.any(|(_, (low, high))| *low + *high > 0);
    (!others && pad.interior.iter().all(|n| *n == 0)).then_some(axis)
}

impl Bordered {
    fn build(&self, b: &mut Builder, e: &Equation) -> Option<Var> {
        let shape = e.ty.tensor()?.shape.clone();
        let n = *shape.get(self.axis)?;
        let inside = (0..n).map(|i| (self.first..self.end).contains(&i));
        let inside = Array::new([n], inside.collect::<Vec<bool>>()).ok()?;
        let inside = b.constant(inside);
        let inside = b.broadcast(inside, shape.clone(), &[self.axis]);
        let repeated = b.broadcast(self.source, shape.clone(), &self.dims);
        let number = b.full(self.number, shape);
        Some(b.select(inside, repeated, number))
    }
}

#[cfg(test)]
mod tests {
    use cotangent_array::Array;
    use cotangent_graph::{eval, parse};

    use crate::optimize;

    fn same(text: &str, pads: usize) {
        let graph = parse(text).unwrap().entry().clone();
        let after = optimize(&graph, None).unwrap();
        let equations = after.equations().iter();
        let found = equations.filter(|e| e.op.name() == "pad").count();
        assert_eq!(found, pads, "{after}");
        let n = graph.input_types()[0].shape.elements();
        let x: Vec<f64> = (0..n).map(|i| [-0.0, f64::NAN, 2.5][i % 3]).collect();
        let inputs = [Array::new([n], x).unwrap()];
        let [one, other] = [&graph, &after].map(|graph| eval(graph, &inputs).unwrap());
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn a_number_beside_what_is_repeated_is_a_choice() {
        // The rows of powers: 1, t, t, ...
        same(
            "fn f(x: f64[9]) -> f64[9, 4] {
                cumprod(pad(broadcast(x, shape=[9, 3], dims=[0]), 1.0, low=[0, 1], high=[0, 0]), axis=1)
            }",
            0,
        );
        same(
            "fn f(x: f64[9]) -> f64[5, 9] {
                pad(broadcast(x, shape=[2, 9], dims=[1]), -0.0, low=[1, 0], high=[2, 0])
            }",
            0,
        );
    }

    #[test]
    fn other_pads_stay() {
        // Along an axis of the operand, around few elements, and along two axes.
        same(
            "fn f(x: f64[9]) -> f64[11, 9] {
                pad(broadcast(x, shape=[9, 9], dims=[0]), 0.5, low=[1, 0], high=[1, 0])
            }",
            1,
        );
        same(
            "fn f(x: f64[3]) -> f64[3, 7] {
                pad(broadcast(x, shape=[3, 6], dims=[0]), 0.5, low=[0, 0], high=[0, 1])
            }",
            1,
        );
        same(
            "fn f(x: f64[9]) -> f64[10, 7] {
                pad(broadcast(x, shape=[9, 6], dims=[0]), 0.5, low=[0, 0], high=[1, 1])
            }",
            1,
        );
    }

    /// Regions do not move bytes as numbers, so the choice would be a step of its own with all of its operands.
    #[test]
    fn pads_of_bytes_stay() {
        let text = "fn f(x: u8[9]) -> u8[9, 4] {
            pad(broadcast(x, shape=[9, 3], dims=[0]), 1, low=[0, 1], high=[0, 0])
        }";
        let after = optimize(parse(text).unwrap().entry(), None).unwrap();
        assert!(after.to_string().contains("= pad("), "{after}");
    }
}
