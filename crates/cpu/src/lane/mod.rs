//! Runs regions: the loops around the inner run, reductions, and the choice of how the inner run is
//! executed.

mod blocks;
mod fold;
mod joins;
mod once;
mod open;
mod pack;
mod rows;
mod split;
mod stage;
mod tape;
mod tile;
mod whole;

use std::sync::Arc;

use cotangent_compile::Options;
use cotangent_compile::lane::{LEAF, LaneLayout, LaneProgram, MAX_FOLDS};

use self::blocks::Blocks;
use self::fold::Folding;
pub(crate) use self::once::OneRun;
use self::open::{Columns, Leading};
use self::pack::{Around, Chosen, Pack};
pub(crate) use self::rows::choose as choose_rows;
pub(crate) use self::tape::choose as choose_tape;
use self::tile::TileCode;
use self::whole::Whole;
use crate::RunError;
use crate::jit;
use crate::memory::{Frame, Run, Slot};
use crate::pool::DIVIDE;

/// A run with so many elements for every place where it is cut may be cut where numbers stand around elements
/// of an input: a few more blocks cost less than copies.
const LONG: usize = 256;

/// Blocks begin at multiples of so many elements: a whole pair of vectors, so that these cross no more lines
/// of the cache than at the start of the run.
const EVEN: usize = 16;

/// How regions are executed. All ways give the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Way {
    /// Machine code made for the region, where the machine and the region allow it; otherwise as
    /// [`Way::Tile`].
    Code,
    /// As [`Way::Code`], in vectors of 256 bits also where the machine has longer ones.
    Narrow,
    /// The tile interpreter with AVX2 and FMA where the machine has them.
    Tile,
    /// The tile interpreter in instructions that every machine of its kind has.
    Baseline,
}

impl Way {
    /// What the variable `COTANGENT_RUN` asks for (`code`, `narrow`, `tile` or `baseline`), or else the fastest.
    pub fn chosen() -> Way {
        match std::env::var("COTANGENT_RUN").as_deref() {
            Ok("narrow") => Way::Narrow,
            Ok("tile") => Way::Tile,
            Ok("baseline") => Way::Baseline,
            _ => Way::Code,
        }
    }
}

/// How a program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode {
    pub(crate) way: Way,
    /// Whether generated code takes subnormal numbers for zeros.
    pub(crate) flush: bool,
}

impl Mode {
    /// What the variable `COTANGENT_RUN` asks for, and otherwise as usual.
    pub(crate) fn chosen() -> Mode {
        Mode::of(&Options::default())
    }

    /// What that variable and options ask for.
    pub(crate) fn of(options: &Options) -> Mode {
        Mode {
            way: Way::chosen(),
            flush: options.flush_subnormals,
        }
    }

    /// How code is generated, where that is asked for.
    pub(crate) fn style(self) -> Option<jit::Style> {
        let width = match self.way {
            Way::Code if has_avx512() => jit::Width::Wide,
            Way::Code | Way::Narrow => jit::Width::Narrow,
            Way::Tile | Way::Baseline => return None,
        };
        let flush = self.flush;
        Some(jit::Style { width, flush })
    }

    /// Whether other code than generated one uses AVX2.
    pub(crate) fn fast(self) -> bool {
        self.way != Way::Baseline && has_avx2()
    }
}

/// Whether the machine has AVX2 and FMA.
pub(crate) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether the machine has what generated code needs for vectors of 512 bits.
fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return has_avx2()
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Where a region's operands, results and working memory stand.
pub(crate) struct Places {
    pub(crate) args: Vec<Slot>,
    pub(crate) outs: Vec<Slot>,
    pub(crate) scratch: Slot,
}

/// The step that runs a region.
///
/// `work` is about how many nanoseconds it takes; what is divided wants as much working memory for each
/// further thread as for the first.
pub(crate) fn choose(
    program: &Arc<LaneProgram>,
    places: Places,
    mode: Mode,
    work: u64,
) -> Option<Run> {
    let layout = program.layout();
    if places.scratch.len < layout.bytes {
        return None;
    }
    let inner = inner(program, mode, &layout);
    let region = Region::new(program, places, layout, inner);
    if work < DIVIDE {
        return Some(Box::new(move |frame| region.run(frame)));
    }
    let cut = split::Cut::new(&region, work);
    Some(Box::new(move |frame| {
        let team = frame.team.with_room(region.layout.bytes);
        match cut.parts(&region, &team) {
            1 => region.run(frame),
            parts => cut.run(&region, frame, &team, parts),
        }
    }))
}

