//! Instructions that compute, on registers that the body gives them.

use cotangent_compile::lane::{Predicate, Prim, Rounding};

use super::asm::{Asm, Form, K1, Lanewise, Rm, Width, form};
use super::body::{Access, Body, Home, Item, NONE};
use super::cold;
use super::forms::{self, FROM_MASK, LOAD, LOGIC, SCALE, shift};

/// The numbers for a choice by a mask, by what the result's register held before: the mask, what is chosen
/// where it is set, or the other. Bit 4 a + 2 b + c says what becomes of bits a, b and c of the three operands.
const CHOICE: [u8; 3] = [0xCA, 0xE2, 0xB8];

impl Body<'_> {
    pub(super) fn compute(&mut self, asm: &mut Asm, item: &Item) {
        match item.prim {
            Prim::Fma | Prim::Fms | Prim::Fnma => self.fused(asm, item),
            Prim::Blend => self.blend(asm, item),
            Prim::Call(row) => {
                let mut pinned = 0;
                let [mask, x, other] = item.args.map(|v| self.need(asm, v, &mut pinned));
                let d = self.take(asm, pinned);
                self.read(item);
                asm.vector(LOAD, d, 0, Rm::Reg(other));
                let one = self.access == Access::Single;
                let site = cold::test(asm, self.code.lanes, row, [mask, x, d], one);
                self.sites.push(site);
                self.put(item.value, d);
            }
            prim if prim.arity() == 1 => self.unary(asm, item),
            _ => self.binary(asm, item),
        }
    }

    fn unary(&mut self, asm: &mut Asm, item: &Item) {
        let mut pinned = 0;
        let x = match item.prim {
            // The form with a number takes a register only.
            Prim::Shl(_) | Prim::Shr(_) => Rm::Reg(self.need(asm, item.args[0], &mut pinned)),
            _ => self.place(asm, item.args[0], &mut pinned),
        };
        self.read(item);
        let d = self.take(asm, 0);
        let wide = self.wide();
        match item.prim {
            Prim::Sqrt => asm.vector(self.float(0x51), d, 0, x),
            Prim::Round(how) => {
                let number = match how {
                    Rounding::Even => 8,
                    Rounding::Floor => 9,
                    Rounding::Ceil => 10,
                    Rounding::Trunc => 11,
                };
                let form = form(3, if wide { 0x09 } else { 0x08 }).wide(wide);
                asm.vector_with(form, d, 0, x, number);
            }
            Prim::Shl(n) => asm.vector_with(shift(wide), 6, d, x, n),
            Prim::Shr(n) => asm.vector_with(shift(wide), 2, d, x, n),
            _ => asm.vector(
                Form {
                    prefix: 0,
                    ..form(1, 0x5B)
                },
                d,
                0,
                x,
            ),
        }
        self.put(item.value, d);
    }

    fn binary(&mut self, asm: &mut Asm, item: &Item) {
        let mut pinned = 0;
        let [mut a, mut b, _] = item.args;
        // The second operand may stand in memory. Sums and products of floats may be turned around
        // too: only the bits of NaN tell the difference.
        let turns = item.prim.commutes() || matches!(item.prim, Prim::Add | Prim::Mul);
        if turns && self.homes[a as usize] != Home::None && self.register[a as usize] == u8::MAX {
            std::mem::swap(&mut a, &mut b);
        }
        let x = self.need(asm, a, &mut pinned);
        let y = self.place(asm, b, &mut pinned);
        self.read(item);
        let d = self.take(asm, 0);
        let wide = self.wide();
        let by = |w: Form, n: Form| if wide { w } else { n };
        let form = match item.prim {
            Prim::Cmp(predicate) => {
                let number = match predicate {
                    Predicate::Eq => 0x00,
                    Predicate::Lt => 0x11,
                    Predicate::Le => 0x12,
                    Predicate::Ne => 0x04,
                    Predicate::Unordered => 0x03,
                };
                match asm.width {
                    Width::Narrow => asm.vector_with(self.float(0xC2), d, x, y, number),
                    Width::Wide => {
                        let compare = self.float(0xC2);
                        asm.evex_with(compare, [K1, x], y, Lanewise::All, number);
                        asm.vector(FROM_MASK.wide(wide), d, 0, Rm::Reg(K1));
                    }
                }
                return self.put(item.value, d);
            }
            Prim::Scale => SCALE,
            Prim::Add => self.float(0x58),
            Prim::Mul => self.float(0x59),
            Prim::Sub => self.float(0x5C),
            Prim::Min => self.float(0x5D),
            Prim::Div => self.float(0x5E),
            Prim::Max => self.float(0x5F),
            Prim::And => self.float(0x54),
            Prim::AndNot => self.float(0x55),
            Prim::Or => self.float(0x56),
            Prim::Xor => self.float(0x57),
            Prim::IAdd => by(form(1, 0xD4), form(1, 0xFE)),
            Prim::ISub => by(form(1, 0xFB), form(1, 0xFA)),
            Prim::IMul => form(2, 0x40),
            prim => {
                let form = match prim {
                    Prim::IEq => by(form(2, 0x29), form(1, 0x76)),
                    _ => by(form(2, 0x37), form(1, 0x66)),
                };
                let form = form.wide(wide);
                match asm.width {
                    Width::Narrow => asm.vector(form, d, x, y),
                    Width::Wide => {
                        asm.vector(form, K1, x, y);
                        asm.vector(FROM_MASK.wide(wide), d, 0, Rm::Reg(K1));
                    }
                }
                return self.put(item.value, d);
            }
        };
        let form = form.wide(wide);
        asm.vector(form, d, x, y);
        self.put(item.value, d);
    }

    /// A choice by a mask.
    fn blend(&mut self, asm: &mut Asm, item: &Item) {
        let mut pinned = 0;
        let [mask, then, other] = item.args;
        if asm.width == Width::Narrow {
            let mask = self.need(asm, mask, &mut pinned);
            let other = self.need(asm, other, &mut pinned);
            let then = self.place(asm, then, &mut pinned);
            self.read(item);
            let d = self.take(asm, 0);
            let blend = form(3, if self.wide() { 0x4B } else { 0x4A });
            asm.vector_with(blend, d, other, then, mask << 4);
            return self.put(item.value, d);
        }
        // The result takes the register of an operand that ends here.
        let ends = item.args.iter().position(|v| self.ends(item, *v));
        let order = match ends {
            Some(0) => [mask, then, other],
            Some(1) => [then, mask, other],
            _ => [other, mask, then],
        };
        let first = match ends {
            Some(_) => Rm::Reg(self.need(asm, order[0], &mut pinned)),
            None => self.place(asm, order[0], &mut pinned),
        };
        let second = self.need(asm, order[1], &mut pinned);
        let third = self.place(asm, order[2], &mut pinned);
        let d = match (ends, first) {
            (Some(_), Rm::Reg(d)) => d,
            _ => {
                let d = self.take(asm, pinned);
                asm.vector(LOAD, d, 0, first);
                d
            }
        };
        let number = CHOICE[ends.unwrap_or(2)];
        asm.vector_with(LOGIC.wide(self.wide()), d, second, third, number);
        self.read(item);
        self.put(item.value, d);
    }

    /// Whether an operand stands in a register and is read for the last time.
    fn ends(&self, item: &Item, v: u32) -> bool {
        let once = item.args.iter().filter(|x| **x == v).count() == 1;
        let k = item.args.iter().position(|x| *x == v).unwrap_or(0);
        once && item.next[k] == NONE && self.register[v as usize] != u8::MAX
    }

    /// The form of an instruction on the body's floats.
    pub(super) fn float(&self, opcode: u8) -> Form {
        forms::float(self.code.lanes, opcode)
    }

    /// A product and a sum rounded once: the result takes the register of an operand that ends here.
    fn fused(&mut self, asm: &mut Asm, item: &Item) {
        let mut pinned = 0;
        let [mut a, mut b, c] = item.args;
        if self.homes[a as usize] != Home::None && self.register[a as usize] == u8::MAX {
            std::mem::swap(&mut a, &mut b);
        }
        let base = match item.prim {
            Prim::Fma => 0x98,
            Prim::Fms => 0x9A,
            _ => 0x9C,
        };
        let w = self.wide();
        let fused = |order: u8| Form {
            w,
            ..form(2, base + order).wide(w)
        };
        // Orders: 132 is d * z + y, 213 is y * d + z, 231 is y * z + d.
        let (first, second, third) = (0x00, 0x10, 0x20);
        let d = if self.ends(item, c) {
            let d = self.need(asm, c, &mut pinned);
            let y = self.need(asm, a, &mut pinned);
            let z = self.place(asm, b, &mut pinned);
            asm.vector(fused(third), d, y, z);
            d
        } else if self.ends(item, a) {
            let d = self.need(asm, a, &mut pinned);
            if self.homes[b as usize] != Home::None && self.register[b as usize] == u8::MAX {
                let y = self.need(asm, c, &mut pinned);
                let z = self.place(asm, b, &mut pinned);
                asm.vector(fused(first), d, y, z);
            } else {
                let y = self.need(asm, b, &mut pinned);
                let z = self.place(asm, c, &mut pinned);
                asm.vector(fused(second), d, y, z);
            }
            d
        } else if self.ends(item, b) {
            let d = self.need(asm, b, &mut pinned);
            let y = self.need(asm, a, &mut pinned);
            let z = self.place(asm, c, &mut pinned);
            asm.vector(fused(second), d, y, z);
            d
        } else {
            let y = self.need(asm, a, &mut pinned);
            let z = self.place(asm, b, &mut pinned);
            let c = self.place(asm, c, &mut pinned);
            let d = self.take(asm, pinned);
            asm.vector(LOAD, d, 0, c);
            asm.vector(fused(third), d, y, z);
            d
        };
        self.read(item);
        self.put(item.value, d);
    }
}
