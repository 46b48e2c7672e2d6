//! The scalar evaluator: one place after another, one instruction after another.

use super::code::{Elem, Lanes, Predicate, Prim, Rounding};
use super::{Fold, LEAF, LaneInput, LaneProgram, TURNS_TOGETHER};
use cotangent_array::DType;
use cotangent_graph::math;
use cotangent_graph::ops::Unary;

macro_rules! meaning {
    ($(#[$doc:meta])* $name:ident, $Float:ident, $Word:ident, $Int:ident, $power:ident, $nothing:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(prim: Prim, a: $Word, b: $Word, c: $Word) -> $Word {
            let (x, y, z) = ($Float::from_bits(a), $Float::from_bits(b), $Float::from_bits(c));
            let mask = |set: bool| if set { $Word::MAX } else { 0 };
            match prim {
                Prim::Const(_) | Prim::Load(_) | Prim::Splat(_) | Prim::Store(_) => 0,
                Prim::At(..) | Prim::Put(..) => 0,
                Prim::Add => (x + y).to_bits(),
                Prim::Sub => (x - y).to_bits(),
                Prim::Mul => (x * y).to_bits(),
                Prim::Zmul => {
                    let strong = (x * y).is_nan() & ((x == 0.0) | (y == 0.0));
                    if strong { 0 } else { (x * y).to_bits() }
                }
                Prim::Scale => {
                    // In two factors that are numbers; only the second product rounds.
                    let y = if y > $nothing { y } else { $nothing };
                    let first = (y * 0.5).round_ties_even();
                    (x * $power(first) * $power(y - first)).to_bits()
                }
                Prim::Div => (x / y).to_bits(),
                Prim::Fma => x.mul_add(y, z).to_bits(),
                Prim::Fms => x.mul_add(y, -z).to_bits(),
                Prim::Fnma => (-x).mul_add(y, z).to_bits(),
                Prim::Min => if x < y { a } else { b },
                Prim::Max => if x > y { a } else { b },
                Prim::Sqrt => x.sqrt().to_bits(),
                Prim::Round(Rounding::Even) => x.round_ties_even().to_bits(),
                Prim::Round(Rounding::Floor) => x.floor().to_bits(),
                Prim::Round(Rounding::Ceil) => x.ceil().to_bits(),
                Prim::Round(Rounding::Trunc) => x.trunc().to_bits(),
                Prim::Cmp(Predicate::Eq) => mask(x == y),
                Prim::Cmp(Predicate::Lt) => mask(x < y),
                Prim::Cmp(Predicate::Le) => mask(x <= y),
                Prim::Cmp(Predicate::Ne) => mask(x != y),
                Prim::Cmp(Predicate::Unordered) => mask(x.is_nan() || y.is_nan()),
                Prim::And => a & b,
                Prim::Or => a | b,
                Prim::Xor => a ^ b,
                Prim::AndNot => !a & b,
                Prim::IAdd => a.wrapping_add(b),
                Prim::ISub => a.wrapping_sub(b),
                Prim::IMul => a.wrapping_mul(b),
                Prim::Shl(n) => a.checked_shl(u32::from(n)).unwrap_or(0),
                Prim::Shr(n) => a.checked_shr(u32::from(n)).unwrap_or(0),
                Prim::IEq => mask(a == b),
                Prim::IGt => mask((a as $Int) > (b as $Int)),
                Prim::Blend => if a != 0 { b } else { c },
                Prim::IntToFloat => ((a as $Int) as $Float).to_bits(),
                Prim::Call(row) => if a != 0 { (called(row, y.into()) as $Float).to_bits() } else { c },
            }
        }
    };
}

meaning! {
    /// The meaning of an instruction on lanes of 64 bits; 0 for memory and numbers.
    alu_wide, f64, u64, i64, power_wide, NOTHING64
}
meaning! {
    /// The meaning of an instruction on lanes of 32 bits; 0 for memory and numbers.
    alu_narrow, f32, u32, i32, power_narrow, NOTHING32
}

/// Adding it rounds to a whole number, which then stands in the low bits.
pub(super) const MAGIC64: f64 = 6_755_399_441_055_744.0;
pub(super) const MAGIC32: f64 = 12_582_912.0;

