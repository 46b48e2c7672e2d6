//! Whether operands and bodies of branches and loops fit, and the types of the results.

use cotangent_array::DType;

use super::{Cond, Scan, While, stacked, tuple};
use crate::{Callee, TensorType, Type, TypeError, type_error};

impl Cond {
    pub(super) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        let Some((condition, inputs)) = args.split_first() else {
            type_error!("expected a condition");
        };
        if **condition != TensorType::scalar(DType::Bool) {
            type_error!("expected a condition of type bool, found {condition}");
        }
        for (what, branch) in [("then", &self.then), ("otherwise", &self.otherwise)] {
            expect_inputs(what, branch, inputs.iter().map(|t| (*t).clone()))?;
        }
        let (a, b) = (self.then.0.output_types(), self.otherwise.0.output_types());
        if a != b {
            type_error!(
                "expected both branches to give the same types, found {} and {}",
                list(&a),
                list(&b)
            );
        }
        Ok(self.then.0.result_type())
    }
}

impl Scan {
    pub(super) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        let Some(shared) = self
            .carry
            .checked_add(self.scanned)
            .filter(|n| *n <= args.len())
        else {
            type_error!(
                "expected at least {} carried and {} scanned operands, found {}",
                self.carry,
                self.scanned,
                args.len()
            );
        };
        let mut inputs: Vec<TensorType> = Vec::with_capacity(args.len());
        for (i, t) in args.iter().enumerate() {
            if i < self.carry || i >= shared {
                inputs.push((*t).clone());
                continue;
            }
            match t.shape.dims().split_first() {
                Some((n, rest)) if *n == self.length => inputs.push(t.with_shape(rest)),
                _ => type_error!(
                    "expected scanned operands with a leading axis of length {}, found {t}",
                    self.length
                ),
            }
        }
        expect_inputs("body", &self.body, inputs.iter().cloned())?;
        let outputs = self.body.0.output_types();
        expect_carry(&inputs, &outputs, self.carry)?;
        let results: Vec<TensorType> = outputs
            .into_iter()
            .enumerate()
            .map(|(i, t)| {
                if i < self.carry {
                    t
                } else {
                    stacked(&t, self.length)
                }
            })
            .collect();
        for t in &results {
            t.check_size()?;
        }
        Ok(tuple(results))
    }
}

impl While {
    pub(super) fn infer(&self, args: &[&TensorType]) -> Result<Type, TypeError> {
        if self.carry > args.len() {
            type_error!(
                "expected at least {} carried operands, found {}",
                self.carry,
                args.len()
            );
        }
        let inputs: Vec<TensorType> = args.iter().map(|t| (*t).clone()).collect();
        expect_inputs("test", &self.test, inputs.iter().cloned())?;
        expect_inputs("body", &self.body, inputs.iter().cloned())?;
        expect_test(&self.test)?;
        let outputs = self.body.0.output_types();
        if outputs.len() != self.carry {
            type_error!(
                "expected a body with {} results, found {}",
                self.carry,
                outputs.len()
            );
        }
        expect_carry(&inputs, &outputs, self.carry)?;
        Ok(tuple(outputs))
    }
}

pub(super) fn expect_inputs(
    what: &str,
    callee: &Callee,
    found: impl ExactSizeIterator<Item = TensorType>,
) -> Result<(), TypeError> {
    let want = callee.0.input_types();
    if want.len() != found.len() {
        type_error!(
            "`{what}` takes {} inputs, found {}",
            want.len(),
            found.len()
        );
    }
    for (((name, _), want), found) in callee.0.inputs().iter().zip(want).zip(found) {
        if want != found {
            type_error!("input `{name}` of `{what}` is {want}, found {found}");
        }
    }
    Ok(())
}

pub(super) fn expect_carry(
    inputs: &[TensorType],
    outputs: &[TensorType],
    carry: usize,
) -> Result<(), TypeError> {
    if outputs.len() < carry {
        type_error!(
            "expected a body that gives {carry} carried values, found {}",
            outputs.len()
        );
    }
    for (i, (before, after)) in inputs.iter().zip(outputs).take(carry).enumerate() {
        if before != after {
            type_error!(
                "expected the body to keep the type of carried value {i}, {before}, found {after}"
            );
        }
    }
    Ok(())
}

pub(super) fn expect_test(test: &Callee) -> Result<(), TypeError> {
    let found = test.0.output_types();
    if found != [TensorType::scalar(DType::Bool)] {
        type_error!(
            "expected a test that gives one bool, found {}",
            list(&found)
        );
    }
    Ok(())
}

pub(super) fn list(types: &[TensorType]) -> String {
    let types: Vec<String> = types.iter().map(|t| t.to_string()).collect();
    format!("({})", types.join(", "))
}
