//! Threads that help a caller with parts of its work.
//!
//! A caller opens its work, takes parts itself until none is left, and then waits only for workers that
//! have begun a part: one that sleeps, that the system does not run, or that could not be started costs
//! nothing but its help. There is one pool for the process. It does the work of one caller at a time; a
//! caller that finds it busy works alone, so callers may nest and may come from any number of threads.
//!
//! What a part computes must not depend on who takes it, nor on when; then results do not depend on the
//! number of threads. Cuts that show in the bits (chunks of a sum) follow from shapes alone.
//!
//! # How a caller and its workers meet
//! All that they share stands in one cache line ([`Open`]): a `state` of three numbers (which work, whether
//! it is open, how many workers are in it), the work, and the `ends` from which parts are taken.
//! 1. The caller, who holds `taken`, writes the work and then opens it with a new number (release).
//! 2. A worker enters by a compare-and-swap of the state that it has seen open (acquire): so it counts
//!    itself exactly if that very work is still open, and sees what the caller wrote before. Only inside
//!    does it read the work or touch `ends`.
//!    One that runs on the caller's core goes to another first, or stays out if there is none.
//! 3. Caller and workers take parts with one addition each: the caller from the front, the workers from the
//!    back. Together they take every part once, the caller all that workers leave.
//! 4. The caller closes the work, after which nobody enters, and waits until nobody is inside. A worker
//!    leaves by its last touch of the state (release), which the caller reads (acquire): what the parts
//!    wrote is then seen by the caller.
//!
//! The work is a borrow of the caller's stack. It is read between 2 and the worker's leaving alone, and
//! the caller does not return before 4 is over, not even by unwinding: parts catch their panics.

mod account;
mod team;
mod work;

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::system;

use account::Account;
pub(crate) use team::{Shared, Team, default_threads, parts_since, share};
pub(crate) use work::{dividable, nanoseconds, nanoseconds_of_bytes};

/// The most threads that work on one thing.
pub(crate) const MOST: usize = 64;
/// Work of so many nanoseconds is divided. They are estimated high: it is about two thousand.
pub(crate) const DIVIDE: u64 = 5_000;

/// How often an idle worker looks for work before it sleeps, some 50 microseconds; not at all where there
/// are more threads than cores.
const IDLE_LOOKS: u32 = 4_000;
/// After so many looks it sees whether it keeps the caller from its core.
const CORE_LOOKS: u32 = 100;
/// How long a caller looks whether its workers are done before it sleeps: twice as long as a part takes, but
/// at least and at most so long. Waking it takes as long as the shortest.
const JOIN: [Duration; 2] = [Duration::from_micros(20), Duration::from_micros(200)];
/// How often it looks between looks at the clock.
const JOIN_LOOKS: u32 = 50;
/// What it costs a caller that a worker begins on its core, about: it is put aside, and the worker moves away.
const CROWDED: u64 = 20_000;

/// Parts of some work: called with the number of a part and of the thread that takes it.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// The pool of the process.
pub(crate) struct Pool {
    open: Open,
    /// Whether some caller has the pool.
    taken: AtomicBool,
    /// Whether the caller sleeps until workers are done.
    waiting: AtomicBool,
    done: (Mutex<()>, Condvar),
    /// Workers that were started, and whether no more can be.
    started: AtomicUsize,
    exhausted: AtomicBool,
    /// How many threads the machine runs at once for this process; 0 before that is known.
    cores: AtomicUsize,
    /// How often idle workers look for work.
    looks: AtomicU32,
    seats: [Seat; MOST],
    account: Account,
    birth: OnceLock<Instant>,
}

