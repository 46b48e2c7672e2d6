//! Which elements are expected to be one number, such as zero, outside of a band.

use cotangent_array::{Array, Scalar, Shape};
use cotangent_graph::ops::{ArrayOp, Binary, Linalg, Ternary};
use cotangent_graph::{Equation, Graph, Op, Var, eval_scalars};
use smallvec::SmallVec;

use super::band::{Axes, Band};
use super::positions::compared;

/// What the elements outside of a band are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outside {
    axes: Axes,
    band: Band,
    value: Scalar,
    /// Whether they are for certain, whatever the inputs of the graph are.
    certain: bool,
}

/// For each variable what it is outside of bands, one for each value.
pub(super) struct Zeros<'a> {
    graph: &'a Graph,
    known: Vec<SmallVec<[Outside; 2]>>,
    found: bool,
}

/// An operand of a pointwise operation at a place.
#[derive(Clone, Copy)]
enum Element {
    /// A number that stands everywhere.
    Number(Scalar),
    /// Outside of a band.
    Outside(Outside),
    Unknown,
}

/// For so many numbers a variable's bands are kept: what is computed of variables with several has one for every
/// pair of them, or for every three.
const MOST_NUMBERS: usize = 4;
/// Constants of more elements are not looked at.
const LOOKED_AT: usize = 1 << 18;

