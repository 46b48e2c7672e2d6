//! Products of matrices and of anything with more axes.

use cotangent_graph::Op;
use cotangent_graph::ops::{Binary, Dot};

use super::axes::{index, ordered};
use super::operand::binary;
use super::{AxisIndex, Integers, Tensor, fail, one_dtype, push, spread};
use crate::Shape;

/// Products.
impl Tensor {
    /// NumPy's `dot`: the inner product of vectors, the product of matrices; in general the sum
    /// over the last axis of this and the last but one of `other` (or its only one).
    #[track_caller]
    pub fn dot(&self, other: &Tensor) -> Tensor {
        if self.rank() == 0 || other.rank() == 0 {
            return self * other;
        }
        contract(
            "dot",
            self,
            other,
            (vec![self.rank() - 1], vec![other.rank().saturating_sub(2)]),
            (Vec::new(), Vec::new()),
        )
    }

    /// NumPy's `matmul`: the product of matrices, with a vector on the left as a row and on the
    /// right as a column; leading axes are batches, which broadcast.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let w = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let x = Tensor::from([1.0, 1.0]);
    /// assert_eq!(w.matmul(&x).to_array()?, [3.0, 7.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        let (p, q) = (self.rank(), other.rank());
        let none = (Vec::new(), Vec::new());
        if p == 0 || q == 0 {
            return fail(
                "matmul",
                &[self, other],
                "expected vectors or matrices, found a scalar",
            );
        }
        // The last axis of the left meets the last but one of the right, or its only one.
        let contracted = (vec![p - 1], vec![q.saturating_sub(2)]);
        if p == 1 || q <= 2 {
            return contract("matmul", self, other, contracted, none);
        }
        if p == 2 {
            let product = contract("matmul", self, other, contracted, none);
            return product.moveaxis(0, -2);
        }
        let lead = (&self.shape()[..p - 2], &other.shape()[..q - 2]);
        let Ok(batch) = Shape::broadcast(lead.0, lead.1) else {
            let message = format!(
                "expected batches that broadcast, found {} and {}",
                Shape::from(lead.0),
                Shape::from(lead.1)
            );
            return fail("matmul", &[self, other], message);
        };
        let full = |t: &Tensor| {
            batch
                .iter()
                .copied()
                .chain([t.dim(-2), t.dim(-1)])
                .collect::<Shape>()
        };
        let (x, y) = (spread(self, &full(self)), spread(other, &full(other)));
        let r = batch.rank();
        let axes: Vec<usize> = (0..r).collect();
        contract(
            "matmul",
            &x,
            &y,
            (vec![r + 1], vec![r]),
            (axes.clone(), axes),
        )
    }

    /// The sum of products over pairs of axes: `axes[i]` of this and `other_axes[i]` of `other`.
    /// The result has the other axes of this, then those of `other`.
    #[track_caller]
    pub fn tensordot(
        &self,
        other: &Tensor,
        axes: impl Integers,
        other_axes: impl Integers,
    ) -> Tensor {
        let both = ordered(&axes.integers(), self.rank())
            .and_then(|a| Ok((a, ordered(&other_axes.integers(), other.rank())?)));
        match both {
            Ok(contracted) => contract(
                "tensordot",
                self,
                other,
                contracted,
                (Vec::new(), Vec::new()),
            ),
            Err(message) => fail("tensordot", &[self, other], message),
        }
    }

    /// The sum of products over the last axes of both.
    #[track_caller]
    pub fn inner(&self, other: &Tensor) -> Tensor {
        if self.rank() == 0 || other.rank() == 0 {
            return self * other;
        }
        let last = (vec![self.rank() - 1], vec![other.rank() - 1]);
        contract("inner", self, other, last, (Vec::new(), Vec::new()))
    }

    /// The sum of products of all elements in row-major order.
    #[track_caller]
    pub fn vdot(&self, other: &Tensor) -> Tensor {
        let (x, y) = (self.ravel(), other.ravel());
        contract("vdot", &x, &y, (vec![0], vec![0]), (Vec::new(), Vec::new()))
    }

    /// The products of every element of this with every element of `other`: a matrix.
    #[track_caller]
    pub fn outer(&self, other: &Tensor) -> Tensor {
        self.ravel().expand_dims(1) * other.ravel().expand_dims(0)
    }

    /// The Kronecker product: a copy of `other` for each element of this, times that element.
    #[track_caller]
    pub fn kron(&self, other: &Tensor) -> Tensor {
        let rank = self.rank().max(other.rank());
        let aligned = |t: &Tensor| {
            let mut dims = vec![1; rank - t.rank()];
            dims.extend_from_slice(t.shape());
            dims
        };
        let (a, b) = (aligned(self), aligned(other));
        let pairs = |own: &[usize], first: bool| -> Shape {
            own.iter()
                .flat_map(|n| if first { [*n, 1] } else { [1, *n] })
                .collect()
        };
        let x = self.reshape_to(&pairs(&a, true));
        let y = other.reshape_to(&pairs(&b, false));
        let shape = a
            .iter()
            .zip(&b)
            .map(|(n, m)| n.saturating_mul(*m))
            .collect();
        (x * y).reshape_to(&shape)
    }

    /// The cross product of vectors of length 3 along an axis; the other axes broadcast.
    #[track_caller]
    pub fn cross(&self, other: &Tensor, axis: impl AxisIndex) -> Tensor {
        let axes = index(axis.to_i64(), self.rank())
            .and_then(|a| Ok((a, index(axis.to_i64(), other.rank())?)));
        let (a, b) = match axes {
            Ok(axes) => axes,
            Err(message) => return fail("cross", &[self, other], message),
        };
        if self.dim(a) != 3 || other.dim(b) != 3 {
            return fail("cross", &[self, other], "expected vectors of length 3");
        }
        let (x1, x2) = (self.roll(-1, a), self.roll(-2, a));
        let (y1, y2) = (other.roll(-1, b), other.roll(-2, b));
        x1 * y2 - x2 * y1
    }

    /// All windows of `size` neighbours along an axis, `step` apart, as a new last axis.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([1, 2, 3, 4]);
    /// assert_eq!(x.windows(0, 2, 1).to_array()?, [[1, 2], [2, 3], [3, 4]].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[doc(alias = "unfold")]
    #[track_caller]
    pub fn windows(&self, axis: impl AxisIndex, size: usize, step: usize) -> Tensor {
        let axis = match index(axis.to_i64(), self.rank()) {
            Ok(axis) => axis,
            Err(message) => return fail("windows", &[self], message),
        };
        let n = self.dim(axis);
        if size > n || step == 0 {
            let message =
                format!("expected a size up to {n} and a step above 0, found {size}, {step}");
            return fail("windows", &[self], message);
        }
        let count = (n - size) / step + 1;
        let places: Vec<i64> = (0..count)
            .flat_map(|w| (0..size).map(move |i| (w * step + i) as i64))
            .collect();
        match crate::Array::new([count, size], places) {
            Ok(places) => self.take(places, axis).moveaxis(axis + 1, -1),
            Err(e) => fail("windows", &[self], e.to_string()),
        }
    }
}

