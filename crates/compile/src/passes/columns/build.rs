//! Builds a graph anew with some of its operations on columns.

use cotangent_array::{DType, Scalar};
use cotangent_graph::ops::{ArrayOp, Binary, Concat, Dot, Gather, Slice, Unary};
use cotangent_graph::{Builder, Equation, Graph, GraphError, Op, TensorType, Var};
use smallvec::SmallVec;

use super::shape::{columns, has_places, moved, places};
use super::{Kind, joining};
use crate::CompileError;

pub(super) fn build(graph: &Graph, kinds: &[Option<Kind>]) -> Result<Graph, CompileError> {
    let n = graph.equations().len();
    let mut build = Build {
        graph,
        b: Builder::new(graph.name()),
        whole: vec![None; n],
        columns: vec![Vec::new(); n],
    };
    let mut inputs = graph.inputs().iter();
    let live = graph.live();
    for (v, e) in graph.iter() {
        build.b.follow(e);
        if e.op.is_input() {
            let (Some((name, _)), Some(ty)) = (inputs.next(), e.ty.tensor()) else {
                let message = "an input is not in the list of inputs";
                return Err(GraphError::other(message, e.location).into());
            };
            build.whole[v.index()] = Some(build.b.input(name, ty.clone()));
            continue;
        }
        if !live[v.index()] {
            continue;
        }
        match kinds[v.index()] {
            Some(kind) => {
                build.columns[v.index()] = build.operation(kind, e).ok_or_else(|| {
                    let message = format!("`{}` does not go on columns", e.op.name());
                    GraphError::other(message, e.location)
                })?;
            }
            None => {
                let args: SmallVec<[Var; 3]> = e.args.iter().map(|a| build.whole(*a)).collect();
                build.whole[v.index()] = Some(build.b.push(e.op.clone(), &args));
            }
        }
    }
    let outputs: Vec<Var> = graph.outputs().iter().map(|o| build.whole(*o)).collect();
    Ok(build.b.finish(&outputs)?)
}

/// A column of an array.
#[derive(Clone, Copy)]
struct Column {
    var: Var,
    /// Whether it is zero because a derivative put zeros there: adding it changes nothing, and a
    /// product with it is such a zero again.
    none: bool,
}

impl Column {
    fn some(var: Var) -> Column {
        Column { var, none: false }
    }
}

struct Build<'a> {
    graph: &'a Graph,
    b: Builder,
    /// The new variable of each old one, where it has been needed as a whole.
    whole: Vec<Option<Var>>,
    /// Its columns, where those have been needed.
    columns: Vec<Vec<Column>>,
}

