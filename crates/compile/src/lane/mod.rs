//! Regions: operations fused into one loop nest, as a program over lanes.
//!
//! A [`LaneProgram`] says what is computed for one place of an iteration space, in operations of the
//! graph, and where its inputs stand relative to that place. Its [`LaneCode`] is the same in
//! primitive instructions, vector math written out; there are three ways to run it: the scalar
//! evaluator here ([`LaneProgram::eval`]), which is slow and simple, and the tile interpreter and the
//! code generator of the crate that runs plans. All give the same bits: instructions are IEEE
//! operations, and reductions join elements in an order that the shape alone fixes.

mod chunks;
mod code;
mod eval;
mod expand;
mod flat;
mod inline;
mod math;
mod scale;
mod tape;
mod trig;

use std::fmt;

use cotangent_array::{DType, Scalar, Shape};
use cotangent_graph::Op;
use smallvec::SmallVec;

pub use chunks::{Chunks, TURNS_TOGETHER};
pub(crate) use code::Writer;
pub use code::{Elem, Inst, LaneCode, Lanes, Predicate, Prim, Rounding};
pub(crate) use eval::LaneRead;
pub use eval::{alu_narrow, alu_wide};
pub(crate) use expand::{cost, lanes_of, lanes_of_moves, number_bits};
pub(crate) use inline::Source;
pub use tape::{TAPE_VALUE, Tape};

/// Elements along the inner run that are joined at a time in a reduction.
pub const LEAF: usize = 256;
/// Elements that the tile interpreter takes at a time.
pub const TILE: usize = 256;
/// Elements that are computed at a time where they are then joined: a few leaves.
pub const FOLD_RUN: usize = 4 * LEAF;
/// The bytes of all buffers for packed elements together, about: half of a first cache.
const PACKED: usize = 16 << 10;
/// The most reductions of one region.
pub const MAX_FOLDS: usize = 8;

/// Where a region keeps things in its working memory, as offsets from its start.
#[derive(Clone, Copy, Debug)]
pub struct LaneLayout {
    /// Bytes from one tile to the next; tiles stand at the start.
    pub tile: usize,
    /// Bytes of the elements of one reduction that wait to be joined.
    pub fold: usize,
    /// Where those of the first reduction stand.
    pub folds_at: usize,
    /// Elements of an input or result that is not side by side in memory are packed into buffers of
    /// so many bytes.
    pub pack: usize,
    /// Where the first of these buffers stands; inputs come first.
    pub packs_at: usize,
    /// Where the sums over outer loops begin that are not finished ([`LaneProgram::sums_room`]).
    pub sums_at: usize,
    /// Where three tables of addresses stand, each with one for every input and stored value.
    pub table_at: usize,
    /// Elements of the inner run that are worked on at a time, where it is cut at all.
    pub block: usize,
    /// All bytes.
    pub bytes: usize,
}

/// A region: what is computed at each place of an iteration space.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneProgram {
    /// The width of all lanes.
    pub lanes: Lanes,
    /// Whether sums of products are rounded once.
    pub fma: bool,
    /// The lengths of the nested loops, the inner run last. Never empty.
    pub dims: SmallVec<[usize; 4]>,
    /// The inputs; values 0, 1, ... of the program.
    pub inputs: Vec<LaneInput>,
    /// The operations; their results are the values after the inputs.
    pub ops: Vec<LaneOp>,
    /// The results.
    pub outputs: Vec<LaneOutput>,
    /// All of it in primitive instructions.
    pub code: LaneCode,
}

/// An input of a region.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LaneInput {
    /// The dtype of its elements.
    pub dtype: DType,
    /// The number of elements before the first that is read.
    pub start: usize,
    /// For each loop the number of elements from one turn to the next.
    pub strides: SmallVec<[usize; 4]>,
    /// An index at every place that is added to the position.
    pub index: Option<LaneIndex>,
    /// Where the inner run goes beyond what is there: a number stands around the elements.
    pub pad: Option<LanePad>,
}

/// Elements in the middle of the inner run; the rest is a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LanePad {
    /// How many places of the run stand before the first element.
    pub low: usize,
    /// How many elements there are.
    pub length: usize,
    /// The number around them, of the dtype of the input.
    pub value: Scalar,
}

