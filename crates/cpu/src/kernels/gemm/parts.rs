//! Products divided between threads.
//!
//! Only rows, columns and members of a batch are divided, never the terms of a sum, and packing is decided
//! from the whole product; so each element is added up in the order that one thread would take. Blocks that
//! several threads read are packed by all of them together, once.

use std::ops::Range;

use super::tile::{PANEL, Place, Target};
use super::triangles::{Bands, clear};
use super::{Blocks, Factor, Product, ROWS, TERMS, WIDTH};
use crate::RunError;
use crate::number::Number;
use crate::pool::{Shared, Team, share};

/// Additions in a nanosecond, about, between vectors of 256 and of 512 bits; elements that are packed in one.
const ADDITIONS: u64 = 64;
const PACKED: u64 = 2;
/// Bytes of a matrix that are read in one, where that is all there is to do.
const BYTES: u64 = 20;
/// Rows are divided in multiples of so many: whole panels and whole lines of memory.
pub(super) const GRAIN: usize = 2 * PANEL;
/// Panels of columns in multiples of so many, which the widest tile has side by side: one alone takes it as
/// long.
pub(super) const PAIR: usize = 2;
/// Parts of the rows for each thread.
const SOME: usize = 4;

/// Nanoseconds that products of these sizes take.
pub(super) fn work([m, n, k]: [usize; 3], members: usize) -> u64 {
    let elements = (m as u64).saturating_mul(n as u64);
    let terms = elements.saturating_mul(2 * k as u64);
    terms.saturating_mul(members as u64) / ADDITIONS
}

/// How a product is divided.
pub(super) enum Cut {
    /// Not at all.
    Whole,
    /// Between the members of the batch.
    Members(usize),
    /// Each member in itself.
    Within,
}

/// The cut for a product of these sizes.
pub(super) fn cut(sizes: [usize; 3], members: usize, team: &Team) -> Cut {
    let all = work(sizes, members);
    match team.parts(all, usize::MAX) {
        1 => Cut::Whole,
        parts if members >= 2 * team.threads() => Cut::Members(parts.min(members)),
        _ if team.parts(work(sizes, 1), usize::MAX) > 1 => Cut::Within,
        parts if members > 1 => Cut::Members(parts.min(members)),
        _ => Cut::Whole,
    }
}

/// Nanoseconds that products with vectors take, which read a matrix once: `m` or `n` is 1.
pub(super) fn work_of_vectors<T>([m, n, k]: [usize; 3], members: usize) -> u64 {
    let elements = (m.max(n) as u64).saturating_mul(k as u64);
    let bytes = elements.saturating_mul(size_of::<T>() as u64);
    bytes.saturating_mul(members as u64) / BYTES
}

/// The cut for products with vectors.
pub(super) fn cut_vectors<T>(sizes: [usize; 3], members: usize, team: &Team) -> Cut {
    let parts = team.parts(work_of_vectors::<T>(sizes, members), members);
    let within = team.parts(work_of_vectors::<T>(sizes, 1), sizes[0].max(sizes[1]));
    match parts {
        _ if members < 2 * team.threads() && within > 1 => Cut::Within,
        1 => Cut::Whole,
        parts => Cut::Members(parts),
    }
}

/// The product with its members divided in `parts`.
///
/// # Safety
/// The product's memory is as [`super::multiply_all`] checked; every thread of the team has working
/// memory for a product.
pub(super) unsafe fn by_members<T: Number>(
    product: &Product<T>,
    team: &Team,
    parts: usize,
) -> Result<(), RunError> {
    let batch = product.batch;
    // SAFETY: results of members are apart, and each thread packs into memory of its own.
    let shared = unsafe { Shared::new(product) };
    team.each(work(product.sizes, batch.members), parts, |part, thread| {
        let whole = *shared.get();
        let apart = whole.right.addr() - whole.left.addr();
        let members = share(batch.members, part, parts);
        let left = team.scratch(thread, whole.left.cast());
        let some = Product {
            batch: super::Batch {
                members: members.len(),
                ..batch
            },
            a: whole.a.skip(members.start * batch.a),
            b: whole.b.skip(members.start * batch.b),
            out: whole.out.wrapping_add(members.start * batch.out),
            left: left.cast(),
            right: left.wrapping_add(apart).cast(),
            ..*whole
        };
        // SAFETY: the caller's promise, for some of the members.
        unsafe { (T::kernels().multiply)(&some) };
        Ok(())
    })
}