impl Zeros<'_> {
    pub(super) fn of(graph: &Graph) -> Zeros<'_> {
        let mut zeros = Zeros {
            graph,
            known: Vec::with_capacity(graph.equations().len()),
            found: false,
        };
        for (_, e) in graph.iter() {
            let own = zeros.equation(e).unwrap_or_default();
            zeros.found |= !own.is_empty();
            zeros.known.push(own);
        }
        zeros
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.found
    }

    /// The band outside of which a variable is expected to be zero.
    pub(super) fn band(&self, v: Var, axes: Axes) -> Option<Band> {
        let zero = |o: &Outside| o.value.to_f64() == 0.0;
        self.of_axes(v, axes).find(zero).map(|o| o.band)
    }

    /// The band outside of which a variable is this number for certain.
    pub(super) fn certain(&self, v: Var, value: impl Fn(Scalar) -> bool) -> Option<(Axes, Band)> {
        let mut known = self.known.get(v.index())?.iter();
        let certain = known.find(|o| o.certain && value(o.value))?;
        Some((certain.axes, certain.band))
    }

    /// What is known along these axes, whichever is called that of the rows.
    fn of_axes(&self, v: Var, axes: Axes) -> impl Iterator<Item = Outside> {
        let known = self.known.get(v.index()).into_iter().flatten();
        known.filter_map(move |o| o.along(axes))
    }

    fn equation(&self, e: &Equation) -> Option<SmallVec<[Outside; 2]>> {
        let ty = e.ty.tensor()?;
        let rank = ty.rank();
        if rank < 2 || e.op.splat().is_some() {
            return None;
        }
        let first = e.args.first().copied();
        let moved = |to: &dyn Fn(usize) -> Option<usize>| {
            let known = self.known.get(first?.index())?;
            Some(known.iter().filter_map(|o| o.moved(to)).collect())
        };
        let shape = |v: Option<Var>| Some(&self.graph.ty(v?).tensor()?.shape);
        match &e.op {
            Op::Constant(array) => Some(of_constant(array)),
            Op::Compare(op) => {
                let [x, y] = e.args[..] else { return None };
                let Some((axes, band)) = compared(self.graph, *op, x, y) else {
                    return self.pointwise(e);
                };
                let mut found = SmallVec::new();
                let outside = |value: bool, band: Band| Outside {
                    axes,
                    band,
                    value: Scalar::Bool(value),
                    certain: true,
                };
                found.push(outside(false, band));
                match (band.low, band.high) {
                    (i64::MIN, high) => found.push(outside(
                        true,
                        Band {
                            low: high + 1,
                            ..Band::ALL
                        },
                    )),
                    (low, i64::MAX) => found.push(outside(
                        true,
                        Band {
                            high: low - 1,
                            ..Band::ALL
                        },
                    )),
                    _ => {}
                }
                Some(found)
            }
            op if op.is_pointwise() => self.pointwise(e),
            Op::Array(ArrayOp::Transpose(op)) => {
                moved(&|axis| op.axes.iter().position(|from| *from == axis))
            }
            Op::Array(ArrayOp::Broadcast(op)) => {
                let from = shape(first)?;
                moved(&|axis| {
                    let to = *op.dims.get(axis)?;
                    (from.get(axis) == ty.shape.get(to)).then_some(to)
                })
            }
            Op::Array(ArrayOp::Reshape(_)) => {
                let from = shape(first)?;
                moved(&|axis| kept_axis(from, &ty.shape, axis))
            }
            Op::Array(ArrayOp::Slice(op)) => {
                let known = self.known.get(first?.index())?;
                let start = |axis: usize| match (op.start.get(axis), op.stride.get(axis)) {
                    (Some(start), Some(1)) => i64::try_from(*start).ok(),
                    _ => None,
                };
                let cut = |o: &Outside| {
                    let (rows, columns) = (start(o.axes.row)?, start(o.axes.column)?);
                    let band = o.band.without(rows, columns);
                    Some(Outside { band, ..*o })
                };
                Some(known.iter().filter_map(cut).collect())
            }
            Op::Array(ArrayOp::Pad(op)) => {
                let value = self.graph.splat(*e.args.get(1)?)?;
                let known = self.known.get(first?.index())?;
                let low = |axis: usize| match (op.low.get(axis), op.interior.get(axis)) {
                    (Some(low), Some(0)) => i64::try_from(*low).ok(),
                    _ => None,
                };
                let padded = |o: &Outside| {
                    let (rows, columns) = (low(o.axes.row)?, low(o.axes.column)?);
                    let band = o.band.without(-rows, -columns);
                    (o.value == value).then_some(Outside { band, ..*o })
                };
                Some(known.iter().filter_map(padded).collect())
            }
            Op::Array(ArrayOp::Sum(op)) => {
                let mut kept: SmallVec<[Outside; 2]> = moved(&|axis| {
                    let below = op.axes.iter().filter(|a| **a < axis).count();
                    (!op.axes.contains(&axis)).then(|| axis - below)
                })?;
                kept.retain(|o| o.value.to_f64() == 0.0);
                Some(kept)
            }
            Op::Array(ArrayOp::Dot(op)) => {
                let [x, y] = e.args[..] else { return None };
                let ([by_x], [by_y]) = (&op.contract.0[..], &op.contract.1[..]) else {
                    return None;
                };
                let (left, right) = op.free_axes(shape(Some(x))?.rank(), shape(Some(y))?.rank());
                // Of matrices, whose free axes are the last ones of the result.
                let ([row], [column]) = (&left[..], &right[..]) else {
                    return None;
                };
                let first = self.band(x, Axes::new(*row, *by_x)?);
                let second = self.band(y, Axes::new(*by_y, *column)?);
                if first.is_none() || second.is_none() {
                    return None;
                }
                let band = first?.times(second?);
                Some(SmallVec::from_elem(zero(rank, band, e)?, 1))
            }
            Op::Linalg(Linalg::Cholesky(_)) => {
                let lower = Band {
                    high: 0,
                    ..Band::ALL
                };
                Some(SmallVec::from_elem(zero(rank, lower, e)?, 1))
            }
            Op::Get(1) if matches!(self.graph.equation(first?).op, Op::Linalg(Linalg::Qr(_))) => {
                let upper = Band {
                    low: 0,
                    ..Band::ALL
                };
                Some(SmallVec::from_elem(zero(rank, upper, e)?, 1))
            }
            _ => None,
        }
    }

    /// What a pointwise operation makes of what its operands are outside of bands.
    fn pointwise(&self, e: &Equation) -> Option<SmallVec<[Outside; 2]>> {
        let mut found: SmallVec<[Outside; 2]> = SmallVec::new();
        let known = |v: &Var| self.known.get(v.index()).map_or(&[][..], |k| &k[..]);
        let axes = e.args.iter().find_map(|v| known(v).first())?.axes;
        let choices: SmallVec<[SmallVec<[Element; 3]>; 3]> = (e.args.iter())
            .map(|v| match self.graph.splat(*v) {
                Some(value) => SmallVec::from_elem(Element::Number(value), 1),
                None => {
                    let known = self.of_axes(*v, axes).map(Element::Outside);
                    known.chain([Element::Unknown]).collect()
                }
            })
            .collect();
        let all = choices.iter().map(|c| c.len()).product::<usize>();
        for number in 0..all {
            let mut rest = number;
            let chosen: SmallVec<[Element; 3]> = (choices.iter())
                .filter_map(|of| {
                    let at = rest % of.len();
                    rest /= of.len();
                    of.get(at).copied()
                })
                .collect();
            let Some((value, exact)) = outside(&e.op, &chosen) else {
                continue;
            };
            // NaN, which is not even equal to itself, makes no product smaller.
            if value.to_f64().is_nan() {
                continue;
            }
            let mut whole = Outside {
                axes,
                band: Band {
                    low: i64::MAX,
                    high: i64::MIN,
                },
                value,
                certain: exact,
            };
            let mut some = false;
            for element in &chosen {
                if let Element::Outside(o) = element {
                    whole.band = whole.band.or(o.band);
                    whole.certain &= o.certain;
                    some = true;
                }
            }
            let full = found.len() >= MOST_NUMBERS;
            let same = found.iter_mut().find(|o| o.value == value);
            match same {
                _ if !some => {}
                // Of two bands for one number the one that was found with less is the smaller one.
                Some(known) if known.certain && !whole.certain => {}
                Some(known) => {
                    whole.band = known.band.and(whole.band);
                    whole.certain &= known.certain;
                    *known = whole;
                }
                None if !full => found.push(whole),
                None if value.to_f64() == 0.0 => {
                    // Zeros are what products leave out.
                    if let Some(other) = found.iter_mut().rfind(|o| o.value.to_f64() != 0.0) {
                        *other = whole;
                    }
                }
                None => {}
            }
        }
        Some(found)
    }
}