impl LanePad {
    /// The bits of the number as an element in memory.
    pub fn bits(&self) -> u64 {
        match self.value {
            Scalar::Bool(x) => u64::from(x),
            Scalar::F32(x) => u64::from(x.to_bits()),
            Scalar::F64(x) => x.to_bits(),
            Scalar::I32(x) => u64::from(x as u32),
            other => other.to_i64() as u64,
        }
    }
}

/// Positions that are read from memory. Indices outside their range are an error of the run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LaneIndex {
    /// The input with the indices, i32 or i64; it serves for nothing else.
    pub input: u32,
    /// The number of elements from one index to the next.
    pub step: usize,
    /// Indices are from 0 to below this.
    pub length: usize,
}

/// An operation of a region.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LaneOp {
    /// A pointwise operation, or a number.
    pub op: Op,
    /// The dtype of the result.
    pub dtype: DType,
    /// The values that it reads, all before its own.
    pub args: SmallVec<[u32; 3]>,
}

/// A result of a region.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LaneOutput {
    /// The value that is written.
    pub value: u32,
    /// Values that are written beside it: the result then has so many more elements for each place,
    /// side by side.
    pub beside: Vec<u32>,
    /// The dtype of its elements.
    pub dtype: DType,
    /// How elements are joined, and how many of the outer loops each result stands for; without,
    /// there is one element for every place.
    pub fold: Option<(Fold, usize)>,
    /// Whether it is the other way round: the outer loops, so many of them, are joined, one turn after
    /// another ([`LaneProgram::chunks`]), and there is a result for each place of the others. Sums alone.
    pub leading: bool,
}

/// How a reduction joins elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fold {
    /// Sum of what a region computes; floats are added in f64 and rounded once, but sixteen and fewer f32 at a time as
    /// such: the error is at most 8 ulp of the sum of all magnitudes.
    Sum,
    /// Sum of what stands in memory, where that decides how long it takes; floats are added in f64 and rounded once.
    WideSum,
    /// Product; as sums.
    Prod,
    /// The largest, NaN if there is one.
    Max,
    /// The smallest, NaN if there is one.
    Min,
}

impl Fold {
    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Fold::Sum => "sum",
            Fold::WideSum => "wide_sum",
            Fold::Prod => "prod",
            Fold::Max => "max",
            Fold::Min => "min",
        }
    }
}

impl LaneProgram {
    /// Writes the instructions for a region.
    ///
    /// # Errors
    /// An operation that regions do not know, or values that are not there.
    pub fn new(
        lanes: Lanes,
        fma: bool,
        dims: SmallVec<[usize; 4]>,
        inputs: Vec<LaneInput>,
        ops: Vec<LaneOp>,
        outputs: Vec<LaneOutput>,
    ) -> Result<LaneProgram, String> {
        let code = expand::expand(lanes, fma, &inputs, &ops, &outputs)?;
        let program = LaneProgram {
            lanes,
            fma,
            dims,
            inputs,
            ops,
            outputs,
            code,
        };
        program.check()?;
        Ok(program)
    }

    /// Operations of one run, in units of one addition.
    pub fn cost(&self) -> u64 {
        let numbers = |o: &&LaneOp| !matches!(o.op, Op::Full(..));
        let each = self.ops.iter().filter(numbers).fold(0, |sum: u64, o| {
            sum.saturating_add(o.op.row().map_or(1, |row| u64::from(row.cost)))
        });
        let folds = self.outputs.iter().filter(|o| o.fold.is_some()).count() as u64;
        (self.elements() as u64).saturating_mul(each.saturating_add(folds))
    }

    /// The number of places.
    pub fn elements(&self) -> usize {
        self.dims.iter().fold(1_usize, |n, d| n.saturating_mul(*d))
    }

    /// The length of the inner run.
    pub fn inner(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }

    /// For each store of the instructions the result that it is part of, and which of the elements at
    /// a place.
    pub fn stores(&self) -> Vec<(usize, usize)> {
        let results = self.outputs.iter().enumerate();
        results
            .flat_map(|(k, o)| (0..o.width()).map(move |column| (k, column)))
            .collect()
    }

    /// Whether an input is copied to a buffer, where its elements are side by side.
    pub fn packs_input(&self, input: usize) -> bool {
        let apart = |i: &LaneInput| {
            let moves = i.index.is_some() || i.pad.is_some();
            moves || i.strides.last().is_some_and(|s| *s > 1)
        };
        // Indices are not read by instructions.
        let indices = || self.inputs.iter().filter_map(|i| i.index);
        self.inputs.get(input).is_some_and(apart) && indices().all(|i| i.input as usize != input)
    }

