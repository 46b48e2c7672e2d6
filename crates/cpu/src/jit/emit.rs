//! Machine code for the inner run of a region: loops over its elements.

use cotangent_compile::lane::{Elem, LEAF, LaneCode, Lanes, Prim};

use super::asm::{Asm, RAX, RDX, RSP, Rm, Style, Width};
use super::body::{Access, Body, Home, MASK};
use super::cold;
use super::forms::{LOAD, STORE_ALIGNED, spread};
use super::join::{LEAF_BYTES, Leaf, Reducing, Reduction};
use super::moves;

/// Machine code and the numbers that it reads.
pub(super) struct Emitted {
    pub(super) code: Vec<u8>,
    pub(super) pool: Vec<u8>,
}

/// The most instructions of a region for which code is made.
pub(super) const MAX_INSTS: usize = 4000;
/// Two vectors at a time gain where each waits for its own results, unless registers run out: the most values
/// that go to the stack, and the most instructions.
const fn most_paired(width: Width) -> (usize, usize) {
    match width {
        Width::Narrow => (6, 240),
        Width::Wide => (60, 2400),
    }
}

/// The elements of a leaf and the bytes that are written for it, as powers of two.
const LEAF_BITS: u8 = LEAF.trailing_zeros() as u8;
const LEAF_BYTES_BITS: u8 = LEAF_BYTES.trailing_zeros() as u8;
const _: () = assert!(LEAF.is_power_of_two() && LEAF_BYTES.is_power_of_two());

/// General registers that keep addresses of streams over the loop.
pub(super) const ADDRESSES: [u8; 9] = [8, 9, 10, 11, 3, 12, 13, 14, 15];

/// Machine code for a region: a function of a table of addresses (rdi), the number of elements (rsi)
/// and the pool (rdx). `None` for very long regions.
///
/// Of each stored value `reductions` says whether it goes into a reduction: its elements are added to open sums, or
/// one number is written for every leaf ([`LEAF`]), one after the other.
pub(super) fn emit(
    code: &LaneCode,
    reductions: &[Option<Reduction>],
    style: Style,
) -> Option<Emitted> {
    if code.insts.len() > MAX_INSTS {
        return None;
    }
    let (most_spills, most_insts) = most_paired(style.width);
    if code.insts.len() <= most_insts {
        let (emitted, spills) = emit_by(code, reductions, style, 2);
        if spills <= most_spills {
            return Some(emitted);
        }
    }
    Some(emit_by(code, reductions, style, 1).0)
}

