//! Pages to test with. Everything is computed here from a few formulas, none of it is kept as a file.

use cotangent_view::model::*;

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

/// Numbers that look like noise and are always the same.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise(seed)
    }

    /// From -1 to 1.
    pub fn draw(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Like a bell.
    pub fn bell(&mut self) -> f64 {
        (0..6).map(|_| self.draw()).sum::<f64>() / 1.4
    }
}

/// A value with everything that follows from its elements.
pub fn value(shape: &[usize], numbers: &[f64]) -> Value {
    assert_eq!(shape.iter().product::<usize>(), numbers.len());
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let ty = if shape.is_empty() {
        "f64".into()
    } else {
        format!("f64[{}]", sizes.join(", "))
    };
    let few = numbers.len() <= Value::MOST_TEXTS;
    let drawn = numbers.len() <= Value::MOST_NUMBERS;
    Value {
        ty,
        shape: shape.to_vec(),
        texts: if few {
            numbers.iter().map(|x| format!("{x:?}")).collect()
        } else {
            Vec::new()
        },
        numbers: if drawn {
            numbers
                .iter()
                .map(|x| x.is_finite().then_some(*x))
                .collect()
        } else {
            Vec::new()
        },
        statistics: statistics(numbers),
    }
}

pub fn statistics(numbers: &[f64]) -> Statistics {
    let finite: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    let n = finite.len() as f64;
    let some = |x: f64| (!finite.is_empty()).then_some(x);
    let min = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let max = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = finite.iter().sum::<f64>() / n;
    let spread = finite.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let mut histogram = vec![0; 24];
    for x in &finite {
        let at = ((x - min) / (max - min).max(f64::MIN_POSITIVE) * 24.0) as usize;
        histogram[at.min(23)] += 1;
    }
    Statistics {
        count: numbers.len() as u64,
        min: some(min),
        max: some(max),
        mean: some(mean),
        deviation: some(spread.sqrt()),
        norm: some(finite.iter().map(|x| x * x).sum::<f64>().sqrt()),
        zeros: numbers.iter().filter(|x| **x == 0.0).count() as u64,
        nan: numbers.iter().filter(|x| x.is_nan()).count() as u64,
        infinite: numbers.iter().filter(|x| x.is_infinite()).count() as u64,
        histogram,
    }
}

fn node(id: u32, kind: &str, label: &str, ty: &str, at: (f64, f64)) -> Node {
    Node {
        id,
        kind: kind.into(),
        label: label.into(),
        variable: if kind == "input" {
            label.into()
        } else {
            format!("v{id}")
        },
        family: match label {
            _ if kind != "op" => kind,
            "dot" => "product",
            "sum" => "reduction",
            _ => "pointwise",
        }
        .into(),
        op: if kind == "op" {
            label.into()
        } else {
            String::new()
        },
        ty: ty.into(),
        bytes: 8 * 16,
        operations: 16,
        place: Some(format!("examples/network.rs:{}:17", 12 + id)),
        text: format!(
            "v{id}: {ty} = {label}(v{}, v{})",
            id.saturating_sub(2),
            id.saturating_sub(1)
        ),
        about: "Adds two arrays element by element.".into(),
        derivative: vec!["to the first: c".into(), "to the second: c".into()],
        kinks: if label == "relu" {
            "At 0 the derivative is taken to be 0.".into()
        } else {
            String::new()
        },
        x: at.0,
        y: at.1,
        width: 120.0,
        height: 28.0,
        ..Node::default()
    }
}

fn boxed(id: u32, group: usize, label: &str, at: (f64, f64)) -> Node {
    Node {
        kind: "group".into(),
        group: Some(group),
        height: 42.0,
        op: String::new(),
        ..node(id, "group", label, "f64[4, 3]", at)
    }
}

/// A straight arrow from below one box to above another.
fn arrow(nodes: &[Node], from: usize, to: usize) -> Edge {
    let (a, b) = (&nodes[from], &nodes[to]);
    let (start, end) = ([a.x, a.y + a.height / 2.0], [b.x, b.y - b.height / 2.0]);
    let points = vec![start, end];
    Edge {
        from,
        to,
        label: a.ty.clone(),
        points,
    }
}