/// A number of about 1 times 2 to this power, or to a lower one, is 0; half the power is within the normal range.
pub(super) const NOTHING64: f64 = -1200.0;
pub(super) const NOTHING32: f32 = -200.0;

/// 2 to a whole power within the normal range.
#[inline(always)]
fn power_wide(n: f64) -> f64 {
    let exponent = (n + MAGIC64).to_bits() << 52;
    f64::from_bits(exponent.wrapping_add(1.0_f64.to_bits()))
}

#[inline(always)]
fn power_narrow(n: f32) -> f32 {
    let exponent = (n + MAGIC32 as f32).to_bits() << 23;
    f32::from_bits(exponent.wrapping_add(1.0_f32.to_bits()))
}

/// What an instruction gives for one lane.
pub(super) fn alu(lanes: Lanes, prim: Prim, [a, b, c]: [u64; 3]) -> u64 {
    match lanes {
        Lanes::W64 => alu_wide(prim, a, b, c),
        Lanes::W32 => u64::from(alu_narrow(prim, a as u32, b as u32, c as u32)),
    }
}

/// What a row says of a number.
#[inline(never)]
fn called(row: Unary, x: f64) -> f64 {
    row.float(x)
}

impl LaneProgram {
    /// Runs the region: the elements of each input as bits (a bool as 0 or 1) to those of each
    /// result. `None` where an input has too few elements, or an index is out of range.
    pub fn eval(&self, inputs: &[Vec<u64>]) -> Option<Vec<Vec<u64>>> {
        let fits = |i: usize| {
            inputs
                .get(i)
                .is_some_and(|x| x.len() >= self.input_elements(i))
        };
        if !(0..self.inputs.len()).all(fits) {
            return None;
        }
        let mut stored: Vec<Vec<u64>> = vec![Vec::new(); self.code.outputs.len()];
        let mut values = vec![0; self.code.insts.len()];
        for place in 0..self.elements() {
            self.at(place, inputs, &mut values, &mut stored)?;
        }
        let mut stored = stored.into_iter();
        let finished = self
            .outputs
            .iter()
            .enumerate()
            .map(|(k, out)| match out.fold {
                None if out.beside.is_empty() => stored.next().unwrap_or_default(),
                None => {
                    let columns: Vec<Vec<u64>> = stored.by_ref().take(out.width()).collect();
                    (0..self.elements())
                        .flat_map(|i| columns.iter().filter_map(move |c| c.get(i)))
                        .copied()
                        .collect()
                }
                Some((fold, _)) if out.leading => self.fold_leading(
                    fold,
                    out.dtype.is_float(),
                    self.output_elements(k),
                    self.chunks(k).turns,
                    &stored.next().unwrap_or_default(),
                ),
                Some((fold, _)) => self.fold(
                    fold,
                    out.dtype.is_float(),
                    self.output_elements(k),
                    &stored.next().unwrap_or_default(),
                ),
            });
        Some(finished.collect())
    }

    fn at(
        &self,
        place: usize,
        inputs: &[Vec<u64>],
        values: &mut [u64],
        stored: &mut [Vec<u64>],
    ) -> Option<()> {
        for (i, inst) in self.code.insts.iter().enumerate() {
            let arg = |k: usize| values.get(inst.args[k] as usize).copied().unwrap_or(0);
            values[i] = match inst.prim {
                Prim::Const(bits) => bits,
                Prim::Load(k) | Prim::Splat(k) => {
                    let mut at = match self.read_at(k as usize, place)? {
                        LaneRead::Element(at) => at,
                        LaneRead::Number(bits) => {
                            values[i] = bits;
                            continue;
                        }
                    };
                    if let Some(index) = self.inputs.get(k as usize)?.index {
                        let from = index.input as usize;
                        let place = self.position(self.inputs.get(from)?, place);
                        let bits = *inputs.get(from)?.get(place)?;
                        let number = match self.inputs.get(from)?.dtype {
                            DType::I32 => i64::from(bits as u32 as i32),
                            _ => bits as i64,
                        };
                        let number = usize::try_from(number).ok()?;
                        at += (number < index.length).then_some(number * index.step)?;
                    }
                    let element = *inputs.get(k as usize)?.get(at)?;
                    match self.code.inputs.get(k as usize)? {
                        Elem::Byte if element != 0 => self.all(),
                        _ => element,
                    }
                }
                Prim::Store(k) => {
                    let byte = *self.code.outputs.get(k as usize)? == Elem::Byte;
                    let bits = arg(0);
                    stored
                        .get_mut(k as usize)?
                        .push(if byte { bits & 1 } else { bits });
                    0
                }
                prim => alu(self.lanes, prim, [arg(0), arg(1), arg(2)]),
            };
        }
        Some(())
    }

