//! Machine code for regions on x86-64 with AVX2 and FMA, or with AVX-512.
//!
//! A kernel runs over the inner run of a region: it knows neither sizes nor addresses, which come in
//! a table, so equal regions of any shape share one kernel. Vectors of 256 or 512 bits, two side by side
//! where registers allow it; what is left at the end is done with masked loads and stores.

mod asm;
mod body;
mod cold;
#[cfg(all(test, target_arch = "x86_64"))]
mod decoded;
#[cfg(all(test, target_arch = "x86_64"))]
mod decoded_bools;
#[cfg(all(test, target_arch = "x86_64"))]
mod decoded_wide;
mod emit;
mod forms;
mod inst;
mod join;
mod moves;
mod pages;
mod scan;
mod tape;
mod zmul;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use cotangent_compile::lane::{LaneCode, Tape};
use cotangent_graph::FastMap;

pub(crate) use self::asm::{Style, Width};
use self::emit::Emitted;
pub(crate) use self::join::{Join, LEAF_BYTES, MOST as MOST_REDUCTIONS, Reduction, Sums};
use self::pages::Placed;
pub(crate) use self::scan::Steps;

/// Code for the inner run of a region, or for a loop over steps.
#[derive(Clone)]
pub(crate) struct Kernel(Arc<Placed>);

/// What code is made of: instructions, what runs them, and how.
type Content = (LaneCode, Around, Style);

/// What stands around the instructions.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Around {
    /// A loop over elements, with the reductions that stored values go into.
    Elements(Vec<Option<Reduction>>),
    /// The steps of a loop.
    Steps(Steps),
    /// Nothing.
    Tape,
}

/// Kernels that some program holds, by their content.
static KNOWN: OnceLock<Mutex<FastMap<Content, Weak<Placed>>>> = OnceLock::new();

/// When so many kernels are known, those that no program holds any more are forgotten.
const MANY: usize = 1024;

/// The kernel of a region, made or found; `None` where the machine, the system or the region has
/// none. Of each stored value `reductions` says which reduction it goes into, [`MOST_REDUCTIONS`] of them with registers: the
/// kernel then writes a number for each leaf in place of the elements.
pub(crate) fn kernel(
    code: &LaneCode,
    reductions: &[Option<Reduction>],
    style: Style,
) -> Option<Kernel> {
    let content = (code.clone(), Around::Elements(reductions.to_vec()), style);
    known(content, |code| emit::emit(code, reductions, style))
}

/// The code of a tape, made or found; `None` as for [`kernel`].
pub(crate) fn tape(tape: &Tape, flush: bool) -> Option<Kernel> {
    let room = tape.room();
    let content = (tape.code.clone(), Around::Tape, scan::style(flush));
    known(content, |code| tape::emit(code, room, flush))
}

/// The kernel of a loop over a step on single elements; `None` as for [`kernel`].
pub(crate) fn scan(code: LaneCode, steps: Steps, flush: bool) -> Option<Kernel> {
    let content = (code, Around::Steps(steps), scan::style(flush));
    known(content, |code| scan::emit(code, steps, flush))
}

/// `emit` takes the instructions of the content as vectors of its width have them.
fn known(content: Content, emit: impl FnOnce(&LaneCode) -> Option<Emitted>) -> Option<Kernel> {
    if !crate::lane::has_avx2() {
        return None;
    }
    let known = KNOWN.get_or_init(|| Mutex::new(FastMap::default()));
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(&content).and_then(Weak::upgrade) {
        return Some(Kernel(found));
    }
    let lowered = match content.2.width {
        Width::Narrow => content.0.without_scale(),
        Width::Wide => None,
    };
    let emitted = emit(lowered.as_ref().unwrap_or(&content.0))?;
    let placed = Arc::new(pages::place(&emitted.code, &emitted.pool)?);
    if known.len() >= MANY && known.len().is_power_of_two() {
        known.retain(|_, kernel| kernel.strong_count() > 0);
    }
    known.insert(content, Arc::downgrade(&placed));
    Some(Kernel(placed))
}

impl Kernel {
    /// Runs over `count` elements of each stream, or steps of a loop; for a tape `count` is the address
    /// of its working memory.
    ///
    /// # Safety
    /// There is an address for each input and result of the region; inputs have `count` elements, or
    /// one where the region reads one, and results have room for as many. Results overlap inputs only
    /// as the region allows. Results that the kernel joins have room for [`LEAF_BYTES`] bytes for every leaf begun, or `count`
    /// open sums, and
    /// then there is at least one element. A loop has at least one step; what it carries are single elements. The
    /// operands and results of a tape have the elements that it names, and its working memory is
    /// aligned to 32 bytes and as large as the tape says.
    #[cfg(target_arch = "x86_64")]
    pub(crate) unsafe fn call(&self, addresses: &[*mut u8], count: usize) {
        type Entry = unsafe extern "sysv64" fn(*const *mut u8, usize, *const u8);
        // SAFETY: the code was written for this signature and is complete; it reads and writes what
        // the caller promised and keeps the registers that a callee must keep.
        unsafe {
            let entry: Entry = std::mem::transmute(self.0.code);
            entry(addresses.as_ptr(), count, self.0.pool);
        }
    }

    /// # Safety
    /// Never called, since there are no kernels for this machine.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) unsafe fn call(&self, _: &[*mut u8], _: usize) {}
}