fn group(
    label: &str,
    kind: &str,
    parent: Option<usize>,
    nodes: Vec<Node>,
    arrows: &[(usize, usize)],
) -> Group {
    let mut nodes = nodes;
    // Room for the label of a group above what is inside.
    let band = if parent.is_some() { 26.0 } else { 0.0 };
    nodes.iter_mut().for_each(|n| n.y += band);
    let right = nodes
        .iter()
        .map(|n| n.x + n.width / 2.0)
        .fold(0.0, f64::max);
    let bottom = nodes
        .iter()
        .map(|n| n.y + n.height / 2.0)
        .fold(0.0, f64::max);
    Group {
        label: label.into(),
        kind: kind.into(),
        parent,
        open: parent.is_some() && label != "loss",
        width: right + 24.0,
        height: bottom + 24.0,
        edges: arrows.iter().map(|(a, b)| arrow(&nodes, *a, *b)).collect(),
        nodes,
        ..Group::default()
    }
}

/// `tanh(x W1) W2` and its mean square, with two scopes; and a walk through it.
fn network() -> (Picture, Walk) {
    let root = vec![
        node(0, "input", "x", "f64[4, 2]", (84.0, 44.0)),
        node(1, "input", "w1", "f64[2, 3]", (228.0, 44.0)),
        boxed(20, 1, "layer1", (156.0, 134.0)),
        node(2, "input", "w2", "f64[3, 1]", (320.0, 134.0)),
        boxed(21, 2, "layer2", (238.0, 224.0)),
        boxed(22, 3, "loss", (238.0, 314.0)),
        node(9, "output", "loss", "f64", (238.0, 404.0)),
    ];
    let first = vec![
        node(3, "op", "dot", "f64[4, 3]", (84.0, 40.0)),
        node(4, "op", "tanh", "f64[4, 3]", (84.0, 120.0)),
    ];
    let second = vec![node(5, "op", "dot", "f64[4, 1]", (84.0, 40.0))];
    let third = vec![
        node(6, "op", "mul", "f64[4, 1]", (84.0, 40.0)),
        node(7, "op", "sum", "f64", (84.0, 120.0)),
        node(8, "op", "div", "f64", (84.0, 200.0)),
    ];
    let picture = Picture {
        name: "network".into(),
        groups: vec![
            group(
                "network",
                "graph",
                None,
                root,
                &[(0, 2), (1, 2), (2, 4), (3, 4), (4, 5), (5, 6)],
            ),
            group("layer1", "scope", Some(0), first, &[(0, 1)]),
            group("layer2", "scope", Some(0), second, &[]),
            group("loss", "scope", Some(0), third, &[(0, 1), (1, 2)]),
        ],
    };

    let x = [0.5, -1.0, 1.5, 0.25, -0.75, 2.0, 1.0, 1.0];
    let w1 = [0.1, -0.4, 0.8, 0.7, 0.3, -0.2];
    let w2 = [1.5, -0.5, 0.25];
    let h = product(&x, &w1, 4, 2, 3);
    let t: Vec<f64> = h.iter().map(|v| v.tanh()).collect();
    let y = product(&t, &w2, 4, 3, 1);
    let squares: Vec<f64> = y.iter().map(|v| v * v).collect();
    let sum: f64 = squares.iter().sum();
    let loss = sum / 4.0;
    let forward = |id: u32, formula: &str, out: Value, operands: Vec<(u32, &str, Value)>| Step {
        node: id,
        variable: format!("v{id}"),
        formula: formula.into(),
        value: out,
        operands: operands
            .into_iter()
            .map(|(node, name, value)| Operand {
                node,
                variable: name.into(),
                value: Some(value),
                ..Operand::default()
            })
            .collect(),
        ..Step::default()
    };
    let back = |id: u32, formula: &str, arriving: Value, operands: Vec<Operand>| Step {
        backward: true,
        node: id,
        variable: format!("v{id}"),
        formula: formula.into(),
        value: arriving,
        operands,
    };
    let cy: Vec<f64> = y.iter().map(|v| 2.0 * v / 4.0).collect();
    let turned: Vec<f64> = (0..3)
        .flat_map(|c| (0..4).map(move |r| (r, c)))
        .map(|(r, c)| t[r * 3 + c])
        .collect();
    let cw2 = product(&turned, &cy, 3, 4, 1);
    let ct = product(&cy, &w2, 4, 1, 3);
    let ch: Vec<f64> = ct.iter().zip(&t).map(|(c, t)| c * (1.0 - t * t)).collect();
    let x_turned: Vec<f64> = (0..2)
        .flat_map(|c| (0..4).map(move |r| (r, c)))
        .map(|(r, c)| x[r * 2 + c])
        .collect();
    let cw1 = product(&x_turned, &ch, 2, 4, 3);
    let diagonal = |entries: &[f64]| -> Value {
        let n = entries.len();
        let mut m = vec![0.0; n * n];
        for (i, e) in entries.iter().enumerate() {
            m[i * n + i] = *e;
        }
        value(&[n, n], &m)
    };
    let operand = |node: u32,
                   name: &str,
                   partial: &str,
                   jacobian: Option<Value>,
                   product: Value,
                   sum: Option<Value>| Operand {
        node,
        variable: name.into(),
        partial: partial.into(),
        jacobian,
        product: Some(product),
        sum,
        ..Operand::default()
    };
    let half: Vec<f64> = y.iter().map(|v| v / 4.0).collect();
    let steps = vec![
        forward(
            3,
            "v3 = dot(x, w1)",
            value(&[4, 3], &h),
            vec![(0, "x", value(&[4, 2], &x)), (1, "w1", value(&[2, 3], &w1))],
        ),
        forward(
            4,
            "v4 = tanh(v3)",
            value(&[4, 3], &t),
            vec![(3, "v3", value(&[4, 3], &h))],
        ),
        forward(
            5,
            "v5 = dot(v4, w2)",
            value(&[4, 1], &y),
            vec![
                (4, "v4", value(&[4, 3], &t)),
                (2, "w2", value(&[3, 1], &w2)),
            ],
        ),
        forward(
            6,
            "v6 = mul(v5, v5)",
            value(&[4, 1], &squares),
            vec![(5, "v5", value(&[4, 1], &y)), (5, "v5", value(&[4, 1], &y))],
        ),
        forward(
            7,
            "v7 = sum(v6)",
            value(&[], &[sum]),
            vec![(6, "v6", value(&[4, 1], &squares))],
        ),
        forward(
            8,
            "v8 = div(v7, 4.0)",
            value(&[], &[loss]),
            vec![(7, "v7", value(&[], &[sum]))],
        ),
        back(
            8,
            "c7 = c8 / 4.0",
            value(&[], &[1.0]),
            vec![operand(
                7,
                "v7",
                "1 / 4.0",
                Some(value(&[1, 1], &[0.25])),
                value(&[], &[0.25]),
                None,
            )],
        ),
        back(
            7,
            "c6 = broadcast(c7)",
            value(&[], &[0.25]),
            vec![operand(
                6,
                "v6",
                "1 for each element",
                Some(value(&[1, 4], &[1.0; 4])),
                value(&[4, 1], &[0.25; 4]),
                None,
            )],
        ),
        back(
            6,
            "c5 = c6 v5 + c6 v5",
            value(&[4, 1], &[0.25; 4]),
            vec![
                operand(
                    5,
                    "v5",
                    "v5",
                    Some(diagonal(&y)),
                    value(&[4, 1], &half),
                    None,
                ),
                operand(
                    5,
                    "v5",
                    "v5",
                    Some(diagonal(&y)),
                    value(&[4, 1], &half),
                    Some(value(&[4, 1], &cy)),
                ),
            ],
        ),
        back(
            5,
            "c4 = dot(c5, w2ᵀ), c_w2 = dot(v4ᵀ, c5)",
            value(&[4, 1], &cy),
            vec![
                operand(
                    4,
                    "v4",
                    "w2ᵀ from the right",
                    None,
                    value(&[4, 3], &ct),
                    None,
                ),
                operand(
                    2,
                    "w2",
                    "v4ᵀ from the left",
                    Some(value(&[4, 3], &t)),
                    value(&[3, 1], &cw2),
                    None,
                ),
            ],
        ),
        back(
            4,
            "c3 = c4 (1 − v4²)",
            value(&[4, 3], &ct),
            vec![operand(3, "v3", "1 − v4²", None, value(&[4, 3], &ch), None)],
        ),
        back(
            3,
            "c_w1 = dot(xᵀ, c3)",
            value(&[4, 3], &ch),
            vec![operand(
                1,
                "w1",
                "xᵀ from the left",
                None,
                value(&[2, 3], &cw1),
                None,
            )],
        ),
    ];
    let named = |name: &str, value: Value| Named {
        name: name.into(),
        value,
    };
    let walk = Walk {
        name: "a two-layer network".into(),
        picture: 0,
        inputs: vec![
            named("x", value(&[4, 2], &x)),
            named("w1", value(&[2, 3], &w1)),
            named("w2", value(&[3, 1], &w2)),
        ],
        steps,
        results: vec![named("loss", value(&[], &[loss]))],
        gradients: vec![
            named("w1", value(&[2, 3], &cw1)),
            named("w2", value(&[3, 1], &cw2)),
        ],
    };
    (picture, walk)
}

