//! Machine code for tapes: straight-line programs on single numbers.
//!
//! Each number stands in all lanes of its register, so that no lane computes something odd. Elements
//! are read and written behind the addresses of their arrays. Values that wait stand in the working
//! memory of the step, since the stack may be too small for them.

use cotangent_compile::lane::{Elem, LaneCode};

use super::asm::RSI;
use super::body::{Access, Body};
use super::cold;
use super::emit::{Emitted, Start};
use super::scan::{WIDTH, style};

/// The most instructions of a tape for which code is made.
const MAX_INSTS: usize = 1 << 18;

/// Machine code for a tape: a function of a table of addresses (rdi), the working memory (rsi), which
/// has `room` places for values, and the pool (rdx). `None` for very long tapes.
pub(super) fn emit(code: &LaneCode, room: usize, flush: bool) -> Option<Emitted> {
    let mut elements = code.inputs.iter().chain(&code.outputs);
    if elements.any(|e| *e == Elem::Byte) || code.insts.len() > MAX_INSTS {
        return None;
    }
    let mut start = Start::new(code, style(flush));
    start.streams(code, &[]);
    let frame = start.calls(code);
    let Start {
        mut asm,
        hole,
        pool,
        homes,
        slots,
        addresses,
    } = start;
    // Only calls use the stack; values that wait stand in the working memory.
    let mut body = Body::new(code, &homes, &addresses, 0, (WIDTH, 1), Access::Single, &[]);
    body.frame = RSI;
    body.run(&mut asm);
    // As many values wait as are alive, at most; this is what keeps the code inside its memory.
    if body.slots as usize > room {
        return None;
    }
    asm.leave();
    cold::finish(
        &mut asm,
        code.lanes,
        &body.sites,
        frame.slots,
        frame.function,
    );
    // One slot more than is used, since aligning the stack takes nearly as much.
    asm.fill(hole, WIDTH.bytes() as i32 * (slots + 1));
    Some(Emitted {
        code: asm.bytes,
        pool,
    })
}