/// A worker: its thread, and whether it sleeps.
struct Seat {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

/// The work that is done, in a line of its own.
#[repr(align(64))]
struct Open {
    state: AtomicU64,
    /// How many parts the caller has taken from the front (the upper half), the workers from the back.
    ends: AtomicU64,
    parts: AtomicUsize,
    /// The core on which the caller ran when it opened the work or ended a part of it, or [`UNKNOWN`].
    core: AtomicU32,
    work: UnsafeCell<Option<*const Work<'static>>>,
}

// SAFETY: `work` is written by the caller that holds `taken`, while the work is closed and nobody is inside,
// and read by those inside; the module's text says what orders the two. All else is atomic.
unsafe impl Sync for Pool {}
// SAFETY: the address in `work` is used by those inside alone, for whom it is valid on any thread.
unsafe impl Send for Pool {}

/// The core of a caller where the system does not say.
const UNKNOWN: u32 = u32::MAX;

/// The state of the work: its number, for how many threads it is, whether it is open, and how many
/// workers are inside.
#[derive(Clone, Copy)]
struct State(u64);

impl State {
    const INSIDE: u64 = 0xFF;
    const OPEN: u64 = 1 << 8;

    fn opened(number: u64, threads: usize) -> State {
        State(number << 16 | (threads as u64 & 0x7F) << 9 | State::OPEN)
    }

    fn number(self) -> u64 {
        self.0 >> 16
    }

    fn threads(self) -> usize {
        (self.0 >> 9 & 0x7F) as usize
    }

    fn is_open(self) -> bool {
        self.0 & State::OPEN != 0
    }

    fn inside(self) -> u64 {
        self.0 & State::INSIDE
    }
}

static POOL: Pool = Pool::new();

impl Pool {
    const fn new() -> Pool {
        Pool {
            open: Open {
                state: AtomicU64::new(0),
                ends: AtomicU64::new(0),
                parts: AtomicUsize::new(0),
                core: AtomicU32::new(UNKNOWN),
                work: UnsafeCell::new(None),
            },
            taken: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            done: (Mutex::new(()), Condvar::new()),
            started: AtomicUsize::new(0),
            exhausted: AtomicBool::new(false),
            cores: AtomicUsize::new(0),
            looks: AtomicU32::new(0),
            seats: [const {
                Seat {
                    thread: OnceLock::new(),
                    asleep: AtomicBool::new(false),
                }
            }; MOST],
            account: Account::new(),
            birth: OnceLock::new(),
        }
    }

    /// The pool of this process, which never ends.
    pub(crate) fn get() -> &'static Pool {
        &POOL
    }

    /// How many threads work together where so many are allowed: no more than the machine runs at once.
    pub(crate) fn threads(&self, allowed: usize) -> usize {
        let mut cores = self.cores.load(Ordering::Relaxed);
        if cores == 0 {
            cores = std::thread::available_parallelism().map_or(1, usize::from);
            self.cores.store(cores, Ordering::Relaxed);
        }
        allowed.clamp(1, cores.clamp(1, MOST))
    }

