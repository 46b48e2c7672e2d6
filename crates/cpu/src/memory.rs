//! The memory that kernels read and write: the arena, and views into it.
//!
//! This file, the kernels that read memory by address (products of matrices, moves, linear algebra) and
//! generated code hold all `unsafe` code of the crate. Everything rests on
//! [`cotangent_compile::Plan::check`], which every program has passed: a value that a step reads was
//! written before with the same dtype and has not been overwritten, what it writes overlaps nothing
//! that it reads (but for pointwise steps in place, which go through [`Feed`] and [`Sink`]), and all
//! of it is inside the arena.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fs::{File, OpenOptions};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cotangent_array::Complex;

use crate::RunError;
use crate::pool::Team;
use crate::system::{self, Large};

/// Elements whose bits may be anything that some element type wrote: element types themselves, and
/// unsigned integers of their sizes for kernels that only move bits.
pub(crate) trait Cell: Copy + Send + Sync + 'static {}

macro_rules! cells {
    ($($T:ident)+) => { $(impl Cell for $T {})+ };
}

cells!(bool u8 u32 u64 u128 i32 i64 f32 f64);
impl<T: Cell> Cell for Complex<T> {}

/// Zeroed memory aligned to 64 bytes.
#[derive(Debug)]
pub(crate) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
    /// Where large memory comes straight from the system.
    large: Option<Large>,
}

const ALIGNMENT: usize = 64;

impl Memory {
    pub(crate) fn new(bytes: usize) -> Result<Memory, RunError> {
        let none = || RunError::Memory { bytes };
        let layout = Layout::from_size_align(bytes, ALIGNMENT).map_err(|_| none())?;
        if bytes == 0 {
            // SAFETY: the alignment is not 0, so neither is the address.
            let start =
                unsafe { NonNull::new_unchecked(std::ptr::without_provenance_mut(ALIGNMENT)) };
            return Ok(Memory {
                start,
                layout,
                large: None,
            });
        }
        // Some systems promise more than there is, and end a process that takes it at its word.
        if bytes >= Large::LEAST && system::memory().is_some_and(|all| bytes as u64 > all) {
            return Err(none());
        }
        if bytes >= Large::LEAST
            && let Some(large) = Large::new(bytes)
            && let Some(start) = NonNull::new(large.start())
        {
            return Ok(Memory {
                start,
                layout,
                large: Some(large),
            });
        }
        // SAFETY: the layout has a size above 0.
        match NonNull::new(unsafe { alloc_zeroed(layout) }) {
            Some(start) => Ok(Memory {
                start,
                layout,
                large: None,
            }),
            None => Err(none()),
        }
    }

    /// Zeroed memory of a file in a directory. The file has no name, so that nothing is left of it however
    /// the process ends.
    pub(crate) fn in_directory(bytes: usize, directory: &Path) -> Result<Memory, RunError> {
        let failed = |source: std::io::Error| RunError::LoopDirectory {
            directory: directory.to_owned(),
            source,
        };
        let layout =
            Layout::from_size_align(bytes, ALIGNMENT).map_err(|_| RunError::Memory { bytes })?;
        if bytes == 0 {
            return Memory::new(0);
        }
        let file = nameless(directory).map_err(failed)?;
        file.set_len(bytes as u64).map_err(failed)?;
        let large = Large::of_file(&file, bytes).map_err(failed)?;
        match NonNull::new(large.start()) {
            Some(start) => Ok(Memory {
                start,
                layout,
                large: Some(large),
            }),
            None => Err(RunError::Memory { bytes }),
        }
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

/// A new file without a name. Where the system or the file system has no way to make one, it loses the
/// name as soon as it is there: a process killed between the two leaves an empty file.
fn nameless(directory: &Path) -> std::io::Result<File> {
    if let Ok(file) = system::nameless(directory) {
        return Ok(file);
    }
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cotangent-{}-{number}.states", std::process::id());
        let path = directory.join(name);
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // Left by another process of this number, if anything.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.layout.size() > 0 && self.large.is_none() {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

// SAFETY: the memory is owned by this value alone.
unsafe impl Send for Memory {}

/// What one run works on: an arena, and the addresses that slots count from.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) arena: Memory,
    /// Working memory for each thread but the caller's, and for how many it is.
    pub(crate) spare: Memory,
    pub(crate) helpers: usize,
    /// A stack of tables of addresses, one table for each program that is running: its arena, its
    /// numbers, then inputs, constants and outputs.
    pub(crate) bases: Vec<*mut u8>,
}

// SAFETY: the addresses are only used while the run that put them there borrows what they point to.
unsafe impl Send for Workspace {}

/// A value in memory: which base, how many bytes behind it, how many elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) base: u32,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// The table of addresses of the program that is running.
pub(crate) struct Frame<'a> {
    pub(crate) bases: &'a mut Vec<*mut u8>,
    pub(crate) start: usize,
    pub(crate) kept: &'a mut Kept,
    /// The threads that steps may use.
    pub(crate) team: Team,
}

/// What the loops of a run keep of their steps, in bytes: the memory that is not planned ahead.
#[derive(Debug)]
pub(crate) struct Kept {
    used: usize,
    limit: usize,
    /// Where the files are that hold it; memory without one.
    directory: Option<Arc<Path>>,
}

impl Kept {
    pub(crate) fn new(limit: usize, directory: Option<Arc<Path>>) -> Kept {
        Kept {
            used: 0,
            limit,
            directory,
        }
    }

