//! Pictures of graphs: nothing overlaps, nothing is lost, whatever is drawn is well-formed.

use std::collections::HashSet;
use std::time::Instant;

use cotangent_graph::{Builder, Graph, Op, TensorType, parse};
use cotangent_testkit::random::Case;
use cotangent_view::model::{Group, Picture};
use cotangent_view::{graph_svg, picture};

fn entry(text: &str) -> Graph {
    parse(text).unwrap().entry().clone()
}

/// Boxes and corners of a group with some of its children unfolded, by the rule that a page follows:
/// space is inserted within the rank of what is unfolded, and between ranks.
struct Unfolded {
    /// Left, top, right, bottom.
    boxes: Vec<[f64; 4]>,
    /// The two ends of each arrow.
    ends: Vec<[[f64; 2]; 2]>,
}

fn unfold(picture: &Picture, group: &Group, open: &dyn Fn(usize) -> bool) -> Unfolded {
    let grow: Vec<[f64; 2]> = (group.nodes.iter())
        .map(|n| match n.group.filter(|g| open(*g)) {
            Some(g) => {
                let child = &picture.groups[g];
                [
                    (child.width - n.width).max(0.0),
                    (child.height - n.height).max(0.0),
                ]
            }
            None => [0.0; 2],
        })
        .collect();
    let mut ranks: Vec<f64> = group.nodes.iter().map(|n| n.y).collect();
    ranks.sort_by(f64::total_cmp);
    ranks.dedup();
    let taller = |rank: f64| {
        let of = group.nodes.iter().zip(&grow).filter(|(n, _)| n.y == rank);
        of.map(|(_, g)| g[1]).fold(0.0, f64::max)
    };
    let moved: Vec<[f64; 2]> = (group.nodes.iter())
        .map(|n| {
            let beside = group
                .nodes
                .iter()
                .zip(&grow)
                .filter(|(m, _)| m.y == n.y && m.x != n.x);
            let x: f64 = beside.map(|(m, g)| g[0] / 2.0 * (n.x - m.x).signum()).sum();
            let others = ranks.iter().filter(|r| **r != n.y);
            let y: f64 = others.map(|r| taller(*r) / 2.0 * (n.y - r).signum()).sum();
            [n.x + x, n.y + y]
        })
        .collect();
    let boxes = (group.nodes.iter().zip(&grow).zip(&moved))
        .map(|((n, g), [x, y])| {
            let (w, h) = ((n.width + g[0]) / 2.0, (n.height + g[1]) / 2.0);
            [x - w, y - h, x + w, y + h]
        })
        .collect();
    let ends = (group.edges.iter())
        .map(|e| {
            let end = |n: usize, point: Option<&[f64; 2]>| {
                let (node, [x, y]) = (&group.nodes[n], *point.unwrap());
                let (dx, dy) = (x - node.x, y - node.y);
                assert!(dx.abs() <= node.width / 2.0, "an end stands beside its box");
                assert!(
                    (dy.abs() - node.height / 2.0).abs() < 1e-6,
                    "an end stands off the border"
                );
                [
                    moved[n][0] + dx,
                    moved[n][1] + dy + dy.signum() * grow[n][1] / 2.0,
                ]
            };
            [end(e.from, e.points.first()), end(e.to, e.points.last())]
        })
        .collect();
    Unfolded { boxes, ends }
}