/// The product, each member of it divided; of matrices with bands what is inside of them.
///
/// # Safety
/// As for [`by_members`].
pub(super) unsafe fn within<T: Number>(
    product: &Product<T>,
    bands: Option<&Bands>,
    team: &Team,
) -> Result<(), RunError> {
    let ([m, n, k], blocks, batch) = (product.sizes, product.blocks, product.batch);
    for member in 0..batch.members {
        let a = product.a.skip(member * batch.a);
        let b = product.b.skip(member * batch.b);
        let out = Target {
            start: product.out.wrapping_add(member * batch.out),
            row: product.step,
            add: false,
        };
        for j in (0..n).step_by(blocks.columns.max(1)) {
            let columns = blocks.columns.min(n - j);
            for l in (0..k).step_by(TERMS) {
                let terms = TERMS.min(k - l);
                let block = Block {
                    sizes: [m, columns, terms],
                    at: [j, l],
                    bands,
                    blocks: Blocks {
                        terms: [terms; 2],
                        ..blocks
                    },
                    a: a.from(0, l),
                    b: b.from(l, j),
                    out: Target {
                        add: l > 0,
                        ..out.from(0, j)
                    },
                    left: product.left,
                    right: product.right,
                };
                // SAFETY: the block is inside the matrices, the working memory has room for it.
                unsafe { block.run(team) }?;
            }
        }
    }
    Ok(())
}

/// All rows by the columns and terms of one block of the right matrix.
pub(super) struct Block<'a, T> {
    pub(super) sizes: [usize; 3],
    /// The first column and the first term.
    pub(super) at: [usize; 2],
    pub(super) bands: Option<&'a Bands>,
    pub(super) blocks: Blocks,
    pub(super) a: Place<T>,
    pub(super) b: Place<T>,
    pub(super) out: Target<T>,
    pub(super) left: *mut T,
    pub(super) right: *mut T,
}

