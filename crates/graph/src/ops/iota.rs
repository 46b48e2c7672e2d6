//! `iota`: positions along an axis.

use cotangent_array::{Array, DType, Indices, Shape};

use super::axes::{filled, repeated};
use super::{Kinds, Operand, Rule, Values};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, type_error};

crate::op_struct! {
    /// The position of each element along one axis: 0, 1, 2, ... A position that an integer dtype
    /// cannot hold wraps; a float dtype rounds it.
    Iota = "iota" {
        /// The shape of the result.
        shape: Shape,
        /// The axis whose positions are counted.
        axis: usize = |_| 0,
        /// The dtype of the result, a float or an integer.
        dtype: DType = |_| DType::I64,
    }
}

impl Rule for Iota {
    const DERIVATIVE: &'static str = "none: there is no operand";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(0)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        if !args.is_empty() {
            type_error!("expected 0 operands, found {}", args.len());
        }
        if !Kinds::Number.contains(self.dtype) {
            type_error!("expected a float or an integer dtype, found {}", self.dtype);
        }
        if self.axis >= self.shape.rank() {
            type_error!(
                "expected an axis below {}, found {}",
                self.shape.rank(),
                self.axis
            );
        }
        Ok(TensorType::new(self.dtype, &self.shape))
    }

    fn eval(&self, _: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let mut positions = filled(out, 0_i64)?;
        let mut indices = Indices::new(&out.shape);
        for position in &mut positions {
            let index = indices.next_index().and_then(|index| index.get(self.axis));
            *position = index.map_or(0, |i| *i as i64);
        }
        Ok(Values::Int(positions).into_array(out)?)
    }

    fn jvp(&self, _: &mut Builder, _: &[Var], _: Var, _: &[Option<Var>]) -> Option<Var> {
        None
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, _: &[Var], _: &[bool], size: usize) -> Var {
        let x = b.push(self.clone(), &[]);
        repeated(b, x, size)
    }

    fn cost(&self, _: &[&TensorType], out: &TensorType) -> u64 {
        out.shape.elements() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::*;
    use super::super::{Attributed, Attributes, Value};
    use super::*;

    fn iota(shape: impl Into<Shape>, axis: usize, dtype: DType) -> Iota {
        Iota {
            shape: shape.into(),
            axis,
            dtype,
        }
    }

    #[test]
    fn counts_along_the_axis() {
        assert_eq!(
            apply(iota([3], 0, DType::I64), []),
            Array::from([0_i64, 1, 2])
        );
        let y = apply(iota([2, 3], 1, DType::F32), []);
        assert_eq!(y, Array::from([[0.0_f32, 1.0, 2.0], [0.0, 1.0, 2.0]]));
        let y = apply(iota([2, 3], 0, DType::U8), []);
        assert_eq!(y, Array::from([[0_u8, 0, 0], [1, 1, 1]]));
        assert!(apply(iota([0, 3], 1, DType::I32), []).is_empty());
    }

    #[test]
    fn small_integers_wrap() {
        let y = apply(iota([258], 0, DType::U8), []).to_vec::<u8>().unwrap();
        assert_eq!(y[254..], [254, 255, 0, 1]);
    }

    #[test]
    fn checks_axis_and_dtype() {
        assert_eq!(
            error(iota([2], 1, DType::I64), []),
            "expected an axis below 1, found 1"
        );
        assert_eq!(
            error(iota((), 0, DType::I64), []),
            "expected an axis below 0, found 0"
        );
        let found = error(iota([2], 0, DType::Bool), []);
        assert_eq!(found, "expected a float or an integer dtype, found bool");
        let huge = error(iota([usize::MAX, 2], 0, DType::I64), []);
        assert!(huge.contains("larger than memory"), "{huge}");
    }

    #[test]
    fn more_than_memory_is_an_error() {
        let found = fails(iota([1 << 60], 0, DType::U8), []);
        assert_eq!(
            found,
            "an array u8[1152921504606846976] does not fit in memory"
        );
    }

    #[test]
    fn defaults_are_axis_0_and_i64() {
        let shape = Value::List(vec![Value::Int(4)]);
        let read = Iota::from_attributes(Attributes(vec![("shape".into(), shape.clone())]), &[]);
        assert_eq!(read, Ok(iota([4], 0, DType::I64)));
        assert_eq!(iota([4], 0, DType::I64).attributes(&[]), [("shape", shape)]);
    }

    #[test]
    fn a_batch_repeats_it() {
        let mut b = Builder::new("batch");
        let y = iota([3], 0, DType::I64).batch(&mut b, &[], &[], 2);
        let y = crate::eval(&b.finish(&[y]).unwrap(), &[]).unwrap();
        assert_eq!(y, [Array::from([[0_i64, 1, 2], [0, 1, 2]])]);
    }
}
