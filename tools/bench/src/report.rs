//! Prints what was measured: a table, also in Markdown, or JSON lines.

use serde_json::{Value, json};

use crate::check::Digest;
use crate::error::BenchError;
use crate::machine;
use crate::options::Options;

/// A workload at one size.
pub struct Row {
    pub workload: &'static str,
    pub title: &'static str,
    pub odd: bool,
    /// Where the inputs come from.
    pub inputs: &'static str,
    pub grad_ms: f64,
    pub primal_ms: f64,
    /// What the worker told at its end.
    pub done: Value,
    /// What the results agree with.
    pub checked: Vec<String>,
    /// What they disagree with.
    pub wrong: Vec<String>,
    pub peers: Vec<PeerRow>,
    /// Peers that could not run, and why.
    pub skipped: Vec<(String, String)>,
}

/// A peer beside it.
pub struct PeerRow {
    pub name: String,
    pub grad_ms: f64,
    pub primal_ms: f64,
    /// Ours over theirs.
    pub ratio: f64,
    pub version: String,
    pub digest: Option<Digest>,
}

/// Prints rows as they come.
pub struct Report<'a> {
    options: &'a Options,
    /// Why peers were left out, and where: said once, at the end.
    skipped: Vec<(String, String, Vec<&'static str>)>,
    unchecked: Vec<String>,
}

impl<'a> Report<'a> {
    pub fn new(options: &'a Options) -> Report<'a> {
        Report {
            options,
            skipped: Vec::new(),
            unchecked: Vec::new(),
        }
    }

    /// The machine, and what the columns are.
    pub fn begin(&self) {
        let threads = self.options.threads.get();
        if self.options.json {
            return;
        }
        let pages = match self.options.huge_pages {
            true => ", malloc asks for huge pages",
            false => "",
        };
        say!("{}{pages}; threads: {threads}", machine::line());
        if self.options.markdown {
            say!("");
            say!(
                "| workload | gradient, ms | build, ms |{}",
                self.columns(|peer| format!(" {peer} |"))
            );
            say!("|---|---|---|{}", self.columns(|_| "---|".to_owned()));
            return;
        }
        say!("times in ms, medians; a ratio of a peer is ours over theirs, pair by pair\n");
        let mut header = line(
            ["workload", "size", "inputs"],
            ["primal", "gradient", "ratio", "build", "first", "peak MB"].map(str::to_owned),
            "check",
        );
        for peer in &self.options.peers {
            header += &format!(" {:>10} {:>7}", peer, "ratio");
        }
        say!("{header}");
    }

    /// A workload.
    pub fn row(&mut self, row: &Row) {
        if self.options.json {
            say!("{}", row.json(self.options.threads.get()));
        } else if self.options.markdown {
            say!("{}", self.markdown(row));
        } else {
            say!("{}", self.text(row));
        }
        for message in &row.wrong {
            eprintln!("bench: {}: wrong result: {message}", row.label());
        }
        if row.checked.is_empty() && row.wrong.is_empty() {
            self.unchecked.push(row.label());
        }
        for (peer, why) in &row.skipped {
            let known = self
                .skipped
                .iter_mut()
                .find(|(p, w, _)| p == peer && w == why);
            match known {
                Some((_, _, at)) => at.push(row.workload),
                None => self
                    .skipped
                    .push((peer.clone(), why.clone(), vec![row.workload])),
            }
        }
    }

    /// A workload that gave nothing.
    pub fn failure(&self, workload: &str, error: &BenchError) {
        if self.options.json {
            say!(
                "{}",
                json!({"workload": workload, "error": error.to_string()})
            );
        }
        eprintln!("bench: {workload}: {error}");
    }

    /// What is to be said about all.
    pub fn end(&self) {
        for (peer, why, at) in &self.skipped {
            eprintln!("bench: {peer} skipped for {}: {why}", at.join(" "));
        }
        if !self.unchecked.is_empty() {
            let all = self.unchecked.join(" ");
            eprintln!("bench: no reference for these inputs, so nothing was checked: {all}");
        }
    }

    fn columns(&self, column: impl Fn(&str) -> String) -> String {
        self.options.peers.iter().map(|peer| column(peer)).collect()
    }

    /// A line of a table in Markdown: of each peer the ratio alone.
    fn markdown(&self, row: &Row) -> String {
        let build = row.done.get("build_ms").and_then(Value::as_f64);
        let peers = self.columns(|name| match row.peers.iter().find(|p| p.name == *name) {
            Some(peer) => format!(" {} |", ratio(peer.ratio)),
            None => " |".to_owned(),
        });
        format!(
            "| {} {} | {} | {} |{peers}",
            row.label(),
            row.title,
            ms(row.grad_ms),
            build.map_or(String::new(), |build| format!("{build:.1}")),
        )
    }

    fn text(&self, row: &Row) -> String {
        let number = |name: &str| row.done.get(name).and_then(Value::as_f64);
        let shown = |name: &str| number(name).map_or("?".to_owned(), ms);
        let size = row.done.get("size").and_then(Value::as_str).unwrap_or("?");
        let check = match (row.wrong.is_empty(), row.checked.is_empty()) {
            (false, _) => "WRONG",
            (true, false) => "ok",
            (true, true) => "none",
        };
        let mut text = line(
            [&row.label(), size, row.inputs],
            [
                ms(row.primal_ms),
                ms(row.grad_ms),
                format!("{:.2}", row.grad_ms / row.primal_ms),
                shown("build_ms"),
                shown("first_ms"),
                number("peak_mb").map_or("?".to_owned(), |mb| format!("{mb:.0}")),
            ],
            check,
        );
        for name in &self.options.peers {
            text += &match row.peers.iter().find(|p| p.name == *name) {
                Some(p) => format!(" {:>10} {:>7}", ms(p.grad_ms), ratio(p.ratio)),
                None => format!(" {:>10} {:>7}", "-", "-"),
            };
        }
        text
    }
}

impl Row {
    /// The name, marked at the odd size.
    fn label(&self) -> String {
        match self.odd {
            true => format!("{} odd", self.workload),
            false => self.workload.to_owned(),
        }
    }