fn product(a: &[f64], b: &[f64], n: usize, k: usize, m: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * m];
    for r in 0..n {
        for c in 0..m {
            out[r * m + c] = (0..k).map(|i| a[r * k + i] * b[i * m + c]).sum();
        }
    }
    out
}

/// `f(f(f(w)))` with `f(x) = sin(x) + x`: paths meet at every `f`.
fn seed() -> (Picture, Walk) {
    let mut nodes = vec![node(0, "input", "w", "f64", (84.0, 44.0))];
    let mut arrows = Vec::new();
    for k in 0..3u32 {
        let y = 44.0 + 160.0 * f64::from(k);
        let from = if k == 0 { 0 } else { 2 * k as usize };
        nodes.push(node(
            2 * k + 1,
            "op",
            "sin",
            "f64",
            (84.0 + 150.0, y + 80.0),
        ));
        nodes.push(node(2 * k + 2, "op", "add", "f64", (84.0, y + 160.0)));
        let n = nodes.len();
        arrows.extend([(from, n - 2), (from, n - 1), (n - 2, n - 1)]);
    }
    nodes.push(node(7, "output", "result", "f64", (84.0, 44.0 + 560.0)));
    arrows.push((6, 7));
    let picture = Picture {
        name: "f(f(f(w)))".into(),
        groups: vec![group("f(f(f(w)))", "graph", None, nodes, &arrows)],
    };
    let w = 0.7_f64;
    let mut at = vec![w];
    for k in 0..3 {
        let x = at[2 * k];
        at.push(x.sin());
        at.push(x + x.sin());
    }
    let scalar = |x: f64| value(&[], &[x]);
    let name = |i: u32| {
        if i == 0 {
            "w".to_owned()
        } else {
            format!("v{i}")
        }
    };
    let mut steps = Vec::new();
    for k in 0..3u32 {
        let (x, s, a) = (2 * k, 2 * k + 1, 2 * k + 2);
        let read = |i: u32| Operand {
            node: i,
            variable: name(i),
            value: Some(scalar(at[i as usize])),
            ..Operand::default()
        };
        let step = |id: u32, formula: String, operands: Vec<Operand>| Step {
            node: id,
            variable: name(id),
            formula,
            value: scalar(at[id as usize]),
            operands,
            ..Step::default()
        };
        steps.push(step(
            s,
            format!("{} = sin({})", name(s), name(x)),
            vec![read(x)],
        ));
        steps.push(step(
            a,
            format!("{} = add({}, {})", name(a), name(x), name(s)),
            vec![read(x), read(s)],
        ));
    }
    let mut arriving = 1.0;
    for k in (0..3u32).rev() {
        let (x, s, a) = (2 * k, 2 * k + 1, 2 * k + 2);
        let slope = at[x as usize].cos();
        let to = |i: u32, partial: String, local: f64, c: f64, sum: Option<f64>| Operand {
            node: i,
            variable: name(i),
            partial,
            jacobian: Some(value(&[1, 1], &[local])),
            product: Some(scalar(local * c)),
            sum: sum.map(scalar),
            ..Operand::default()
        };
        steps.push(Step {
            backward: true,
            node: a,
            variable: name(a),
            formula: format!("c{x} = c{a}, c{s} = c{a}"),
            value: scalar(arriving),
            operands: vec![
                to(x, "1".into(), 1.0, arriving, None),
                to(s, "1".into(), 1.0, arriving, None),
            ],
        });
        let next = arriving + slope * arriving;
        steps.push(Step {
            backward: true,
            node: s,
            variable: name(s),
            formula: format!("c{x} = c{x} + c{s} cos({})", name(x)),
            value: scalar(arriving),
            operands: vec![to(
                x,
                format!("cos({})", name(x)),
                slope,
                arriving,
                Some(next),
            )],
        });
        arriving = next;
    }
    let named = |name: &str, x: f64| Named {
        name: name.into(),
        value: scalar(x),
    };
    let walk = Walk {
        name: "f(f(f(w)))".into(),
        picture: 1,
        inputs: vec![named("w", w)],
        steps,
        results: vec![named("result", at[6])],
        gradients: vec![named("w", arriving)],
    };
    (picture, walk)
}

