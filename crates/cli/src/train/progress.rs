//! How far training is: a bar and curves on a terminal, a line for each epoch elsewhere. All on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::chart::{self, Curve};
use super::model::Score;
use super::prepare::Prepared;

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);
/// Cells of the bar: the whole line fits into 80 columns.
const WIDTH: usize = 10;

/// Counts rows and draws.
pub struct Progress {
    start: Instant,
    drawn: Option<Instant>,
    terminal: bool,
    /// Epochs that were done before the start, and all.
    epochs: (u64, u64),
    /// Rows of an epoch, and those seen since the start.
    per_epoch: usize,
    seen: u64,
    last: String,
    /// Losses and results, over epochs; of the rows trained on and those of validation.
    curves: Curves,
    /// How many lines the last drawing took; the next one stands in their place.
    lines: usize,
}

#[derive(Default)]
struct Curves {
    loss: Vec<f64>,
    result: Vec<f64>,
    validation_loss: Vec<f64>,
    validation_result: Vec<f64>,
    /// What the result is called.
    name: &'static str,
}

/// Lines of the curves.
const HEIGHT: usize = 7;
/// A terminal of fewer columns or lines shows the bar alone.
const LEAST: (usize, usize) = (80, 14);
/// The widest that two curves beside one another are.
const WIDEST: usize = 120;
/// Colours of a terminal: rows trained on are blue, those of validation yellow.
const COLORS: [u8; 2] = [34, 33];

impl Progress {
    /// Starts to count, with so many epochs done of all.
    pub fn new(done: u64, epochs: u64, per_epoch: usize) -> Progress {
        Progress {
            start: Instant::now(),
            drawn: None,
            terminal: std::io::stderr().is_terminal(),
            epochs: (done, epochs),
            per_epoch,
            seen: 0,
            last: String::new(),
            curves: Curves::default(),
            lines: 0,
        }
    }

