//! Reductions whose elements are joined in registers, leaf by leaf.
//!
//! Element i of a leaf goes into sum i mod 8 of 64 bits, in the order of the run, and at the end of the leaf the
//! eight sums are joined pairwise, as code outside joins elements that it reads from memory (`lane/joins.rs`): what
//! is written is one number for every leaf. One vector of 512 bits holds eight sums, or two of 256. Where one vector
//! of 256 bits is done at a time, the two change places after it; which comes first is all the same at the end.
//!
//! Floats of 32 bits are added up as such, element i in sum i mod 16, and those of a leaf, 16 elements at most, are
//! then widened and the upper eight added to the lower.
//!
//! The largest and the smallest element are the same in any order, so they are looked for in the lanes of the
//! elements, and in two registers where two vectors are done side by side.
//!
//! Sums over outer loops are open while the region runs, one for every place of the run: elements are added to them
//! in memory, widened or, for some turns, as they are.

use cotangent_compile::lane::{Fold, Lanes};

use super::asm::{Asm, Form, K1, Lanewise, RAX, RDX, Rm, TAIL, Width, form};
use super::body::{Access, Body, Item, MASK};
use super::forms::{
    LOAD, STORE, UPPER, UPPER_WIDE, WIDEN_FLOAT, WIDEN_INT, float, mask_form, range, single,
    within_half,
};

/// How elements are joined, and whether they are floats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Join {
    pub(crate) fold: Fold,
    pub(crate) float: bool,
}

/// The reduction that a stored value goes into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Reduction {
    /// One number of 64 bits for each leaf takes the place of its elements.
    Leaves(Join),
    /// Elements are added to open sums, which stand where elements would.
    Open(Sums),
}

/// What open sums are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Sums {
    /// Of 64 bits.
    Ints,
    Floats,
    /// Floats as wide as the elements.
    Narrow,
}

/// [`Reduction`], with the registers of a leaf.
#[derive(Clone, Copy)]
pub(super) enum Reducing {
    Leaves(Leaf),
    Open(Sums),
}

impl Reducing {
    pub(super) fn leaf(&self) -> Option<&Leaf> {
        match self {
            Reducing::Leaves(leaf) => Some(leaf),
            Reducing::Open(_) => None,
        }
    }
}

/// The most reductions of a kernel that have registers.
pub(crate) const MOST: usize = 2;

/// The bytes of what is written for a leaf.
pub(crate) const LEAF_BYTES: usize = 8;

/// A reduction with its registers and numbers.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    join: Join,
    lanes: Lanes,
    /// The sums of the even and of the odd vectors of four; all eight are in the first where it is wide. For extremes
    /// those of the first and of the second of two vectors side by side.
    low: u8,
    high: u8,
    /// Where the pool has what the registers begin with, and what counts as nothing in lanes of the elements.
    start: i32,
    nothing: i32,
    width: Width,
}

