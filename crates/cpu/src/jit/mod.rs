//! Machine code for regions on x86-64 with AVX2 and FMA.
//!
//! A kernel runs over the inner run of a region: it knows neither sizes nor addresses, which come in
//! a table, so equal regions of any shape share one kernel. Vectors of 256 bits, two side by side
//! where registers allow it; what is left at the end is done with masked loads and stores.

mod asm;
#[cfg(all(test, target_arch = "x86_64"))]
mod decoded;
mod emit;
mod pages;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use cotangent_compile::lane::LaneCode;

use self::pages::Placed;

/// Code for the inner run of a region.
#[derive(Clone)]
pub(crate) struct Kernel(Arc<Placed>);

/// Kernels that some program holds, by the content of their regions.
static KNOWN: OnceLock<Mutex<HashMap<LaneCode, Weak<Placed>>>> = OnceLock::new();

/// When so many kernels are known, those that no program holds any more are forgotten.
const MANY: usize = 1024;

/// The kernel of a region, made or found; `None` where the machine, the system or the region has
/// none.
pub(crate) fn kernel(code: &LaneCode) -> Option<Kernel> {
    if !crate::lane::has_avx2() {
        return None;
    }
    let known = KNOWN.get_or_init(|| Mutex::new(HashMap::new()));
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(code).and_then(Weak::upgrade) {
        return Some(Kernel(found));
    }
    let emitted = emit::emit(code)?;
    let placed = Arc::new(pages::place(&emitted.code, &emitted.pool)?);
    if known.len() >= MANY && known.len().is_power_of_two() {
        known.retain(|_, kernel| kernel.strong_count() > 0);
    }
    known.insert(code.clone(), Arc::downgrade(&placed));
    Some(Kernel(placed))
}

impl Kernel {
    /// Runs over `count` elements of each stream.
    ///
    /// # Safety
    /// There is an address for each input and result of the region; inputs have `count` elements, or
    /// one where the region reads one, and results have room for as many. Results overlap inputs only
    /// as the region allows.
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
