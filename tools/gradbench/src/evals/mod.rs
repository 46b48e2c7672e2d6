//! The evals, each in a file: plain functions over tensors, and their derivatives by the library.

pub mod ba;
mod descent;
mod det;
pub mod gmm;
mod hello;
pub mod ht;
mod kmeans;
mod llsq;
mod lse;
pub mod lstm;
mod ode;
mod particle;
mod saddle;
#[cfg(test)]
mod tests;

use crate::eval::Eval;

/// The eval of a name.
pub(crate) fn find(name: &str) -> Option<Eval> {
    match name {
        "ba" => Some(ba::eval()),
        "det" => Some(det::eval()),
        "gmm" => Some(gmm::eval()),
        "hello" => Some(hello::eval()),
        "ht" => Some(ht::eval()),
        "kmeans" => Some(kmeans::eval()),
        "llsq" => Some(llsq::eval()),
        "lse" => Some(lse::eval()),
        "lstm" => Some(lstm::eval()),
        "ode" => Some(ode::eval()),
        "particle" => Some(particle::eval()),
        "saddle" => Some(saddle::eval()),
        _ => None,
    }
}
