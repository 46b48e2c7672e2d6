//! Values that runs take and give back, such as their memory.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A value for each run that is under way. One run at a time works on the value that stands here, which costs it
/// no lock to give back: a run may be shorter than a few locks. Those beside it take others.
pub(crate) struct Spare<T> {
    /// Whether a run works on the first value.
    busy: AtomicBool,
    first: UnsafeCell<Option<T>>,
    others: Mutex<Vec<T>>,
}

// SAFETY: `busy` lets one thread at a time get at the first value, which may go from thread to thread.
unsafe impl<T: Send> Sync for Spare<T> {}

impl<T> Spare<T> {
    pub(crate) fn new() -> Spare<T> {
        Spare {
            busy: AtomicBool::new(false),
            first: UnsafeCell::new(None),
            others: Mutex::new(Vec::new()),
        }
    }

    /// Does something with a value that nobody else uses meanwhile; makes one if there is none to spare.
    ///
    /// # Errors
    /// Those of `make` and of `run`.
    pub(crate) fn with<R, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
        run: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        if !self.busy.swap(true, Ordering::Acquire) {
            let _free = Free(&self.busy);
            // SAFETY: `busy` was false and is true now, so no other thread is here until it is false again,
            // which `_free` sees to.
            let first = unsafe { &mut *self.first.get() };
            let value = match first {
                Some(value) => value,
                None => first.insert(make()?),
            };
            return run(value);
        }
        let others = || self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = others().pop();
        let mut value = match taken {
            Some(value) => value,
            None => make()?,
        };
        let result = run(&mut value);
        others().push(value);
        result
    }
}

/// Says that nobody is busy when it goes, also where a run panics.
struct Free<'a>(&'a AtomicBool);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_used_again_and_by_one_run_at_a_time() {
        let spare: Spare<Vec<u32>> = Spare::new();
        let make = || Ok::<_, ()>(Vec::new());
        for i in 0..3 {
            let outer = spare.with(make, |outer| {
                outer.push(i);
                let inner = spare.with(make, |inner| {
                    inner.push(10 + i);
                    Ok(inner.len())
                });
                Ok((outer.clone(), inner?))
            });
            assert_eq!(outer, Ok(((0..=i).collect(), i as usize + 1)));
        }
    }

    #[test]
    fn what_fails_or_panics_leaves_it_free() {
        let spare: Spare<u32> = Spare::new();
        assert_eq!(
            spare.with(|| Err("no memory"), |_| Ok(())),
            Err("no memory")
        );
        let panics = std::panic::AssertUnwindSafe(|| {
            let _ = spare.with(
                || Ok::<_, ()>(1),
                |_| -> Result<(), ()> { panic!("inside") },
            );
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        let made = spare.with(|| Ok::<_, ()>(2), |value| Ok(*value));
        assert_eq!(made, Ok(1), "the first value is there again");
    }

    #[test]
    fn threads_never_share_a_value() {
        let spare: Spare<u64> = Spare::new();
        let rounds = 200;
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let _ = spare.with(
                            || Ok::<_, ()>(0),
                            |value| {
                                let before = *value;
                                std::thread::yield_now();
                                *value = before + 1;
                                Ok(())
                            },
                        );
                    }
                });
            }
        });
        let first = spare
            .with(|| Ok::<_, ()>(0), |value| Ok(*value))
            .unwrap_or(0);
        let others: u64 = spare.others.lock().unwrap().iter().sum();
        assert_eq!(first + others, 3 * rounds);
    }
}
