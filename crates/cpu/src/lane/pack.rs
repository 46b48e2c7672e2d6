//! Elements that are not side by side in memory: copied to buffers before the inner run is executed,
//! and from buffers behind it.

use cotangent_array::DType;
use cotangent_compile::lane::{LaneIndex, LanePad};

use crate::RunError;

/// Where the elements of a stream stand while the inner run is executed.
pub(super) struct Pack {
    /// The buffer, as an offset in the working memory.
    pub(super) buffer: usize,
    /// Positions that come from another stream.
    pub(super) chosen: Option<Chosen>,
    /// Bytes of one element.
    size: usize,
    /// Bytes from one element to the next in memory.
    step: usize,
    /// A number around the elements.
    around: Option<Around>,
}

/// Elements in the middle of the inner run.
#[derive(Clone, Copy)]
pub(super) struct Around {
    /// The place of the first and the one behind the last.
    first: usize,
    end: usize,
    bits: u64,
}

impl Around {
    pub(super) fn new(pad: LanePad) -> Around {
        Around {
            first: pad.low,
            end: pad.low + pad.length,
            bits: pad.bits(),
        }
    }
}

/// Positions from memory.
pub(super) struct Chosen {
    /// The stream with the indices.
    pub(super) stream: usize,
    wide: bool,
    /// Bytes from one index to the next.
    next: usize,
    /// Bytes by which one index moves the position.
    step: usize,
    length: usize,
}

impl Chosen {
    /// Indices of a dtype that stand `stride` elements apart, into elements of `size` bytes.
    pub(super) fn new(index: LaneIndex, dtype: DType, stride: usize, size: usize) -> Chosen {
        Chosen {
            stream: index.input as usize,
            wide: dtype == DType::I64,
            next: stride * dtype.size(),
            step: index.step * size,
            length: index.length,
        }
    }

    /// The index at an address and a place of the run.
    ///
    /// # Safety
    /// There are so many indices behind the address.
    unsafe fn at(&self, indices: *const u8, i: usize) -> i64 {
        let at = indices.wrapping_add(i * self.next);
        // SAFETY: the caller's promise; arrays are aligned for their elements.
        unsafe {
            match self.wide {
                true => *at.cast::<i64>(),
                false => i64::from(*at.cast::<i32>()),
            }
        }
    }
}

impl Pack {
    pub(super) fn new(buffer: usize, size: usize, step: usize) -> Pack {
        Pack {
            buffer,
            chosen: None,
            size,
            step,
            around: None,
        }
    }

    /// The same with positions from memory, or with a number around the elements.
    pub(super) fn with(self, chosen: Option<Chosen>, around: Option<Around>) -> Pack {
        Pack {
            chosen,
            around,
            ..self
        }
    }

    /// The places of the run before which a number stands and from which on one stands again, where the
    /// elements between are side by side.
    pub(super) fn borders(&self) -> Option<[usize; 2]> {
        let around = self.around.filter(|_| self.step == self.size)?;
        Some([around.first, around.end])
    }

    /// Where `n` elements from a place of the run on stand side by side in memory anyway; `from` as for
    /// [`Pack::gather`].
    pub(super) fn direct(&self, from: *mut u8, place: usize, n: usize) -> Option<*mut u8> {
        Some(from.wrapping_sub(self.offset(place, n)?))
    }

    /// How many bytes before `from` that is.
    pub(super) fn offset(&self, place: usize, n: usize) -> Option<usize> {
        let [first, end] = self.borders()?;
        let inside = first <= place && place + n <= end;
        inside.then(|| first * self.step)
    }

