//! Dependences through operations that are not pointwise.

use cotangent_array::{Array, Shape};
use cotangent_graph::ops::{
    ArrayOp, Broadcast, Conv, Dot, Gather, ScatterAdd, WindowMax, WindowSum,
};
use cotangent_graph::{EvalError, Op, TensorType, eval_op};

use super::depend::{Deps, State, Walk};
use super::sets::{EMPTY, Set};

impl Walk {
    /// An operation that is not pointwise. One without a rule here may depend on all of its
    /// operands everywhere, which is never wrong.
    pub(super) fn array(
        &mut self,
        op: &ArrayOp,
        args: &[&State],
        types: &[&TensorType],
        out: &TensorType,
    ) -> Result<Deps, EvalError> {
        use ArrayOp::*;
        Ok(match (op, args, types) {
            (Reshape(_), [x], _) => x.deps.clone(),
            (Transpose(_) | Broadcast(_) | Reverse(_) | Slice(_) | Pad(_) | Concat(_), ..) => {
                moved(op, args, types, out)?
            }
            (Gather(g), [x, indices @ ..], [t, i, ..]) => {
                if indices.iter().all(|i| i.value().is_some()) {
                    return moved(op, args, types, out);
                }
                self.any_index(g, indices.len(), &x.deps, t, i, out)?
            }
            (ScatterAdd(s), [x, indices @ ..], [t, i, ..]) => {
                self.scattered(s, &x.deps, indices, t, i, out)?
            }
            (Sum(sum), [x], [t]) => self.reduced(&x.deps, t, &sum.axes),
            (Prod(prod), [x], [t]) => self.reduced(&x.deps, t, &prod.axes),
            (Norm(norm), [x], [t]) => self.reduced(&x.deps, t, &norm.axes),
            (Max(max), [x], [t]) => self.extreme(op, &max.axes, x, t, out)?,
            (Min(min), [x], [t]) => self.extreme(op, &min.axes, x, t, out)?,
            (CumSum(sum), [x], _) => self.running(None, x, out, sum.axis, sum.reverse),
            (CumProd(p), [x], _) => self.running(None, x, out, p.axis, p.reverse),
            (Recurrence(r), [a, x], _) => self.running(Some(a), x, out, r.axis, r.reverse),
            (Dot(dot), [x, y], [t, u]) => self.dot(dot, [x, y], [t, u], out),
            (Conv(conv), [x, k], [t, u]) => self.conv(conv, [x, k], [t, u], out),
            (WindowSum(w), [x], [t]) => self.windows(w, &x.deps, t, out),
            (WindowMax(w), [x], [t]) => self.largest(w, x, t, out),
            _ => self.everything(args),
        })
    }

    /// The union over some axes, which vanish.
    fn reduced(&mut self, deps: &Deps, ty: &TensorType, axes: &[usize]) -> Deps {
        let Deps::Each(sets) = deps else {
            return deps.clone();
        };
        let kept: Vec<bool> = (0..ty.rank()).map(|a| !axes.contains(&a)).collect();
        self.grouped(sets.iter().copied(), ty, &kept)
    }

    /// The union of the elements that agree in the kept axes.
    fn grouped(&mut self, sets: impl Iterator<Item = Set>, ty: &TensorType, kept: &[bool]) -> Deps {
        let dims = ty.shape.dims();
        let mut strides = vec![0; dims.len()];
        let mut groups = 1;
        for a in (0..dims.len()).rev() {
            if kept.get(a) == Some(&true) {
                strides[a] = groups;
                groups *= dims[a];
            }
        }
        let mut members: Vec<Vec<Set>> = vec![Vec::new(); groups];
        for (place, set) in places(dims, &strides).zip(sets) {
            if let Some(list) = members.get_mut(place).filter(|_| set != EMPTY) {
                // Neighbours mostly depend on the same columns.
                if list.last() != Some(&set) {
                    list.push(set);
                }
            }
        }
        let unions = members.iter_mut().map(|list| self.sets.union_all(list));
        Deps::of(unions.collect())
    }