    /// What an input reads at a place, its indices apart.
    pub(crate) fn read_at(&self, input: usize, place: usize) -> Option<LaneRead> {
        let byte = *self.code.inputs.get(input)? == Elem::Byte;
        let input = self.inputs.get(input)?;
        let mut at = self.position(input, place);
        if let Some(pad) = input.pad {
            let i = (place % self.inner().max(1)).wrapping_sub(pad.low);
            if i >= pad.length {
                let bits = match pad.bits() {
                    0 => 0,
                    _ if byte => self.all(),
                    bits => bits,
                };
                return Some(LaneRead::Number(bits));
            }
            at -= pad.low * input.strides.last().copied().unwrap_or(0);
        }
        Some(LaneRead::Element(at))
    }

    /// All bits of a lane: a mask that is set.
    fn all(&self) -> u64 {
        match self.lanes {
            Lanes::W64 => u64::MAX,
            Lanes::W32 => 0xFFFF_FFFF,
        }
    }

    /// Which element of an input, its indices apart, is read at a place.
    fn position(&self, input: &LaneInput, place: usize) -> usize {
        let (mut rest, mut at) = (place, input.start);
        for (n, stride) in self.dims.iter().zip(&input.strides).rev() {
            at += rest % n * stride;
            rest /= n;
        }
        at
    }

    /// Joins elements of the outer loops, one turn of a chunk after another and then chunks, for each place of
    /// the others. Of f32 some turns are added as such.
    fn fold_leading(
        &self,
        fold: Fold,
        float: bool,
        results: usize,
        turns: usize,
        elements: &[u64],
    ) -> Vec<u64> {
        let (rows, mut all) = (results.max(1), Vec::new());
        for chunk in elements.chunks(rows.saturating_mul(turns)) {
            let mut sums = vec![Number::start(fold, float); results];
            if let (Fold::Sum, true, Lanes::W32) = (fold, float, self.lanes) {
                for turns in chunk.chunks(rows.saturating_mul(TURNS_TOGETHER)) {
                    let mut some = vec![0.0_f32; results];
                    for row in turns.chunks(rows) {
                        for (sum, bits) in some.iter_mut().zip(row) {
                            *sum += f32::from_bits(*bits as u32);
                        }
                    }
                    for (sum, some) in sums.iter_mut().zip(some) {
                        *sum = sum.join(Number::Float(f64::from(some)), fold);
                    }
                }
            } else {
                for row in chunk.chunks(rows) {
                    for (sum, bits) in sums.iter_mut().zip(row) {
                        *sum = sum.join(self.lift(*bits, float), fold);
                    }
                }
            }
            if all.is_empty() {
                all = sums;
                continue;
            }
            for (all, sum) in all.iter_mut().zip(sums) {
                *all = all.join(sum, fold);
            }
        }
        all.resize(results, Number::start(fold, float));
        all.into_iter().map(|x| self.lower(x)).collect()
    }

    fn lift(&self, bits: u64, float: bool) -> Number {
        match (float, self.lanes) {
            (true, Lanes::W64) => Number::Float(f64::from_bits(bits)),
            (true, Lanes::W32) => Number::Float(f64::from(f32::from_bits(bits as u32))),
            (false, Lanes::W64) => Number::Int(bits as i64),
            (false, Lanes::W32) => Number::Int(i64::from(bits as u32 as i32)),
        }
    }

    fn lower(&self, x: Number) -> u64 {
        match (x, self.lanes) {
            (Number::Float(x), Lanes::W64) => x.to_bits(),
            (Number::Float(x), Lanes::W32) => u64::from((x as f32).to_bits()),
            (Number::Int(x), Lanes::W64) => x as u64,
            (Number::Int(x), Lanes::W32) => u64::from(x as u32),
        }
    }

