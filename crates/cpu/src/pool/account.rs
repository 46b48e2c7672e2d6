//! What callers gain and lose by their workers, and when they work alone.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// So many nanoseconds of loss are borne before callers work alone for a while, and so many of gain are
/// remembered: what now and then disturbs one run in many does not end a gain.
const DEBT: i64 = 100_000;
const CREDIT: i64 = 2_000_000;
/// Callers work alone for so many times what was lost,
const REST: u64 = 16;
/// and at most for so many nanoseconds.
const LONGEST_REST: u64 = 500_000_000;
/// The most that is taken into account at a time: several workers may come at once.
const MOST_OWED: u64 = 200_000;

/// What callers gained by their workers, in nanoseconds. Where something else runs on a worker's core, a
/// caller waits for it longer than the work would take alone; then it does better to leave it be. So it does where
/// the system lets workers run on the caller's own core, as none is free: what they do there the caller does not.
pub(super) struct Account {
    /// Gains less losses, at most [`CREDIT`].
    pub(super) balance: AtomicI64,
    /// Until when callers work alone, since `birth`, and for how long that was.
    until: AtomicU64,
    rest: AtomicU64,
    /// What callers lost otherwise since one last looked: to wake workers before there was work for them, and to
    /// workers that found themselves on the caller's core.
    owed: AtomicU64,
}

impl Account {
    pub(super) const fn new() -> Account {
        Account {
            balance: AtomicI64::new(0),
            until: AtomicU64::new(0),
            rest: AtomicU64::new(0),
            owed: AtomicU64::new(0),
        }
    }

    /// Notes a loss, from any thread.
    pub(super) fn owe(&self, nanoseconds: u64) {
        self.owed.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Takes what is owed into account; whether workers are worth it then. The caller holds `taken`.
    pub(super) fn settle(&self, now: u64) -> bool {
        let owed = self.owed.swap(0, Ordering::Relaxed);
        if owed > 0 {
            self.enter(-(owed.min(MOST_OWED) as i64), now);
        }
        !self.rests(now)
    }

    /// Whether callers work alone.
    pub(super) fn rests(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Relaxed)
    }

    /// Adds a gain or a loss. The caller holds `taken`.
    pub(super) fn enter(&self, gain: i64, now: u64) {
        let balance = self.balance.load(Ordering::Relaxed).saturating_add(gain);
        if balance >= -DEBT {
            let kept = balance.min(CREDIT);
            return self.balance.store(kept, Ordering::Relaxed);
        }
        // Losses soon after a rest say that nothing has changed, so the next one is longer.
        let (last, until) = (&self.rest, &self.until);
        let last_rest = last.load(Ordering::Relaxed);
        let since = now.saturating_sub(until.load(Ordering::Relaxed));
        let again = if since < 2 * last_rest {
            2 * last_rest
        } else {
            0
        };
        let rest = balance
            .unsigned_abs()
            .saturating_mul(REST)
            .max(again)
            .min(LONGEST_REST);
        last.store(rest, Ordering::Relaxed);
        until.store(now.saturating_add(rest), Ordering::Relaxed);
        self.balance.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses lead to a rest, further ones soon after it to a longer one; gains do not pile up.
    #[test]
    fn an_account_of_losses_and_gains() {
        let account = &Account::new();
        for now in 0..100 {
            account.enter(CREDIT, now);
        }
        account.enter(-CREDIT - DEBT, 100);
        assert!(!account.rests(101));
        account.enter(-1, 200);
        let rest = (DEBT + 1) as u64 * REST;
        assert!(account.rests(200 + rest - 1) && !account.rests(200 + rest));
        let now = 200 + rest + 5;
        account.enter(-DEBT - 1, now);
        assert!(account.rests(now + 2 * rest - 1) && !account.rests(now + 2 * rest));
        // Long after, a loss is the first again.
        let now = now + 10 * rest;
        account.enter(-DEBT - 1, now);
        assert!(!account.rests(now + rest));
        account.enter(i64::MIN, now + rest);
        assert!(!account.rests(now + rest + LONGEST_REST));
    }

    #[test]
    fn what_is_owed_is_a_loss() {
        let account = Account::new();
        account.enter(50_000, 1);
        account.owe(40_000);
        assert!(account.settle(2));
        // More than is borne: callers work alone for a while, and begin anew then.
        account.owe(1_000_000);
        assert!(!account.settle(3) && account.rests(4));
        assert!(account.settle(u64::MAX));
    }
}
