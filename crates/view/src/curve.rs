//! Memory against time.

use std::fmt::Write as _;

use crate::text::{bytes, escape};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Left, top, right and bottom of the plot.
const PLOT: (f64, f64, f64, f64) = (80.0, 56.0, 690.0, 360.0);

/// Draws expected time over memory as SVG: one point for each budget, as bytes and as a multiple of
/// the time without a budget. Points that are not finite are left out.
pub fn memory_curve(name: &str, points: &[(u64, f64)]) -> String {
    let points: Vec<(u64, f64)> = points.iter().copied().filter(|p| p.1.is_finite()).collect();
    let most = points.iter().map(|p| p.0).max().unwrap_or(1).max(1) as f64;
    let slowest = points.iter().map(|p| p.1).fold(1.0, f64::max);
    let ticks = ticks(slowest);
    let top = ticks.last().copied().unwrap_or(2.0);
    let (left, up, right, down) = PLOT;
    let x = |n: f64| left + (right - left) * n / most;
    let y = |t: f64| down - (down - up) * (t - 1.0) / (top - 1.0);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>Memory and time of {0}</title>\n\
         <style>.page {{ fill: #fff }} text {{ fill: #24292f }} .faint {{ fill: #57606a }} \
         .grid {{ stroke: #d0d7de }} .line {{ stroke: #0969da; fill: none }} .dot {{ fill: #0969da }} \
         @media (prefers-color-scheme: dark) {{ .page {{ fill: #0d1117 }} text {{ fill: #e6edf3 }} \
         .faint {{ fill: #8b949e }} .grid {{ stroke: #30363d }} .line {{ stroke: #58a6ff }} \
         .dot {{ fill: #58a6ff }} }}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text x=\"{left}\" y=\"30\" font-size=\"16\" font-weight=\"600\">{0}: time for memory</text>\n",
        escape(name)
    );
    for tick in &ticks {
        let at = y(*tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
             <text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:+.0} %</text>",
            left - 10.0,
            at + 4.0,
            100.0 * (tick - 1.0)
        );
    }
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let at = x(share * most);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{up}\" x2=\"{at:.1}\" y2=\"{down}\"/>\
             <text class=\"faint\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            down + 20.0,
            bytes((share * most) as u64)
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">memory of a run, inputs \
         and results included</text>",
        f64::midpoint(left, right),
        down + 44.0
    );
    let corners: Vec<String> = (points.iter())
        .map(|(n, t)| format!("{:.1},{:.1}", x(*n as f64), y(*t)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline class=\"line\" stroke-width=\"2\" points=\"{}\"/>",
        corners.join(" ")
    );
    for (n, t) in &points {
        let _ = writeln!(
            svg,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{}, {:+.1} % time</title></circle>",
            x(*n as f64),
            y(*t),
            bytes(*n),
            100.0 * (t - 1.0)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Round multiples from 1 up to the first that is not below `most`.
fn ticks(most: f64) -> Vec<f64> {
    let span = (most - 1.0).max(0.02);
    let power = 10_f64.powf((span / 4.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let step = steps.into_iter().find(|s| span / s <= 5.0).unwrap_or(span);
    let count = (span / step).ceil().max(1.0) as usize;
    (0..=count).map(|k| 1.0 + k as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_inside_the_plot() {
        let svg = memory_curve(
            "a<b",
            &[(1000, 1.0), (600, 1.13), (300, 2.4), (1, f64::NAN)],
        );
        assert!(svg.contains("a&lt;b: time for memory"));
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("cx=\"690.0\" cy=\"360.0\""));
    }

    #[test]
    fn ticks_cover_the_slowest() {
        assert_eq!(ticks(1.0).len(), 5);
        for most in [1.001, 1.05, 1.3, 2.0, 7.7] {
            let ticks = ticks(most);
            assert!((2..8).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.last().is_some_and(|t| *t >= most - 1e-9));
        }
    }
}