    /// Joins elements: runs in leaves of 8 lanes (16 for sums of f32), and leaves pairwise, the runs of one result
    /// after one another.
    fn fold(&self, fold: Fold, float: bool, results: usize, elements: &[u64]) -> Vec<u64> {
        let lift = |bits: u64| self.lift(bits, float);
        let lower = |x: Number| self.lower(x);
        let start = Number::start(fold, float);
        let each = elements.len().checked_div(results).unwrap_or(0);
        (0..results)
            .map(|r| {
                let own = &elements[r * each..(r + 1) * each];
                let mut waiting: Vec<(u32, Number)> = Vec::new();
                for run in own.chunks(self.inner().max(1)) {
                    for leaf in run.chunks(LEAF) {
                        let lanes = match (fold, float, self.lanes) {
                            (Fold::Sum, true, Lanes::W32) => narrow_sums(leaf).map(Number::Float),
                            _ => {
                                let mut lanes = [start; 8];
                                for (i, bits) in leaf.iter().enumerate() {
                                    lanes[i % 8] = lanes[i % 8].join(lift(*bits), fold);
                                }
                                lanes
                            }
                        };
                        let pairs = [0, 2, 4, 6].map(|i| lanes[i].join(lanes[i + 1], fold));
                        let low = pairs[0].join(pairs[1], fold);
                        let mut sum = low.join(pairs[2].join(pairs[3], fold), fold);
                        let mut level = 0;
                        while waiting.last().is_some_and(|(l, _)| *l == level) {
                            let partner = waiting.pop().map_or(start, |(_, x)| x);
                            sum = partner.join(sum, fold);
                            level += 1;
                        }
                        waiting.push((level, sum));
                    }
                }
                let last = waiting.pop().map_or(start, |(_, x)| x);
                lower(
                    waiting
                        .iter()
                        .rev()
                        .fold(last, |sum, (_, x)| x.join(sum, fold)),
                )
            })
            .collect()
    }
}

/// Sums of a leaf of f32, which are added as such in 16 lanes, and then the upper lanes to the lower in f64.
fn narrow_sums(leaf: &[u64]) -> [f64; 8] {
    let mut lanes = [0_f32; 16];
    for (i, bits) in leaf.iter().enumerate() {
        lanes[i % 16] += f32::from_bits(*bits as u32);
    }
    std::array::from_fn(|k| f64::from(lanes[k]) + f64::from(lanes[k + 8]))
}

/// What an input of a region is at one place.
pub(crate) enum LaneRead {
    /// An element of the array, by its number.
    Element(usize),
    /// A number around the elements, as bits of a lane.
    Number(u64),
}

#[derive(Clone, Copy)]
enum Number {
    Float(f64),
    Int(i64),
}

impl Number {
    fn start(fold: Fold, float: bool) -> Number {
        match (fold, float) {
            (Fold::Sum | Fold::WideSum, true) => Number::Float(0.0),
            (Fold::Prod, true) => Number::Float(1.0),
            (Fold::Max, true) => Number::Float(f64::NEG_INFINITY),
            (Fold::Min, true) => Number::Float(f64::INFINITY),
            (Fold::Sum | Fold::WideSum, false) => Number::Int(0),
            (Fold::Prod, false) => Number::Int(1),
            (Fold::Max, false) => Number::Int(i64::MIN),
            (Fold::Min, false) => Number::Int(i64::MAX),
        }
    }

    fn join(self, other: Number, fold: Fold) -> Number {
        match (self, other) {
            (Number::Float(x), Number::Float(y)) => Number::Float(match fold {
                Fold::Sum | Fold::WideSum => x + y,
                Fold::Prod => x * y,
                Fold::Max => math::max(x, y),
                Fold::Min => math::min(x, y),
            }),
            (Number::Int(x), Number::Int(y)) => Number::Int(match fold {
                Fold::Sum | Fold::WideSum => x.wrapping_add(y),
                Fold::Prod => x.wrapping_mul(y),
                Fold::Max => x.max(y),
                Fold::Min => x.min(y),
            }),
            (x, _) => x,
        }
    }
}
