//! Reductions of regions: elements of a run joined in leaves, leaves joined pairwise.
//!
//! The tree is that of the evaluator in the compiler: [`LEAF`] elements by 8 lanes side by side (16 for sums of f32),
//! leaves pairwise in their order, runs of one result after one another.

use cotangent_array::DType;
use cotangent_compile::lane::{Fold, LEAF};

use super::joins::{
    Bits, FloatProduct, FloatSum, IntSum, Join, Largest, NarrowSum, Smallest, add, add_fast,
    add_narrow, add_widest, leaf, leaf_fast, leaves,
};
use super::open::{Columns, Leading};
use crate::jit::{LEAF_BYTES, Reduction};
use crate::memory::Slot;
use crate::number::{Float, Number};

/// A reduction of a region.
pub(super) struct Folding {
    pub(super) slot: Slot,
    /// How many outer loops, from the innermost, belong to one result.
    pub(super) joined: usize,
    /// Bytes of one element.
    size: usize,
    start: u64,
    leaf: fn(*const u8, usize) -> u64,
    /// Joins so many leaves that stand at an address, and writes the result at a place.
    leaves: unsafe fn(*const u8, usize, *mut u8, usize),
    /// What a kernel has done with the elements before.
    pub(super) before: Option<Reduction>,
    join: fn(u64, u64) -> u64,
    write: fn(u64, *mut u8, usize),
    /// Sums over the outer loops.
    leading: Option<Leading>,
    add: fn(*const u8, *mut u64, usize),
    add_narrow: fn(*const u8, *mut u8, usize),
    /// Adds sums to others.
    merge: fn(*const u8, *mut u64, usize),
}

/// Sums of 1, 2, 4, ... leaves that wait for a partner of their size; of sums over outer loops the place that is
/// next.
#[derive(Clone, Copy)]
pub(super) struct State {
    waiting: [u64; 56],
    /// How many wait, or the number of the open sum that is next.
    filled: usize,
    leaves: u64,
    /// Open sums over outer loops, narrow ones, and the place of the region whose element is next.
    sums: *mut u64,
    narrow: *mut u8,
    place: usize,
}

impl Default for State {
    fn default() -> State {
        State {
            waiting: [0; 56],
            filled: 0,
            leaves: 0,
            sums: std::ptr::null_mut(),
            narrow: std::ptr::null_mut(),
            place: 0,
        }
    }
}

impl State {
    /// The tree of all leaves so far, where their number is a power of two.
    pub(super) fn tree(&self) -> u64 {
        self.waiting[0]
    }

    /// Adds the trees of a state whose leaves come behind and are together fewer than in any tree here.
    pub(super) fn append(&mut self, behind: &State) {
        let trees = &behind.waiting[..behind.filled];
        if let Some(to) = self.waiting.get_mut(self.filled..self.filled + trees.len()) {
            to.copy_from_slice(trees);
            self.filled += trees.len();
        }
    }
}

impl Folding {
    pub(super) fn new(
        fold: Fold,
        dtype: DType,
        slot: Slot,
        joined: usize,
        leading: Option<Leading>,
    ) -> Folding {
        let folding = match dtype {
            DType::F64 => Folding::float::<f64>(fold, slot, joined),
            DType::F32 if fold == Fold::Sum => Folding::of::<f32, NarrowSum>(slot, joined),
            DType::F32 => Folding::float::<f32>(fold, slot, joined),
            DType::I32 => Folding::of::<i32, IntSum>(slot, joined),
            _ => Folding::of::<i64, IntSum>(slot, joined),
        };
        Folding { leading, ..folding }
    }

    /// How many sums over outer loops there are, if it is such.
    pub(super) fn sums(&self) -> Option<usize> {
        self.leading.map(|leading| leading.count)
    }

    /// Whether elements come as one number for each leaf.
    pub(super) fn by_leaves(&self) -> bool {
        matches!(self.before, Some(Reduction::Leaves(_)))
    }

    /// The open sums to which a kernel adds the next `count` elements, which are of one turn.
    pub(super) fn open_at(&self, state: &State, count: usize) -> Option<*mut u8> {
        self.before?;
        let leading = self.leading?;
        Some(self.adds_to(&leading, state, count))
    }

    /// The open sums to which the next `count` elements are added, which are of one turn.
    fn adds_to(&self, leading: &Leading, state: &State, count: usize) -> *mut u8 {
        let sums = state.sums.wrapping_add(state.filled);
        if !leading.narrow {
            return sums.cast();
        }
        let narrow = state.narrow.wrapping_add(self.size * state.filled);
        if leading.completes(state.place / leading.count.max(1)) {
            // SAFETY: the working memory has open sums for these places.
            unsafe { self.complete(narrow, sums, count) };
        }
        narrow
    }