    /// Some rows more, with the score of the epoch so far.
    pub fn rows(&mut self, rows: usize, score: &Score, prepared: &Prepared) {
        self.seen += rows as u64;
        if self.terminal && self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            self.drawn = Some(Instant::now());
            self.last = scores(score, None, prepared, SHORT);
            self.draw();
        }
    }

    /// The end of an epoch.
    pub fn epoch(
        &mut self,
        epoch: u64,
        score: &Score,
        validation: Option<&Score>,
        prepared: &Prepared,
    ) {
        let curves = &mut self.curves;
        curves.name = if prepared.labels.is_some() {
            "accuracy"
        } else {
            "rmse"
        };
        curves.loss.push(score.loss());
        curves.result.push(score.result(prepared));
        if let Some(validation) = validation {
            curves.validation_loss.push(validation.loss());
            curves.validation_result.push(validation.result(prepared));
        }
        let names = if self.terminal { SHORT } else { LONG };
        self.last = scores(score, validation, prepared, names);
        if self.terminal {
            self.draw();
            return;
        }
        let (width, rate) = (self.epochs.1.to_string().len(), self.rate());
        say(&format!(
            "epoch {epoch:>width$}/{}  {}  {rate:.0} samples/s\n",
            self.epochs.1, self.last
        ));
    }

    /// Leaves what is drawn as it is.
    pub fn end(&self) {
        if self.terminal && !self.last.is_empty() && self.lines == 0 {
            say("\n");
        }
    }

    fn rate(&self) -> f64 {
        self.seen as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }

    fn draw(&mut self) {
        let (before, all) = self.epochs;
        let to_see = (all - before) as f64 * self.per_epoch as f64;
        let share = (before as f64 + self.seen as f64 / self.per_epoch.max(1) as f64)
            / (all as f64).max(1.0);
        let full = ((share * WIDTH as f64) as usize).min(WIDTH);
        let left = (to_see - self.seen as f64).max(0.0) / self.rate().max(1e-9);
        let bar = format!(
            "[{}{}] {:3.0}% {} {:.0} samples/s {} left",
            "#".repeat(full),
            ".".repeat(WIDTH - full),
            share * 100.0,
            self.last,
            self.rate(),
            duration(left)
        );
        let lines = self.lines();
        if lines.is_empty() {
            say(&format!("\r{bar}\x1b[K"));
            self.lines = 0;
            return;
        }
        // Up to where the last drawing began, if there is one, and over it line by line.
        let mut text = match self.lines {
            0 => "\r".to_owned(),
            n => format!("\x1b[{n}A\r"),
        };
        for line in std::iter::once(&bar).chain(&lines) {
            text.push_str(&format!("{line}\x1b[K\n"));
        }
        self.lines = lines.len() + 1;
        say(&text);
    }

    /// The curves of loss and result beside one another, and the memory of this process, where the
    /// terminal has room for them.
    fn lines(&self) -> Vec<String> {
        let Some((columns, rows)) = terminal_size() else {
            return Vec::new();
        };
        if columns < LEAST.0 || rows < LEAST.1 || self.curves.loss.is_empty() {
            return Vec::new();
        }
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let [own, other] = if plain { [0, 0] } else { COLORS };
        let width = columns.min(WIDEST) / 2 - 1;
        let pair = |a: &[f64], b: &[f64]| {
            let curve = |points, color| Curve { points, color };
            chart::draw(&[curve(b, other), curve(a, own)], width, HEIGHT)
        };
        let c = &self.curves;
        let losses = pair(&c.loss, &c.validation_loss);
        let results = pair(&c.result, &c.validation_result);
        let mut lines = vec![format!("{:>14}{:>gap$}", "loss", c.name, gap = width + 4)];
        lines.extend(
            losses
                .iter()
                .zip(&results)
                .map(|(a, b)| format!("{a}  {b}")),
        );
        let paint = |color: u8, text: &str| match color {
            0 => text.to_owned(),
            color => format!("\x1b[{color}m{text}\x1b[0m"),
        };
        let mut last = format!("         {}", paint(own, "training"));
        if !c.validation_loss.is_empty() {
            last.push_str(&format!("  {}", paint(other, "validation")));
        }
        if let Some(bytes) = resident() {
            last.push_str(&format!(
                "  memory {:.0} MiB",
                bytes as f64 / (1 << 20) as f64
            ));
        }
        lines.push(last);
        lines
    }
}

/// Columns and lines of the terminal behind standard error.
fn terminal_size() -> Option<(usize, usize)> {
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
        Some((size.ws_col.into(), size.ws_row.into()))
    }
    #[cfg(not(unix))]
    None
}

/// The memory that this process has now, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// What accuracy and validation are called, and what stands between.
type Names = [&'static str; 3];

const SHORT: Names = ["acc", "val", " "];
const LONG: Names = ["accuracy", "validation", "  "];

/// Loss and accuracy, or error, in words.
fn scores(score: &Score, validation: Option<&Score>, prepared: &Prepared, names: Names) -> String {
    let [accuracy, other, gap] = names;
    let name = if prepared.labels.is_some() {
        accuracy
    } else {
        "rmse"
    };
    let digits = |x: f64| {
        if x >= 1000.0 {
            format!("{x:.0}")
        } else {
            format!("{x:.4}")
        }
    };
    let (loss, result) = (digits(score.loss()), digits(score.result(prepared)));
    let mut text = format!("loss {loss}{gap}{name} {result}");
    if let Some(validation) = validation {
        text.push_str(&format!(
            "{gap}{other} {}",
            digits(validation.result(prepared))
        ));
    }
    text
}

fn duration(seconds: f64) -> String {
    // A cast of what is too large or no number saturates.
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// Nobody reading progress is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_clocks() {
        let cases = [
            (0.0, "0 s"),
            (0.2, "1 s"),
            (59.0, "59 s"),
            (61.5, "1:02"),
            (3661.0, "1:01:01"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        assert!(!duration(f64::INFINITY).is_empty() && !duration(f64::NAN).is_empty());
    }
}
