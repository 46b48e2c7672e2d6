//! Buffers that the stages which read them compute for themselves.
//!
//! To write a buffer and to read it again takes a few cycles for every vector, and what stands in a cache leaves less room
//! for other rows. What is had by a few sums and products from what is there anyway is computed by each stage that
//! reads it.

use super::{RowBlock, RowPlace, RowStage, RowWork};
use crate::lane::Source;

/// The most that all stages which read a buffer compute in its place, about in instructions.
const MOST: usize = 8;
/// The fewest elements of a row: for every input a row takes some time, too.
const SHORTEST: usize = 64;
/// The most arrays that a region reads and writes in the end.
const MOST_ARRAYS: usize = 16;

/// Lets stages compute cheap buffers, and takes away what nothing reads any more.
pub(super) fn compute(block: &mut RowBlock) {
    for k in 0..block.buffers.len() {
        if block.buffers[k].row < SHORTEST {
            continue;
        }
        for (s, stage) in with_recipe(block, k).unwrap_or_default() {
            block.stages[s] = stage;
        }
    }
    drop_unread(block);
}

/// The stages that read a buffer, changed so that they compute it.
fn with_recipe(block: &RowBlock, buffer: usize) -> Option<Vec<(usize, RowStage)>> {
    let place = RowPlace::Buffer(buffer as u32);
    let writes = |s: &RowStage| s.outs.iter().position(|out| *out == place);
    let (writer, out) = (block.stages.iter()).find_map(|s| Some((s, writes(s)?)))?;
    let RowWork::Region(from) = &writer.work else {
        return None;
    };
    let recipe = from.recipe(out, MOST)?;
    let readers = || (block.stages.iter().enumerate()).filter(|(_, s)| s.args.contains(&place));
    if recipe.cost * readers().count() > MOST {
        return None;
    }
    let changed = readers().map(|(s, stage)| {
        let RowWork::Region(to) = &stage.work else {
            return None;
        };
        let reads = |i: &usize| stage.args[*i] == place;
        let places: Vec<usize> = (0..stage.args.len()).filter(reads).collect();
        if !places.iter().all(|i| to.is_dense(*i)) {
            return None;
        }
        let value = from.outputs.get(out)?.value;
        let same = |own: usize, other: usize| stage.args[own] == writer.args[other];
        let (region, sources) = to.inlined(&places, (from, value, &recipe), same)?;
        let args = sources.iter().map(|source| match source {
            Source::Own(i) => stage.args[*i],
            Source::Other(j) => writer.args[*j],
        });
        let args: Vec<RowPlace> = args.collect();
        (args.len() + stage.outs.len() <= MOST_ARRAYS).then(|| {
            let (work, outs) = (RowWork::Region(region.into()), stage.outs.clone());
            (s, RowStage { work, args, outs })
        })
    });
    changed.collect()
}

/// Takes away buffers that nothing reads, and stages that write nothing else: from the last one, since what they
/// read may then be read by nothing, too.
fn drop_unread(block: &mut RowBlock) {
    for s in (0..block.stages.len()).rev() {
        let read = |place: &RowPlace| block.stages.iter().any(|s| s.args.contains(place));
        let unread = |place: &RowPlace| matches!(place, RowPlace::Buffer(_)) && !read(place);
        let stage = &block.stages[s];
        let gone = |k: &usize| unread(&stage.outs[*k]);
        let gone: Vec<usize> = (0..stage.outs.len()).filter(gone).collect();
        if gone.len() == stage.outs.len() {
            block.stages.remove(s);
            continue;
        }
        let RowWork::Region(region) = &stage.work else {
            continue;
        };
        if let (false, Some((region, left))) = (gone.is_empty(), region.without(&gone)) {
            let kept = (0..stage.outs.len()).filter(|k| !gone.contains(k));
            block.stages[s] = RowStage {
                outs: kept.map(|k| stage.outs[k]).collect(),
                args: left.iter().map(|i| stage.args[*i]).collect(),
                work: RowWork::Region(region.into()),
            };
        }
    }
    renumber(block);
}

