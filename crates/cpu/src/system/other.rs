//! Systems that have no file of their own here: plain memory, and none that is executable.

/// The bytes of memory that the machine has: not known.
pub(crate) fn memory() -> Option<u64> {
    None
}

/// The system is not asked on which cores a thread runs and may run.
#[derive(Default)]
pub(crate) struct Cores;

impl Cores {
    pub(crate) fn leave(&mut self, _: u32) -> bool {
        false
    }
}

/// As there.
pub(crate) fn current_core() -> Option<u32> {
    None
}

/// A new file without a name: there is no way to make one at once.
pub(crate) fn nameless(_: &std::path::Path) -> std::io::Result<std::fs::File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Memory that can be written at one address and executed at another: there is none.
pub(crate) struct Chunk;

impl Chunk {
    pub(crate) fn new(_: usize) -> Option<Chunk> {
        None
    }

    pub(crate) fn len(&self) -> usize {
        0
    }

    pub(crate) fn address(&self, _: usize) -> *const u8 {
        std::ptr::null()
    }

    /// # Safety
    /// Never called, since there is no chunk.
    pub(crate) unsafe fn write(&self, _: usize, _: &[u8]) {}
}

/// Memory of huge pages: there is none.
#[derive(Debug)]
pub(crate) struct Large;

impl Large {
    /// From this size on, memory is better mapped than allocated.
    pub(crate) const LEAST: usize = usize::MAX;

    pub(crate) fn new(_: usize) -> Option<Large> {
        None
    }

    pub(crate) fn of_file(_: &std::fs::File, _: usize) -> std::io::Result<Large> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn start(&self) -> *mut u8 {
        std::ptr::null_mut()
    }
}
