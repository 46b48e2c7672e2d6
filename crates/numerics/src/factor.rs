//! Factorisations of one matrix at a time, on one thread.
//!
//! Matrices stand column by column unless it says otherwise. `stack` is working memory, at least as
//! long as the function of the same name that ends in `_stack` says; its contents do not matter.

use std::mem::MaybeUninit;

use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::svd::{self, ComputeSvdVectors};
use faer::linalg::{cholesky, householder, lu, qr, triangular_solve};
use faer::{ColMut, Conj, MatMut, MatRef, Par};

/// Which half of a matrix a triangular solve reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triangle {
    /// The lower half, or else the upper one.
    pub lower: bool,
    /// The diagonal counts as ones.
    pub unit: bool,
    /// The matrix stands row by row.
    pub by_rows: bool,
}

/// A float whose matrices can be factored.
pub trait Factor: Copy + Sized {
    /// Bytes that [`cholesky`](Factor::cholesky) wants.
    fn cholesky_stack(n: usize) -> usize;

    /// Replaces the lower half of a symmetric matrix `[n, n]` by its Cholesky factor.
    ///
    /// # Errors
    /// The place of the first pivot that is not positive.
    fn cholesky(a: &mut [Self], n: usize, stack: &mut [MaybeUninit<u8>]) -> Result<(), usize>;

    /// Solves T X = B in place, where the rows of B, with `columns` numbers each, follow one another.
    fn triangular(a: &[Self], n: usize, triangle: Triangle, b: &mut [Self], columns: usize);

    /// Bytes that [`lu`](Factor::lu) wants.
    fn lu_stack(rows: usize, columns: usize) -> usize;

    /// Replaces a matrix by its factors L and U; `order` and its `inverse` receive the order of the
    /// rows. Whether that is an odd permutation is returned.
    fn lu(
        a: &mut [Self],
        columns: usize,
        order: &mut [u32],
        inverse: &mut [u32],
        stack: &mut [MaybeUninit<u8>],
    ) -> bool;

    /// Rows of the matrix `[block, min(rows, columns)]` of factors that [`qr`](Factor::qr) writes.
    fn qr_block(rows: usize, columns: usize) -> usize;

    /// Bytes that [`qr`](Factor::qr) and [`reflect`](Factor::reflect) want.
    fn qr_stack(rows: usize, columns: usize) -> usize;

    /// Replaces a matrix by R above the diagonal and reflections below it.
    fn qr(
        a: &mut [Self],
        rows: usize,
        columns: usize,
        factors: &mut [Self],
        stack: &mut [MaybeUninit<u8>],
    );

    /// Applies the reflections that [`qr`](Factor::qr) left in a matrix `[rows, columns]` to another,
    /// `[rows, min(rows, columns)]`.
    fn reflect(
        a: &[Self],
        rows: usize,
        columns: usize,
        factors: &[Self],
        to: &mut [Self],
        stack: &mut [MaybeUninit<u8>],
    );

    /// Bytes that [`svd`](Factor::svd) wants.
    fn svd_stack(rows: usize, columns: usize, vectors: bool) -> usize;

    /// Singular values of a matrix that stands row by row, and where asked for its thin U and V. False
    /// where the iteration did not end.
    fn svd(
        a: &[Self],
        rows: usize,
        columns: usize,
        values: &mut [Self],
        vectors: Option<(&mut [Self], &mut [Self])>,
        stack: &mut [MaybeUninit<u8>],
    ) -> bool;

    /// Bytes that [`eigh`](Factor::eigh) wants.
    fn eigh_stack(n: usize, vectors: bool) -> usize;

    /// Eigenvalues of a symmetric matrix, ascending, and where asked for its eigenvectors. False where
    /// the iteration did not end.
    fn eigh(
        a: &[Self],
        n: usize,
        values: &mut [Self],
        vectors: Option<&mut [Self]>,
        stack: &mut [MaybeUninit<u8>],
    ) -> bool;
}

