//! Registers for the instructions of one loop body.
//!
//! The body of a loop is straight-line code, so the next reading of every value is known: a register
//! is taken from the value that is read last (L. A. Belady, A study of replacement algorithms, 1966).
//! Numbers, single elements and spilled values are read from memory by the instruction itself where
//! that is possible.

use std::cmp::Reverse;

use cotangent_compile::lane::{Elem, LaneCode, Lanes, Prim};

use super::asm::{Asm, RAX, RDX, RSP, Rm, Width};
use super::cold::Site;
use super::forms::{LOAD, STORE_ALIGNED, single, spread};
use super::join::Reducing;

/// No value, or no further reading.
pub(super) const NONE: u32 = u32::MAX;
/// The register with the mask of a last, partial vector of 256 bits; of 512 bits a mask register has it.
pub(super) const MASK: u8 = 15;

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
    /// Of the last vector a part, by the mask in [`MASK`].
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
    pub(super) prim: Prim,
    pub(super) vector: usize,
    pub(super) value: u32,
    pub(super) args: [u32; 3],
    /// When each operand is read again.
    pub(super) next: [u32; 3],
}

impl Item {
    /// Whether it is the same instruction as the one before, and does not read its value.
    fn beside(&self, before: &Item) -> bool {
        self.prim == before.prim && !self.args.contains(&before.value)
    }
}

/// Gives registers to the values of one loop body.
pub(super) struct Body<'a> {
    pub(super) code: &'a LaneCode,
    addresses: &'a [Option<u8>],
    pub(super) width: Width,
    pub(super) access: Access,
    /// How many vectors are worked on side by side.
    pub(super) vectors: usize,
    /// Of each stored value the reduction that it goes into, where code does that.
    reductions: &'a [Option<Reducing>],
    items: Vec<Item>,
    pub(super) homes: Vec<Home>,
    pub(super) register: Vec<u8>,
    /// When each value is read next.
    next: Vec<u32>,
    /// The value that each register holds.
    holds: [u32; 32],
    usable: u8,
    /// The registers that were given to values so far are below this one.
    given: u8,
    free_slots: Vec<i32>,
    /// Slots whose value was read for the last time by the instruction at hand.
    leaving: Vec<i32>,
    pub(super) slots: i32,
    pub(super) spilled: usize,
    /// Calls that are to be written behind the loops.
    pub(super) sites: Vec<Site>,
    /// The register with the address of the slots.
    pub(super) frame: u8,
    /// The slot that has the number of elements of a last, partial vector, where bools are read or written.
    pub(super) rest: i32,
}