fn inner(program: &LaneProgram, mode: Mode, layout: &LaneLayout) -> Inner {
    if let Some(style) = mode.style() {
        let reductions = reductions(program);
        if let Some(kernel) = jit::kernel(&program.code, &reductions, style) {
            return Inner::Code(kernel, reductions);
        }
    }
    Inner::Tile(TileCode::new(&program.code, layout.tile, mode.fast()))
}

/// For each stored value the reduction that it goes into, where a kernel can join its elements.
fn reductions(program: &LaneProgram) -> Vec<Option<jit::Reduction>> {
    let mut left = jit::MOST_REDUCTIONS;
    let stored = program.stores().into_iter().map(|(k, _)| {
        let output = program.outputs.get(k)?;
        let (fold, _) = output.fold?;
        let float = output.dtype.is_float();
        if output.leading {
            let rows = program.output_elements(k).is_multiple_of(program.inner());
            let sums = match (float, program.adds_narrow(k)) {
                (false, _) => jit::Sums::Ints,
                (true, false) => jit::Sums::Floats,
                (true, true) => jit::Sums::Narrow,
            };
            return rows.then_some(jit::Reduction::Open(sums));
        }
        left = left.checked_sub(1)?;
        Some(jit::Reduction::Leaves(jit::Join { fold, float }))
    });
    stored.collect()
}

/// What executes the inner run.
enum Inner {
    /// With the reductions whose elements it joins, by stored values.
    Code(jit::Kernel, Vec<Option<jit::Reduction>>),
    Tile(TileCode),
}

/// A region with everything about its shape worked out.
struct Region {
    places: Places,
    layout: LaneLayout,
    inner: Inner,
    /// The lengths of the outer loops, the innermost first, and of the run.
    outer: [usize; 3],
    run: usize,
    streams: Vec<Stream>,
    folds: Vec<Folding>,
    /// How many of the streams are inputs.
    inputs: usize,
    packs: bool,
    /// Places at which blocks of the run end, so that what is between needs no packing; in order.
    borders: Vec<usize>,
    /// The whole run, where it is cut at these alone.
    blocks: Option<Blocks>,
    /// Where rows are one call each, with a result of every reduction.
    whole: Option<Whole>,
}

/// An input or a result, by the bytes that it moves.
struct Stream {
    slot: Slot,
    /// For each outer loop, the innermost first.
    steps: [usize; 3],
    /// From one element of the run to the next.
    step: usize,
    /// The reduction that it goes into.
    fold: Option<usize>,
    /// Where its elements are packed, if they are not side by side.
    pack: Option<Pack>,
}