macro_rules! factor {
    ($($T:ident)*) => {
        $(
            impl Factor for $T {
                fn cholesky_stack(n: usize) -> usize {
                    let settings = Default::default();
                    bytes(cholesky::llt::factor::cholesky_in_place_scratch::<$T>(n, Par::Seq, settings))
                }

                fn cholesky(a: &mut [$T], n: usize, stack: &mut [MaybeUninit<u8>]) -> Result<(), usize> {
                    let done = cholesky::llt::factor::cholesky_in_place(
                        MatMut::from_column_major_slice_mut(a, n, n),
                        Default::default(),
                        Par::Seq,
                        MemStack::new(stack),
                        Default::default(),
                    );
                    match done {
                        Ok(_) => Ok(()),
                        Err(cholesky::llt::factor::LltError::NonPositivePivot { index }) => Err(index),
                    }
                }

                fn triangular(a: &[$T], n: usize, triangle: Triangle, b: &mut [$T], columns: usize) {
                    let b = MatMut::from_row_major_slice_mut(b, n, columns);
                    let a = match triangle.by_rows {
                        true => MatRef::from_row_major_slice(a, n, n),
                        false => MatRef::from_column_major_slice(a, n, n),
                    };
                    use triangular_solve as solve;
                    match (triangle.lower, triangle.unit) {
                        (true, false) => solve::solve_lower_triangular_in_place(a, b, Par::Seq),
                        (true, true) => solve::solve_unit_lower_triangular_in_place(a, b, Par::Seq),
                        (false, false) => solve::solve_upper_triangular_in_place(a, b, Par::Seq),
                        (false, true) => solve::solve_unit_upper_triangular_in_place(a, b, Par::Seq),
                    }
                }

                fn lu_stack(rows: usize, columns: usize) -> usize {
                    bytes(lu::partial_pivoting::factor::lu_in_place_scratch::<u32, $T>(
                        rows,
                        columns,
                        Par::Seq,
                        Default::default(),
                    ))
                }

                fn lu(
                    a: &mut [$T],
                    columns: usize,
                    order: &mut [u32],
                    inverse: &mut [u32],
                    stack: &mut [MaybeUninit<u8>],
                ) -> bool {
                    let (info, _) = lu::partial_pivoting::factor::lu_in_place(
                        MatMut::from_column_major_slice_mut(a, order.len(), columns),
                        order,
                        inverse,
                        Par::Seq,
                        MemStack::new(stack),
                        Default::default(),
                    );
                    info.transposition_count % 2 != 0
                }

                fn qr_block(rows: usize, columns: usize) -> usize {
                    qr::no_pivoting::factor::recommended_block_size::<$T>(rows, columns)
                }

                fn qr_stack(rows: usize, columns: usize) -> usize {
                    let block = Self::qr_block(rows, columns);
                    bytes(StackReq::any_of(&[
                        qr::no_pivoting::factor::qr_in_place_scratch::<$T>(
                            rows,
                            columns,
                            block,
                            Par::Seq,
                            Default::default(),
                        ),
                        householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<$T>(
                            rows,
                            block,
                            rows.min(columns),
                        ),
                    ]))
                }

                fn qr(
                    a: &mut [$T],
                    rows: usize,
                    columns: usize,
                    factors: &mut [$T],
                    stack: &mut [MaybeUninit<u8>],
                ) {
                    let block = Self::qr_block(rows, columns);
                    qr::no_pivoting::factor::qr_in_place(
                        MatMut::from_column_major_slice_mut(a, rows, columns),
                        MatMut::from_column_major_slice_mut(factors, block, rows.min(columns)),
                        Par::Seq,
                        MemStack::new(stack),
                        Default::default(),
                    );
                }

                fn reflect(
                    a: &[$T],
                    rows: usize,
                    columns: usize,
                    factors: &[$T],
                    to: &mut [$T],
                    stack: &mut [MaybeUninit<u8>],
                ) {
                    let (least, block) = (rows.min(columns), Self::qr_block(rows, columns));
                    householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
                        MatRef::from_column_major_slice(&a[..rows * least], rows, least),
                        MatRef::from_column_major_slice(factors, block, least),
                        Conj::No,
                        MatMut::from_column_major_slice_mut(to, rows, least),
                        Par::Seq,
                        MemStack::new(stack),
                    );
                }

                fn svd_stack(rows: usize, columns: usize, vectors: bool) -> usize {
                    let wanted = match vectors {
                        true => ComputeSvdVectors::Thin,
                        false => ComputeSvdVectors::No,
                    };
                    let settings = Default::default();
                    bytes(svd::svd_scratch::<$T>(rows, columns, wanted, wanted, Par::Seq, settings))
                }

                fn svd(
                    a: &[$T],
                    rows: usize,
                    columns: usize,
                    values: &mut [$T],
                    vectors: Option<(&mut [$T], &mut [$T])>,
                    stack: &mut [MaybeUninit<u8>],
                ) -> bool {
                    let least = rows.min(columns);
                    let (u, v) = vectors.unzip();
                    let done = svd::svd(
                        MatRef::from_row_major_slice(a, rows, columns),
                        ColMut::from_slice_mut(values).as_diagonal_mut(),
                        u.map(|u| MatMut::from_column_major_slice_mut(u, rows, least)),
                        v.map(|v| MatMut::from_column_major_slice_mut(v, columns, least)),
                        Par::Seq,
                        MemStack::new(stack),
                        Default::default(),
                    );
                    done.is_ok()
                }

                fn eigh_stack(n: usize, vectors: bool) -> usize {
                    let wanted = match vectors {
                        true => ComputeEigenvectors::Yes,
                        false => ComputeEigenvectors::No,
                    };
                    let settings = Default::default();
                    bytes(evd::self_adjoint_evd_scratch::<$T>(n, wanted, Par::Seq, settings))
                }

                fn eigh(
                    a: &[$T],
                    n: usize,
                    values: &mut [$T],
                    vectors: Option<&mut [$T]>,
                    stack: &mut [MaybeUninit<u8>],
                ) -> bool {
                    let done = evd::self_adjoint_evd(
                        MatRef::from_column_major_slice(a, n, n),
                        ColMut::from_slice_mut(values).as_diagonal_mut(),
                        vectors.map(|v| MatMut::from_column_major_slice_mut(v, n, n)),
                        Par::Seq,
                        MemStack::new(stack),
                        Default::default(),
                    );
                    done.is_ok()
                }
            }
        )*
    };
}

factor!(f32 f64);

fn bytes(request: StackReq) -> usize {
    request.unaligned_bytes_required()
}
