//! The plan: steps in order, with a place for every value.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use cotangent_array::{Array, DType, Scalar};
use cotangent_graph::ops::{ArrayOp, Native, Rule};
use cotangent_graph::{Location, Op, TensorType};
use smallvec::SmallVec;

use crate::Flow;
use crate::abreast;
use crate::budget::Unlimited;
use crate::lane::{LaneProgram, Tape};
use crate::picked::Picked;
use crate::planes::Planes;
use crate::rows::RowBlock;
use crate::triangles::Triangles;

/// A compiled function as plain data: what is computed, in which order, and where each value
/// stands.
///
/// A plan reads its inputs and constants, keeps what is between in one arena of [`Plan::arena`]
/// bytes, and writes its outputs straight to the caller's memory. [`Plan::check`] replays it.
/// Its text form (`Display`) is for reading and for tests.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name of the function.
    pub name: String,
    /// The inputs: name and type.
    pub inputs: Vec<(String, TensorType)>,
    /// The types of the outputs; output `i` is written once, by the step that has
    /// [`Place::Output`]`(i)` among its results.
    pub outputs: Vec<TensorType>,
    /// Values known at compile time.
    pub constants: Vec<Array>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// The bytes of the arena: the most that is held at one time, called plans included, inputs,
    /// constants and outputs apart.
    pub arena: usize,
    /// Operations of one run, called plans included, in units of one addition.
    pub cost: u64,
    /// Bytes read and written in one run, called plans included, if nothing stays in a cache.
    pub bytes: u64,
    /// The nanoseconds that one run is expected to take, called plans included.
    pub time: u64,
    /// What the plan would need if it computed nothing again, where it does for a memory budget.
    pub unlimited: Option<Unlimited>,
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub op: StepOp,
    /// What is read.
    pub args: SmallVec<[Operand; 2]>,
    /// What is written: one result, or as many as the operation or a called plan has.
    pub outs: SmallVec<[Operand; 1]>,
    /// Working memory in the arena, empty where none is needed. A called plan has its arena there.
    pub scratch: Range<usize>,
    /// Where the operation was written.
    pub location: Option<Location>,
    /// Whether an earlier step did the same, and this one does it again to save memory.
    pub again: bool,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepOp {
    /// An operation of the graph; never an input, a constant, a call or `get`.
    ///
    /// The operands of a pointwise operation have as many elements as the result, or one element,
    /// which then stands at every place.
    Op(Op),
    /// A convolution that reads its input from where it was before it was transposed or put together: its
    /// operands are the parts of the input, and the kernel.
    Planes(Op, Arc<Planes>),
    /// A `dot` that writes its result turned: behind the shared axes so many of the first operand's free axes,
    /// then those of the second operand, then the rest of the first's.
    Turned(Op, usize),
    /// A `dot` of numbers with rows that indices pick: its operands are the numbers, the array that has the
    /// rows, and the indices.
    Picked(Op, Arc<Picked>),
    /// A `dot` of which parts need not be multiplied. Elements of the result that nobody reads hold any numbers.
    Triangular(Op, Arc<Triangles>),
    /// Operations fused into one loop nest; results that are no reductions have an element for each
    /// place, and operands stand as the region's strides say.
    Region(Arc<LaneProgram>),
    /// Regions that go over the rows of the same arrays, some rows at a time.
    Rows(Arc<RowBlock>),
    /// Many operations on single numbers, one after another.
    Tape(Arc<Tape>),
    /// Running sums, running products and recurrences of one lane each, side by side: of each the operands,
    /// and a result. None reads what another one computes.
    Abreast(Arc<[ArrayOp]>),
    /// Copies its operand, or repeats it where it has one element.
    Copy,
    /// Runs another plan. Equal graphs share one.
    Call(Arc<Plan>),
    /// A branch or a loop over other plans.
    Flow(Flow),
    /// Calls a Rust closure on arrays, which are copied for it.
    Native(Native),
}

/// A value that a step reads or writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operand {
    /// Where it stands.
    pub place: Place,
    /// Its type. A reshaped value stands where the value stood before.
    pub ty: Arc<TensorType>,
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In an input.
    Input(u32),
    /// In a constant.
    Constant(u32),
    /// In the memory of an output.
    Output(u32),
    /// Nowhere: one number that is the same everywhere.
    Splat(Scalar),
    /// In the arena.
    Arena {
        /// The number of the value, unique in the plan, so that a checker can tell a value from
        /// another one that stood at its place before.
        value: u32,
        /// The offset in bytes from the start of the arena.
        offset: usize,
    },
}

/// Which value a place holds, wherever that lies: the kind of place and the number there.
pub(crate) type Key = (u8, u32);

