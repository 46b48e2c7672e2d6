//! Where buffers of known lifetimes stand, so that none overlap and the memory is small.

mod greedy;
mod search;

use std::time::{Duration, Instant};

/// Memory that is needed for some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// The first step at which it is needed.
    pub first: u64,
    /// The step from which it is needed no more.
    pub end: u64,
    /// Its bytes.
    pub size: u64,
}

/// An offset for every buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The offset of each buffer.
    pub offsets: Vec<u64>,
    /// The bytes that the buffers take in all: the highest end of one.
    pub height: u64,
    /// The most bytes needed at one step, which no placement can undercut.
    pub load: u64,
    /// Whether a search has shown that no placement is lower.
    pub optimal: bool,
}

/// How long to search for a placement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaceOptions {
    /// A height that is low enough; without one the load is aimed at.
    pub capacity: Option<u64>,
    /// How many partial placements to look at.
    pub nodes: u64,
    /// When to stop even so; a limit makes placements depend on the machine.
    pub time: Option<Duration>,
}

impl Default for PlaceOptions {
    fn default() -> PlaceOptions {
        PlaceOptions {
            capacity: None,
            nodes: 100_000,
            time: Some(Duration::from_secs(1)),
        }
    }
}

/// Why buffers cannot be placed, or are not placed right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A buffer's time ends before it begins.
    #[error("buffer {buffer} is needed from step {first}, and no more from step {end}")]
    Backwards {
        /// The buffer.
        buffer: usize,
        /// The first step at which it is needed.
        first: u64,
        /// The step from which it is not.
        end: u64,
    },
    /// The sizes of all buffers together overflow.
    #[error("the sizes overflow: expected a total of at most {limit}")]
    Overflow {
        /// The largest total.
        limit: u64,
    },
    /// There is not one offset for each buffer.
    #[error("expected {expected} offsets, found {found}")]
    Count {
        /// The number of buffers.
        expected: usize,
        /// The number of offsets.
        found: usize,
    },
    /// Two buffers overlap in time and in memory.
    #[error("buffers {0} and {1} overlap")]
    Overlap(usize, usize),
    /// A buffer ends above the height claimed.
    #[error("buffer {buffer} ends at {end}, above the height of {height}")]
    TooHigh {
        /// The buffer.
        buffer: usize,
        /// Where it ends.
        end: u64,
        /// The height claimed.
        height: u64,
    },
}

/// Places buffers, at best as high as the load: several greedy ways first and, where they leave a
/// gap, a search.
///
/// # Errors
/// Where a buffer's time ends before it begins, or the sizes overflow.
///
/// # Examples
/// ```
/// use cotangent_compile::remat::{Buffer, PlaceOptions, place};
///
/// let buffer = |first, end, size| Buffer { first, end, size };
/// let buffers = [buffer(0, 2, 8), buffer(1, 3, 4), buffer(2, 4, 8)];
/// let placement = place(&buffers, &PlaceOptions::default())?;
/// assert_eq!(placement.height, 12);
/// placement.check(&buffers)?;
/// # Ok::<(), cotangent_compile::remat::PlaceError>(())
/// ```
pub fn place(buffers: &[Buffer], options: &PlaceOptions) -> Result<Placement, PlaceError> {
    let until = options.time.map(|t| Instant::now() + t);
    let limit = i64::MAX as u64 / 4;
    for (buffer, &Buffer { first, end, .. }) in buffers.iter().enumerate() {
        if first > end {
            return Err(PlaceError::Backwards { buffer, first, end });
        }
    }
    let total = buffers
        .iter()
        .try_fold(0_u64, |sum, b| sum.checked_add(b.size));
    if total.is_none_or(|total| total > limit) {
        return Err(PlaceError::Overflow { limit });
    }
    let load = load(buffers);
    let enough = options.capacity.unwrap_or(load).max(load);
    let mut best = greedy::place(buffers, enough);
    let mut optimal = false;
    if best.1 > enough {
        let searched = search::Search::new(buffers).lower(&mut best, enough, options.nodes, until);
        optimal = searched;
    }
    Ok(Placement {
        offsets: best.0,
        height: best.1,
        load,
        optimal: optimal || best.1 == load,
    })
}

impl Placement {
    /// Checks that no two buffers overlap and that all are below the height.
    ///
    /// # Errors
    /// The first buffer or the first two that break a rule.
    pub fn check(&self, buffers: &[Buffer]) -> Result<(), PlaceError> {
        if self.offsets.len() != buffers.len() {
            return Err(PlaceError::Count {
                expected: buffers.len(),
                found: self.offsets.len(),
            });
        }
        let end = |i: usize| self.offsets[i].saturating_add(buffers[i].size);
        for (i, a) in buffers.iter().enumerate() {
            if a.first < a.end && end(i) > self.height {
                return Err(PlaceError::TooHigh {
                    buffer: i,
                    end: end(i),
                    height: self.height,
                });
            }
            for (j, b) in buffers.iter().enumerate().skip(i + 1) {
                let when = a.first.max(b.first) < a.end.min(b.end);
                let place = self.offsets[i].max(self.offsets[j]) < end(i).min(end(j));
                if when && place {
                    return Err(PlaceError::Overlap(i, j));
                }
            }
        }
        Ok(())
    }
}

/// The most bytes needed at one step.
pub(crate) fn load(buffers: &[Buffer]) -> u64 {
    let mut changes: Vec<(u64, bool, u64)> = Vec::with_capacity(2 * buffers.len());
    for b in buffers.iter().filter(|b| b.first < b.end) {
        // What ends at a step makes room for what begins there.
        changes.push((b.first, true, b.size));
        changes.push((b.end, false, b.size));
    }
    changes.sort_unstable();
    let (mut live, mut most) = (0_u64, 0_u64);
    for (_, begins, size) in changes {
        if begins {
            live += size;
        } else {
            live -= size;
        }
        most = most.max(live);
    }
    most
}