    /// The number of elements of a result.
    pub fn output_elements(&self, output: usize) -> usize {
        match self.outputs.get(output).and_then(|o| o.fold) {
            Some((_, kept)) => {
                let (outer, inner) = self.dims.split_at(kept.min(self.dims.len()));
                let leading = self.outputs.get(output).is_some_and(|o| o.leading);
                let own = if leading { inner } else { outer };
                own.iter().fold(1_usize, |n, d| n.saturating_mul(*d))
            }
            None => {
                let width = self.outputs.get(output).map_or(1, LaneOutput::width);
                self.elements().saturating_mul(width)
            }
        }
    }

    /// In which chunks a result that joins outer loops adds their turns.
    pub fn chunks(&self, output: usize) -> Chunks {
        Chunks::of(self.elements(), self.output_elements(output))
    }

    /// Whether such a result adds [`TURNS_TOGETHER`] turns in lanes of the elements.
    pub fn adds_narrow(&self, output: usize) -> bool {
        let narrow = |o: &LaneOutput| {
            let sum = matches!(o.fold, Some((Fold::Sum, _)));
            o.leading && sum && o.dtype == DType::F32
        };
        self.outputs.get(output).is_some_and(narrow)
    }

    /// Bytes of working memory of such a result: 8 for each sum in each chunk, and what is between chunks
    /// ([`Chunks::apart`]). Where f32 are added as such, there are as many sums of 4 bytes behind them.
    pub fn sums_room(&self, output: usize) -> usize {
        let room = self.chunks(output).room(self.output_elements(output));
        let bytes = if self.adds_narrow(output) { 12 } else { 8 };
        let room = room.saturating_mul(bytes).checked_next_multiple_of(8);
        room.unwrap_or(usize::MAX)
    }

    /// The number of elements that an input must have at least.
    pub fn input_elements(&self, input: usize) -> usize {
        if self.elements() == 0 {
            return 0;
        }
        let Some(input) = self.inputs.get(input) else {
            return 0;
        };
        let last = input.index.map_or(0, |index| {
            index.step.saturating_mul(index.length.saturating_sub(1))
        });
        let first = input.start.saturating_add(last).saturating_add(1);
        let mut dims = self.dims.clone();
        if let (Some(pad), Some(inner)) = (input.pad, dims.last_mut()) {
            *inner = pad.length;
        }
        let loops = dims.iter().zip(&input.strides);
        loops.fold(first, |n, (d, s)| {
            n.saturating_add(s.saturating_mul(d.saturating_sub(1)))
        })
    }

    /// Whether an input has one element for every place, in their order.
    pub fn is_dense(&self, input: usize) -> bool {
        let Some(input) = self.inputs.get(input) else {
            return false;
        };
        let mut step = 1_usize;
        self.dims.iter().zip(&input.strides).rev().all(|(d, s)| {
            let fits = *s == step || *d == 1;
            step = step.saturating_mul(*d);
            fits
        }) && input.start == 0
            && input.index.is_none()
            && input.pad.is_none()
            && self.elements() > 1
    }

    /// Whether a result may stand in the memory of an input: both have one element for each place,
    /// and every element is read before it is written.
    pub fn may_overwrite(&self, input: usize, output: usize) -> bool {
        let size = |dtype: DType| dtype.size();
        match (self.inputs.get(input), self.outputs.get(output)) {
            (Some(i), Some(o))
                if o.fold.is_none() && o.beside.is_empty() && size(i.dtype) == size(o.dtype) =>
            {
                let store = self.outputs[..output]
                    .iter()
                    .map(LaneOutput::width)
                    .sum::<usize>();
                self.is_dense(input) && self.code.reads_before(input as u32, store as u32)
            }
            _ => false,
        }
    }

    /// Bytes of working memory that a run needs: see [`LaneProgram::layout`].
    pub fn scratch(&self) -> usize {
        self.layout().bytes
    }

