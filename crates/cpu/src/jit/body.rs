//! Registers for the instructions of one loop body.
//!
//! The body of a loop is straight-line code, so the next reading of every value is known: a register
//! is taken from the value that is read last (L. A. Belady, A study of replacement algorithms, 1966).
//! Numbers, single elements and spilled values are read from memory by the instruction itself where
//! that is possible.

use cotangent_compile::lane::{LaneCode, Lanes, Predicate, Prim, Rounding};

use super::asm::{Asm, Form, RAX, RDX, RSP, Rm, form};
use super::call::{self, Site};
use super::join::Joined;

/// No value, or no further reading.
const NONE: u32 = u32::MAX;
/// The register with the mask of the last, partial vector.
pub(super) const MASK: u8 = 15;

pub(super) const LOAD: Form = form(1, 0x10);
pub(super) const STORE: Form = form(1, 0x11);
pub(super) const STORE_ALIGNED: Form = form(1, 0x29);

/// One element to all lanes of a register.
pub(super) fn spread(lanes: Lanes) -> Form {
    form(2, if lanes == Lanes::W64 { 0x19 } else { 0x18 })
}

/// The lowest lane of a register to memory.
pub(super) fn single(lanes: Lanes) -> Form {
    Form {
        prefix: if lanes == Lanes::W64 { 3 } else { 2 },
        ..form(1, 0x11)
    }
}

/// Where a value stands in memory, so that it need not keep a register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    None,
    /// In the pool.
    Pool(i32),
    /// On the stack, for the whole run.
    Frame(i32),
    /// On the stack, in this slot, until its last reading.
    Spill(i32),
}

/// How elements come from memory and go there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Vectors.
    Whole,
    /// A part of a vector, by the mask in [`MASK`].
    Masked,
    /// One element, which then stands in every lane, so that no lane computes something odd.
    Single,
}

/// Where a value that a loop carries stands between two steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// In a register.
    Register(u8),
    /// On the stack; the second slot takes the next value while others are still read.
    Slots(i32, i32),
}

/// One instruction of one of the vectors that are worked on side by side.
#[derive(Clone, Copy)]
pub(super) struct Item {
    prim: Prim,
    pub(super) vector: usize,
    value: u32,
    pub(super) args: [u32; 3],
    /// When each operand is read again.
    next: [u32; 3],
}

/// Gives registers to the values of one loop body.
pub(super) struct Body<'a> {
    code: &'a LaneCode,
    addresses: &'a [Option<u8>],
    pub(super) access: Access,
    /// How many vectors are worked on side by side.
    pub(super) vectors: usize,
    /// Of each stored value the reduction that it goes into, where that has registers.
    joins: &'a [Option<Joined>],
    items: Vec<Item>,
    homes: Vec<Home>,
    register: Vec<u8>,
    /// When each value is read next.
    next: Vec<u32>,
    holds: [u32; 16],
    usable: u8,
    free_slots: Vec<i32>,
    /// Slots whose value was read for the last time by the instruction at hand.
    leaving: Vec<i32>,
    pub(super) slots: i32,
    pub(super) spilled: usize,
    /// Calls that are to be written behind the loops.
    pub(super) sites: Vec<Site>,
    /// The register with the address of the slots.
    pub(super) frame: u8,
}