/// One step with arrays that are too large for their elements to be read.
fn large() -> Walk {
    let mut noise = Noise::new(5);
    let mut draw = |shape: &[usize]| {
        let count = shape.iter().product();
        let numbers: Vec<f64> = (0..count)
            .map(|i| noise.bell() + (i as f64 / 40.0).sin())
            .collect();
        value(shape, &numbers)
    };
    let (x, w, b) = (draw(&[24, 40]), draw(&[3, 8, 8]), draw(&[12]));
    let out = draw(&[80, 80]);
    let operand = |node: u32, name: &str, value: &Value| Operand {
        node,
        variable: name.into(),
        value: Some(value.clone()),
        ..Operand::default()
    };
    let named = |name: &str, value: &Value| Named {
        name: name.into(),
        value: value.clone(),
    };
    Walk {
        name: "large arrays".into(),
        picture: 0,
        inputs: vec![named("x", &x), named("w1", &w), named("w2", &b)],
        steps: vec![Step {
            node: 3,
            variable: "v3".into(),
            formula: "v3 = conv(x, w1, w2)".into(),
            value: out.clone(),
            operands: vec![
                operand(0, "x", &x),
                operand(1, "w1", &w),
                operand(2, "w2", &b),
            ],
            ..Step::default()
        }],
        results: vec![named("out", &out)],
        gradients: Vec::new(),
    }
}

