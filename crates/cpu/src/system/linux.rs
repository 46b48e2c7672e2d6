//! Linux: executable memory is a file in memory, mapped twice; large memory asks for huge pages; files
//! can stand for memory.

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

unsafe extern "C" {
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn ftruncate(file: c_int, length: i64) -> c_int;
    fn close(file: c_int) -> c_int;
    fn mmap(
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    fn munmap(address: *mut c_void, length: usize) -> c_int;
    fn sysinfo(into: *mut Info) -> c_int;
    fn sched_getcpu() -> c_int;
    fn sched_getaffinity(thread: c_int, bytes: usize, cores: *mut u64) -> c_int;
    fn sched_setaffinity(thread: c_int, bytes: usize, cores: *const u64) -> c_int;
}

/// What the system says of itself, in its order.
#[repr(C)]
#[derive(Default)]
struct Info {
    uptime: c_long,
    loads: [c_ulong; 3],
    memory: c_ulong,
    free: c_ulong,
    shared: c_ulong,
    buffers: c_ulong,
    swap: c_ulong,
    free_swap: c_ulong,
    processes: u16,
    gap: u16,
    high: c_ulong,
    free_high: c_ulong,
    unit: c_uint,
}

/// The bytes of memory that the machine has, what it may put on disk included.
pub(crate) fn memory() -> Option<u64> {
    let mut info = Info::default();
    // SAFETY: the system writes a structure of this form.
    if unsafe { sysinfo(&raw mut info) } != 0 {
        return None;
    }
    let units = info.memory.saturating_add(info.swap);
    Some(units.saturating_mul(u64::from(info.unit)))
}

/// The core on which the thread runs at the moment.
pub(crate) fn current_core() -> Option<u32> {
    // SAFETY: it reads nothing of ours and writes nothing.
    u32::try_from(unsafe { sched_getcpu() }).ok()
}

/// A bit for each core.
type Bits = [u64; 16];

/// The cores on which a thread may run, and those that it keeps to.
#[derive(Default)]
pub(crate) struct Cores {
    allowed: Bits,
    kept: Option<Bits>,
}

impl Cores {
    /// Moves the thread that asks to another core than this, of those it may run on; whether there is one. What others
    /// have said of its cores since it last moved stays.
    pub(crate) fn leave(&mut self, core: u32) -> bool {
        let mut now = [0; 16];
        // SAFETY: the system writes at most so many bytes; 0 is the thread itself.
        if unsafe { sched_getaffinity(0, size_of_val(&now), now.as_mut_ptr()) } < 0 {
            return false;
        }
        if self.kept != Some(now) {
            self.allowed = now;
        }
        let mut others = self.allowed;
        if let Some(bits) = others.get_mut(core as usize / 64) {
            *bits &= !(1 << (core % 64));
        }
        if others.iter().all(|bits| *bits == 0) {
            return false;
        }
        // SAFETY: the system reads so many bytes.
        let moved = unsafe { sched_setaffinity(0, size_of_val(&others), others.as_ptr()) } == 0;
        self.kept = moved.then_some(others);
        moved
    }
}

const READ: c_int = 1;
const WRITE: c_int = 2;
const EXECUTE: c_int = 4;
const SHARED: c_int = 1;
const PRIVATE: c_int = 2;
const ANONYMOUS: c_int = 0x20;
const HUGE_PAGES: c_int = 14;
const HUGE: usize = 2 << 20;
const CLOSE_ON_EXEC: c_uint = 1;

/// `O_TMPFILE`: a file of a directory that never gets a name. It includes `O_DIRECTORY`, whose number
/// depends on the processor.
const NAMELESS: c_int = 0o20_000_000
    | if cfg!(target_arch = "aarch64") {
        0o40_000
    } else {
        0o200_000
    };

/// A new file that stands in a directory without a name, so that nothing is left of it when the process
/// ends, even if it is killed at once. Not all file systems have such files.
pub(crate) fn nameless(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(NAMELESS);
    options.open(directory)
}

/// Memory that can be written at one address and executed at another.
pub(crate) struct Chunk {
    write: *mut u8,
    execute: *mut u8,
    length: usize,
}

// SAFETY: the chunk is owned memory; writing goes through `&self` under the lock of its user.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    pub(crate) fn new(length: usize) -> Option<Chunk> {
        // SAFETY: plain calls of the system; every result is checked, and what was opened or mapped
        // is closed or unmapped where a later call fails.
        unsafe {
            let file = memfd_create(c"code".as_ptr(), CLOSE_ON_EXEC);
            if file < 0 {
                return None;
            }
            let map = |protection: c_int| -> Option<*mut u8> {
                let at = mmap(std::ptr::null_mut(), length, protection, SHARED, file, 0);
                (at.addr() != usize::MAX).then_some(at.cast())
            };
            let sized = ftruncate(file, length as i64) == 0;
            let write = if sized { map(READ | WRITE) } else { None };
            let execute = if write.is_some() {
                map(READ | EXECUTE)
            } else {
                None
            };
            close(file);
            match (write, execute) {
                (Some(write), Some(execute)) => Some(Chunk {
                    write,
                    execute,
                    length,
                }),
                (Some(write), None) => {
                    munmap(write.cast(), length);
                    None
                }
                _ => None,
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The address at which a part is read and executed.
    pub(crate) fn address(&self, offset: usize) -> *const u8 {
        self.execute.wrapping_add(offset)
    }

    /// # Safety
    /// The bytes fit behind the offset, and nobody reads or writes there meanwhile.
    pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.write.add(offset), bytes.len())
        };
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: both were mapped in `new` with this length, and no code of the chunk is left.
        unsafe {
            munmap(self.write.cast(), self.length);
            munmap(self.execute.cast(), self.length);
        }
    }
}

/// Zeroed memory of huge pages, where the system grants them, aligned to one; or of a file.
#[derive(Debug)]
pub(crate) struct Large {
    mapped: *mut u8,
    length: usize,
    start: *mut u8,
}

impl Large {
    /// From this size on, memory is better mapped than allocated.
    pub(crate) const LEAST: usize = 2 * HUGE;

    pub(crate) fn new(bytes: usize) -> Option<Large> {
        let length = bytes.checked_next_multiple_of(HUGE)?.checked_add(HUGE)?;
        // SAFETY: a plain call of the system, whose result is checked.
        let mapped = unsafe {
            let flags = PRIVATE | ANONYMOUS;
            mmap(std::ptr::null_mut(), length, READ | WRITE, flags, -1, 0)
        };
        if mapped.addr() == usize::MAX {
            return None;
        }
        let mapped: *mut u8 = mapped.cast();
        let start = mapped.wrapping_add(mapped.align_offset(HUGE));
        // SAFETY: the range is inside what was mapped; advice changes no contents.
        unsafe { madvise(start.cast(), length - HUGE, HUGE_PAGES) };
        Some(Large {
            mapped,
            length,
            start,
        })
    }

    /// Zeroed memory whose contents go to a file when memory is short. The file has its length.
    pub(crate) fn of_file(file: &File, bytes: usize) -> io::Result<Large> {
        // SAFETY: a plain call of the system, whose result is checked; the mapping keeps the file.
        let mapped = unsafe {
            let (rights, file) = (READ | WRITE, file.as_raw_fd());
            mmap(std::ptr::null_mut(), bytes, rights, SHARED, file, 0)
        };
        if mapped.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        Ok(Large {
            mapped: mapped.cast(),
            length: bytes,
            start: mapped.cast(),
        })
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; nothing uses it any more.
        unsafe { munmap(self.mapped.cast(), self.length) };
    }
}
