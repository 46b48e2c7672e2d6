//! Reductions whose elements are joined in registers, in eight sums of 64 bits.
//!
//! Element i of a leaf goes into sum i mod 8, in the order of the run, and at the end of the leaf the
//! eight sums are written where elements would have been: as code outside joins elements that it reads
//! from memory (`lane/fold.rs`). One vector of 512 bits holds them, or two of 256. Where one vector of four
//! elements is done at a time, the two change places after it, and back before they are written.
//!
//! Sums over outer loops are open while the region runs, one for every place of the run: elements are added to them
//! in memory.

use cotangent_compile::lane::{Fold, Lanes};

use super::asm::{Asm, Form, K1, Lanewise, RAX, RDX, Rm, TAIL, Width, form};
use super::body::{Access, Body, Item, MASK};
use super::forms::{
    LOAD, RANGE, STORE, UPPER, UPPER_WIDE, WIDEN_FLOAT, WIDEN_INT, float, mask_form,
};

/// How elements are joined, and whether they are floats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Join {
    pub(crate) fold: Fold,
    pub(crate) float: bool,
}

/// The reduction that a stored value goes into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Joins {
    /// Eight sums of each leaf take the place of its elements.
    Eight(Join),
    /// Elements are added to open sums of 64 bits, which stand where elements would; whether they are floats.
    Open(bool),
}

/// [`Joins`], with the registers of eight sums.
#[derive(Clone, Copy)]
pub(super) enum Joining {
    Eight(Joined),
    Open(bool),
}

impl Joining {
    pub(super) fn eight(&self) -> Option<&Joined> {
        match self {
            Joining::Eight(joined) => Some(joined),
            Joining::Open(_) => None,
        }
    }
}

/// The most reductions of a kernel that have registers.
pub(crate) const MOST: usize = 2;

/// The bytes of eight sums.
pub(crate) const SUMS: usize = 64;

/// A reduction with its registers and numbers.
#[derive(Clone, Copy)]
pub(super) struct Joined {
    join: Join,
    /// The sums of the even and of the odd vectors of four; all eight are in the first where it is wide.
    low: u8,
    high: u8,
    /// Where the pool has what the sums begin with, and the same in lanes of the region's width.
    start: i32,
    narrow: i32,
    width: Width,
}

impl Joined {
    /// The reduction of this number among those with registers; its numbers go into the pool.
    pub(super) fn new(
        join: Join,
        number: usize,
        (lanes, width): (Lanes, Width),
        pool: &mut Vec<u8>,
    ) -> Joined {
        debug_assert!(number < MOST, "more reductions than have registers");
        let start = match (join.float, join.fold) {
            (false, _) | (_, Fold::Sum) => 0.0,
            (_, Fold::Prod) => 1.0,
            (_, Fold::Max) => f64::NEG_INFINITY,
            (_, Fold::Min) => f64::INFINITY,
        };
        let mut put = |bytes: &[u8]| {
            let at = pool.len() as i32;
            (0..width.bytes() / bytes.len()).for_each(|_| pool.extend_from_slice(bytes));
            at
        };
        let (low, high) = match (width, number as u8) {
            (Width::Narrow, number) => (MASK - 1 - 2 * number, MASK - 2 - 2 * number),
            (Width::Wide, number) => (31 - number, 31 - number),
        };
        Joined {
            join,
            low,
            high,
            start: put(&f64::to_le_bytes(start)),
            narrow: match lanes {
                Lanes::W64 => put(&f64::to_le_bytes(start)),
                Lanes::W32 => put(&f32::to_le_bytes(start as f32)),
            },
            width,
        }
    }

    /// The lowest register that it keeps.
    pub(super) fn lowest(&self) -> u8 {
        self.high
    }

    /// Begins a leaf.
    pub(super) fn begin(&self, asm: &mut Asm) {
        for r in [self.low, self.high] {
            asm.vector(LOAD, r, 0, Rm::Base(RDX, self.start));
        }
    }

    /// Writes the eight sums of a leaf to the address in rax.
    pub(super) fn write(&self, asm: &mut Asm, lanes: Lanes) {
        if self.width == Width::Wide {
            return asm.vector(STORE, self.low, 0, Rm::Base(RAX, 0));
        }
        if lanes == Lanes::W64 {
            // After an odd number of vectors the sums of the odd ones come first.
            asm.odd_first(4, 32);
        }
        asm.vector(STORE, self.low, 0, Rm::Base(RAX, 0));
        if lanes == Lanes::W64 {
            asm.odd_last();
        }
        asm.vector(STORE, self.high, 0, Rm::Base(RAX, 32));
    }
}