fn emit_by(
    code: &LaneCode,
    reductions: &[Option<Reduction>],
    style: Style,
    vectors: usize,
) -> (Emitted, usize) {
    let width = style.width;
    let size = code.lanes.bytes();
    let lanes = width.bytes() / size;
    let mut start = Start::new(code, style);
    for (i, inst) in code.insts.iter().enumerate() {
        if let Prim::Splat(k) = inst.prim {
            start.spread(code, i, k as usize);
        }
    }
    start.streams(code, reductions);
    let frame = start.calls(code);
    let reductions = start.reducing(code, reductions);
    let leaves = || {
        reductions
            .iter()
            .map(|join| join.as_ref().and_then(Reducing::leaf))
    };
    let joined = leaves().any(|leaf| leaf.is_some());
    let count = joined.then(|| start.slot());
    // Where 256 bits have no instruction for a part of a vector, code asks how long the part is.
    let bytes = code.inputs.iter().chain(&code.outputs);
    let bytes = width == Width::Narrow && bytes.into_iter().any(|e| *e == Elem::Byte);
    let rest = bytes.then(|| start.slot());
    if let Some(slot) = count {
        start.asm.keep_count(slot);
    }
    let Start {
        mut asm,
        hole,
        pool,
        homes,
        slots,
        addresses,
    } = start;
    asm.clear_index();
    let leaf = asm.bytes.len();
    if let Some(slot) = count {
        asm.next_part(slot, LEAF);
    }
    for join in leaves().flatten() {
        join.begin(&mut asm);
    }
    let scale = size.trailing_zeros() as u8;

    let out = asm.jump_unless_left(lanes * vectors);
    let body = |vectors, access, kept: &[u32]| {
        let mut body = Body::new(
            code,
            &homes,
            &addresses,
            slots,
            (width, vectors),
            access,
            kept,
        );
        body.reduce(&reductions);
        body.rest = rest.unwrap_or(0);
        body
    };
    // The body is written twice: which registers it leaves to what it reads from memory again and again, it knows
    // when it has run.
    let mut top = asm.bytes.len();
    let mut whole = body(vectors, Access::Whole, &[]);
    whole.run(&mut asm);
    let residents = whole.residents();
    if !residents.is_empty() {
        asm.bytes.truncate(top);
        let kept: Vec<u32> = residents.iter().map(|(v, _)| *v).collect();
        whole = body(vectors, Access::Whole, &kept);
        whole.reside(&mut asm, &residents);
        top = asm.bytes.len();
        whole.run(&mut asm);
    }
    let (mut room, spills, mut sites) = (whole.slots, whole.spilled, whole.sites);
    asm.add_index(lanes * vectors);
    asm.jump_back_while_left(lanes * vectors, top);
    asm.land(out);

    // What is left is done side by side, too, and by one vector alone if that is enough.
    let mut ends = Vec::new();
    for some in (1..=vectors).rev() {
        let whole = lanes * (some - 1);
        let fewer = (whole > 0).then(|| asm.jump_unless_left(whole + 1));
        match fewer {
            Some(_) => asm.count_beyond(whole),
            None => ends.push(asm.jump_or_count()),
        }
        if let Some(slot) = rest {
            asm.keep_rest(slot);
        }
        match width {
            Width::Narrow => {
                asm.mask_address(scale, 16 * size as i32);
                asm.vector(LOAD, MASK, 0, Rm::Base(RAX, 0));
            }
            Width::Wide => asm.tail_mask(),
        }
        let mut last = body(some, Access::Masked, &[]);
        last.run(&mut asm);
        room = room.max(last.slots);
        sites.extend(last.sites);
        asm.add_index(lanes * some);
        if let Some(fewer) = fewer {
            ends.push(asm.jump());
            asm.land(fewer);
        }
    }
    ends.into_iter().for_each(|end| asm.land(end));
    for (k, join) in leaves().enumerate() {
        if let Some(join) = join {
            asm.part_address(code.inputs.len() + k, LEAF_BITS, LEAF_BYTES_BITS);
            join.write(&mut asm);
        }
    }
    if let Some(slot) = count {
        asm.jump_back_if_left(slot, leaf);
    }
    asm.leave();
    cold::finish(&mut asm, code.lanes, &sites, frame.slots, frame.function);
    // One slot more than is used, since aligning the stack takes nearly as much.
    asm.fill(hole, width.bytes() as i32 * (room + 1));
    let emitted = Emitted {
        code: asm.bytes,
        pool,
    };
    (emitted, spills)
}

/// Where the pool has a vector of zeros.
pub(super) fn zeros(lanes: Lanes) -> Rm {
    Rm::Base(RDX, 16 * lanes.bytes() as i32)
}

/// What stands before a loop: numbers in the pool, single elements on the stack, addresses in
/// registers.
pub(super) struct Start {
    pub(super) asm: Asm,
    /// Where the size of the stack is written when it is known.
    pub(super) hole: usize,
    pub(super) pool: Vec<u8>,
    /// Of each instruction's value.
    pub(super) homes: Vec<Home>,
    /// Slots of the stack that are taken for the whole run.
    pub(super) slots: i32,
    /// Of each stream, where a register has it.
    pub(super) addresses: Vec<Option<u8>>,
}

/// What calls need: slots of the stack, and the place of the function's address in the pool.
#[derive(Default)]
pub(super) struct CallFrame {
    pub(super) slots: i32,
    pub(super) function: i32,
}

