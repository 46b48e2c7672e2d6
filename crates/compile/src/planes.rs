//! Convolutions that read their input where it stood before it was transposed or put together.
//!
//! What is moved then are whole planes, the elements of one channel of one image, and a convolution
//! lays out one plane after another anyway: it needs to know only where each begins. So the
//! derivative to a kernel, a convolution in which images and channels have changed places, needs no
//! copy of its input, and channels that come from several arrays need not be put side by side.

use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Equation, Graph, Op, TensorType, Var};
use smallvec::SmallVec;

use crate::fuse::is_view;

/// Where the planes of a convolution's input stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planes {
    /// The type of the input as the convolution takes it.
    pub input: TensorType,
    /// Whether the parts follow one another along the channels; otherwise along the images.
    pub channels: bool,
    /// The arrays that make up the input, in order.
    pub parts: Vec<Part>,
}

/// An array that holds some images or some channels of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// How many images or channels.
    pub count: usize,
    /// Elements from one image to the next, from one group to the next, and from one channel of a
    /// group to the next.
    pub steps: [usize; 3],
}

/// A way to read a convolution's input in place.
pub(crate) struct Source {
    /// What need not be stored for it: the results of a transpose and of a concatenation.
    pub(crate) between: SmallVec<[Var; 2]>,
    /// What is read, one for each part.
    pub(crate) arrays: SmallVec<[Var; 2]>,
    pub(crate) planes: Planes,
}

/// Planes of fewer elements are moved together first: they share lines of the cache.
const SHORTEST: usize = 64;

/// The ways in which a convolution can read its input in place, that which goes back furthest last.
pub(crate) fn sources(graph: &Graph, e: &Equation) -> SmallVec<[Source; 2]> {
    let mut found = SmallVec::new();
    if matches!(e.op, Op::Array(ArrayOp::Conv(_)))
        && let Some(moved) = transposed(graph, e)
    {
        let joined = joined(graph, e, &moved);
        // Without a transpose there is nothing to gain from what stands in one piece.
        found.extend(Some(moved).filter(|m| !m.between.is_empty()));
        found.extend(joined);
    }
    found
}

/// The operand of a transpose that leaves planes whole, or the input itself.
fn transposed(graph: &Graph, e: &Equation) -> Option<Source> {
    let all = counts(e, graph)?;
    let [.., plane] = all;
    let input = *e.args.first()?;
    let moved = root(graph, input);
    let equation = graph.equation(moved);
    let shape = &equation.ty.tensor()?.shape;
    let mut source = moved;
    let mut between = SmallVec::new();
    let mut strides: SmallVec<[usize; 6]> = shape.strides().into_iter().collect();
    if let Op::Array(ArrayOp::Transpose(transpose)) = &equation.op {
        source = root(graph, *equation.args.first()?);
        let own = graph.ty(*equation.args.first()?).tensor()?.shape.strides();
        let permuted = transpose.axes.iter().map(|axis| own.get(*axis).copied());
        strides = permuted.collect::<Option<_>>()?;
        between.push(moved);
    }
    // From the innermost axis, neighbours that follow one another in memory as one.
    let mut loops: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for (n, stride) in shape.iter().zip(strides).rev() {
        match loops.last_mut() {
            _ if *n == 1 => {}
            Some((length, step)) if step.checked_mul(*length)? == stride => {
                *length = length.checked_mul(*n)?;
            }
            _ => loops.push((*n, stride)),
        }
    }
    if plane < SHORTEST {
        return None;
    }
    let mut loops = loops.into_iter();
    let mut at = loops.next()?;
    let mut steps = [0; 4];
    for (size, step) in all.into_iter().rev().zip(&mut steps) {
        if size == 1 {
            continue;
        }
        if at.0 == 1 {
            at = loops.next()?;
        }
        if at.0 % size != 0 {
            return None;
        }
        *step = at.1;
        at = (at.0 / size, at.1.checked_mul(size)?);
    }
    let [1, channel, group, image] = steps else {
        return None;
    };
    let count = all[0];
    let steps = [image, group, channel];
    Some(Source {
        between,
        arrays: SmallVec::from_elem(source, 1),
        planes: Planes {
            input: graph.ty(input).tensor()?.clone(),
            channels: false,
            parts: vec![Part { count, steps }],
        },
    })
}