impl Leaf {
    /// The reduction of this number among those with registers; its numbers go into the pool.
    pub(super) fn new(
        join: Join,
        number: usize,
        (lanes, width): (Lanes, Width),
        pool: &mut Vec<u8>,
    ) -> Leaf {
        debug_assert!(number < MOST, "more reductions than have registers");
        let nothing = match (join.float, join.fold) {
            (false, _) | (_, Fold::Sum | Fold::WideSum) => 0.0,
            (_, Fold::Prod) => 1.0,
            (_, Fold::Max) => f64::NEG_INFINITY,
            (_, Fold::Min) => f64::INFINITY,
        };
        let mut put = |lanes: Lanes| {
            let at = pool.len() as i32;
            for _ in 0..width.bytes() / lanes.bytes() {
                match lanes {
                    Lanes::W64 => pool.extend_from_slice(&f64::to_le_bytes(nothing)),
                    Lanes::W32 => pool.extend_from_slice(&f32::to_le_bytes(nothing as f32)),
                }
            }
            at
        };
        let extreme = join.is_extreme();
        let first = match width {
            Width::Narrow => MASK - 1 - 2 * number as u8,
            Width::Wide => 31 - 2 * number as u8,
        };
        let second = extreme || width == Width::Narrow;
        Leaf {
            join,
            lanes,
            low: first,
            high: first - u8::from(second),
            start: put(if extreme || join.adds_in(lanes) {
                lanes
            } else {
                Lanes::W64
            }),
            nothing: put(lanes),
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

    /// Writes what a leaf gives to the address in rax. No value of the body has a register here.
    pub(super) fn write(&self, asm: &mut Asm) {
        match self.join.is_extreme() {
            true => self.write_extreme(asm),
            false => self.write_sum(asm),
        }
        asm.vex(single(Lanes::W64), 0, 0, Rm::Base(RAX, 0));
    }

    /// Joins eight sums: neighbours, then neighbours of these, then both halves.
    fn write_sum(&self, asm: &mut Asm) {
        let join = |asm: &mut Asm, three| two(asm, self.join, Lanes::W64, three, [0; 2]);
        let (low, high) = (self.low, self.high);
        if self.join.adds_in(self.lanes) && self.lanes == Lanes::W32 {
            self.widen_sums(asm);
        }
        let mut parts = vec![low];
        if high != low {
            parts.push(high);
        }
        for r in parts {
            asm.vector_with(within_half(Lanes::W64), 0, 0, Rm::Reg(r), NEIGHBOURS);
            join(asm, [r, r, 0]);
        }
        // Two sums of each 128 bits are equal now.
        asm.vector_with(UPPER, low, 0, Rm::Reg(0), 1);
        join(asm, [0, low, 0]);
        match self.width {
            Width::Wide => {
                asm.vector_with(UPPER, low, 0, Rm::Reg(1), 2);
                asm.vector_with(UPPER, low, 0, Rm::Reg(2), 3);
            }
            Width::Narrow => {
                asm.vector(LOAD, 1, 0, Rm::Reg(high));
                asm.vector_with(UPPER, high, 0, Rm::Reg(2), 1);
            }
        }
        join(asm, [1, 1, 2]);
        join(asm, [0, 0, 1]);
    }

    /// Makes eight sums of 64 bits of sixteen of 32.
    fn widen_sums(&self, asm: &mut Asm) {
        let join = |asm: &mut Asm, three| two(asm, self.join, Lanes::W64, three, [0; 2]);
        let (low, high) = (self.low, self.high);
        match self.width {
            Width::Wide => {
                asm.vector_with(UPPER_WIDE, low, 0, Rm::Reg(0), 1);
                asm.vector(WIDEN_FLOAT, 0, 0, Rm::Reg(0));
                asm.vector(WIDEN_FLOAT, low, 0, Rm::Reg(low));
                join(asm, [low, low, 0]);
            }
            Width::Narrow => {
                for (to, from) in [(0, low), (1, high)] {
                    asm.vector_with(UPPER, from, 0, Rm::Reg(to), 1);
                    asm.vector(WIDEN_FLOAT, to, 0, Rm::Reg(to));
                    asm.vector(WIDEN_FLOAT, from, 0, Rm::Reg(from));
                }
                join(asm, [low, low, high]);
                join(asm, [high, 0, 1]);
            }
        }
    }

    /// Halves the lanes as long as there are several, and widens the last.
    fn write_extreme(&self, asm: &mut Asm) {
        let join = |asm: &mut Asm, other: u8| {
            two(asm, self.join, self.lanes, [0, 0, other], [2, 3]);
        };
        asm.vector(LOAD, 0, 0, Rm::Reg(self.low));
        join(asm, self.high);
        if self.width == Width::Wide {
            asm.vector_with(UPPER_WIDE, 0, 0, Rm::Reg(1), 1);
            join(asm, 1);
        }
        asm.vector_with(UPPER, 0, 0, Rm::Reg(1), 1);
        join(asm, 1);
        if self.lanes == Lanes::W32 {
            asm.vector_with(within_half(Lanes::W32), 1, 0, Rm::Reg(0), OTHER_PAIR);
            join(asm, 1);
        }
        asm.vector_with(within_half(self.lanes), 1, 0, Rm::Reg(0), self.neighbours());
        join(asm, 1);
        if self.lanes == Lanes::W32 {
            asm.vector(WIDEN_FLOAT, 0, 0, Rm::Reg(0));
        }
    }

    /// The number that lets neighbours change places.
    fn neighbours(&self) -> u8 {
        match self.lanes {
            Lanes::W64 => NEIGHBOURS,
            Lanes::W32 => NEIGHBOURS_OF_32,
        }
    }
}

impl Join {
    /// Whether elements are joined in lanes of their own width, as sums of floats are.
    fn adds_in(self, lanes: Lanes) -> bool {
        lanes == Lanes::W64 || (self.float && self.fold == Fold::Sum)
    }

    /// Whether it looks for the largest or the smallest float.
    fn is_extreme(self) -> bool {
        self.float && matches!(self.fold, Fold::Max | Fold::Min)
    }
}

/// The numbers that let lanes of 64 or 32 bits change places with their neighbours, and pairs of 32 bits with the
/// other pair of 128 bits.
const NEIGHBOURS: u8 = 0x55;
const NEIGHBOURS_OF_32: u8 = 0xB1;
const OTHER_PAIR: u8 = 0x4E;
const ADD_INT: u8 = 0xD4;
const ADD: u8 = 0x58;
const MULTIPLY: u8 = 0x59;
const MIN: u8 = 0x5D;
const MAX: u8 = 0x5F;
const AND: u8 = 0x54;
const OR: u8 = 0x56;
const COMPARE: u8 = 0xC2;
const UNORDERED: u8 = 3;
/// The numbers of vrangeps and vrangepd for the larger and the smaller operand.
const LARGER: u8 = 5;
const SMALLER: u8 = 4;
const MOVE: u8 = 0x10;
const BLEND: u8 = 0x4B;

impl Body<'_> {
    /// Joins the vector that an instruction stores with the sums of a reduction.
    pub(super) fn join(&mut self, asm: &mut Asm, item: &Item, to: Leaf) {
        let mut pinned = 0;
        let mut x = self.need(asm, item.args[0], &mut pinned);
        let mut take = |body: &mut Self, asm: &mut Asm, wanted: bool| {
            let r = if wanted { body.take(asm, pinned) } else { x };
            pinned |= 1 << r;
            r
        };
        let masked = self.access_of(item.vector) == Access::Masked;
        let extreme = to.join.is_extreme();
        let wide = to.width == Width::Wide;
        let own = to.join.adds_in(self.code.lanes);
        let turns = own && !wide && !extreme && self.vectors == 1;
        let d = take(self, asm, masked);
        let e = take(self, asm, !extreme && (!own || turns));
        let rest = [(); 2].map(|()| take(self, asm, extreme));
        if masked {
            // What is beyond the end counts as nothing.
            asm.vector(LOAD, d, 0, Rm::Base(RDX, to.nothing));
            if wide {
                let moved = float(self.code.lanes, 0x10);
                asm.evex(moved, d, 0, Rm::Reg(x), Lanewise::Keep(TAIL));
            } else {
                let blend = form_of_blend(self.code.lanes);
                asm.vector_with(blend, d, d, Rm::Reg(x), MASK << 4);
            }
            x = d;
        }
        let sums = if item.vector == 0 { to.low } else { to.high };
        let lanes = if own { self.code.lanes } else { Lanes::W64 };
        let join = |asm: &mut Asm, three| two(asm, to.join, lanes, three, [0; 2]);
        if extreme {
            two(asm, to.join, self.code.lanes, [sums, sums, x], rest);
        } else if turns {
            join(asm, [e, sums, x]);
            asm.vector(LOAD, to.low, 0, Rm::Reg(to.high));
            asm.vector(LOAD, to.high, 0, Rm::Reg(e));
        } else if own {
            join(asm, [sums, sums, x]);
        } else {
            let widen = match to.join.float {
                true => WIDEN_FLOAT,
                false => WIDEN_INT,
            };
            let upper = if wide { UPPER_WIDE } else { UPPER };
            asm.vector(widen, e, 0, Rm::Reg(x));
            join(asm, [to.low, to.low, e]);
            asm.vector_with(upper, x, 0, Rm::Reg(e), 1);
            asm.vector(widen, e, 0, Rm::Reg(e));
            join(asm, [to.high, to.high, e]);
        }
        self.read(item);
    }
}

impl Body<'_> {
    /// Adds the vector that an instruction stores to open sums.
    pub(super) fn add(&mut self, asm: &mut Asm, item: &Item, stream: usize, sums: Sums) {
        let mut pinned = 0;
        let x = self.need(asm, item.args[0], &mut pinned);
        let mut take = |body: &mut Self, asm: &mut Asm| {
            let r = body.take(asm, pinned);
            pinned |= 1 << r;
            r
        };
        let masked = self.access_of(item.vector) == Access::Masked;
        let d = take(self, asm);
        let lanes = match sums {
            Sums::Narrow => self.code.lanes,
            Sums::Ints | Sums::Floats => Lanes::W64,
        };
        // Half a vector of 32 bits is a vector of wide sums.
        let halves = if lanes == self.code.lanes { 1 } else { 2 };
        let e = if halves == 2 { take(self, asm) } else { x };
        let mask = match (masked && halves == 2, self.width) {
            (true, Width::Narrow) => take(self, asm),
            _ => MASK,
        };
        let widen = match sums {
            Sums::Ints => WIDEN_INT,
            Sums::Floats | Sums::Narrow => WIDEN_FLOAT,
        };
        let add = match sums {
            Sums::Ints => form(1, ADD_INT).wide(true),
            Sums::Floats | Sums::Narrow => float(lanes, ADD),
        };
        let base = self.address(asm, stream);
        let scale = lanes.bytes().trailing_zeros() as u8;
        let bytes = self.width.bytes() as i32;
        for half in 0..halves {
            let at = bytes * (item.vector as i32 * halves + half);
            let place = Rm::Indexed(base, scale, at);
            if halves == 2 {
                self.half(asm, [e, x], half, widen);
            }
            match (masked, self.width) {
                (false, _) => {
                    // Of two NaN this keeps the element's and others the sum's: a NaN either way.
                    asm.vector(add, d, e, place);
                    asm.vector(STORE, d, 0, place);
                }
                (true, Width::Narrow) => {
                    if halves == 2 {
                        self.half(asm, [mask, MASK], half, WIDEN_INT);
                    }
                    asm.vector(mask_form(lanes, 0x2C), d, mask, place);
                    asm.vector(add, d, d, Rm::Reg(e));
                    asm.vector(mask_form(lanes, 0x2E), d, mask, place);
                }
                (true, Width::Wide) => {
                    let k = if half == 1 { K1 } else { TAIL };
                    if half == 1 {
                        asm.upper_mask(K1, TAIL);
                    }
                    let moved = |opcode| float(lanes, opcode);
                    asm.evex(moved(0x10), d, 0, place, Lanewise::Clear(k));
                    asm.vector(add, d, d, Rm::Reg(e));
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

/// Joins two vectors, `a` and `b`, to `d`, which may be either; only sums of floats and extremes know lanes of 32
/// bits. The registers `free` may change
/// where an extreme is looked for, and are none of the others.
fn two(asm: &mut Asm, join: Join, lanes: Lanes, [d, a, b]: [u8; 3], free: [u8; 2]) {
    let opcode = match (join.float, join.fold) {
        (false, _) => ADD_INT,
        (true, Fold::Sum | Fold::WideSum) => ADD,
        (true, Fold::Prod) => MULTIPLY,
        (true, Fold::Max) => return extreme(asm, lanes, (MAX, AND), [d, a, b], free),
        (true, Fold::Min) => return extreme(asm, lanes, (MIN, OR), [d, a, b], free),
    };
    let form = match join.float {
        true => float(lanes, opcode),
        false => form(1, opcode).wide(true),
    };
    asm.vector(form, d, a, Rm::Reg(b));
}

/// The instruction of 256 bits gives its second operand where one is NaN or both are zeros. Asked both ways, the
/// two answers differ there alone: for zeros their bits together are those of the larger or smaller one. A
/// NaN is put in its place, that of the sums before that of the elements.
///
/// That of 512 bits knows zeros apart; where there is a NaN, the sum is it.
fn extreme(
    asm: &mut Asm,
    lanes: Lanes,
    (opcode, both): (u8, u8),
    [d, a, b]: [u8; 3],
    [s, t]: [u8; 2],
) {
    let form = |opcode| float(lanes, opcode);
    if asm.width == Width::Wide {
        let number = if opcode == MAX { LARGER } else { SMALLER };
        asm.evex_with(form(COMPARE), [K1, a], Rm::Reg(b), Lanewise::All, UNORDERED);
        asm.vector(form(ADD), t, a, Rm::Reg(b));
        asm.evex_with(range(lanes), [d, a], Rm::Reg(b), Lanewise::All, number);
        return asm.evex(form(MOVE), d, 0, Rm::Reg(t), Lanewise::Keep(K1));
    }
    let blend = form_of_blend(lanes);
    asm.vector(form(opcode), s, a, Rm::Reg(b));
    asm.vector(form(opcode), t, b, Rm::Reg(a));
    asm.vector(form(both), s, s, Rm::Reg(t));
    asm.vector_with(form(COMPARE), t, b, Rm::Reg(b), UNORDERED);
    asm.vector_with(blend, s, s, Rm::Reg(b), t << 4);
    asm.vector_with(form(COMPARE), t, a, Rm::Reg(a), UNORDERED);
    asm.vector_with(blend, d, s, Rm::Reg(a), t << 4);
}

/// A choice by the signs of lanes.
fn form_of_blend(lanes: Lanes) -> Form {
    form(3, BLEND - u8::from(lanes == Lanes::W32))
}
