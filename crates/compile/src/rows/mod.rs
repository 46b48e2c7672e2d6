//! Row blocks: regions that go over the rows of the same arrays, some rows at a time.
//!
//! A softmax goes over a row three times, and what it computes on the way is as large as what it
//! reads. Run one after another over whole arrays, its regions store and read all of it in memory. A
//! row block runs them on a few rows, then on the next: what is between stands in buffers of a few
//! rows, in a cache. Each region does what it would do by itself, on a part of its places, so no bit
//! depends on it.

mod aligned;
mod anew;
mod join;
mod made;
mod matrix;
mod work;

use std::fmt;
use std::ops::Range;

use cotangent_array::DType;

pub(crate) use self::join::join;
pub use self::matrix::RowMatrix;
pub use self::work::{RowProduct, RowWork};

/// Regions, and products of matrices with vectors or of rows with matrices, that run together, some rows at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowBlock {
    /// The number of rows: the places of each stage are divided evenly among them, in order.
    pub rows: usize,
    /// How many rows every stage does before the next one does them.
    pub together: usize,
    /// The dtype and number of elements of each operand.
    pub inputs: Vec<(DType, usize)>,
    /// The dtype and number of elements of each result.
    pub outputs: Vec<(DType, usize)>,
    /// What only the stages themselves read.
    pub buffers: Vec<RowBuffer>,
    /// What is done, in order.
    pub stages: Vec<RowStage>,
}

/// A value of which only some rows are there at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowBuffer {
    /// The dtype of its elements.
    pub dtype: DType,
    /// The elements of one row.
    pub row: usize,
    /// Where it stands, in bytes behind the start of all buffers. Buffers that are not needed at the
    /// same time may share bytes.
    pub at: usize,
}

/// One of the things that a row block does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowStage {
    /// What is done.
    pub work: RowWork,
    /// What is read.
    pub args: Vec<RowPlace>,
    /// What is written.
    pub outs: Vec<RowPlace>,
}

/// Where a value of a row block stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RowPlace {
    /// In an operand of the step.
    Arg(u32),
    /// In a result of the step.
    Out(u32),
    /// In a buffer.
    Buffer(u32),
}

/// Where a row block keeps things in its working memory, as offsets from its start.
#[derive(Clone, Debug)]
pub struct RowLayout {
    /// The working memory of each stage. Those that keep nothing from one time to the next share one.
    pub stages: Vec<usize>,
    /// Where the buffers stand.
    pub buffers_at: usize,
    /// A table of addresses: one for each operand, result and buffer.
    pub table_at: usize,
    /// All bytes.
    pub bytes: usize,
}

impl RowBlock {
    /// Operations of one run, in units of one addition.
    pub fn cost(&self) -> u64 {
        let each = self.stages.iter().map(|s| s.work.cost());
        each.fold(0, u64::saturating_add)
    }

