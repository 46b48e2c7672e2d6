//! The arena over the steps of a plan.

use std::collections::BTreeMap;

use cotangent_compile::{Operand, Place, Plan, Step, StepOp};

use crate::model::{Block, CurvePoint, Memory, PlanStep};

/// A value that is read again after more than this share of all steps is kept, not passed on.
const SHORT: usize = 20;

/// What stands where in the arena, from step to step.
pub fn memory(plan: &Plan, budget: Option<u64>, curve: &[cotangent_compile::Point]) -> Memory {
    let mut blocks: BTreeMap<u32, Block> = BTreeMap::new();
    let mut scratch = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        for (operand, written) in operands(step) {
            let Place::Arena { value, offset } = operand.place else {
                continue;
            };
            let block = blocks.entry(value).or_insert_with(|| Block {
                name: format!("v{value}"),
                ty: operand.ty.to_string(),
                offset: offset as u64,
                bytes: operand.ty.bytes() as u64,
                from: i,
                to: i,
                kind: String::new(),
            });
            if written {
                block.kind = kind_of_result(step).to_owned();
            }
            block.to = i;
        }
        if !step.scratch.is_empty() {
            scratch.push(Block {
                name: format!("working memory of {}", step.op.name()),
                ty: String::new(),
                offset: step.scratch.start as u64,
                bytes: step.scratch.len() as u64,
                from: i,
                to: i,
                kind: "scratch".to_owned(),
            });
        }
    }
    let long = (plan.steps.len() / SHORT).max(2);
    let fastest = curve.first().map_or(1, |p| p.time.max(1));
    let named = blocks.into_values().map(|mut block| {
        if block.kind.is_empty() {
            let kept = block.to - block.from > long;
            block.kind = if kept { "kept" } else { "short" }.to_owned();
        }
        block
    });
    Memory {
        arena: plan.arena as u64,
        total: plan.memory() as u64,
        budget,
        steps: plan
            .steps
            .iter()
            .map(|s| PlanStep {
                label: label(s),
                again: s.again,
            })
            .collect(),
        blocks: named.filter(|b| b.bytes > 0).chain(scratch).collect(),
        curve: (curve.iter())
            .map(|p| CurvePoint {
                bytes: p.memory as u64,
                time: p.time as f64 / fastest as f64,
            })
            .collect(),
    }
}

fn operands(step: &Step) -> impl Iterator<Item = (&Operand, bool)> {
    let reads = step.args.iter().map(|o| (o, false));
    reads.chain(step.outs.iter().map(|o| (o, true)))
}

/// Empty where the lifetime says what it is.
fn kind_of_result(step: &Step) -> &'static str {
    match &step.op {
        _ if step.again => "again",
        StepOp::Flow(_) => "state",
        _ => "",
    }
}

/// What a step does, in a few words: `dot -> f64[3, 3]`.
pub(crate) fn label(step: &Step) -> String {
    let types: Vec<String> = step.outs.iter().map(|o| o.ty.to_string()).collect();
    let types = match &types[..] {
        [first, second, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second} and {} more", rest.len())
        }
        types => types.join(", "),
    };
    format!("{} \u{2192} {types}", step.op.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cotangent_compile::{Options, Target, compile_with};

    #[test]
    fn blocks_are_inside_of_the_arena_and_apart() {
        let text = "fn f(x: f64[64, 64]) -> f64[64, 64] {
            let a = x @ x;
            let b = a @ a;
            let c = b @ b;
            let d = c @ c;
            let e = sin(d @ d);
            a @ sin(b @ sin(c @ sin(d @ e)))
        }";
        let graph = cotangent_graph::parse(text).unwrap().entry().clone();
        let free = compile_with(&graph, &Target::plain(), &Options::default()).unwrap();
        let options = Options {
            memory_budget: Some(free.memory() * 8 / 10),
            ..Options::default()
        };
        let plan = compile_with(&graph, &Target::plain(), &options).unwrap();
        for plan in [free, plan] {
            let memory = memory(&plan, None, &[]);
            let again = plan.steps.iter().filter(|s| s.again).count();
            assert_eq!(
                memory.blocks.iter().filter(|b| b.kind == "again").count(),
                again
            );
            let end = |b: &Block| b.offset + b.bytes;
            assert!(memory.blocks.iter().all(|b| end(b) <= memory.arena));
            for (i, a) in memory.blocks.iter().enumerate() {
                for b in &memory.blocks[..i] {
                    // A result may take over the place of an operand in the step that reads it last.
                    let together = a.from.max(b.from) < a.to.min(b.to);
                    let over = a.offset.max(b.offset) < end(a).min(end(b));
                    assert!(!(together && over), "{a:?} {b:?}");
                }
            }
        }
    }
}