fn passes() -> Vec<Pass> {
    let line = |kind: &str, text: String| Line {
        kind: kind.into(),
        text,
    };
    let names = [
        (
            "as traced",
            "The graph as the function was traced.",
            120,
            5200,
            0,
        ),
        (
            "simplify",
            "Applies rules such as x · 1 = x and folds what is constant.",
            96,
            4800,
            9,
        ),
        ("share", "Computes the same expression once.", 81, 3900, 6),
        ("drop", "Drops what nothing reads.", 78, 3880, 2),
        (
            "fuse",
            "Joins pointwise operations to regions that run as one loop.",
            31,
            3880,
            20,
        ),
    ];
    names
        .iter()
        .enumerate()
        .map(|(k, (name, about, equations, operations, changed))| {
            let mut lines: Vec<Line> = (0..160)
                .map(|i| {
                    line(
                        "same",
                        format!("v{i}: f64[64, 10] = mul(v{}, v{})", i + 1, i + 2),
                    )
                })
                .collect();
            for i in 0..*changed {
                let at = 5 + (i * 37) % 150;
                lines.insert(
                    at,
                    line(
                        "removed",
                        format!("v{at}: f64[64, 10] = mul(v{}, 1.0)", at + 1),
                    ),
                );
                if i % 3 == 0 {
                    lines.insert(
                        at + 1,
                        line("added", format!("v{at}: f64[64, 10] = neg(v{})", at + 1)),
                    );
                }
            }
            Pass {
                name: (*name).into(),
                about: (*about).into(),
                equations: *equations,
                operations: *operations,
                lines,
                picture: (k % 2 == 0).then_some(k / 2 % 2),
            }
        })
        .collect()
}

