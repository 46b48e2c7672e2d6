//! The curve of memory against time, as text and as a picture.

use std::fmt::Write as _;
use std::path::Path;

use cotangent_compile::{Options, Point, curve};
use cotangent_graph::Graph;

use crate::failure::Failure;
use crate::files;

/// How many budgets are tried.
const POINTS: usize = 12;
/// The widest bar, in characters.
const BAR: f64 = 40.0;

/// The text of the curve; the picture goes into the file, if one is named, and instead of the text
/// where that is standard output.
pub fn show(graph: &Graph, picture: Option<&Path>) -> Result<String, Failure> {
    let points = curve(graph, &cotangent_cpu::target(), POINTS, &Options::default())?;
    if let Some(path) = picture {
        let data: Vec<(u64, f64)> = (points.iter())
            .map(|p| (p.memory as u64, slowdown(&points, p)))
            .collect();
        let svg = cotangent_view::memory_curve(graph.name(), &data);
        if files::is_standard(path) {
            return Ok(svg);
        }
        files::write(path, svg.as_bytes())?;
    }
    Ok(text(&points))
}

/// Expected time over that of the first point.
fn slowdown(points: &[Point], point: &Point) -> f64 {
    let first = points.first().map_or(1, |p| p.time.max(1));
    point.time as f64 / first as f64
}

fn text(points: &[Point]) -> String {
    let most = points.first().map_or(1, |p| p.memory.max(1)) as f64;
    let mut text = format!(
        "{:>14}  {:>6}  {:>7}  {:>5}\n",
        "bytes", "share", "time", "again"
    );
    for p in points {
        let share = p.memory as f64 / most;
        let bar = "#".repeat((share * BAR).round() as usize);
        let _ = writeln!(
            text,
            "{:>14}  {:>5.1}%  {:>+6.1}%  {:>5}  {bar}",
            p.memory,
            100.0 * share,
            100.0 * (slowdown(points, p) - 1.0),
            p.again,
        );
    }
    text
}
