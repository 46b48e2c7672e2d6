//! Memory against time, for a range of budgets.

use cotangent_graph::Graph;

use super::Options;
use crate::compile::Module;
use crate::{CompileError, Target};

/// One budget and what it costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// The bytes that a run holds: arena, inputs, constants and outputs.
    pub memory: usize,
    /// The nanoseconds that a run is expected to take.
    pub time: u64,
    /// How many steps run again, called plans apart.
    pub again: usize,
}

/// Memory and expected time from a plan that keeps everything down to the smallest that is found,
/// over about `points` budgets in equal steps. The first point is the plan without a budget.
///
/// # Errors
/// Those of [`compile`](crate::compile). That a budget is too small ends the curve.
pub fn curve(
    graph: &Graph,
    target: &Target,
    points: usize,
    options: &Options,
) -> Result<Vec<Point>, CompileError> {
    // The passes run once; only what depends on a budget is done for every point.
    let module = Module::of(graph)?;
    let plans = module.free(target, options)?;
    let free = &plans.0;
    let mut curve = vec![Point {
        memory: free.memory(),
        time: free.time,
        again: 0,
    }];
    let within = |memory_budget: usize| {
        let options = Options {
            memory_budget: Some(memory_budget),
            ..*options
        };
        let plan = module.within(plans.clone(), target, &options)?;
        let again = plan.steps.iter().filter(|s| s.again).count();
        Ok(Point {
            memory: plan.memory(),
            time: plan.time,
            again,
        })
    };
    let mut add = |point: Point| {
        // What is smaller and no slower than an earlier point replaces it.
        while curve.len() > 1
            && curve
                .last()
                .is_some_and(|last| last.memory >= point.memory && last.time >= point.time)
        {
            curve.pop();
        }
        if curve.last().is_some_and(|last| last.memory > point.memory) {
            curve.push(point);
        }
    };
    // The error of a budget that cannot be met names the smallest that can.
    let smallest = match within(free.held()) {
        Ok(point) => point.memory,
        Err(CompileError::Budget { reached, .. }) => reached,
        Err(error) => return Err(error),
    };
    let points = points.max(2);
    let span = free.memory().saturating_sub(smallest);
    for i in 1..points {
        let budget = free.memory() - span / (points - 1) * i;
        let budget = if i + 1 == points { smallest } else { budget };
        match within(budget) {
            Ok(point) => add(point),
            Err(CompileError::Budget { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(curve)
}