impl Region {
    fn new(program: &LaneProgram, places: Places, mut layout: LaneLayout, inner: Inner) -> Region {
        let dims = &program.dims;
        let mut outer = [1; 3];
        for (to, n) in outer.iter_mut().zip(dims.iter().rev().skip(1)) {
            *to = *n;
        }
        if program.elements() == 0 {
            outer = [0; 3];
        }
        let mut streams = Vec::new();
        let mut buffers = (0..).map(|k| layout.packs_at + k * layout.pack);
        let mut buffer = || buffers.next().unwrap_or(layout.packs_at);
        for (k, (slot, input)) in places.args.iter().zip(&program.inputs).enumerate() {
            let size = input.dtype.size();
            let step = input.strides.last().map_or(0, |s| s * size);
            let pack = program.packs_input(k).then(|| {
                let chosen = input.index.and_then(|index| {
                    let indices = program.inputs.get(index.input as usize)?;
                    let stride = indices.strides.last().copied().unwrap_or(0);
                    Some(Chosen::new(index, indices.dtype, stride, size))
                });
                let around = input.pad.map(Around::new);
                Pack::new(buffer(), size, step).with(chosen, around)
            });
            let mut steps = [0; 3];
            for (to, stride) in steps.iter_mut().zip(input.strides.iter().rev().skip(1)) {
                *to = stride * size;
            }
            streams.push(Stream {
                slot: Slot {
                    offset: slot.offset + input.start * size,
                    ..*slot
                },
                steps,
                step,
                fold: None,
                pack,
            });
        }
        let inputs = streams.len();
        let mut folds = Vec::new();
        let mut sums_at = layout.sums_at;
        for (stored, (k, column)) in program.stores().into_iter().enumerate() {
            let (Some(slot), Some(output)) = (places.outs.get(k), program.outputs.get(k)) else {
                continue;
            };
            let (size, width) = (output.dtype.size(), output.width());
            let (mut steps, mut total) = ([0; 3], size * width * program.inner());
            for (to, n) in steps.iter_mut().zip(dims.iter().rev().skip(1)) {
                *to = total;
                total *= n;
            }
            let fold = output.fold.map(|(fold, kept)| {
                // How many of the outer loops belong to one result.
                let joined = dims.len() - 1 - kept.min(dims.len() - 1);
                let leading = output.leading.then(|| {
                    let (count, chunks) = (program.output_elements(k), program.chunks(k));
                    let offset = sums_at;
                    sums_at += program.sums_room(k);
                    Leading {
                        offset,
                        count,
                        chunks,
                        narrow: program.adds_narrow(k),
                    }
                });
                // Sums over outer loops are finished behind all loops.
                let joined = if output.leading { usize::MAX } else { joined };
                let mut folding = Folding::new(fold, output.dtype, *slot, joined, leading);
                folding.before = match &inner {
                    Inner::Code(_, reductions) => reductions.get(stored).copied().flatten(),
                    Inner::Tile(_) => None,
                };
                folds.push(folding);
                folds.len() - 1
            });
            streams.push(Stream {
                slot: Slot {
                    offset: slot.offset + column * size,
                    ..*slot
                },
                steps: if fold.is_some() { [0; 3] } else { steps },
                step: if fold.is_some() { 0 } else { size * width },
                fold,
                pack: (width > 1).then(|| Pack::new(buffer(), size, size * width)),
            });
        }
        let packs = streams.iter().any(|s| s.pack.is_some());
        let run = program.inner();
        let mut borders = Vec::new();
        // Leaves of reductions stay whole.
        if folds.is_empty() {
            let packs = streams.iter().filter_map(|s| s.pack.as_ref());
            borders.extend(packs.filter_map(Pack::borders).flat_map(|[first, end]| {
                // All else stays at addresses as even as they are at the start of the run.
                let end = if end < run { end / EVEN * EVEN } else { end };
                [first.next_multiple_of(EVEN), end]
            }));
            borders.retain(|border| (1..run).contains(border));
            borders.sort_unstable();
            borders.dedup();
        }
        if run < LONG * borders.len() {
            borders.clear();
        }
        // Where a kernel joins elements, a buffer holds more leaves, to its last byte.
        if !packs && !folds.is_empty() && folds.iter().all(|f: &Folding| f.before.is_some()) {
            layout.block = layout.block.max(layout.fold / jit::LEAF_BYTES * LEAF);
        }
        let blocks = Blocks::of(&streams, inputs, run, &borders, layout.block);
        let whole = match folds.is_empty() {
            true => None,
            false => Whole::of(&streams, &folds, run, layout.block),
        };
        Region {
            places,
            layout,
            inner,
            outer,
            run,
            streams,
            folds,
            inputs,
            packs,
            borders,
            blocks,
            whole,
        }
    }

    fn run(&self, frame: &Frame<'_>) -> Result<(), RunError> {
        if let Some(whole) = &self.whole {
            self.run_whole(whole, frame);
            return Ok(());
        }
        match self.folds.len() {
            0 if self.outer == [1; 3] && (!self.packs || self.blocks.is_some()) => {
                self.run_once(frame)
            }
            0 => self.run_with::<0>(frame),
            1 => self.run_with::<1>(frame),
            2 => self.run_with::<2>(frame),
            _ => self.run_with::<MAX_FOLDS>(frame),
        }
    }

    /// One inner run without reductions.
    fn run_once(&self, frame: &Frame<'_>) -> Result<(), RunError> {
        let scratch = frame.address(self.places.scratch);
        let count = self.streams.len();
        let bases: *mut *mut u8 = scratch.wrapping_add(self.layout.table_at).cast();
        for (k, stream) in self.streams.iter().enumerate() {
            // SAFETY: the working memory holds tables with an address for every stream here, aligned
            // to 8 bytes, which nothing else uses while the step runs.
            unsafe { bases.add(k).write(frame.address(stream.slot)) };
        }
        // SAFETY: all of it has just been written.
        let table = unsafe { std::slice::from_raw_parts(bases, count) };
        let Some(blocks) = &self.blocks else {
            self.execute(table, self.run, scratch);
            return Ok(());
        };
        // SAFETY: the second table is another place of the same working memory, and is written here.
        let packed = unsafe {
            std::ptr::copy_nonoverlapping(bases, bases.add(count), count);
            std::slice::from_raw_parts_mut(bases.add(count), count)
        };
        blocks.run(self, table, packed, scratch)
    }

