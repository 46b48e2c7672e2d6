//! The text form of a plan.

use std::fmt;

use cotangent_graph::{Op, TensorType};

use crate::Flow;
use crate::check::splat_of;
use crate::plan::{Operand, Place, Plan, Step, StepOp};

/// Called plans first, then this one: a head with totals, then one step a line with its results
/// (`value: type @offset+bytes`, or `outN` in the caller's memory), what is done to which operands,
/// and what it costs (operations in units of one addition, bytes read and written).
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for callee in self.callees() {
            one(&callee, f)?;
            f.write_str("\n")?;
        }
        one(self, f)
    }
}

fn one(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "plan {}(", plan.name)?;
    for (i, (name, ty)) in plan.inputs.iter().enumerate() {
        write!(f, "{}{name}: {ty}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str(") -> (")?;
    for (i, ty) in plan.outputs.iter().enumerate() {
        write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
    }
    writeln!(f, ") {{")?;
    writeln!(
        f,
        "    // {}, {} operations, {} bytes moved, arena {} bytes",
        count(plan.steps.len(), "step"),
        plan.cost,
        plan.bytes,
        plan.arena
    )?;
    let again = plan.steps.iter().filter(|s| s.again).count();
    if again > 0 && plan.unlimited.is_none() {
        let steps = count(again, "step");
        writeln!(f, "    // {steps} run again for checkpoints")?;
    }
    if let Some(unlimited) = plan.unlimited {
        writeln!(
            f,
            "    // {} run again for a memory budget: arena {} bytes instead of {}, expected time {:+.1} %",
            count(again, "step"),
            plan.arena,
            unlimited.arena,
            100.0 * (plan.time as f64 / unlimited.time.max(1) as f64 - 1.0)
        )?;
    }
    for (i, constant) in plan.constants.iter().enumerate() {
        let ty = TensorType::new(constant.dtype(), constant.shape());
        writeln!(
            f,
            "    c{i}: {ty} = constant, {} bytes",
            constant.bytes_len()
        )?;
    }
    for step in &plan.steps {
        line(plan, step, f)?;
    }
    writeln!(f, "}}")
}

fn line(plan: &Plan, step: &Step, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("    ")?;
    for (i, out) in step.outs.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { ", " })?;
        name(plan, out, f)?;
        write!(f, ": {}", out.ty)?;
        if let Some(range) = out.range() {
            write!(f, " @{}+{}", range.start, range.len())?;
        }
    }
    write!(f, " = {}(", step.op.name())?;
    let mut first = true;
    let mut comma = |f: &mut fmt::Formatter<'_>| {
        let text = if first { "" } else { ", " };
        first = false;
        f.write_str(text)
    };
    for arg in &step.args {
        comma(f)?;
        name(plan, arg, f)?;
    }
    match &step.op {
        StepOp::Op(Op::Indexed(_, n)) => {
            comma(f)?;
            write!(f, "n={n}")?;
        }
        StepOp::Op(Op::Special(op, orders)) => {
            for (key, value) in op.attributes(*orders) {
                comma(f)?;
                write!(f, "{key}={value}")?;
            }
        }
        StepOp::Op(Op::Convert(dtype)) => {
            comma(f)?;
            write!(f, "dtype={dtype}")?;
        }
        StepOp::Op(Op::Array(op))
        | StepOp::Planes(Op::Array(op), _)
        | StepOp::Turned(Op::Array(op), _)
        | StepOp::Picked(Op::Array(op), _)
        | StepOp::Triangular(Op::Array(op), _) => {
            for (key, value) in op.attributes(&step.types()) {
                comma(f)?;
                write!(f, "{key}={value}")?;
            }
            if let StepOp::Planes(_, planes) = &step.op {
                let steps: Vec<[usize; 3]> = planes.parts.iter().map(|p| p.steps).collect();
                comma(f)?;
                write!(f, "planes={steps:?}")?;
            }
            if let StepOp::Turned(_, front) = &step.op {
                comma(f)?;
                write!(f, "turned={front}")?;
            }
            if let StepOp::Picked(_, picked) = &step.op {
                comma(f)?;
                write!(f, "picked={}", picked.rows)?;
            }
            if let StepOp::Triangular(_, triangles) = &step.op {
                for (key, band) in triangles.bands() {
                    comma(f)?;
                    write!(f, "{key}={band}")?;
                }
            }
        }
        StepOp::Native(native) => {
            for (key, value) in native.attributes() {
                comma(f)?;
                write!(f, "{key}={value}")?;
            }
        }
        StepOp::Op(Op::Linalg(op)) => {
            let types: Vec<&TensorType> = step.args.iter().map(|a| &*a.ty).collect();
            for (key, value) in op.attributes(&types) {
                comma(f)?;
                write!(f, "{key}={value}")?;
            }
        }
        StepOp::Flow(flow) => {
            for (key, plan) in flow.plans() {
                comma(f)?;
                write!(f, "{key}={}", plan.name)?;
            }
            if let Flow::Scan {
                carry,
                scanned,
                length,
                reverse,
                ..
            } = flow
            {
                write!(f, ", carry={carry}, scanned={scanned}, length={length}")?;
                f.write_str(if *reverse { ", reverse=true" } else { "" })?;
            }
            if let Flow::Sweeps {
                checkpoints: Some(count),
                ..
            } = flow
            {
                write!(f, ", checkpoints={count}")?;
            }
            if let Flow::Forward(reversal) | Flow::Back(reversal) = flow {
                write!(
                    f,
                    ", length={}, kept={}, checkpoints={}",
                    reversal.length, reversal.kept, reversal.slots
                )?;
                f.write_str(if reversal.reverse {
                    ", reverse=true"
                } else {
                    ""
                })?;
            }
        }
        _ => {}
    }
    f.write_str(")")?;
    if let StepOp::Tape(tape) = &step.op {
        write!(f, " of {} instructions", tape.code.insts.len())?;
    }
    if let StepOp::Abreast(ops) = &step.op {
        for (i, op) in ops.iter().enumerate() {
            f.write_str(if i == 0 { " of " } else { ", " })?;
            let own = op.attributes(&[]).into_iter();
            let own: Vec<String> = own.map(|(key, value)| format!("{key}={value}")).collect();
            write!(f, "{}({})", op.name(), own.join(", "))?;
        }
    }
    if let StepOp::Rows(block) = &step.op {
        write!(f, " of {} rows, {} at a time", block.rows, block.together)?;
    }
    if let StepOp::Region(region) = &step.op {
        write!(f, " over {:?}", &region.dims[..])?;
        for (arg, input) in step.args.iter().zip(&region.inputs) {
            let part =
                arg.elements() != region.elements() || input.start > 0 || input.index.is_some();
            if arg.elements() > 1 && part {
                f.write_str(", ")?;
                name(plan, arg, f)?;
                write!(f, " by {:?}", &input.strides[..])?;
                if input.start > 0 {
                    write!(f, " from {}", input.start)?;
                }
                let index = input
                    .index
                    .and_then(|i| Some((i, step.args.get(i.input as usize)?)));
                if let Some((index, arg)) = index {
                    f.write_str(" at ")?;
                    name(plan, arg, f)?;
                    write!(f, " by {}", index.step)?;
                }
            }
        }
    }
    if !step.scratch.is_empty() {
        write!(f, " scratch @{}+{}", step.scratch.start, step.scratch.len())?;
    }
    let again = if step.again { ", again" } else { "" };
    writeln!(
        f,
        "  // {} operations, {} bytes{again}",
        step.cost(),
        step.bytes()
    )?;
    match &step.op {
        StepOp::Region(region) => write!(f, "{region}"),
        StepOp::Rows(block) => write!(f, "{block}"),
        _ => Ok(()),
    }
}

fn name(plan: &Plan, operand: &Operand, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(value) = splat_of(operand) {
        return write!(f, "{value}");
    }
    match operand.place {
        Place::Input(i) => match plan.inputs.get(i as usize) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "in{i}"),
        },
        Place::Constant(i) => write!(f, "c{i}"),
        Place::Output(i) => write!(f, "out{i}"),
        Place::Arena { value, .. } => write!(f, "v{value}"),
        Place::Splat(value) => write!(f, "{value}"),
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