const ADD_INT: u8 = 0xD4;
const ADD: u8 = 0x58;
const MULTIPLY: u8 = 0x59;
const MIN: u8 = 0x5D;
const MAX: u8 = 0x5F;
const AND: u8 = 0x54;
const OR: u8 = 0x56;
const COMPARE: u8 = 0xC2;
const UNORDERED: u8 = 3;
/// The numbers of vrangepd for the larger and the smaller operand.
const LARGER: u8 = 5;
const SMALLER: u8 = 4;
const BLEND: u8 = 0x4B;
const BLENDING: Form = form(3, BLEND);

impl Body<'_> {
    /// Joins the vector that an instruction stores with the sums of a reduction.
    pub(super) fn join(&mut self, asm: &mut Asm, item: &Item, to: Joined) {
        let mut pinned = 0;
        let mut x = self.need(asm, item.args[0], &mut pinned);
        let mut take = |body: &mut Self, asm: &mut Asm, wanted: bool| {
            let r = if wanted { body.take(asm, pinned) } else { x };
            pinned |= 1 << r;
            r
        };
        let masked = self.access_of(item.vector) == Access::Masked;
        let extreme = to.join.float && matches!(to.join.fold, Fold::Max | Fold::Min);
        let wide = to.width == Width::Wide;
        let turns = self.wide() && !wide && self.vectors == 1;
        let d = take(self, asm, masked);
        let e = take(self, asm, !self.wide() || turns);
        let rest = [(); 2].map(|()| take(self, asm, extreme));
        if masked {
            // What is beyond the end counts as nothing.
            asm.vector(LOAD, d, 0, Rm::Base(RDX, to.narrow));
            if wide {
                let moved = float(self.code.lanes, 0x10);
                asm.evex(moved, d, 0, Rm::Reg(x), Lanewise::Keep(TAIL));
            } else {
                let blend = form(3, if self.wide() { BLEND } else { BLEND - 1 });
                asm.vector_with(blend, d, d, Rm::Reg(x), MASK << 4);
            }
            x = d;
        }
        if turns {
            let sums = if item.vector == 0 { to.low } else { to.high };
            two(asm, to.join, [e, sums, x], rest);
            asm.vector(LOAD, to.low, 0, Rm::Reg(to.high));
            asm.vector(LOAD, to.high, 0, Rm::Reg(e));
        } else if self.wide() {
            let sums = if item.vector == 0 { to.low } else { to.high };
            two(asm, to.join, [sums, sums, x], rest);
        } else {
            let widen = if to.join.float {
                WIDEN_FLOAT
            } else {
                WIDEN_INT
            };
            asm.vector(widen, e, 0, Rm::Reg(x));
            if extreme && wide {
                // Both halves are joined before they wait for the sums.
                let [upper, free] = rest;
                asm.vector_with(UPPER_WIDE, x, 0, Rm::Reg(upper), 1);
                asm.vector(widen, upper, 0, Rm::Reg(upper));
                two(asm, to.join, [e, e, upper], [free; 2]);
                two(asm, to.join, [to.low, to.low, e], [free; 2]);
                return self.read(item);
            }
            two(asm, to.join, [to.low, to.low, e], rest);
            let upper = if wide { UPPER_WIDE } else { UPPER };
            asm.vector_with(upper, x, 0, Rm::Reg(e), 1);
            asm.vector(widen, e, 0, Rm::Reg(e));
            two(asm, to.join, [to.high, to.high, e], rest);
        }
        self.read(item);
    }
}