fn check(picture: &Picture) {
    let mut ids = HashSet::new();
    for (i, group) in picture.groups.iter().enumerate() {
        assert!(
            group.parent.is_none_or(|p| p < i),
            "a parent stands before its children"
        );
        assert_eq!(group.parent.is_none(), i == 0);
        for node in &group.nodes {
            assert!(ids.insert(node.id), "number {} twice", node.id);
            assert_eq!(node.kind == "group", node.group.is_some());
            if let Some(g) = node.group {
                assert_eq!(picture.groups[g].parent, Some(i));
            }
            let [w, h] = [node.width / 2.0, node.height / 2.0];
            assert!(
                node.x - w >= 0.0 && node.x + w <= group.width,
                "{}",
                node.label
            );
            assert!(
                node.y - h >= 0.0 && node.y + h <= group.height,
                "{}",
                node.label
            );
        }
        for folded in [true, false] {
            let placed = unfold(picture, group, &|g| !folded && (g % 3 != 0 || g % 2 == 0));
            if placed.boxes.len() <= 400 {
                for (a, b) in (0..placed.boxes.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                    let (p, q) = (placed.boxes[a], placed.boxes[b]);
                    let apart = p[2] <= q[0] || q[2] <= p[0] || p[3] <= q[1] || q[3] <= p[1];
                    assert!(
                        apart,
                        "{} and {}",
                        group.nodes[a].label, group.nodes[b].label
                    );
                }
            }
            for (edge, [from, to]) in group.edges.iter().zip(&placed.ends) {
                let (a, b) = (placed.boxes[edge.from], placed.boxes[edge.to]);
                assert!(from[0] >= a[0] && from[0] <= a[2] && (from[1] - a[3]).abs() < 1e-6);
                assert!(to[0] >= b[0] && to[0] <= b[2] && (to[1] - b[1]).abs() < 1e-6);
                assert!(edge.from != edge.to);
            }
        }
    }
}

/// Well-formed, and everything that is drawn stands on the page.
fn check_svg(svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
    let root = document.root_element();
    let length = |name: &str| root.attribute(name).unwrap().parse::<f64>().unwrap();
    let (width, height) = (length("width"), length("height"));
    for rect in document.descendants().filter(|n| n.has_tag_name("rect")) {
        let at = |name: &str| {
            rect.attribute(name)
                .map_or(0.0, |t| t.parse::<f64>().unwrap())
        };
        assert!(at("x") >= 0.0 && at("x") + at("width") <= width + 0.5);
        assert!(at("y") >= 0.0 && at("y") + at("height") <= height + 0.5);
    }
    let attributes = document.descendants().flat_map(|n| n.attributes());
    for a in attributes.filter(|a| a.name() != "class") {
        assert!(
            !a.value().contains("NaN") && !a.value().contains("inf"),
            "{a:?}"
        );
    }
}

#[test]
fn random_graphs_are_drawn_whole() {
    for seed in 0..300 {
        let graph = Case::draw(seed).graph;
        let picture = picture(&graph);
        check(&picture);
        check_svg(&graph_svg(&picture));
        // Every operation of the graph has its box, under its own number.
        let ids: HashSet<u32> = picture
            .groups
            .iter()
            .flat_map(|g| g.nodes.iter().map(|n| n.id))
            .collect();
        for (v, e) in graph.iter() {
            let own = !matches!(e.op, Op::Full(..) | Op::Get(_));
            let unread = matches!(e.op, Op::Constant(_));
            assert!(
                !own || unread || ids.contains(&(v.index() as u32)),
                "seed {seed}: {v:?}"
            );
        }
    }
}

#[test]
fn gradients_of_random_graphs_are_drawn_whole() {
    for seed in 0..60 {
        let case = Case::draw(1000 + seed);
        let wrt: Vec<bool> = case
            .graph
            .input_types()
            .iter()
            .map(|t| t.dtype.is_inexact())
            .collect();
        let Ok(jvp) = cotangent_transform::jvp(&case.graph, &wrt) else {
            continue;
        };
        let picture = picture(&jvp);
        check(&picture);
        check_svg(&graph_svg(&picture));
    }
}

