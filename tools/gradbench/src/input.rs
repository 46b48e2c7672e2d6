//! Reads the inputs of evals.

use cotangent::Array;
use serde_json::Value;

use crate::eval::EvalError;

/// No size that an eval gives as a number may be larger: arrays are made of them.
const LARGEST: usize = 1 << 28;

/// The `input` of an `evaluate` message.
pub struct Input<'a> {
    value: &'a Value,
    /// Run at least so often.
    pub min_runs: u64,
    /// Run at least so long.
    pub min_seconds: f64,
}

impl<'a> Input<'a> {
    /// The input and how often to run; once where it does not say.
    pub fn new(value: &'a Value) -> Result<Input<'a>, EvalError> {
        let (runs, seconds) = (&value["min_runs"], &value["min_seconds"]);
        let min_runs = match runs {
            Value::Null => 1,
            _ => runs
                .as_u64()
                .ok_or_else(|| EvalError::input("min_runs", "a whole number", runs))?,
        };
        let min_seconds = match seconds {
            Value::Null => 0.0,
            _ => seconds
                .as_f64()
                .ok_or_else(|| EvalError::input("min_seconds", "a number", seconds))?,
        };
        Ok(Input {
            value,
            min_runs,
            min_seconds,
        })
    }

    /// The input where it is one number.
    pub fn itself(&self) -> Result<Array, EvalError> {
        array("input", self.value)
    }

    /// A part of the input as an input.
    pub fn part(&self, field: &str) -> Input<'a> {
        Input {
            value: &self.value[field],
            ..*self
        }
    }

    /// A number, or nested lists of numbers, as an array of f64.
    pub fn floats(&self, field: &str) -> Result<Array, EvalError> {
        array(field, &self.value[field])
    }

    /// Nested lists of whole numbers as an array of i64.
    pub fn integers(&self, field: &str) -> Result<Array, EvalError> {
        let floats = self.floats(field)?;
        let whole = floats.to_f64s().iter().all(|x| x.trunc() == *x);
        match whole {
            true => Ok(floats.convert(cotangent::DType::I64)),
            false => {
                let found = &self.value[field];
                Err(EvalError::input(field, "whole numbers", found))
            }
        }
    }

    /// Floats of a given rank.
    pub fn floats_of_rank(&self, field: &str, rank: usize) -> Result<Array, EvalError> {
        let array = self.floats(field)?;
        match array.rank() == rank {
            true => Ok(array),
            false => {
                let expected = format!("numbers in lists nested {rank} deep");
                Err(EvalError::input(field, expected, &self.value[field]))
            }
        }
    }

    /// A list of whole numbers.
    pub fn list(&self, field: &str) -> Result<Vec<i64>, EvalError> {
        Ok(self.integers(field)?.to_vec()?)
    }

    /// A size: a whole number that is not negative.
    pub fn size(&self, field: &str) -> Result<usize, EvalError> {
        let found = &self.value[field];
        let size = found.as_u64().and_then(|n| usize::try_from(n).ok());
        size.filter(|n| *n <= LARGEST).ok_or_else(|| {
            let expected = format!("a whole number from 0 to {LARGEST}");
            EvalError::input(field, expected, found)
        })
    }

    /// A size that is not 0.
    pub fn positive(&self, field: &str) -> Result<usize, EvalError> {
        match self.size(field)? {
            0 => Err(EvalError::input(
                field,
                "a positive number",
                &self.value[field],
            )),
            n => Ok(n),
        }
    }

    /// Yes or no.
    pub fn flag(&self, field: &str) -> Result<bool, EvalError> {
        let found = &self.value[field];
        found
            .as_bool()
            .ok_or_else(|| EvalError::input(field, "true or false", found))
    }

    /// The error that a field is not what was expected.
    pub fn unexpected(&self, field: &str, expected: impl Into<String>) -> EvalError {
        EvalError::input(field, expected, &self.value[field])
    }
}

/// The JSON parser limits the depth, so this may look at one list inside another by recursion.
fn array(field: &str, value: &Value) -> Result<Array, EvalError> {
    let mut shape = Vec::new();
    let mut inner = value;
    while let Value::Array(list) = inner {
        shape.push(list.len());
        match list.first() {
            Some(first) => inner = first,
            None => break,
        }
    }
    let mut numbers = Vec::new();
    collect(field, value, &shape, &mut numbers)?;
    Ok(Array::new(shape, numbers)?)
}

fn collect(
    field: &str,
    value: &Value,
    shape: &[usize],
    numbers: &mut Vec<f64>,
) -> Result<(), EvalError> {
    match (value, shape) {
        (Value::Array(list), [length, rest @ ..]) if list.len() == *length => list
            .iter()
            .try_for_each(|v| collect(field, v, rest, numbers)),
        (Value::Number(n), []) => {
            numbers.push(n.as_f64().unwrap_or(f64::NAN));
            Ok(())
        }
        (found, []) => Err(EvalError::input(field, "a number", found)),
        (found, [length, ..]) => Err(EvalError::input(
            field,
            format!("a list of length {length}"),
            found,
        )),
    }
}
