//! Indexing: by place and range, and by tensors of indices.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use cotangent_graph::ops::{Pad, Reverse, Slice};

use super::operand::scalar_as;
use super::{AxisIndex, Operand, OperandValue, Tensor, fail, one_dtype, push};
use crate::{Scalar, Shape};

/// What [`Tensor::at`] takes: one part for each axis, in a tuple; a single part stands for itself.
/// Axes without a part are taken whole.
pub trait Index {
    /// The parts.
    fn parts(&self) -> Vec<Part>;
}

/// The part of an index that belongs to one axis: a number (negative ones count from the end), a
/// range with ends of either sign, `..`, [`step`], [`NewAxis`] or [`Rest`].
pub trait IndexPart {
    /// The part as a value.
    fn part(&self) -> Part;
}

/// A part of an index as a value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Part {
    /// One place; the axis vanishes.
    At(i64),
    /// A range of places, every `step`-th of them; from its end for a negative step.
    Range {
        /// The first place, or the start of the axis.
        start: Option<i64>,
        /// The place after the last, or the end of the axis.
        end: Option<i64>,
        /// How far apart; not 0.
        step: i64,
    },
    /// A new axis of length 1.
    NewAxis,
    /// As many whole axes as are left (NumPy's `...`).
    Rest,
}

/// A new axis of length 1, in [`Tensor::at`].
#[derive(Clone, Copy, Debug)]
pub struct NewAxis;

/// As many whole axes as are left, in [`Tensor::at`] (NumPy's `...`).
#[derive(Clone, Copy, Debug)]
pub struct Rest;

/// See [`step`].
#[derive(Clone, Copy, Debug)]
pub struct Step<R>(R, i64);

/// Every `by`-th place of a range; a negative `by` goes from the end of the range to its start.
///
/// ```
/// use cotangent::{DType, Tensor, step};
/// let x = Tensor::arange(5, DType::I64);
/// assert_eq!(x.at(step(.., 2)).to_array()?, [0i64, 2, 4].into());
/// assert_eq!(x.at(step(1..4, -1)).to_array()?, [3i64, 2, 1].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
pub fn step<R: IndexPart>(range: R, by: i64) -> Step<R> {
    Step(range, by)
}

impl<T: AxisIndex> IndexPart for T {
    fn part(&self) -> Part {
        Part::At(self.to_i64())
    }
}

/// The places from `start` to before `end`, of which either may be negative: the same as
/// `start..end`, which clippy takes for a mistake where only the end is negative.
///
/// ```
/// use cotangent::{DType, Tensor, range};
/// let x = Tensor::arange(5, DType::I64);
/// assert_eq!(x.at(range(1, -1)).to_array()?, [1i64, 2, 3].into());
/// # Ok::<(), cotangent::Error>(())
/// ```
pub fn range(start: impl AxisIndex, end: impl AxisIndex) -> Part {
    places(Some(start.to_i64()), Some(end.to_i64()))
}

fn places(start: Option<i64>, end: Option<i64>) -> Part {
    Part::Range {
        start,
        end,
        step: 1,
    }
}

/// The end of a range that includes `last`: -1 is the end of the axis.
fn after(last: i64) -> Option<i64> {
    if last == -1 {
        None
    } else {
        last.checked_add(1)
    }
}

impl<T: AxisIndex> IndexPart for Range<T> {
    fn part(&self) -> Part {
        places(Some(self.start.to_i64()), Some(self.end.to_i64()))
    }
}

impl<T: AxisIndex> IndexPart for RangeInclusive<T> {
    fn part(&self) -> Part {
        places(Some(self.start().to_i64()), after(self.end().to_i64()))
    }
}

impl<T: AxisIndex> IndexPart for RangeFrom<T> {
    fn part(&self) -> Part {
        places(Some(self.start.to_i64()), None)
    }
}

impl<T: AxisIndex> IndexPart for RangeTo<T> {
    fn part(&self) -> Part {
        places(None, Some(self.end.to_i64()))
    }
}

impl<T: AxisIndex> IndexPart for RangeToInclusive<T> {
    fn part(&self) -> Part {
        places(None, after(self.end.to_i64()))
    }
}

impl IndexPart for RangeFull {
    fn part(&self) -> Part {
        places(None, None)
    }
}