/// The key of the value at a place; `None` for a number that stands nowhere.
pub(crate) fn key(place: Place) -> Option<Key> {
    match place {
        Place::Arena { value, .. } => Some((0, value)),
        Place::Output(i) => Some((1, i)),
        Place::Input(i) => Some((2, i)),
        Place::Constant(i) => Some((3, i)),
        Place::Splat(_) => None,
    }
}

impl Operand {
    /// The bytes of arena that the value takes, if it stands there.
    pub fn range(&self) -> Option<Range<usize>> {
        match self.place {
            Place::Arena { offset, .. } => Some(offset..offset.saturating_add(self.ty.bytes())),
            _ => None,
        }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.ty.shape.elements()
    }
}

impl StepOp {
    /// The name of what is done.
    pub fn name(&self) -> &str {
        match self {
            StepOp::Op(op)
            | StepOp::Planes(op, _)
            | StepOp::Turned(op, _)
            | StepOp::Picked(op, _)
            | StepOp::Triangular(op, _) => op.name(),
            StepOp::Region(_) => "region",
            StepOp::Rows(_) => "rows",
            StepOp::Tape(_) => "tape",
            StepOp::Abreast(_) => "abreast",
            StepOp::Copy => "copy",
            StepOp::Call(plan) => &plan.name,
            StepOp::Flow(flow) => flow.name(),
            StepOp::Native(_) => "native",
        }
    }

