//! Reductions: axes vanish and one number stands for all elements along them.

mod extreme;

use cotangent_array::{Array, Complex64, Indices, Shape};

pub use self::extreme::{ArgMax, ArgMin, Max, Min};

use super::axes::*;
use super::rule::tangent_times;
use super::values::*;
use super::{Compare, CumProd, Kinds, Operand, Recurrence, Rule, cumulative::shift};
use crate::{Arity, Builder, EvalError, TensorType, TypeError, Var, complex, math, op_struct};

op_struct! {
    /// The sum of the elements along the axes, which vanish; 0 over no elements.
    /// Floats are added in f64 in row-major order and rounded once; integers wrap.
    Sum = "sum" {
        /// The axes that vanish, increasing.
        axes: Vec<usize>,
    }
}

impl Rule for Sum {
    const DERIVATIVE: &'static str = "the sum of the tangent";
    const CONVENTION: &'static str = "";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        reduced(args, &self.axes, Kinds::Numeric)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let sums = match Values::of(x) {
            Values::Float(v) => Values::Float(fold(&v, x, &self.axes, out, 0.0, |s, x| s + x)?),
            Values::Complex(v) => {
                let zero = Complex64::new(0.0, 0.0);
                Values::Complex(fold(&v, x, &self.axes, out, zero, |s, x| s + x)?)
            }
            Values::Int(v) => Values::Int(fold(&v, x, &self.axes, out, 0, i64::wrapping_add)?),
        };
        Ok(sums.into_array(out)?)
    }

    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        _out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        super::rule::linear_jvp(self.clone(), b, args, tangents)
    }

    fn transpose(
        &self,
        b: &mut Builder,
        args: &[Operand],
        cotangent: Var,
    ) -> Option<Vec<Option<Var>>> {
        let [Operand::Linear(x)] = args else {
            return None;
        };
        Some(vec![Some(spread(b, cotangent, x, &self.axes))])
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(
            Sum {
                axes: shifted(&self.axes),
            },
            args,
        )
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        first_elements(args)
    }
}

op_struct! {
    /// The product of the elements along the axes, which vanish; 1 over no elements.
    /// Floats are multiplied in f64 in row-major order and rounded once; integers wrap.
    Prod = "prod" {
        /// The axes that vanish, increasing.
        axes: Vec<usize>,
    }
}

impl Rule for Prod {
    const DERIVATIVE: &'static str =
        "the sum over elements of the product of all others times the tangent, without division";
    const CONVENTION: &'static str = "exact for any number of zeros.";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        reduced(args, &self.axes, Kinds::Numeric)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let products = match Values::of(x) {
            Values::Float(v) => Values::Float(fold(&v, x, &self.axes, out, 1.0, |p, x| p * x)?),
            Values::Complex(v) => {
                let one = Complex64::new(1.0, 0.0);
                Values::Complex(fold(&v, x, &self.axes, out, one, complex::factor)?)
            }
            Values::Int(v) => Values::Int(fold(&v, x, &self.axes, out, 1, i64::wrapping_mul)?),
        };
        Ok(products.into_array(out)?)
    }

    /// The product rule carried along the factors: with c the products so far,
    /// d_i = x_i d_(i-1) + c_(i-1) t_i. It divides by nothing, so zeros need no care at any order.
    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        let (&[x], &[Some(t)]) = (args, tangents) else {
            return None;
        };
        let (x, t) = (flattened(b, x, &self.axes), flattened(b, t, &self.axes));
        let axis = b.rank(x).saturating_sub(1);
        let length = b.tensor(x).dim(axis);
        if length == 0 {
            return None;
        }
        let products = b.push(
            CumProd {
                axis,
                reverse: false,
            },
            &[x],
        );
        let before = shift(b, products, axis, true, 1.0);
        let entering = tangent_times(b, t, before);
        let d = b.push(
            Recurrence {
                axis,
                reverse: false,
            },
            &[x, entering],
        );
        let last = b.slice_axis(d, axis, length - 1, length);
        let shape = b.shape(out);
        Some(b.reshape(last, shape))
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(
            Prod {
                axes: shifted(&self.axes),
            },
            args,
        )
    }

    fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
        first_elements(args)
    }
}