/// Einstein's sum of products, as in NumPy: letters name axes, axes of one letter are multiplied
/// along, and letters that the result does not have are summed over. `...` stands for any axes,
/// which broadcast. Without `->` the result has the letters that occur once, in alphabetical order.
///
/// ```
/// use cotangent::{Tensor, einsum};
/// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let x = Tensor::from([1.0, 10.0]);
/// assert_eq!(einsum("ij,j->i", [&a, &x]).to_array()?, [21.0, 43.0].into());
/// assert_eq!(einsum("ii", [&a]).item::<f64>()?, 5.0);
/// # Ok::<(), cotangent::Error>(())
/// ```
#[track_caller]
pub fn einsum<T: std::borrow::Borrow<Tensor>>(
    formula: &str,
    operands: impl IntoIterator<Item = T>,
) -> Tensor {
    let operands: Vec<Tensor> = operands.into_iter().map(|t| t.borrow().clone()).collect();
    let refs: Vec<&Tensor> = operands.iter().collect();
    if let Err(failed) = one_dtype("einsum", &refs) {
        return failed;
    }
    let sum = match Einsum::parse(formula, &operands) {
        Ok(sum) => sum,
        Err(message) => return fail("einsum", &refs, format!("`{formula}`: {message}")),
    };
    let mut terms = Vec::with_capacity(operands.len());
    for (i, (tensor, labels)) in operands.into_iter().zip(&sum.inputs).enumerate() {
        let elsewhere = |l: &Label| {
            sum.output.contains(l)
                || sum
                    .inputs
                    .iter()
                    .enumerate()
                    .any(|(j, other)| j != i && other.contains(l))
        };
        let term = Term {
            tensor,
            labels: labels.clone(),
        };
        terms.push(
            term.diagonals()
                .without_ones(&sum.lengths)
                .sum_unless(elsewhere),
        );
    }
    let mut terms = terms.into_iter();
    let Some(mut product) = terms.next() else {
        return fail("einsum", &[], "expected one tensor or more, found none");
    };
    while let Some(next) = terms.next() {
        let rest = terms.as_slice();
        let needed =
            |l: &Label| sum.output.contains(l) || rest.iter().any(|t| t.labels.contains(l));
        product = product.times(&next, needed);
    }
    let order = sum
        .output
        .iter()
        .filter_map(|l| product.labels.iter().position(|p| p == l));
    product.tensor.permute_to(order.collect())
}