    /// The plans that the step runs.
    pub fn callees(&self) -> Vec<&Arc<Plan>> {
        match self {
            StepOp::Call(plan) => vec![plan],
            StepOp::Flow(flow) => flow.plans().into_iter().map(|(_, p)| p).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether any result may take over the memory of an operand.
    pub(crate) fn may_overwrite_any(&self) -> bool {
        match self {
            StepOp::Region(region) => region.elements() > 1,
            StepOp::Rows(_) => true,
            _ => self.is_pointwise(),
        }
    }

    /// Whether a result may take over the memory of an operand that the step is the last to read.
    pub(crate) fn may_overwrite(&self, arg: usize, out: usize) -> bool {
        match self {
            StepOp::Region(region) => region.may_overwrite(arg, out),
            StepOp::Rows(block) => block.may_overwrite(arg, out),
            StepOp::Tape(_) => false,
            _ => out == 0 && self.is_pointwise(),
        }
    }

    /// Whether each element of the result depends only on the operands' elements at its place.
    pub fn is_pointwise(&self) -> bool {
        matches!(self, StepOp::Op(op) if op.is_pointwise())
    }
}

impl Step {
    /// The types of the operands as the operation takes them: of a convolution's input where it stands in
    /// planes, the type of the whole; of picked rows that of the rows.
    pub fn types(&self) -> SmallVec<[&TensorType; 3]> {
        let mut args = self.args.iter().map(|a| &*a.ty);
        match &self.op {
            StepOp::Planes(_, planes) => std::iter::once(&planes.input)
                .chain(args.next_back())
                .collect(),
            StepOp::Picked(_, picked) => args.next().into_iter().chain([&picked.rows]).collect(),
            _ => args.collect(),
        }
    }

    /// Operations of one run, in units of one addition.
    pub fn cost(&self) -> u64 {
        match &self.op {
            StepOp::Copy | StepOp::Native(_) => 0,
            StepOp::Region(region) => region.cost(),
            StepOp::Rows(block) => block.cost(),
            StepOp::Tape(tape) => tape.cost,
            StepOp::Call(plan) => plan.cost,
            StepOp::Flow(flow) => flow.total(|plan| plan.cost),
            StepOp::Abreast(ops) => abreast::cost(ops, self),
            StepOp::Triangular(Op::Array(ArrayOp::Dot(dot)), triangles) => {
                let ([x, y], [out]) = (&self.args[..], &self.outs[..]) else {
                    return 0;
                };
                let types = [&*x.ty, &*y.ty];
                let all = dot.cost(&types, &out.ty);
                let sizes = triangles.sizes(dot, types);
                sizes.map_or(all, |sizes| triangles.cost(all, sizes))
            }
            StepOp::Op(op)
            | StepOp::Planes(op, _)
            | StepOp::Turned(op, _)
            | StepOp::Picked(op, _)
            | StepOp::Triangular(op, _) => {
                let Some(out) = self.outs.first() else {
                    return 0;
                };
                let types: SmallVec<[cotangent_graph::Type; 2]> = self
                    .types()
                    .into_iter()
                    .map(|ty| ty.clone().into())
                    .collect();
                let types: SmallVec<[&cotangent_graph::Type; 2]> = types.iter().collect();
                op.cost(&types, &(*out.ty).clone().into())
            }
        }
    }

    /// The nanoseconds that one run is expected to take: what arithmetic takes or what memory takes,
    /// whichever is more.
    pub fn time(&self) -> u64 {
        let below = match &self.op {
            StepOp::Call(plan) => plan.time,
            StepOp::Flow(flow) => flow.total(|plan| plan.time),
            StepOp::Tape(tape) => tape.code.insts.len() as u64 / NUMBERS,
            _ => (self.cost() / self.rate()).max(self.bytes() / BYTES),
        };
        below.saturating_add(STEP)
    }

    /// Operations that one core does in a nanosecond, about.
    fn rate(&self) -> u64 {
        let (StepOp::Op(op) | StepOp::Planes(op, _), Some(out)) = (&self.op, self.outs.first())
        else {
            return OPERATIONS;
        };
        let (Op::Array(ArrayOp::Conv(_)), [_, channels, places @ ..]) = (op, out.ty.shape.dims())
        else {
            return OPERATIONS;
        };
        let places = places.iter().fold(1_usize, |all, n| all.saturating_mul(*n));
        // With few places, as the derivative by the kernel has, only channels go side by side.
        let rate = match places < FEW_PLACES {
            true => (*channels as u64).clamp(4, CONVOLVED),
            false => CONVOLVED,
        };
        match out.ty.dtype {
            DType::F64 => rate / 2,
            _ => rate,
        }
    }

    /// The operand that is no longer what it was when the step has run.
    pub fn consumes(&self) -> Option<&Operand> {
        match &self.op {
            StepOp::Flow(Flow::Back(_)) => self.args.last(),
            _ => None,
        }
    }

    /// Bytes read and written in one run, if nothing stays in a cache.
    pub fn bytes(&self) -> u64 {
        let own = |o: &Operand| match o.place {
            Place::Splat(_) => 0,
            _ => o.ty.bytes() as u64,
        };
        let io = self
            .args
            .iter()
            .chain(&self.outs)
            .fold(0, |sum: u64, o| sum.saturating_add(own(o)));
        match &self.op {
            StepOp::Call(plan) => plan.bytes,
            StepOp::Flow(flow) => flow.total(|plan| plan.bytes),
            StepOp::Tape(tape) => tape.bytes(),
            _ => io,
        }
    }
}

/// Operations that one core does in a nanosecond, about.
const OPERATIONS: u64 = 24;
/// Operations of a convolution that one core does in a nanosecond, about, in numbers of 32 bits.
const CONVOLVED: u64 = 96;
/// Fewer places than this are few for a convolution.
const FEW_PLACES: usize = 64;
/// Instructions on single numbers that one core does in a nanosecond, about.
const NUMBERS: u64 = 4;
/// Bytes that one core moves in a nanosecond, about.
const BYTES: u64 = 12;
/// The nanoseconds that a step takes however little it does.
const STEP: u64 = 15;

impl Plan {
    /// The bytes that a run holds: arena, inputs, constants and outputs.
    pub fn memory(&self) -> usize {
        self.held().saturating_add(self.arena)
    }

    /// The bytes of inputs, constants and outputs.
    pub fn held(&self) -> usize {
        let inputs = self.inputs.iter().map(|(_, ty)| ty.bytes());
        let constants = self.constants.iter().map(Array::bytes_len);
        let outputs = self.outputs.iter().map(TensorType::bytes);
        inputs
            .chain(constants)
            .chain(outputs)
            .fold(0, usize::saturating_add)
    }

    /// Sums cost, bytes and time of the steps.
    pub(crate) fn total(&mut self) {
        let sum = |of: fn(&Step) -> u64| {
            let all = self.steps.iter().map(of);
            all.fold(0, u64::saturating_add)
        };
        (self.cost, self.bytes, self.time) = (sum(Step::cost), sum(Step::bytes), sum(Step::time));
    }

    /// The plans that this one calls, directly or not: each once, a plan after those it calls.
    pub fn callees(&self) -> Vec<Arc<Plan>> {
        let calls = |plan: &Plan| -> Vec<Arc<Plan>> {
            plan.steps
                .iter()
                .flat_map(|s| s.op.callees().into_iter().cloned())
                .collect()
        };
        let mut found: HashSet<*const Plan> = HashSet::new();
        let mut order = Vec::new();
        let mut work: Vec<(Arc<Plan>, bool)> = Vec::new();
        work.extend(calls(self).into_iter().rev().map(|p| (p, false)));
        while let Some((plan, expanded)) = work.pop() {
            if expanded {
                order.push(plan);
            } else if found.insert(Arc::as_ptr(&plan)) {
                let next = calls(&plan);
                work.push((plan, true));
                work.extend(next.into_iter().rev().map(|p| (p, false)));
            }
        }
        order
    }
}