    /// Does all parts of some work, fewer than 2^32, with at most so many threads, the caller one of them.
    /// Workers that sleep are woken if `wake` says so; a part takes about `each`. `work` must not unwind.
    ///
    /// Returns whether it was done: a caller that finds the pool busy does it alone.
    fn run(
        &'static self,
        threads: usize,
        parts: usize,
        each: Duration,
        wake: bool,
        work: &Work<'_>,
    ) -> bool {
        let threads = self.threads(threads);
        let start = self.now();
        if threads == 1
            || self.account.rests(start)
            || self.taken.load(Ordering::Relaxed)
            || self.taken.swap(true, Ordering::Acquire)
        {
            return false;
        }
        if !self.account.settle(start) {
            self.taken.store(false, Ordering::Release);
            return false;
        }
        if self.started.load(Ordering::Relaxed) < threads - 1 {
            self.start(threads - 1);
        }
        let number = State(self.open.state.load(Ordering::Relaxed)).number();
        self.open.ends.store(0, Ordering::Relaxed);
        self.open.parts.store(parts, Ordering::Relaxed);
        self.open.runs_here();
        // SAFETY: whoever holds `taken` writes here, and nobody is inside: the last caller has waited
        // for that, and the work is closed. The lifetime is forgotten; `wait` below keeps it.
        unsafe {
            let work = std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work);
            *self.open.work.get() = Some(work);
        }
        let state = State::opened(number.wrapping_add(1) & (u64::MAX >> 16), threads);
        let mut begun = start;
        if wake {
            // Workers first say that they sleep and then look for work; this is the other half.
            self.open.state.store(state.0, Ordering::SeqCst);
            self.wake(threads - 1);
            begun = self.now();
        } else {
            self.open.state.store(state.0, Ordering::Release);
        }
        let mut own = 0;
        while let Some(part) = self.open.take_front(parts) {
            work(part, 0);
            own += 1;
            self.open.runs_here();
        }
        let done = self.now();
        let mut end = done;
        let closed = State(self.open.state.fetch_and(!State::OPEN, Ordering::AcqRel));
        if closed.inside() > 0 {
            self.wait(each);
            end = self.now();
        }
        if own > 0 {
            let alone = (done - begun) as f64 * parts as f64 / f64::from(own);
            self.account.enter(alone as i64 - (end - start) as i64, end);
        }
        self.taken.store(false, Ordering::Release);
        true
    }

    /// Whether callers work alone for so many nanoseconds from now on.
    fn rests_for(&self, work: u64) -> bool {
        self.account.rests(self.now().saturating_add(work))
    }

    /// Wakes the workers for a caller that will soon have work for them.
    fn rouse(&'static self, threads: usize) {
        let start = self.now();
        if !self.account.rests(start) && self.wake(self.threads(threads) - 1) {
            let took = self.now().saturating_sub(start);
            self.account.owe(took);
        }
    }

    /// Nanoseconds since the pool was first used.
    fn now(&self) -> u64 {
        let birth = self.birth.get_or_init(Instant::now);
        u64::try_from(birth.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Waits until nobody is inside the closed work, of which a part takes about `each`.
    fn wait(&self, each: Duration) {
        let inside = |order| State(self.open.state.load(order)).inside() > 0;
        let start = Instant::now();
        let looks = (each * 2).clamp(JOIN[0], JOIN[1]);
        while start.elapsed() < looks {
            for _ in 0..JOIN_LOOKS {
                if !inside(Ordering::Acquire) {
                    return;
                }
                spin_loop();
            }
        }
        // Sleeping leaves the core to a worker that waits for one.
        let (lock, signal) = &self.done;
        let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker first leaves and then looks whether somebody waits: one of the two sees the other.
        self.waiting.store(true, Ordering::SeqCst);
        while inside(Ordering::SeqCst) {
            guard = signal.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting.store(false, Ordering::Relaxed);
    }

    /// Starts workers until there are so many, if the system lets it. The caller holds `taken`.
    #[cold]
    fn start(&'static self, workers: usize) {
        while !self.exhausted.load(Ordering::Relaxed) {
            let seat = self.started.load(Ordering::Relaxed);
            if seat >= workers {
                return;
            }
            let thread = std::thread::Builder::new()
                .name(format!("cotangent-{}", seat + 1))
                .spawn(move || self.serve(seat));
            match (thread, self.seats.get(seat)) {
                (Ok(handle), Some(place)) => {
                    // Nobody else has set it, since workers are started one after another.
                    let _ = place.thread.set(handle.thread().clone());
                    self.started.store(seat + 1, Ordering::Release);
                    let cores = std::thread::available_parallelism().map_or(1, usize::from);
                    let looks = if seat + 1 < cores { IDLE_LOOKS } else { 0 };
                    self.looks.store(looks, Ordering::Relaxed);
                }
                _ => self.exhausted.store(true, Ordering::Relaxed),
            }
        }
    }

    /// Wakes so many workers; whether one of them slept.
    fn wake(&self, workers: usize) -> bool {
        let (mut slept, started) = (false, self.started.load(Ordering::Acquire));
        for seat in self.seats.iter().take(workers.min(started)) {
            if seat.asleep.load(Ordering::SeqCst)
                && seat.asleep.swap(false, Ordering::SeqCst)
                && let Some(thread) = seat.thread.get()
            {
                thread.unpark();
                slept = true;
            }
        }
        slept
    }

    /// The life of a worker, which is thread `seat + 1` of those that work together.
    fn serve(&self, seat: usize) {
        let thread = seat + 1;
        let (mut known, mut looks) = (0, 0);
        let mut cores = system::Cores::default();
        loop {
            let state = State(self.open.state.load(Ordering::Acquire));
            if state.is_open() && state.number() != known {
                known = state.number();
                if thread < state.threads() && self.comes_apart(&mut cores) && self.enter(state) {
                    self.help(thread, &mut cores);
                    looks = 0;
                }
            } else if looks < self.looks.load(Ordering::Relaxed)
                && (!looks.is_multiple_of(CORE_LOOKS) || self.is_apart(&mut cores))
            {
                looks += 1;
                spin_loop();
            } else {
                self.sleep(seat, known);
                looks = 0;
            }
        }
    }

    /// [`Pool::is_apart`], for a worker that has work: where it was not, the caller has lost time by it.
    fn comes_apart(&self, cores: &mut system::Cores) -> bool {
        if self.crowded().is_some() {
            self.account.owe(CROWDED);
        }
        self.is_apart(cores)
    }

    /// Whether this thread, a worker, runs on another core than the caller, who would wait for its core otherwise.
    /// The system may let it begin there, even where others are free; then it goes to one of those it may run on.
    fn is_apart(&self, cores: &mut system::Cores) -> bool {
        self.crowded().is_none_or(|core| cores.leave(core))
    }

    /// The core on which this thread runs, if that is the caller's.
    fn crowded(&self) -> Option<u32> {
        let core = system::current_core()?;
        (core == self.open.core.load(Ordering::Relaxed)).then_some(core)
    }

    /// Counts a worker in, unless the work that it saw open is closed.
    fn enter(&self, seen: State) -> bool {
        let mut now = seen;
        loop {
            let entered = self.open.state.compare_exchange_weak(
                now.0,
                now.0 + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match entered {
                Ok(_) => return true,
                Err(other) => now = State(other),
            }
            if !now.is_open() || now.number() != seen.number() {
                return false;
            }
        }
    }

    /// Takes parts until none is left, or none but the caller's core, and leaves. The worker has entered.
    fn help(&self, thread: usize, cores: &mut system::Cores) {
        let parts = self.open.parts.load(Ordering::Relaxed);
        // SAFETY: a worker that is inside may read the work, and the caller waits until it has left.
        if let Some(work) = unsafe { *self.open.work.get() } {
            while let Some(part) = self.open.take_back(parts) {
                // SAFETY: as above.
                unsafe { (*work)(part, thread) };
                if !self.is_apart(cores) {
                    break;
                }
            }
        }
        self.open.state.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) {
            let (lock, signal) = &self.done;
            // The caller that waits holds the lock from its last look on until it sleeps.
            drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
            signal.notify_all();
        }
    }

    /// Sleeps until woken, unless there is work that the worker does not know.
    fn sleep(&self, seat: usize, known: u64) {
        let Some(seat) = self.seats.get(seat) else {
            return;
        };
        seat.asleep.store(true, Ordering::SeqCst);
        let state = State(self.open.state.load(Ordering::SeqCst));
        if state.is_open() && state.number() != known {
            seat.asleep.store(false, Ordering::SeqCst);
            return;
        }
        while seat.asleep.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }
}

impl Open {
    const FRONT: u64 = 1 << 32;

    /// Notes the core of the caller, who says so itself.
    fn runs_here(&self) {
        let core = system::current_core().unwrap_or(UNKNOWN);
        self.core.store(core, Ordering::Relaxed);
    }

    /// The next part from the front.
    fn take_front(&self, parts: usize) -> Option<usize> {
        let ends = self.ends.fetch_add(Open::FRONT, Ordering::Relaxed);
        let (front, back) = (ends >> 32, ends & 0xFFFF_FFFF);
        (front + back < parts as u64).then_some(front as usize)
    }

    /// The next part from the back.
    fn take_back(&self, parts: usize) -> Option<usize> {
        let ends = self.ends.fetch_add(1, Ordering::Relaxed);
        let (front, back) = (ends >> 32, ends & 0xFFFF_FFFF);
        (front + back < parts as u64).then(|| parts - 1 - back as usize)
    }
}

#[cfg(test)]
mod tests;
