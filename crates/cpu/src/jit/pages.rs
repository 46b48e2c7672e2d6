//! Places for machine code, filled one after another.

use std::sync::{Arc, Mutex, PoisonError};

use crate::system;

/// Code and its numbers, ready to be executed; the chunk stays mapped as long as this lives.
#[derive(Clone)]
pub(super) struct Placed {
    /// Where the code begins.
    pub(super) code: *const u8,
    /// Where the numbers begin.
    pub(super) pool: *const u8,
    _chunk: Arc<system::Chunk>,
}

// SAFETY: what the addresses point to is never written again, and the chunk keeps it mapped.
unsafe impl Send for Placed {}
// SAFETY: as above.
unsafe impl Sync for Placed {}

/// Code is added to this chunk, from this offset on, until it is full.
static CURRENT: Mutex<Option<(Arc<system::Chunk>, usize)>> = Mutex::new(None);

const CHUNK: usize = 256 * 1024;

/// Puts code and numbers into executable memory; `None` where the system has none.
pub(super) fn place(code: &[u8], pool: &[u8]) -> Option<Placed> {
    let pool_size = pool.len().next_multiple_of(64);
    let bytes = pool_size + code.len().next_multiple_of(64);
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let (chunk, start) = match current.take() {
        Some((chunk, used)) if used + bytes <= chunk.len() => (chunk, used),
        _ => (
            Arc::new(system::Chunk::new(CHUNK.max(bytes.next_multiple_of(4096)))?),
            0,
        ),
    };
    // SAFETY: the offsets are inside the chunk, and nothing else has been placed behind `start`.
    unsafe {
        chunk.write(start, pool);
        chunk.write(start + pool_size, code);
    }
    let placed = Placed {
        code: chunk.address(start + pool_size),
        pool: chunk.address(start),
        _chunk: chunk.clone(),
    };
    *current = Some((chunk, start + bytes));
    Some(placed)
}
