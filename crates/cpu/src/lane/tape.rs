//! Runs tapes: straight-line programs on single numbers.

use std::sync::Arc;

use cotangent_compile::lane::{TAPE_VALUE, Tape};

use super::tile::TileCode;
use super::{Mode, Places};
use crate::jit;
use crate::memory::{Frame, Run, Slot};

/// The step that runs a tape.
pub(crate) fn choose(tape: &Arc<Tape>, places: Places, mode: Mode) -> Option<Run> {
    let Places {
        mut args,
        outs,
        scratch,
    } = places;
    if scratch.len < tape.scratch() {
        return None;
    }
    args.extend(outs);
    let table_at = tape.room() * TAPE_VALUE;
    if let Some(kernel) = mode.style().and_then(|style| jit::tape(tape, style.flush)) {
        return Some(Box::new(move |frame| {
            let (table, memory) = table(frame, &args, scratch, table_at);
            // SAFETY: the plan was checked: operands and results have the elements that the tape reads and
            // writes, and overlap nowhere; there is working memory for as many values as the code was
            // allowed to keep, aligned to 64 bytes.
            unsafe { kernel.call(table, memory.expose_provenance()) };
            Ok(())
        }));
    }
    let tiles = TileCode::new(&tape.code, TAPE_VALUE, mode.fast());
    Some(Box::new(move |frame| {
        let (table, memory) = table(frame, &args, scratch, table_at);
        // SAFETY: as above; there is a place for each value.
        unsafe { tiles.run(table, 1, memory) };
        Ok(())
    }))
}

/// The addresses of all operands and results, written behind the values, and the working memory.
fn table<'a>(
    frame: &Frame<'_>,
    slots: &[Slot],
    scratch: Slot,
    table_at: usize,
) -> (&'a [*mut u8], *mut u8) {
    let memory = frame.address(scratch);
    let table: *mut *mut u8 = memory.wrapping_add(table_at).cast();
    for (k, slot) in slots.iter().enumerate() {
        // SAFETY: the working memory ends in a table with an address for every slot, aligned to 8
        // bytes, which nothing else uses while the step runs.
        unsafe { table.add(k).write(frame.address(*slot)) };
    }
    // SAFETY: all of it has just been written.
    let table = unsafe { std::slice::from_raw_parts(table, slots.len()) };
    (table, memory)
}
