//! Elements between memory and registers.

use cotangent_compile::lane::Lanes;

use super::asm::{Asm, K1, Lanewise, RAX, Rm, TAIL, Width};
use super::body::{Access, Body, MASK};
use super::emit::zeros;
use super::forms::{
    ABS_BYTES, EXTRACT_BYTE, FROM_MASK, INSERT_BYTE, LOAD, MORE_BYTES, PACK_LANES, PACK_WORDS,
    SHUFFLE, SPREAD_BYTE, STORE, UPPER, any_bit, float, from_bytes, lowest, mask_form, more, shift,
    single, spread, spread_general, to_bytes,
};

/// Puts the bool whose address is in rax into all lanes of a register, as a mask.
pub(super) fn spread_bool(asm: &mut Asm, lanes: Lanes, d: u8) {
    match asm.width {
        Width::Narrow => spread_bool_at(asm, lanes, d, Rm::Base(RAX, 0)),
        Width::Wide => {
            asm.negated_byte();
            asm.evex(spread_general(lanes), d, 0, Rm::Reg(RAX), Lanewise::All);
        }
    }
}

/// Puts a bool into all lanes of a register of 256 bits, as a mask.
fn spread_bool_at(asm: &mut Asm, lanes: Lanes, d: u8, place: Rm) {
    asm.vector(SPREAD_BYTE, d, 0, place);
    asm.vector(MORE_BYTES, d, d, zeros(lanes));
}

/// Writes the mask of one lane of a register of 256 bits as a bool. The second register may change, and be the first.
pub(super) fn single_bool(asm: &mut Asm, [x, free]: [u8; 2], place: Rm) {
    asm.half(ABS_BYTES, free, 0, Rm::Reg(x));
    asm.half_with(EXTRACT_BYTE, free, 0, place, 0);
}

/// Does something for each element of the last vector of 256 bits, which may be a part of one but has one element
/// at least; a slot has their number.
fn each_of_rest(asm: &mut Asm, lanes: Lanes, slot: i32, mut element: impl FnMut(&mut Asm, u8)) {
    let most = (Width::Narrow.bytes() / lanes.bytes()) as u8;
    let mut ends = Vec::new();
    for k in 0..most {
        if k > 0 {
            ends.push(asm.jump_unless_rest(slot, k));
        }
        element(asm, k);
    }
    ends.into_iter().for_each(|end| asm.land(end));
}

impl Body<'_> {
    /// Reads the elements of a vector.
    pub(super) fn load(&self, asm: &mut Asm, d: u8, place: Rm, vector: usize) {
        let lanes = self.code.lanes;
        match (self.access_of(vector), self.width) {
            (Access::Whole, _) => asm.vector(LOAD, d, 0, place),
            (Access::Masked, Width::Narrow) => asm.vector(mask_form(lanes, 0x2C), d, MASK, place),
            (Access::Masked, Width::Wide) => {
                asm.evex(float(lanes, 0x10), d, 0, place, Lanewise::Clear(TAIL));
            }
            (Access::Single, _) => asm.vector(spread(lanes), d, 0, place),
        }
    }

    /// Writes the elements of a vector.
    pub(super) fn store(&self, asm: &mut Asm, x: u8, place: Rm, vector: usize) {
        let lanes = self.code.lanes;
        match (self.access_of(vector), self.width) {
            (Access::Whole, _) => asm.vector(STORE, x, 0, place),
            (Access::Masked, Width::Narrow) => asm.vector(mask_form(lanes, 0x2E), x, MASK, place),
            (Access::Masked, Width::Wide) => {
                asm.evex(float(lanes, 0x11), x, 0, place, Lanewise::Keep(TAIL));
            }
            (Access::Single, _) => asm.vex(single(lanes), x, 0, place),
        }
    }

    /// Reads bools as masks.
    pub(super) fn load_bytes(&self, asm: &mut Asm, d: u8, place: Rm, vector: usize) {
        let lanes = self.code.lanes;
        match (self.width, self.access_of(vector)) {
            (Width::Wide, access) => {
                let part = match access {
                    Access::Masked => Lanewise::Clear(TAIL),
                    _ => Lanewise::All,
                };
                asm.evex(from_bytes(lanes), d, 0, place, part);
                asm.evex(any_bit(lanes), K1, d, Rm::Reg(d), Lanewise::All);
                let to_lanes = FROM_MASK.wide(self.wide());
                asm.evex(to_lanes, d, 0, Rm::Reg(K1), Lanewise::All);
            }
            (Width::Narrow, Access::Single) => spread_bool_at(asm, lanes, d, place),
            (Width::Narrow, access) => {
                let from = match access {
                    Access::Masked => {
                        // Exclusive or with itself.
                        asm.vector(float(lanes, 0x57), d, d, Rm::Reg(d));
                        each_of_rest(asm, lanes, self.rest, |asm, k| {
                            asm.half_with(INSERT_BYTE, d, d, place.ahead(k), k);
                        });
                        Rm::Reg(d)
                    }
                    _ => place,
                };
                asm.vector(from_bytes(lanes), d, 0, from);
                asm.vector(more(lanes), d, d, zeros(lanes));
            }
        }
    }

    /// Writes masks as bools. The register `free` may change.
    pub(super) fn store_bytes(&self, asm: &mut Asm, [x, free]: [u8; 2], place: Rm, vector: usize) {
        let lanes = self.code.lanes;
        if self.width == Width::Wide {
            let part = match self.access_of(vector) {
                Access::Masked => Lanewise::Keep(TAIL),
                _ => Lanewise::All,
            };
            let highest = 8 * lanes.bytes() as u8 - 1;
            asm.vector_with(shift(self.wide()), 2, free, Rm::Reg(x), highest);
            return asm.evex(to_bytes(lanes), free, 0, place, part);
        }
        let access = self.access_of(vector);
        if access == Access::Single {
            return single_bool(asm, [x, free], place);
        }
        // Lanes are narrowed as numbers with signs, so that each mask stays 0 or -1.
        asm.vector_with(UPPER, x, 0, Rm::Reg(free), 1);
        let mut lower = x;
        if lanes == Lanes::W64 {
            asm.half_with(SHUFFLE, free, x, Rm::Reg(free), EVEN);
            lower = free;
        }
        asm.half(PACK_LANES, free, lower, Rm::Reg(free));
        asm.half(PACK_WORDS, free, free, Rm::Reg(free));
        asm.half(ABS_BYTES, free, 0, Rm::Reg(free));
        match access {
            Access::Masked => each_of_rest(asm, lanes, self.rest, |asm, k| {
                asm.half_with(EXTRACT_BYTE, free, 0, place.ahead(k), k);
            }),
            _ => asm.half(lowest(lanes), free, 0, place),
        }
    }
}

/// The number for the lanes 0 and 2 of both operands.
const EVEN: u8 = 0x88;
