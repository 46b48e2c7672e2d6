//! What the steps of a plan take, as a table.

use std::collections::HashSet;
use std::fmt::Write as _;

use cotangent_array::Array;
use cotangent_cpu::Program;
use cotangent_view::ViewError;

/// Steps beyond this many are summed up in one line, the cheapest of them.
const MOST_LINES: usize = 40;

/// Runs a program several times, and lists its steps in order with their times, the share of the whole, and what
/// they compute and move in a second. Where there are many, only those that take most are listed.
pub fn table(program: &Program, inputs: &[Array]) -> Result<String, ViewError> {
    let cost = cotangent_view::cost(program, inputs)?;
    let times: Vec<f64> = cost.steps.iter().map(|s| s.seconds).collect();
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|a, b| times[*b].total_cmp(&times[*a]));
    let listed: HashSet<usize> = order.into_iter().take(MOST_LINES).collect();
    let whole: f64 = times.iter().sum();
    let share = |seconds: f64| 100.0 * seconds / whole.max(1e-12);
    let mut text = format!(
        "{:>12} {:>6} {:>10} {:>10}  step\n",
        "median", "share", "GFLOP/s", "GB/s"
    );
    // Writing to a String cannot fail.
    let (mut others, mut seconds) = (0, 0.0);
    for (i, step) in cost.steps.iter().enumerate() {
        if !listed.contains(&i) {
            (others, seconds) = (others + 1, seconds + step.seconds);
            continue;
        }
        let rate = |count: u64| count as f64 / step.seconds.max(1e-12) / 1e9;
        let place = step
            .place
            .as_ref()
            .map_or_else(String::new, |p| format!("  {p}"));
        let _ = writeln!(
            text,
            "{:>12} {:>5.1}% {:>10.2} {:>10.2}  {}{place}",
            duration(step.seconds),
            share(step.seconds),
            rate(step.operations),
            rate(step.bytes),
            step.label,
        );
    }
    if others > 0 {
        let (time, share) = (duration(seconds), share(seconds));
        let _ = writeln!(text, "{time:>12} {share:>5.1}% {:>23} {others} more", "");
    }
    let _ = writeln!(
        text,
        "{:>12} {:>6} {:>10.2} {:>10.2}  all, over {} runs (this machine: {:.0} GFLOP/s, {:.0} GB/s)",
        duration(cost.seconds),
        "",
        cost.steps.iter().map(|s| s.operations).sum::<u64>() as f64 / cost.seconds.max(1e-12) / 1e9,
        cost.steps.iter().map(|s| s.bytes).sum::<u64>() as f64 / cost.seconds.max(1e-12) / 1e9,
        cost.runs,
        cost.peak_operations / 1e9,
        cost.peak_bytes / 1e9
    );
    Ok(text)
}

/// A time in the unit that suits it.
pub fn duration(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.1} us", seconds * 1e6)
    } else {
        format!("{:.3} ms", seconds * 1e3)
    }
}