impl<'a> Body<'a> {
    /// The instructions of `vectors` vectors of a width side by side. Values have their homes; those in `kept`
    /// are wanted when the body has run.
    pub(super) fn new(
        code: &'a LaneCode,
        homes: &[Home],
        addresses: &'a [Option<u8>],
        slots: i32,
        (width, vectors): (Width, usize),
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
            width,
            access,
            vectors,
            reductions: &[],
            items,
            homes: all,
            register: vec![u8::MAX; n * vectors],
            next,
            holds: [NONE; 32],
            usable: match (width, access) {
                (Width::Narrow, Access::Masked) => MASK,
                _ => width.registers(),
            },
            given: 0,
            free_slots: Vec::new(),
            leaving: Vec::new(),
            slots,
            spilled: 0,
            sites: Vec::new(),
            frame: RSP,
            rest: 0,
        }
    }

    /// Joins what is stored, also in registers, which the body then leaves alone otherwise.
    pub(super) fn reduce(&mut self, reductions: &'a [Option<Reducing>]) {
        self.reductions = reductions;
        for leaf in reductions.iter().flatten().filter_map(Reducing::leaf) {
            self.usable = self.usable.min(leaf.lowest());
        }
    }

    /// The values in memory that this body reads most often, as many as it has left registers for when it has run,
    /// and these registers.
    pub(super) fn residents(&self) -> Vec<(u32, u8)> {
        let mut reads = vec![0_u32; self.code.insts.len()];
        for v in self.items.iter().flat_map(|item| item.args) {
            if let Some(Home::Pool(_) | Home::Frame(_)) = self.homes.get(v as usize) {
                reads[v as usize] += 1;
            }
        }
        let mut values: Vec<u32> = (0..).take(reads.len()).collect();
        values.retain(|v| reads[*v as usize] > 0);
        values.sort_by_key(|v| Reverse(reads[*v as usize]));
        let left = (self.given..self.usable).rev();
        values.into_iter().zip(left).collect()
    }

    /// Loads values into registers that nothing else has from now on; the body was told that they are kept.
    pub(super) fn reside(&mut self, asm: &mut Asm, residents: &[(u32, u8)]) {
        for (v, r) in residents {
            asm.vector(LOAD, *r, 0, self.home(*v));
            self.hold(*v, *r);
            self.usable = self.usable.min(*r);
        }
    }

    /// Says that a value stands in a register when the body begins.
    pub(super) fn hold(&mut self, v: u32, r: u8) {
        self.put(v, r);
    }

    pub(super) fn run(&mut self, asm: &mut Asm) {
        let mut p = 0;
        while let Some(item) = self.items.get(p).copied() {
            let leaving = std::mem::take(&mut self.leaving);
            self.free_slots.extend(leaving);
            match item.prim {
                Prim::Load(k) => {
                    if self.next[item.value as usize] != NONE {
                        let elem = self.code.inputs[k as usize];
                        let place = self.stream(asm, k as usize, item.vector, elem);
                        let d = self.take(asm, 0);
                        match elem {
                            Elem::Lane => self.load(asm, d, place, item.vector),
                            Elem::Byte => self.load_bytes(asm, d, place, item.vector),
                        }
                        self.put(item.value, d);
                    }
                }
                Prim::Store(k) => {
                    let stream = self.code.inputs.len() + k as usize;
                    let to = self.reductions.get(k as usize).copied().flatten();
                    if let Some(Reducing::Leaves(to)) = to {
                        self.join(asm, &item, to);
                    } else if let Some(Reducing::Open(sums)) = to {
                        self.add(asm, &item, stream, sums);
                    } else {
                        let mut pinned = 0;
                        let x = self.need(asm, item.args[0], &mut pinned);
                        let elem = self.code.outputs[k as usize];
                        match elem {
                            Elem::Lane => {
                                let place = self.stream(asm, stream, item.vector, elem);
                                self.store(asm, x, place, item.vector);
                            }
                            Elem::Byte => {
                                let free = self.take(asm, pinned);
                                let place = self.stream(asm, stream, item.vector, elem);
                                self.store_bytes(asm, [x, free], place, item.vector);
                            }
                        }
                        self.read(&item);
                    }
                }
                Prim::At(k, i) => {
                    if self.next[item.value as usize] != NONE {
                        let place = self.element(asm, k as usize, i);
                        let d = self.take(asm, 0);
                        asm.vector(spread(self.code.lanes), d, 0, place);
                        self.put(item.value, d);
                    }
                }
                Prim::Put(k, i) => {
                    let x = self.need(asm, item.args[0], &mut 0);
                    let place = self.element(asm, self.code.inputs.len() + k as usize, i);
                    asm.vex(single(self.code.lanes), x, 0, place);
                    self.read(&item);
                }
                // What is carried in a register stands there from the beginning.
                Prim::Splat(_) => {}
                Prim::Zmul => {
                    // Two products are tested at once.
                    let second = self.items.get(p + 1).copied();
                    let second = second.filter(|second| second.beside(&item));
                    p += usize::from(second.is_some());
                    self.strong_products(asm, item, second);
                }
                _ => self.compute(asm, &item),
            }
            p += 1;
        }
    }

    /// Brings the values that a loop carries to their seats, for the next step.
    pub(super) fn settle(&mut self, asm: &mut Asm, seats: &[(u32, Seat)]) {
        for (v, seat) in seats {
            if let Seat::Slots(_, next) = seat {
                let r = self.need(asm, *v, &mut 0);
                asm.vector(STORE_ALIGNED, r, 0, Rm::Base(RSP, *next));
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
                asm.vector(LOAD, to, 0, from);
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
            asm.vector(LOAD, aside, 0, from);
            for (_, source) in moves.iter_mut().filter(|(_, source)| *source == from) {
                *source = Rm::Reg(aside);
            }
        }
        for (_, seat) in seats {
            if let Seat::Slots(at, next) = seat {
                asm.vector(LOAD, MASK, 0, Rm::Base(RSP, *next));
                asm.vector(STORE_ALIGNED, MASK, 0, Rm::Base(RSP, *at));
            }
        }
    }

    pub(super) fn wide(&self) -> bool {
        self.code.lanes == Lanes::W64
    }

    /// How elements of one of the vectors come and go.
    pub(super) fn access_of(&self, vector: usize) -> Access {
        match self.access {
            Access::Masked if vector + 1 < self.vectors => Access::Whole,
            access => access,
        }
    }

    /// Where a stream's elements for a vector stand.
    fn stream(&self, asm: &mut Asm, stream: usize, vector: usize, elem: Elem) -> Rm {
        let base = self.address(asm, stream);
        let lane = self.code.lanes.bytes();
        let size = match elem {
            Elem::Lane => lane,
            Elem::Byte => 1,
        };
        let scale = size.trailing_zeros() as u8;
        Rm::Indexed(
            base,
            scale,
            (self.width.bytes() / lane * size * vector) as i32,
        )
    }

    /// Where an element of a stream stands.
    fn element(&self, asm: &mut Asm, stream: usize, i: u32) -> Rm {
        let base = self.address(asm, stream);
        Rm::Base(base, i as i32 * self.code.lanes.bytes() as i32)
    }

    /// The register with the address of a stream.
    pub(super) fn address(&self, asm: &mut Asm, stream: usize) -> u8 {
        self.addresses[stream].unwrap_or_else(|| {
            asm.load_address(RAX, stream);
            RAX
        })
    }

    /// A register for a new value; those whose bits are set in `pinned` keep theirs.
    pub(super) fn take(&mut self, asm: &mut Asm, pinned: u32) -> u8 {
        let (mut best, mut distance) = (0, 0);
        for r in (0..self.usable).filter(|r| pinned >> r & 1 == 0) {
            let v = self.holds[r as usize];
            if v == NONE {
                self.given = self.given.max(r + 1);
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
                    self.width.bytes() as i32 * (self.slots - 1)
                });
                self.homes[v as usize] = Home::Spill(slot);
                self.spilled += 1;
                asm.vector(STORE_ALIGNED, best, 0, Rm::Base(self.frame, slot));
            }
            self.register[v as usize] = u8::MAX;
            self.holds[best as usize] = NONE;
        }
        best
    }

    pub(super) fn put(&mut self, v: u32, r: u8) {
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
                asm.vector(LOAD, r, 0, home);
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
    pub(super) fn place(&mut self, asm: &mut Asm, v: u32, pinned: &mut u32) -> Rm {
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