/// An axis in a formula: a letter, or an axis of `...` counted from the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    Letter(char),
    Other(usize),
}

struct Einsum {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
    lengths: Vec<(Label, usize)>,
}

impl Einsum {
    fn parse(formula: &str, operands: &[Tensor]) -> Result<Einsum, String> {
        let clean: String = formula.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match clean.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (&clean[..], None),
        };
        let texts: Vec<&str> = left.split(',').collect();
        if texts.len() != operands.len() {
            return Err(format!(
                "expected {} operands, found {}",
                texts.len(),
                operands.len()
            ));
        }
        let mut sum = Einsum {
            inputs: Vec::new(),
            output: Vec::new(),
            lengths: Vec::new(),
        };
        let mut others = 0;
        for (text, tensor) in texts.iter().zip(operands) {
            let letters = text.replacen("...", "", 1).chars().count();
            let dots = text.contains("...");
            let extra = match tensor.rank().checked_sub(letters) {
                Some(extra) if dots || extra == 0 => extra,
                _ => {
                    return Err(format!(
                        "expected {letters} axes for `{text}`, found {}",
                        tensor.ty()
                    ));
                }
            };
            others = others.max(extra);
            let labels = labels(text, extra)?;
            for (label, n) in labels.iter().zip(tensor.shape().iter()) {
                sum.add_length(*label, *n)?;
            }
            for (i, label) in labels.iter().enumerate() {
                let twin = labels.iter().position(|l| l == label).unwrap_or(i);
                if tensor.dim(twin) != tensor.dim(i) {
                    return Err(format!("expected one length for both axes of `{text}`"));
                }
            }
            sum.inputs.push(labels);
        }
        sum.output = match right {
            Some(text) => {
                let output = labels(text, others)?;
                if others > 0 && !text.contains("...") {
                    return Err("expected `...` in the result too".to_owned());
                }
                for (i, label) in output.iter().enumerate() {
                    if output[..i].contains(label) {
                        return Err(format!("expected each letter of `{text}` once"));
                    }
                    if !sum.lengths.iter().any(|(l, _)| l == label) {
                        return Err(format!("expected letters of the operands, found `{text}`"));
                    }
                }
                output
            }
            None => {
                let all = sum.inputs.iter().flatten();
                let mut once: Vec<char> = all
                    .clone()
                    .filter_map(|l| match l {
                        Label::Letter(c) if all.clone().filter(|o| *o == l).count() == 1 => {
                            Some(*c)
                        }
                        _ => None,
                    })
                    .collect();
                once.sort_unstable();
                let other = (0..others).rev().map(Label::Other);
                other.chain(once.into_iter().map(Label::Letter)).collect()
            }
        };
        Ok(sum)
    }

    fn add_length(&mut self, label: Label, n: usize) -> Result<(), String> {
        match self.lengths.iter_mut().find(|(l, _)| *l == label) {
            None => self.lengths.push((label, n)),
            Some((_, known)) if *known == n || n == 1 => {}
            Some((_, known)) if *known == 1 => *known = n,
            Some((_, known)) => {
                let axis = match label {
                    Label::Letter(c) => c.to_string(),
                    Label::Other(_) => "...".to_owned(),
                };
                return Err(format!(
                    "expected one length for axis `{axis}`, found {known} and {n}"
                ));
            }
        }
        Ok(())
    }
}

/// The labels of one part of a formula, in which `...` stands for `extra` axes.
fn labels(text: &str, extra: usize) -> Result<Vec<Label>, String> {
    let letters = |part: &str| {
        part.chars()
            .map(|c| match c.is_alphabetic() {
                true => Ok(Label::Letter(c)),
                false => Err(format!(
                    "expected letters, `...`, `,` and `->`, found `{c}`"
                )),
            })
            .collect::<Result<Vec<_>, _>>()
    };
    match text.split_once("...") {
        None => letters(text),
        Some((before, after)) => {
            let mut all = letters(before)?;
            all.extend((0..extra).rev().map(Label::Other));
            all.extend(letters(after)?);
            Ok(all)
        }
    }
}

/// A tensor whose axes have labels.
struct Term {
    tensor: Tensor,
    labels: Vec<Label>,
}