impl<T: Number + Factor> Block<'_, T> {
    /// # Safety
    /// The block is inside the matrices and the working memory has room for it, that of every thread.
    unsafe fn run(mut self, team: &Team) -> Result<(), RunError> {
        let ([m, columns, terms], width) = (self.sizes, WIDTH / size_of::<T>());
        let panels = columns.div_ceil(width);
        if self.blocks.right {
            // SAFETY: the caller's promise.
            unsafe { self.pack_right(team, panels)? };
            self.b = Place {
                start: self.right,
                row: width,
                column: terms,
            };
        }
        // Rows are divided if there are enough of them: then threads meet only once for each block. Otherwise
        // columns are, and rows that are packed serve all threads.
        if m < ROWS * team.threads() && panels >= PAIR {
            for i in (0..m).step_by(ROWS) {
                // SAFETY: the rows are inside.
                unsafe { self.by_columns(team, i..m.min(i + ROWS), panels)? };
            }
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.by_rows(team) }
    }

    /// # Safety
    /// As for [`Block::run`].
    unsafe fn pack_right(&self, team: &Team, panels: usize) -> Result<(), RunError> {
        let ([_, columns, terms], width) = (self.sizes, WIDTH / size_of::<T>());
        let work = (columns * terms) as u64 / PACKED;
        let parts = team.parts(work, panels);
        // SAFETY: each part writes panels of its own.
        let shared = unsafe { Shared::new((self, self.b, self.right)) };
        team.each(work, parts, |part, _| {
            let (whole, b, to) = *shared.get();
            let panels = share(panels, part, parts);
            let first = panels.start * width;
            let count = (panels.end * width).min(columns) - first;
            if whole.bands.is_some() {
                for panel in panels {
                    // Columns that are multiplied together have the same terms.
                    let pair = panel / PAIR * PAIR * width;
                    let pair = pair..columns.min(pair + PAIR * width);
                    let some = whole.terms(0..whole.sizes[0], pair);
                    let first = panel * width;
                    let (count, b) = (width.min(columns - first), b.from(some.start, first));
                    let to = to.wrapping_add(first * terms + some.start * width);
                    // SAFETY: as below.
                    unsafe { (T::kernels().right)(some.len(), count, b, to) };
                }
                return Ok(());
            }
            let to = to.wrapping_add(first * terms);
            // SAFETY: these columns are inside the matrix, their panels inside the working memory.
            unsafe { (T::kernels().right)(terms, count, b.from(0, first), to) };
            Ok(())
        })
    }

    /// Some rows, at most [`ROWS`], with their columns divided.
    ///
    /// # Safety
    /// As for [`Block::run`]; the rows exist.
    unsafe fn by_columns(
        &self,
        team: &Team,
        rows: Range<usize>,
        panels: usize,
    ) -> Result<(), RunError> {
        let ([_, columns, _], width) = (self.sizes, WIDTH / size_of::<T>());
        let among = self.terms(rows.clone(), 0..columns);
        let (count, terms) = (rows.len(), among.len());
        let mut a = self.a.from(rows.start, among.start);
        if self.blocks.left && terms > 0 {
            let work = (count * terms) as u64 / PACKED;
            let units = count.div_ceil(PANEL);
            let parts = team.parts(work, units);
            // SAFETY: each part writes panels of its own, and nothing behind them but for the last.
            let shared = unsafe { Shared::new((a, self.left)) };
            team.each(work, parts, |part, _| {
                let (a, to) = *shared.get();
                let units = share(units, part, parts);
                let first = units.start * PANEL;
                let some = (units.end * PANEL).min(count) - first;
                let (to, last) = (to.wrapping_add(first * terms), part + 1 == parts);
                // SAFETY: these rows are inside the matrix, their panels inside the working memory.
                unsafe { (T::kernels().left)([some, terms], last, a.from(first, 0), to) };
                Ok(())
            })?;
            a = Place {
                start: self.left,
                row: 1,
                column: PANEL,
            };
        }
        let (work, width) = (work([count, columns, terms], 1), PAIR * width);
        let units = panels.div_ceil(PAIR);
        let parts = team.parts(work, units);
        // SAFETY: each part writes columns of its own.
        let shared = unsafe { Shared::new((self, a)) };
        team.each(work, parts, |part, _| {
            let (whole, a) = *shared.get();
            let units = share(units, part, parts);
            let some = units.start * width..(units.end * width).min(columns);
            // SAFETY: these columns are inside.
            unsafe { whole.multiply(rows.clone(), some, among.clone(), a) };
            Ok(())
        })
    }

    /// All columns, with the rows divided; each part packs its own.
    ///
    /// # Safety
    /// As for [`Block::run`].
    unsafe fn by_rows(&self, team: &Team) -> Result<(), RunError> {
        let [m, columns, _] = self.sizes;
        let work = work(self.sizes, 1);
        let grains = m.div_ceil(GRAIN);
        // No part has more rows than a packed block.
        let least = grains.div_ceil(ROWS / GRAIN);
        // Each part reads the whole right block, so there are only some of them.
        let parts = team.parts(work, grains.min(SOME * team.threads()));
        let parts = parts.max(least);
        // SAFETY: each part writes rows of its own and packs into memory of its thread.
        let shared = unsafe { Shared::new(self) };
        team.each(work, parts, |part, thread| {
            let whole = *shared.get();
            let grains = share(grains, part, parts);
            let first = grains.start * GRAIN;
            let some = (grains.end * GRAIN).min(m) - first;
            let among = whole.terms(first..first + some, 0..columns);
            let (terms, mut a) = (among.len(), whole.a.from(first, among.start));
            // SAFETY: these rows are inside, and a thread's working memory has room for a block.
            unsafe {
                if whole.blocks.left && terms > 0 {
                    let to: *mut T = team.scratch(thread, whole.left.cast()).cast();
                    (T::kernels().left)([some, terms], true, a, to);
                    a = Place {
                        start: to,
                        row: 1,
                        column: PANEL,
                    };
                }
                whole.multiply(first..first + some, 0..columns, among, a);
            }
            Ok(())
        })
    }

    /// Some rows and columns, of which `among` are the terms that are multiplied; `a` is the left matrix from the
    /// first of these rows and terms on, packed or not.
    ///
    /// # Safety
    /// As for [`Block::run`]; rows and columns begin whole panels, those of a packed right block pairs of them.
    pub(super) unsafe fn multiply(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        among: Range<usize>,
        a: Place<T>,
    ) {
        let mut blocks = self.blocks;
        blocks.terms[0] = among.len();
        let multiply = T::kernels().block;
        if self.bands.is_none() {
            let sizes = [rows.len(), columns.len(), among.len()];
            let (b, out) = (
                self.columns_from(columns.start),
                self.out.from(rows.start, columns.start),
            );
            // SAFETY: the caller's promise.
            return unsafe { multiply(sizes, blocks, a, b, out) };
        }
        let width = PAIR * WIDTH / size_of::<T>();
        for j in columns.clone().step_by(width) {
            let b = self.columns_from(j);
            let j = j..columns.end.min(j + width);
            for i in rows.clone().step_by(GRAIN) {
                let (done, i) = (i - rows.start, i..rows.end.min(i + GRAIN));
                let out = self.out.from(i.start, j.start);
                let sizes = [i.len(), j.len()];
                let terms = self.terms(i, j.clone());
                // SAFETY: these rows, columns and terms are inside, and packed ones where they are looked for.
                unsafe {
                    if terms.is_empty() {
                        clear(sizes, out);
                        continue;
                    }
                    let skipped = terms.start - among.start;
                    let a = match blocks.left {
                        true => a.skip(done * among.len() + skipped * PANEL),
                        false => a.from(done, skipped),
                    };
                    let sizes = [sizes[0], sizes[1], terms.len()];
                    multiply(sizes, blocks, a, b.from(terms.start, 0), out);
                }
            }
        }
    }

    /// The terms that are not left out for all of some rows and columns.
    fn terms(&self, rows: Range<usize>, columns: Range<usize>) -> Range<usize> {
        let ([_, _, count], [column, term]) = (self.sizes, self.at);
        let Some(bands) = self.bands else {
            return 0..count;
        };
        let columns = column + columns.start..column + columns.end;
        let terms = bands.terms(rows, columns);
        let from = terms.start.clamp(term, term + count) - term;
        let to = terms.end.clamp(term, term + count) - term;
        from..to.max(from)
    }

    /// The right matrix from a column on that begins a panel.
    fn columns_from(&self, first: usize) -> Place<T> {
        match self.blocks.right {
            true => self.b.skip(first * self.sizes[2]),
            false => self.b.from(0, first),
        }
    }
}
