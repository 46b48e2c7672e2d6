//! Factorisations of matrices, one member of the batch after another.
//!
//! Small matrices run through the plain loops that define the operations; larger ones through
//! [`cotangent_numerics`], where the feature `linalg` is on and the operation has such a kernel. All working memory
//! comes from the plan.

#[cfg(feature = "linalg")]
mod blocked;

use cotangent_array::DType;
use cotangent_graph::TensorType;
use cotangent_graph::ops::Linalg;
use cotangent_graph::ops::linalg::{MatrixError, Shape2, apply};
use smallvec::SmallVec;

use super::Site;
use crate::memory::{Frame, Run, Slot};

/// Numbers of f64 beside one another in working memory.
const WORD: usize = size_of::<f64>();

/// The bytes that the kernels of an operation want.
pub(super) fn scratch(op: &Linalg, args: &[&TensorType]) -> usize {
    let shapes = shapes(op, args.iter().copied());
    #[cfg(feature = "linalg")]
    if let Some(bytes) = args
        .first()
        .and_then(|a| blocked::scratch(op, &shapes, a.dtype))
    {
        // Where the blocked kernel gives up, the plain one starts again in the same memory.
        return bytes.max(plain_scratch(op, args, &shapes));
    }
    plain_scratch(op, args, &shapes)
}

pub(super) fn choose(op: &Linalg, site: &Site<'_>) -> Option<Run> {
    let plain = Plain::new(op, site)?;
    #[cfg(feature = "linalg")]
    if let Some(run) = blocked::choose(op, site, &plain) {
        return Some(run);
    }
    Some(Box::new(move |frame| {
        for k in 0..plain.members {
            plain.member(frame, k)?;
        }
        Ok(())
    }))
}

fn shapes<'a>(op: &Linalg, args: impl Iterator<Item = &'a TensorType>) -> SmallVec<[Shape2; 2]> {
    args.zip(op.axes())
        .map(|(t, axes)| Shape2::of(t, *axes))
        .collect()
}

/// Working memory of the loops, and copies in f64 of what is stored in another dtype.
fn plain_scratch(op: &Linalg, args: &[&TensorType], shapes: &[Shape2]) -> usize {
    let results = op.results(args).unwrap_or_default();
    let batch = batch(op, args.first().copied());
    let members: usize = batch.iter().product();
    let copied = |t: &TensorType| match t.dtype {
        DType::F64 => 0,
        _ => t.shape.elements() / members.max(1),
    };
    let copies = args
        .iter()
        .copied()
        .chain(&results)
        .fold(0_usize, |sum, t| sum.saturating_add(copied(t)));
    copies.saturating_add(op.work(shapes)).saturating_mul(WORD)
}

fn batch<'a>(op: &Linalg, first: Option<&'a TensorType>) -> &'a [usize] {
    let axes = op.axes().first().copied().unwrap_or(0);
    first.map_or(&[], |t| {
        let dims = t.shape.dims();
        &dims[..dims.len().saturating_sub(axes)]
    })
}

/// An operand or a result: where the members stand.
#[derive(Clone, Copy)]
struct Part {
    slot: Slot,
    dtype: DType,
    /// Elements of one member.
    size: usize,
}

impl Part {
    /// The elements of member `k`.
    fn member(self, k: usize) -> Slot {
        Slot {
            offset: self.slot.offset + k * self.size * self.dtype.size(),
            len: self.size,
            ..self.slot
        }
    }
}

/// The plain loops at a step.
#[derive(Clone)]
struct Plain {
    op: Linalg,
    shapes: SmallVec<[Shape2; 2]>,
    args: SmallVec<[Part; 2]>,
    outs: SmallVec<[Part; 3]>,
    positions: SmallVec<[bool; 3]>,
    scratch: Slot,
    batch: Vec<usize>,
    members: usize,
}

impl Plain {
    fn new(op: &Linalg, site: &Site<'_>) -> Option<Plain> {
        let batch = batch(op, site.args.first().map(|a| &*a.ty)).to_vec();
        let members: usize = batch.iter().product();
        let part = |a: &super::Arg| Part {
            slot: a.slot,
            dtype: a.ty.dtype,
            size: a.ty.shape.elements() / members.max(1),
        };
        let known = |p: &Part| matches!(p.dtype, DType::F64 | DType::F32 | DType::I64);
        let args: SmallVec<[Part; 2]> = site.args.iter().map(part).collect();
        let outs: SmallVec<[Part; 3]> = site.outs.iter().map(part).collect();
        if args.len() != op.axes().len() || !args.iter().chain(&outs).all(known) {
            return None;
        }
        Some(Plain {
            op: op.clone(),
            shapes: shapes(op, site.args.iter().map(|a| &*a.ty)),
            positions: outs.iter().map(|o| !o.dtype.is_float()).collect(),
            args,
            outs,
            scratch: super::resized(site.scratch, WORD),
            batch,
            members,
        })
    }

    /// The error of a member, with its place in the batch.
    fn fault(&self, fault: cotangent_graph::ops::linalg::MatrixFault, k: usize) -> crate::RunError {
        MatrixError::new(fault, &self.batch, k).into()
    }

    /// Computes the results of one member.
    fn member(&self, frame: &Frame<'_>, k: usize) -> Result<(), crate::RunError> {
        // SAFETY: the plan was checked: working memory overlaps nothing else. It holds whatever
        // numbers stood there before.
        let mut free: &mut [f64] = unsafe { frame.write(self.scratch) };
        let mut take = |n: usize| -> Option<&mut [f64]> {
            let (own, rest) = std::mem::take(&mut free).split_at_mut_checked(n)?;
            free = rest;
            Some(own)
        };
        let short = || crate::RunError::Plan("too little working memory".into());
        let mut args: SmallVec<[&[f64]; 2]> = SmallVec::new();
        for part in &self.args {
            let slot = part.member(k);
            args.push(match part.dtype {
                // SAFETY: the plan was checked: the slot holds elements of its dtype, and results
                // overlap no operand.
                DType::F64 => unsafe { frame.read(slot) },
                _ => {
                    let copy = take(part.size).ok_or_else(short)?;
                    // SAFETY: as above; of the other dtypes only f32 is an operand.
                    let from: &[f32] = unsafe { frame.read(slot) };
                    for (to, x) in copy.iter_mut().zip(from) {
                        *to = f64::from(*x);
                    }
                    copy
                }
            });
        }
        let mut outs: SmallVec<[&mut [f64]; 3]> = SmallVec::new();
        for part in &self.outs {
            outs.push(match part.dtype {
                // SAFETY: as above; no two results overlap.
                DType::F64 => unsafe { frame.write(part.member(k)) },
                _ => take(part.size).ok_or_else(short)?,
            });
        }
        let work = take(self.op.work(&self.shapes)).ok_or_else(short)?;
        apply(
            &self.op,
            &self.shapes,
            &args,
            &mut outs,
            &self.positions,
            work,
        )
        .map_err(|fault| self.fault(fault, k))?;
        for (part, from) in self.outs.iter().zip(&outs) {
            match part.dtype {
                DType::F32 => {
                    // SAFETY: as above.
                    let to: &mut [f32] = unsafe { frame.write(part.member(k)) };
                    for (to, x) in to.iter_mut().zip(from.iter()) {
                        *to = *x as f32;
                    }
                }
                DType::I64 => {
                    // SAFETY: as above.
                    let to: &mut [i64] = unsafe { frame.write(part.member(k)) };
                    for (to, x) in to.iter_mut().zip(from.iter()) {
                        *to = *x as i64;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
