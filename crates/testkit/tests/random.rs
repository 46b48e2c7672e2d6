//! Thousands of random graphs through every check.
//!
//! `COTANGENT_GRAPHS` sets how many (5,000), `COTANGENT_SEED` the base seed, and
//! `COTANGENT_CASE` runs the one case of a seed that a failure named.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use cotangent_testkit::rewrite::operations;
use cotangent_testkit::shrink::describe;
use cotangent_testkit::{Case, Engine, Failure, Rng, Tally, Verdict, check, shrink};

/// Samples of one graph before it is dropped.
const SAMPLES: u64 = 4;

#[test]
fn random_graphs() {
    quiet_panics();
    let start = Instant::now();
    if let Some(seed) = number("COTANGENT_CASE") {
        let mut tally = Tally::default();
        if let Some((case, failure)) = run(seed, &Engine::default(), &mut tally) {
            panic!("{}", report(&case, &failure));
        }
        return;
    }
    let count = number("COTANGENT_GRAPHS").unwrap_or(5_000);
    let base = number("COTANGENT_SEED").unwrap_or(0xc07a);
    let most_failures = number("COTANGENT_FAILURES").unwrap_or(1) as usize;
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let total = Mutex::new((Tally::default(), Vec::<String>::new()));
    let workers = std::thread::available_parallelism()
        .map_or(2, |n| n.get())
        .min(8);
    // Which thread takes a case changes nothing: each is drawn from its own seed.
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let engine = Engine::default();
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    if let Some((case, failure)) = run(Rng::seed(base, at), &engine, &mut tally) {
                        let text = report(&case, &failure);
                        let mut total = total.lock().unwrap();
                        total.1.push(text);
                        stop.store(total.1.len() >= most_failures, Ordering::Relaxed);
                    }
                }
                total.lock().unwrap().0.add(tally);
            });
        }
    });
    let (tally, failures) = total.into_inner().unwrap();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\nrandom graphs, base seed {base}, {:.1?}",
        start.elapsed()
    );
    let _ = write!(text, "{tally}");
    // Written past the capture of test output, because the table is wanted when all is well too.
    let _ = std::io::stderr().write_all(text.as_bytes());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(
        tally.dropped * 10 <= tally.graphs,
        "too many graphs without a stable sample"
    );
    assert!(
        tally.inconclusive * 20 <= tally.differences,
        "too many inconclusive differences"
    );
    if count >= 5_000 {
        let unmet = tally.unmet();
        assert!(
            unmet.is_empty(),
            "operations that no graph met: {}",
            unmet.join(", ")
        );
    }
}

/// The case of a seed through all checks; the shrunk case where one fails.
fn run(seed: u64, engine: &Engine, tally: &mut Tally) -> Option<(Case, Failure)> {
    let drawn = Case::draw(seed);
    for attempt in 0..SAMPLES {
        let case = if attempt == 0 {
            drawn.clone()
        } else {
            drawn.moved(attempt)
        };
        match check(&case, engine, tally) {
            Ok(()) => {
                tally.graphs += 1;
                for name in operations(&case.graph) {
                    *tally.met.entry(name).or_default() += 1;
                }
                return None;
            }
            Err(Verdict::Unstable(_)) => tally.redrawn += 1,
            Err(Verdict::Failed(failure)) => {
                let fails = |c: &Case| {
                    let checked = check(c, engine, &mut Tally::default());
                    matches!(checked, Err(Verdict::Failed(f)) if f.check == failure.check)
                };
                let small = shrink(&case, 2_000, fails);
                // The message of the shrunk case, which has other numbers; and that of the case as
                // drawn, since what is small may fail for a reason of its own.
                let drawn = failure.message.clone();
                let mut failure = match check(&small, engine, &mut Tally::default()) {
                    Err(Verdict::Failed(small)) => small,
                    _ => failure,
                };
                if failure.message != drawn {
                    failure.message = format!("{}\nas drawn: {drawn}", failure.message);
                }
                return Some((small, failure));
            }
        }
    }
    tally.dropped += 1;
    None
}

fn report(case: &Case, failure: &Failure) -> String {
    format!("{failure}\n{}", describe(case))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(parsed.unwrap_or_else(|_| panic!("{name}: expected a number, found {text}")))
}

/// Panics of the code under test are failures of a check, reported after shrinking; a thousand
/// traces on the way there help nobody.
fn quiet_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let named = std::thread::current().name().is_some();
        if named {
            usual(info);
        }
    }));
}
