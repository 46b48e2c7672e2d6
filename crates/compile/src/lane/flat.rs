//! Plans that compute with single numbers alone, as one list of instructions.

use cotangent_graph::{FastMap, TensorType};

use super::code::{Elem, LaneCode, Lanes, Prim, Writer};
use super::expand::number_bits;
use super::{LaneProgram, Tape, elem};
use crate::plan::{Operand, Place, Plan, StepOp};

impl LaneCode {
    /// The instructions of a plan whose steps are regions of one element and of one width, and copies:
    /// `Splat(i)` reads input `i` of the plan, `Store(i)` writes output `i`. `None` for all other plans.
    pub fn of_numbers(plan: &Plan) -> Option<LaneCode> {
        let lanes = plan.steps.iter().find_map(|step| match &step.op {
            StepOp::Region(region) => Some(region.lanes),
            StepOp::Tape(tape) => Some(tape.code.lanes),
            _ => None,
        })?;
        let mut flat = Flat {
            plan,
            lanes,
            w: Writer::new(lanes, false),
            known: FastMap::default(),
        };
        for step in &plan.steps {
            match (&step.op, &step.args[..], &step.outs[..]) {
                (StepOp::Region(region), args, outs) => flat.region(region, args, outs)?,
                (StepOp::Tape(tape), args, outs) => flat.tape(tape, args, outs)?,
                (StepOp::Copy, [from], [to]) => {
                    let value = flat.read(from)?;
                    flat.write(to, value)?;
                }
                _ => return None,
            }
        }
        // What is not read or written may be of any width.
        let elem = |ty: &TensorType| elem(ty.dtype, lanes).unwrap_or(Elem::Lane);
        let inputs = plan.inputs.iter().map(|(_, ty)| elem(ty)).collect();
        let outputs = plan.outputs.iter().map(elem).collect();
        let code = flat.w.finish(inputs, outputs);
        code.check().is_ok().then_some(code)
    }
}

struct Flat<'a> {
    plan: &'a Plan,
    lanes: Lanes,
    w: Writer,
    /// The values of the arena, by their numbers, and of outputs that are read again.
    known: FastMap<(bool, u32), u32>,
}

impl Flat<'_> {
    fn region(&mut self, region: &LaneProgram, args: &[Operand], outs: &[Operand]) -> Option<()> {
        let joined = region.outputs.iter().any(|o| !o.beside.is_empty());
        let chosen = region
            .inputs
            .iter()
            .any(|i| i.index.is_some() || i.pad.is_some());
        match region.elements() == 1 && !joined && !chosen {
            true => self.code(&region.code, args, outs),
            false => None,
        }
    }

    fn tape(&mut self, tape: &Tape, args: &[Operand], outs: &[Operand]) -> Option<()> {
        match args.iter().chain(outs).all(|o| o.elements() == 1) {
            true => self.code(&tape.code, args, outs),
            false => None,
        }
    }

    fn code(&mut self, code: &LaneCode, args: &[Operand], outs: &[Operand]) -> Option<()> {
        if code.lanes != self.lanes {
            return None;
        }
        let mut values: Vec<u32> = Vec::with_capacity(code.insts.len());
        for inst in &code.insts {
            let value = match inst.prim {
                Prim::Load(k) | Prim::Splat(k) | Prim::At(k, _) => {
                    self.read(args.get(k as usize)?)?
                }
                Prim::Store(k) | Prim::Put(k, _) => {
                    let value = *values.get(inst.args[0] as usize)?;
                    self.write(outs.get(k as usize)?, value)?;
                    value
                }
                prim => {
                    let mut operands = [0; 3];
                    for (to, a) in operands.iter_mut().zip(inst.operands()) {
                        *to = *values.get(*a as usize)?;
                    }
                    self.w.put(prim, &operands[..prim.arity()])
                }
            };
            values.push(value);
        }
        Some(())
    }

    fn read(&mut self, operand: &Operand) -> Option<u32> {
        if operand.elements() != 1 {
            return None;
        }
        match operand.place {
            Place::Input(i) => {
                elem(operand.ty.dtype, self.lanes)?;
                Some(self.w.put(Prim::Splat(i), &[]))
            }
            Place::Constant(i) => {
                let value = self.plan.constants.get(i as usize)?.at(0)?;
                Some(self.w.put(Prim::Const(number_bits(value, self.lanes)), &[]))
            }
            Place::Splat(value) => {
                elem(operand.ty.dtype, self.lanes)?;
                Some(self.w.put(Prim::Const(number_bits(value, self.lanes)), &[]))
            }
            Place::Arena { value, .. } => self.known.get(&(false, value)).copied(),
            Place::Output(i) => self.known.get(&(true, i)).copied(),
        }
    }

    fn write(&mut self, operand: &Operand, value: u32) -> Option<()> {
        if operand.elements() != 1 {
            return None;
        }
        match operand.place {
            Place::Arena { value: number, .. } => self.known.insert((false, number), value),
            Place::Output(i) => {
                elem(operand.ty.dtype, self.lanes)?;
                self.w.put(Prim::Store(i), &[value]);
                self.known.insert((true, i), value)
            }
            _ => return None,
        };
        Some(())
    }
}