    /// Adds narrow sums to the others, and begins them anew.
    ///
    /// # Safety
    /// There are so many of both, and nothing else uses them meanwhile.
    unsafe fn complete(&self, narrow: *mut u8, sums: *mut u64, count: usize) {
        (self.add)(narrow, sums, count);
        // SAFETY: the caller's promise; zeros are what sums begin with.
        unsafe { narrow.write_bytes(0, self.size * count) };
    }

    /// The open sums of the row of this number, where rows are turns, and the first row that has others or asks
    /// again.
    pub(super) fn open_in(&self, row: usize, scratch: *mut u8) -> Option<(*mut u8, usize)> {
        let leading = self.leading?;
        let first = leading.chunk(row / leading.chunks.turns.max(1));
        let sums = leading.sums(scratch).wrapping_add(first);
        if !leading.narrow {
            return Some((sums.cast(), leading.next(row)));
        }
        let narrow = (leading.narrow_sums(scratch)).wrapping_add(self.size * first);
        if leading.completes(row) {
            // SAFETY: the working memory has open sums for each place of a turn.
            unsafe { self.complete(narrow, sums, leading.count) };
        }
        Some((narrow, leading.next(row)))
    }

    /// Goes on with the element of this place of the region; open sums stand in this working memory.
    pub(super) fn go_to(&self, place: usize, state: &mut State, scratch: *mut u8) {
        if let Some(leading) = self.leading {
            state.sums = leading.sums(scratch);
            state.narrow = leading.narrow_sums(scratch);
            state.filled = leading.sum(place);
            state.place = place;
        }
    }

    /// Adds elements to open sums.
    fn add_to(&self, leading: &Leading, at: *const u8, sums: *mut u8, count: usize) {
        match leading.narrow {
            true => (self.add_narrow)(at, sums, count),
            false => (self.add)(at, sums.cast(), count),
        }
    }

    fn float<T: Float>(fold: Fold, slot: Slot, joined: usize) -> Folding {
        match fold {
            Fold::Sum | Fold::WideSum => Folding::of::<T, FloatSum>(slot, joined),
            Fold::Prod => Folding::of::<T, FloatProduct>(slot, joined),
            Fold::Max => Folding::of::<T, Largest>(slot, joined),
            Fold::Min => Folding::of::<T, Smallest>(slot, joined),
        }
    }

    fn of<T: Number, J: Join<T::Sum>>(slot: Slot, joined: usize) -> Folding
    where
        T::Sum: Bits + Number<Sum = T::Sum>,
    {
        Folding {
            slot,
            joined,
            size: size_of::<T>(),
            start: J::START.to_bits(),
            leaf: if super::has_avx2() {
                leaf_fast::<T, J>
            } else {
                leaf::<T, J>
            },
            leaves: leaves::<T, J>,
            before: None,
            join: |x, y| J::join(T::Sum::from_bits(x), T::Sum::from_bits(y)).to_bits(),
            write: |x, out, at| {
                let out: *mut T = out.cast();
                // SAFETY: the caller counts the results, each inside the memory.
                unsafe { out.add(at).write(T::narrow(T::Sum::from_bits(x))) }
            },
            leading: None,
            add: if super::has_avx512() {
                add_widest::<T, J>
            } else if super::has_avx2() {
                add_fast::<T, J>
            } else {
                add::<T, J>
            },
            add_narrow: add_narrow::<T>,
            merge: add::<T::Sum, J>,
        }
    }

    /// Makes ready for the first elements of a run, and the sums over outer loops of some columns.
    ///
    /// # Safety
    /// The working memory has room for the open sums, which nothing else uses.
    pub(super) unsafe fn open(&self, state: &mut State, scratch: *mut u8, columns: Columns) {
        self.begin(state);
        self.go_to(0, state, scratch);
        if let Some(leading) = self.leading {
            let (sums, narrow) = (leading.sums(scratch), leading.narrow_sums(scratch));
            for chunk in 0..leading.chunks.count {
                let first = leading.chunk(chunk);
                for part in columns.of(leading.count) {
                    let (at, count) = (first + part.start, part.len());
                    // SAFETY: the caller's promise.
                    unsafe {
                        (0..count).for_each(|k| sums.add(at + k).write(self.start));
                        if leading.narrow {
                            narrow.add(self.size * at).write_bytes(0, self.size * count);
                        }
                    }
                }
            }
        }
    }

