//! In which checkpoints an operation stands, and on which way through them.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::FastHasher;

/// The checkpoints around an operation, from the outermost to the innermost, and for each the way
/// through it on which the operation is.
///
/// A derivative is the same with and without a checkpoint: this label alone says what is not to be kept
/// for the way back. It is, like a [`Scope`](crate::Scope), no part of equality or of what a graph
/// means, and one small number; what it stands for is in a table of the process, each list once. After
/// 2^20 different lists further ones are those of what is around them. The text form has it in front
/// of an equation, `#[checkpoint([0, 2], way=[1, 1])]`, where the numbers are given anew in each function.
///
/// ```
/// use cotangent_graph::Checkpoint;
/// let layer = Checkpoint::NONE.enter(7);
/// assert_ne!(layer, layer.back());
/// assert_eq!(layer.enter(3).back().path().len(), 2);
/// assert_eq!(layer.within(Checkpoint::NONE), layer);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Checkpoint(u32);

/// One checkpoint of those around an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Around {
    /// A number that other checkpoints inside of the same one do not have.
    pub id: u64,
    /// 0 where the values are computed, 1 for what a derivative adds on the way there, and one more than
    /// how often reverse mode has gone back over it.
    pub way: u32,
}

impl Around {
    /// How often reverse mode has gone back over it.
    pub fn back(self) -> u32 {
        self.way.saturating_sub(1)
    }
}

/// The table holds this many lists at most, so that a program which makes graphs without end does not
/// fill memory.
const MOST: usize = 1 << 20;

#[derive(Default)]
struct Table {
    /// What is around each checkpoint but none, and the innermost one itself.
    entries: Vec<(Checkpoint, Around)>,
    known: HashMap<(Checkpoint, Around), Checkpoint>,
}

fn table() -> MutexGuard<'static, Table> {
    static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();
    let table = TABLE.get_or_init(Mutex::default);
    // An entry is complete before the lock is given back.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn enter(&mut self, outer: Checkpoint, inner: Around) -> Checkpoint {
        let key = (outer, inner);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if self.entries.len() >= MOST {
            return outer;
        }
        self.entries.push(key);
        let new = Checkpoint(self.entries.len() as u32);
        self.known.insert(key, new);
        new
    }

    fn path(&self, of: Checkpoint) -> Vec<Around> {
        let (mut path, mut at) = (Vec::new(), of);
        let entry = |at: Checkpoint| self.entries.get((at.0 as usize).checked_sub(1)?);
        while let Some((outer, inner)) = entry(at) {
            path.push(*inner);
            at = *outer;
        }
        path.reverse();
        path
    }

    fn of(&mut self, outer: Checkpoint, path: impl Iterator<Item = Around>) -> Checkpoint {
        path.fold(outer, |at, inner| self.enter(at, inner))
    }
}

impl Checkpoint {
    /// In no checkpoint.
    pub const NONE: Checkpoint = Checkpoint(0);

    /// A checkpoint inside of these, on the way where values are computed.
    pub fn enter(self, id: u64) -> Checkpoint {
        table().enter(self, Around { id, way: 0 })
    }

    /// The label that is this list.
    pub(crate) fn of(path: &[Around]) -> Checkpoint {
        match path {
            [] => Checkpoint::NONE,
            path => table().of(Checkpoint::NONE, path.iter().copied()),
        }
    }

    /// From the outermost to the innermost.
    pub fn path(self) -> Vec<Around> {
        match self {
            Checkpoint::NONE => Vec::new(),
            inner => table().path(inner),
        }
    }

    /// These inside of others.
    pub fn within(self, outer: Checkpoint) -> Checkpoint {
        match (self, outer) {
            (Checkpoint::NONE, outer) => outer,
            (inner, Checkpoint::NONE) => inner,
            (inner, outer) => {
                let mut table = table();
                let path = table.path(inner);
                table.of(outer, path.into_iter())
            }
        }
    }

    /// The same for what a derivative adds to the operations in them.
    pub fn derived(self) -> Checkpoint {
        self.map(|around| Around {
            way: around.way.max(1),
            ..around
        })
    }

    /// The same when reverse mode goes back over them once more.
    pub fn back(self) -> Checkpoint {
        self.map(|around| Around {
            way: around.way.max(1).saturating_add(1),
            ..around
        })
    }

    /// The same under other numbers, so that two copies of a graph in one graph are told apart.
    pub fn copied(self, copy: u64) -> Checkpoint {
        self.map(|around| {
            let mut hasher = FastHasher::default();
            (around.id, copy).hash(&mut hasher);
            Around {
                id: hasher.finish(),
                ..around
            }
        })
    }

    fn map(self, change: impl Fn(Around) -> Around) -> Checkpoint {
        if self == Checkpoint::NONE {
            return self;
        }
        let mut table = table();
        let path = table.path(self);
        table.of(Checkpoint::NONE, path.into_iter().map(change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_once() {
        let a = Checkpoint::NONE.enter(1);
        let ab = a.enter(2);
        assert_eq!(ab, Checkpoint::NONE.enter(1).enter(2));
        assert_eq!(Checkpoint::NONE.enter(2).within(a), ab);
        assert_eq!(ab.within(Checkpoint::NONE), ab);
        let back = |of: Checkpoint| of.path().iter().map(|p| p.back()).collect::<Vec<u32>>();
        assert_eq!(back(ab.back().back()), [2, 2]);
        assert_eq!(back(ab.derived()), [0, 0]);
        assert_ne!(ab.derived(), ab);
        assert_eq!(ab.derived().back(), ab.back());
        assert_eq!(ab.back().derived(), ab.back());
        assert_eq!(a.within(ab.back()).path()[2], Around { id: 1, way: 0 });
        assert_eq!(Checkpoint::of(&ab.back().path()), ab.back());
        assert_ne!(ab.copied(1), ab.copied(2));
        assert_eq!(Checkpoint::NONE.back(), Checkpoint::NONE);
    }
}
