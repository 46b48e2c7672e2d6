//! The arguments of a function: which leaves belong to which, and what they are called.

use std::collections::HashSet;
use std::ops::Range;

use cotangent_graph::Scope;

use super::Signature;
use crate::tree::Structure;
use crate::{Error, Tensor, Tree};

/// Tuples of arguments that have an argument number `N`, to differentiate with respect to it.
pub trait Argument<const N: usize>: Tree<Tensor> {
    /// The type of argument `N`.
    type Tree: Tree<Tensor> + 'static;
}

macro_rules! arguments {
    ($($n:literal $T:ident of $($All:ident)*;)*) => {$(
        impl<$($All: Tree<Tensor> + 'static),*> Argument<$n> for ($($All,)*) {
            type Tree = $T;
        }
    )*};
}

arguments! {
    0 A of A;
    0 A of A B; 1 B of A B;
    0 A of A B C; 1 B of A B C; 2 C of A B C;
    0 A of A B C D; 1 B of A B C D; 2 C of A B C D; 3 D of A B C D;
    0 A of A B C D E; 1 B of A B C D E; 2 C of A B C D E; 3 D of A B C D E; 4 E of A B C D E;
    0 A of A B C D E F; 1 B of A B C D E F; 2 C of A B C D E F; 3 D of A B C D E F;
    4 E of A B C D E F; 5 F of A B C D E F;
}

impl Signature {
    /// The structure of an argument, and the range of its leaves among all.
    pub(crate) fn argument(&self, number: usize) -> Result<(&Structure, Range<usize>), Error> {
        let parts = match &self.structure {
            Structure::Node(node) => node.children(),
            _ => &[],
        };
        let Some((_, structure)) = parts.get(number) else {
            return Err(Error::Argument(format!(
                "expected an argument below {}, found argument {number}",
                parts.len()
            )));
        };
        let start = parts.iter().take(number).map(|(_, s)| s.leaf_count()).sum();
        Ok((structure, start..start + structure.leaf_count()))
    }

    /// The part of the signature that is one argument, as a signature.
    pub(crate) fn part(&self, number: usize) -> Result<Signature, Error> {
        let (structure, range) = self.argument(number)?;
        let types = self.types.get(range).unwrap_or_default().to_vec();
        Ok(Signature {
            structure: structure.clone(),
            types,
        })
    }
}

/// A name for each leaf that is a good identifier: `x` for a lone argument, `x0`, `x1`, ... for
/// several, or the names given; the path inside the argument is added: `x0_layers_1_w`. The leaves
/// of a lone argument without a name go by their path alone.
pub(crate) fn input_names(structure: &Structure, arguments: &[String]) -> Vec<String> {
    let parts = match structure {
        Structure::Node(node) => node.children(),
        _ => &[],
    };
    let mut names = Vec::new();
    let mut taken = HashSet::new();
    for (i, (_, part)) in parts.iter().enumerate() {
        let given = arguments.get(i).map(String::as_str);
        for path in part.paths() {
            let name = match (given, path.is_empty()) {
                (Some(given), true) => given.to_owned(),
                (Some(given), false) => format!("{given}_{path}"),
                (None, true) if parts.len() == 1 => "x".to_owned(),
                (None, true) => format!("x{i}"),
                (None, false) if parts.len() == 1 => path,
                (None, false) => format!("x{i}_{path}"),
            };
            let name = identifier(&name);
            let mut unique = name.clone();
            let mut count = 1;
            while !taken.insert(unique.clone()) {
                count += 1;
                unique = format!("{name}_{count}");
            }
            names.push(unique);
        }
    }
    names
}

/// What holds each leaf: the path to it inside its argument, without its own name.
pub(crate) fn input_parts(structure: &Structure) -> Vec<Scope> {
    let parts = match structure {
        Structure::Node(node) => node.children(),
        _ => &[],
    };
    let paths = parts.iter().flat_map(|(_, part)| part.paths());
    paths
        .map(|path| match path.rsplit_once('.') {
            Some((holder, _)) => holder.split('.').fold(Scope::ROOT, Scope::enter),
            None => Scope::ROOT,
        })
        .collect()
}

/// The name with everything that an identifier cannot hold made an underscore.
fn identifier(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if !clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        clean.insert(0, 'x');
    }
    let reserved = ["fn", "let", "true", "false", "nan", "inf"];
    if reserved.contains(&clean.as_str()) {
        clean.push('_');
    }
    clean
}