/// Numbers the buffers that are left.
fn renumber(block: &mut RowBlock) {
    let mut left = Vec::with_capacity(block.buffers.len());
    let mut numbers = vec![0; block.buffers.len()];
    for (k, buffer) in block.buffers.iter().enumerate() {
        let place = RowPlace::Buffer(k as u32);
        if block
            .stages
            .iter()
            .any(|s| s.args.contains(&place) || s.outs.contains(&place))
        {
            numbers[k] = left.len() as u32;
            left.push(*buffer);
        }
    }
    for stage in &mut block.stages {
        for place in stage.args.iter_mut().chain(&mut stage.outs) {
            if let RowPlace::Buffer(k) = place {
                *k = numbers[*k as usize];
            }
        }
    }
    block.buffers = left;
}

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use crate::{Plan, RowBlock, StepOp, Target, compile};

    fn block(text: &str) -> (Plan, RowBlock) {
        let target = Target {
            fma: true,
            ..Target::plain()
        };
        let plan = compile(parse(text).unwrap().entry(), &target).unwrap();
        assert_eq!(plan.check(), Ok(()), "{plan}");
        let mut steps = plan.steps.iter();
        let block = steps.find_map(|s| match &s.op {
            StepOp::Rows(block) => Some((**block).clone()),
            _ => None,
        });
        let block = block.unwrap_or_else(|| panic!("{plan}"));
        (plan, block)
    }

    /// How many whole rows are kept in buffers.
    fn kept(block: &RowBlock) -> usize {
        block.buffers.iter().filter(|b| b.row > 1).count()
    }

    #[test]
    fn cheap_rows_are_computed_by_each_stage_that_reads_them() {
        let (plan, block) = block(
            "fn f(x: f32[512, 300], g: f32[300]) -> f32[512, 300] {
                let c = x - broadcast(sum(x, axes=[1]) * 0.01, shape=[512, 300], dims=[0]);
                let v = broadcast(sum(c * c, axes=[1]), shape=[512, 300], dims=[0]);
                let u = c * v + broadcast(g, shape=[512, 300], dims=[1]);
                let e = u - broadcast(max(u, axes=[1]), shape=[512, 300], dims=[0]);
                e * broadcast(sum(abs(e), axes=[1]), shape=[512, 300], dims=[0])
            }",
        );
        assert_eq!(kept(&block), 0, "{plan}");
    }

    #[test]
    fn what_takes_longer_is_kept() {
        let (plan, block) = block(
            "fn f(x: f64[512, 300]) -> f64[512, 300] {
                let e = exp(x);
                e / broadcast(sum(e, axes=[1]), shape=[512, 300], dims=[0])
            }",
        );
        assert_eq!(kept(&block), 1, "{plan}");
    }

    #[test]
    fn a_product_that_a_sum_would_be_rounded_with_is_kept() {
        let (plan, block) = block(
            "fn f(x: f64[512, 300], y: f64[512, 300]) -> f64[512, 300] {
                let p = x * y;
                p - broadcast(sum(p, axes=[1]), shape=[512, 300], dims=[0])
            }",
        );
        assert_eq!(kept(&block), 1, "{plan}");
    }

    #[test]
    fn a_buffer_takes_the_place_of_one_that_is_read_for_the_last_time() {
        let (plan, block) = block(
            "fn f(x: f64[512, 300]) -> f64[512, 300] {
                let e = exp(x);
                let s = sin(e - broadcast(max(e, axes=[1]), shape=[512, 300], dims=[0]));
                s / broadcast(sum(s, axes=[1]), shape=[512, 300], dims=[0])
            }",
        );
        let mut rows = block.buffers.iter().filter(|b| b.row > 1).map(|b| b.at);
        assert_eq!((rows.next(), rows.next()), (Some(0), Some(0)), "{plan}");
    }
}