impl Term {
    /// Axes of one label become their diagonal.
    #[track_caller]
    fn diagonals(mut self) -> Term {
        let mut i = 0;
        while i < self.labels.len() {
            let label = self.labels[i];
            match self.labels[i + 1..].iter().position(|l| *l == label) {
                None => i += 1,
                Some(offset) => {
                    let j = i + 1 + offset;
                    self.tensor = self.tensor.diagonal(0, i, j);
                    self.labels.remove(j);
                    self.labels.remove(i);
                    self.labels.push(label);
                }
            }
        }
        self
    }

    /// Without axes of length 1 whose label is longer elsewhere: they repeat in the product.
    #[track_caller]
    fn without_ones(self, lengths: &[(Label, usize)]) -> Term {
        let drop: Vec<usize> = (0..self.labels.len())
            .filter(|i| {
                self.tensor.dim(*i) == 1
                    && lengths
                        .iter()
                        .any(|(l, n)| *l == self.labels[*i] && *n != 1)
            })
            .collect();
        let labels = kept(&self.labels, &drop);
        Term {
            tensor: self.tensor.squeeze(drop),
            labels,
        }
    }

    /// Sums over the axes that nothing else has.
    #[track_caller]
    fn sum_unless(self, needed: impl Fn(&Label) -> bool) -> Term {
        let gone: Vec<usize> = (0..self.labels.len())
            .filter(|i| !needed(&self.labels[*i]))
            .collect();
        let labels = kept(&self.labels, &gone);
        Term {
            tensor: self.tensor.sum(gone),
            labels,
        }
    }

    /// The product, summed over the shared axes that are not needed any more.
    #[track_caller]
    fn times(&self, other: &Term, needed: impl Fn(&Label) -> bool) -> Term {
        let shared: Vec<Label> = self
            .labels
            .iter()
            .copied()
            .filter(|l| other.labels.contains(l))
            .collect();
        let (batch, gone): (Vec<Label>, Vec<Label>) = shared.iter().partition(|l| needed(l));
        let own = |term: &Term| -> Vec<Label> {
            term.labels
                .iter()
                .copied()
                .filter(|l| !shared.contains(l))
                .collect()
        };
        let labels: Vec<Label> = batch
            .iter()
            .copied()
            .chain(own(self))
            .chain(own(other))
            .collect();
        let tensor = if gone.is_empty() {
            let (x, y) = (self.aligned(&labels), other.aligned(&labels));
            binary(Binary::Mul, x, y)
        } else {
            let places = |term: &Term, of: &[Label]| -> Vec<usize> {
                of.iter()
                    .filter_map(|l| term.labels.iter().position(|p| p == l))
                    .collect()
            };
            contract(
                "einsum",
                &self.tensor,
                &other.tensor,
                (places(self, &gone), places(other, &gone)),
                (places(self, &batch), places(other, &batch)),
            )
        };
        Term { tensor, labels }
    }

    /// The tensor with its axes in this order, and axes of length 1 for labels that it lacks.
    #[track_caller]
    fn aligned(&self, labels: &[Label]) -> Tensor {
        let places = labels
            .iter()
            .map(|l| self.labels.iter().position(|p| p == l));
        let order: Vec<usize> = places.clone().flatten().collect();
        let shape = places
            .map(|p| p.map_or(1, |p| self.tensor.dim(p)))
            .collect();
        self.tensor.permute_to(order).reshape_to(&shape)
    }
}

fn kept(labels: &[Label], gone: &[usize]) -> Vec<Label> {
    labels
        .iter()
        .enumerate()
        .filter(|(i, _)| !gone.contains(i))
        .map(|(_, l)| *l)
        .collect()
}

/// The product of two tensors over pairs of axes, checked first so that the error names what the
/// user wrote.
#[track_caller]
fn contract(
    name: &str,
    x: &Tensor,
    y: &Tensor,
    contract: (Vec<usize>, Vec<usize>),
    batch: (Vec<usize>, Vec<usize>),
) -> Tensor {
    if let Err(failed) = one_dtype(name, &[x, y]) {
        return failed;
    }
    let lengths = |t: &Tensor, axes: &[usize]| axes.iter().map(|a| t.dim(*a)).collect::<Vec<_>>();
    let (a, b) = (lengths(x, &contract.0), lengths(y, &contract.1));
    if a != b {
        let message = format!(
            "expected axes of one length to sum over, found {} and {}",
            Shape::from(a),
            Shape::from(b)
        );
        return fail(name, &[x, y], message);
    }
    push(Op::from(Dot { contract, batch }), &[x, y])
}
