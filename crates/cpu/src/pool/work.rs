//! About how long a step takes, to decide whether it is divided.

use cotangent_compile::{Step, StepOp};
use cotangent_graph::Op;
use cotangent_graph::ops::ArrayOp;

use super::DIVIDE;

/// Additions in a nanosecond: of products of matrices, of generated code, of other kernels. Measured on
/// one Zen 3 core, where products reach 50 a nanosecond; low by half, since what is short reaches less.
const PRODUCTS: u64 = 24;
const CODE: u64 = 12;
const KERNELS: u64 = 2;
/// Bytes in a nanosecond, from and to the caches behind the first.
const BYTES: u64 = 30;

/// Nanoseconds that a step takes, from its operations and bytes. It is right within a factor of a few.
pub(crate) fn nanoseconds(step: &Step) -> u64 {
    let rate = match &step.op {
        StepOp::Op(Op::Array(ArrayOp::Dot(_) | ArrayOp::Conv(_))) => PRODUCTS,
        StepOp::Planes(..) | StepOp::Turned(..) | StepOp::Triangular(..) => PRODUCTS,
        StepOp::Region(_) | StepOp::Rows(_) | StepOp::Picked(..) => CODE,
        StepOp::Op(_) | StepOp::Copy => KERNELS,
        // What these run are steps again, each with a time of its own.
        StepOp::Call(_) | StepOp::Flow(_) | StepOp::Native(_) => return 0,
        // One number after another: there is nothing to divide.
        StepOp::Tape(_) | StepOp::Abreast(_) => return 0,
    };
    at_least((step.cost() / rate).max(step.bytes() / BYTES))
}

/// The nanoseconds themselves; but in a debug build that is told so by the variable `COTANGENT_DIVIDE=all`
/// as many as are divided into the most parts. Then the random graphs of the tests, which are small, run
/// in all the ways in which large ones are divided.
#[inline(always)]
pub(super) fn at_least(nanoseconds: u64) -> u64 {
    match divides_all() {
        true => nanoseconds.max(1_000_000),
        false => nanoseconds,
    }
}

/// Whether all is divided, however long it takes and whoever gains by it.
#[inline(always)]
pub(super) fn divides_all() -> bool {
    #[cfg(debug_assertions)]
    {
        static ALL: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        let all = || std::env::var("COTANGENT_DIVIDE").is_ok_and(|value| value == "all");
        *ALL.get_or_init(all)
    }
    #[cfg(not(debug_assertions))]
    false
}

/// Nanoseconds that moving so many bytes takes, those that are read and those that are written.
pub(crate) fn nanoseconds_of_bytes(bytes: usize) -> u64 {
    bytes as u64 / BYTES
}

/// The nanoseconds of a step that is long enough to be divided, and 0 of others. Row blocks that sum over rows, not in
/// chunks, are not, but among many threads: a worker that is woken for them finds nothing to do, and takes its share of
/// the core.
pub(crate) fn dividable(step: &Step) -> u64 {
    match nanoseconds(step) {
        _ if matches!(&step.op, StepOp::Rows(b) if b.sums_rows() && b.chunk().is_none()) => 0,
        long @ DIVIDE.. => long,
        _ => 0,
    }
}
