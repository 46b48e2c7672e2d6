//! Regions of one run and nothing else, on addresses that the caller has.

use std::sync::Arc;

use cotangent_compile::lane::LaneProgram;

use super::{Inner, Mode, inner};

/// A region without outer loops, reductions and packing.
pub(crate) struct OneRun {
    inner: Inner,
    run: usize,
}

impl OneRun {
    /// The region, if it is such and takes no more than `room` bytes of working memory.
    pub(crate) fn new(program: &Arc<LaneProgram>, mode: Mode, room: usize) -> Option<OneRun> {
        let run = program.inner();
        let single = run > 0 && program.elements() == run;
        let packs = (0..program.inputs.len()).any(|k| program.packs_input(k));
        let plain = program
            .outputs
            .iter()
            .all(|o| o.fold.is_none() && o.width() == 1);
        let layout = program.layout();
        (single && !packs && plain && layout.bytes <= room).then(|| OneRun {
            inner: inner(program, mode, &layout),
            run,
        })
    }

    /// Runs it on the addresses of all operands and results.
    ///
    /// # Safety
    /// Each address has as many elements as the region has places, or one where the region stays on it; results
    /// overlap nothing that is read. `scratch` is the working memory, which nothing else uses.
    pub(crate) unsafe fn run(&self, addresses: &[*mut u8], scratch: *mut u8) {
        // SAFETY: the caller's promise; tiles are at the start of the working memory.
        unsafe {
            match &self.inner {
                Inner::Code(kernel, _) => kernel.call(addresses, self.run),
                Inner::Tile(code) => code.run(addresses, self.run, scratch),
            }
        }
    }
}
