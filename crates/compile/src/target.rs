//! What the compiler knows of the machine that will run a plan.

use cotangent_graph::TensorType;

use crate::StepOp;

/// What the compiler knows of the machine that will run a plan: plain data, filled in by the crate
/// that runs plans.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Every offset in the arena is a multiple of this many bytes: a power of two, 64 or more.
    pub alignment: usize,
    /// The bytes of working memory that the kernel of a step wants, from the types of its
    /// operands and of its (first) result. Every caller must get the same answer for the same types.
    pub scratch: fn(&StepOp, &[&TensorType], &TensorType) -> usize,
    /// Whether operations are fused into regions.
    pub fuse: bool,
    /// Whether a product and a sum that are rounded once, as one operation, are fast. Decided here,
    /// when a plan is made, so that a plan gives the same bits however it runs.
    pub fma: bool,
    /// Bytes of a cache in which rows are kept between the regions that go over them, which then run
    /// some rows at a time; 0 where each region runs by itself.
    pub row_cache: usize,
    /// Whether chains of dependent operations that do not wait for one another run side by side.
    pub abreast: bool,
    /// Of which sizes products leave out what is expected to be zero and what nobody reads; `None` for none.
    pub triangles: Option<TriangleSizes>,
}

/// Of which sizes products leave out triangles.
#[derive(Clone, Copy, Debug)]
pub struct TriangleSizes {
    /// The fewest terms of a product in all.
    pub terms: usize,
    /// The fewest rows and columns of a triangle.
    pub side: usize,
}

impl TriangleSizes {
    /// Smaller products are done in full, which takes about as long as to look whether parts may be left out.
    pub const WORTH_IT: TriangleSizes = TriangleSizes {
        terms: 3 << 18,
        side: 32,
    };
}

impl Target {
    /// A machine whose kernels need no working memory, for tests and for printing plans.
    pub fn plain() -> Target {
        Target {
            alignment: 64,
            scratch: |_, _, _| 0,
            fuse: true,
            fma: true,
            row_cache: 1 << 17,
            abreast: true,
            triangles: Some(TriangleSizes::WORTH_IT),
        }
    }
}