/// The arrays of which a concatenation puts the images or the channels of an input together.
fn joined(graph: &Graph, e: &Equation, whole: &Source) -> Option<Source> {
    let [images, groups, channels, plane] = counts(e, graph)?;
    let (&[var], &[Part { steps, .. }]) = (&whole.arrays[..], &whole.planes.parts[..]) else {
        return None;
    };
    let equation = graph.equation(var);
    let Op::Array(ArrayOp::Concat(concat)) = &equation.op else {
        return None;
    };
    // A kernel of one element is a product with the planes as they stand, at one distance.
    let kernel = graph.ty(*e.args.get(1)?).tensor()?;
    let window: usize = kernel.shape.get(2..)?.iter().product();
    if groups != 1 || window <= 1 {
        return None;
    }
    let shape = &equation.ty.tensor()?.shape;
    let length = *shape.get(concat.axis)?;
    let inner: usize = shape.get(concat.axis + 1..)?.iter().product();
    let turn = inner.checked_mul(length)?;
    // One of the two goes along the axis; the other one over whole turns, or stays inside a step.
    let [image, _, channel] = steps;
    let along = |step: usize, count: usize| step == inner && count == length;
    let (by_channels, other, other_count) = match inner.is_multiple_of(plane) {
        true if along(channel, channels) => (true, image, images),
        true if along(image, images) => (false, channel, channels),
        _ => return None,
    };
    let reach = (other_count - 1).checked_mul(other)?.checked_add(plane)?;
    let inside = reach <= inner;
    if !inside && other % turn != 0 {
        return None;
    }
    let mut parts = Vec::with_capacity(equation.args.len());
    let mut arrays = SmallVec::new();
    for arg in &equation.args {
        let count = *graph.ty(*arg).tensor()?.shape.get(concat.axis)?;
        let other = match inside {
            true => other,
            false => (other / turn).checked_mul(inner.checked_mul(count)?)?,
        };
        let steps = match by_channels {
            true => [other, 0, inner],
            false => [inner, 0, other],
        };
        parts.push(Part { count, steps });
        arrays.push(*arg);
    }
    let mut between = whole.between.clone();
    between.push(var);
    Some(Source {
        between,
        arrays,
        planes: Planes {
            input: whole.planes.input.clone(),
            channels: by_channels,
            parts,
        },
    })
}

/// The variable whose memory a view shows.
fn root(graph: &Graph, mut v: Var) -> Var {
    loop {
        let e = graph.equation(v);
        match e.args.first() {
            Some(x) if is_view(graph, e) => v = *x,
            _ => return v,
        }
    }
}

/// The numbers of images, groups, channels of a group, and elements of a plane.
fn counts(e: &Equation, graph: &Graph) -> Option<[usize; 4]> {
    let Op::Array(ArrayOp::Conv(op)) = &e.op else {
        return None;
    };
    let [input, kernel] = e.args[..] else {
        return None;
    };
    let (input, kernel) = (graph.ty(input).tensor()?, graph.ty(kernel).tensor()?);
    counts_of(op.groups, input, kernel)
}

fn counts_of(groups: usize, input: &TensorType, kernel: &TensorType) -> Option<[usize; 4]> {
    let plane = input.shape.get(2..)?.iter().product();
    let all = [input.dim(0), groups, kernel.dim(1), plane];
    let elements = all.iter().try_fold(1_usize, |n, k| n.checked_mul(*k))?;
    (elements == input.shape.elements() && elements > 0).then_some(all)
}

impl Planes {
    /// Whether there is an array for every part, of the input's dtype, that has all of its planes.
    pub(crate) fn are_inside(&self, op: &Op, arrays: &[&TensorType], kernel: &TensorType) -> bool {
        let Op::Array(ArrayOp::Conv(op)) = op else {
            return false;
        };
        let Some([images, groups, channels, plane]) = counts_of(op.groups, &self.input, kernel)
        else {
            return false;
        };
        let along = if self.channels { channels } else { images };
        let sum = (self.parts.iter()).try_fold(0_usize, |n, part| n.checked_add(part.count));
        let one = groups == 1 || self.parts.len() == 1 && !self.channels;
        let fits = |(part, ty): (&Part, &&TensorType)| {
            let counts = match self.channels {
                true => [images, groups, part.count],
                false => [part.count, groups, channels],
            };
            let last = counts.into_iter().zip(part.steps);
            let end = last
                .map(|(n, step)| n.saturating_sub(1).checked_mul(step))
                .try_fold(plane, |end, more| end.checked_add(more?));
            ty.dtype == self.input.dtype
                && (part.count == 0 || end.is_some_and(|end| end <= ty.shape.elements()))
        };
        sum == Some(along)
            && one
            && arrays.len() == self.parts.len()
            && self.parts.iter().zip(arrays).all(fits)
    }
}
