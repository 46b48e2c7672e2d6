//! Machine code for regions.

use cotangent_compile::lane::LaneCode;

/// A kernel.
pub(crate) struct Kernel;

impl Kernel {
    /// # Safety
    /// None.
    pub(crate) unsafe fn call(&self, _: &[*mut u8], _: usize) {}
}

pub(crate) fn kernel(_: &LaneCode) -> Option<Kernel> {
    None
}
