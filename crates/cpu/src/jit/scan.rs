//! Machine code for a loop over steps whose values all are numbers: what it carries stays in
//! registers.
//!
//! A step is straight-line code on single elements, each spread over all lanes of its register.
//! Slices are read and results written behind the loop's index, which counts up or down; what every
//! step reads alike stands on the stack.

use cotangent_compile::lane::{Elem, Inst, LaneCode, Prim};

use super::asm::{RAX, RSP, Rm, Style, Width};
use super::body::{Access, Body, Seat};
use super::cold;
use super::emit::{Emitted, MAX_INSTS, Start};
use super::forms::{LOAD, single};
use super::moves;

/// What the operands and results of a step are to the loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Steps {
    /// How many operands, the first ones, are carried; as many results, the first ones, are carried
    /// on, and the others are written step by step.
    pub(crate) carry: usize,
    /// How many operands after those are read slice by slice; the rest stays.
    pub(crate) scanned: usize,
    /// Whether the last slice comes first.
    pub(crate) reverse: bool,
}

/// Single numbers gain nothing from more lanes.
pub(super) const WIDTH: Width = Width::Narrow;

pub(super) const fn style(flush: bool) -> Style {
    Style {
        width: WIDTH,
        flush,
    }
}

/// The most carried values in registers; as many again are left for a step to work with.
const MAX_SEATS: u8 = 8;

/// Machine code for a loop over a step that is given as instructions on single elements: a function of
/// a table of addresses (rdi) of all operands and results, the number of steps (rsi), which is not
/// 0, and the pool (rdx). `None` for very long steps.
pub(super) fn emit(code: &LaneCode, steps: Steps, flush: bool) -> Option<Emitted> {
    if code.insts.len() > MAX_INSTS {
        return None;
    }
    let (code, next) = step(code, steps);
    let code = &code;
    let next: Vec<u32> = next.into_iter().collect::<Option<_>>()?;
    // The instruction that reads what is carried.
    let mut held = vec![None; steps.carry];
    for (i, inst) in code.insts.iter().enumerate() {
        if let Prim::Splat(k) = inst.prim
            && let Some(held) = held.get_mut(k as usize)
        {
            *held = Some(i as u32);
        }
    }
    let mut start = Start::new(code, style(flush));
    for (i, inst) in code.insts.iter().enumerate() {
        if let Prim::Splat(k) = inst.prim
            && k as usize >= steps.carry
        {
            start.spread(code, i, k as usize);
        }
    }
    let mut seats = Vec::with_capacity(steps.carry);
    let mut registers = 0..MAX_SEATS;
    for (k, held) in held.iter().enumerate() {
        let seat = match (held, registers.next()) {
            (Some(_), Some(r)) => Seat::Register(r),
            (Some(value), None) => {
                let at = start.spread(code, *value as usize, k);
                Seat::Slots(at, start.slot())
            }
            (None, _) => Seat::Slots(start.slot(), start.slot()),
        };
        seats.push((next[k], seat));
    }
    for (k, (_, seat)) in seats.iter().enumerate() {
        if let Seat::Register(r) = seat {
            start.spread_to(code, *r, k);
        }
    }
    start.streams(code, &[]);
    let frame = start.calls(code);
    let Start {
        mut asm,
        hole,
        pool,
        homes,
        slots,
        addresses,
    } = start;
    asm.first_step(steps.reverse);
    let top = asm.bytes.len();
    let mut body = Body::new(
        code,
        &homes,
        &addresses,
        slots,
        (WIDTH, 1),
        Access::Single,
        &next,
    );
    for (held, (_, seat)) in held.iter().zip(&seats) {
        if let (Some(value), Seat::Register(r)) = (held, seat) {
            body.hold(*value, *r);
        }
    }
    body.run(&mut asm);
    body.settle(&mut asm, &seats);
    asm.next_step(steps.reverse, top);
    for (k, (_, seat)) in seats.iter().enumerate() {
        let r = match seat {
            Seat::Register(r) => *r,
            Seat::Slots(at, _) => {
                asm.vector(LOAD, MAX_SEATS, 0, Rm::Base(RSP, *at));
                MAX_SEATS
            }
        };
        asm.load_address(RAX, code.inputs.len() + k);
        match code.outputs[k] {
            Elem::Lane => asm.vector(single(code.lanes), r, 0, Rm::Base(RAX, 0)),
            Elem::Byte => moves::single_bool(&mut asm, [r, r], Rm::Base(RAX, 0)),
        }
    }
    asm.leave();
    cold::finish(
        &mut asm,
        code.lanes,
        &body.sites,
        frame.slots,
        frame.function,
    );
    // One slot more than is used, since aligning the stack takes nearly as much.
    asm.fill(hole, WIDTH.bytes() as i32 * (body.slots + 1));
    Some(Emitted {
        code: asm.bytes,
        pool,
    })
}

/// The instructions of one step, with operands that are read slice by slice as streams and without
/// the writing of what is carried on; the values of that.
fn step(code: &LaneCode, steps: Steps) -> (LaneCode, Vec<Option<u32>>) {
    let mut next = vec![None; steps.carry];
    let slices = steps.carry..steps.carry + steps.scanned;
    let mut insts: Vec<Inst> = Vec::with_capacity(code.insts.len());
    let mut numbers = vec![0; code.insts.len()];
    for (i, inst) in code.insts.iter().enumerate() {
        let mut args = [0; 3];
        for (to, a) in args.iter_mut().zip(inst.operands()) {
            *to = numbers[*a as usize];
        }
        let prim = match inst.prim {
            Prim::Splat(k) if slices.contains(&(k as usize)) => Prim::Load(k),
            Prim::Store(k) if (k as usize) < steps.carry => {
                next[k as usize] = Some(args[0]);
                continue;
            }
            prim => prim,
        };
        numbers[i] = insts.len() as u32;
        insts.push(Inst { prim, args });
    }
    let code = LaneCode {
        insts,
        ..code.clone()
    };
    (code, next)
}
