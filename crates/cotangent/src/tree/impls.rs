//! Trees of the standard library's types.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::{Label, Leaf, Structure, Tree, TreeError};

macro_rules! tuples {
    ($($count:literal: $($T:ident $i:tt),*;)*) => {$(
        impl<L, $($T: Tree<L>),*> Tree<L> for ($($T,)*) {
            type Of<U: Leaf> = ($($T::Of<U>,)*);

            fn structure(&self) -> Structure {
                Structure::list("tuple", [$(self.$i.structure()),*])
            }

            #[allow(unused_variables)]
            fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
                $(self.$i.for_each_leaf(f);)*
            }

            #[allow(unused_variables, clippy::unused_unit)]
            fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
                ($(self.$i.map_leaves(f),)*)
            }

            #[allow(unused_variables)]
            fn build(
                structure: &Structure,
                leaves: &mut dyn Iterator<Item = L>,
            ) -> Result<Self, TreeError> {
                let parts = structure.parts("tuple", Some($count))?;
                Ok(($($T::build(&parts[$i].1, leaves)?,)*))
            }
        }
    )*};
}

tuples! {
    0: ;
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

impl<L, T: Tree<L>> Tree<L> for Vec<T> {
    type Of<U: Leaf> = Vec<T::Of<U>>;

    fn structure(&self) -> Structure {
        Structure::list("list", self.iter().map(T::structure))
    }

    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        self.iter().for_each(|x| x.for_each_leaf(f));
    }

    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        self.iter().map(|x| x.map_leaves(f)).collect()
    }

    fn build(
        structure: &Structure,
        leaves: &mut dyn Iterator<Item = L>,
    ) -> Result<Self, TreeError> {
        structure
            .parts("list", None)?
            .iter()
            .map(|(_, s)| T::build(s, leaves))
            .collect()
    }
}

impl<L, T: Tree<L>, const N: usize> Tree<L> for [T; N] {
    type Of<U: Leaf> = [T::Of<U>; N];

    fn structure(&self) -> Structure {
        Structure::list("array", self.iter().map(T::structure))
    }

    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        self.iter().for_each(|x| x.for_each_leaf(f));
    }

    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        self.each_ref().map(|x| x.map_leaves(f))
    }

    fn build(
        structure: &Structure,
        leaves: &mut dyn Iterator<Item = L>,
    ) -> Result<Self, TreeError> {
        let parts = structure.parts("array", Some(N))?;
        let built: Vec<T> = parts
            .iter()
            .map(|(_, s)| T::build(s, leaves))
            .collect::<Result<_, _>>()?;
        built
            .try_into()
            .map_err(|_| structure.unexpected("an array"))
    }
}

impl<L, T: Tree<L>> Tree<L> for Option<T> {
    type Of<U: Leaf> = Option<T::Of<U>>;

    fn structure(&self) -> Structure {
        match self {
            // The empty label leaves no trace in paths: `bias`, not `bias.0`.
            Some(x) => Structure::of("Some", vec![(Label::from(""), x.structure())]),
            None => Structure::of("None", Vec::new()),
        }
    }

    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        if let Some(x) = self {
            x.for_each_leaf(f);
        }
    }

    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        self.as_ref().map(|x| x.map_leaves(f))
    }

    fn build(
        structure: &Structure,
        leaves: &mut dyn Iterator<Item = L>,
    ) -> Result<Self, TreeError> {
        let node = structure.node("Option")?;
        match (node.kind(), node.children()) {
            ("Some", [(_, s)]) => T::build(s, leaves).map(Some),
            ("None", []) => Ok(None),
            _ => Err(structure.unexpected("Option")),
        }
    }
}

impl<L, T: Tree<L>> Tree<L> for Box<T> {
    type Of<U: Leaf> = Box<T::Of<U>>;

    fn structure(&self) -> Structure {
        (**self).structure()
    }

    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        (**self).for_each_leaf(f);
    }

    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        Box::new((**self).map_leaves(f))
    }

    fn build(
        structure: &Structure,
        leaves: &mut dyn Iterator<Item = L>,
    ) -> Result<Self, TreeError> {
        T::build(structure, leaves).map(Box::new)
    }
}

impl<L, T: Tree<L>> Tree<L> for BTreeMap<String, T> {
    type Of<U: Leaf> = BTreeMap<String, T::Of<U>>;

    fn structure(&self) -> Structure {
        let parts = self
            .iter()
            .map(|(k, x)| (Label::from(k.clone()), x.structure()));
        Structure::of("map", parts.collect())
    }

    fn for_each_leaf<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        self.values().for_each(|x| x.for_each_leaf(f));
    }

    fn map_leaves<U: Leaf>(&self, f: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        self.iter()
            .map(|(k, x)| (k.clone(), x.map_leaves(f)))
            .collect()
    }

    fn build(
        structure: &Structure,
        leaves: &mut dyn Iterator<Item = L>,
    ) -> Result<Self, TreeError> {
        let parts = structure.parts("map", None)?;
        parts
            .iter()
            .map(|(k, s)| Ok((k.to_string(), T::build(s, leaves)?)))
            .collect()
    }
}

/// No leaves, but a place for the leaf parameter of a type that has none.
impl<L, T: Tree<L>> Tree<L> for PhantomData<T> {
    type Of<U: Leaf> = PhantomData<T::Of<U>>;

    fn structure(&self) -> Structure {
        Structure::of("nothing", Vec::new())
    }

    fn for_each_leaf<'a>(&'a self, _: &mut dyn FnMut(&'a L)) {}

    fn map_leaves<U: Leaf>(&self, _: &mut dyn FnMut(&L) -> U) -> Self::Of<U> {
        PhantomData
    }

    fn build(structure: &Structure, _: &mut dyn Iterator<Item = L>) -> Result<Self, TreeError> {
        structure.parts("nothing", Some(0)).map(|_| PhantomData)
    }
}