impl Start {
    pub(super) fn new(code: &LaneCode, style: Style) -> Start {
        let width = style.width;
        let size = code.lanes.bytes();
        // Masks first: 16 set, then 16 clear ([`zeros`]); a wide tail reads set bits alone.
        let mut pool = vec![0xFF; 16 * size];
        pool.resize(32 * size, 0);
        let mut asm = Asm::new(style);
        let hole = asm.enter();
        let mut homes = vec![Home::None; code.insts.len()];
        for (home, inst) in homes.iter_mut().zip(&code.insts) {
            if let Prim::Const(bits) = inst.prim {
                *home = Home::Pool(pool.len() as i32);
                for _ in 0..width.bytes() / size {
                    pool.extend_from_slice(&bits.to_le_bytes()[..size]);
                }
            }
        }
        Start {
            asm,
            hole,
            pool,
            homes,
            slots: 0,
            addresses: vec![None; code.inputs.len() + code.outputs.len()],
        }
    }

    /// A slot of the stack that is kept for the whole run.
    pub(super) fn slot(&mut self) -> i32 {
        self.slots += 1;
        self.bytes() * (self.slots - 1)
    }

    /// Bytes of a slot.
    fn bytes(&self) -> i32 {
        self.asm.width.bytes() as i32
    }

    /// Puts the one element of a stream into all lanes of a slot, as the home of a value.
    pub(super) fn spread(&mut self, code: &LaneCode, value: usize, stream: usize) -> i32 {
        let slot = self.slot();
        self.homes[value] = Home::Frame(slot);
        self.spread_to(code, 0, stream);
        self.asm.vector(STORE_ALIGNED, 0, 0, Rm::Base(RSP, slot));
        slot
    }

    /// Puts the one element of a stream into all lanes of a register.
    pub(super) fn spread_to(&mut self, code: &LaneCode, d: u8, stream: usize) {
        self.asm.load_address(RAX, stream);
        match code.inputs[stream] {
            Elem::Byte => moves::spread_bool(&mut self.asm, code.lanes, d),
            Elem::Lane => {
                let spread = spread(code.lanes);
                self.asm.vector(spread, d, 0, Rm::Base(RAX, 0));
            }
        }
    }

    /// Makes room for the calls of the code, if it has any.
    pub(super) fn calls(&mut self, code: &LaneCode) -> CallFrame {
        if !cold::calls(code) {
            return CallFrame::default();
        }
        let frame = CallFrame {
            slots: self.bytes() * self.slots,
            function: self.pool.len() as i32,
        };
        self.slots += cold::slots(self.asm.width);
        self.pool.extend_from_slice(&cold::address());
        frame
    }

    /// Gives reductions their registers.
    fn reducing(
        &mut self,
        code: &LaneCode,
        reductions: &[Option<Reduction>],
    ) -> Vec<Option<Reducing>> {
        let mut number = 0;
        let mut all = Vec::with_capacity(reductions.len());
        for join in reductions {
            all.push(join.map(|join| match join {
                Reduction::Open(sums) => Reducing::Open(sums),
                Reduction::Leaves(join) => {
                    let kind = (code.lanes, self.asm.width);
                    let leaf = Leaf::new(join, number, kind, &mut self.pool);
                    number += 1;
                    Reducing::Leaves(leaf)
                }
            }));
        }
        all
    }

    /// Keeps the addresses of the first streams in registers, but for those that take one number a leaf.
    pub(super) fn streams(&mut self, code: &LaneCode, reductions: &[Option<Reduction>]) {
        let mut free = ADDRESSES.iter();
        for inst in &code.insts {
            let stream = match inst.prim {
                Prim::Load(k) | Prim::At(k, _) => k as usize,
                Prim::Store(k)
                    if matches!(reductions.get(k as usize), Some(Some(Reduction::Leaves(_)))) =>
                {
                    continue;
                }
                Prim::Store(k) | Prim::Put(k, _) => code.inputs.len() + k as usize,
                _ => continue,
            };
            if self.addresses[stream].is_none()
                && let Some(register) = free.next()
            {
                self.addresses[stream] = Some(*register);
                self.asm.load_address(*register, stream);
            }
        }
    }
}