impl<'a> Body<'a> {
    /// The instructions of `vectors` vectors side by side. Values have their homes; those in `kept`
    /// are wanted when the body has run.
    pub(super) fn new(
        code: &'a LaneCode,
        homes: &[Home],
        addresses: &'a [Option<u8>],
        slots: i32,
        vectors: usize,
        access: Access,
        kept: &[u32],
    ) -> Body<'a> {
        let n = code.insts.len();
        // Values of the second vector are numbered behind those of the first; what is the same in
        // both has one number.
        let number = |v: u32, vector: usize| match homes[v as usize] {
            Home::None => v + (vector * n) as u32,
            _ => v,
        };
        let mut items = Vec::with_capacity(n * vectors);
        for (i, inst) in code.insts.iter().enumerate() {
            if homes[i] != Home::None {
                continue;
            }
            for vector in 0..vectors {
                let mut args = [NONE; 3];
                for (to, a) in args.iter_mut().zip(inst.operands()) {
                    *to = number(*a, vector);
                }
                items.push(Item {
                    prim: inst.prim,
                    vector,
                    value: number(i as u32, vector),
                    args,
                    next: [NONE; 3],
                });
            }
        }
        let mut next = vec![NONE; n * vectors];
        for v in kept {
            next[*v as usize] = items.len() as u32;
        }
        for (p, item) in items.iter_mut().enumerate().rev() {
            for (k, a) in item.args.iter().enumerate() {
                if *a != NONE {
                    item.next[k] = next[*a as usize];
                }
            }
            for a in item.args.iter().filter(|a| **a != NONE) {
                next[*a as usize] = p as u32;
            }
        }
        let mut all = homes.to_vec();
        all.resize(n * vectors, Home::None);
        Body {
            code,
            addresses,
            access,
            vectors,
            joins: &[],
            items,
            homes: all,
            register: vec![u8::MAX; n * vectors],
            next,
            holds: [NONE; 16],
            usable: if access == Access::Masked { 15 } else { 16 },
            free_slots: Vec::new(),
            leaving: Vec::new(),
            slots,
            spilled: 0,
            sites: Vec::new(),
            frame: RSP,
        }
    }

    /// Joins what is stored in registers, which the body then leaves alone otherwise.
    pub(super) fn joins(&mut self, joins: &'a [Option<Joined>]) {
        self.joins = joins;
        for join in joins.iter().flatten() {
            self.usable = self.usable.min(join.high);
        }
    }

    /// Says that a value stands in a register when the body begins.
    pub(super) fn hold(&mut self, v: u32, r: u8) {
        self.put(v, r);
    }

    pub(super) fn run(&mut self, asm: &mut Asm) {
        for p in 0..self.items.len() {
            let leaving = std::mem::take(&mut self.leaving);
            self.free_slots.extend(leaving);
            let item = self.items[p];
            match item.prim {
                Prim::Load(k) => {
                    if self.next[item.value as usize] == NONE {
                        continue;
                    }
                    let place = self.stream(asm, k as usize, item.vector);
                    let d = self.take(asm, 0);
                    match self.access {
                        Access::Whole => asm.vex(LOAD, d, 0, place),
                        Access::Masked => asm.vex(self.mask_form(0x2C), d, MASK, place),
                        Access::Single => asm.vex(spread(self.code.lanes), d, 0, place),
                    }
                    self.put(item.value, d);
                }
                Prim::Store(k) => {
                    if let Some(Some(to)) = self.joins.get(k as usize) {
                        self.join(asm, &item, *to);
                        continue;
                    }
                    let x = self.need(asm, item.args[0], &mut 0);
                    let stream = self.code.inputs.len() + k as usize;
                    let place = self.stream(asm, stream, item.vector);
                    match self.access {
                        Access::Whole => asm.vex(STORE, x, 0, place),
                        Access::Masked => asm.vex(self.mask_form(0x2E), x, MASK, place),
                        Access::Single => asm.vex(single(self.code.lanes), x, 0, place),
                    }
                    self.read(&item);
                }
                Prim::At(k, i) => {
                    if self.next[item.value as usize] == NONE {
                        continue;
                    }
                    let place = self.element(asm, k as usize, i);
                    let d = self.take(asm, 0);
                    asm.vex(spread(self.code.lanes), d, 0, place);
                    self.put(item.value, d);
                }
                Prim::Put(k, i) => {
                    let x = self.need(asm, item.args[0], &mut 0);
                    let place = self.element(asm, self.code.inputs.len() + k as usize, i);
                    asm.vex(single(self.code.lanes), x, 0, place);
                    self.read(&item);
                }
                // What is carried in a register stands there from the beginning.
                Prim::Splat(_) => {}
                Prim::Fma | Prim::Fms | Prim::Fnma => self.fused(asm, &item),
                Prim::Blend => {
                    let mut pinned = 0;
                    let [mask, then, other] = item.args;
                    let mask = self.need(asm, mask, &mut pinned);
                    let other = self.need(asm, other, &mut pinned);
                    let then = self.place(asm, then, &mut pinned);
                    self.read(&item);
                    let d = self.take(asm, 0);
                    let blend = form(3, if self.wide() { 0x4B } else { 0x4A });
                    asm.vex_with(blend, d, other, then, mask << 4);
                    self.put(item.value, d);
                }
                Prim::Call(row) => {
                    let mut pinned = 0;
                    let [mask, x, other] = item.args.map(|v| self.need(asm, v, &mut pinned));
                    let d = self.take(asm, pinned);
                    self.read(&item);
                    asm.vex(LOAD, d, 0, Rm::Reg(other));
                    let one = self.access == Access::Single;
                    let site = call::test(asm, self.code.lanes, row, mask, x, d, one);
                    self.sites.push(site);
                    self.put(item.value, d);
                }
                prim if prim.arity() == 1 => self.unary(asm, &item),
                _ => self.binary(asm, &item),
            }
        }
    }

    /// Brings the values that a loop carries to their seats, for the next step.
    pub(super) fn settle(&mut self, asm: &mut Asm, seats: &[(u32, Seat)]) {
        for (v, seat) in seats {
            if let Seat::Slots(_, next) = seat {
                let r = self.need(asm, *v, &mut 0);
                asm.vex(STORE_ALIGNED, r, 0, Rm::Base(RSP, *next));
            }
        }
        let mut moves: Vec<(u8, Rm)> = Vec::new();
        for (v, seat) in seats {
            if let Seat::Register(to) = seat {
                let from = match self.register[*v as usize] {
                    u8::MAX => self.home(*v),
                    r => Rm::Reg(r),
                };
                moves.push((*to, from));
            }
        }
        moves.retain(|(to, from)| *from != Rm::Reg(*to));
        while !moves.is_empty() {
            let free = moves
                .iter()
                .position(|(to, _)| moves.iter().all(|(_, from)| *from != Rm::Reg(*to)));
            if let Some(k) = free {
                let (to, from) = moves.swap_remove(k);
                asm.vex(LOAD, to, 0, from);
                continue;
            }
            // Values go round in a circle: one steps aside. There are more registers than seats.
            let used = |r: u8| {
                seats.iter().any(|(_, seat)| *seat == Seat::Register(r))
                    || moves.iter().any(|(_, from)| *from == Rm::Reg(r))
            };
            let (Some(aside), Some((_, from))) = ((0..16).find(|r| !used(*r)), moves.first())
            else {
                return;
            };
            let from = *from;
            asm.vex(LOAD, aside, 0, from);
            for (_, source) in moves.iter_mut().filter(|(_, source)| *source == from) {
                *source = Rm::Reg(aside);
            }
        }
        for (_, seat) in seats {
            if let Seat::Slots(at, next) = seat {
                asm.vex(LOAD, MASK, 0, Rm::Base(RSP, *next));
                asm.vex(STORE_ALIGNED, MASK, 0, Rm::Base(RSP, *at));
            }
        }
    }

    pub(super) fn wide(&self) -> bool {
        self.code.lanes == Lanes::W64
    }

    /// vmaskmovps or vmaskmovpd, by the opcode of the first.
    fn mask_form(&self, opcode: u8) -> Form {
        form(2, opcode + u8::from(self.wide()))
    }

    /// Where a stream's elements for a vector stand.
    fn stream(&self, asm: &mut Asm, stream: usize, vector: usize) -> Rm {
        let base = self.address(asm, stream);
        let scale = self.code.lanes.bytes().trailing_zeros() as u8;
        Rm::Indexed(base, scale, 32 * vector as i32)
    }

    /// Where an element of a stream stands.
    fn element(&self, asm: &mut Asm, stream: usize, i: u32) -> Rm {
        let base = self.address(asm, stream);
        Rm::Base(base, i as i32 * self.code.lanes.bytes() as i32)
    }

    /// The register with the address of a stream.
    fn address(&self, asm: &mut Asm, stream: usize) -> u8 {
        self.addresses[stream].unwrap_or_else(|| {
            asm.load_address(RAX, stream);
            RAX
        })
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
            Prim::Sqrt => asm.vex(self.float(0x51), d, 0, x),
            Prim::Round(how) => {
                let number = match how {
                    Rounding::Even => 8,
                    Rounding::Floor => 9,
                    Rounding::Ceil => 10,
                    Rounding::Trunc => 11,
                };
                asm.vex_with(form(3, if wide { 0x09 } else { 0x08 }), d, 0, x, number);
            }
            Prim::Shl(n) => asm.vex_with(form(1, if wide { 0x73 } else { 0x72 }), 6, d, x, n),
            Prim::Shr(n) => asm.vex_with(form(1, if wide { 0x73 } else { 0x72 }), 2, d, x, n),
            _ => asm.vex(
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
                asm.vex_with(self.float(0xC2), d, x, y, number);
                return self.put(item.value, d);
            }
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
            Prim::IEq => by(form(2, 0x29), form(1, 0x76)),
            _ => by(form(2, 0x37), form(1, 0x66)),
        };
        asm.vex(form, d, x, y);
        self.put(item.value, d);
    }

    /// The form of a float instruction: with the prefix 66 for f64.
    fn float(&self, opcode: u8) -> Form {
        Form {
            prefix: u8::from(self.wide()),
            ..form(1, opcode)
        }
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
            ..form(2, base + order)
        };
        // Orders: 132 is d * z + y, 213 is y * d + z, 231 is y * z + d.
        let (first, second, third) = (0x00, 0x10, 0x20);
        let ends = |s: &Self, v: u32| {
            let once = item.args.iter().filter(|x| **x == v).count() == 1;
            let k = item.args.iter().position(|x| *x == v).unwrap_or(0);
            once && item.next[k] == NONE && s.register[v as usize] != u8::MAX
        };
        let d = if ends(self, c) {
            let d = self.need(asm, c, &mut pinned);
            let y = self.need(asm, a, &mut pinned);
            let z = self.place(asm, b, &mut pinned);
            asm.vex(fused(third), d, y, z);
            d
        } else if ends(self, a) {
            let d = self.need(asm, a, &mut pinned);
            if self.homes[b as usize] != Home::None && self.register[b as usize] == u8::MAX {
                let y = self.need(asm, c, &mut pinned);
                let z = self.place(asm, b, &mut pinned);
                asm.vex(fused(first), d, y, z);
            } else {
                let y = self.need(asm, b, &mut pinned);
                let z = self.place(asm, c, &mut pinned);
                asm.vex(fused(second), d, y, z);
            }
            d
        } else if ends(self, b) {
            let d = self.need(asm, b, &mut pinned);
            let y = self.need(asm, a, &mut pinned);
            let z = self.place(asm, c, &mut pinned);
            asm.vex(fused(second), d, y, z);
            d
        } else {
            let y = self.need(asm, a, &mut pinned);
            let z = self.place(asm, b, &mut pinned);
            let c = self.place(asm, c, &mut pinned);
            let d = self.take(asm, pinned);
            asm.vex(LOAD, d, 0, c);
            asm.vex(fused(third), d, y, z);
            d
        };
        self.read(item);
        self.put(item.value, d);
    }

    /// A register for a new value; those whose bits are set in `pinned` keep theirs.
    pub(super) fn take(&mut self, asm: &mut Asm, pinned: u32) -> u8 {
        let (mut best, mut distance) = (0, 0);
        for r in (0..self.usable).filter(|r| pinned >> r & 1 == 0) {
            let v = self.holds[r as usize];
            if v == NONE {
                return r;
            }
            // Among equals one that needs no store.
            let stored = u64::from(self.homes[v as usize] != Home::None);
            let own = match self.next[v as usize] {
                NONE => u64::MAX,
                next => 2 * u64::from(next) + stored + 1,
            };
            if own > distance {
                (best, distance) = (r, own);
            }
        }
        let v = self.holds[best as usize];
        if v != NONE {
            if self.next[v as usize] != NONE && self.homes[v as usize] == Home::None {
                let slot = self.free_slots.pop().unwrap_or_else(|| {
                    self.slots += 1;
                    32 * (self.slots - 1)
                });
                self.homes[v as usize] = Home::Spill(slot);
                self.spilled += 1;
                asm.vex(STORE_ALIGNED, best, 0, Rm::Base(self.frame, slot));
            }
            self.register[v as usize] = u8::MAX;
            self.holds[best as usize] = NONE;
        }
        best
    }

    fn put(&mut self, v: u32, r: u8) {
        if self.next[v as usize] == NONE {
            // Nothing reads it; the register stays free.
            return;
        }
        self.holds[r as usize] = v;
        self.register[v as usize] = r;
    }

    /// A value in a register.
    pub(super) fn need(&mut self, asm: &mut Asm, v: u32, pinned: &mut u32) -> u8 {
        let r = match self.register[v as usize] {
            u8::MAX => {
                let r = self.take(asm, *pinned);
                let home = self.home(v);
                // Pool entries may stand at any address.
                asm.vex(LOAD, r, 0, home);
                self.holds[r as usize] = v;
                self.register[v as usize] = r;
                r
            }
            r => r,
        };
        *pinned |= 1 << r;
        r
    }

    /// A value where it stands: a register, or memory if this saves a load.
    fn place(&mut self, asm: &mut Asm, v: u32, pinned: &mut u32) -> Rm {
        match (self.register[v as usize], self.homes[v as usize]) {
            (u8::MAX, Home::Pool(_) | Home::Frame(_) | Home::Spill(_)) => self.home(v),
            _ => Rm::Reg(self.need(asm, v, pinned)),
        }
    }

    fn home(&self, v: u32) -> Rm {
        match self.homes[v as usize] {
            Home::Pool(offset) => Rm::Base(RDX, offset),
            Home::Frame(offset) | Home::Spill(offset) => Rm::Base(self.frame, offset),
            // Every value that has no register was spilled before.
            Home::None => Rm::Base(RDX, 0),
        }
    }

    /// Notes that an instruction has read its operands; values that are not read again give up
    /// their registers and slots.
    pub(super) fn read(&mut self, item: &Item) {
        for (a, next) in item.args.iter().zip(item.next) {
            if *a == NONE {
                continue;
            }
            self.next[*a as usize] = next;
            if next != NONE {
                continue;
            }
            let r = self.register[*a as usize];
            if r != u8::MAX {
                self.holds[r as usize] = NONE;
                self.register[*a as usize] = u8::MAX;
            }
            if let Home::Spill(slot) = self.homes[*a as usize] {
                self.leaving.push(slot);
                self.homes[*a as usize] = Home::None;
            }
        }
    }
}