#[test]
fn what_is_written_is_said_of_a_box() {
    let graph =
        entry("fn f(x: f64[3], k: f64) -> f64 { sum(maximum(x, 0.0) * 0.5 - (1.0 - x)) / k }");
    let picture = picture(&graph);
    check(&picture);
    let nodes = &picture.groups[0].nodes;
    let labels: Vec<&str> = nodes.iter().map(|n| &n.label[..]).collect();
    assert_eq!(
        labels,
        [
            "x",
            "k",
            "maximum 0",
            "mul 0.5",
            "sub(1, ·)",
            "sub",
            "sum axes 0",
            "div",
            "result"
        ]
    );
    let max = &nodes[2];
    assert_eq!(max.text, "let v0: f64[3] = maximum(x, 0.0);");
    assert_eq!(
        (&max.variable[..], &max.ty[..], max.bytes),
        ("v0", "f64[3]", 24)
    );
    assert_eq!(max.place.as_deref(), Some("line 1, column 38"));
    assert_eq!((&max.kind[..], &max.family[..]), ("op", "pointwise"));
    assert_eq!(
        max.derivative,
        ["∂/∂x: 1 where larger", "∂/∂y: 0 where smaller"]
    );
    assert!(!max.kinks.is_empty());
    let edges: Vec<&str> = picture.groups[0]
        .edges
        .iter()
        .map(|e| &e.label[..])
        .collect();
    assert!(edges.contains(&"f64[3]") && edges.contains(&"f64"));
}

#[test]
fn functions_loops_and_branches_hold_their_graphs() {
    let graph = entry(
        "fn step(c: f64, x: f64) -> (f64, f64) { (c * x, c) }
         fn twice(x: f64) -> f64 { x + x }
         fn once(x: f64) -> f64 { x }
         fn f(x: f64[5], c: f64) -> f64 {
             let r = scan(c, x, body=step);
             let t = twice(twice(get(r, index=0)));
             cond(t > 1.0, t, then=twice, otherwise=once) + sum(get(r, index=1))
         }",
    );
    let picture = picture(&graph);
    check(&picture);
    let kinds: Vec<(&str, &str)> = picture
        .groups
        .iter()
        .map(|g| (&g.kind[..], &g.label[..]))
        .collect();
    assert_eq!(
        kinds,
        [
            ("graph", "f"),
            ("loop", "scan 5 × step"),
            ("call", "twice"),
            ("call", "twice"),
            ("branch", "cond"),
            ("call", "then: twice"),
            ("call", "otherwise: once"),
        ]
    );
    let opened: Vec<bool> = picture.groups.iter().map(|g| g.open).collect();
    // What is called again stays folded.
    assert_eq!(opened[..4], [true, true, true, false]);
    let step: Vec<&str> = picture.groups[1]
        .nodes
        .iter()
        .map(|n| &n.label[..])
        .collect();
    assert_eq!(step, ["c", "x", "mul", "result 0", "result 1"]);
    // Components of the loop's tuple are arrows of the loop.
    let scan = picture.groups[0]
        .nodes
        .iter()
        .position(|n| n.group == Some(1))
        .unwrap();
    let from = picture.groups[0].edges.iter().filter(|e| e.from == scan);
    let mut labels: Vec<&str> = from.map(|e| &e.label[..]).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["f64", "f64[5]"]);
    assert!(
        picture.groups[0].nodes[scan]
            .text
            .contains("get(v0, index=1)")
    );
    check_svg(&graph_svg(&picture));
}

#[test]
fn many_inputs_and_results_stand_together() {
    let inputs: Vec<String> = (0..20).map(|i| format!("w{i}: f64[{}]", i + 1)).collect();
    let results: Vec<String> = (0..20).map(|i| format!("w{i} * k")).collect();
    let types: Vec<String> = (0..20).map(|i| format!("f64[{}]", i + 1)).collect();
    let text = format!(
        "fn f({}, k: f64) -> ({}) {{ ({}) }}",
        inputs.join(", "),
        types.join(", "),
        results.join(", ")
    );
    let picture = picture(&entry(&text));
    check(&picture);
    let labels: Vec<&str> = picture.groups.iter().map(|g| &g.label[..]).collect();
    assert_eq!(labels, ["f", "inputs", "results"]);
    let results = picture.groups[2]
        .nodes
        .iter()
        .filter(|n| n.label.starts_with("result "));
    assert_eq!(results.count(), 20);
    check_svg(&graph_svg(&picture));
}

