//! Pages to test with. Everything is computed here from a few formulas, none of it is kept as a file.

#[path = "fixtures/boxes.rs"]
mod boxes;
#[path = "fixtures/runs.rs"]
mod runs;
#[path = "fixtures/values.rs"]
mod values;
#[path = "fixtures/walks.rs"]
mod walks;

use cotangent_view::model::*;

use boxes::*;
use runs::*;
use walks::*;

/// A page on which every view has something to show.
pub fn whole() -> Page {
    let (network, network_walk) = network();
    let (seed, seed_walk) = seed();
    Page {
        title: "two-layer network".into(),
        about: "loss of a small network, examples/network.rs:12, f64".into(),
        pictures: vec![network, seed],
        walks: vec![seed_walk, network_walk, large()],
        passes: passes(),
        memory: Some(memory(60)),
        cost: Some(cost(40)),
        training: Some(training()),
        trouble: Some(trouble()),
        live: None,
    }
}

/// A graph of `count` boxes in rows of 40, each fed by two of the row above.
pub fn many(count: usize) -> Page {
    const ACROSS: usize = 40;
    let nodes: Vec<Node> = (0..count)
        .map(|i| {
            let kind = if i < ACROSS { "input" } else { "op" };
            let ops = ["add", "mul", "tanh", "dot"];
            let at = (
                90.0 + 150.0 * (i % ACROSS) as f64,
                60.0 + 90.0 * (i / ACROSS) as f64,
            );
            node(
                i as u32,
                kind,
                if i < ACROSS { "x" } else { ops[i % 4] },
                "f64[64, 10]",
                at,
            )
        })
        .collect();
    let arrows: Vec<(usize, usize)> = (ACROSS..count)
        .flat_map(|i| {
            [
                (i - ACROSS, i),
                (i - ACROSS + (i * 7) % (ACROSS - i % ACROSS), i),
            ]
        })
        .collect();
    Page {
        title: format!("a graph of {count} boxes"),
        pictures: vec![Picture {
            name: "many".into(),
            groups: vec![group("many", "graph", None, nodes, &arrows)],
        }],
        memory: Some(memory(count / 3)),
        cost: Some(cost(count)),
        ..Page::default()
    }
}

/// A graph of one box.
pub fn alone() -> Picture {
    let nodes = vec![node(0, "input", "alone", "f64", (84.0, 44.0))];
    Picture {
        name: "alone".into(),
        groups: vec![group("alone", "graph", None, nodes, &[])],
    }
}

/// Groups inside of groups, two beside each other in every rank, `depth` of them deep.
pub fn nested(depth: usize) -> Picture {
    let mut groups = Vec::new();
    let mut work = std::collections::VecDeque::from([(None, 0)]);
    let mut next = 0;
    while let Some((parent, level)) = work.pop_front() {
        let here = groups.len();
        let mut id = || {
            next += 1;
            next
        };
        let mut nodes = vec![
            node(id(), "op", "add", "f64", (110.0, 40.0)),
            node(id(), "op", "mul", "f64", (270.0, 40.0)),
        ];
        if level + 1 < depth {
            // Breadth first: the children of this group follow those that already wait.
            let first = here + work.len() + 1;
            for k in 0..2 {
                nodes.push(boxed(
                    id(),
                    first + k,
                    "inner",
                    (90.0 + 190.0 * k as f64, 120.0),
                ));
                work.push_back((Some(here), level + 1));
            }
        } else {
            nodes.push(node(id(), "op", "sin", "f64", (90.0, 120.0)));
            nodes.push(node(id(), "op", "cos", "f64", (280.0, 120.0)));
        }
        nodes.push(node(id(), "op", "tanh", "f64", (190.0, 200.0)));
        groups.push(group(
            "group",
            "scope",
            parent,
            nodes,
            &[(0, 2), (1, 2), (1, 3), (2, 4), (3, 4)],
        ));
    }
    Picture {
        name: "nested".into(),
        groups,
    }
}

/// The page with everything, in which every text is `text`.
pub fn hostile(text: &str) -> Page {
    let mut json = serde_json::to_value(whole()).unwrap();
    // A work list of values; kinds must stay what the page knows.
    let mut work = vec![&mut json];
    while let Some(at) = work.pop() {
        match at {
            serde_json::Value::String(old) => {
                *old = text.into();
            }
            serde_json::Value::Array(items) => work.extend(items),
            serde_json::Value::Object(fields) => {
                work.extend(
                    fields
                        .iter_mut()
                        .filter(|(k, _)| *k != "kind")
                        .map(|(_, v)| v),
                );
            }
            _ => {}
        }
    }
    serde_json::from_value(json).unwrap()
}