    /// Memory for what has been or will be counted.
    pub(crate) fn memory(&self, bytes: usize) -> Result<Memory, RunError> {
        match &self.directory {
            Some(directory) => Memory::in_directory(bytes, directory),
            None => Memory::new(bytes),
        }
    }

    /// Counts further bytes, if the limit allows them.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), RunError> {
        let needed = self.used.saturating_add(bytes);
        if needed > self.limit {
            return Err(RunError::LoopMemory {
                needed,
                limit: self.limit,
            });
        }
        self.used = needed;
        Ok(())
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

impl Frame<'_> {
    /// The address of a slot.
    #[inline(always)]
    pub(crate) fn address(&self, slot: Slot) -> *mut u8 {
        let base = self.bases[self.start + slot.base as usize];
        base.wrapping_add(slot.offset)
    }

    /// # Safety
    /// The slot holds elements of type `T`, and nothing writes to it while the slice lives.
    #[inline(always)]
    pub(crate) unsafe fn read<'a, T: Cell>(&self, slot: Slot) -> &'a [T] {
        // SAFETY: the caller's promise; slots are inside their memory and aligned.
        unsafe { std::slice::from_raw_parts(self.address(slot).cast(), slot.len) }
    }

    /// # Safety
    /// The slot may hold elements of type `T`, and nothing else reads or writes it while the slice
    /// lives.
    #[inline(always)]
    pub(crate) unsafe fn write<'a, T: Cell>(&self, slot: Slot) -> &'a mut [T] {
        // SAFETY: the caller's promise; slots are inside their memory and aligned.
        unsafe { std::slice::from_raw_parts_mut(self.address(slot).cast(), slot.len) }
    }
}

/// What a step does when it runs.
pub(crate) type Run = Box<dyn Fn(&mut Frame<'_>) -> Result<(), RunError> + Send + Sync>;

/// A step that reads nothing.
pub(crate) fn run0<U: Cell>(
    out: Slot,
    f: impl Fn(&mut [U]) -> Result<(), RunError> + Send + Sync + 'static,
) -> Run {
    // SAFETY: the plan was checked; the types are those of the plan.
    Box::new(move |frame| f(unsafe { frame.write(out) }))
}

/// A step that reads one operand.
pub(crate) fn run1<A: Cell, U: Cell>(
    x: Slot,
    out: Slot,
    f: impl Fn(&[A], &mut [U]) -> Result<(), RunError> + Send + Sync + 'static,
) -> Run {
    // SAFETY: the plan was checked: the slots do not overlap, and the types are those of the plan.
    Box::new(move |frame| unsafe { f(frame.read(x), frame.write(out)) })
}

/// A step that reads one operand and has working memory.
pub(crate) fn run1_with<A: Cell, U: Cell, S: Cell>(
    x: Slot,
    out: Slot,
    scratch: Slot,
    f: impl Fn(&[A], &mut [U], &mut [S]) -> Result<(), RunError> + Send + Sync + 'static,
) -> Run {
    // SAFETY: as in `run2`.
    Box::new(move |frame| unsafe { f(frame.read(x), frame.write(out), frame.write(scratch)) })
}

/// A step that reads two operands and has working memory.
pub(crate) fn run2<A: Cell, B: Cell, U: Cell, S: Cell>(
    x: Slot,
    y: Slot,
    out: Slot,
    scratch: Slot,
    f: impl Fn(&[A], &[B], &mut [U], &mut [S]) -> Result<(), RunError> + Send + Sync + 'static,
) -> Run {
    // SAFETY: the plan was checked: nothing that is written overlaps anything else, and the types
    // are those of the plan. Working memory holds whatever numbers stood there before, and `S` is
    // never bool.
    Box::new(move |frame| unsafe {
        f(
            frame.read(x),
            frame.read(y),
            frame.write(out),
            frame.write(scratch),
        )
    })
}

/// Elements that a pointwise kernel works on at a time where it cannot take all at once.
pub(crate) const BLOCK: usize = 256;

/// A block of elements that a kernel keeps beside memory. It is handed in by address: moving it would
/// cost more than most small operations.
pub(crate) type Block<T> = MaybeUninit<[T; BLOCK]>;

/// An operand of a pointwise kernel, block by block: memory, or one element repeated.
pub(crate) struct Feed<'a, T> {
    start: *const T,
    spread: bool,
    repeated: PhantomData<&'a Block<T>>,
}

impl<'a, T: Cell> Feed<'a, T> {
    /// An operand of a kernel over `n` elements, read from `slot`; `block` holds what is repeated.
    ///
    /// # Safety
    /// The slot holds `n` elements of type `T`, or one.
    #[inline(always)]
    pub(crate) unsafe fn new(
        frame: &Frame<'_>,
        slot: Slot,
        n: usize,
        block: &'a mut Block<T>,
    ) -> Feed<'a, T> {
        let mut start: *const T = frame.address(slot).cast();
        let spread = slot.len != n;
        if spread && n > 0 {
            // SAFETY: the slot holds one element.
            let x = unsafe { *start };
            let first: *mut T = block.as_mut_ptr().cast();
            for i in 0..n.min(BLOCK) {
                // SAFETY: i is below the length of the array.
                unsafe { first.add(i).write(x) };
            }
            start = first;
        }
        Feed {
            start,
            spread,
            repeated: PhantomData,
        }
    }