    /// Writes the sums over outer loops of some columns when all elements of these have been taken.
    ///
    /// # Safety
    /// As [`Folding::open`], and the result has room for them.
    pub(super) unsafe fn close(&self, scratch: *mut u8, out: *mut u8, columns: Columns) {
        if let Some(leading) = self.leading {
            let (sums, narrow) = (leading.sums(scratch), leading.narrow_sums(scratch));
            for chunk in 0..leading.chunks.count {
                let first = leading.chunk(chunk);
                for part in columns.of(leading.count) {
                    let (at, count) = (first + part.start, part.len());
                    let own = sums.wrapping_add(at);
                    if leading.narrow {
                        // SAFETY: the caller's promise.
                        unsafe { self.complete(narrow.wrapping_add(self.size * at), own, count) };
                    }
                    if chunk > 0 {
                        let to = sums.wrapping_add(part.start);
                        (self.merge)(own.cast_const().cast(), to, count);
                    }
                }
            }
            columns.of(leading.count).flatten().for_each(|k| {
                // SAFETY: the caller's promise; `open` has written all of them.
                (self.write)(unsafe { *sums.add(k) }, out, k);
            });
        }
    }

    /// [`Folding::open`] without a state, for sums over outer loops alone.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn open_all(&self, scratch: *mut u8, _: *mut u8, columns: Columns) {
        // SAFETY: the caller's promise.
        unsafe { self.open(&mut State::default(), scratch, columns) };
    }

    /// [`Folding::close`].
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn close_all(&self, scratch: *mut u8, out: *mut u8, columns: Columns) {
        // SAFETY: the caller's promise.
        unsafe { self.close(scratch, out, columns) };
    }

    pub(super) fn begin(&self, state: &mut State) {
        state.filled = 0;
        state.leaves = 0;
    }

    /// Joins `count` elements that stand at an address, or what a kernel has made of them; a whole
    /// number of leaves but at the end of a run.
    pub(super) fn take(&self, at: *const u8, count: usize, state: &mut State) {
        if let Some(leading) = self.leading {
            // Elements come in order, so those of a turn of the outer loops follow one another.
            if self.before.is_none() {
                let sums = self.adds_to(&leading, state, count);
                self.add_to(&leading, at, sums, count);
            }
            state.place += count;
            state.filled += count;
            if state.place.is_multiple_of(leading.count.max(1)) {
                state.filled = leading.turn(state.place);
            }
            return;
        }
        if self.by_leaves() {
            for leaf in 0..count.div_ceil(LEAF) {
                // SAFETY: the kernel has just written a number there for each leaf.
                let sum = unsafe { at.wrapping_add(leaf * LEAF_BYTES).cast::<u64>().read() };
                self.push(sum, state);
            }
            return;
        }
        let mut done = 0;
        while done < count {
            let n = LEAF.min(count - done);
            let sum = (self.leaf)(at.wrapping_add(done * self.size), n);
            self.push(sum, state);
            done += n;
        }
    }

    /// The result of `count` elements that stand at an address, or of what a kernel has made of them, or sums over
    /// outer loops that go on at another address.
    ///
    /// # Safety
    /// The result has the place, and there are `count` open sums.
    pub(super) unsafe fn whole(
        &self,
        at: *const u8,
        count: usize,
        sums: *mut u8,
        (out, place): (*mut u8, usize),
    ) {
        if let Some(leading) = &self.leading {
            if self.before.is_none() {
                self.add_to(leading, at, sums, count);
            }
            return;
        }
        if self.by_leaves() {
            // SAFETY: the caller's promise; a kernel writes a number for each leaf.
            return unsafe { (self.leaves)(at, count.div_ceil(LEAF), out, place) };
        }
        let mut state = State::default();
        self.take(at, count, &mut state);
        // SAFETY: the caller's promise.
        unsafe { self.end(&mut state, out, place) };
    }

    /// Joins a leaf, or, where all that was pushed before are such, a tree of 2^k leaves.
    #[inline(always)]
    pub(super) fn push(&self, mut sum: u64, state: &mut State) {
        state.leaves += 1;
        for _ in 0..state.leaves.trailing_zeros() {
            state.filled -= 1;
            sum = (self.join)(state.waiting[state.filled], sum);
        }
        state.waiting[state.filled] = sum;
        state.filled += 1;
    }

    /// Writes the result at a place and begins the next.
    ///
    /// # Safety
    /// The place is inside the result's memory.
    pub(super) unsafe fn end(&self, state: &mut State, out: *mut u8, at: usize) {
        let mut sum = self.start;
        for (k, partner) in state.waiting[..state.filled].iter().rev().enumerate() {
            sum = if k == 0 {
                *partner
            } else {
                (self.join)(*partner, sum)
            };
        }
        (self.write)(sum, out, at);
        self.begin(state);
    }
}
