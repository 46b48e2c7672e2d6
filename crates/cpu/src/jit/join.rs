//! Reductions whose elements are joined in registers, in eight sums of 64 bits.
//!
//! Element i of a leaf goes into sum i mod 8, in the order of the run, and at the end of the leaf the
//! eight sums are written where elements would have been: as code outside joins elements that it reads
//! from memory (`lane/fold.rs`). Two vectors of f64 hold them. Where one vector of four elements is done
//! at a time, the two change places after it, and back before they are written.

use cotangent_compile::lane::{Fold, Lanes};

use super::asm::{Asm, Form, RDX, Rm, form};
use super::body::{Access, Body, Item, LOAD, MASK};

/// How elements are joined, and whether they are floats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Join {
    pub(crate) fold: Fold,
    pub(crate) float: bool,
}

/// The most reductions of a kernel that have registers.
pub(crate) const MOST: usize = 2;

/// The bytes of eight sums.
pub(crate) const SUMS: usize = 64;

/// A reduction with its registers and numbers.
#[derive(Clone, Copy)]
pub(super) struct Joined {
    join: Join,
    /// The sums of the even and of the odd vectors of four.
    pub(super) low: u8,
    pub(super) high: u8,
    /// Where the pool has what the sums begin with, and the same in lanes of the region's width.
    pub(super) start: i32,
    narrow: i32,
}

impl Joined {
    /// The reduction of this number among those with registers; its numbers go into the pool.
    pub(super) fn new(join: Join, number: usize, lanes: Lanes, pool: &mut Vec<u8>) -> Joined {
        debug_assert!(number < MOST, "more reductions than have registers");
        let start = match (join.float, join.fold) {
            (false, _) | (_, Fold::Sum) => 0.0,
            (_, Fold::Prod) => 1.0,
            (_, Fold::Max) => f64::NEG_INFINITY,
            (_, Fold::Min) => f64::INFINITY,
        };
        let mut put = |bytes: &[u8]| {
            let at = pool.len() as i32;
            (0..32 / bytes.len()).for_each(|_| pool.extend_from_slice(bytes));
            at
        };
        let top = MASK - 1 - 2 * number as u8;
        Joined {
            join,
            low: top,
            high: top - 1,
            start: put(&f64::to_le_bytes(start)),
            narrow: match lanes {
                Lanes::W64 => put(&f64::to_le_bytes(start)),
                Lanes::W32 => put(&f32::to_le_bytes(start as f32)),
            },
        }
    }
}

/// The upper half of a register to the lower half of another, which is the operand here.
pub(super) const UPPER: Form = form(3, 0x19);
/// f32 to f64, i32 to i64.
pub(super) const WIDEN_FLOAT: Form = Form {
    prefix: 0,
    ..form(1, 0x5A)
};
pub(super) const WIDEN_INT: Form = form(2, 0x25);

const ADD_INT: u8 = 0xD4;
const ADD: u8 = 0x58;
const MULTIPLY: u8 = 0x59;
const MIN: u8 = 0x5D;
const MAX: u8 = 0x5F;
const AND: u8 = 0x54;
const OR: u8 = 0x56;
const COMPARE: u8 = 0xC2;
const UNORDERED: u8 = 3;
const BLEND: u8 = 0x4B;

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
        let masked = self.access == Access::Masked;
        let extreme = to.join.float && matches!(to.join.fold, Fold::Max | Fold::Min);
        let d = take(self, asm, masked);
        let e = take(self, asm, !self.wide() || self.vectors == 1);
        let rest = [(); 2].map(|()| take(self, asm, extreme));
        if masked {
            // What is beyond the end counts as nothing.
            let blend = form(3, if self.wide() { BLEND } else { BLEND - 1 });
            asm.vex(LOAD, d, 0, Rm::Base(RDX, to.narrow));
            asm.vex_with(blend, d, d, Rm::Reg(x), MASK << 4);
            x = d;
        }
        if self.wide() {
            let sums = if item.vector == 0 { to.low } else { to.high };
            if self.vectors == 1 {
                two(asm, to.join, [e, sums, x], rest);
                asm.vex(LOAD, to.low, 0, Rm::Reg(to.high));
                asm.vex(LOAD, to.high, 0, Rm::Reg(e));
            } else {
                two(asm, to.join, [sums, sums, x], rest);
            }
        } else {
            let widen = if to.join.float {
                WIDEN_FLOAT
            } else {
                WIDEN_INT
            };
            asm.vex(widen, e, 0, Rm::Reg(x));
            two(asm, to.join, [to.low, to.low, e], rest);
            asm.vex_with(UPPER, x, 0, Rm::Reg(e), 1);
            asm.vex(widen, e, 0, Rm::Reg(e));
            two(asm, to.join, [to.high, to.high, e], rest);
        }
        self.read(item);
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
    asm.vex(form(1, opcode), d, a, Rm::Reg(b));
}

/// The instruction gives its second operand where one is NaN or both are zeros. Asked both ways, the two
/// answers differ there alone: for zeros their bits together are those of the larger or smaller one. A
/// NaN is put in its place, that of the sums before that of the elements.
fn extreme(asm: &mut Asm, opcode: u8, both: u8, [d, a, b]: [u8; 3], [s, t]: [u8; 2]) {
    asm.vex(form(1, opcode), s, a, Rm::Reg(b));
    asm.vex(form(1, opcode), t, b, Rm::Reg(a));
    asm.vex(form(1, both), s, s, Rm::Reg(t));
    asm.vex_with(form(1, COMPARE), t, b, Rm::Reg(b), UNORDERED);
    asm.vex_with(form(3, BLEND), s, s, Rm::Reg(b), t << 4);
    asm.vex_with(form(1, COMPARE), t, a, Rm::Reg(a), UNORDERED);
    asm.vex_with(form(3, BLEND), d, s, Rm::Reg(a), t << 4);
}