/// What an operation gives for operands of which some are unknown, and whether it does so for whatever they are.
fn outside(op: &Op, elements: &[Element]) -> Option<(Scalar, bool)> {
    let number = |i: usize| match elements.get(i)? {
        Element::Number(value) => Some(*value),
        Element::Outside(o) => Some(o.value),
        Element::Unknown => None,
    };
    let numbers: Option<SmallVec<[Scalar; 3]>> = (0..elements.len()).map(number).collect();
    if let Some(numbers) = numbers {
        return Some((eval_scalars(op, &numbers)?, true));
    }
    let is_zero = |i: usize| number(i).filter(|x| x.to_f64() == 0.0);
    let is_infinite = |i: usize| number(i).filter(|x| x.to_f64().is_infinite());
    match op {
        Op::Ternary(Ternary::Select) => match (number(0), &elements[1..]) {
            (Some(Scalar::Bool(true)), _) => Some((number(1)?, true)),
            (Some(Scalar::Bool(false)), _) => Some((number(2)?, true)),
            (_, _) if number(1)? == number(2)? => Some((number(1)?, true)),
            // One of the two is the same everywhere, as for a row that is left out: the other one is the rule.
            (_, [Element::Number(_), Element::Outside(o)])
            | (_, [Element::Outside(o), Element::Number(_)]) => Some((o.value, false)),
            _ => None,
        },
        Op::Binary(Binary::Mul | Binary::Zmul) => Some((is_zero(0).or(is_zero(1))?, false)),
        Op::Binary(Binary::Div) => Some((is_zero(0)?, false)),
        Op::Binary(Binary::Add) => Some((is_infinite(0).or(is_infinite(1))?, false)),
        Op::Binary(Binary::Sub) => Some((is_infinite(0)?, false)),
        _ => None,
    }
}

/// Zero outside of a band of the matrices of the last two axes, where nothing infinite was met.
fn zero(rank: usize, band: Band, e: &Equation) -> Option<Outside> {
    Some(Outside {
        axes: Axes::new(rank.checked_sub(2)?, rank.checked_sub(1)?)?,
        band,
        value: Scalar::zero(e.ty.tensor()?.dtype),
        certain: false,
    })
}

impl Outside {
    fn along(&self, axes: Axes) -> Option<Outside> {
        let turned = || Outside {
            axes,
            band: self.band.turned(),
            ..*self
        };
        match axes {
            _ if axes == self.axes => Some(*self),
            _ if axes == self.axes.turned() => Some(turned()),
            _ => None,
        }
    }

    fn moved(&self, to: &dyn Fn(usize) -> Option<usize>) -> Option<Outside> {
        let axes = self.axes.moved(to)?;
        Some(Outside { axes, ..*self })
    }
}

/// The axis of a reshaped array that an axis, longer than one, has become.
pub(super) fn kept_axis(from: &Shape, to: &Shape, axis: usize) -> Option<usize> {
    let inner = |shape: &Shape, axis: usize| {
        let dims = shape.dims().get(axis + 1..).unwrap_or_default();
        dims.iter().fold(1_usize, |n, d| n.saturating_mul(*d))
    };
    let (n, behind) = (*from.get(axis)?, inner(from, axis));
    let same = |k: &usize| to.get(*k) == Some(&n) && inner(to, *k) == behind;
    (0..to.rank()).find(same).filter(|_| n > 1)
}

/// What a constant is outside of bands of the last two axes: what it is in two corners.
fn of_constant(array: &Array) -> SmallVec<[Outside; 2]> {
    let mut found = SmallVec::new();
    let dims = array.shape().dims();
    let [.., rows, columns] = dims else {
        return found;
    };
    let elements = array.shape().elements();
    if elements == 0 || elements > LOOKED_AT {
        return found;
    }
    let Some(axes) = Axes::new(dims.len() - 2, dims.len() - 1) else {
        return found;
    };
    let corners = [columns - 1, (rows - 1) * columns].map(|place| array.at(place));
    for (number, corner) in corners.iter().enumerate() {
        let Some(value) = *corner else { continue };
        if number > 0 && corners[0] == *corner {
            continue;
        }
        let mut band = Band {
            low: i64::MAX,
            high: i64::MIN,
        };
        for (place, x) in array.scalars().enumerate() {
            if x != value {
                let (row, column) = (place / columns % rows, place % columns);
                let difference = column as i64 - row as i64;
                band = band.or(Band {
                    low: difference,
                    high: difference,
                });
            }
        }
        // Bounds at the far corners are none.
        if band.low <= 1 - *rows as i64 {
            band.low = i64::MIN;
        }
        if band.high >= *columns as i64 - 1 {
            band.high = i64::MAX;
        }
        if band != Band::ALL {
            let certain = true;
            found.push(Outside {
                axes,
                band,
                value,
                certain,
            });
        }
    }
    found
}
