//! Machine instructions of x86-64 as bytes: vector instructions and the few others that a loop needs.
//!
//! The encoding is that of Intel's Software Developer's Manual, volume 2, sections 2.1.5 (ModRM and SIB), 2.3
//! (VEX prefix, for vectors of 256 bits) and 2.7 (EVEX prefix, for those of 512). Only the three-byte form of
//! the first is used and only displacements of 32 bits, so that there is one form of each to get right.

/// General registers by number.
pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
pub(super) const RSP: u8 = 4;
pub(super) const RSI: u8 = 6;

/// The vectors that code works with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Width {
    /// 256 bits: AVX2 and FMA.
    Narrow,
    /// 512 bits: AVX-512 F and DQ.
    Wide,
}

impl Width {
    /// Bytes of a vector.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Width::Narrow => 32,
            Width::Wide => 64,
        }
    }

    /// The number of vector registers.
    pub(super) const fn registers(self) -> u8 {
        match self {
            Width::Narrow => 16,
            Width::Wide => 32,
        }
    }
}

/// How code is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Style {
    pub(crate) width: Width,
    /// Whether subnormal numbers are taken for zeros, and zeros given in their place.
    pub(crate) flush: bool,
}

/// A mask register for what is used up at once.
pub(super) const K1: u8 = 1;
/// Another one.
pub(super) const K2: u8 = 2;
/// The mask register that names the lanes of a last, partial vector of 512 bits.
pub(super) const TAIL: u8 = 7;

/// Which lanes an instruction on 512 bits changes: those of a mask register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lanewise {
    /// All of them.
    All,
    /// Those of a mask register; the others stay.
    Keep(u8),
    /// Those of a mask register; the others become 0.
    Clear(u8),
}

/// A register or a place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    /// A vector register.
    Reg(u8),
    /// The address in a general register plus a number.
    Base(u8, i32),
    /// The address in a general register plus rcx times 1 << scale plus a number.
    Indexed(u8, u8, i32),
}

impl Rm {
    /// The place so many bytes further on; a register stays.
    pub(super) fn ahead(self, bytes: u8) -> Rm {
        match self {
            Rm::Reg(r) => Rm::Reg(r),
            Rm::Base(base, offset) => Rm::Base(base, offset + i32::from(bytes)),
            Rm::Indexed(base, scale, offset) => Rm::Indexed(base, scale, offset + i32::from(bytes)),
        }
    }
}

/// A vector instruction without its registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
    /// The mandatory prefix: 0 none, 1 is 66, 2 is F3, 3 is F2.
    pub(super) prefix: u8,
    /// The opcode map: 1 is 0F, 2 is 0F38, 3 is 0F3A.
    pub(super) map: u8,
    /// The bit W of the VEX prefix; clear where it does not matter, for readers that want it so.
    pub(super) w: bool,
    /// The bit W of the EVEX prefix, where it is set for lanes of 64 bits.
    pub(super) wide: bool,
    /// The opcode.
    pub(super) opcode: u8,
}

impl Form {
    /// The form with the W of the EVEX prefix as said.
    pub(super) const fn wide(self, wide: bool) -> Form {
        Form { wide, ..self }
    }
}

/// A form with the prefix 66 and W clear.
pub(super) const fn form(map: u8, opcode: u8) -> Form {
    Form {
        prefix: 1,
        map,
        w: false,
        wide: false,
        opcode,
    }
}

/// Machine code that grows.
pub(super) struct Asm {
    pub(super) bytes: Vec<u8>,
    /// The vectors of [`Asm::vector`].
    pub(super) width: Width,
    flush: bool,
}

/// The bits of the control register mxcsr that make subnormal results and operands zeros.
const FLUSH: u32 = 0x8040;
/// Where, from rbp, the frame has mxcsr as the caller left it, and as the code wants it: in the slot that is
/// more than what is used.
const MXCSR: u8 = -44_i8 as u8;
const FLUSHING: u8 = -48_i8 as u8;

