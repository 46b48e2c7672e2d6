//! `fft`, `rfft` and `irfft`: line by line through working memory, by [`cotangent_numerics`], or
//! by the reference evaluator where the feature `fft` is off.

use cotangent_graph::TensorType;
use cotangent_graph::ops::ArrayOp;

use super::Site;
use crate::memory::Run;

#[cfg(feature = "fft")]
pub(super) use fast::{kernel, scratch};
#[cfg(not(feature = "fft"))]
pub(super) use reference::{kernel, scratch};

#[cfg(feature = "fft")]
mod fast {
    use std::sync::Arc;

    use cotangent_array::Complex;
    use cotangent_numerics::{ComplexToReal, Fft, Fourier, RealToComplex};

    use super::*;
    use crate::kernels::around;
    use crate::memory::Slot;
    use crate::number::{Float, by_dtype};

    /// A float that the transforms are made for.
    trait Part: Float<Pair = Complex<Self>> + Fourier {}
    impl Part for f64 {}
    impl Part for f32 {}

    pub(in crate::kernels) fn scratch(op: &ArrayOp, x: &TensorType) -> usize {
        let bytes = by_dtype!(float x.dtype.real(), T => Lines::<T>::of(op, x).map(|l| l.bytes()), else None);
        bytes.unwrap_or(0)
    }

    pub(in crate::kernels) fn kernel(op: &ArrayOp, site: &Site<'_>) -> Option<Run> {
        by_dtype!(float site.out.ty.dtype.real(), T => transform::<T>(op, site), else None)
    }

    fn transform<T: Part>(op: &ArrayOp, site: &Site<'_>) -> Option<Run> {
        let [x] = site.args else { return None };
        let lines = Lines::<T>::of(op, &x.ty)?;
        let (x, out, scratch) = (x.slot, site.out.slot, site.scratch);
        Some(Box::new(move |frame| {
            // SAFETY: the plan was checked: nothing that is written overlaps anything else, and the
            // dtypes are these. The working memory is cut into two pieces, complex numbers and reals.
            unsafe {
                let (pairs, reals) = lines.pieces(scratch);
                let (pairs, reals) = (frame.write(pairs), frame.write(reals));
                match &lines {
                    Lines::Complex(axes) => {
                        let (x, out) = (frame.read(x), frame.write(out));
                        complex(axes, x, out, pairs);
                    }
                    Lines::Forward(plan, shape) => {
                        let (x, out) = (frame.read(x), frame.write(out));
                        forward(&**plan, *shape, x, out, pairs, reals);
                    }
                    Lines::Backward(plan, shape) => {
                        let (x, out) = (frame.read(x), frame.write(out));
                        backward(&**plan, *shape, x, out, pairs, reals);
                    }
                }
            }
            Ok(())
        }))
    }

    /// Elements before, along and behind an axis.
    type Around = [usize; 3];

    /// What is done to the lines of an array.
    enum Lines<T: Part> {
        /// Complex transforms along axes, one after the other.
        Complex(Vec<(Arc<dyn Fft<T>>, Around)>),
        /// From real numbers.
        Forward(Arc<dyn RealToComplex<T>>, Around),
        /// To real numbers.
        Backward(Arc<dyn ComplexToReal<T>>, Around),
    }

    impl<T: Part> Lines<T> {
        fn of(op: &ArrayOp, x: &TensorType) -> Option<Lines<T>> {
            match op {
                ArrayOp::Fft(op) => {
                    let axes = op.axes.iter().map(|axis| {
                        let plan = T::complex(x.dim(*axis), op.inverse);
                        (plan, around(x, *axis))
                    });
                    Some(Lines::Complex(axes.collect()))
                }
                ArrayOp::Rfft(op) => {
                    let plan = T::forward(x.dim(op.axis));
                    Some(Lines::Forward(plan, around(x, op.axis)))
                }
                ArrayOp::Irfft(op) => {
                    let plan = T::backward(op.n);
                    Some(Lines::Backward(plan, around(x, op.axis)))
                }
                _ => None,
            }
        }

        /// Complex numbers and real numbers of working memory.
        fn room(&self) -> (usize, usize) {
            match self {
                Lines::Complex(axes) => {
                    let room = |(plan, [_, n, _]): &(Arc<dyn Fft<T>>, Around)| {
                        n + plan.get_inplace_scratch_len()
                    };
                    (axes.iter().map(room).max().unwrap_or(0), 0)
                }
                Lines::Forward(plan, [_, n, _]) => (n / 2 + 1 + plan.get_scratch_len(), *n),
                Lines::Backward(plan, [_, m, _]) => (m + plan.get_scratch_len(), plan.len()),
            }
        }

        fn bytes(&self) -> usize {
            let (pairs, reals) = self.room();
            let pairs = pairs.saturating_mul(size_of::<Complex<T>>());
            pairs.saturating_add(reals.saturating_mul(size_of::<T>()))
        }

        /// The slots of the complex and of the real numbers; empty ones where the memory is too short.
        fn pieces(&self, scratch: Slot) -> (Slot, Slot) {
            let fits = scratch.len >= self.bytes();
            let (pairs, reals) = if fits { self.room() } else { (0, 0) };
            let offset = scratch.offset + pairs * size_of::<Complex<T>>();
            (
                Slot {
                    len: pairs,
                    ..scratch
                },
                Slot {
                    offset,
                    len: reals,
                    ..scratch
                },
            )
        }
    }