impl<R: IndexPart> IndexPart for Step<R> {
    fn part(&self) -> Part {
        match self.0.part() {
            Part::Range { start, end, .. } => Part::Range {
                start,
                end,
                step: self.1,
            },
            other => other,
        }
    }
}

impl IndexPart for NewAxis {
    fn part(&self) -> Part {
        Part::NewAxis
    }
}

impl IndexPart for Rest {
    fn part(&self) -> Part {
        Part::Rest
    }
}

impl IndexPart for Part {
    fn part(&self) -> Part {
        *self
    }
}

impl<P: IndexPart> Index for P {
    fn parts(&self) -> Vec<Part> {
        vec![self.part()]
    }
}

impl Index for &[Part] {
    fn parts(&self) -> Vec<Part> {
        self.to_vec()
    }
}

macro_rules! tuples {
    ($($($T:ident $i:tt),*;)*) => {$(
        impl<$($T: IndexPart),*> Index for ($($T,)*) {
            fn parts(&self) -> Vec<Part> {
                vec![$(self.$i.part()),*]
            }
        }
    )*};
}

tuples! {
    ;
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

/// An index that fits a tensor: a slice, then axes to reverse, then a shape.
struct Region {
    start: Vec<usize>,
    limit: Vec<usize>,
    stride: Vec<usize>,
    reversed: Vec<usize>,
    /// The lengths of the slice.
    lengths: Vec<usize>,
    /// The shape of the result, without the axes at one place and with the new ones.
    shape: Vec<usize>,
}

/// Indexing.
impl Tensor {
    /// The elements at an index: a tuple with a part for each axis.
    ///
    /// A place or range outside of its axis is a recorded error.
    ///
    /// ```
    /// use cotangent::{DType, NewAxis, Tensor, range};
    /// let x = Tensor::arange(12, DType::I64).reshape([3, 4]);
    /// assert_eq!(x.at((1, ..)).to_array()?, [4i64, 5, 6, 7].into());
    /// assert_eq!(x.at((.., -1)).to_array()?, [3i64, 7, 11].into());
    /// assert_eq!(x.at((0..2, NewAxis, range(1, -1))).shape().dims(), [2, 1, 2]);
    /// assert_eq!(x.at((2, 3)).item::<i64>()?, 11);
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn at(&self, index: impl Index) -> Tensor {
        match Region::new(&index.parts(), self.shape()) {
            Ok(r) => {
                let mut x = self.clone();
                if r.lengths != self.shape().dims() {
                    x = push(
                        Slice {
                            start: r.start,
                            limit: r.limit,
                            stride: r.stride,
                        },
                        &[&x],
                    );
                }
                if !r.reversed.is_empty() {
                    x = push(Reverse { axes: r.reversed }, &[&x]);
                }
                x.reshape_to(&r.shape.into())
            }
            Err(message) => fail("at", &[self], message),
        }
    }

    /// This tensor with other values at an index; see [`at`](Tensor::at). The values broadcast.
    ///
    /// ```
    /// use cotangent::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// assert_eq!(x.set_at(1.., 0.0).to_array()?, [1.0, 0.0, 0.0].into());
    /// # Ok::<(), cotangent::Error>(())
    /// ```
    #[track_caller]
    pub fn set_at(&self, index: impl Index, values: impl Operand) -> Tensor {
        match self.placed("set_at", index, values) {
            Ok((mask, values)) => mask.select(values, self),
            Err(failed) => failed,
        }
    }

    /// This tensor with values added at an index; see [`at`](Tensor::at). The values broadcast.
    #[track_caller]
    pub fn add_at(&self, index: impl Index, values: impl Operand) -> Tensor {
        match self.placed("add_at", index, values) {
            Ok((_, values)) => self + values,
            Err(failed) => failed,
        }
    }

    /// Where an index points in this tensor's shape, and the values put there among zeros.
    #[track_caller]
    fn placed(
        &self,
        name: &str,
        index: impl Index,
        values: impl Operand,
    ) -> Result<(Tensor, Tensor), Tensor> {
        let r = match Region::new(&index.parts(), self.shape()) {
            Ok(r) => r,
            Err(message) => return Err(fail(name, &[self], message)),
        };
        let values = match values.operand() {
            OperandValue::Tensor(t) => t,
            OperandValue::Scalar(s) => match scalar_as(self.dtype(), s) {
                Ok(s) => Tensor::full((), s),
                Err(message) => return Err(fail(name, &[self], message)),
            },
        };
        one_dtype(name, &[self, &values])?;
        let mut values = values
            .broadcast_to(&r.shape[..])
            .reshape_to(&Shape::from(&r.lengths));
        if !r.reversed.is_empty() {
            values = push(
                Reverse {
                    axes: r.reversed.clone(),
                },
                &[&values],
            );
        }
        let high = r
            .lengths
            .iter()
            .zip(&r.stride)
            .zip(r.start.iter().zip(self.shape()))
            .map(|((n, s), (start, all))| {
                all.saturating_sub(start + n.saturating_sub(1) * s + usize::from(*n > 0))
            })
            .collect();
        let interior = r.stride.iter().map(|s| s.saturating_sub(1)).collect();
        let pad = Pad {
            low: r.start,
            high,
            interior,
        };
        let zero = Tensor::full((), Scalar::zero(self.dtype()));
        let no = Tensor::full((), false);
        let mask = push(pad.clone(), &[&Tensor::full(&r.lengths[..], true), &no]);
        Ok((mask, push(pad, &[&values, &zero])))
    }
}

impl Region {
    fn new(parts: &[Part], shape: &Shape) -> Result<Region, String> {
        let rank = shape.rank();
        let used = parts
            .iter()
            .filter(|p| matches!(p, Part::At(_) | Part::Range { .. }))
            .count();
        if used > rank {
            return Err(format!("expected at most {rank} parts, found {used}"));
        }
        if parts.iter().filter(|p| **p == Part::Rest).count() > 1 {
            return Err("expected `Rest` at most once".to_owned());
        }
        let mut region = Region {
            start: Vec::with_capacity(rank),
            limit: Vec::with_capacity(rank),
            stride: Vec::with_capacity(rank),
            reversed: Vec::new(),
            lengths: Vec::with_capacity(rank),
            shape: Vec::new(),
        };
        let whole = Part::Range {
            start: None,
            end: None,
            step: 1,
        };
        for part in parts {
            match part {
                Part::NewAxis => region.shape.push(1),
                Part::Rest => {
                    for _ in used..rank {
                        region.axis(whole, shape)?;
                    }
                }
                part => region.axis(*part, shape)?,
            }
        }
        while region.start.len() < rank {
            region.axis(whole, shape)?;
        }
        Ok(region)
    }

    /// Adds the part of the next axis.
    fn axis(&mut self, part: Part, shape: &Shape) -> Result<(), String> {
        let axis = self.start.len();
        let n = shape.get(axis).copied().unwrap_or(1);
        let length = i64::try_from(n).unwrap_or(i64::MAX);
        let place = |i: i64| if i < 0 { i.saturating_add(length) } else { i };
        let (start, end, step) = match part {
            Part::At(i) => {
                let at = place(i);
                if !(0..length).contains(&at) {
                    return Err(format!(
                        "expected a place within axis {axis} of length {n}, found {i}"
                    ));
                }
                (at, at + 1, 1)
            }
            Part::Range { start, end, step } => {
                let (a, b) = (start.map_or(0, place), end.map_or(length, place));
                if !(0 <= a && a <= b && b <= length) {
                    let text = |i: Option<i64>| i.map_or(String::new(), |i| i.to_string());
                    return Err(format!(
                        "expected a range within axis {axis} of length {n}, found {}..{}",
                        text(start),
                        text(end)
                    ));
                }
                (a, b, step)
            }
            _ => (0, length, 1),
        };
        if step == 0 {
            return Err("expected a step that is not 0".to_owned());
        }
        let by = i64::try_from(step.unsigned_abs()).unwrap_or(i64::MAX);
        let count = if end > start {
            (end - 1 - start) / by + 1
        } else {
            0
        };
        // Backwards, the last place of the range comes first.
        let first = if step < 0 && count > 0 {
            end - 1 - (count - 1) * by
        } else {
            start
        };
        let limit = if count > 0 {
            first + (count - 1) * by + 1
        } else {
            first
        };
        let size = |i: i64| usize::try_from(i).unwrap_or(0);
        self.start.push(size(first));
        self.limit.push(size(limit));
        self.stride.push(size(by.min(length.max(1))));
        self.lengths.push(size(count));
        if step < 0 && count > 1 {
            self.reversed.push(axis);
        }
        if !matches!(part, Part::At(_)) {
            self.shape.push(size(count));
        }
        Ok(())
    }
}
