//! Products of triangular matrices: which of their elements need not be multiplied.
//!
//! What a graph says of zeros (a mask made of positions, a factor) is carried through what it does to them
//! ([`zeros`]), and what it reads of a result back from what reads it ([`needed`]). The first is what is expected,
//! not a promise: 0 * x is 0 unless x is infinite or NaN, which only a run can tell. So a kernel looks whether what
//! it leaves out is zero indeed and meets finite numbers only, which takes little beside the product. What is not
//! read, however, is certain.

mod band;
mod needed;
mod positions;
mod zeros;

use cotangent_array::DType;
use cotangent_graph::ops::{ArrayOp, Dot};
use cotangent_graph::{FastMap, Graph, Op, TensorType, Var};

pub(crate) use self::band::Axes;
pub use self::band::Band;
use self::needed::Needed;
use self::zeros::Zeros;
use crate::target::TriangleSizes;

/// What need not be multiplied in a product of matrices: that has one contracted axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Triangles {
    /// Where the first operand may be other than zero: its rows are the free axis, its columns the contracted one.
    pub first: Option<Band>,
    /// Where the second operand may be other than zero: its rows are the contracted axis, its columns the free one.
    pub second: Option<Band>,
    /// Where the result is read: rows are the first operand's free axis, columns that of the second.
    pub result: Option<Band>,
}

/// The only axes of an operand that are longer than one.
struct Sides {
    free: Option<usize>,
    contract: usize,
}

/// The products of a graph that leave something out.
pub(crate) fn find(graph: &Graph, least: TriangleSizes) -> FastMap<Var, Triangles> {
    let mut found = FastMap::default();
    let large = |e: &cotangent_graph::Equation| match (&e.op, &e.args[..]) {
        (Op::Array(ArrayOp::Dot(dot)), [x, y]) => {
            let types = [x, y].map(|v| graph.ty(*v).tensor());
            let [Some(x), Some(y)] = types else {
                return false;
            };
            is_large(dot, x, y, least)
        }
        _ => false,
    };
    // Most graphs have no such product, or nothing that makes triangles.
    if !graph.equations().iter().any(large) {
        return found;
    }
    let zeros = Zeros::of(graph);
    if zeros.is_empty() {
        return found;
    }
    let needed = Needed::of(graph, &zeros);
    for (v, e) in graph.iter().filter(|(_, e)| large(e)) {
        let (Op::Array(ArrayOp::Dot(dot)), [x, y]) = (&e.op, &e.args[..]) else {
            continue;
        };
        let (Some(of_x), Some(of_y)) = (graph.ty(*x).tensor(), graph.ty(*y).tensor()) else {
            continue;
        };
        let Some([first, second]) = sides(dot, of_x, of_y) else {
            continue;
        };
        let zero = |v: Var, row: Option<usize>, column: Option<usize>| {
            let axes = Axes::new(row?, column?)?;
            zeros.band(v, axes)
        };
        let rank = e.ty.tensor().map_or(0, TensorType::rank);
        let of_result = || {
            let (left, right) = dot.free_axes(of_x.rank(), of_y.rank());
            let row = left.iter().position(|a| Some(*a) == first.free)?;
            let column = right.iter().position(|a| Some(*a) == second.free)?;
            let row = dot.batch.0.len() + row;
            let column = rank.checked_sub(right.len())? + column;
            needed.band(v, Axes::new(row, column)?)
        };
        let triangles = Triangles {
            first: zero(*x, first.free, Some(first.contract)),
            second: zero(*y, Some(second.contract), second.free),
            result: of_result(),
        };
        let triangles = triangles.worth(
            [
                first.free.map_or(1, |a| of_x.dim(a)),
                second.free.map_or(1, |a| of_y.dim(a)),
                of_x.dim(first.contract),
            ],
            least.side,
        );
        if triangles != Triangles::default() {
            found.insert(v, triangles);
        }
    }
    found
}