    /// How the working memory of a run is divided.
    pub fn layout(&self) -> LaneLayout {
        let (_, tiles) = self.code.tiles();
        let folds = self.outputs.iter().filter(|o| o.fold.is_some()).count();
        let bytes = |run: usize| {
            let run = self.inner().clamp(1, run).next_multiple_of(8);
            (run * self.lanes.bytes()).next_multiple_of(64)
        };
        let inputs = (0..self.inputs.len()).filter(|i| self.packs_input(*i));
        let columns = self.outputs.iter().filter(|o| o.width() > 1);
        let packs = inputs.count() + columns.map(LaneOutput::width).sum::<usize>();
        // Buffers stay in the first cache, and leaves of reductions stay whole.
        let block = match (packs, folds) {
            (0, _) => FOLD_RUN,
            (_, 1..) => LEAF,
            (n, 0) => (PACKED / (n * self.lanes.bytes())).clamp(64, FOLD_RUN) / 64 * 64,
        };
        let streams = self.inputs.len() + self.code.outputs.len();
        let (tile, fold) = (bytes(TILE), bytes(FOLD_RUN));
        let pack = bytes(block);
        let folds_at = tiles * tile;
        let packs_at = folds_at + folds * fold;
        let sums_at = packs_at + packs * pack;
        let leading = (0..self.outputs.len()).filter(|k| self.outputs[*k].leading);
        let sums = leading.fold(0_usize, |n, k| n.saturating_add(self.sums_room(k)));
        // More than memory has: the plan is refused.
        let end = sums_at.saturating_add(sums).min(usize::MAX / 2);
        let table_at = end.next_multiple_of(64);
        LaneLayout {
            tile,
            fold,
            folds_at,
            pack,
            packs_at,
            sums_at,
            table_at,
            block,
            bytes: (table_at + 3 * 8 * streams).next_multiple_of(64),
        }
    }

    /// Checks that the parts fit together and that the instructions are those of the operations.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.dims.is_empty() {
            return Err("a region has at least one loop".into());
        }
        for (i, input) in self.inputs.iter().enumerate() {
            if input.strides.len() != self.dims.len() {
                return Err(format!("the strides of input {i} do not fit"));
            }
            if let Some(pad) = input.pad {
                let end = pad.low.checked_add(pad.length);
                let fits = pad.length > 0 && end.is_some_and(|end| end <= self.inner());
                if !fits || input.index.is_some() || pad.value.dtype() != input.dtype {
                    return Err(format!("what stands around input {i} does not fit"));
                }
            }
            if let Some(index) = input.index {
                let indices = self.inputs.get(index.input as usize);
                if index.length == 0
                    || indices.is_none_or(|x| {
                        x.index.is_some()
                            || x.pad.is_some()
                            || !matches!(x.dtype, DType::I32 | DType::I64)
                    })
                {
                    return Err(format!("the indices of input {i} do not fit"));
                }
            }
        }
        if self.outputs.iter().filter(|o| o.fold.is_some()).count() > MAX_FOLDS {
            return Err(format!("a region has at most {MAX_FOLDS} reductions"));
        }
        if self.dims.len() > 4 {
            return Err("a region has at most 4 loops".into());
        }
        if self.elements() == 0 && self.outputs.iter().any(|o| o.fold.is_some()) {
            return Err("a region reduces at least one element".into());
        }
        let values = self.inputs.len() + self.ops.len();
        for (i, output) in self.outputs.iter().enumerate() {
            let kept = output.fold.map_or(0, |(_, kept)| kept);
            let sums = matches!(output.fold, None | Some((Fold::Sum, _)));
            if output.fold.is_some() && output.dtype == DType::Bool {
                return Err(format!("result {i} of the region reduces bools"));
            }
            if !sums && !output.dtype.is_float() {
                return Err(format!(
                    "result {i} of the region reduces integers by something else than their sum"
                ));
            }
            let sum = matches!(output.fold, Some((Fold::Sum, 1..)));
            if output.leading && !sum {
                return Err(format!(
                    "result {i} of the region is not joined over outer loops"
                ));
            }
            if output.fold.is_some() && !output.beside.is_empty() {
                return Err(format!("result {i} of the region is reduced beside others"));
            }
            let mut written = output.beside.iter().chain([&output.value]);
            if written.any(|v| *v as usize >= values) || kept >= self.dims.len() {
                return Err(format!("result {i} of the region does not fit"));
            }
        }
        // The instructions move what inputs and results hold.
        let inputs = input_kinds(&self.inputs, self.lanes);
        let outputs = output_kinds(&self.outputs, self.lanes);
        if self.code.lanes != self.lanes
            || inputs.as_ref() != Ok(&self.code.inputs)
            || outputs.as_ref() != Ok(&self.code.outputs)
        {
            return Err("the instructions of the region are not for its dtypes".into());
        }
        let are_indices = are_indices(&self.inputs);
        for inst in &self.code.insts {
            let (Prim::Load(k) | Prim::Splat(k)) = inst.prim else {
                continue;
            };
            let input = self.inputs.get(k as usize);
            let stays = input.is_some_and(|i| {
                i.index.is_none() && i.pad.is_none() && i.strides.last() == Some(&0)
            });
            if stays != matches!(inst.prim, Prim::Splat(_)) {
                return Err(format!("input {k} of the region is read in the wrong way"));
            }
            if are_indices.get(k as usize) == Some(&true) {
                return Err(format!("input {k} of the region holds indices"));
            }
        }
        self.code.check()
    }
}

