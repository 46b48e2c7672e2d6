//! Padding.

use super::Table;
use super::tools::{one, pick_along};
use crate::args::{Args, Outs, Stop};

pub const TABLE: Table = &[
    (&["constant_pad_nd"], |a| {
        pad(a, "constant", a.float_or(2, "value", 0.0)?)
    }),
    (&["nn.functional.pad"], |a| {
        let mode = a.text_or(2, "mode", "constant")?;
        pad(a, mode, a.float_or(3, "value", 0.0)?)
    }),
];

/// Widths come in pairs from the last dimension on; negative ones crop.
fn pad(a: &Args, mode: &str, value: f64) -> Outs {
    let mut x = a.x()?;
    let widths = a.ints(1, "pad")?;
    for (k, pair) in widths.chunks(2).enumerate() {
        let [low, high] = *pair else {
            return Err("expected pairs of widths".into());
        };
        if (low, high) == (0, 0) {
            continue;
        }
        let d = x.rank().checked_sub(k + 1).ok_or("too many widths")?;
        let n = x.dim(d) as i64;
        // Circular padding repeats what is left after cropping.
        let (start, left) = (-low.min(0), n + low.min(0) + high.min(0));
        let source = |i: i64| -> Option<i64> {
            match mode {
                "constant" => (0..n).contains(&i).then_some(i),
                "replicate" => Some(i.clamp(0, n - 1)),
                "reflect" if n == 1 => Some(0),
                "reflect" => {
                    let period = 2 * (n - 1);
                    let i = i.rem_euclid(period);
                    Some(i.min(period - i))
                }
                "circular" => Some(start + (i - start).rem_euclid(left.max(1))),
                _ => None,
            }
        };
        if !["constant", "replicate", "reflect", "circular"].contains(&mode) {
            return Err(Stop::Wrong(format!("unknown mode {mode}")));
        }
        let positions: Vec<Option<usize>> = (-low..n + high)
            .map(|i| source(i).and_then(|i| usize::try_from(i).ok()))
            .collect();
        x = pick_along(&x, d, &positions, value)?;
    }
    one(x)
}