    /// The largest or smallest elements; where values are known, only those that win.
    fn extreme(
        &mut self,
        op: &ArrayOp,
        axes: &[usize],
        x: &State,
        ty: &TensorType,
        out: &TensorType,
    ) -> Result<Deps, EvalError> {
        let Some(array) = x.value() else {
            return Ok(self.reduced(&x.deps, ty, axes));
        };
        let winners = eval_op(&Op::Array(op.clone()), &[array], out)?;
        let kept: Vec<usize> = (0..ty.rank()).filter(|a| !axes.contains(a)).collect();
        let spread = Op::Array(ArrayOp::Broadcast(Broadcast {
            shape: ty.shape.clone(),
            dims: kept,
        }));
        let winners = eval_op(&spread, &[&winners], ty)?.to_f64s();
        let won = array.to_f64s().into_iter().zip(winners).enumerate();
        // A NaN wins over all, and whether it stays one is not for this point to say.
        let won: Vec<Set> = won
            .map(|(i, (v, w))| {
                if v == w || w.is_nan() {
                    x.deps.at(i)
                } else {
                    EMPTY
                }
            })
            .collect();
        let kept: Vec<bool> = (0..ty.rank()).map(|a| !axes.contains(&a)).collect();
        Ok(self.grouped(won.into_iter(), ty, &kept))
    }

    /// Sums, products and recurrences along an axis: what came before and what enters.
    fn running(
        &mut self,
        factor: Option<&&State>,
        x: &State,
        out: &TensorType,
        axis: usize,
        reverse: bool,
    ) -> Deps {
        if let (None, Deps::Same(_)) = (factor, &x.deps) {
            return x.deps.clone();
        }
        let length = out.dim(axis);
        let stride = out.shape.strides().get(axis).copied().unwrap_or(1).max(1);
        let count = out.shape.elements();
        let zeros = factor.and_then(|a| a.fixed()).map(Array::to_f64s);
        let mut sets = vec![EMPTY; count];
        for outer in (0..count).step_by((stride * length).max(1)) {
            for first in outer..outer + stride {
                let mut before = EMPTY;
                for i in 0..length {
                    let i = if reverse { length - 1 - i } else { i };
                    let here = first + i * stride;
                    if zeros.as_ref().is_some_and(|z| z.get(here) == Some(&0.0)) {
                        before = EMPTY;
                    } else if before != EMPTY || i != if reverse { length - 1 } else { 0 } {
                        let own = factor.map_or(EMPTY, |a| a.deps.at(here));
                        before = self.sets.union(before, own);
                    }
                    before = self.sets.union(before, x.deps.at(here));
                    if let Some(set) = sets.get_mut(here) {
                        *set = before;
                    }
                }
            }
        }
        Deps::of(sets)
    }

    /// Elements at positions that are not known: any along the indexed axes.
    fn any_index(
        &mut self,
        g: &Gather,
        count: usize,
        deps: &Deps,
        ty: &TensorType,
        index: &TensorType,
        out: &TensorType,
    ) -> Result<Deps, EvalError> {
        let axes: Vec<usize> = (g.axis..g.axis.saturating_add(count)).collect();
        let reduced = self.reduced(deps, ty, &axes);
        let own = index.rank().saturating_sub(g.batch);
        spread(&reduced, ty, &axes, g.axis, own, out)
    }

    fn scattered(
        &mut self,
        s: &ScatterAdd,
        deps: &Deps,
        indices: &[&State],
        updates: &TensorType,
        index: &TensorType,
        out: &TensorType,
    ) -> Result<Deps, EvalError> {
        let known: Option<Vec<&Array>> = indices.iter().map(|i| i.value()).collect();
        let Some(known) = known else {
            let own = index.rank().saturating_sub(s.batch);
            let axes: Vec<usize> = (s.axis..s.axis + own).collect();
            let reduced = self.reduced(deps, updates, &axes);
            return spread(&reduced, updates, &axes, s.axis, indices.len(), out);
        };
        // Where each update goes: the positions, gathered as the updates' transpose is.
        let count = out.shape.elements();
        let positions = Array::new(out.shape.clone(), (0..count as i64).collect::<Vec<i64>>())?;
        let gather = Op::Array(ArrayOp::Gather(Gather {
            axis: s.axis,
            batch: s.batch,
        }));
        let ty = updates.with_dtype(positions.dtype());
        let operands: Vec<&Array> = std::iter::once(&positions).chain(known).collect();
        let places = eval_op(&gather, &operands, &ty)?.to_vec::<i64>()?;
        let mut members: Vec<Vec<Set>> = vec![Vec::new(); count];
        for (i, place) in places.into_iter().enumerate() {
            let list = usize::try_from(place).ok().and_then(|p| members.get_mut(p));
            if let (Some(list), set) = (list, deps.at(i))
                && set != EMPTY
            {
                list.push(set);
            }
        }
        let unions = members.iter_mut().map(|list| self.sets.union_all(list));
        Ok(Deps::of(unions.collect()))
    }

