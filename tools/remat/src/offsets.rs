//! Places buffers of known lifetimes.

use std::path::Path;
use std::time::{Duration, Instant};

use cotangent_compile::remat::{Buffer, PlaceOptions, place};
use serde::Serialize;

use crate::budgets::line;
use crate::error::Error;
use crate::options::Options;

/// One case, as it is printed.
#[derive(Debug, Serialize)]
struct Row {
    case: String,
    buffers: usize,
    capacity: u64,
    /// Whether all buffers stand below the capacity.
    solved: bool,
    /// The bytes they take.
    height: u64,
    /// The most bytes needed at one time, which no placement can undercut.
    load: u64,
    gap_pct: f64,
    seconds: f64,
    /// Whether no two buffers overlap and all are below the height.
    checked: bool,
    error: Option<String>,
}

/// Places the buffers of a file below a capacity; whether that is done, and right.
pub fn all(arguments: &[String], options: &Options) -> Result<bool, Error> {
    let [file, capacity] = arguments else {
        return Err(Error::Capacity(String::new()));
    };
    let capacity: u64 = capacity
        .parse()
        .map_err(|_| Error::Capacity(capacity.clone()))?;
    let path = Path::new(file);
    let buffers = read(path)?;
    let settings = PlaceOptions {
        capacity: Some(capacity),
        nodes: options.steps.unwrap_or(u64::MAX),
        time: Some(options.time.unwrap_or(Duration::from_secs(60))),
    };
    let began = Instant::now();
    let placement = place(&buffers, &settings).map_err(|e| Error::Malformed {
        path: path.into(),
        message: e.to_string(),
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let checked = placement.check(&buffers);
    let above = placement.height - placement.load;
    let row = Row {
        case: path
            .file_stem()
            .map(|s| s.to_string_lossy().into_owned())
            .unwrap_or_default(),
        buffers: buffers.len(),
        capacity,
        solved: placement.height <= capacity,
        height: placement.height,
        load: placement.load,
        gap_pct: 100.0 * above as f64 / placement.load.max(1) as f64,
        seconds,
        checked: checked.is_ok(),
        error: checked.err().map(|e| e.to_string()),
    };
    if options.json {
        line(&serde_json::to_string(&row).unwrap_or_default());
    } else {
        let said = |yes: bool, word: &'static str, no: &'static str| if yes { word } else { no };
        line(&format!(
            "{}: {} buffers, {}: height {} of {capacity}, load {}, gap {:.3} %, {:.3} s, check {}",
            row.case,
            row.buffers,
            said(row.solved, "solved", "not solved"),
            row.height,
            row.load,
            row.gap_pct,
            row.seconds,
            row.error.as_deref().unwrap_or("ok"),
        ));
    }
    Ok(row.solved && row.checked)
}

/// Reads lines of id, first step, last step (exclusive), size, below a line of names.
fn read(path: &Path) -> Result<Vec<Buffer>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let mut buffers = Vec::new();
    for (i, text) in text.lines().enumerate().skip(1) {
        if text.trim().is_empty() {
            continue;
        }
        let malformed = |message: String| Error::Malformed {
            path: path.into(),
            message: format!("line {}: {message}", i + 1),
        };
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        let &[_, first, end, size] = &fields[..] else {
            let found = fields.len();
            return Err(malformed(format!("expected 4 fields, found {found}")));
        };
        let number = |text: &str| {
            let parsed = text.parse::<u64>();
            parsed.map_err(|_| malformed(format!("expected a number, found `{text}`")))
        };
        buffers.push(Buffer {
            first: number(first)?,
            end: number(end)?,
            size: number(size)?,
        });
    }
    Ok(buffers)
}
