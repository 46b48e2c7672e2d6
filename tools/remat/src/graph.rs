//! Training graphs from JSON.

use std::path::Path;

use cotangent_compile::remat::Problem;
use serde::Deserialize;

use crate::error::Error;

/// A graph as it stands in a file.
#[derive(Debug, Deserialize)]
struct Graph {
    name: Option<String>,
    bytes: Vec<u64>,
    cost: Vec<u64>,
    #[serde(default)]
    backward: Vec<bool>,
    edges: Vec<(u32, u32)>,
}

/// Reads a graph: its name, or else that of the file, and what is to be planned.
pub fn read(path: &Path) -> Result<(String, Problem), Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let graph: Graph = serde_json::from_str(&text).map_err(|source| Error::Json {
        path: path.into(),
        source,
    })?;
    let nodes = graph.bytes.len();
    let lengths = [
        ("cost", graph.cost.len()),
        ("backward", graph.backward.len()),
    ];
    for (name, length) in lengths {
        if length != nodes && (name == "cost" || length > 0) {
            return Err(Error::Malformed {
                path: path.into(),
                message: format!("expected {nodes} numbers in `{name}`, found {length}"),
            });
        }
    }
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let name = graph.name.or(stem).unwrap_or_default();
    let problem = Problem::of_graph(graph.bytes, &graph.cost, &graph.backward, &graph.edges);
    let problem = problem.map_err(|source| Error::Problem {
        path: path.into(),
        source,
    })?;
    Ok((name, problem))
}