impl Body<'_> {
    /// Adds the vector that an instruction stores to open sums.
    pub(super) fn add(&mut self, asm: &mut Asm, item: &Item, stream: usize, of_floats: bool) {
        let mut pinned = 0;
        let x = self.need(asm, item.args[0], &mut pinned);
        let mut take = |body: &mut Self, asm: &mut Asm| {
            let r = body.take(asm, pinned);
            pinned |= 1 << r;
            r
        };
        let masked = self.access_of(item.vector) == Access::Masked;
        let d = take(self, asm);
        // Half a vector of 32 bits is a vector of sums.
        let halves = if self.wide() { 1 } else { 2 };
        let e = if halves == 2 { take(self, asm) } else { x };
        let mask = match (masked && halves == 2, self.width) {
            (true, Width::Narrow) => take(self, asm),
            _ => MASK,
        };
        let (opcode, widen) = match of_floats {
            true => (ADD, WIDEN_FLOAT),
            false => (ADD_INT, WIDEN_INT),
        };
        let base = self.address(asm, stream);
        let bytes = self.width.bytes() as i32;
        for half in 0..halves {
            let at = bytes * (item.vector as i32 * halves + half);
            let place = Rm::Indexed(base, 3, at);
            if halves == 2 {
                self.half(asm, [e, x], half, widen);
            }
            match (masked, self.width) {
                (false, _) => {
                    asm.vector(LOAD, d, 0, place);
                    asm.vector(form(1, opcode).wide(true), d, d, Rm::Reg(e));
                    asm.vector(STORE, d, 0, place);
                }
                (true, Width::Narrow) => {
                    if halves == 2 {
                        self.half(asm, [mask, MASK], half, WIDEN_INT);
                    }
                    asm.vector(mask_form(Lanes::W64, 0x2C), d, mask, place);
                    asm.vector(form(1, opcode).wide(true), d, d, Rm::Reg(e));
                    asm.vector(mask_form(Lanes::W64, 0x2E), d, mask, place);
                }
                (true, Width::Wide) => {
                    let k = if half == 1 { K1 } else { TAIL };
                    if half == 1 {
                        asm.upper_mask(K1, TAIL);
                    }
                    let moved = |opcode| float(Lanes::W64, opcode);
                    asm.evex(moved(0x10), d, 0, place, Lanewise::Clear(k));
                    asm.vector(form(1, opcode).wide(true), d, d, Rm::Reg(e));
                    asm.evex(moved(0x11), d, 0, place, Lanewise::Keep(k));
                }
            }
        }
        self.read(item);
    }

    /// Half of the lanes of 32 bits, widened.
    fn half(&self, asm: &mut Asm, [d, x]: [u8; 2], half: i32, widen: Form) {
        if half == 0 {
            return asm.vector(widen, d, 0, Rm::Reg(x));
        }
        let upper = match self.width {
            Width::Wide => UPPER_WIDE,
            Width::Narrow => UPPER,
        };
        asm.vector_with(upper, x, 0, Rm::Reg(d), 1);
        asm.vector(widen, d, 0, Rm::Reg(d));
    }
}

/// Joins two vectors of 64 bits, `a` and `b`, to `d`, which may be `a`; the registers `free` may change.
fn two(asm: &mut Asm, join: Join, [d, a, b]: [u8; 3], free: [u8; 2]) {
    let opcode = match (join.float, join.fold) {
        (false, _) => ADD_INT,
        (true, Fold::Sum) => ADD,
        (true, Fold::Prod) => MULTIPLY,
        (true, Fold::Max) => return extreme(asm, MAX, AND, [d, a, b], free),
        (true, Fold::Min) => return extreme(asm, MIN, OR, [d, a, b], free),
    };
    asm.vector(form(1, opcode).wide(true), d, a, Rm::Reg(b));
}

/// The instruction of 256 bits gives its second operand where one is NaN or both are zeros. Asked both ways, the
/// two answers differ there alone: for zeros their bits together are those of the larger or smaller one. A
/// NaN is put in its place, that of the sums before that of the elements.
///
/// That of 512 bits knows zeros apart; where there is a NaN, the sum is it.
fn extreme(asm: &mut Asm, opcode: u8, both: u8, [d, a, b]: [u8; 3], [s, t]: [u8; 2]) {
    let form = |opcode| float(Lanes::W64, opcode);
    if asm.width == Width::Wide {
        let number = if opcode == MAX { LARGER } else { SMALLER };
        asm.evex_with(form(COMPARE), [K1, a], Rm::Reg(b), Lanewise::All, UNORDERED);
        asm.vector(form(ADD), t, a, Rm::Reg(b));
        asm.evex_with(RANGE, [d, a], Rm::Reg(b), Lanewise::All, number);
        return asm.evex(LOAD, d, 0, Rm::Reg(t), Lanewise::Keep(K1));
    }
    asm.vector(form(opcode), s, a, Rm::Reg(b));
    asm.vector(form(opcode), t, b, Rm::Reg(a));
    asm.vector(form(both), s, s, Rm::Reg(t));
    asm.vector_with(form(COMPARE), t, b, Rm::Reg(b), UNORDERED);
    asm.vector_with(BLENDING, s, s, Rm::Reg(b), t << 4);
    asm.vector_with(form(COMPARE), t, a, Rm::Reg(a), UNORDERED);
    asm.vector_with(BLENDING, d, s, Rm::Reg(a), t << 4);
}
