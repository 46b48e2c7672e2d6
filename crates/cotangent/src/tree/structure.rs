//! Everything about a tree but its leaves, as a value that can be compared and hashed.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Leaf, Tree};

/// The structure of a tree: which nodes it has, and where its leaves stand.
///
/// A function is traced once for each structure and types of the leaves.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Structure {
    /// One leaf.
    Leaf,
    /// A struct, tuple, list or map.
    Node(Node),
    /// Data that is no leaf.
    Plain(Plain),
}

/// A struct, tuple, list or map in a [`Structure`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    kind: &'static str,
    children: Vec<(Label, Structure)>,
}

impl Node {
    /// The name of the type, and of its variant in an enum.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The parts by name or number.
    pub fn children(&self) -> &[(Label, Structure)] {
        &self.children
    }
}

/// The name or number of a part of a tree.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Label {
    /// A field of a struct or a key of a map.
    Name(Cow<'static, str>),
    /// A place in a tuple or list.
    Index(usize),
}

impl From<&'static str> for Label {
    fn from(name: &'static str) -> Label {
        Label::Name(Cow::Borrowed(name))
    }
}

impl From<String> for Label {
    fn from(name: String) -> Label {
        Label::Name(Cow::Owned(name))
    }
}

impl From<usize> for Label {
    fn from(index: usize) -> Label {
        Label::Index(index)
    }
}

impl Label {
    /// Adds the label to a path, after a dot; an empty label adds nothing.
    fn append_to(&self, path: &mut String) {
        if *self == Label::from("") {
            return;
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&self.to_string());
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Name(name) => f.write_str(name),
            Label::Index(index) => write!(f, "{index}"),
        }
    }
}

impl Structure {
    /// A node with these parts.
    pub fn of(kind: &'static str, children: Vec<(Label, Structure)>) -> Structure {
        Structure::Node(Node { kind, children })
    }

    /// A node whose parts are numbered.
    pub fn list(kind: &'static str, children: impl IntoIterator<Item = Structure>) -> Structure {
        let numbered = children.into_iter().enumerate();
        Structure::of(kind, numbered.map(|(i, s)| (Label::Index(i), s)).collect())
    }

    /// Data that is no leaf.
    pub fn plain<T: PlainValue + Clone>(value: &T) -> Structure {
        Structure::Plain(Plain(Arc::new(value.clone())))
    }

    /// The data that is no leaf, back in its own type.
    ///
    /// # Errors
    /// When this is not plain data of that type.
    pub fn plain_value<T: Clone + 'static>(&self) -> Result<T, TreeError> {
        match self {
            Structure::Plain(Plain(value)) => match value.as_any().downcast_ref::<T>() {
                Some(value) => Ok(value.clone()),
                None => Err(self.unexpected(std::any::type_name::<T>())),
            },
            _ => Err(self.unexpected(std::any::type_name::<T>())),
        }
    }

    /// The next leaf, when this is the place of one.
    ///
    /// # Errors
    /// When this is a node, or no leaf is left.
    pub fn leaf<L>(&self, leaves: &mut dyn Iterator<Item = L>) -> Result<L, TreeError> {
        match self {
            Structure::Leaf => leaves.next().ok_or(TreeError::LeafCount {
                expected: 1,
                found: 0,
            }),
            _ => Err(self.unexpected("a leaf")),
        }
    }

    /// This node.
    ///
    /// # Errors
    /// When this is a leaf or plain data; `expected` names what should be here.
    pub fn node(&self, expected: &str) -> Result<&Node, TreeError> {
        match self {
            Structure::Node(node) => Ok(node),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// The parts of a node of this kind and, where it is fixed, this number of parts.
    ///
    /// # Errors
    /// When this is anything else.
    pub fn parts(
        &self,
        kind: &str,
        count: Option<usize>,
    ) -> Result<&[(Label, Structure)], TreeError> {
        match self {
            Structure::Node(node)
                if node.kind == kind && count.is_none_or(|c| c == node.children.len()) =>
            {
                Ok(&node.children)
            }
            _ => Err(self.unexpected(kind)),
        }
    }

    /// The error that something else was expected here.
    pub fn unexpected(&self, expected: &str) -> TreeError {
        TreeError::Unexpected {
            expected: expected.to_owned(),
            found: self.kind(),
        }
    }

    /// What stands at the root, in words.
    fn kind(&self) -> String {
        match self {
            Structure::Leaf => "a leaf".to_owned(),
            Structure::Node(node) => format!("{} of {} parts", node.kind, node.children.len()),
            Structure::Plain(plain) => format!("{plain:?}"),
        }
    }

    /// The number of leaves.
    pub fn leaf_count(&self) -> usize {
        match self {
            Structure::Leaf => 1,
            Structure::Node(node) => node.children.iter().map(|(_, s)| s.leaf_count()).sum(),
            Structure::Plain(_) => 0,
        }
    }

    /// Where each leaf stands: labels joined by dots.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths(&mut String::new(), &mut paths);
        paths
    }

    fn collect_paths(&self, here: &mut String, paths: &mut Vec<String>) {
        match self {
            Structure::Leaf => paths.push(here.clone()),
            Structure::Plain(_) => {}
            Structure::Node(node) => {
                let length = here.len();
                for (label, child) in &node.children {
                    label.append_to(here);
                    child.collect_paths(here, paths);
                    here.truncate(length);
                }
            }
        }
    }

    /// Fails at the first place where another structure differs from this one.
    ///
    /// # Errors
    /// Names the place, what was expected there and what was found.
    pub fn expect_same(&self, other: &Structure) -> Result<(), TreeError> {
        if self == other {
            return Ok(());
        }
        let mut path = String::new();
        let (a, b) = first_difference(self, other, &mut path);
        Err(TreeError::Differs {
            path,
            expected: a,
            found: b,
        })
    }
}

