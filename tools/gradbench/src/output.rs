//! Writes the outputs of evals.

use cotangent::{Array, Scalar};
use serde_json::Value;

/// A number for an array of rank 0, otherwise nested lists.
pub fn nested(array: Array) -> Value {
    let mut values: Vec<Value> = array.scalars().map(number).collect();
    let dims = array.shape().dims();
    if dims.is_empty() {
        return values.pop().unwrap_or_default();
    }
    // The innermost lists first. Lists of nothing are counted by the axes before them.
    for (axis, length) in dims.iter().enumerate().skip(1).rev() {
        let count: usize = dims.iter().take(axis).product();
        let mut rest = values.into_iter();
        values = (0..count)
            .map(|_| rest.by_ref().take(*length).collect())
            .collect();
    }
    Value::Array(values)
}

/// The first numbers of an array and the last one.
pub fn ends(array: &Array, count: usize) -> Value {
    let last = array.len().checked_sub(1);
    (0..count)
        .chain(last)
        .filter_map(|i| array.at(i).map(number))
        .collect()
}

fn number(x: Scalar) -> Value {
    match x.dtype().is_int() {
        true => x.to_i64().into(),
        false => x.to_f64().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::nested;
    use cotangent::{Array, DType};
    use serde_json::json;

    #[test]
    fn lists_nest_like_axes() {
        assert_eq!(nested(Array::from(1.5)), json!(1.5));
        assert_eq!(nested([[1i64, 2], [3, 4]].into()), json!([[1, 2], [3, 4]]));
        let none = Array::zeros(DType::F64, [2, 0]).unwrap();
        assert_eq!(nested(none), json!([[], []]));
        let none = Array::zeros(DType::F64, [0, 2]).unwrap();
        assert_eq!(nested(none), json!([]));
    }
}
