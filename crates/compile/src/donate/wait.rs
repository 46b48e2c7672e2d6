//! Updates that wait for the last readers of what they update, so that they can stand where that stood.

use crate::plan::{Operand, Place, Plan, Step};
use crate::{arena, budget};

/// Moves the steps that write outputs place by place where they read inputs of the same type behind the last
/// reader of these, so that more inputs that are given away are written over. Neither the bytes of the arena nor
/// any bit of a result may change for that: where what they read would wait at the wrong time, they stay.
pub(crate) fn wait(plan: &mut Plan, alignment: usize) {
    let moves = Moves::of(plan);
    if moves.0.is_empty() {
        return;
    }
    let moves = moves.within(&plan.steps);
    let Some(steps) = moves.applied(&plan.steps) else {
        return;
    };
    let mut other = Plan {
        steps,
        ..plan.clone()
    };
    if budget::place_in_order(&mut other, alignment).is_some()
        && other.arena <= plan.arena
        && taken_over(&other) > taken_over(plan)
    {
        *plan = other;
    }
}

/// The bytes of outputs that stand where inputs stood that are given away.
fn taken_over(plan: &Plan) -> usize {
    let taken = plan.taken_over().into_iter().zip(&plan.outputs);
    let bytes = taken.map(|(taken, ty)| taken.map_or(0, |_| ty.bytes()));
    bytes.fold(0, usize::saturating_add)
}

/// Steps, and the step behind which each is to run, in order of the former.
struct Moves(Vec<(usize, usize)>);

impl Moves {
    fn of(plan: &Plan) -> Moves {
        let steps = &plan.steps;
        // What a step changes in place is not what a later one would read.
        if steps.iter().any(|s| s.consumes().is_some()) {
            return Moves(Vec::new());
        }
        let last = plan.last_reads();
        let values = arena::values(steps);
        let mut read = vec![usize::MAX; values + plan.outputs.len()];
        let place = |o: &Operand| match o.place {
            Place::Arena { value, .. } => Some(value as usize),
            Place::Output(j) => Some(values + j as usize),
            _ => None,
        };
        for (s, step) in steps.iter().enumerate() {
            for at in step.args.iter().filter_map(place) {
                read[at] = read[at].min(s);
            }
        }
        let wait = |(s, step): (usize, &Step)| {
            // Outputs alone, since other results would wait with them.
            let outputs = |o: &Operand| matches!(o.place, Place::Output(_));
            if !step.outs.iter().all(outputs) || step.args.iter().any(outputs) {
                return None;
            }
            // Most steps are the last readers of all that they read, which is told at once.
            let inputs = step.args.iter().filter_map(|arg| match arg.place {
                Place::Input(i) => Some((i as usize, (*last.get(i as usize)?)?)),
                _ => None,
            });
            let updated = |i: usize| {
                let mut outs = 0..step.outs.len();
                outs.any(|k| super::in_place(step, i, k))
            };
            let later = inputs.filter(|(i, last)| *last > s && updated(*i));
            let behind = later.map(|(_, last)| last).max()?;
            let unread = |o: &Operand| place(o).is_none_or(|at| read[at] > behind);
            step.outs.iter().all(unread).then_some((s, behind))
        };
        let found: Vec<(usize, usize)> = steps.iter().enumerate().filter_map(wait).collect();
        let mut moved = vec![false; steps.len()];
        found.iter().for_each(|(s, _)| moved[*s] = true);
        // What is waited for stays where it is.
        let stays = found.into_iter().filter(|(_, behind)| !moved[*behind]);
        Moves(stays.collect())
    }

    /// Those during which no more lives than at the time when most lives anyway.
    fn within(self, steps: &[Step]) -> Moves {
        let values = arena::values(steps);
        // From where each value lives and to where, without and with the moves.
        let mut lives: Vec<Life> = vec![Life::default(); values];
        let mut live = Change::new(steps.len());
        let mut behind = vec![0; steps.len()];
        for (s, to) in &self.0 {
            behind[*s] = *to;
        }
        for (s, step) in steps.iter().enumerate() {
            for operand in step.args.iter().chain(&step.outs) {
                if let Place::Arena { value, .. } = operand.place {
                    let life = &mut lives[value as usize];
                    if life.bytes == 0 {
                        (life.first, life.bytes) = (s, operand.ty.bytes());
                    }
                    life.last = s;
                    life.moved = life.moved.max(s).max(behind[s]);
                }
            }
            live.add(s..s + 1, step.scratch.len());
        }
        for life in &lives {
            live.add(life.first..life.last + 1, life.bytes);
        }
        let before = live.sums();
        let most = before.iter().copied().max().unwrap_or(0);
        for life in &lives {
            live.add(life.last + 1..life.moved + 1, life.bytes);
        }
        // How many of the steps before each would hold too much.
        let mut over = vec![0; steps.len() + 1];
        for (s, bytes) in live.sums().into_iter().enumerate() {
            over[s + 1] = over[s] + usize::from(bytes > most);
        }
        let fits = |(s, to): &(usize, usize)| over[*s + 1] == over[*to + 1];
        Moves(self.0.into_iter().filter(fits).collect())
    }

