//! How far training is: a bar on a terminal, a line for each epoch elsewhere. All on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

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
}

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

    /// Leaves the bar as it is.
    pub fn end(&self) {
        if self.terminal && !self.last.is_empty() {
            say("\n");
        }
    }

    fn rate(&self) -> f64 {
        self.seen as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }

    fn draw(&self) {
        let (before, all) = self.epochs;
        let to_see = (all - before) as f64 * self.per_epoch as f64;
        let share = (before as f64 + self.seen as f64 / self.per_epoch.max(1) as f64)
            / (all as f64).max(1.0);
        let full = ((share * WIDTH as f64) as usize).min(WIDTH);
        let left = (to_see - self.seen as f64).max(0.0) / self.rate().max(1e-9);
        say(&format!(
            "\r[{}{}] {:3.0}% {} {:.0} samples/s {} left\x1b[K",
            "#".repeat(full),
            ".".repeat(WIDTH - full),
            share * 100.0,
            self.last,
            self.rate(),
            duration(left)
        ));
    }
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