    fn complex<T: Part>(
        axes: &[(Arc<dyn Fft<T>>, Around)],
        x: &[Complex<T>],
        out: &mut [Complex<T>],
        pairs: &mut [Complex<T>],
    ) {
        out.copy_from_slice(x);
        for (plan, shape) in axes {
            let (line, scratch) = pairs.split_at_mut(shape[1].min(pairs.len()));
            for first in firsts(*shape) {
                let places = || (first..).step_by(shape[2]);
                for (z, at) in line.iter_mut().zip(places()) {
                    *z = out[at];
                }
                let finite = line.iter().all(|z| is_finite(*z));
                plan.process_with_scratch(line, scratch);
                for (z, at) in line.iter().zip(places()) {
                    out[at] = if finite { *z } else { nan() };
                }
            }
        }
    }

    fn forward<T: Part>(
        plan: &dyn RealToComplex<T>,
        shape: Around,
        x: &[T],
        out: &mut [Complex<T>],
        pairs: &mut [Complex<T>],
        reals: &mut [T],
    ) {
        let [outer, n, inner] = shape;
        let m = n / 2 + 1;
        let (line, scratch) = pairs.split_at_mut(m.min(pairs.len()));
        for (from, to) in firsts(shape).zip(firsts([outer, m, inner])) {
            for (element, at) in reals.iter_mut().zip((from..).step_by(inner)) {
                *element = x[at];
            }
            let finite = reals.iter().all(|x| x.to().is_finite());
            // Lengths are those of the plan, so this cannot fail.
            let done = plan.process_with_scratch(reals, line, scratch).is_ok();
            for (z, at) in line.iter().zip((to..).step_by(inner)) {
                out[at] = if finite && done { *z } else { nan() };
            }
        }
    }

    fn backward<T: Part>(
        plan: &dyn ComplexToReal<T>,
        shape: Around,
        x: &[Complex<T>],
        out: &mut [T],
        pairs: &mut [Complex<T>],
        reals: &mut [T],
    ) {
        let [outer, m, inner] = shape;
        let n = plan.len();
        let (line, scratch) = pairs.split_at_mut(m.min(pairs.len()));
        for (from, to) in firsts(shape).zip(firsts([outer, n, inner])) {
            for (z, at) in line.iter_mut().zip((from..).step_by(inner)) {
                *z = x[at];
            }
            let finite = line.iter().all(|z| is_finite(*z));
            // Frequencies that are their own partners are real.
            if let Some(z) = line.first_mut() {
                z.im = T::of(0.0);
            }
            if n.is_multiple_of(2)
                && let Some(z) = line.last_mut()
            {
                z.im = T::of(0.0);
            }
            let done = plan.process_with_scratch(line, reals, scratch).is_ok();
            for (element, at) in reals.iter().zip((to..).step_by(inner)) {
                out[at] = if finite && done {
                    *element
                } else {
                    T::of(f64::NAN)
                };
            }
        }
    }

    /// The position of the first element of each line along the axis.
    fn firsts([outer, n, inner]: Around) -> impl Iterator<Item = usize> {
        let outer = if n == 0 { 0 } else { outer };
        (0..outer).flat_map(move |o| (0..inner).map(move |i| o * n * inner + i))
    }

    fn is_finite<T: Part>(z: Complex<T>) -> bool {
        z.re.to().is_finite() && z.im.to().is_finite()
    }

    fn nan<T: Part>() -> Complex<T> {
        Complex::new(T::of(f64::NAN), T::of(f64::NAN))
    }
}

#[cfg(not(feature = "fft"))]
mod reference {
    use cotangent_array::Array;

    use super::*;
    use crate::RunError;
    use crate::memory::{Frame, Slot};
    use crate::number::by_dtype;

    pub(in crate::kernels) fn scratch(_: &ArrayOp, _: &TensorType) -> usize {
        0
    }

    /// Copies the operand into an array and evaluates it: slow, but right.
    pub(in crate::kernels) fn kernel(op: &ArrayOp, site: &Site<'_>) -> Option<Run> {
        let [x] = site.args else { return None };
        let (op, ty, out_ty) = (op.clone(), x.ty.clone(), site.out.ty.clone());
        let (x, out) = (x.slot, site.out.slot);
        Some(Box::new(move |frame| {
            let failed = |e: &dyn std::error::Error| RunError::Plan(e.to_string());
            let x = array(frame, x, &ty)?;
            let found = op.eval(&[&x], &out_ty).map_err(|e| failed(&e))?;
            by_dtype!(numeric out_ty.dtype, T => {
                // SAFETY: the plan was checked: the slot holds elements of this dtype, and nothing
                // else reads or writes it.
                let out = unsafe { frame.write::<T>(out) };
                out.copy_from_slice(found.as_slice::<T>()?);
                Ok(())
            }, else Ok(()))
        }))
    }

    fn array(frame: &Frame<'_>, slot: Slot, ty: &TensorType) -> Result<Array, RunError> {
        by_dtype!(numeric ty.dtype, T => {
            // SAFETY: as above.
            let values = unsafe { frame.read::<T>(slot) };
            Ok(Array::new(ty.shape.clone(), values)?)
        }, else Ok(Array::zeros(ty.dtype, ty.shape.clone())?))
    }
}
