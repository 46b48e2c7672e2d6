//! Scopes: which named part of a function an operation was written in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A named part of a function, inside of others: `encoder.layers.0`.
///
/// A scope is a label, like a [`Location`](crate::Location): no part of equality, of the text form or of
/// what a graph means. It is one small number; the names stand in a table of the process, each path
/// once. After 2^20 different paths further ones are those of the scope around them.
///
/// ```
/// use cotangent_graph::Scope;
/// let layer = Scope::ROOT.enter("layers").enter("0");
/// assert_eq!(layer.to_string(), "layers.0");
/// assert_eq!(layer.within(Scope::ROOT.enter("model")).to_string(), "model.layers.0");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Scope(u32);

/// The table holds this many paths at most, so that a program which makes names up does not fill memory.
const MOST: usize = 1 << 20;

#[derive(Default)]
struct Table {
    /// The scope around each scope but the root, and its own name.
    scopes: Vec<(Scope, Arc<str>)>,
    known: HashMap<(Scope, Arc<str>), Scope>,
}

fn table() -> MutexGuard<'static, Table> {
    static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();
    let table = TABLE.get_or_init(Mutex::default);
    // An entry is complete before the lock is given back.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn entry(&self, scope: Scope) -> Option<&(Scope, Arc<str>)> {
        self.scopes.get((scope.0 as usize).checked_sub(1)?)
    }

    fn enter(&mut self, outer: Scope, name: Arc<str>) -> Scope {
        let key = (outer, name);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if self.scopes.len() >= MOST {
            return outer;
        }
        self.scopes.push(key.clone());
        let scope = Scope(self.scopes.len() as u32);
        self.known.insert(key, scope);
        scope
    }

    fn path(&self, scope: Scope) -> Vec<Arc<str>> {
        let (mut path, mut at) = (Vec::new(), scope);
        while let Some((outer, name)) = self.entry(at) {
            path.push(name.clone());
            at = *outer;
        }
        path.reverse();
        path
    }
}

impl Scope {
    /// The whole function.
    pub const ROOT: Scope = Scope(0);

    /// The scope of this name inside of this one.
    pub fn enter(self, name: &str) -> Scope {
        table().enter(self, name.into())
    }

    /// The names from the outermost to this one; none for the whole function.
    pub fn path(self) -> Vec<Arc<str>> {
        match self {
            Scope::ROOT => Vec::new(),
            scope => table().path(scope),
        }
    }

    /// This scope as a part of another one.
    pub fn within(self, outer: Scope) -> Scope {
        match (self, outer) {
            (Scope::ROOT, outer) => outer,
            (inner, Scope::ROOT) => inner,
            (inner, outer) => {
                let mut table = table();
                let path = table.path(inner);
                path.into_iter()
                    .fold(outer, |at, name| table.enter(at, name))
            }
        }
    }

    /// The innermost scope that holds both.
    pub fn common(self, other: Scope) -> Scope {
        if self == other {
            return self;
        }
        let (a, b) = (self.path(), other.path());
        let same = a.iter().zip(&b).take_while(|(a, b)| a == b);
        same.fold(Scope::ROOT, |at, (name, _)| at.enter(name))
    }

    /// Whether this scope is the other one or inside of it.
    pub fn starts_with(self, outer: Scope) -> bool {
        self.common(outer) == outer
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path().join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_once() {
        let a = Scope::ROOT.enter("a");
        let ab = a.enter("b");
        assert_eq!(ab, Scope::ROOT.enter("a").enter("b"));
        assert_ne!(ab, a);
        assert_eq!(ab.to_string(), "a.b");
        assert_eq!(Scope::ROOT.to_string(), "");
        assert_eq!(ab.common(a.enter("c")), a);
        assert_eq!(ab.common(Scope::ROOT.enter("d")), Scope::ROOT);
        assert!(ab.starts_with(a) && !a.starts_with(ab));
        assert_eq!(ab.within(a).to_string(), "a.a.b");
    }

    #[test]
    fn equations_are_small() {
        assert!(size_of::<crate::Equation>() <= 128);
    }
}
