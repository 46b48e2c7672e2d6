//! Products of numbers with rows that indices pick.

use cotangent_compile::Picked;
use cotangent_graph::TensorType;
use cotangent_graph::ops::Dot;
use smallvec::SmallVec;

use super::gather::Picks;
use super::gemm::add_picked;
use super::{Site, resized};
use crate::memory::{Frame, Run};
use crate::number::by_dtype;
use crate::pool::{Shared, share};

/// The places at which picked rows begin.
pub(super) fn scratch(numbers: &TensorType) -> usize {
    let numbers = numbers.shape.elements();
    numbers.saturating_mul(size_of::<u64>())
}

pub(super) fn dot(op: &Dot, picked: &Picked, site: &Site<'_>) -> Option<Run> {
    let types: SmallVec<[&TensorType; 4]> = site.args.iter().map(|arg| &*arg.ty).collect();
    let [sums, terms, row] = picked.sizes(op, &types)?;
    let [numbers, array, indices @ ..] = site.args else {
        return None;
    };
    let gather = &picked.gather;
    let picks = Picks::new(&array.ty, indices, gather.axis, gather.batch)?;
    let starts = resized(site.scratch, size_of::<u64>());
    let (numbers, array, out, work) = (numbers.slot, array.slot, site.out.slot, site.work);
    by_dtype!(numeric site.out.ty.dtype, T => Some(Box::new(move |frame: &mut Frame<'_>| {
        // SAFETY: the plan was checked: nothing that is written overlaps anything else, and the types are
        // those of the plan. Working memory holds any numbers.
        let (numbers, array, out, starts) = unsafe {
            (
                frame.read::<T>(numbers),
                frame.read::<T>(array),
                frame.write::<T>(out),
                frame.write::<u64>(starts),
            )
        };
        picks.check(frame)?;
        let mut places = starts.iter_mut();
        picks.each(frame, |start| {
            if let Some(place) = places.next() {
                *place = start as u64;
            }
        });
        let parts = frame.team.parts(work, sums);
        // SAFETY: each part writes sums of its own.
        let out = unsafe { Shared::new(out.as_mut_ptr()) };
        let starts = &*starts;
        frame.team.each(work, parts, |part, _| {
            let own = share(sums, part, parts);
            let (first, own) = (own.start, own.start * terms..own.end * terms);
            let to = out.get().wrapping_add(first * row);
            // SAFETY: the indices were checked, so that all rows are inside; the sums are.
            unsafe { add_picked([terms, row], &starts[own.clone()], &numbers[own], array, to) };
            Ok(())
        })
    }) as Run), else None)
}
