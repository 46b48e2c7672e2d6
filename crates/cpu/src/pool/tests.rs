use std::sync::atomic::AtomicU8;

use super::*;
use crate::RunError;

/// A long estimate, so that work is divided and workers are woken.
const LONG: u64 = 1_000_000;

fn team(threads: usize) -> Team {
    // Any number of threads, whatever the machine.
    Pool::get().cores.store(MOST, Ordering::Relaxed);
    Team::new(threads, threads, std::ptr::null_mut(), 0)
}

fn counts(team: &Team, parts: usize) -> Vec<u8> {
    let counts: Vec<AtomicU8> = (0..parts).map(|_| AtomicU8::new(0)).collect();
    let done = team.each(LONG, parts, |part, thread| {
        assert!(thread < team.threads());
        counts[part].fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    assert!(done.is_ok());
    counts.into_iter().map(AtomicU8::into_inner).collect()
}

#[test]
fn every_part_is_done_once() {
    for threads in [1, 2, 3, 7, MOST, 1000] {
        for parts in [0, 1, 2, 3, 64, 1000] {
            for _ in 0..20 {
                assert_eq!(counts(&team(threads), parts), vec![1; parts]);
            }
        }
    }
}

#[test]
fn work_within_work_is_done() {
    let team = team(3);
    let done = team.each(LONG, 20, |_, _| {
        assert_eq!(counts(&team, 30), vec![1; 30]);
        Ok(())
    });
    assert!(done.is_ok());
}

#[test]
fn many_callers_at_once() {
    std::thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                for round in 0..300 {
                    let parts = 1 + (caller * 7 + round) % 40;
                    let team = team(2 + (caller + round) % 3);
                    assert_eq!(counts(&team, parts), vec![1; parts]);
                }
            });
        }
    });
}

/// Threads write to the stack of the caller, who reads it right after.
#[test]
fn what_parts_wrote_is_seen() {
    let team = team(2);
    for round in 0..2000_usize {
        let mut results = [0; 8];
        // SAFETY: each part writes its own place.
        let shared = unsafe { Shared::new(results.as_mut_ptr()) };
        let done = team.each(LONG, 8, |part, _| {
            // SAFETY: there are as many places as parts.
            unsafe { shared.get().add(part).write(round * part) };
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(results, std::array::from_fn(|part| round * part));
    }
}

fn leaked() -> &'static Pool {
    let pool = Pool::new();
    pool.cores.store(MOST, Ordering::Relaxed);
    Box::leak(Box::new(pool))
}

#[test]
fn no_more_threads_than_cores() {
    let pool = leaked();
    assert_eq!([0, 1, 5, 1000].map(|n| pool.threads(n)), [1, 1, 5, MOST]);
    pool.cores.store(1, Ordering::Relaxed);
    assert_eq!(pool.threads(8), 1);
    assert!(!pool.run(8, 3, Duration::ZERO, true, &|_: usize, _: usize| {}));
    assert_eq!(pool.started.load(Ordering::Relaxed), 0);
}

/// A pool whose workers never come: there are none, though it counts three.
#[test]
fn a_starved_pool_does_everything_with_the_caller() {
    let pool = leaked();
    pool.started.store(3, Ordering::Relaxed);
    for seat in &pool.seats {
        seat.asleep.store(true, Ordering::Relaxed);
    }
    for round in 0..1000 {
        let sum = AtomicUsize::new(0);
        let work = |part: usize, thread: usize| {
            assert_eq!(thread, 0);
            sum.fetch_add(part, Ordering::Relaxed);
        };
        assert!(pool.run(4, 100, Duration::ZERO, round % 2 == 0, &work));
        assert_eq!(sum.into_inner(), 4950);
        // Otherwise callers would soon leave it alone.
        pool.account.balance.store(0, Ordering::Relaxed);
    }
}

#[test]
fn a_worker_that_is_late_does_not_enter() {
    let pool = leaked();
    pool.started.store(3, Ordering::Relaxed);
    let work = |_: usize, _: usize| {};
    let mut seen = State(0);
    let look = |_: usize, _: usize| {
        assert!(State(pool.open.state.load(Ordering::Relaxed)).is_open());
    };
    assert!(pool.run(4, 1, Duration::ZERO, false, &look));
    for _ in 0..3 {
        let during = State(pool.open.state.load(Ordering::Relaxed) | State::OPEN);
        // The work that it saw is over; then there is another one.
        assert!(!pool.enter(during));
        assert!(pool.run(4, 1, Duration::ZERO, false, &work));
        assert!(!pool.enter(during));
        assert_ne!(during.number(), seen.number());
        seen = during;
    }
    assert_eq!(State(pool.open.state.load(Ordering::Relaxed)).inside(), 0);
}

/// A busy pool is refused, and is free again when its caller is done.
#[test]
fn a_busy_pool_is_left_alone() {
    let pool = leaked();
    pool.started.store(3, Ordering::Relaxed);
    let work = |_: usize, _: usize| {
        assert!(!pool.run(2, 1, Duration::ZERO, false, &|_: usize, _: usize| {}));
    };
    assert!(pool.run(2, 3, Duration::ZERO, false, &work));
    assert!(pool.run(2, 3, Duration::ZERO, false, &work));
}

#[test]
fn panics_and_errors_come_back_as_the_first_of_them() {
    let team = team(3);
    for first in [3, 10, 39] {
        let result = team.each(LONG, 40, |part, _| {
            if part > first && part % 2 == 0 {
                return Err(RunError::Plan(format!("part {part}")));
            }
            assert!(part < first, "part {part} is odd");
            Ok(())
        });
        let Err(RunError::Panicked { message }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(message, format!("part {first} is odd"));
    }
    assert_eq!(counts(&team, 50), vec![1; 50]);
}

#[test]
fn short_work_is_not_divided() {
    assert_eq!(team(4).parts(DIVIDE - 1, 1000), 1);
    assert_eq!(team(1).parts(LONG, 1000), 1);
    assert_eq!(team(4).parts(LONG, 3), 3);
    // Parts of a microsecond.
    assert_eq!(team(2).parts(DIVIDE, 1000) as u64, DIVIDE / 1000);
    assert!(team(2).parts(1000 * LONG, 1000) >= 8);
}

#[test]
fn a_worker_leaves_the_core_of_its_caller() {
    let moved = std::thread::spawn(|| {
        let mut cores = system::Cores::default();
        // There may be one core alone, or a system that lets no thread choose.
        for _ in 0..3 {
            if let Some(core) = system::current_core()
                && cores.leave(core)
            {
                assert_ne!(system::current_core(), Some(core));
            }
        }
    });
    moved.join().unwrap();
}