op_struct! {
    /// The Euclidean length of the elements along the axes, which vanish; 0 over no elements.
    /// Elements are scaled, so that their squares neither overflow nor vanish.
    Norm = "norm" {
        /// The axes that vanish, increasing.
        axes: Vec<usize>,
    }
}

impl Rule for Norm {
    const DERIVATIVE: &'static str = "sum(x / out * tangent)";
    const CONVENTION: &'static str = "0 at the zero vector, at every order.";

    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
        reduced(args, &self.axes, Kinds::Float)
    }

    fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
        let [x] = args else { return Err(missing(out)) };
        let v = x.to_f64s();
        let largest = fold(&v, x, &self.axes, out, 0.0, |m, x| {
            math::max(m, f64::abs(x))
        })?;
        let mut lengths: Vec<(f64, f64)> = largest.into_iter().map(|m| (scale(m), 0.0)).collect();
        fold_into(&mut lengths, &v, x, &self.axes, out, |(scale, sum), x| {
            *sum += (x / *scale) * (x / *scale);
        });
        let lengths = lengths
            .into_iter()
            .map(|(scale, sum)| scale * sum.sqrt())
            .collect();
        Ok(Values::Float(lengths).into_array(out)?)
    }

    /// The direction x / |x|, and 0 for the zero vector: the outer select also keeps the direction's
    /// own derivative at 0 there, the inner one keeps 0 / 0 out of the graph.
    fn jvp(
        &self,
        b: &mut Builder,
        args: &[Var],
        out: Var,
        tangents: &[Option<Var>],
    ) -> Option<Var> {
        let (&[x], &[Some(t)]) = (args, tangents) else {
            return None;
        };
        let ty = b.tensor(x);
        let (zero, one) = (b.like(out, 0.0), b.like(out, 1.0));
        let vanishes = b.compare(Compare::Eq, out, zero);
        let length = b.select(vanishes, one, out);
        let length = spread(b, length, &ty, &self.axes);
        let vanishes = spread(b, vanishes, &ty, &self.axes);
        let direction = b.div(x, length);
        let zeros = b.like(x, 0.0);
        let direction = b.select(vanishes, zeros, direction);
        let along = tangent_times(b, t, direction);
        Some(b.sum(along, &self.axes))
    }

    fn transpose(&self, _: &mut Builder, _: &[Operand], _: Var) -> Option<Vec<Option<Var>>> {
        None
    }

    fn batch(&self, b: &mut Builder, args: &[Var], _batched: &[bool], _size: usize) -> Var {
        b.push(
            Norm {
                axes: shifted(&self.axes),
            },
            args,
        )
    }

    fn cost(&self, args: &[&TensorType], out: &TensorType) -> u64 {
        let roots = (out.shape.elements() as u64).saturating_mul(10);
        first_elements(args).saturating_mul(3).saturating_add(roots)
    }
}

/// The power of two just below a magnitude. Scaling by it is exact, so that numbers of ordinary
/// size give the same bits as the plain sum of squares.
fn scale(largest: f64) -> f64 {
    if !largest.is_finite() {
        1.0
    } else if largest < f64::MIN_POSITIVE {
        f64::MIN_POSITIVE
    } else {
        f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits())
    }
}