    /// Whether all elements stand in memory one after another.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        !self.spread
    }

    /// Elements `from..from + count`; at most [`BLOCK`] unless the operand is plain.
    ///
    /// # Safety
    /// They exist, and nothing writes to them while the slice lives.
    #[inline(always)]
    pub(crate) unsafe fn block(&self, from: usize, count: usize) -> &[T] {
        let from = if self.spread { 0 } else { from };
        // SAFETY: the caller's promise; the first `min(n, BLOCK)` repeated elements were written.
        unsafe { std::slice::from_raw_parts(self.start.wrapping_add(from), count) }
    }
}

/// The result of a pointwise kernel, block by block. Where the result takes over the memory of an
/// operand, a block is computed aside and copied when all its operands have been read.
pub(crate) struct Sink<'a, U> {
    start: *mut U,
    aside: Option<&'a mut Block<U>>,
}

impl<'a, U: Cell> Sink<'a, U> {
    #[inline(always)]
    pub(crate) fn new(
        frame: &Frame<'_>,
        out: Slot,
        in_place: bool,
        block: &'a mut Block<U>,
    ) -> Sink<'a, U> {
        if in_place {
            let first: *mut U = block.as_mut_ptr().cast();
            // SAFETY: at most the whole array is filled.
            unsafe { first.write_bytes(0, out.len.min(BLOCK)) };
        }
        Sink {
            start: frame.address(out).cast(),
            aside: in_place.then_some(block),
        }
    }

    /// Has `f` compute elements `from..from + count`; at most [`BLOCK`] in place.
    ///
    /// # Safety
    /// They exist. Slices that `f` has borrowed from feeds end with it.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, from: usize, count: usize, f: impl FnOnce(&mut [U])) {
        let to = self.start.wrapping_add(from);
        match &mut self.aside {
            // SAFETY: the caller's promise; nothing else is at this place.
            None => f(unsafe { std::slice::from_raw_parts_mut(to, count) }),
            Some(aside) => {
                let aside: *mut U = aside.as_mut_ptr().cast();
                // SAFETY: `new` wrote zeros, which are elements of every type; count is at most BLOCK
                // and at most the number of elements.
                f(unsafe { std::slice::from_raw_parts_mut(aside, count) });
                // SAFETY: both hold `count` elements; one is on the stack.
                unsafe { std::ptr::copy_nonoverlapping(aside, to, count) };
            }
        }
    }
}