impl Build<'_> {
    fn operation(&mut self, kind: Kind, e: &Equation) -> Option<Vec<Column>> {
        let ty = e.ty.tensor()?;
        let p = places(ty)?;
        match (kind, &e.op, &e.args[..]) {
            (Kind::Pointwise, op, args) => {
                let args: Vec<Vec<Column>> = args.iter().map(|a| self.columns(*a)).collect();
                (0..columns(ty))
                    .map(|c| {
                        let own: Option<SmallVec<[Column; 3]>> =
                            args.iter().map(|a| a.get(c).copied()).collect();
                        Some(self.pointwise(op, &own?, ty.dtype, p))
                    })
                    .collect()
            }
            (Kind::Move, Op::Array(op), args) => {
                let types: Option<Vec<&TensorType>> =
                    args.iter().map(|a| self.graph.ty(*a).tensor()).collect();
                let origins = moved(e, &types?, ty)?;
                let mut found = Vec::with_capacity(origins.len());
                for (k, c) in origins {
                    let a = *args.get(k)?;
                    found.push(if has_places(op, k) {
                        *self.columns(a).get(c)?
                    } else {
                        let padding = matches!(op, ArrayOp::Pad(_));
                        self.around(a, c, p, padding)?
                    });
                }
                Some(found)
            }
            (Kind::Reduce, _, [x]) => {
                let (_, axes, _) = crate::fuse::reduction(e)?;
                self.reduce(joining(e)?, *x, axes, ty)
            }
            (Kind::Dot, Op::Array(ArrayOp::Dot(op)), [x, y]) => self.dot(op, *x, *y, ty),
            (Kind::Gather, Op::Array(ArrayOp::Gather(_)), [x, index]) => {
                let index = self.whole(*index);
                let table = self.columns(*x);
                let rows = Gather { axis: 0, batch: 0 };
                let of = |c: &Column| Column::some(self.b.push(rows.clone(), &[c.var, index]));
                Some(table.iter().map(of).collect())
            }
            _ => None,
        }
    }

    fn zero(&mut self, dtype: DType, p: usize) -> Column {
        Column {
            var: self.b.full(Scalar::zero(dtype), [p]),
            none: true,
        }
    }

    fn pointwise(&mut self, op: &Op, args: &[Column], dtype: DType, p: usize) -> Column {
        // A number that is 0 makes a product of derivatives vanish, whatever stands beside it.
        let zero = |b: &Builder, x: &Column| {
            let number = b.graph().splat(x.var).and_then(|x| x.as_real());
            x.none || number == Some(0.0)
        };
        match (op, args) {
            (Op::Binary(Binary::Zmul), [x, y])
                if dtype.is_float() && (zero(&self.b, x) || zero(&self.b, y)) =>
            {
                return self.zero(dtype, p);
            }
            (Op::Binary(Binary::Add), [x, y]) if x.none => return *y,
            (Op::Binary(Binary::Add | Binary::Sub), [x, y]) if y.none => return *x,
            (Op::Unary(Unary::Neg), [x]) if x.none => return *x,
            (Op::Binary(Binary::Sub), [x, y]) if x.none => {
                return Column::some(self.b.neg(y.var));
            }
            _ => {}
        }
        let args: SmallVec<[Var; 3]> = args.iter().map(|a| a.var).collect();
        Column::some(self.b.push(op.clone(), &args))
    }

    /// The elements of an array `[places, ...]` by their columns.
    fn reduce(
        &mut self,
        join: Binary,
        x: Var,
        axes: &[usize],
        ty: &TensorType,
    ) -> Option<Vec<Column>> {
        let from = self.graph.ty(x).tensor()?;
        let own = self.columns(x);
        let mut groups: Vec<Vec<Column>> = vec![Vec::new(); columns(ty)];
        for (c, column) in own.iter().enumerate() {
            let (mut rest, mut to, mut step) = (c, 0, 1);
            for axis in (1..from.rank()).rev() {
                let n = from.dim(axis);
                if !axes.contains(&axis) {
                    to += rest % n * step;
                    step *= n;
                }
                rest /= n;
            }
            groups.get_mut(to)?.push(*column);
        }
        let p = places(ty)?;
        let joined = |group: &Vec<Column>| self.joined(join, group, ty.dtype, p);
        groups.iter().map(joined).collect()
    }

    /// Joins columns as reductions join elements: eight side by side, then those pairwise.
    fn joined(&mut self, join: Binary, group: &[Column], dtype: DType, p: usize) -> Option<Column> {
        let sum = join == Binary::Add;
        if sum && group.iter().all(|c| c.none) {
            return Some(self.zero(dtype, p));
        }
        let mut terms: Vec<Var> = Vec::with_capacity(8);
        let some = group.iter().filter(|c| !(sum && c.none));
        for (i, column) in some.enumerate() {
            match terms.get_mut(i % 8) {
                Some(term) => *term = self.b.binary(join, *term, column.var),
                None => terms.push(column.var),
            }
        }
        while terms.len() > 1 {
            let pairs = terms.chunks(2).map(|pair| match pair {
                [x, y] => self.b.binary(join, *x, *y),
                _ => pair[0],
            });
            terms = pairs.collect();
        }
        let mut result = *terms.first()?;
        if sum && dtype.is_float() {
            // Sums begin with 0, so one of negative zeros is 0.
            let zero = self.zero(dtype, p);
            result = self.b.add(result, zero.var);
        }
        Some(Column::some(result))
    }

    /// Products at each place, terms in ascending order.
    fn dot(&mut self, op: &Dot, x: Var, y: Var, ty: &TensorType) -> Option<Vec<Column>> {
        let (left, right) = (self.graph.ty(x).tensor()?, self.graph.ty(y).tensor()?);
        let (free_left, free_right) = op.free_axes(left.rank(), right.rank());
        let (xs, ys) = (self.columns(x), self.columns(y));
        let strides = (left.shape.strides(), right.shape.strides());
        let step = |strides: &[usize], axis: Option<&usize>| {
            axis.and_then(|a| strides.get(*a)).copied().unwrap_or(0)
        };
        // Loops over axes of the left, the right or both operands.
        let nested = |pairs: &mut dyn Iterator<Item = (Option<&usize>, Option<&usize>)>| {
            let one = |(x, y): (Option<&usize>, Option<&usize>)| Loop {
                n: match (x, y) {
                    (Some(x), _) => left.dim(*x),
                    (None, Some(y)) => right.dim(*y),
                    (None, None) => 1,
                },
                left: step(&strides.0, x),
                right: step(&strides.1, y),
            };
            pairs.map(one).collect::<Vec<Loop>>()
        };
        let both = |(x, y)| (Some(x), Some(y));
        let batch = op.batch.0.iter().zip(&op.batch.1).skip(1).map(both);
        let free_left = free_left.iter().map(|x| (Some(x), None));
        let free_right = free_right.iter().map(|y| (None, Some(y)));
        let outer = nested(&mut batch.chain(free_left).chain(free_right));
        let inner = nested(&mut op.contract.0.iter().zip(&op.contract.1).map(both));
        let mut result = Vec::with_capacity(columns(ty));
        let p = places(ty)?;
        for (i, j) in positions(&outer) {
            let mut sum: Option<Var> = None;
            for (k, l) in positions(&inner) {
                let (x, y) = (xs.get(i + k)?, ys.get(j + l)?);
                let product = self.b.mul(x.var, y.var);
                let before = match sum {
                    Some(sum) => sum,
                    None => self.b.full(Scalar::zero(ty.dtype), [p]),
                };
                sum = Some(self.b.add(before, product));
            }
            result.push(match sum {
                Some(sum) => Column::some(sum),
                None => self.zero(ty.dtype, p),
            });
        }
        Some(result)
    }

    /// An element of an array that stands around the places, at every place.
    fn around(&mut self, v: Var, element: usize, p: usize, padding: bool) -> Option<Column> {
        let ty = self.graph.ty(v).tensor()?;
        let known = match &self.graph.equation(v).op {
            Op::Constant(array) => array.at(element),
            _ => self.graph.splat(v),
        };
        if let Some(value) = known {
            let none = padding && value == Scalar::zero(ty.dtype);
            let var = self.b.full(value, [p]);
            return Some(Column { var, none });
        }
        let n = ty.shape.elements();
        let whole = self.whole(v);
        let flat = self.b.reshape(whole, [n]);
        let one = self.b.slice_axis(flat, 0, element, element + 1);
        let one = self.b.reshape(one, Vec::<usize>::new());
        Some(Column::some(self.b.broadcast(one, [p], &[])))
    }

    /// The new variable of an old one.
    fn whole(&mut self, v: Var) -> Var {
        if let Some(var) = self.whole[v.index()] {
            return var;
        }
        let Some(ty) = self.graph.ty(v).tensor() else {
            return v;
        };
        let p = places(ty).unwrap_or(0);
        let mut parts: Vec<Var> = Vec::with_capacity(self.columns[v.index()].len());
        for column in self.columns[v.index()].clone() {
            parts.push(self.b.reshape(column.var, [p, 1]));
        }
        let joined = match parts[..] {
            [one] => one,
            _ => self.b.push(Concat { axis: 1 }, &parts),
        };
        let whole = self.b.reshape(joined, ty.shape.clone());
        self.whole[v.index()] = Some(whole);
        whole
    }

    /// The columns of an old variable.
    fn columns(&mut self, v: Var) -> Vec<Column> {
        if !self.columns[v.index()].is_empty() {
            return self.columns[v.index()].clone();
        }
        let Some(ty) = self.graph.ty(v).tensor() else {
            return Vec::new();
        };
        let (p, width) = (places(ty).unwrap_or(0), columns(ty));
        let found: Vec<Column> = match self.graph.splat(v) {
            Some(value) => {
                let number = self.b.full(value, [p]);
                vec![Column::some(number); width]
            }
            None => {
                let whole = self.whole(v);
                let flat = self.b.reshape(whole, [p * width]);
                let column = |c: usize| {
                    if width == 1 {
                        return Column::some(flat);
                    }
                    let slice = Slice {
                        start: vec![c],
                        limit: vec![c + (p.saturating_sub(1)) * width + 1],
                        stride: vec![width],
                    };
                    Column::some(self.b.push(slice, &[flat]))
                };
                (0..width).map(column).collect()
            }
        };
        self.columns[v.index()] = found.clone();
        found
    }
}

/// A loop over two arrays: its length, and by how much it moves in each.
struct Loop {
    n: usize,
    left: usize,
    right: usize,
}

/// All positions of nested loops in two arrays.
fn positions(loops: &[Loop]) -> Vec<(usize, usize)> {
    let mut all = vec![(0, 0)];
    for own in loops {
        let turns = |(i, j)| (0..own.n).map(move |k| (i + k * own.left, j + k * own.right));
        all = all.into_iter().flat_map(turns).collect();
    }
    all
}
