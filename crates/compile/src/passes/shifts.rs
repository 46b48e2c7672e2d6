//! Computes what is read across one shift alone where it is read.
//!
//! What is read at other places than it is computed at is stored, by a region that runs before. A few sums and
//! products of vectors that are in memory anyway, being inputs or read across shifts themselves, are had from
//! these by their reader: a shift of a product is the product of shifts. Where the shift brings zeros in, so do
//! those of the operands, and what is computed of zeros must be that zero.

use cotangent_array::Scalar;
use cotangent_graph::ops::{ArrayOp, Binary, Pad, Slice};
use cotangent_graph::{Builder, Equation, FastMap, Graph, Op, TensorType, Var, eval_scalars};
use smallvec::SmallVec;

use super::rewrite::rewrite_from;
use crate::CompileError;

/// The most operations that are computed at other places.
const MOST: usize = 5;
/// The most vectors that are read for that, in place of one.
const MOST_SOURCES: usize = 3;

pub(super) fn run(graph: &Graph) -> Result<Option<Graph>, CompileError> {
    let found = find(graph);
    if found.is_empty() {
        return Ok(None);
    }
    rewrite_from(graph, |b, v, to| found.get(&v)?.build(b, graph, v, to)).map(Some)
}

/// A part of a vector with zeros around it, as long as that vector.
#[derive(Clone, Copy)]
struct Shift {
    source: Var,
    /// The first element.
    start: usize,
    /// How many elements there are, and how many zeros before them.
    length: usize,
    low: usize,
}

impl Shift {
    /// This shift of what another one gives.
    fn of(self, inner: Shift) -> Option<Shift> {
        let first = self.start.max(inner.low);
        let end = (self.start + self.length).min(inner.low + inner.length);
        let length = end.checked_sub(first).filter(|n| *n > 0)?;
        Some(Shift {
            source: inner.source,
            start: inner.start + (first - inner.low),
            length,
            low: self.low + (first - self.start),
        })
    }

    fn build(self, b: &mut Builder, to: &[Var], zero: Var, total: usize) -> Option<Var> {
        let slice = Slice {
            start: vec![self.start],
            limit: vec![self.start + self.length],
            stride: vec![1],
        };
        let pad = Pad {
            low: vec![self.low],
            high: vec![total.checked_sub(self.low + self.length)?],
            interior: vec![0],
        };
        let part = b.push(slice, &[to[self.source.index()]]);
        Some(b.push(pad, &[part, zero]))
    }
}

/// A shifted vector that is computed from others.
struct Computed {
    /// The operations at the places of the result, in order; the last one is the result.
    ops: SmallVec<[Var; MOST]>,
    /// What they read in place of other variables.
    sources: SmallVec<[(Var, Shift); MOST_SOURCES]>,
}

fn find(graph: &Graph) -> FastMap<Var, Computed> {
    let mut found = FastMap::default();
    let pads = |(_, e): &(Var, &Equation)| matches!(e.op, Op::Array(ArrayOp::Pad(_)));
    if !graph.iter().any(|e| pads(&e)) {
        return found;
    }
    let mut reads = vec![0_u32; graph.equations().len()];
    let args = graph.equations().iter().flat_map(|e| &e.args);
    for v in args.chain(graph.outputs()) {
        reads[v.index()] = reads[v.index()].saturating_add(1);
    }
    for (v, e) in graph.iter().filter(pads) {
        let once = |v: &Var| reads[v.index()] == 1;
        if let (Some(shift), Some(part)) = (shift_of(graph, v), e.args.first())
            && [v, *part, shift.source].iter().all(once)
            && let Some(computed) = Computed::of(graph, shift, v)
        {
            found.insert(v, computed);
        }
    }
    found
}

/// The shift of a vector of floats that a variable is.
fn shift_of(graph: &Graph, v: Var) -> Option<Shift> {
    let e = graph.equation(v);
    let ty = vector(e.ty.tensor()?)?;
    let (Op::Array(ArrayOp::Pad(pad)), [part, value]) = (&e.op, &e.args[..]) else {
        return None;
    };
    let zero = graph.splat(*value)?.to_f64().to_bits() == 0;
    let (source, start) = match &graph.equation(*part).op {
        Op::Array(ArrayOp::Slice(slice)) if slice.stride == [1] => {
            (*graph.equation(*part).args.first()?, *slice.start.first()?)
        }
        _ => (*part, 0),
    };
    let shift = Shift {
        source,
        start,
        length: graph.ty(*part).tensor()?.shape.elements(),
        low: *pad.low.first()?,
    };
    let plain = zero && pad.interior == [0] && shift.length > 0;
    (plain && graph.ty(source).tensor() == Some(ty)).then_some(shift)
}

fn vector(ty: &TensorType) -> Option<&TensorType> {
    let many = ty.shape.rank() == 1 && ty.shape.elements() > 1;
    (many && ty.dtype.is_float()).then_some(ty)
}