    /// One object. Times are milliseconds; `peers` holds ours over theirs.
    pub fn json(&self, threads: usize) -> Value {
        let mut object = json!({
            "workload": self.workload,
            "title": self.title,
            "odd": self.odd,
            "threads": threads,
            "inputs": self.inputs,
            "grad_ms": self.grad_ms,
            "primal_ms": self.primal_ms,
            "ratio": self.grad_ms / self.primal_ms,
        });
        if let (Value::Object(all), Value::Object(done)) = (&mut object, &self.done) {
            all.extend(done.clone());
        }
        object["checked"] = json!(self.checked);
        if !self.wrong.is_empty() {
            object["error"] = json!(self.wrong.join("; "));
        }
        object["peers"] = json!({});
        for peer in &self.peers {
            let mut entry = json!({
                "grad_ms": peer.grad_ms,
                "ratio": peer.ratio,
                "primal_ms": peer.primal_ms,
                "version": peer.version,
            });
            if let Some(digest) = &peer.digest {
                digest.write(&mut entry);
            }
            object["peers"][&peer.name] = entry;
        }
        if !self.skipped.is_empty() {
            object["skipped"] = json!({});
            for (peer, why) in &self.skipped {
                object["skipped"][peer] = json!(why);
            }
        }
        object
    }
}

/// A line of the table up to the peers.
fn line([name, size, inputs]: [&str; 3], numbers: [String; 6], check: &str) -> String {
    let mut text = format!("{name:<9} {size:<42} {inputs:<6}");
    for number in numbers {
        text += &format!(" {number:>9}");
    }
    text + &format!(" {check:>6}")
}

/// Milliseconds with three digits or more.
fn ms(ms: f64) -> String {
    match ms {
        ms if ms < 0.1 => format!("{ms:.5}"),
        ms if ms < 10.0 => format!("{ms:.3}"),
        ms => format!("{ms:.1}"),
    }
}

fn ratio(ratio: f64) -> String {
    match ratio {
        r if r < 100.0 => format!("{r:.2}"),
        r => format!("{r:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{PeerRow, Report, Row};
    use crate::check::Digest;
    use crate::options::Options;
    use clap::Parser;
    use serde_json::json;

    fn row() -> Row {
        let digest = Digest {
            value: 1.0,
            norm: 2.0,
            probe: 3.0,
        };
        Row {
            workload: "W1",
            title: "Gaussian mixture, f64",
            odd: false,
            inputs: "made",
            grad_ms: 6.0,
            primal_ms: 2.0,
            done: json!({
                "size": "d=1", "build_ms": 4.0, "first_ms": 5.0, "peak_mb": 10.5, "value": 1.0,
            }),
            checked: vec!["c".to_owned()],
            wrong: Vec::new(),
            peers: vec![PeerRow {
                name: "c".to_owned(),
                grad_ms: 3.0,
                primal_ms: 1.0,
                ratio: 2.0,
                version: "gcc 1".to_owned(),
                digest: Some(digest),
            }],
            skipped: vec![("jax".to_owned(), "not installed".to_owned())],
        }
    }

    #[test]
    fn json_has_the_fields_that_others_read() {
        let found = row().json(2);
        for (field, expected) in [
            ("workload", json!("W1")),
            ("size", json!("d=1")),
            ("threads", json!(2)),
            ("grad_ms", json!(6.0)),
            ("primal_ms", json!(2.0)),
            ("ratio", json!(3.0)),
            ("build_ms", json!(4.0)),
            ("first_ms", json!(5.0)),
            ("peak_mb", json!(10.5)),
        ] {
            assert_eq!(found[field], expected, "{field}");
        }
        assert_eq!(found["peers"]["c"]["grad_ms"], 3.0);
        assert_eq!(found["peers"]["c"]["ratio"], 2.0);
        assert_eq!(found["skipped"]["jax"], "not installed");
        assert!(found.get("error").is_none());
        let wrong = Row {
            wrong: vec!["value".to_owned()],
            ..row()
        };
        assert_eq!(wrong.json(1)["error"], "value");
    }

    #[test]
    fn markdown_has_the_ratios_alone() {
        let options = Options::parse_from(["bench", "--markdown", "--peers", "jax,c"]);
        let text = Report::new(&options).markdown(&row());
        assert_eq!(text, "| W1 Gaussian mixture, f64 | 6.000 | 4.0 | | 2.00 |");
    }

    #[test]
    fn a_line_has_a_column_for_each_peer() {
        let options = Options::parse_from(["bench", "--peers", "jax,c"]);
        let text = Report::new(&options).text(&row());
        let words: Vec<&str> = text.split_whitespace().collect();
        let expected = [
            "W1", "d=1", "made", "2.000", "6.000", "3.00", "4.000", "5.000", "10", "ok", "-", "-",
            "3.000", "2.00",
        ];
        assert_eq!(words, expected);
    }
}
