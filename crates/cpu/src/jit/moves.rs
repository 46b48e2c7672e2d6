//! Elements between memory and registers.

use cotangent_compile::lane::Lanes;

use super::asm::{Asm, K1, Lanewise, RAX, Rm, TAIL, Width};
use super::body::{Access, Body, MASK};
use super::forms::{
    FROM_MASK, LOAD, STORE, any_bit, float, from_bytes, mask_form, shift, single, spread,
    spread_general, to_bytes,
};

/// Puts the bool whose address is in rax into all lanes of a register of 512 bits, as a mask.
pub(super) fn spread_bool(asm: &mut Asm, lanes: Lanes, d: u8) {
    asm.negated_byte();
    asm.evex(spread_general(lanes), d, 0, Rm::Reg(RAX), Lanewise::All);
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

    /// Reads bools as masks; in vectors of 512 bits.
    pub(super) fn load_bytes(&self, asm: &mut Asm, d: u8, place: Rm, vector: usize) {
        let lanes = self.code.lanes;
        let part = match self.access_of(vector) {
            Access::Masked => Lanewise::Clear(TAIL),
            _ => Lanewise::All,
        };
        asm.evex(from_bytes(lanes), d, 0, place, part);
        asm.evex(any_bit(lanes), K1, d, Rm::Reg(d), Lanewise::All);
        asm.evex(
            FROM_MASK.wide(self.wide()),
            d,
            0,
            Rm::Reg(K1),
            Lanewise::All,
        );
    }

    /// Writes masks as bools; in vectors of 512 bits. The register `free` may change.
    pub(super) fn store_bytes(&self, asm: &mut Asm, [x, free]: [u8; 2], place: Rm, vector: usize) {
        let lanes = self.code.lanes;
        let part = match self.access_of(vector) {
            Access::Masked => Lanewise::Keep(TAIL),
            _ => Lanewise::All,
        };
        let highest = 8 * lanes.bytes() as u8 - 1;
        asm.vector_with(shift(self.wide()), 2, free, Rm::Reg(x), highest);
        asm.evex(to_bytes(lanes), free, 0, place, part);
    }
}