impl Computed {
    /// What the result of a shift is computed from, if that is little.
    fn of(graph: &Graph, shift: Shift, result: Var) -> Option<Computed> {
        let ty = graph.ty(result).tensor()?;
        let mut computed = Computed {
            ops: SmallVec::new(),
            sources: SmallVec::new(),
        };
        let mut work: SmallVec<[Var; 8]> = SmallVec::from_slice(&[shift.source]);
        while let Some(v) = work.pop() {
            let known = computed.sources.iter().any(|(source, _)| *source == v);
            if known || computed.ops.contains(&v) || graph.splat(v).is_some() {
                continue;
            }
            let e = graph.equation(v);
            let own = Shift {
                source: v,
                start: 0,
                length: ty.shape.elements(),
                low: 0,
            };
            let source = match e.op.is_input() {
                true => Some(own),
                false => shift_of(graph, v),
            };
            if e.ty.tensor() != Some(ty) || !computed.is_little() {
                return None;
            } else if let Some(source) = source {
                computed.sources.push((v, shift.of(source)?));
            } else {
                let cheap = matches!(e.op, Op::Binary(Binary::Add | Binary::Sub | Binary::Mul));
                if !cheap || e.checkpoint != graph.equation(result).checkpoint {
                    return None;
                }
                computed.ops.push(v);
                work.extend(e.args.iter().copied());
            }
        }
        computed.ops.sort_unstable();
        (computed.is_little() && !computed.ops.is_empty() && computed.is_zero(graph))
            .then_some(computed)
    }

    fn is_little(&self) -> bool {
        self.ops.len() <= MOST && self.sources.len() <= MOST_SOURCES
    }

    /// Whether the result of zeros is zero, with its sign.
    fn is_zero(&self, graph: &Graph) -> bool {
        let mut values: SmallVec<[(Var, Scalar); MOST]> = SmallVec::new();
        for v in &self.ops {
            let e = graph.equation(*v);
            let Some(ty) = e.ty.tensor() else {
                return false;
            };
            let args = e.args.iter().map(|a| {
                let known = values.iter().find(|(known, _)| known == a);
                let number = known.map(|(_, x)| *x).or(graph.splat(*a));
                number.unwrap_or(Scalar::zero(ty.dtype))
            });
            let args: SmallVec<[Scalar; 2]> = args.collect();
            match eval_scalars(&e.op, &args) {
                Some(value) => values.push((*v, value)),
                None => return false,
            }
        }
        let last = values.last();
        last.is_some_and(|(_, x)| x.to_f64().to_bits() == 0)
    }

    fn build(&self, b: &mut Builder, graph: &Graph, result: Var, to: &[Var]) -> Option<Var> {
        let zero = to[graph.equation(result).args.get(1)?.index()];
        let total = graph.ty(result).tensor()?.shape.elements();
        let mut new: SmallVec<[(Var, Var); 8]> = SmallVec::new();
        for (v, shift) in &self.sources {
            new.push((*v, shift.build(b, to, zero, total)?));
        }
        for v in &self.ops {
            let e = graph.equation(*v);
            let args = e.args.iter().map(|a| {
                let known = new.iter().find(|(old, _)| old == a);
                known.map_or(to[a.index()], |(_, new)| *new)
            });
            let args: SmallVec<[Var; 2]> = args.collect();
            new.push((*v, b.push(e.op.clone(), &args)));
        }
        new.last().map(|(_, new)| *new)
    }
}

#[cfg(test)]
mod tests {
    use cotangent_array::Array;
    use cotangent_graph::{Graph, eval, parse};

    use crate::optimize;

    fn both(text: &str) -> (Graph, Graph) {
        let graph = parse(text).unwrap().entry().clone();
        let after = optimize(&graph, None).unwrap();
        (graph, after)
    }

    fn shifts(graph: &Graph) -> usize {
        let equations = graph.equations().iter();
        equations.filter(|e| e.op.name() == "pad").count()
    }

    #[test]
    fn a_shift_of_a_product_is_the_product_of_shifts() {
        let (before, after) = both(
            "fn f(x: f64[5], y: f64[5], z: f64[5]) -> f64[5] {
                let a = pad(exp(x)[1:5], 0.0, low=[0], high=[1]);
                let b = (y * 0.5 + a) * z;
                pad(b[2:5], 0.0, low=[1], high=[1]) + x
            }",
        );
        assert_eq!((shifts(&before), shifts(&after)), (2, 3), "{after}");
        let array = |x: [f64; 5]| Array::new([5], x.to_vec()).unwrap();
        // What is not read may be anything.
        let inputs = [
            array([0.5, -1.0, 2.0, 0.25, 3.0]),
            array([f64::NAN, f64::INFINITY, -1.5, -0.0, 4.0]),
            array([f64::INFINITY, f64::NAN, -0.0, 2.0, -3.0]),
        ];
        let [one, other] = [&before, &after].map(|graph| eval(graph, &inputs).unwrap());
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn zeros_keep_their_sign() {
        for (number, count) in [(2.0, 2), (-2.0, 1)] {
            let (_, after) = both(&format!(
                "fn f(x: f64[5], y: f64[5]) -> f64[5] {{
                    let b = x * {number:?} * y;
                    pad(b[1:5], 0.0, low=[0], high=[1]) + y
                }}"
            ));
            assert_eq!(shifts(&after), count, "{after}");
        }
    }
}
