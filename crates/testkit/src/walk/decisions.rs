//! What an evaluation decides on its way.

use cotangent_array::{Array, DType, Indices, Scalar};
use cotangent_graph::ops::{ArrayOp, Binary, Part, Ternary, Unary, WindowArgMax};
use cotangent_graph::{EvalError, Op, TensorType, eval_op};

use super::Walk;

impl Walk<'_> {
    pub(super) fn decide(
        &mut self,
        op: &Op,
        args: &[&Array],
        result: &Array,
    ) -> Result<(), EvalError> {
        if !result.dtype().is_inexact() {
            result.scalars().for_each(|s| self.note(s.to_i64() as u64));
            return Ok(());
        }
        match (op, args) {
            (Op::Unary(op), [z]) if z.dtype().is_complex() => self.cuts(*op, z),
            (Op::Part(Part::Angle), [z]) => self.cuts(Unary::Log, z),
            (Op::Binary(op), [x, y]) if x.dtype().is_complex() => match op {
                Binary::Pow => self.cuts(Unary::Log, x),
                Binary::Div => {
                    (y.scalars().map(Scalar::to_complex)).for_each(|z| self.side(z.norm(), 0.0))
                }
                _ => {}
            },
            (Op::Indexed(..), [x]) if x.dtype().is_complex() => {}
            (Op::Unary(op), [x]) if x.dtype().is_float() => {
                use Unary::{Ceil, Floor, Round, Sign, Trunc};
                for kink in op.row().kinks {
                    x.scalars().for_each(|x| self.side(x.to_f64(), *kink));
                }
                if matches!(op, Floor | Ceil | Round | Trunc | Sign) {
                    result
                        .scalars()
                        .for_each(|s| self.note((s.to_f64() + 0.0).to_bits()));
                }
            }
            (Op::Indexed(op, _), [x]) => {
                for kink in op.row().kinks {
                    x.scalars().for_each(|x| self.side(x.to_f64(), *kink));
                }
            }
            (Op::Binary(op), [x, y]) => {
                for (x, y) in x.scalars().zip(y.scalars()) {
                    let (x, y) = (x.to_f64(), y.to_f64());
                    match op {
                        Binary::Maximum | Binary::Minimum => self.side(x, y),
                        Binary::Rem => self.note((x / y).floor().to_bits()),
                        Binary::Pow | Binary::Atan2 => {
                            self.side(x, 0.0);
                            self.side(y, 0.0);
                        }
                        Binary::Div => self.side(y, 0.0),
                        _ => {}
                    }
                }
            }
            (Op::Ternary(Ternary::Clamp), [x, lo, hi]) => {
                for (x, (lo, hi)) in x.scalars().zip(lo.scalars().zip(hi.scalars())) {
                    self.side(x.to_f64(), lo.to_f64());
                    self.side(x.to_f64(), hi.to_f64());
                    self.side(lo.to_f64(), hi.to_f64());
                }
            }
            (Op::Array(ArrayOp::Max(op)), [x]) => self.ties(x, &op.axes, result),
            (Op::Array(ArrayOp::Min(op)), [x]) => self.ties(x, &op.axes, result),
            (Op::Array(ArrayOp::Norm(_)), _) => {
                result.scalars().for_each(|s| self.side(s.to_f64(), 0.0));
            }
            (Op::Array(ArrayOp::WindowMax(op)), [x]) => {
                let (window, stride) = (op.window.clone(), op.stride.clone());
                let (padding, dilation) = (op.padding.clone(), op.dilation.clone());
                let places = WindowArgMax {
                    window,
                    stride,
                    padding,
                    dilation,
                };
                let ty = TensorType::new(DType::I64, result.shape().clone());
                // A window without any element has no place, and then nothing to decide.
                if let Ok(places) = eval_op(&places.into(), &[x], &ty) {
                    places.scalars().for_each(|s| self.note(s.to_i64() as u64));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The signs of all but the smallest entries.
    pub(super) fn signs(&mut self, x: &Array) {
        for s in x.scalars() {
            let x = s.to_f64();
            self.note(match x {
                x if x > 1e-3 => 1,
                x if x < -1e-3 => 2,
                _ => 0,
            });
        }
    }

    /// On which side of a branch cut complex numbers stand, near one.
    fn cuts(&mut self, op: Unary, z: &Array) {
        use Unary::*;
        for z in z.scalars().map(Scalar::to_complex) {
            let real = match op {
                Sqrt | Rsqrt | Log | Log2 | Log10 => z.re <= 0.0,
                Log1p => z.re <= -1.0,
                Asin | Acos | Atanh => z.re.abs() >= 1.0,
                Acosh => z.re <= 1.0,
                Abs => {
                    self.side(z.norm(), 0.0);
                    false
                }
                _ => false,
            };
            if real {
                self.side(z.im, 0.0);
            }
            if matches!(op, Atan | Asinh) && z.im.abs() >= 1.0 {
                self.side(z.re, 0.0);
            }
        }
    }

    /// Which elements are the extreme ones of their reduction.
    fn ties(&mut self, x: &Array, axes: &[usize], result: &Array) {
        let mut strides = vec![0; x.rank()];
        let kept = (0..x.rank()).filter(|a| !axes.contains(a));
        for (axis, stride) in kept.zip(result.shape().strides()) {
            strides[axis] = stride;
        }
        let mut indices = Indices::new(x.shape());
        for s in x.scalars() {
            let Some(index) = indices.next_index() else {
                break;
            };
            let flat: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
            let tie = result.at(flat).is_some_and(|r| r.to_f64() == s.to_f64());
            self.note(u64::from(tie));
        }
    }

    fn side(&mut self, x: f64, of: f64) {
        self.note(match x.partial_cmp(&of) {
            None => 0,
            Some(std::cmp::Ordering::Less) => 1,
            Some(std::cmp::Ordering::Equal) => 2,
            Some(std::cmp::Ordering::Greater) => 3,
        });
    }

    pub(super) fn note(&mut self, what: u64) {
        self.decisions = (self.decisions ^ what)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(5);
    }
}