    /// The steps in their new order; `None` where nothing moves.
    fn applied(&self, steps: &[Step]) -> Option<Vec<Step>> {
        self.0.first()?;
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
        let mut moved = vec![false; steps.len()];
        for (s, behind) in &self.0 {
            waiting.get_mut(*behind)?.push(*s);
            moved[*s] = true;
        }
        let mut order = Vec::with_capacity(steps.len());
        for s in (0..steps.len()).filter(|s| !moved[*s]) {
            let run = [s].into_iter().chain(waiting[s].iter().copied());
            order.extend(run.map(|s| steps[s].clone()));
        }
        Some(order)
    }
}

#[derive(Clone, Copy, Default)]
struct Life {
    first: usize,
    last: usize,
    moved: usize,
    bytes: usize,
}

/// Bytes that are added over ranges of steps.
struct Change(Vec<isize>);

impl Change {
    fn new(steps: usize) -> Change {
        Change(vec![0; steps + 1])
    }

    fn add(&mut self, range: std::ops::Range<usize>, bytes: usize) {
        // No array is larger than half of what can be addressed.
        let bytes = bytes as isize;
        if range.start < range.end && range.end < self.0.len() {
            self.0[range.start] = self.0[range.start].saturating_add(bytes);
            self.0[range.end] = self.0[range.end].saturating_sub(bytes);
        }
    }

    /// The bytes at each step.
    fn sums(&self) -> Vec<isize> {
        let mut sum = 0_isize;
        let steps = self.0.iter().take(self.0.len() - 1);
        steps
            .map(|change| {
                sum = sum.saturating_add(*change);
                sum
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use cotangent_graph::parse;

    use crate::compile::Module;
    use crate::{Options, Plan, Target, compile};

    /// The plan, and what it would be if no step waited.
    fn plans(text: &str) -> (Plan, Plan) {
        let module = parse(text).unwrap_or_else(|e| panic!("{}", e.render(text)));
        let (graph, target) = (module.entry(), Target::plain());
        let plan = compile(graph, &target).unwrap();
        assert_eq!(plan.check(), Ok(()), "{plan}");
        let module = Module::of(graph).unwrap();
        (plan, module.free(&target, &Options::default()).unwrap().0)
    }

    /// A step of training of two layers, whose memory is least if each update runs as soon as it can.
    const LAYERS: &str =
        "fn f(v: f32[300, 300], w: f32[300, 10], x: f32[90, 300], y: f32[90, 10])
                -> (f32[300, 300], f32[300, 10], f32) {
            let a = tanh(x @ v);
            let b = tanh(a @ w);
            let e = b - y;
            let eb = e * (1.0 - b * b);
            let ea = dot(eb, w, contract=([1], [1])) * (1.0 - a * a);
            (v - 0.1 * dot(x, ea, contract=([0], [0])), w - 0.1 * dot(a, eb, contract=([0], [0])), sum(e * e))
        }";

    #[test]
    fn updates_wait_for_the_last_readers_of_parameters() {
        let (plan, before) = plans(LAYERS);
        assert_eq!(plan.taken_over(), [Some(0), Some(1), None], "{plan}");
        assert_eq!(before.taken_over(), [Some(0), None, None], "{before}");
        assert!(
            plan.arena <= before.arena,
            "{} {}",
            plan.arena,
            before.arena
        );
        assert_eq!(plan.steps.len(), before.steps.len());
    }

    #[test]
    fn what_would_take_more_memory_stays() {
        // All parameters are read again at the end, until which all gradients would wait.
        let layers: String = (0..8)
            .map(|k| format!("let g{k} = x @ p{k}; let s{k} = sum(g{k} * g{k});"))
            .collect();
        let list = |of: &dyn Fn(usize) -> String| (0..8).map(of).collect::<Vec<_>>().join(", ");
        let text = format!(
            "fn f(x: f32[200, 200], {}) -> ({}, f32) {{ {layers} let all = {}; ({}, all) }}",
            list(&|k| format!("p{k}: f32[200, 200]")),
            list(&|_| "f32[200, 200]".to_owned()),
            (0..8)
                .map(|k| format!("sum(sin(p{k} * broadcast(s7, shape=[200, 200], dims=[])))"))
                .collect::<Vec<_>>()
                .join(" + "),
            list(&|k| format!("p{k} - 0.1 * g{k}")),
        );
        let (plan, before) = plans(&text);
        assert!(
            plan.arena <= before.arena,
            "{} {}",
            plan.arena,
            before.arena
        );
        let taken = |plan: &Plan| plan.taken_over().iter().flatten().count();
        assert!(taken(&plan) >= taken(&before));
        assert!(taken(&plan) < 8, "{plan}");
    }
}
