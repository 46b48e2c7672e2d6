//! The checkpoints around equations, as the text has them in front of their lines.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use crate::{Checkpoint, FastHasher, Graph};

/// The numbers that the checkpoints of one function have in the text: 0, 1, ... as they come, so that
/// what is read prints as it was.
#[derive(Debug, Default)]
pub(super) struct Labels {
    numbers: HashMap<u64, usize>,
    known: HashMap<Checkpoint, String>,
}

impl Labels {
    /// What stands in front of an equation in these checkpoints.
    pub(super) fn text(&mut self, around: Checkpoint) -> &str {
        if around == Checkpoint::NONE {
            return "";
        }
        let numbers = &mut self.numbers;
        self.known.entry(around).or_insert_with(|| {
            let path = around.path();
            let mut ids = Vec::with_capacity(path.len());
            for part in &path {
                let next = numbers.len();
                ids.push(numbers.entry(part.id).or_insert(next).to_string());
            }
            let ids = ids.join(", ");
            if path.iter().all(|part| part.way == 0) {
                return format!("#[checkpoint([{ids}])] ");
            }
            let ways: Vec<String> = path.iter().map(|part| part.way.to_string()).collect();
            format!("#[checkpoint([{ids}], way=[{}])] ", ways.join(", "))
        })
    }
}

/// Graphs that are equal but for the checkpoints around their operations, or those of what they call,
/// have different ones of these numbers; 0 is for no checkpoints.
pub(super) fn digest(graph: &Graph) -> u64 {
    *graph.labels.get_or_init(|| {
        let mut labels = Labels::default();
        let mut hasher = FastHasher::default();
        let mut any = false;
        let equations = graph.equations().iter();
        // Where constants stand says nothing.
        let equations = equations.filter(|e| !e.op.is_input() && !e.op.is_constant());
        for (i, e) in equations.enumerate() {
            if e.checkpoint != Checkpoint::NONE {
                (i, labels.text(e.checkpoint)).hash(&mut hasher);
                any = true;
            }
            for (k, callee) in e.op.callees().enumerate() {
                let inner = digest(&callee.0);
                if inner != 0 {
                    (i, k, inner).hash(&mut hasher);
                    any = true;
                }
            }
        }
        if any { hasher.finish().max(1) } else { 0 }
    })
}
