//! What branches and loops do with values between their bodies.

use cotangent_array::Array;

use super::{Region, Scan, stacked};
use crate::{Callee, EvalError, TensorType};

/// Evaluates a body on values.
pub type RunBody<'a, V, E> = dyn FnMut(&Callee, &[V]) -> Result<Vec<V>, E> + 'a;

/// What branches and loops do with values between their bodies: arrays, or arrays with more known
/// about them.
pub trait RegionValue: Clone {
    /// The array.
    fn array(&self) -> &Array;

    /// Slice `i` along the leading axis, without that axis.
    ///
    /// # Errors
    /// A slice that is not there.
    fn slice(&self, i: usize) -> Result<Self, EvalError>;

    /// Slices of type `ty` side by side along a new leading axis.
    ///
    /// # Errors
    /// Slices of other types.
    fn stack(slices: &[&Self], ty: &TensorType) -> Result<Self, EvalError>;
}

impl RegionValue for Array {
    fn array(&self) -> &Array {
        self
    }

    fn slice(&self, i: usize) -> Result<Array, EvalError> {
        let row = self.select_rows(&[i])?;
        let shape = row.shape().dims().get(1..).unwrap_or_default().to_vec();
        Ok(row.reshape(shape)?)
    }

    fn stack(slices: &[&Array], ty: &TensorType) -> Result<Array, EvalError> {
        let shape = stacked(ty, slices.len()).shape;
        let elements: Vec<_> = slices.iter().flat_map(|s| s.scalars()).collect();
        Ok(Array::from_scalars(ty.dtype, shape, elements)?)
    }
}

/// Whether a test holds.
pub(super) fn holds<V: RegionValue>(results: &[V]) -> Result<bool, EvalError> {
    Ok(results
        .first()
        .map_or(Ok(false), |test| test.array().item::<bool>())?)
}

impl Region {
    /// The meaning, with `run` to evaluate a body.
    ///
    /// # Errors
    /// Those of the bodies, and a region that cannot be run.
    pub fn eval<V: RegionValue, E: From<EvalError>>(
        &self,
        args: &[V],
        run: &mut RunBody<'_, V, E>,
    ) -> Result<Vec<V>, E> {
        match self {
            Region::Cond(c) => {
                let Some((condition, inputs)) = args.split_first() else {
                    return Ok(Vec::new());
                };
                run(
                    if holds(std::slice::from_ref(condition))? {
                        &c.then
                    } else {
                        &c.otherwise
                    },
                    inputs,
                )
            }
            Region::Scan(s) => s.eval(args, run),
            Region::Sweeps(s) => s.eval(args, run),
            Region::Custom(c) => run(&c.call, args),
            Region::Pullback(p) => Err(E::from(EvalError::NoForward {
                rule: p.rule.0.name().to_owned(),
            })),
            Region::While(w) => {
                let mut state = args.to_vec();
                loop {
                    let test = run(&w.test, &state)?;
                    if !holds(&test)? {
                        state.truncate(w.carry);
                        return Ok(state);
                    }
                    let next = run(&w.body, &state)?;
                    for (old, new) in state.iter_mut().zip(next) {
                        *old = new;
                    }
                }
            }
        }
    }
}

impl Scan {
    fn eval<V: RegionValue, E: From<EvalError>>(
        &self,
        args: &[V],
        run: &mut RunBody<'_, V, E>,
    ) -> Result<Vec<V>, E> {
        let outputs = self.body.0.output_types();
        let mut state: Vec<V> = args.iter().take(self.carry).cloned().collect();
        let scanned = args
            .get(self.carry..self.carry + self.scanned)
            .unwrap_or_default();
        let shared = args.get(self.carry + self.scanned..).unwrap_or_default();
        let mut slices: Vec<Vec<V>> = Vec::with_capacity(self.length.min(1 << 20));
        for k in 0..self.length {
            let i = if self.reverse { self.length - 1 - k } else { k };
            let mut inputs = state;
            for x in scanned {
                inputs.push(x.slice(i)?);
            }
            inputs.extend(shared.iter().cloned());
            state = run(&self.body, &inputs)?;
            slices.push(state.split_off(self.carry.min(state.len())));
        }
        if self.reverse {
            slices.reverse();
        }
        for (k, t) in outputs.iter().enumerate().skip(self.carry) {
            let column: Vec<&V> = slices
                .iter()
                .filter_map(|s| s.get(k - self.carry))
                .collect();
            state.push(V::stack(&column, t)?);
        }
        Ok(state)
    }
}