/// Where two different structures part, and what each has there.
fn first_difference(a: &Structure, b: &Structure, path: &mut String) -> (String, String) {
    if let (Structure::Node(x), Structure::Node(y)) = (a, b)
        && x.kind == y.kind
        && x.children.len() == y.children.len()
    {
        for ((label, p), (other, q)) in x.children.iter().zip(&y.children) {
            if label != other {
                return (format!("a part `{label}`"), format!("`{other}`"));
            }
            if p != q {
                label.append_to(path);
                return first_difference(p, q, path);
            }
        }
    }
    (a.kind(), b.kind())
}

/// A tree of another structure than was expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A part of a tree is something else.
    #[error("expected {expected} in a tree, found {found}")]
    Unexpected {
        /// What should have been there.
        expected: String,
        /// What was.
        found: String,
    },
    /// Two trees that should have one structure differ.
    #[error(
        "expected trees of one structure, but at `{path}` one has {expected}, the other {found}"
    )]
    Differs {
        /// The place; empty at the root.
        path: String,
        /// What the first tree has there.
        expected: String,
        /// What the second has.
        found: String,
    },
    /// The number of leaves is not that of the structure.
    #[error("expected {expected} leaves, found {found}")]
    LeafCount {
        /// How many leaves the structure has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
}

/// Data that is no leaf, as a part of a [`Structure`].
#[derive(Clone)]
pub struct Plain(Arc<dyn PlainValue>);

/// What plain data must be able to do; every type with the traits named has it.
pub trait PlainValue: Any + Send + Sync + fmt::Debug {
    /// For the way back to the type.
    fn as_any(&self) -> &dyn Any;
    /// Equality with a value of any type.
    fn equals(&self, other: &dyn PlainValue) -> bool;
    /// Hashes the value.
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<T: Any + Eq + Hash + fmt::Debug + Send + Sync> PlainValue for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn PlainValue) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Plain) -> bool {
        self.0.equals(&*other.0)
    }
}

impl Eq for Plain {}

impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Plain data in a place where a tree is expected: a tree without leaves.
///
/// A function is traced anew for each value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Static<T>(pub T);

impl<L, T: PlainValue + Clone> Tree<L> for Static<T> {
    type Of<U: Leaf> = Static<T>;

    fn structure(&self) -> Structure {
        Structure::plain(&self.0)
    }

    fn for_each_leaf<'a>(&'a self, _: &mut dyn FnMut(&'a L)) {}

    fn map_leaves<U: Leaf>(&self, _: &mut dyn FnMut(&L) -> U) -> Self {
        self.clone()
    }

    fn build(structure: &Structure, _: &mut dyn Iterator<Item = L>) -> Result<Self, TreeError> {
        structure.plain_value().map(Static)
    }
}