    /// Products summed over pairs of axes. Zeros that the graph itself holds in one operand are gaps.
    fn dot(
        &mut self,
        dot: &Dot,
        args: [&State; 2],
        types: [&TensorType; 2],
        out: &TensorType,
    ) -> Deps {
        let free = dot.free_axes(types[0].rank(), types[1].rank());
        let left = Side::new(types[0], &dot.batch.0, &free.0, &dot.contract.0);
        let right = Side::new(types[1], &dot.batch.1, &free.1, &dot.contract.1);
        let x = self.one_side(&args[0].deps, &left, args[1].fixed(), &right);
        let y = self.one_side(&args[1].deps, &right, args[0].fixed(), &left);
        let each = (0..out.shape.elements()).map(|place| {
            let (batch, rest) = (
                place / (left.free * right.free),
                place % (left.free * right.free),
            );
            let (i, j) = (rest / right.free, rest % right.free);
            let a = x.at(batch, i, j);
            let b = y.at(batch, j, i);
            self.sets.union(a, b)
        });
        Deps::of(each.collect())
    }

    /// What a product's elements depend on through one operand.
    fn one_side(
        &mut self,
        deps: &Deps,
        mine: &Side,
        factor: Option<&Array>,
        theirs: &Side,
    ) -> Rows {
        if deps.is_none() {
            return Rows::Nothing;
        }
        let factor = factor.map(Array::to_f64s).filter(|f| f.contains(&0.0));
        let mut sets = Vec::new();
        let mut list = Vec::new();
        let others = if factor.is_some() { theirs.free } else { 1 };
        for batch in 0..mine.batch {
            for i in 0..mine.free {
                for j in 0..others {
                    for k in 0..mine.contract {
                        let gap = factor
                            .as_ref()
                            .is_some_and(|f| f.get(theirs.place(batch, j, k)) == Some(&0.0));
                        let set = deps.at(mine.place(batch, i, k));
                        if !gap && set != EMPTY && list.last() != Some(&set) {
                            list.push(set);
                        }
                    }
                    sets.push(self.sets.union_all(&mut list));
                    list.clear();
                }
            }
        }
        Rows::Each {
            sets,
            free: mine.free,
            others,
        }
    }

    /// Convolution. A kernel with zeros that the graph itself holds, as stencils have, makes gaps.
    fn conv(
        &mut self,
        conv: &Conv,
        args: [&State; 2],
        types: [&TensorType; 2],
        out: &TensorType,
    ) -> Deps {
        let [x, kernel] = types;
        let (groups, outputs) = (conv.groups.max(1), kernel.dim(0));
        let (channels, each) = (kernel.dim(1), (outputs / groups).max(1));
        // For each spatial axis and place of the result: (element of the kernel, of the input).
        let axes: Vec<Vec<Vec<(usize, usize)>>> = (0..conv.stride.len())
            .map(|a| {
                (0..out.dim(a + 2))
                    .map(|j| touched(conv, a, x.dim(a + 2), kernel.dim(a + 2), j))
                    .collect()
            })
            .collect();
        let weights = args[1].fixed().map(Array::to_f64s);
        let (x_strides, k_strides) = (x.shape.strides(), kernel.shape.strides());
        let at = |strides: &[usize], a: usize| strides.get(a).copied().unwrap_or(0);
        let mut sets = Vec::with_capacity(out.shape.elements());
        let mut list = Vec::new();
        let mut indices = cotangent_array::Indices::new(&out.shape);
        while let Some(index) = indices.next_index() {
            let (n, o) = (
                index.first().copied().unwrap_or(0),
                index.get(1).copied().unwrap_or(0),
            );
            let group = o / each;
            // Pairs of flat positions in the input and in the kernel.
            let mut pairs: Vec<(usize, usize)> = (0..channels)
                .map(|c| {
                    let channel = group * channels + c;
                    (
                        n * at(&x_strides, 0) + channel * at(&x_strides, 1),
                        o * at(&k_strides, 0) + c * at(&k_strides, 1),
                    )
                })
                .collect();
            for (a, of) in axes.iter().enumerate() {
                let j = index.get(a + 2).copied().unwrap_or(0);
                let touched = of.get(j).map_or(&[][..], |t| t);
                let further = |(x, k): (usize, usize)| {
                    let steps = (at(&x_strides, a + 2), at(&k_strides, a + 2));
                    touched
                        .iter()
                        .map(move |(dk, dx)| (x + dx * steps.0, k + dk * steps.1))
                };
                pairs = pairs.into_iter().flat_map(further).collect();
            }
            for (i, k) in pairs {
                let gap = weights.as_ref().is_some_and(|w| w.get(k) == Some(&0.0));
                if !gap {
                    list.push(args[0].deps.at(i));
                }
                list.push(args[1].deps.at(k));
            }
            list.retain(|s| *s != EMPTY);
            sets.push(self.sets.union_all(&mut list));
            list.clear();
        }
        Deps::of(sets)
    }