    /// Copies `n` elements from a place of the run on to the buffer.
    ///
    /// # Safety
    /// They stand behind `from`, `step` bytes apart, moved by the indices if there are any; those that a
    /// number stands around, behind where the first of them would be if it stood at the place 0. The
    /// buffer has room for them and nothing else uses it meanwhile.
    pub(super) unsafe fn gather(
        &self,
        from: *const u8,
        indices: *const u8,
        buffer: *mut u8,
        place: usize,
        n: usize,
    ) -> Result<(), RunError> {
        if let Some(around) = self.around {
            // SAFETY: the caller's promise.
            unsafe {
                match self.size {
                    8 => self.middle::<u64>(around, around.bits, from, buffer, place, n),
                    4 => self.middle::<u32>(around, around.bits as u32, from, buffer, place, n),
                    _ => self.middle::<u8>(around, around.bits as u8, from, buffer, place, n),
                }
            }
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe {
            match self.size {
                8 => self.gather_of::<u64>(from, indices, buffer, n),
                4 => self.gather_of::<u32>(from, indices, buffer, n),
                _ => self.gather_of::<u8>(from, indices, buffer, n),
            }
        }
    }

    /// # Safety
    /// As [`Pack::gather`], for elements of this size.
    unsafe fn gather_of<T: Copy>(
        &self,
        from: *const u8,
        indices: *const u8,
        buffer: *mut u8,
        n: usize,
    ) -> Result<(), RunError> {
        let buffer: *mut T = buffer.cast();
        let Some(chosen) = &self.chosen else {
            for i in 0..n {
                // SAFETY: the caller's promise.
                unsafe { *buffer.add(i) = *from.wrapping_add(i * self.step).cast::<T>() };
            }
            return Ok(());
        };
        for i in 0..n {
            // SAFETY: the caller's promise.
            let index = unsafe { chosen.at(indices, i) };
            let Some(place) = usize::try_from(index).ok().filter(|k| *k < chosen.length) else {
                return Err(RunError::IndexOutOfRange {
                    index,
                    length: chosen.length,
                });
            };
            let at = from.wrapping_add(i * self.step + place * chosen.step);
            // SAFETY: the caller's promise, and the index is in its range.
            unsafe { *buffer.add(i) = *at.cast::<T>() };
        }
        Ok(())
    }

    /// # Safety
    /// As [`Pack::gather`], for elements of this size.
    unsafe fn middle<T: Copy>(
        &self,
        around: Around,
        value: T,
        from: *const u8,
        buffer: *mut u8,
        place: usize,
        n: usize,
    ) {
        let buffer: *mut T = buffer.cast();
        let first = around.first.clamp(place, place + n) - place;
        let end = around.end.clamp(place, place + n) - place;
        // Wraps where the elements begin behind this block.
        let from = from.wrapping_sub(around.first.wrapping_mul(self.step));
        // SAFETY: the caller's promise; only places in the middle are read.
        unsafe {
            for i in (0..first).chain(end.max(first)..n) {
                *buffer.add(i) = value;
            }
            if self.step == size_of::<T>() && first < end {
                let from = from.wrapping_add(first * self.step);
                std::ptr::copy_nonoverlapping(from.cast(), buffer.add(first), end - first);
                return;
            }
            for i in first..end {
                *buffer.add(i) = *from.wrapping_add(i * self.step).cast::<T>();
            }
        }
    }

    /// Copies `n` elements from the buffer to their places.
    ///
    /// # Safety
    /// As [`Pack::gather`], the other way round.
    pub(super) unsafe fn scatter(&self, buffer: *const u8, to: *mut u8, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.size {
                8 => self.scatter_of::<u64>(buffer, to, n),
                4 => self.scatter_of::<u32>(buffer, to, n),
                _ => self.scatter_of::<u8>(buffer, to, n),
            }
        }
    }

    /// # Safety
    /// As [`Pack::scatter`], for elements of this size.
    unsafe fn scatter_of<T: Copy>(&self, buffer: *const u8, to: *mut u8, n: usize) {
        let buffer: *const T = buffer.cast();
        for i in 0..n {
            // SAFETY: the caller's promise.
            unsafe { *to.wrapping_add(i * self.step).cast::<T>() = *buffer.add(i) };
        }
    }
}