    /// How the working memory is divided.
    pub fn layout(&self) -> RowLayout {
        let shared = self.stages.iter().filter(|s| !s.work.keeps());
        let shared = shared.map(|s| s.work.scratch()).max().unwrap_or(0);
        let mut end = shared.next_multiple_of(64);
        let mut stages = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            match stage.work.keeps() {
                false => stages.push(0),
                true => {
                    stages.push(end);
                    let bytes = stage.work.scratch().next_multiple_of(64);
                    end = end.saturating_add(bytes);
                }
            }
        }
        let buffers_at = end;
        let ends = (0..self.buffers.len()).map(|k| self.buffer_range(k).end);
        let table_at = buffers_at.saturating_add(ends.max().unwrap_or(0));
        let table_at = table_at.next_multiple_of(64);
        let places = self.inputs.len() + self.outputs.len() + self.buffers.len();
        RowLayout {
            stages,
            buffers_at,
            table_at,
            bytes: table_at.saturating_add(8 * places).next_multiple_of(64),
        }
    }

    /// Bytes of working memory that a run needs.
    pub fn scratch(&self) -> usize {
        self.layout().bytes
    }

    /// The bytes of a row of a buffer.
    pub fn row_bytes(&self, buffer: usize) -> usize {
        let buffer = self.buffers.get(buffer);
        buffer.map_or(0, |b| b.row.saturating_mul(b.dtype.size()))
    }

    /// The bytes of a buffer behind the start of all.
    fn buffer_range(&self, buffer: usize) -> Range<usize> {
        let at = self.buffers.get(buffer).map_or(0, |b| b.at);
        at..at.saturating_add(self.row_bytes(buffer).saturating_mul(self.together))
    }

    /// The first and the last stage that needs each buffer.
    fn lives(&self) -> Vec<(usize, usize)> {
        let mut lives = vec![(usize::MAX, 0); self.buffers.len()];
        for (s, stage) in self.stages.iter().enumerate() {
            for place in stage.args.iter().chain(&stage.outs) {
                if let RowPlace::Buffer(k) = place
                    && let Some(life) = lives.get_mut(*k as usize)
                {
                    *life = (life.0.min(s), s);
                }
            }
        }
        lives
    }

    /// Whether sums over the rows are among the results.
    pub fn sums_rows(&self) -> bool {
        let grows = |stage: &RowStage| (0..stage.outs.len()).any(|k| stage.work.grows(k));
        self.stages.iter().any(grows)
    }

    /// The rows of a chunk, where sums over rows are added in chunks that all begin with the same rows: several
    /// threads may then do some chunks each.
    pub fn chunk(&self) -> Option<usize> {
        let mut found = None;
        for stage in &self.stages {
            let row = stage.work.row(self.rows)?;
            for k in (0..stage.outs.len()).filter(|k| stage.work.grows(*k)) {
                let places = stage.work.chunk(k)?;
                let rows = places / row.max(1);
                if places % row.max(1) != 0 || found.is_some_and(|other| other != rows) {
                    return None;
                }
                found = Some(rows);
            }
        }
        found
    }

    /// How often a matrix is read for products with vectors.
    pub fn products(&self) -> usize {
        let product = |s: &&RowStage| matches!(s.work, RowWork::Product(_));
        self.stages.iter().filter(product).count()
    }

    /// Whether stages that sum rows may be divided between threads: then each does all rows before the next
    /// one does them, and what is between has a place for all of them.
    pub fn may_take_turns(&self) -> bool {
        self.buffers.is_empty() && self.products() > 0
    }

    /// Whether several threads may do it, each in working memory of its own.
    pub fn may_be_divided(&self) -> bool {
        !self.sums_rows() || self.chunk().is_some() || self.may_take_turns()
    }

    /// Whether a result may stand in the memory of an operand: every row of it is written when that
    /// row of the operand has been read for the last time.
    pub fn may_overwrite(&self, arg: usize, out: usize) -> bool {
        let (Some(input), Some(output)) = (self.inputs.get(arg), self.outputs.get(out)) else {
            return false;
        };
        let same = input.1 == output.1 && input.0.size() == output.0.size();
        let place = RowPlace::Out(out as u32);
        let writer = (self.stages.iter().enumerate())
            .find_map(|(s, stage)| Some((s, stage.outs.iter().position(|o| *o == place)?)));
        let (true, Some((writer, result)), 0) = (same, writer, input.1 % self.rows.max(1)) else {
            return false;
        };
        // What grows while rows are read may not stand where they stood.
        let grows = |stage: &RowStage| matches!(stage.work, RowWork::Product(p) if p.sums);
        if self.stages.get(writer).is_none_or(grows) {
            return false;
        }
        let row = input.1 / self.rows.max(1);
        self.stages.iter().enumerate().all(|(s, stage)| {
            let reads = stage.args.iter().enumerate();
            let mut reads = reads.filter(|(_, a)| **a == RowPlace::Arg(arg as u32));
            reads.all(|(k, _)| {
                let in_time = s < writer || (s == writer && stage.work.may_overwrite(k, result));
                in_time && stage.work.reads_row(self.rows, k, row)
            })
        })
    }

    /// Whether a buffer may stand where another stands that a stage reads for the last time, when that stage writes
    /// it.
    fn may_take_over(&self, from: usize, to: usize, stage: usize) -> bool {
        let Some(stage) = self.stages.get(stage) else {
            return false;
        };
        let place = |k: usize| RowPlace::Buffer(k as u32);
        let result = stage.outs.iter().position(|out| *out == place(to));
        let read = |arg: &usize| stage.args[*arg] == place(from);
        let mut reads = (0..stage.args.len()).filter(read).peekable();
        self.row_bytes(from) == self.row_bytes(to)
            && reads.peek().is_some()
            && result.is_some_and(|out| reads.all(|arg| stage.work.may_overwrite(arg, out)))
    }

    /// Checks that the stages fit together.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.rows == 0 || !(1..=self.rows).contains(&self.together) {
            return Err(format!(
                "{} rows cannot be done {} at a time",
                self.rows, self.together
            ));
        }
        // What adds up offsets may rely on these.
        for (k, buffer) in self.buffers.iter().enumerate() {
            let range = self.buffer_range(k);
            let most = isize::MAX as usize / 2;
            if !buffer.at.is_multiple_of(64) || range.end > most {
                return Err(format!("buffer {k} does not stand at a place that can be"));
            }
        }
        // The stage that has written each result and buffer.
        let mut written: Vec<Option<usize>> = vec![None; self.outputs.len() + self.buffers.len()];
        let mut last = vec![0; self.buffers.len()];
        for (s, stage) in self.stages.iter().enumerate() {
            self.check_stage(s, stage, &mut written, &mut last)
                .map_err(|message| format!("stage {s}: {message}"))?;
        }
        if written.contains(&None) {
            return Err("a result or buffer of the row block is never written".into());
        }
        let written = &written[self.outputs.len()..];
        let lives = |k: usize| written[k].unwrap_or(0)..=last[k];
        for a in 0..self.buffers.len() {
            for b in 0..a {
                let (x, y) = (self.buffer_range(a), self.buffer_range(b));
                let overlap = x.start < y.end && y.start < x.end;
                let (s, t) = (lives(a), lives(b));
                let after = |first: usize, end: usize, second: usize, start: usize| {
                    end < start
                        || (end == start && x == y && self.may_take_over(first, second, start))
                };
                let apart = after(a, *s.end(), b, *t.start()) || after(b, *t.end(), a, *s.start());
                if overlap && !apart {
                    return Err(format!("buffers {a} and {b} overlap while both live"));
                }
            }
        }
        Ok(())
    }

    fn check_stage(
        &self,
        number: usize,
        stage: &RowStage,
        written: &mut [Option<usize>],
        last: &mut [usize],
    ) -> Result<(), String> {
        let (work, rows) = (&stage.work, self.rows);
        work.check()?;
        if (stage.args.len(), stage.outs.len()) != work.counts() {
            return Err("operands and results are not those of the stage".into());
        }
        if work.row(rows).is_none() {
            return Err(format!("its places are not those of {rows} rows"));
        }
        for (i, arg) in stage.args.iter().enumerate() {
            let (dtype, elements) = self.of(*arg)?;
            let fits = |input: (DType, usize)| dtype == input.0 && elements >= input.1;
            if !work.input(i).is_some_and(fits) {
                return Err(format!("operand {i} does not fit the stage"));
            }
            let Some(slot) = self.slot(*arg) else {
                continue;
            };
            let row = elements / rows;
            let there = written.get(slot).copied().flatten().is_some();
            if !there || elements % rows != 0 || !work.reads_row(rows, i, row) {
                return Err(format!("operand {i} is not there row by row"));
            }
            if self.ends_behind(*arg) {
                return Err(format!("operand {i} is known only behind all rows"));
            }
            if let RowPlace::Buffer(k) = arg {
                last[*k as usize] = number;
            }
        }
        for (i, out) in stage.outs.iter().enumerate() {
            if work.output(i) != Some(self.of(*out)?) {
                return Err(format!("result {i} does not fit the stage"));
            }
            let inside = matches!(out, RowPlace::Buffer(_));
            if work.joins_rows(rows, i) && (inside || !work.grows(i)) {
                return Err(format!("result {i} joins rows"));
            }
            let slot = self.slot(*out).and_then(|slot| written.get_mut(slot));
            match slot {
                Some(slot @ None) => *slot = Some(number),
                _ => return Err(format!("result {i} is written twice, or over an operand")),
            }
            if let RowPlace::Buffer(k) = out {
                last[*k as usize] = number;
            }
        }
        Ok(())
    }

    /// The dtype and number of elements of a value, all rows of it.
    fn of(&self, place: RowPlace) -> Result<(DType, usize), String> {
        let found = match place {
            RowPlace::Arg(i) => self.inputs.get(i as usize).copied(),
            RowPlace::Out(i) => self.outputs.get(i as usize).copied(),
            RowPlace::Buffer(i) => {
                let buffer = self.buffers.get(i as usize);
                buffer.map(|b| (b.dtype, b.row.saturating_mul(self.rows)))
            }
        };
        found.ok_or_else(|| "a place that is not there".into())
    }

    /// The number of a value among results and buffers.
    fn slot(&self, place: RowPlace) -> Option<usize> {
        match place {
            RowPlace::Arg(_) => None,
            RowPlace::Out(i) => Some(i as usize),
            RowPlace::Buffer(i) => Some(self.outputs.len() + i as usize),
        }
    }

    /// Whether a value is a sum over rows.
    fn ends_behind(&self, place: RowPlace) -> bool {
        self.stages.iter().any(|stage| {
            let mut outs = stage.outs.iter().enumerate();
            outs.any(|(k, out)| *out == place && stage.work.grows(k))
        })
    }
}

