//! Which elements of an array are read.

use cotangent_array::Scalar;
use cotangent_graph::ops::{ArrayOp, Linalg, Ternary};
use cotangent_graph::{Equation, Graph, Op, Var};

use super::band::{Axes, Band};
use super::zeros::{Zeros, kept_axis};

/// For each variable the elements that anything depends on.
pub(super) struct Needed(Vec<Reads>);

/// The elements of an array that are read.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Reads {
    None,
    Band(Axes, Band),
    All,
}

impl Needed {
    pub(super) fn of(graph: &Graph, zeros: &Zeros<'_>) -> Needed {
        let mut needed = Needed(vec![Reads::None; graph.equations().len()]);
        for output in graph.outputs() {
            needed.add(*output, Reads::All);
        }
        for (v, e) in graph.iter().rev() {
            let own = needed.0.get(v.index()).copied().unwrap_or(Reads::All);
            if own != Reads::None {
                for (i, arg) in e.args.iter().enumerate() {
                    needed.add(*arg, own.through(graph, zeros, e, i));
                }
            }
        }
        needed
    }

    /// The band outside of which nothing is read.
    pub(super) fn band(&self, v: Var, axes: Axes) -> Option<Band> {
        match *self.0.get(v.index())? {
            Reads::Band(own, band) if own == axes => Some(band),
            Reads::Band(own, band) if own == axes.turned() => Some(band.turned()),
            _ => None,
        }
    }

    fn add(&mut self, v: Var, reads: Reads) {
        if let Some(own) = self.0.get_mut(v.index()) {
            *own = own.or(reads);
        }
    }
}

impl Reads {
    /// What is read by either.
    fn or(self, other: Reads) -> Reads {
        match (self, other) {
            (Reads::None, reads) | (reads, Reads::None) => reads,
            (Reads::Band(axes, band), Reads::Band(own, other)) if axes == own => {
                Reads::Band(axes, band.or(other))
            }
            (Reads::Band(axes, band), Reads::Band(own, other)) if axes == own.turned() => {
                Reads::Band(axes, band.or(other.turned()))
            }
            _ => Reads::All,
        }
    }

    /// What is read of those that are on a band.
    fn on(self, axes: Axes, band: Band) -> Reads {
        match self {
            Reads::None => Reads::None,
            Reads::All => Reads::Band(axes, band),
            Reads::Band(own, other) if own == axes => Reads::Band(axes, band.and(other)),
            Reads::Band(own, other) if own == axes.turned() => {
                Reads::Band(axes, band.and(other.turned()))
            }
            Reads::Band(..) => self,
        }
    }

    fn moved(self, to: impl Fn(usize) -> Option<usize>) -> Reads {
        match self {
            Reads::Band(axes, band) => axes.moved(to).map_or(Reads::All, |a| Reads::Band(a, band)),
            _ => self,
        }
    }

    /// What is read of an operand of an operation if this is read of its result.
    fn through(self, graph: &Graph, zeros: &Zeros<'_>, e: &Equation, operand: usize) -> Reads {
        let shapes = || {
            let from = &graph.ty(*e.args.first()?).tensor()?.shape;
            Some((from, &e.ty.tensor()?.shape))
        };
        let certain = |i: usize, value: &dyn Fn(Scalar) -> bool| {
            e.args.get(i).and_then(|v| zeros.certain(*v, value))
        };
        match &e.op {
            // An arm is read where the mask says so.
            Op::Ternary(Ternary::Select) if operand > 0 => {
                let other = |value: Scalar| value == Scalar::Bool(operand == 2);
                match certain(0, &other) {
                    Some((axes, band)) => self.on(axes, band),
                    None => self,
                }
            }
            // The strong zero looks at the other factor, too: for the sign.
            op if op.is_pointwise() => self,
            Op::Array(ArrayOp::Transpose(op)) => self.moved(|axis| op.axes.get(axis).copied()),
            Op::Array(ArrayOp::Reshape(_)) => match shapes() {
                Some((from, to)) => self.moved(|axis| kept_axis(to, from, axis)),
                None => Reads::All,
            },
            Op::Linalg(Linalg::TriangularSolve(op)) if operand == 0 => {
                let rank = e.args.first().and_then(|v| graph.ty(*v).tensor());
                let rank = rank.map_or(0, |ty| ty.rank());
                let axes = (rank.checked_sub(2)).and_then(|row| Axes::new(row, row + 1));
                let lower = Band {
                    high: 0,
                    ..Band::ALL
                };
                let band = if op.lower { lower } else { lower.turned() };
                axes.map_or(Reads::All, |axes| Reads::Band(axes, band))
            }
            _ => Reads::All,
        }
    }
}
