//! A case as text.

use cotangent_array::Array;
use cotangent_graph::print;

use crate::random::Case;

/// A case as text: the graph as .ct, each input as NAME = nested brackets, and the seed.
pub fn describe(case: &Case) -> String {
    let mut text = print(&case.graph);
    text.push_str("// inputs, as for `cotangent run --in NAME=VALUE`:\n");
    for ((name, _), array) in case.graph.inputs().iter().zip(&case.inputs) {
        text.push_str(&format!("//   {name} = {}\n", brackets(array)));
    }
    text.push_str(&format!("// seed {:#018x}\n", case.seed));
    text
}

/// An array as nested brackets with every digit.
pub fn brackets(a: &Array) -> String {
    fn write(a: &Array, axis: usize, at: &mut usize, text: &mut String) {
        match a.shape().dims().get(axis) {
            None => {
                text.push_str(&a.at(*at).map(|s| s.to_string()).unwrap_or_default());
                *at += 1;
            }
            Some(n) => {
                text.push('[');
                for i in 0..*n {
                    if i > 0 {
                        text.push_str(", ");
                    }
                    write(a, axis + 1, at, text);
                }
                text.push(']');
            }
        }
    }
    let mut text = String::new();
    write(a, 0, &mut 0, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use cotangent_array::DType;

    use super::*;

    #[test]
    fn writes_values_with_every_digit() {
        let a = Array::new([2, 1], vec![0.1_f32, -0.0]).unwrap();
        assert_eq!(brackets(&a), "[[0.1], [-0.0]]");
        assert_eq!(brackets(&Array::scalar(true)), "true");
        assert_eq!(
            brackets(&Array::zeros(DType::F64, [2, 0]).unwrap()),
            "[[], []]"
        );
    }
}