impl Asm {
    pub(super) fn new(Style { width, flush }: Style) -> Asm {
        let bytes = Vec::new();
        Asm {
            bytes,
            width,
            flush,
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn number(&mut self, x: i32) {
        self.raw(&x.to_le_bytes());
    }

    /// A vector instruction: `reg` is the field of ModRM, `second` the register in the prefix (0 where
    /// there is none).
    pub(super) fn vector(&mut self, form: Form, reg: u8, second: u8, rm: Rm) {
        match self.width {
            Width::Narrow => self.vex(form, reg, second, rm),
            Width::Wide => self.evex(form, reg, second, rm, Lanewise::All),
        }
    }

    /// A vector instruction with a number of 8 bits behind it.
    pub(super) fn vector_with(&mut self, form: Form, reg: u8, second: u8, rm: Rm, number: u8) {
        self.vector(form, reg, second, rm);
        self.raw(&[number]);
    }

    /// An instruction on 256 bits.
    pub(super) fn vex(&mut self, form: Form, reg: u8, second: u8, rm: Rm) {
        self.with_vex(form, reg, second, rm, 1);
    }

    /// An instruction on the lower 128 bits, which clears the others of its result.
    pub(super) fn half(&mut self, form: Form, reg: u8, second: u8, rm: Rm) {
        self.with_vex(form, reg, second, rm, 0);
    }

    /// An instruction on the lower 128 bits with a number of 8 bits behind it.
    pub(super) fn half_with(&mut self, form: Form, reg: u8, second: u8, rm: Rm, number: u8) {
        self.half(form, reg, second, rm);
        self.raw(&[number]);
    }

    /// `long` is the bit L, set for 256 bits.
    fn with_vex(&mut self, form: Form, reg: u8, second: u8, rm: Rm, long: u8) {
        // The bits of registers in the prefix are inverted; the index register rcx has none.
        let r = !reg >> 3 & 1;
        let b = !low(rm) >> 3 & 1;
        self.raw(&[
            0xC4,
            r << 7 | 1 << 6 | b << 5 | form.map,
            u8::from(form.w) << 7 | (!second & 15) << 3 | long << 2 | form.prefix,
            form.opcode,
        ]);
        self.place(reg, rm);
    }

    /// An instruction on 512 bits.
    pub(super) fn evex(&mut self, form: Form, reg: u8, second: u8, rm: Rm, lanes: Lanewise) {
        // Inverted bits again; X is the highest bit of a register as the last operand.
        let r = !reg >> 3 & 1;
        let high = !reg >> 4 & 1;
        let b = !low(rm) >> 3 & 1;
        let x = match rm {
            Rm::Reg(r) => !r >> 4 & 1,
            _ => 1,
        };
        let (clear, mask) = match lanes {
            Lanewise::All => (0, 0),
            Lanewise::Keep(mask) => (0, mask),
            Lanewise::Clear(mask) => (1, mask),
        };
        self.raw(&[
            0x62,
            r << 7 | x << 6 | b << 5 | high << 4 | form.map,
            u8::from(form.wide) << 7 | (!second & 15) << 3 | 1 << 2 | form.prefix,
            clear << 7 | 2 << 5 | (!second >> 4 & 1) << 3 | mask,
            form.opcode,
        ]);
        self.place(reg, rm);
    }

    /// An instruction on 512 bits with a number of 8 bits behind it.
    pub(super) fn evex_with(
        &mut self,
        form: Form,
        [reg, second]: [u8; 2],
        rm: Rm,
        lanes: Lanewise,
        number: u8,
    ) {
        self.evex(form, reg, second, rm, lanes);
        self.raw(&[number]);
    }

    /// The bytes of the operands behind an opcode.
    fn place(&mut self, reg: u8, rm: Rm) {
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Reg(r) => self.raw(&[0xC0 | reg | r & 7]),
            Rm::Base(base, offset) => {
                self.raw(&[0x80 | reg | base & 7]);
                if base & 7 == RSP {
                    self.raw(&[0x24]);
                }
                self.number(offset);
            }
            Rm::Indexed(base, scale, offset) => {
                self.raw(&[0x80 | reg | 4, scale << 6 | RCX << 3 | base & 7]);
                self.number(offset);
            }
        }
    }

    /// Names the first rax lanes in a mask register; the pool (rdx) begins with ones.
    pub(super) fn tail_mask(&mut self) {
        // bzhi eax, [rdx], eax and kmovw k7, eax.
        self.raw(&[0xC4, 0xE2, 0x78, 0xF5, 0x02]);
        self.raw(&[0xC5, 0xF8, 0x92, 0xC0 | TAIL << 3]);
    }

    /// Adds the lanes that the second mask register names to the first.
    pub(super) fn join_masks(&mut self, k: u8, other: u8) {
        self.raw(&[0xC5, 0x84 | (!k & 15) << 3, 0x45, 0xC0 | k << 3 | other]);
    }

    /// Names in a mask register what another one names of the upper eight lanes of sixteen, as the lower eight.
    pub(super) fn upper_mask(&mut self, k: u8, of: u8) {
        // kshiftrw k, of, 8.
        self.raw(&[0xC4, 0xE3, 0xF9, 0x30, 0xC0 | k << 3 | of, 8]);
    }

    /// Jumps where a mask register names lanes; where to write the distance.
    pub(super) fn jump_if_named(&mut self, k: u8) -> usize {
        self.raw(&[0xC5, 0xF8, 0x98, 0xC0 | k << 3 | k, 0x0F, 0x85]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Keeps the mask of the tail on top of the stack, or takes it back.
    pub(super) fn tail_to_stack(&mut self) {
        self.raw(&[0xC5, 0xF8, 0x91, TAIL << 3 | 4, 0x24]);
    }

    pub(super) fn tail_from_stack(&mut self) {
        self.raw(&[0xC5, 0xF8, 0x90, TAIL << 3 | 4, 0x24]);
    }

    /// Loads a general register from the table of addresses in rdi.
    pub(super) fn load_address(&mut self, register: u8, entry: usize) {
        self.raw(&[
            0x48 | (register >> 3) << 2,
            0x8B,
            0x80 | (register & 7) << 3 | 7,
        ]);
        self.number(8 * entry as i32);
    }

    /// Gives rax the byte whose address it has, with the other sign.
    pub(super) fn negated_byte(&mut self) {
        self.raw(&[0x0F, 0xB6, 0x00, 0x48, 0xF7, 0xD8]);
    }

    /// Saves registers and makes room on the stack, aligned to a vector; where to write the size of the room
    /// when it is known.
    pub(super) fn enter(&mut self) -> usize {
        self.raw(&[0x55, 0x48, 0x89, 0xE5, 0x53]);
        self.raw(&[0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57]);
        self.raw(&[0x48, 0x81, 0xEC]);
        let hole = self.bytes.len();
        self.number(0);
        self.raw(&[0x48, 0x83, 0xE4, (self.width.bytes() as u8).wrapping_neg()]);
        if self.flush {
            self.raw(&[0x0F, 0xAE, 0x5D, MXCSR, 0x8B, 0x45, MXCSR, 0x0D]);
            self.raw(&FLUSH.to_le_bytes());
            self.raw(&[0x89, 0x45, FLUSHING]);
            self.flush_subnormals(true);
        }
        hole
    }

    /// Sets mxcsr for the code, or as the caller left it; nothing where both are the same.
    pub(super) fn flush_subnormals(&mut self, on: bool) {
        if self.flush {
            self.raw(&[0x0F, 0xAE, 0x55, if on { FLUSHING } else { MXCSR }]);
        }
    }

    /// Restores what [`Asm::enter`] saved and returns.
    pub(super) fn leave(&mut self) {
        self.flush_subnormals(false);
        self.raw(&[0x48, 0x8D, 0x65, 0xD8]);
        self.raw(&[0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5B, 0x5D]);
        self.raw(&[0xC5, 0xF8, 0x77, 0xC3]);
    }

    /// Jumps where a comparison that sets flags found a NaN; where to write the distance.
    pub(super) fn jump_if_unordered(&mut self) -> usize {
        self.raw(&[0x0F, 0x8A]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Jumps where eax is not 0; where to write the distance.
    pub(super) fn jump_if_any(&mut self) -> usize {
        self.raw(&[0x85, 0xC0, 0x0F, 0x85]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Puts a number into eax and calls a routine of this code; where to write the distance.
    pub(super) fn call_with(&mut self, number: u32) -> usize {
        self.raw(&[0xB8]);
        self.raw(&number.to_le_bytes());
        self.raw(&[0xE8]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Saves the general registers that a call may change; the bytes that the stack has grown by since
    /// the routine was called, whose stack was aligned to 16 bytes.
    pub(super) fn save_general(&mut self) -> i32 {
        self.raw(&[0x57, 0x56, 0x52, 0x51]);
        self.raw(&[0x41, 0x50, 0x41, 0x51, 0x41, 0x52, 0x41, 0x53]);
        // One place more keeps the alignment: the address to return to, eight registers.
        self.raw(&[0x48, 0x83, 0xEC, 0x08]);
        80
    }

    /// Restores what [`Asm::save_general`] saved and returns.
    pub(super) fn restore_general(&mut self) {
        self.raw(&[0x48, 0x83, 0xC4, 0x08]);
        self.raw(&[0x41, 0x5B, 0x41, 0x5A, 0x41, 0x59, 0x41, 0x58]);
        self.raw(&[0x59, 0x5A, 0x5E, 0x5F, 0xC3]);
    }

    /// Calls the function whose address stands in the pool (rdx), with eax and the address of a place
    /// on the stack.
    pub(super) fn call_out(&mut self, place: i32, pool: i32) {
        self.raw(&[0xC5, 0xF8, 0x77, 0x89, 0xC7, 0x48, 0x8D, 0xB4, 0x24]);
        self.number(place);
        self.raw(&[0xFF, 0x92]);
        self.number(pool);
    }

    /// Clears the index of the loop, rcx.
    pub(super) fn clear_index(&mut self) {
        self.raw(&[0x31, 0xC9]);
    }

    /// Adds to the index.
    pub(super) fn add_index(&mut self, n: usize) {
        self.raw(&[0x48, 0x81, 0xC1]);
        self.number(n as i32);
    }

    /// Jumps where fewer than `n` elements are left of the count in rsi; where to write the distance.
    pub(super) fn jump_unless_left(&mut self, n: usize) -> usize {
        self.raw(&[0x48, 0x8D, 0x81]);
        self.number(n as i32);
        self.raw(&[0x48, 0x39, 0xF0, 0x0F, 0x87]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Jumps back to a place where at least `n` elements are left.
    pub(super) fn jump_back_while_left(&mut self, n: usize, to: usize) {
        self.raw(&[0x48, 0x8D, 0x81]);
        self.number(n as i32);
        self.raw(&[0x48, 0x39, 0xF0, 0x0F, 0x86]);
        let distance = to as i64 - (self.bytes.len() as i64 + 4);
        self.number(distance as i32);
    }

    /// Jumps where nothing is left, otherwise gives rax the number of elements that are; where to write the
    /// distance.
    pub(super) fn jump_or_count(&mut self) -> usize {
        self.raw(&[0x48, 0x89, 0xF0, 0x48, 0x29, 0xC8, 0x0F, 0x8E]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Gives rax the number of elements that are left behind the next `n`.
    pub(super) fn count_beyond(&mut self, n: usize) {
        self.raw(&[0x48, 0x89, 0xF0, 0x48, 0x29, 0xC8, 0x48, 0x2D]);
        self.number(n as i32);
    }

    /// Gives rax the address of the mask for rax elements: `middle` bytes behind rdx stand the masks between
    /// set and clear ones, each 1 << scale bytes.
    pub(super) fn mask_address(&mut self, scale: u8, middle: i32) {
        self.raw(&[0x48, 0xF7, 0xD8]);
        self.raw(&[0x48, 0x8D, 0x84, scale << 6 | RAX << 3 | RDX]);
        self.number(middle);
    }

    /// Keeps the number in rax in a slot of the stack.
    pub(super) fn keep_rest(&mut self, slot: i32) {
        self.raw(&[0x48, 0x89, 0x84, 0x24]);
        self.number(slot);
    }

    /// Jumps where the number that [`Asm::keep_rest`] kept is at most `n`; where to write the distance.
    pub(super) fn jump_unless_rest(&mut self, slot: i32, n: u8) -> usize {
        self.raw(&[0x83, 0xBC, 0x24]);
        self.number(slot);
        self.raw(&[n, 0x0F, 0x86]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Keeps the count of elements in a slot of the stack.
    pub(super) fn keep_count(&mut self, slot: i32) {
        self.raw(&[0x48, 0x89, 0xB4, 0x24]);
        self.number(slot);
    }

    /// Makes rsi the end of the next `n` elements, or of all.
    pub(super) fn next_part(&mut self, slot: i32, n: usize) {
        self.raw(&[0x48, 0x8D, 0x81]);
        self.number(n as i32);
        self.raw(&[0x48, 0x8B, 0xB4, 0x24]);
        self.number(slot);
        self.raw(&[0x48, 0x39, 0xF0, 0x48, 0x0F, 0x42, 0xF0]);
    }

    /// Gives rax the address of an entry of the table and as many times `1 << scale` bytes as there are
    /// whole parts of `1 << part` elements before the last element.
    pub(super) fn part_address(&mut self, entry: usize, part: u8, scale: u8) {
        self.raw(&[0x48, 0x8D, 0x41, 0xFF, 0x48, 0xC1, 0xE8, part]);
        self.raw(&[0x48, 0xC1, 0xE0, scale, 0x48, 0x03, 0x87]);
        self.number(8 * entry as i32);
    }

    /// Jumps back to a place where the index is below the count that was kept.
    pub(super) fn jump_back_if_left(&mut self, slot: i32, to: usize) {
        self.raw(&[0x48, 0x3B, 0x8C, 0x24]);
        self.number(slot);
        self.raw(&[0x0F, 0x82]);
        let distance = to as i64 - (self.bytes.len() as i64 + 4);
        self.number(distance as i32);
    }

    /// Sets the index to the first of the steps, whose number is in rsi: 0, or the last one.
    pub(super) fn first_step(&mut self, reverse: bool) {
        if reverse {
            self.raw(&[0x48, 0x8D, 0x4E, 0xFF]);
        } else {
            self.clear_index();
        }
    }

    /// Goes on to the next step: jumps back to a place unless that was the last.
    pub(super) fn next_step(&mut self, reverse: bool, to: usize) {
        if reverse {
            self.raw(&[0x48, 0x81, 0xC1]);
            self.number(-1);
            self.raw(&[0x0F, 0x89]);
        } else {
            self.add_index(1);
            self.raw(&[0x48, 0x39, 0xF1, 0x0F, 0x8C]);
        }
        let distance = to as i64 - (self.bytes.len() as i64 + 4);
        self.number(distance as i32);
    }

    /// Jumps; where to write the distance.
    pub(super) fn jump(&mut self) -> usize {
        self.raw(&[0xE9]);
        self.number(0);
        self.bytes.len() - 4
    }

    /// Jumps back to a place.
    pub(super) fn jump_back(&mut self, to: usize) {
        self.raw(&[0xE9]);
        let distance = to as i64 - (self.bytes.len() as i64 + 4);
        self.number(distance as i32);
    }

    /// Lets a jump end here.
    pub(super) fn land(&mut self, hole: usize) {
        let distance = (self.bytes.len() - (hole + 4)) as i32;
        self.fill(hole, distance);
    }

    /// Writes a number into a hole.
    pub(super) fn fill(&mut self, hole: usize, number: i32) {
        if let Some(hole) = self.bytes.get_mut(hole..hole + 4) {
            hole.copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// The register whose bits stand in the last operand.
fn low(rm: Rm) -> u8 {
    match rm {
        Rm::Reg(r) | Rm::Base(r, _) | Rm::Indexed(r, ..) => r,
    }
}