    /// Sums over windows, one axis after the other.
    fn windows(&mut self, w: &WindowSum, deps: &Deps, ty: &TensorType, out: &TensorType) -> Deps {
        let leading = ty.rank().saturating_sub(w.window.len());
        let mut dims = ty.shape.dims().to_vec();
        let mut deps = deps.clone();
        let attributes = w
            .window
            .iter()
            .zip(&w.stride)
            .zip(w.padding.iter().zip(&w.dilation));
        for (a, ((window, stride), (padding, dilation))) in attributes.enumerate() {
            let axis = leading + a;
            let (size, count) = (ty.dim(axis), out.dim(axis));
            let inner: usize = dims.iter().skip(axis + 1).product();
            let outer: usize = dims.iter().take(axis).product();
            let covered: Vec<Vec<usize>> = (0..count)
                .map(|j| {
                    (0..*window)
                        .filter_map(|k| (j * stride + k * dilation).checked_sub(padding.0))
                        .filter(|i| *i < size)
                        .collect()
                })
                .collect();
            let mut sets = Vec::with_capacity(outer * count * inner);
            let mut list = Vec::new();
            for o in 0..outer {
                for places in &covered {
                    for i in 0..inner {
                        list.extend(places.iter().map(|p| deps.at((o * size + p) * inner + i)));
                        list.retain(|s| *s != EMPTY);
                        sets.push(self.sets.union_all(&mut list));
                        list.clear();
                    }
                }
            }
            deps = Deps::of(sets);
            if let Some(dim) = dims.get_mut(axis) {
                *dim = count;
            }
        }
        deps
    }

    /// Maxima over windows; where values are known, only the elements that win.
    fn largest(&mut self, w: &WindowMax, x: &State, ty: &TensorType, out: &TensorType) -> Deps {
        let leading = ty.rank().saturating_sub(w.window.len());
        if let Some(array) = x.value() {
            let places = Op::from(w.places());
            let of = out.with_dtype(cotangent_array::DType::I64);
            // It fails where a window lies in the padding; then no decision is taken.
            if let Ok(places) = eval_op(&places, &[array], &of) {
                let size: usize = ty.shape.dims().iter().skip(leading).product();
                let count: usize = out.shape.dims().iter().skip(leading).product();
                let chosen = places.scalars().enumerate().map(|(i, place)| {
                    let within = usize::try_from(place.to_i64()).unwrap_or(usize::MAX);
                    x.deps.at((i / count.max(1) * size).saturating_add(within))
                });
                return Deps::of(chosen.collect());
            }
        }
        let sum = WindowSum {
            window: w.window.clone(),
            stride: w.stride.clone(),
            padding: w.padding.clone(),
            dilation: w.dilation.clone(),
        };
        self.windows(&sum, &x.deps, ty, out)
    }
}

/// A move of elements: the operation itself moves the numbers of their sets.
fn moved(
    op: &ArrayOp,
    args: &[&State],
    types: &[&TensorType],
    out: &TensorType,
) -> Result<Deps, EvalError> {
    if let (
        ArrayOp::Broadcast(_) | ArrayOp::Transpose(_) | ArrayOp::Reverse(_) | ArrayOp::Slice(_),
        [x],
    ) = (op, args)
        && !matches!(x.deps, Deps::Each(_))
    {
        return Ok(x.deps.clone());
    }
    let is_gather = matches!(op, ArrayOp::Gather(_));
    let mut operands = Vec::with_capacity(args.len());
    for (i, (arg, ty)) in args.iter().zip(types).enumerate() {
        operands.push(match (is_gather && i > 0, arg.value()) {
            (true, Some(index)) => index.clone(),
            _ => {
                let sets: Vec<Set> = (0..ty.shape.elements()).map(|i| arg.deps.at(i)).collect();
                Array::new(ty.shape.clone(), sets)?
            }
        });
    }
    let ty = out.with_dtype(cotangent_array::DType::U32);
    let sets = eval_op(
        &Op::Array(op.clone()),
        &operands.iter().collect::<Vec<_>>(),
        &ty,
    )?;
    Ok(Deps::of(sets.into_vec::<Set>()?))
}