    /// The loops around the inner run, with states for so many reductions.
    fn run_with<const FOLDS: usize>(&self, frame: &Frame<'_>) -> Result<(), RunError> {
        let scratch = frame.address(self.places.scratch);
        let count = self.streams.len();
        let bases: *mut *mut u8 = scratch.wrapping_add(self.layout.table_at).cast();
        // SAFETY: the working memory holds three tables of addresses here, aligned to 8 bytes, which
        // nothing else uses while the step runs; all are written in full before they are read.
        let (bases, current, packed) = unsafe {
            bases.write_bytes(0, 3 * count);
            (
                std::slice::from_raw_parts_mut(bases, count),
                std::slice::from_raw_parts_mut(bases.add(count), count),
                std::slice::from_raw_parts_mut(bases.add(2 * count), count),
            )
        };
        for (base, stream) in bases.iter_mut().zip(&self.streams) {
            *base = match stream.fold {
                Some(k) => scratch.wrapping_add(self.layout.folds_at + k * self.layout.fold),
                None => frame.address(stream.slot),
            };
        }
        let mut states = [fold::State::default(); FOLDS];
        for (state, folding) in states.iter_mut().zip(&self.folds) {
            // SAFETY: the working memory has room for open sums, as its layout says.
            unsafe { folding.open(state, scratch, Columns::all(self.run)) };
        }
        let mut results = [0_usize; FOLDS];
        if self.outer == [1; 3] {
            self.row(scratch, bases, current, packed, &mut states)?;
            (0..3).for_each(|level| self.finish(frame, level, &mut states, &mut results));
        } else {
            self.turns(
                frame,
                scratch,
                [bases, current, packed],
                &mut states,
                &mut results,
            )?;
        }
        self.finish(frame, 3, &mut states, &mut results);
        for folding in &self.folds {
            let out = frame.address(folding.slot);
            // SAFETY: as above; the plan was checked, so the result has room for all sums.
            unsafe { folding.close(scratch, out, Columns::all(self.run)) };
        }
        Ok(())
    }

    /// The outer loops.
    fn turns(
        &self,
        frame: &Frame<'_>,
        scratch: *mut u8,
        [bases, current, packed]: [&mut [*mut u8]; 3],
        states: &mut [fold::State],
        results: &mut [usize],
    ) -> Result<(), RunError> {
        for _ in 0..self.outer[2] {
            for _ in 0..self.outer[1] {
                for _ in 0..self.outer[0] {
                    self.row(scratch, bases, current, packed, states)?;
                    self.advance(bases, 0);
                    self.finish(frame, 0, states, results);
                }
                self.rewind(bases, 0);
                self.advance(bases, 1);
                self.finish(frame, 1, states, results);
            }
            self.rewind(bases, 1);
            self.advance(bases, 2);
            self.finish(frame, 2, states, results);
        }
        Ok(())
    }

    /// The inner run at one place of the outer loops.
    fn row(
        &self,
        scratch: *mut u8,
        bases: &[*mut u8],
        current: &mut [*mut u8],
        packed: &mut [*mut u8],
        states: &mut [fold::State],
    ) -> Result<(), RunError> {
        if self.folds.is_empty() && !self.packs {
            self.execute(bases, self.run, scratch);
            return Ok(());
        }
        if let Some(blocks) = &self.blocks {
            return blocks.run(self, bases, packed, scratch);
        }
        current.copy_from_slice(bases);
        self.some(scratch, current, packed, [0, self.run], states)
    }

