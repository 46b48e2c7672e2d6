//! Times calls.

use std::time::Instant;

/// Calls shorter than this are timed several at a time.
const BATCH_SECONDS: f64 = 5e-4;
/// A first call longer than this needs no warming up, and counts.
const LONG_SECONDS: f64 = 0.05;

/// The seconds of a call: the median over calls, or batches of short ones, that fill `seconds`. The
/// first call finds caches as another process left them and does not count, unless it is long.
pub fn burst<E>(seconds: f64, mut call: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let start = Instant::now();
    call()?;
    let one = start.elapsed().as_secs_f64();
    let mut samples = Vec::new();
    if one >= LONG_SECONDS {
        samples.push(one);
    }
    let batch = ((BATCH_SECONDS / one.max(1e-9)) as usize).clamp(1, 100_000);
    let start = Instant::now();
    while samples.is_empty() || (one + start.elapsed().as_secs_f64() < seconds) {
        let begin = Instant::now();
        for _ in 0..batch {
            call()?;
        }
        samples.push(begin.elapsed().as_secs_f64() / batch as f64);
    }
    Ok(median(&samples))
}

/// The middle of numbers, or the mean of the two in the middle; NaN where there are none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (at(middle.wrapping_sub(1)) + at(middle)) / 2.0,
        _ => at(middle),
    }
}

#[cfg(test)]
mod tests {
    use super::{burst, median};
    use std::time::Duration;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_burst_times_one_call() {
        let call = || {
            std::thread::sleep(Duration::from_millis(3));
            Ok::<(), ()>(())
        };
        let seconds = burst(0.02, call).unwrap();
        assert!((0.003..0.1).contains(&seconds), "{seconds}");
        assert_eq!(burst(0.1, || Err::<(), i32>(7)), Err(7));
    }
}