#[test]
fn names_are_escaped() {
    let mut b = Builder::new("<script>alert(1)</script>&\"");
    let x = b.input("<script>", TensorType::scalar(cotangent_array::DType::F64));
    let y = b.mul(x, x);
    let graph = b.finish(&[y]).unwrap();
    let mut picture = picture(&graph);
    picture.name = "<script>alert(1)</script>".to_owned();
    for group in &mut picture.groups {
        group.label = "<script>\"'&".to_owned();
        for node in &mut group.nodes {
            for text in [
                &mut node.label,
                &mut node.text,
                &mut node.about,
                &mut node.kinks,
            ] {
                *text = "]]><script>\u{0}</title>&amp;".to_owned();
            }
            node.place = Some("<a&b>".to_owned());
            node.family = "x\" onload=\"y".to_owned();
        }
        for edge in &mut group.edges {
            edge.label = "<b>\"".to_owned();
        }
    }
    let svg = graph_svg(&picture);
    check_svg(&svg);
    assert!(!svg.contains("<script") && !svg.contains("onload"));
}

#[test]
fn odd_pictures_do_no_harm() {
    let graph = entry("fn g(x: f64) -> f64 { x * x } fn f(x: f64) -> f64 { g(x) + g(g(x)) }");
    let mut odd = picture(&graph);
    odd.groups[0].nodes[1].group = Some(0);
    odd.groups[0].nodes[2].group = Some(99);
    odd.groups[1].nodes[0].group = Some(1);
    odd.groups[0].edges[0].to = 77;
    odd.groups[0].nodes[0].width = f64::NAN;
    check_svg(&graph_svg(&odd));
    check_svg(&graph_svg(&Picture::default()));
    let back: Picture =
        serde_json::from_str(&serde_json::to_string(&picture(&graph)).unwrap()).unwrap();
    assert_eq!(graph_svg(&back), graph_svg(&picture(&graph)));
}

/// A chain with side paths, all written on lines of their own.
fn long(count: usize) -> Graph {
    let mut text = String::from("fn f(x: f64[8, 8], w: f64[8, 8]) -> f64 {\n    let t0 = x;\n");
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for i in 1..count {
        let (a, b) = (i - 1 - next(i.min(4)), i - 1 - next(i.min(40)));
        let line = match next(4) {
            0 => format!("tanh(t{a})"),
            1 => format!("t{a} @ w"),
            2 => format!("t{a} + t{b}"),
            _ => format!("t{a} * t{b}"),
        };
        text.push_str(&format!("    let t{i} = {line};\n"));
    }
    text.push_str(&format!("    sum(t{})\n}}", count - 1));
    entry(&text)
}

#[test]
fn large_graphs_are_folded_and_quick() {
    for count in [2000, 5000] {
        let graph = long(count);
        let start = Instant::now();
        let picture = picture(&graph);
        let svg = graph_svg(&picture);
        let took = start.elapsed().as_secs_f64();
        // Many times what it takes, for slow machines; a quadratic method takes far longer.
        assert!(took < 10.0, "{count} operations took {took} s");
        check(&picture);
        check_svg(&svg);
        let seen: usize = picture
            .groups
            .iter()
            .filter(|g| g.open)
            .map(|g| g.nodes.len())
            .sum();
        assert!(seen <= 80, "{seen} boxes at first");
        let most = picture.groups.iter().map(|g| g.nodes.len()).max();
        assert!(
            most.is_some_and(|n| n <= 100),
            "{most:?} boxes in one group"
        );
        assert!(picture.groups.iter().any(|g| g.label.starts_with("lines ")));
    }
}

#[test]
fn deep_pyramids_of_calls_end() {
    let mut text = String::from("fn p0(x: f64) -> f64 { sin(x) }\n");
    for i in 1..60 {
        text.push_str(&format!(
            "fn p{i}(x: f64) -> f64 {{ p{0}(p{0}(x)) }}\n",
            i - 1
        ));
    }
    let picture = picture(&entry(&text));
    check(&picture);
    assert!(picture.groups.iter().map(|g| g.nodes.len()).sum::<usize>() < 40_000);
}

#[test]
fn a_tiny_graph_is_drawn_as_ever() {
    let svg = graph_svg(&picture(&entry("fn f(w: f64) -> f64 { exp(exp(exp(w))) }")));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tiny.svg");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &svg).unwrap();
    }
    assert_eq!(svg, std::fs::read_to_string(path).unwrap());
}