/// Sets over the axes that are left, repeated along `own` new axes from `axis` on.
fn spread(
    reduced: &Deps,
    ty: &TensorType,
    axes: &[usize],
    axis: usize,
    own: usize,
    out: &TensorType,
) -> Result<Deps, EvalError> {
    let Deps::Each(sets) = reduced else {
        return Ok(reduced.clone());
    };
    let shape: Shape = (0..ty.rank())
        .filter(|a| !axes.contains(a))
        .map(|a| ty.dim(a))
        .collect();
    let dims = (0..out.rank())
        .filter(|a| *a < axis || *a >= axis + own)
        .collect();
    let op = Op::Array(ArrayOp::Broadcast(Broadcast {
        shape: out.shape.clone(),
        dims,
    }));
    let array = Array::new(shape, sets.to_vec())?;
    let ty = out.with_dtype(cotangent_array::DType::U32);
    Ok(Deps::of(eval_op(&op, &[&array], &ty)?.into_vec::<Set>()?))
}

/// One operand of a product, seen as [batch, free, contracted].
struct Side {
    batch: usize,
    free: usize,
    contract: usize,
    /// The flat position of each index of the three groups.
    offsets: [Vec<usize>; 3],
}

impl Side {
    fn new(ty: &TensorType, batch: &[usize], free: &[usize], contract: &[usize]) -> Side {
        let strides = ty.shape.strides();
        let offsets = [batch, free, contract].map(|axes| {
            let dims: Vec<usize> = axes.iter().map(|a| ty.dim(*a)).collect();
            let steps: Vec<usize> = axes
                .iter()
                .map(|a| strides.get(*a).copied().unwrap_or(0))
                .collect();
            places(&dims, &steps).collect::<Vec<usize>>()
        });
        let [b, f, c] = &offsets;
        Side {
            batch: b.len(),
            free: f.len(),
            contract: c.len(),
            offsets,
        }
    }

    fn place(&self, batch: usize, free: usize, contract: usize) -> usize {
        let [b, f, c] = &self.offsets;
        let at = |list: &[usize], i: usize| list.get(i).copied().unwrap_or(0);
        at(b, batch) + at(f, free) + at(c, contract)
    }
}

/// What the rows of one operand of a product depend on.
enum Rows {
    Nothing,
    /// For each batch, free index and, where the other operand has gaps, index of the other.
    Each {
        sets: Vec<Set>,
        free: usize,
        others: usize,
    },
}

impl Rows {
    fn at(&self, batch: usize, mine: usize, other: usize) -> Set {
        match self {
            Rows::Nothing => EMPTY,
            Rows::Each { sets, free, others } => {
                let other = if *others == 1 { 0 } else { other };
                let place = (batch * free + mine) * others + other;
                sets.get(place).copied().unwrap_or(EMPTY)
            }
        }
    }
}

/// Pairs (element of the kernel, element of the input) that meet at place `j` of an axis.
fn touched(conv: &Conv, axis: usize, size: usize, kernel: usize, j: usize) -> Vec<(usize, usize)> {
    let one = |list: &[usize]| list.get(axis).copied().unwrap_or(1).max(1) as i128;
    let (stride, dilation, spacing) = (
        one(&conv.stride),
        one(&conv.dilation),
        one(&conv.input_dilation),
    );
    let low = conv.padding.get(axis).map_or(0, |p| i128::from(p.0));
    (0..kernel)
        .filter_map(|k| {
            let place = j as i128 * stride + k as i128 * dilation - low;
            let i = usize::try_from(place.div_euclid(spacing)).ok()?;
            (place.rem_euclid(spacing) == 0 && i < size).then_some((k, i))
        })
        .collect()
}

/// The flat positions of all indices of these dims, with these strides, in row-major order.
fn places(dims: &[usize], strides: &[usize]) -> impl Iterator<Item = usize> + use<> {
    let count: usize = dims.iter().product();
    let dims = dims.to_vec();
    let strides = strides.to_vec();
    let mut index = vec![0; dims.len()];
    let mut place = 0;
    (0..count).map(move |_| {
        let here = place;
        for a in (0..dims.len()).rev() {
            index[a] += 1;
            place += strides[a];
            if index[a] < dims[a] {
                break;
            }
            place -= strides[a] * dims[a];
            index[a] = 0;
        }
        here
    })
}
