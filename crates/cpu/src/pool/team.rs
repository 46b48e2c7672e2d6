//! The threads of one run, and how work is cut for them.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::work::{at_least, divides_all};
use super::{DIVIDE, MOST, Pool};
use crate::RunError;

/// Work of so many nanoseconds is worth waking a worker that sleeps, which takes the caller some ten
/// thousand.
const WAKE: u64 = 100_000;
/// Parts for each thread, so that one that comes late or is slow leaves its parts to the others.
const PARTS: u64 = 4;
/// A part takes no longer than so many nanoseconds if that does not make more than [`FINEST`] parts for
/// each thread.
const LONGEST: u64 = 50_000;
const FINEST: u64 = 16;
/// And no less than so many.
const SHORTEST: u64 = 1_000;
/// How long a part is thought to take at most, which says how long its end is waited for.
const LONGEST_ESTIMATE: u64 = 10_000_000;

/// The threads that a run may use: how many, and working memory for all but the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Team {
    /// For so many threads work is cut.
    threads: usize,
    /// At most so many do it, each of which has working memory.
    working: usize,
    spare: *mut u8,
    /// Bytes for each thread.
    each: usize,
}

// SAFETY: the address is that of memory for threads by their numbers; who uses it asks for that of the
// thread it runs on.
unsafe impl Sync for Team {}

impl Team {
    /// The caller alone.
    pub(crate) const ALONE: Team = Team {
        threads: 1,
        working: 1,
        spare: std::ptr::null_mut(),
        each: 0,
    };

    /// A team with working memory: `each` bytes, whole lines of 64, for every thread but the caller from
    /// `spare` on, `working - 1` of them.
    pub(crate) fn new(threads: usize, working: usize, spare: *mut u8, each: usize) -> Team {
        Team {
            threads: threads.clamp(1, MOST),
            working,
            spare,
            each,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The team for a run of about so many nanoseconds that begins now: the caller alone where it would do all parts
    /// itself, since its workers have held it up. What is not cut takes less time than its parts.
    pub(crate) fn at_present(self, work: u64) -> Team {
        match self.threads > 1 && !divides_all() && Pool::get().rests_for(work) {
            true => Team::ALONE,
            false => self,
        }
    }

    /// The team if each of its threads has so many bytes of working memory, and otherwise the caller alone.
    pub(crate) fn with_room(&self, bytes: usize) -> Team {
        match bytes <= self.each {
            true => *self,
            false => Team::ALONE,
        }
    }

    /// How many of the threads may work at a time, and need working memory: fewer where the machine runs
    /// fewer at once.
    pub(crate) fn working(threads: usize) -> usize {
        Pool::get().threads(threads)
    }

    /// In how many parts work of about so many nanoseconds is cut that can be cut in `units`; 1 if it is
    /// not worth it.
    #[inline]
    pub(crate) fn parts(&self, work: u64, units: usize) -> usize {
        let work = at_least(work);
        if self.threads == 1 || work < DIVIDE {
            return 1;
        }
        let threads = self.threads as u64;
        let most = (work / LONGEST).clamp(threads * PARTS, threads * FINEST);
        (work / SHORTEST).min(most).min(units as u64).max(1) as usize
    }

    /// The working memory of a thread: the caller's own is given.
    pub(crate) fn scratch(&self, thread: usize, own: *mut u8) -> *mut u8 {
        match thread.checked_sub(1) {
            None => own,
            Some(other) => self.spare.wrapping_add(other * self.each),
        }
    }

    /// Tells the workers that there will soon be work for them.
    pub(crate) fn rouse(&self, work: u64) {
        if self.threads > 1 && work >= WAKE {
            Pool::get().rouse(self.working);
        }
    }

    /// Calls `f` with the number of every part and the thread that takes it; of the parts that fail or
    /// panic, the error of the first is given. `work` is about how many nanoseconds all of it takes.
    #[inline]
    pub(crate) fn each(
        &self,
        work: u64,
        parts: usize,
        f: impl Fn(usize, usize) -> Result<(), RunError> + Sync,
    ) -> Result<(), RunError> {
        if self.threads > 1 && parts > 1 {
            return self.share(work, parts, &f);
        }
        (0..parts).try_for_each(|part| f(part, 0))
    }

    fn share(
        &self,
        work: u64,
        parts: usize,
        f: &(dyn Fn(usize, usize) -> Result<(), RunError> + Sync),
    ) -> Result<(), RunError> {
        CUT.set(CUT.get().max(parts));
        let first: Mutex<Option<(usize, RunError)>> = Mutex::new(None);
        let part = |part: usize, thread: usize| {
            let result = catch_unwind(AssertUnwindSafe(|| f(part, thread)));
            let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
            if let Err(error) = result {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(known, _)| part < *known) {
                    *first = Some((part, error));
                }
            }
        };
        let each = Duration::from_nanos((work / parts as u64).min(LONGEST_ESTIMATE));
        let shared = parts < u32::MAX as usize
            && Pool::get().run(self.working, parts, each, work >= WAKE, &part);
        if !shared {
            // The caller works alone; what fails comes back as it does from workers.
            let failed = || {
                first
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .is_some()
            };
            for number in 0..parts {
                part(number, 0);
                if failed() {
                    break;
                }
            }
        }
        let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }
}

thread_local! {
    /// The most parts in which this thread cut a piece of work since that was last asked.
    static CUT: Cell<usize> = const { Cell::new(1) };
}

/// The most parts in which the thread that calls cut a piece of work since it last asked; 1 if it cut none.
/// They are counted where they are opened, whoever then comes to take them.
pub(crate) fn parts_since() -> usize {
    CUT.replace(1)
}

fn panicked(panic: &(dyn Any + Send)) -> RunError {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    RunError::Panicked {
        message: text.unwrap_or_else(|| "no message".to_owned()),
    }
}

/// What parts share that is not made for it: addresses of which each part uses places of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(T);

// SAFETY: `new` asks for what makes this sound.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// # Safety
    /// What the parts of some work do through it at the same time touches no place twice, unless all of
    /// them only read it.
    pub(crate) unsafe fn new(value: T) -> Shared<T> {
        Shared(value)
    }

    /// The value; a method, so that closures hold all of this and not just the value.
    #[inline(always)]
    pub(crate) fn get(&self) -> &T {
        &self.0
    }
}

/// The number of threads unless a program is told another: that of the variable `COTANGENT_THREADS`, or
/// else 1, so that a process takes a second core only where it is told to.
pub(crate) fn default_threads() -> usize {
    static DEFAULT: OnceLock<usize> = OnceLock::new();
    *DEFAULT.get_or_init(|| {
        let asked = std::env::var("COTANGENT_THREADS").ok();
        let asked = asked.and_then(|text| text.trim().parse().ok());
        asked.filter(|n| *n > 0).unwrap_or(1).min(MOST)
    })
}

/// What part `part` of `parts` has of so many units.
pub(crate) fn share(units: usize, part: usize, parts: usize) -> Range<usize> {
    let parts = parts.max(1);
    let at = |part: usize| match units.checked_mul(part) {
        Some(all) => all / parts,
        None => (units as u128 * part as u128 / parts as u128) as usize,
    };
    at(part)..at(part + 1)
}