/// A plan of `count` steps forward and as many back, with values kept in between.
pub fn memory(count: usize) -> Memory {
    let mut noise = Noise::new(7);
    let mut blocks = Vec::new();
    let mut top = 0;
    let mut block = |name: String, offset: u64, bytes: u64, from: usize, to: usize, kind: &str| {
        blocks.push(Block {
            name,
            ty: format!("f32[{}]", bytes / 4),
            offset,
            bytes,
            from,
            to,
            kind: kind.into(),
        });
        offset + bytes
    };
    for i in 0..count {
        let bytes = 4096 * (1 + (noise.draw().abs() * 12.0) as u64);
        let back = 2 * count - 1 - i;
        if i % 5 == 4 {
            block(format!("h{i}"), top, bytes, i, i + 1, "short");
            block(
                format!("h{i}"),
                top,
                bytes,
                back.saturating_sub(1),
                back,
                "again",
            );
        } else {
            top = block(format!("h{i}"), top, bytes, i, back, "kept");
        }
    }
    let arena = top + 65536;
    for i in 0..2 * count {
        let kind = if i % 11 == 0 { "scratch" } else { "short" };
        block(
            format!("t{i}"),
            top,
            20480 + 4096 * (i as u64 % 9),
            i,
            (i + 1).min(2 * count - 1),
            kind,
        );
    }
    block(
        "loss".into(),
        arena - 4096,
        4096,
        count,
        2 * count - 1,
        "result",
    );
    block(
        "state".into(),
        arena - 8192,
        4096,
        count / 2,
        count,
        "state",
    );
    Memory {
        arena,
        total: arena + 300_000,
        budget: Some(arena + 340_000),
        steps: (0..2 * count)
            .map(|i| PlanStep {
                label: format!("region {i}: mul, add, tanh"),
                again: i >= count && (2 * count - 1 - i) % 5 == 4,
            })
            .collect(),
        blocks,
        curve: (1..=8)
            .map(|k| CurvePoint {
                bytes: 300_000 + arena * k / 6,
                time: 1.0 + 0.6 * (8.0 - k as f64).powi(2) / 49.0,
            })
            .collect(),
    }
}

pub fn cost(count: usize) -> Cost {
    let mut noise = Noise::new(3);
    let (operations, bytes) = (5.6e10, 2.2e10);
    let steps: Vec<CostStep> = (0..count)
        .map(|i| {
            let kind = if i % 9 == 0 {
                "dot"
            } else if i % 13 == 5 {
                "loop"
            } else if i % 17 == 3 {
                "copy"
            } else {
                "region"
            };
            let moved = 10f64.powf(4.5 + 1.5 * noise.draw());
            let work = match kind {
                "copy" => 0.0,
                "dot" => moved * 10f64.powf(1.0 + 0.6 * noise.draw()),
                _ => moved * 10f64.powf(-0.6 + 0.6 * noise.draw()),
            };
            let ideal = f64::max(work / operations, moved / bytes);
            CostStep {
                label: format!("{kind} {i}: v{i} = add, mul, tanh"),
                kind: kind.into(),
                operations: work as u64,
                bytes: moved as u64,
                seconds: ideal * (1.3 + noise.draw().abs() * 2.0),
                place: (i % 2 == 0).then(|| format!("src/model.rs:{}:9", 20 + i)),
            }
        })
        .collect();
    Cost {
        machine: "x86-64, AVX2 and FMA, 2 cores".into(),
        peak_operations: operations,
        peak_bytes: bytes,
        seconds: 1.04 * steps.iter().map(|s| s.seconds).sum::<f64>(),
        runs: 25,
        steps,
    }
}