    /// So many elements of an inner run from a place on, at which the addresses are; they go ahead if there
    /// are reductions or something is packed.
    fn some(
        &self,
        scratch: *mut u8,
        current: &mut [*mut u8],
        packed: &mut [*mut u8],
        [place, run]: [usize; 2],
        states: &mut [fold::State],
    ) -> Result<(), RunError> {
        if self.folds.is_empty() && !self.packs {
            self.execute(current, run, scratch);
            return Ok(());
        }
        let mut done = 0;
        while done < run {
            let from = place + done;
            let border = self.borders.iter().find(|b| **b > from);
            let mut count = border.map_or(run - done, |b| (run - done).min(b - from));
            count = count.min(self.layout.block);
            for (at, stream) in current.iter_mut().zip(&self.streams) {
                let open = |k: usize| self.folds[k].open_at(&states[k], count);
                if let Some(open) = stream.fold.and_then(open) {
                    *at = open;
                }
            }
            if self.packs {
                self.pack(scratch, current, packed, place + done, count)?;
                self.execute(packed, count, scratch);
                self.unpack(current, packed, count);
            } else {
                self.execute(current, count, scratch);
            }
            for (at, stream) in current.iter_mut().zip(&self.streams) {
                match stream.fold {
                    Some(k) => {
                        debug_assert!(
                            !self.folds[k].by_leaves()
                                || count.div_ceil(LEAF) * jit::LEAF_BYTES <= self.layout.fold
                        );
                        self.folds[k].take(*at, count, &mut states[k]);
                    }
                    None => *at = at.wrapping_add(stream.step * count),
                }
            }
            done += count;
        }
        Ok(())
    }

    /// Gives each stream the address of its elements side by side: where they stand, or a buffer, to
    /// which those of inputs are copied.
    fn pack(
        &self,
        scratch: *mut u8,
        current: &[*mut u8],
        packed: &mut [*mut u8],
        place: usize,
        count: usize,
    ) -> Result<(), RunError> {
        for (k, stream) in self.streams.iter().enumerate() {
            packed[k] = match &stream.pack {
                Some(pack) => {
                    if k < self.inputs
                        && let Some(at) = pack.direct(current[k], place, count)
                    {
                        packed[k] = at;
                        continue;
                    }
                    let buffer = scratch.wrapping_add(pack.buffer);
                    if k < self.inputs {
                        let chosen = pack.chosen.as_ref();
                        let indices = chosen.map_or(std::ptr::null_mut(), |c| current[c.stream]);
                        // SAFETY: the plan was checked: inputs have `count` elements at these
                        // strides, behind any index of its range, and the working memory has a
                        // buffer of a block for each stream that is packed.
                        unsafe { pack.gather(current[k], indices, buffer, place, count)? };
                    }
                    buffer
                }
                None => current[k],
            };
        }
        Ok(())
    }

    /// Copies results from buffers to where they belong.
    fn unpack(&self, current: &[*mut u8], packed: &[*mut u8], count: usize) {
        for (k, stream) in self.streams.iter().enumerate().skip(self.inputs) {
            if let Some(pack) = &stream.pack {
                // SAFETY: as above; the result has an element for each place at this stride.
                unsafe { pack.scatter(packed[k], current[k], count) };
            }
        }
    }

    fn execute(&self, addresses: &[*mut u8], count: usize, scratch: *mut u8) {
        match &self.inner {
            // SAFETY: the plan was checked: every address has `count` elements, or one where the run
            // stays on it, and what is written overlaps nothing that is read later.
            Inner::Code(kernel, _) => unsafe { kernel.call(addresses, count) },
            // SAFETY: as above; the tiles are at the start of the working memory.
            Inner::Tile(code) => unsafe { code.run(addresses, count, scratch) },
        }
    }

    fn advance(&self, bases: &mut [*mut u8], level: usize) {
        for (base, stream) in bases.iter_mut().zip(&self.streams) {
            *base = base.wrapping_add(stream.steps[level]);
        }
    }

    fn rewind(&self, bases: &mut [*mut u8], level: usize) {
        for (base, stream) in bases.iter_mut().zip(&self.streams) {
            *base = base.wrapping_sub(stream.steps[level] * self.outer[level]);
        }
    }

    /// Writes the results of the reductions over so many outer loops.
    fn finish(
        &self,
        frame: &Frame<'_>,
        level: usize,
        states: &mut [fold::State],
        results: &mut [usize],
    ) {
        for (k, folding) in self.folds.iter().enumerate() {
            if folding.joined == level {
                let out = frame.address(folding.slot);
                // SAFETY: the plan was checked: the result has an element for each turn of the loops
                // that are kept, and `results` counts those turns.
                unsafe { folding.end(&mut states[k], out, results[k]) };
                results[k] += 1;
            }
        }
    }
}
