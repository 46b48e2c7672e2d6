//! Products with a strong zero: 0 where a factor is 0 and the product is NaN.
//!
//! That is rare, so the body takes plain products and tests two of them at once. Where one is NaN it jumps to
//! code that looks at the factors.

use cotangent_compile::lane::Lanes;

use super::asm::{Asm, K1, K2, Lanewise, RSP, Rm, Width};
use super::body::{Access, Body, Home, Item};
use super::cold::{Site, What};
use super::forms::{CLASS, LOAD, STORE, float, signs};

/// A product and its factors: registers, and one that may stand in memory.
#[derive(Clone, Copy)]
pub(super) struct Product {
    d: u8,
    x: u8,
    y: Rm,
    /// A register that holds nothing there.
    free: u8,
}

const MULTIPLY: u8 = 0x59;
const COMPARE: u8 = 0xC2;
const EQUAL: u8 = 0;
const UNORDERED: u8 = 3;

/// The number of vfpclasspd for zeros of both signs.
const ZEROS: u8 = 0x06;

impl Body<'_> {
    /// One product or two, whose factors are there when the first is taken.
    pub(super) fn strong_products(&mut self, asm: &mut Asm, first: Item, second: Option<Item>) {
        let mut pinned = 0;
        let mut product = |body: &mut Self, asm: &mut Asm, item: Item| {
            let [mut a, mut b, _] = item.args;
            let place = |v: u32| {
                body.homes[v as usize] != Home::None && body.register[v as usize] == u8::MAX
            };
            if place(a) {
                std::mem::swap(&mut a, &mut b);
            }
            let x = body.need(asm, a, &mut pinned);
            let y = body.place(asm, b, &mut pinned);
            let d = body.take(asm, pinned);
            pinned |= 1 << d;
            asm.vector(body.float(MULTIPLY), d, x, y);
            Product { d, x, y, free: 0 }
        };
        let mut products = vec![product(self, asm, first)];
        products.extend(second.map(|item| product(self, asm, item)));
        let d = products[0].d;
        let other = products.last().map_or(d, |last| last.d);
        let lanes = self.code.lanes;
        if asm.width == Width::Narrow {
            let free = self.take(asm, pinned);
            products.iter_mut().for_each(|p| p.free = free);
        }
        let hole = match (self.access, asm.width) {
            (Access::Single, _) => {
                // Every lane holds the same number.
                asm.vex(float(lanes, 0x2E), d, 0, Rm::Reg(other));
                asm.jump_if_unordered()
            }
            (_, Width::Narrow) => {
                let free = products[0].free;
                asm.vector_with(float(lanes, COMPARE), free, d, Rm::Reg(other), UNORDERED);
                asm.vex(signs(lanes), 0, 0, Rm::Reg(free));
                asm.jump_if_any()
            }
            (_, Width::Wide) => {
                let compare = float(lanes, COMPARE);
                asm.evex_with(compare, [K1, d], Rm::Reg(other), Lanewise::All, UNORDERED);
                asm.jump_if_named(K1)
            }
        };
        for (item, product) in [Some(first), second].iter().flatten().zip(&products) {
            self.read(item);
            self.put(item.value, product.d);
        }
        self.sites.push(Site {
            hole,
            back: asm.bytes.len(),
            what: What::Products(products),
        });
    }
}

/// Makes a product 0 in the lanes where it is NaN and a factor is 0.
pub(super) fn repair(asm: &mut Asm, lanes: Lanes, &Product { d, x, y, free }: &Product) {
    let compare = float(lanes, COMPARE);
    if asm.width == Width::Wide {
        let wide = lanes == Lanes::W64;
        let class = CLASS.wide(wide);
        asm.evex_with(compare, [K1, d], Rm::Reg(d), Lanewise::All, UNORDERED);
        asm.evex_with(class, [K2, 0], Rm::Reg(x), Lanewise::Keep(K1), ZEROS);
        asm.evex_with(class, [K1, 0], y, Lanewise::Keep(K1), ZEROS);
        asm.join_masks(K1, K2);
        // Exclusive or with itself.
        asm.evex(float(lanes, 0x57), d, d, Rm::Reg(d), Lanewise::Keep(K1));
        return;
    }
    // A second register is put aside below the stack pointer, where System V leaves 128 bytes to code that calls
    // nothing meanwhile; code is placed on Linux alone.
    let aside = Rm::Base(RSP, -64);
    let used = [d, x, free].into_iter().chain(match y {
        Rm::Reg(y) => Some(y),
        _ => None,
    });
    let used: Vec<u8> = used.collect();
    let Some(other) = (0..16).find(|r| !used.contains(r)) else {
        return;
    };
    let (and, and_not, or, xor) = (0x54, 0x55, 0x56, 0x57);
    asm.vector(STORE, other, 0, aside);
    asm.vector(LOAD, other, 0, y);
    asm.vector(float(lanes, xor), free, free, Rm::Reg(free));
    asm.vector_with(compare, other, other, Rm::Reg(free), EQUAL);
    asm.vector_with(compare, free, x, Rm::Reg(free), EQUAL);
    asm.vector(float(lanes, or), free, free, Rm::Reg(other));
    asm.vector_with(compare, other, d, Rm::Reg(d), UNORDERED);
    asm.vector(float(lanes, and), free, free, Rm::Reg(other));
    asm.vector(float(lanes, and_not), d, free, Rm::Reg(d));
    asm.vector(LOAD, other, 0, aside);
}
