//! What is particular to a system, one file each: executable memory, huge pages, files without names.
//!
//! A chunk of executable memory is mapped twice: once to be written, once to be read and executed, so
//! no page is both at one address, and code can be added to a chunk while other code of it runs.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(crate) use linux::{Chunk, Cores, Large, current_core, memory, nameless};
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod other;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(crate) use other::{Chunk, Cores, Large, current_core, memory, nameless};