fn training() -> Training {
    let mut noise = Noise::new(11);
    let pair = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    let names = [
        "layer1.weight",
        "layer1.bias",
        "layer2.weight",
        "layer2.bias",
    ];
    let epochs: Vec<Epoch> = (1..=30)
        .map(|n| {
            let t = f64::from(n as u32);
            let loss = 2.1 * (-t / 5.0).exp() + 0.06 + 0.01 * noise.draw();
            Epoch {
                number: n,
                loss: Some(loss),
                validation_loss: Some(loss + 0.04 + 0.0015 * t + 0.01 * noise.draw()),
                metric: Some(1.0 - 0.4 * loss),
                validation_metric: Some(0.985 - 0.4 * loss + 0.005 * noise.draw()),
                rate: Some(0.01 * 0.9f64.powi(n as i32)),
                seconds: Some(0.21 + 0.01 * noise.draw()),
            }
        })
        .collect();
    let layers = names
        .iter()
        .enumerate()
        .map(|(k, name)| {
            let scale = 0.3 / (k + 1) as f64;
            let weights: Vec<f64> = (0..800).map(|_| scale * noise.bell()).collect();
            let gradient: Vec<f64> = (0..800).map(|_| 0.01 * scale * noise.bell()).collect();
            Layer {
                name: (*name).into(),
                ty: if k % 2 == 0 {
                    "f32[64, 32]".into()
                } else {
                    "f32[32]".into()
                },
                gradient_norm: (0..30)
                    .map(|e| {
                        Some(scale * 3.0 * (-f64::from(e) / 9.0).exp() * (1.2 + 0.4 * noise.draw()))
                    })
                    .collect(),
                update_ratio: (0..30)
                    .map(|e| {
                        Some(
                            scale
                                * 0.01
                                * (-f64::from(e) / 14.0).exp()
                                * (1.2 + 0.3 * noise.draw()),
                        )
                    })
                    .collect(),
                weights: statistics(&weights),
                gradient: statistics(&gradient),
            }
        })
        .collect();
    let confusion = (0..10u64)
        .map(|r| {
            (0..10u64)
                .map(|c| {
                    if r == c {
                        30 + r
                    } else {
                        u64::from((r * 7 + c * 3) % 11 == 0) * (1 + c % 4)
                    }
                })
                .collect()
        })
        .collect();
    let worst = (0..8usize)
        .map(|k| Example {
            row: 113 * (k + 1),
            truth: (k % 10).to_string(),
            answer: ((k + 5) % 10).to_string(),
            probability: Some(0.97 - 0.05 * k as f64),
            loss: Some(4.2 - 0.3 * k as f64),
            pixels: (0..8)
                .map(|r| {
                    (0..8)
                        .map(|c| {
                            let d =
                                ((r as f64 - 3.5).hypot(c as f64 - 3.5) - 2.0 - 0.15 * k as f64)
                                    .abs();
                            (1.0 - 0.7 * d).clamp(0.0, 1.0)
                        })
                        .collect()
                })
                .collect(),
            inputs: Vec::new(),
        })
        .collect();
    Training {
        configuration: vec![
            pair("data", "digits shipped with the crate"),
            pair("seed", "42"),
            pair("layers", "64, 32, 10"),
            pair("activation", "tanh"),
            pair("optimizer", "adam"),
            pair("rate", "0.01, × 0.9 each epoch"),
            pair("batch", "32"),
            pair("epochs", "30"),
        ],
        metric: "accuracy".into(),
        epochs,
        layers,
        classes: (0..10).map(|k| k.to_string()).collect(),
        confusion,
        worst,
        summary: vec![
            pair("test accuracy", "0.9805"),
            pair("test loss", "0.0712"),
            pair("time", "6.4 s"),
            pair("samples per second", "6,930"),
        ],
    }
}

fn trouble() -> Trouble {
    let named = |name: &str, value: Value| Named {
        name: name.into(),
        value,
    };
    let inf = value(&[3], &[-0.105, f64::NEG_INFINITY, -2.3]);
    let bad = value(&[3], &[-0.09, f64::NAN, -0.23]);
    Trouble {
        message: "log gives -inf in element [1] of v4, and the loss becomes NaN".into(),
        path: vec![
            Hop {
                text: "v4: f64[3] = log(v3)".into(),
                place: Some("src/model.rs:41:22".into()),
                source: Some("    let surprise = probability.log();".into()),
                operands: vec![named("v3", value(&[3], &[0.9, 0.0, 0.1]))],
                value: inf.clone(),
            },
            Hop {
                text: "v5: f64[3] = mul(v3, v4)".into(),
                place: Some("src/model.rs:42:20".into()),
                source: Some("    let parts = probability * surprise;".into()),
                operands: vec![named("v3", value(&[3], &[0.9, 0.0, 0.1])), named("v4", inf)],
                value: bad.clone(),
            },
            Hop {
                text: "v6: f64 = sum(v5)".into(),
                place: None,
                source: None,
                operands: vec![named("v5", bad)],
                value: value(&[], &[f64::NAN]),
            },
        ],
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