/// One stage after another, as the plan prints them.
impl fmt::Display for RowBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |place: &RowPlace| match place {
            RowPlace::Arg(i) => format!("arg{i}"),
            RowPlace::Out(i) => format!("res{i}"),
            RowPlace::Buffer(i) => format!("row{i}"),
        };
        let names = |places: &[RowPlace]| places.iter().map(name).collect::<Vec<_>>().join(", ");
        for stage in &self.stages {
            let (outs, args) = (names(&stage.outs), names(&stage.args));
            match &stage.work {
                RowWork::Region(region) => {
                    let dims = &region.dims[..];
                    writeln!(f, "      {outs} = region({args}) over {dims:?}")?;
                    write!(f, "{region}")?;
                }
                RowWork::Product(product) => {
                    let way = if product.sums { "over" } else { "along" };
                    writeln!(f, "      {outs} = dot({args}) {way} rows")?;
                }
                RowWork::Matrix(product) => {
                    let (count, rows) = (product.count(), product.rows);
                    let [m, n] = [product.terms, product.columns];
                    write!(
                        f,
                        "      {outs} = dot({args}) of {count} x {rows} rows, [{m}, {n}]"
                    )?;
                    for (name, band) in product.triangles.bands() {
                        write!(f, ", {name}={band}")?;
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}