/// Whether a product may be one whose triangles are worth looking for.
fn is_large(dot: &Dot, x: &TensorType, y: &TensorType, least: TriangleSizes) -> bool {
    let length = |t: &TensorType, a: Option<usize>| a.map_or(1, |a| t.dim(a));
    matches!(x.dtype, DType::F32 | DType::F64)
        && sides(dot, x, y).is_some_and(|[first, second]| {
            let sizes = [
                length(x, first.free),
                length(y, second.free),
                x.dim(first.contract),
            ];
            let terms = sizes.iter().fold(1_usize, |all, n| all.saturating_mul(*n));
            terms >= least.terms && sizes.iter().filter(|n| **n >= least.side).count() >= 2
        })
}

/// The axes of both operands, where one is contracted and each has at most one free axis that is longer than one
/// or, if the triangle is in the other one, any.
fn sides(dot: &Dot, x: &TensorType, y: &TensorType) -> Option<[Sides; 2]> {
    let ([of_x], [of_y]) = (&dot.contract.0[..], &dot.contract.1[..]) else {
        return None;
    };
    let (left, right) = dot.free_axes(x.rank(), y.rank());
    let free = |t: &TensorType, axes: &[usize]| {
        let mut long = axes.iter().copied().filter(|a| t.dim(*a) != 1);
        let only = long.next()?;
        long.next().is_none().then_some(only)
    };
    Some([
        Sides {
            free: free(x, &left),
            contract: *of_x,
        },
        Sides {
            free: free(y, &right),
            contract: *of_y,
        },
    ])
}

impl Triangles {
    /// Those that leave out enough of a product with so many rows, columns and terms, and have so many rows and
    /// columns.
    fn worth(self, [m, n, k]: [usize; 3], side: usize) -> Triangles {
        let enough = |band: Option<Band>, rows: usize, columns: usize| {
            band.filter(|band| {
                let all = rows.saturating_mul(columns);
                rows >= side && columns >= side && band.count(rows, columns) / 7 < all / 8
            })
        };
        Triangles {
            first: enough(self.first, m, k),
            second: enough(self.second, k, n),
            result: enough(self.result, m, n),
        }
    }

    /// About how many of so many operations are left, of a product with so many rows, columns and terms.
    pub(crate) fn cost(&self, all: u64, [m, n, k]: [usize; 3]) -> u64 {
        let bands = [(self.first, m, k), (self.second, k, n), (self.result, m, n)];
        bands.into_iter().fold(all, |left, (band, rows, columns)| {
            let Some(band) = band else { return left };
            let whole = (rows.saturating_mul(columns).max(1)) as u128;
            (left as u128 * band.count(rows, columns) as u128 / whole) as u64
        })
    }

    /// Those of the transposed product, of the transposed operands in the other order.
    pub fn turned(&self) -> Triangles {
        Triangles {
            first: self.second.map(Band::turned),
            second: self.first.map(Band::turned),
            result: self.result.map(Band::turned),
        }
    }

    /// The bands that there are, by name.
    pub(crate) fn bands(&self) -> impl Iterator<Item = (&'static str, Band)> {
        let all = [
            ("first", self.first),
            ("second", self.second),
            ("result", self.result),
        ];
        all.into_iter()
            .filter_map(|(name, band)| Some((name, band?)))
    }

    /// The rows, columns and terms of a product, as triangles are said of them; a message where there is more than
    /// one of either.
    pub(crate) fn sizes(&self, dot: &Dot, [x, y]: [&TensorType; 2]) -> Result<[usize; 3], String> {
        let Some([first, second]) = sides(dot, x, y) else {
            return Err("a triangle is of two axes".into());
        };
        let rows = self.first.is_some() || self.result.is_some();
        let columns = self.second.is_some() || self.result.is_some();
        if rows && first.free.is_none() || columns && second.free.is_none() {
            return Err("a triangle is of two axes".into());
        }
        if !x.dtype.is_float() {
            return Err(format!("triangles are of floats, found {}", x.dtype));
        }
        let all = |t: &TensorType, axes: &[usize]| {
            let sizes = axes.iter().map(|a| t.dim(*a));
            sizes.fold(1, usize::saturating_mul)
        };
        let (left, right) = dot.free_axes(x.rank(), y.rank());
        Ok([all(x, &left), all(y, &right), x.dim(first.contract)])
    }
}
