//! Which results are finite because their operands are.

use super::Builder;
use crate::graph::Graph;
use crate::ops::Region;
use crate::{Op, Var};

impl Builder {
    /// For the results of calls, branches and loops: whether each is finite because the bodies keep
    /// finite values finite. `None` for other operations.
    pub(super) fn finite_parts(&self, op: &Op, args: &[Var]) -> Option<Vec<bool>> {
        let (bodies, carry): (Vec<&Graph>, usize) = match op {
            Op::Call(callee) => (vec![&callee.0], 0),
            Op::Region(Region::Cond(c)) => (vec![&c.then.0, &c.otherwise.0], 0),
            Op::Region(Region::Scan(s)) => (vec![&s.body.0], s.carry),
            Op::Region(Region::While(w)) => (vec![&w.body.0], w.carry),
            Op::Region(Region::Custom(c)) => (vec![&c.call.0], 0),
            _ => return None,
        };
        let operands = args.iter().all(|a| self.is_finite(*a));
        let kept = |i: usize| bodies.iter().all(|g| g.finite.get(i) == Some(&true));
        // What one step makes infinite the next one may spread to every carried value.
        let steady = (0..carry).all(kept);
        let count = bodies.first().map_or(0, |g| g.outputs.len());
        Some((0..count).map(|i| operands && steady && kept(i)).collect())
    }

    pub(super) fn is_finite_part(&self, op: &Op, args: &[Var]) -> bool {
        match (op, args) {
            (Op::Get(i), [tuple]) => {
                let parts = self.parts.get(tuple);
                parts
                    .and_then(|p| p.get(*i))
                    .copied()
                    .unwrap_or(self.is_finite(*tuple))
            }
            _ => false,
        }
    }
}
