//! In which checkpoints an operation stands, and on which way through them.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::FastHasher;

/// The checkpoints around an operation, from the outermost to the innermost, and for each how often
/// reverse mode has gone back over it to come to this operation.
///
/// A derivative is the same with and without a checkpoint: this label alone says what is not to be kept
/// for the way back. It is, like a [`Scope`](crate::Scope), no part of equality, of the text form or
/// of what a graph means, and one small number; what it stands for is in a table of the process, each
/// list once. After 2^20 different lists further ones are those of what is around them.
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
    /// How often reverse mode has gone back over it: 0 where the values are computed.
    pub back: u32,
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
        table().enter(self, Around { id, back: 0 })
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

    /// The same when reverse mode goes back over them once more.
    pub fn back(self) -> Checkpoint {
        self.map(|around| Around {
            back: around.back.saturating_add(1),
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
        let ways: Vec<u32> = ab.back().back().path().iter().map(|p| p.back).collect();
        assert_eq!(ways, [2, 2]);
        assert_eq!(a.within(ab.back()).path()[2], Around { id: 1, back: 0 });
        assert_ne!(ab.copied(1), ab.copied(2));
        assert_eq!(Checkpoint::NONE.back(), Checkpoint::NONE);
    }
}