macro_rules! logical {
    ($(#[doc = $doc:literal] $T:ident = $name:literal, $start:literal, $step:expr;)+) => {$(
        op_struct! {
            #[doc = $doc]
            $T = $name {
                /// The axes that vanish, increasing.
                axes: Vec<usize>,
            }
        }

        impl Rule for $T {
            const DERIVATIVE: &'static str = "none";
            const CONVENTION: &'static str = "";

            fn arity(&self) -> Arity {
                Arity::Exactly(1)
            }

            fn infer(&self, args: &[&TensorType]) -> Result<TensorType, TypeError> {
                let out = reduced(args, &self.axes, Kinds::Any)?;
                if !out.dtype.is_bool() {
                    crate::type_error!("expected bool, found {}", out.dtype);
                }
                Ok(out)
            }

            fn eval(&self, args: &[&Array], out: &TensorType) -> Result<Array, EvalError> {
                let [x] = args else { return Err(missing(out)) };
                let v: Vec<i64> = x.scalars().map(|s| s.to_i64()).collect();
                let step: fn(i64, i64) -> i64 = $step;
                Ok(Values::Int(fold(&v, x, &self.axes, out, $start, step)?).into_array(out)?)
            }

            fn jvp(
                &self,
                _: &mut Builder,
                _: &[Var],
                _: Var,
                _: &[Option<Var>],
            ) -> Option<Var> {
                None
            }

            fn transpose(
                &self,
                _: &mut Builder,
                _: &[Operand],
                _: Var,
            ) -> Option<Vec<Option<Var>>> {
                None
            }

            fn batch(&self, b: &mut Builder, args: &[Var], _: &[bool], _: usize) -> Var {
                b.push($T { axes: shifted(&self.axes) }, args)
            }

            fn cost(&self, args: &[&TensorType], _out: &TensorType) -> u64 {
                first_elements(args)
            }
        }
    )+};
}

logical! {
    /// Whether any of the bools along the axes, which vanish, is true; false over no elements.
    Any = "any", 0, |a, x| a | x;
    /// Whether all of the bools along the axes, which vanish, are true; true over no elements.
    All = "all", 1, |a, x| a & x;
}

/// The type of a reduction's result.
fn reduced(args: &[&TensorType], axes: &[usize], kinds: Kinds) -> Result<TensorType, TypeError> {
    let [x] = args else {
        crate::type_error!("expected 1 operand, found {}", args.len())
    };
    check_dtype(x, kinds)?;
    check_axes(x, axes)?;
    let kept: Shape = other_axes(x.rank(), axes)
        .into_iter()
        .map(|a| x.dim(a))
        .collect();
    Ok(x.with_shape(kept))
}

/// One result for each place along the other axes, from a start and all elements in row-major
/// order.
fn fold<T: Copy, A: Copy>(
    values: &[T],
    x: &Array,
    axes: &[usize],
    out: &TensorType,
    start: A,
    step: impl Fn(A, T) -> A,
) -> Result<Vec<A>, EvalError> {
    let mut results = filled(out, start)?;
    fold_into(&mut results, values, x, axes, out, |a, x| *a = step(*a, x));
    Ok(results)
}

/// As [`fold`], from the results so far.
fn fold_into<T: Copy, A>(
    results: &mut [A],
    values: &[T],
    x: &Array,
    axes: &[usize],
    out: &TensorType,
    step: impl Fn(&mut A, T),
) {
    let mut strides = vec![0; x.rank()];
    for (axis, stride) in other_axes(x.rank(), axes)
        .into_iter()
        .zip(out.shape.strides())
    {
        strides[axis] = stride;
    }
    let mut indices = Indices::new(x.shape());
    for value in values {
        let Some(index) = indices.next_index() else {
            break;
        };
        if let Some(result) = results.get_mut(flat(index.iter().copied(), &strides)) {
            step(result, *value);
        }
    }
}

/// A reduction's result repeated along the axes that vanished.
fn spread(b: &mut Builder, result: Var, x: &TensorType, axes: &[usize]) -> Var {
    b.broadcast(result, x.shape.clone(), &other_axes(x.rank(), axes))
}

/// The operand with the reduced axes joined into one, which is the last.
fn flattened(b: &mut Builder, x: Var, axes: &[usize]) -> Var {
    let ty = b.tensor(x);
    let kept = other_axes(ty.rank(), axes);
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let joined = axes
        .iter()
        .map(|a| ty.dim(*a))
        .collect::<Shape>()
        .elements();
    let shape: Shape = kept.iter().map(|a| ty.dim(*a)).chain([joined]).collect();
    let moved = b.transpose(x, &order);
    b.reshape(moved, shape)
}

#[cfg(test)]
#[path = "reduce_tests.rs"]
mod tests;