/// One operation a line, values numbered from the inputs on, as the plan prints them.
impl fmt::Display for LaneProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |v: u32| match self.ops.get((v as usize).wrapping_sub(self.inputs.len())) {
            Some(LaneOp {
                op: Op::Full(x, _), ..
            }) => x.to_string(),
            _ => format!("%{v}"),
        };
        for (k, op) in self.ops.iter().enumerate() {
            if matches!(op.op, Op::Full(..)) {
                continue;
            }
            let args: Vec<String> = op.args.iter().map(|a| value(*a)).collect();
            write!(
                f,
                "        %{}: {} = {}({}",
                self.inputs.len() + k,
                op.dtype,
                op.op.name(),
                args.join(", ")
            )?;
            if let Op::Indexed(_, n) = op.op {
                write!(f, ", n={n}")?;
            }
            writeln!(f, ")")?;
        }
        let outs: Vec<String> = self
            .outputs
            .iter()
            .enumerate()
            .map(|(k, o)| match o.fold {
                Some((fold, kept)) if o.leading => {
                    let chunks = match self.chunks(k).count {
                        1 => String::new(),
                        n => format!(", chunks={n}"),
                    };
                    format!("{}({}, outer={kept}{chunks})", fold.name(), value(o.value))
                }
                Some((fold, _)) => format!("{}({})", fold.name(), value(o.value)),
                None if o.beside.is_empty() => value(o.value),
                None => {
                    let all = [o.value].into_iter().chain(o.beside.iter().copied());
                    format!("[{}]", all.map(value).collect::<Vec<_>>().join(", "))
                }
            })
            .collect();
        writeln!(f, "        ({})", outs.join(", "))
    }
}

impl LaneOutput {
    /// The number of elements at each place.
    pub fn width(&self) -> usize {
        1 + self.beside.len()
    }
}

/// For each input whether it holds the positions of another.
fn are_indices(inputs: &[LaneInput]) -> Vec<bool> {
    let mut are = vec![false; inputs.len()];
    for index in inputs.iter().filter_map(|i| i.index) {
        if let Some(is) = are.get_mut(index.input as usize) {
            *is = true;
        }
    }
    are
}

/// The element kinds of inputs; of indices, which no instruction reads, any.
fn input_kinds(inputs: &[LaneInput], lanes: Lanes) -> Result<Vec<Elem>, String> {
    let kinds = inputs.iter().zip(are_indices(inputs));
    let kind = |(input, is_index): (&LaneInput, bool)| match is_index {
        true => Ok(Elem::Lane),
        false => fitting(input.dtype, lanes),
    };
    kinds.map(kind).collect()
}

/// The element kinds of all that is stored.
fn output_kinds(outputs: &[LaneOutput], lanes: Lanes) -> Result<Vec<Elem>, String> {
    let stored = outputs.iter().flat_map(|o| (0..o.width()).map(|_| o.dtype));
    stored.map(|dtype| fitting(dtype, lanes)).collect()
}

fn fitting(dtype: DType, lanes: Lanes) -> Result<Elem, String> {
    elem(dtype, lanes).ok_or_else(|| format!("{dtype} does not fit the lanes of the region"))
}

/// The element kind of a dtype in a region of some width, if it can be there.
pub(crate) fn elem(dtype: DType, lanes: Lanes) -> Option<Elem> {
    match (dtype, lanes) {
        (DType::Bool, _) => Some(Elem::Byte),
        (DType::F64 | DType::I64, Lanes::W64) => Some(Elem::Lane),
        (DType::F32 | DType::I32, Lanes::W32) => Some(Elem::Lane),
        _ => None,
    }
}

/// The number as a value of a region.
pub(crate) fn full(value: Scalar) -> LaneOp {
    LaneOp {
        op: Op::Full(value, Shape::default()),
        dtype: value.dtype(),
        args: SmallVec::new(),
    }
}
