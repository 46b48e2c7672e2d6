//! Writes the implementation of `Tree` for a struct or an enum.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Field, Fields, GenericParam, Result, spanned::Spanned};

/// The implementation of `cotangent::Tree` for the type.
pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let leaf = leaf_parameter(input)?;
    let mut generics = input.generics.clone();
    for p in &mut generics.params {
        match p {
            GenericParam::Type(t) => t.default = None,
            GenericParam::Const(c) => c.default = None,
            GenericParam::Lifetime(_) => {}
        }
    }
    let params = &generics.params;
    let comma = (!params.empty_or_trailing()).then(|| quote!(,));
    let wheres = generics.where_clause.as_ref().map(|w| {
        let predicates = w.predicates.iter();
        quote!(#(#predicates,)*)
    });
    // The type with its own parameters, and with the leaf replaced.
    let arguments = |replace: bool| {
        let list = input.generics.params.iter().map(|p| match p {
            GenericParam::Type(t) if replace && t.ident == leaf => {
                quote!(<#leaf as ::cotangent::Tree<L__>>::Of<U__>)
            }
            GenericParam::Type(t) => {
                let i = &t.ident;
                quote!(#i)
            }
            GenericParam::Const(c) => {
                let i = &c.ident;
                quote!(#i)
            }
            GenericParam::Lifetime(l) => {
                let l = &l.lifetime;
                quote!(#l)
            }
        });
        quote!(<#(#list),*>)
    };
    let (own, other) = (arguments(false), arguments(true));
    let variants = variants(input)?;
    let structure = variants.iter().map(Variant::structure);
    let each = variants.iter().map(Variant::each);
    let map = variants.iter().map(Variant::map);
    let build = variants.iter().map(Variant::build);
    let expected = name.to_string();
    // An enum without variants has no values to match on.
    let this = if variants.is_empty() {
        quote!(*self)
    } else {
        quote!(self)
    };
    Ok(quote! {
        #[automatically_derived]
        #[allow(unused_variables, clippy::all)]
        impl<#params #comma L__> ::cotangent::Tree<L__> for #name #own
        where
            #wheres
            #leaf: ::cotangent::Tree<L__>,
        {
            type Of<U__: ::cotangent::Leaf> = #name #other;

            fn structure(&self) -> ::cotangent::tree::Structure {
                match #this { #(#structure)* }
            }

            fn for_each_leaf<'leaf__>(
                &'leaf__ self,
                f__: &mut dyn ::core::ops::FnMut(&'leaf__ L__),
            ) {
                match #this { #(#each)* }
            }

            fn map_leaves<U__: ::cotangent::Leaf>(
                &self,
                f__: &mut dyn ::core::ops::FnMut(&L__) -> U__,
            ) -> Self::Of<U__> {
                match #this { #(#map)* }
            }

            fn build(
                structure__: &::cotangent::tree::Structure,
                leaves__: &mut dyn ::core::iter::Iterator<Item = L__>,
            ) -> ::core::result::Result<Self, ::cotangent::tree::TreeError> {
                let node__ = structure__.node(#expected)?;
                match node__.kind() {
                    #(#build)*
                    _ => ::core::result::Result::Err(structure__.unexpected(#expected)),
                }
            }
        }
    })
}

/// The last type parameter.
fn leaf_parameter(input: &DeriveInput) -> Result<Ident> {
    input
        .generics
        .type_params()
        .last()
        .map(|p| p.ident.clone())
        .ok_or_else(|| {
            Error::new(
                input.ident.span(),
                "expected a type parameter for the leaves, as in `struct Linear<T> { w: T, b: T }`",
            )
        })
}

/// A struct, or one variant of an enum.
struct Variant<'a> {
    /// `Self` or `Self::Name`, for patterns and for values of the type itself.
    path: TokenStream,
    /// The same for values of the type with other leaves.
    other: TokenStream,
    /// What tells variants apart in a structure: `Name` or `Name::Variant`.
    kind: String,
    fields: Vec<Part<'a>>,
}

struct Part<'a> {
    field: &'a Field,
    /// The field's name, or its number.
    member: TokenStream,
    label: TokenStream,
    binding: Ident,
    plain: bool,
}

fn variants(input: &DeriveInput) -> Result<Vec<Variant<'_>>> {
    let name = &input.ident;
    match &input.data {
        Data::Struct(data) => Ok(vec![Variant {
            path: quote!(Self),
            other: quote!(#name),
            kind: name.to_string(),
            fields: parts(&data.fields)?,
        }]),
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|v| {
                let variant = &v.ident;
                Ok(Variant {
                    path: quote!(Self::#variant),
                    other: quote!(#name::#variant),
                    kind: format!("{name}::{variant}"),
                    fields: parts(&v.fields)?,
                })
            })
            .collect(),
        Data::Union(data) => Err(Error::new(
            data.union_token.span(),
            "expected a struct or an enum, found a union",
        )),
    }
}

fn parts(fields: &Fields) -> Result<Vec<Part<'_>>> {
    fields
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let (member, label) = match &field.ident {
                Some(ident) => {
                    let text = ident.to_string();
                    let text = text.trim_start_matches("r#");
                    (
                        quote!(#ident),
                        quote!(::cotangent::tree::Label::from(#text)),
                    )
                }
                None => {
                    let index = syn::Index::from(i);
                    (quote!(#index), quote!(::cotangent::tree::Label::from(#i)))
                }
            };
            let binding = format_ident!("field{i}__");
            Ok(Part {
                field,
                member,
                label,
                binding,
                plain: is_plain(field)?,
            })
        })
        .collect()
}

/// Whether the field is marked `#[tree(plain)]`.
fn is_plain(field: &Field) -> Result<bool> {
    let mut plain = false;
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("tree")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("plain") {
                plain = true;
                Ok(())
            } else {
                Err(meta.error("expected `plain`"))
            }
        })?;
    }
    Ok(plain)
}

impl Variant<'_> {
    /// `Self::Name { 0: field0__, 1: field1__ }`, which matches every kind of fields.
    fn pattern(&self) -> TokenStream {
        let path = &self.path;
        let fields = self.fields.iter().map(|p| {
            let (member, binding) = (&p.member, &p.binding);
            quote!(#member: #binding)
        });
        quote!(#path { #(#fields),* })
    }

    fn structure(&self) -> TokenStream {
        let (pattern, kind) = (self.pattern(), &self.kind);
        let children = self.fields.iter().map(|p| {
            let (label, binding) = (&p.label, &p.binding);
            if p.plain {
                quote!((#label, ::cotangent::tree::Structure::plain(#binding)))
            } else {
                quote!((#label, ::cotangent::Tree::<L__>::structure(#binding)))
            }
        });
        quote! {
            #pattern => ::cotangent::tree::Structure::of(#kind, ::std::vec![#(#children),*]),
        }
    }

    fn each(&self) -> TokenStream {
        let pattern = self.pattern();
        let visits = self.fields.iter().map(|p| {
            let binding = &p.binding;
            if p.plain {
                quote!(let _ = #binding;)
            } else {
                quote!(::cotangent::Tree::<L__>::for_each_leaf(#binding, &mut *f__);)
            }
        });
        quote!(#pattern => { #(#visits)* })
    }

    fn map(&self) -> TokenStream {
        let (pattern, other) = (self.pattern(), &self.other);
        let fields = self.fields.iter().map(|p| {
            let (member, binding) = (&p.member, &p.binding);
            if p.plain {
                quote!(#member: ::core::clone::Clone::clone(#binding))
            } else {
                quote!(#member: ::cotangent::Tree::<L__>::map_leaves(#binding, &mut *f__))
            }
        });
        quote!(#pattern => #other { #(#fields),* },)
    }

    fn build(&self) -> TokenStream {
        let (path, kind, count) = (&self.path, &self.kind, self.fields.len());
        let fields = self.fields.iter().enumerate().map(|(i, p)| {
            let (member, ty) = (&p.member, &p.field.ty);
            if p.plain {
                quote!(#member: children__[#i].1.plain_value::<#ty>()?)
            } else {
                quote! {
                    #member: <#ty as ::cotangent::Tree<L__>>::build(&children__[#i].1, &mut *leaves__)?
                }
            }
        });
        let children = (count > 0).then(|| quote!(let children__ = node__.children();));
        quote! {
            #kind if node__.children().len() == #count => {
                #children
                ::core::result::Result::Ok(#path { #(#fields),* })
            }
        }
    }
}
