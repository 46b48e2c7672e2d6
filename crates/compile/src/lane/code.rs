//! The instructions that a region runs: one list for every way of running.

use std::hash::{Hash, Hasher};

use cotangent_graph::FastHasher;
use cotangent_graph::ops::Unary;

/// The width of all lanes of a region: bits of one element. A region never mixes widths, so every
/// vector holds the same number of elements; a bool is a mask of the region's width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lanes {
    /// f64, i64 and masks of 64 bits.
    W64,
    /// f32, i32 and masks of 32 bits.
    W32,
}

impl Lanes {
    /// Bytes of one lane.
    pub fn bytes(self) -> usize {
        match self {
            Lanes::W64 => 8,
            Lanes::W32 => 4,
        }
    }
}

/// How a float is rounded to a whole number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rounding {
    /// To the nearest, half to even.
    Even,
    /// Down.
    Floor,
    /// Up.
    Ceil,
    /// Toward zero.
    Trunc,
}

/// A comparison of floats; false beside NaN but for the last two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Predicate {
    /// Equal.
    Eq,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Not equal; true beside NaN.
    Ne,
    /// Whether one of the two is NaN.
    Unordered,
}

/// What one instruction does with its operands `a`, `b` and `c`, lane by lane.
///
/// Floats are f64 or f32 by the width of the region, integers i64 or i32. A mask has all bits of a
/// lane set or none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Prim {
    /// A number, as bits; of 32 bits in a region of that width.
    Const(u64),
    /// The element of an input.
    Load(u32),
    /// The one element of an input that stays the same along the inner run.
    Splat(u32),
    /// Writes `a` to a result.
    Store(u32),
    /// An element, by its number, of an operand; in tapes only.
    At(u32, u32),
    /// Writes `a` to an element, by its number, of a result; in tapes only.
    Put(u32, u32),
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a * b`, or 0 where that is NaN and a factor is 0: the strong zero of derivatives.
    Zmul,
    /// `a` times 2 to the whole number `b`, rounded once. `a` is within a factor of two of 1, `b` at least -4500
    /// and at most 1030 (f32: -600 and 130); where `a` is the number 1, the result is a normal number.
    Scale,
    /// `a / b`
    Div,
    /// `a * b + c`, rounded once.
    Fma,
    /// `a * b - c`, rounded once.
    Fms,
    /// `c - a * b`, rounded once.
    Fnma,
    /// `a` where `a < b`, otherwise `b`: also where one is NaN.
    Min,
    /// `a` where `a > b`, otherwise `b`: also where one is NaN.
    Max,
    /// The square root.
    Sqrt,
    /// A whole number.
    Round(Rounding),
    /// A comparison, as a mask.
    Cmp(Predicate),
    /// `a & b`, bit by bit.
    And,
    /// `a | b`
    Or,
    /// `a ^ b`
    Xor,
    /// `!a & b`
    AndNot,
    /// Sum of integers, wrapping.
    IAdd,
    /// Difference of integers, wrapping.
    ISub,
    /// Product of integers, wrapping; 32 bits only.
    IMul,
    /// Bits moved left.
    Shl(u8),
    /// Bits moved right, zeros moving in.
    Shr(u8),
    /// Whether integers are equal, as a mask.
    IEq,
    /// Whether `a` is the greater of two signed integers, as a mask.
    IGt,
    /// `b` where the mask `a` is set, otherwise `c`.
    Blend,
    /// An i32 as f32; 32 bits only.
    IntToFloat,
    /// What the operation's row says of the float `b` where the mask `a` is set, otherwise `c`: a
    /// call for each such lane. For rows without vector math, and for operands that are rare.
    Call(Unary),
}

impl Prim {
    /// How many operands it has.
    pub fn arity(self) -> usize {
        match self {
            Prim::Const(_) | Prim::Load(_) | Prim::Splat(_) | Prim::At(..) => 0,
            Prim::Store(_) | Prim::Put(..) | Prim::Sqrt | Prim::Round(_) => 1,
            Prim::Shl(_) | Prim::Shr(_) | Prim::IntToFloat => 1,
            Prim::Fma | Prim::Fms | Prim::Fnma | Prim::Blend | Prim::Call(_) => 3,
            _ => 2,
        }
    }

    /// Whether the order of `a` and `b` does not matter, for every bit of the result.
    pub fn commutes(self) -> bool {
        use Prim as P;
        matches!(
            self,
            P::And
                | P::Or
                | P::Xor
                | P::IAdd
                | P::IMul
                | P::IEq
                | P::Cmp(Predicate::Eq | Predicate::Ne)
        )
    }
}

/// An instruction: what is done, and the numbers of the instructions whose results it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inst {
    /// What is done.
    pub prim: Prim,
    /// As many as [`Prim::arity`] says; the rest is 0.
    pub args: [u32; 3],
}

/// Two words for the operands, since instructions are hashed by the ten thousand.
impl Hash for Inst {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c] = self.args;
        self.prim.hash(state);
        state.write_u64(u64::from(a) << 32 | u64::from(b));
        state.write_u32(c);
    }
}

impl Inst {
    /// The operands.
    pub fn operands(&self) -> &[u32] {
        &self.args[..self.prim.arity()]
    }
}

/// What one element of an input or result of a region is in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Elem {
    /// A float or an integer of the region's width.
    Lane,
    /// A bool: one byte, 0 or 1.
    Byte,
}

/// A list of instructions in single assignment form; its hash and equality go by content, so equal
/// regions share generated code whatever their shapes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LaneCode {
    /// The width of all lanes.
    pub lanes: Lanes,
    /// In order; each reads results of earlier ones.
    pub insts: Vec<Inst>,
    /// The elements of the inputs.
    pub inputs: Vec<Elem>,
    /// The elements of all that is stored.
    pub outputs: Vec<Elem>,
}

impl LaneCode {
    /// For each instruction the last one that reads its result, or its own number.
    pub fn last_reads(&self) -> Vec<u32> {
        let mut last: Vec<u32> = (0..self.insts.len() as u32).collect();
        for (i, inst) in self.insts.iter().enumerate() {
            for a in inst.operands() {
                if let Some(slot) = last.get_mut(*a as usize) {
                    *slot = i as u32;
                }
            }
        }
        last
    }

    /// Gives every result a tile, reused when its value has been read for the last time; the tile
    /// of each instruction (those of stores are unused), and the number of tiles. An instruction
    /// never writes a tile that it reads.
    pub fn tiles(&self) -> (Vec<u32>, usize) {
        let last = self.last_reads();
        let mut tiles = vec![0; self.insts.len()];
        let (mut free, mut count): (Vec<u32>, u32) = (Vec::new(), 0);
        for (i, inst) in self.insts.iter().enumerate() {
            if !matches!(inst.prim, Prim::Store(_) | Prim::Put(..)) {
                tiles[i] = free.pop().unwrap_or_else(|| {
                    count += 1;
                    count - 1
                });
                if last[i] == i as u32 {
                    free.push(tiles[i]);
                }
            }
            for (k, a) in inst.operands().iter().enumerate() {
                let again = inst.operands()[..k].contains(a);
                if last.get(*a as usize) == Some(&(i as u32)) && !again {
                    free.push(tiles[*a as usize]);
                }
            }
        }
        (tiles, count as usize)
    }

    /// Whether a result may take over the memory of an input: every reading of the input stands
    /// before the writing of the result.
    pub fn reads_before(&self, input: u32, output: u32) -> bool {
        let at = |wanted: Prim| self.insts.iter().position(|i| i.prim == wanted);
        match (at(Prim::Load(input)), at(Prim::Store(output))) {
            (Some(load), Some(store)) => load < store,
            _ => false,
        }
    }

    /// Checks that instructions read what was computed before, that inputs and results exist and
    /// that each result is written once.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut written = vec![false; self.outputs.len()];
        for (i, inst) in self.insts.iter().enumerate() {
            for a in inst.operands() {
                let source = self.insts[..i].get(*a as usize);
                if source.is_none_or(|s| matches!(s.prim, Prim::Store(_))) {
                    return Err(format!("instruction {i} reads {a}, which has no result"));
                }
            }
            match inst.prim {
                Prim::Load(k) | Prim::Splat(k) if k as usize >= self.inputs.len() => {
                    return Err(format!(
                        "instruction {i} reads input {k}, which is not there"
                    ));
                }
                Prim::At(..) | Prim::Put(..) => {
                    return Err(format!("instruction {i} is for tapes"));
                }
                Prim::IMul | Prim::IntToFloat if self.lanes == Lanes::W64 => {
                    return Err(format!("instruction {i} is for lanes of 32 bits"));
                }
                Prim::Store(k) => match written.get_mut(k as usize) {
                    Some(done) if !*done => *done = true,
                    _ => {
                        return Err(format!(
                            "instruction {i} writes result {k} again or outside"
                        ));
                    }
                },
                _ => {}
            }
        }
        match written.iter().position(|done| !done) {
            Some(k) => Err(format!("result {k} is never written")),
            None => Ok(()),
        }
    }
}

/// Writes instructions, each equal one once.
pub(crate) struct Writer {
    pub(crate) lanes: Lanes,
    pub(crate) fma: bool,
    insts: Vec<Inst>,
    /// The numbers of the instructions, each at the first place from its hash on that was free.
    places: Vec<u32>,
}

/// A place without an instruction.
const FREE: u32 = u32::MAX;

impl Writer {
    pub(crate) fn new(lanes: Lanes, fma: bool) -> Writer {
        Writer {
            lanes,
            fma,
            insts: Vec::new(),
            places: Vec::new(),
        }
    }

    pub(crate) fn finish(self, inputs: Vec<Elem>, outputs: Vec<Elem>) -> LaneCode {
        LaneCode {
            lanes: self.lanes,
            insts: self.insts,
            inputs,
            outputs,
        }
    }

    /// The number of instructions so far.
    pub(crate) fn len(&self) -> usize {
        self.insts.len()
    }

    /// The instructions so far.
    pub(crate) fn take(&mut self) -> Vec<Inst> {
        self.places.clear();
        std::mem::take(&mut self.insts)
    }

    pub(crate) fn put(&mut self, prim: Prim, args: &[u32]) -> u32 {
        let mut all = [0; 3];
        for (to, from) in all.iter_mut().zip(args) {
            *to = *from;
        }
        if prim.commutes() && all[0] > all[1] {
            all.swap(0, 1);
        }
        let inst = Inst { prim, args: all };
        if 2 * (self.insts.len() + 1) > self.places.len() {
            self.grow();
        }
        let place = self.place(&inst);
        let number = &mut self.places[place];
        if *number == FREE {
            *number = self.insts.len() as u32;
            self.insts.push(inst);
        }
        *number
    }

    /// Where an instruction stands, or else belongs. At least half of the places are free.
    fn place(&self, inst: &Inst) -> usize {
        let mut hasher = FastHasher::default();
        inst.hash(&mut hasher);
        let last = self.places.len() - 1;
        let mut at = hasher.finish() as usize & last;
        while self.places[at] != FREE && self.insts[self.places[at] as usize] != *inst {
            at = (at + 1) & last;
        }
        at
    }

    /// Makes room for so many further instructions.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.insts.reserve(count);
        if 2 * (self.insts.len() + count) > self.places.len() {
            self.spread(2 * (self.insts.len() + count));
        }
    }

    fn grow(&mut self) {
        self.spread(4 * (self.insts.len() + 1));
    }

    /// Gives every instruction a place among at least so many.
    fn spread(&mut self, count: usize) {
        let count = count.next_power_of_two().max(64);
        self.places.clear();
        self.places.resize(count, FREE);
        for number in 0..self.insts.len() {
            let place = self.place(&self.insts[number]);
            self.places[place] = number as u32;
        }
    }

    /// A float; rounded to f32 in a region of that width.
    pub(crate) fn float(&mut self, x: f64) -> u32 {
        let bits = match self.lanes {
            Lanes::W64 => x.to_bits(),
            Lanes::W32 => u64::from((x as f32).to_bits()),
        };
        self.put(Prim::Const(bits), &[])
    }

    /// An integer, wrapped to the width.
    pub(crate) fn int(&mut self, x: i64) -> u32 {
        let bits = match self.lanes {
            Lanes::W64 => x as u64,
            Lanes::W32 => u64::from(x as u32),
        };
        self.put(Prim::Const(bits), &[])
    }

    /// One number by the width.
    pub(crate) fn by<T>(&self, wide: T, narrow: T) -> T {
        match self.lanes {
            Lanes::W64 => wide,
            Lanes::W32 => narrow,
        }
    }

    pub(crate) fn add(&mut self, a: u32, b: u32) -> u32 {
        self.put(Prim::Add, &[a, b])
    }

    pub(crate) fn sub(&mut self, a: u32, b: u32) -> u32 {
        self.put(Prim::Sub, &[a, b])
    }

    pub(crate) fn mul(&mut self, a: u32, b: u32) -> u32 {
        self.put(Prim::Mul, &[a, b])
    }

    pub(crate) fn div(&mut self, a: u32, b: u32) -> u32 {
        self.put(Prim::Div, &[a, b])
    }

    /// `a * b + c`, rounded once where that is fast.
    pub(crate) fn mul_add(&mut self, a: u32, b: u32, c: u32) -> u32 {
        if self.fma {
            return self.put(Prim::Fma, &[a, b, c]);
        }
        let product = self.mul(a, b);
        self.add(product, c)
    }

    /// `c - a * b`, rounded once where that is fast.
    pub(crate) fn sub_mul(&mut self, a: u32, b: u32, c: u32) -> u32 {
        if self.fma {
            return self.put(Prim::Fnma, &[a, b, c]);
        }
        let product = self.mul(a, b);
        self.sub(c, product)
    }

    pub(crate) fn and(&mut self, a: u32, b: u32) -> u32 {
        self.put(Prim::And, &[a, b])
    }

    pub(crate) fn or(&mut self, a: u32, b: u32) -> u32 {
        self.put(Prim::Or, &[a, b])
    }

    pub(crate) fn compare(&mut self, p: Predicate, a: u32, b: u32) -> u32 {
        self.put(Prim::Cmp(p), &[a, b])
    }

    pub(crate) fn blend(&mut self, mask: u32, then: u32, otherwise: u32) -> u32 {
        self.put(Prim::Blend, &[mask, then, otherwise])
    }

    /// The magnitude of a float.
    pub(crate) fn abs(&mut self, x: u32) -> u32 {
        let sign = self.float(-0.0);
        self.put(Prim::AndNot, &[sign, x])
    }

    /// The float with the other sign.
    pub(crate) fn neg(&mut self, x: u32) -> u32 {
        let sign = self.float(-0.0);
        self.put(Prim::Xor, &[x, sign])
    }

    /// The magnitude of the first with the sign of the second.
    pub(crate) fn with_sign(&mut self, magnitude: u32, of: u32) -> u32 {
        let sign = self.float(-0.0);
        let bit = self.and(sign, of);
        self.or(magnitude, bit)
    }
}
