//! Graphs as SVG.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::model::{Group, Node, Picture};
use crate::text::{bytes, count, escape};
use crate::unfold::{Placed, Shown, unfold};

/// The colours of a family: fill and border in the light, fill and border in the dark.
const FAMILIES: [(&str, &str, [&str; 4]); 11] = [
    (
        "input",
        "input",
        ["#ddf0ff", "#57a5e8", "#0c2d4a", "#388bdf"],
    ),
    (
        "constant",
        "constant",
        ["#f3f4f6", "#b6bec8", "#21262d", "#57606a"],
    ),
    (
        "output",
        "result",
        ["#dcf7e3", "#4cb86c", "#0f3520", "#3fa45c"],
    ),
    (
        "pointwise",
        "element by element",
        ["#ffffff", "#9aa4b0", "#161b22", "#6e7681"],
    ),
    (
        "product",
        "dot and conv",
        ["#ffefdc", "#eb9648", "#3d2410", "#d8843a"],
    ),
    (
        "reduction",
        "reduction",
        ["#f3ebff", "#a884e8", "#2b1d46", "#9a78d8"],
    ),
    (
        "move",
        "moves elements",
        ["#e9f6f5", "#74b5b0", "#10302e", "#4f938e"],
    ),
    (
        "linalg",
        "linear algebra",
        ["#ffeaf4", "#e078b0", "#401a2f", "#c9649a"],
    ),
    (
        "random",
        "random",
        ["#fff7cf", "#d1a82c", "#382d0b", "#b08c22"],
    ),
    (
        "control",
        "function, branch, loop",
        ["#eaedff", "#8492ec", "#1c2350", "#7583dc"],
    ),
    (
        "group",
        "group",
        ["#eef1f5", "#8b98a8", "#1d242d", "#76818e"],
    ),
];

/// The most characters of a tooltip.
const LONGEST: usize = 1500;
/// The height of the head line and of the legend.
const HEAD: f64 = 18.0;
const FOOT: f64 = 34.0;

/// Draws a graph with the groups unfolded that are open. Labels are escaped, and boxes have
/// tooltips.
pub fn graph_svg(picture: &Picture) -> String {
    let sheets = unfold(picture);
    let [width, height] = sheets.first().map_or([0.0, 0.0], |whole| whole.size);
    let legend = Legend::of(picture, &sheets);
    let name = if picture.name.is_empty() {
        "graph"
    } else {
        &picture.name
    };
    let head = name.chars().count() as f64 * 11.0 + 40.0;
    let width = width.max(legend.width + 36.0).max(head);
    let left = (width - sheets.first().map_or(0.0, |whole| whole.size[0])) / 2.0;
    let height = height + HEAD + FOOT;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"system-ui, -apple-system, 'Segoe UI', \
         sans-serif\" font-size=\"13\" role=\"img\">\n<title>The graph of {}</title>\n",
        escape(name)
    );
    svg.push_str(&style());
    svg.push_str(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7.4\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path class=\"head\" d=\"M0.5 0.8 7.5 4 0.5 7.2Z\"/></marker></defs>\n",
    );
    let _ = writeln!(
        svg,
        "<rect class=\"page\" width=\"{width:.0}\" height=\"{height:.0}\"/>\n\
         <text class=\"name\" x=\"18\" y=\"28\">{}</text>",
        escape(name)
    );
    let _ = writeln!(svg, "<g transform=\"translate({left:.1} {HEAD})\">");
    for sheet in &sheets {
        if let Some(group) = picture.groups.get(sheet.group) {
            draw(&mut svg, picture, group, sheet);
        }
    }
    svg.push_str("</g>\n");
    legend.draw(&mut svg, height);
    svg.push_str("</svg>\n");
    svg
}

fn style() -> String {
    let mut light = String::from(
        ".page { fill: #fff } text { fill: #1f2328 } .name { font-size: 16px; font-weight: 600 } \
         .op { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; \
         text-anchor: middle } .note { fill: #59636e; font-size: 10.5px; text-anchor: middle } \
         .type { fill: #6a7480; font-size: 10px; font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, \
         'DejaVu Sans Mono', monospace } .end { text-anchor: end } \
         .wire { fill: none; stroke: #98a2ae; stroke-width: 1.2 } .head { fill: #98a2ae } \
         .frame { fill: #5b7186; fill-opacity: .06; stroke: #5b7186; stroke-opacity: .35 } \
         .back { fill: #b35900; fill-opacity: .05; stroke: #b35900; stroke-opacity: .4 } \
         .title { font-weight: 600; fill: #46525e } .d { fill: #9a4a00 } .legend { font-size: 11px; fill: #59636e } ",
    );
    let mut dark = String::from(
        ".page { fill: #0d1117 } text { fill: #e6edf3 } .note { fill: #9198a1 } .type { fill: #8b949e } \
         .wire { stroke: #626c78 } .head { fill: #626c78 } .frame { fill: #a8c2dd; fill-opacity: .06; stroke: #a8c2dd; \
         stroke-opacity: .3 } .back { fill: #f0a35c; fill-opacity: .06; stroke: #f0a35c; stroke-opacity: .35 } \
         .title { fill: #b6c2cf } .d { fill: #f0b27a } .legend { fill: #9198a1 } ",
    );
    for (family, _, [fill, border, dark_fill, dark_border]) in FAMILIES {
        let _ = write!(light, ".{family} {{ fill: {fill}; stroke: {border} }} ");
        let _ = write!(
            dark,
            ".{family} {{ fill: {dark_fill}; stroke: {dark_border} }} "
        );
    }
    format!("<style>{light}@media (prefers-color-scheme: dark) {{ {dark}}}</style>\n")
}

/// One group: its frame, arrows, boxes, and the types along the arrows.
fn draw(svg: &mut String, picture: &Picture, group: &Group, sheet: &Shown) {
    if sheet.group != 0 {
        let class = if group.in_derivative { "back" } else { "frame" };
        let ([x, y], [w, h]) = (sheet.corner, sheet.size);
        let title = if group.in_derivative {
            "title d"
        } else {
            "title"
        };
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"10\"/>\
             <text class=\"{title}\" x=\"{}\" y=\"{}\">{}</text>",
            short(x),
            short(y),
            short(w),
            short(h),
            short(x + 14.0),
            short(y + 21.0),
            escape(&group.label)
        );
    }
    // Arrows of one box share their way; what is drawn twice would look darker.
    let mut drawn: HashSet<[[u64; 2]; 2]> = HashSet::new();
    for path in sheet.paths.iter().filter(|p| p.len() > 1) {
        let key = |p: [f64; 2]| p.map(f64::to_bits);
        let pieces = path.windows(2).map(|pair| [key(pair[0]), key(pair[1])]);
        let shared = pieces.take_while(|piece| drawn.contains(piece)).count();
        // The last piece carries the head of the arrow.
        let own = path.get(shared.min(path.len() - 2)..).unwrap_or(path);
        drawn.extend(own.windows(2).map(|pair| [key(pair[0]), key(pair[1])]));
        let _ = writeln!(
            svg,
            "<path class=\"wire\" marker-end=\"url(#arrow)\" d=\"{}\"/>",
            curve(own)
        );
    }
    for (node, place) in group.nodes.iter().zip(&sheet.boxes) {
        if !place.unfolded {
            draw_box(svg, picture, node, place);
        }
    }
    types(svg, group, sheet);
}

fn draw_box(svg: &mut String, picture: &Picture, node: &Node, place: &Placed) {
    let family = FAMILIES
        .iter()
        .find(|f| f.0 == node.family)
        .map_or("pointwise", |f| f.0);
    let ([cx, cy], [w, h]) = (place.centre, place.size);
    let round = match &node.kind[..] {
        "input" | "output" => h / 2.0,
        _ => 6.0,
    };
    let (x, y) = (cx - w / 2.0, cy - h / 2.0);
    let inside = node.group.and_then(|g| picture.groups.get(g));
    svg.push_str("<g>");
    let _ = write!(svg, "<title>{}</title>", tooltip(node));
    let rect = |svg: &mut String, by: f64| {
        let _ = write!(
            svg,
            "<rect class=\"{family}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"/>",
            short(x + by),
            short(y + by),
            short(w),
            short(h),
            short(round)
        );
    };
    let mark = if node.in_derivative { " d" } else { "" };
    match inside {
        Some(group) => {
            // A second sheet behind says that there is more inside.
            rect(svg, 3.0);
            rect(svg, 0.0);
            let _ = write!(
                svg,
                "<text class=\"op{mark}\" x=\"{0}\" y=\"{1}\">{2}</text>\
                 <text class=\"note\" x=\"{0}\" y=\"{3}\">{4}</text>",
                short(cx),
                short(cy - 2.0),
                escape(&node.label),
                short(cy + 13.0),
                escape(&contents(picture, group))
            );
        }
        None => {
            rect(svg, 0.0);
            let _ = write!(
                svg,
                "<text class=\"op{mark}\" x=\"{}\" y=\"{}\">{}</text>",
                short(cx),
                short(cy + 4.5),
                escape(&node.label)
            );
        }
    }
    svg.push_str("</g>\n");
}

/// How much is in a folded group, groups inside of it included.
fn contents(picture: &Picture, group: &Group) -> String {
    let (mut ops, mut inputs, mut results) = (0usize, 0usize, 0usize);
    let mut work = vec![group];
    while let Some(group) = work.pop() {
        for node in &group.nodes {
            match &node.kind[..] {
                "op" => ops += 1,
                "input" => inputs += 1,
                "output" => results += 1,
                _ => {}
            }
            // A parent stands before its children, so this ends.
            let child = node.group.and_then(|g| picture.groups.get(g));
            work.extend(child.filter(|c| {
                c.parent.is_some_and(|p| {
                    picture
                        .groups
                        .get(p)
                        .is_some_and(|p| std::ptr::eq(p, group))
                })
            }));
        }
    }
    let word = |n: usize, word: &str| {
        format!(
            "{} {word}{}",
            count(n as u64),
            if n == 1 { "" } else { "s" }
        )
    };
    if ops == 0 {
        word(inputs.max(results), "array")
    } else {
        word(ops, "operation")
    }
}

/// All that is known of a box, a line each.
fn tooltip(node: &Node) -> String {
    let mut lines: Vec<String> = node.text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push(node.label.clone());
    }
    let mut figures = Vec::new();
    if node.bytes > 0 {
        figures.push(bytes(node.bytes));
    }
    if node.operations > 0 {
        figures.push(format!("{} operations", count(node.operations)));
    }
    if !figures.is_empty() {
        lines.push(figures.join(", "));
    }
    lines.extend(node.place.clone());
    lines.push(node.about.clone());
    if !node.derivative.is_empty() {
        lines.push(format!("derivative: {}", node.derivative.join("; ")));
    }
    if !node.kinks.is_empty() {
        lines.push(format!("at the edges: {}", node.kinks));
    }
    lines.retain(|line| !line.is_empty());
    let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
    let all = lines.join("\n");
    match all.char_indices().nth(LONGEST) {
        // Not in the middle of an entity.
        Some((at, _)) => format!(
            "{}…",
            all[..at].rsplit_once(['\n', ' ']).map_or("", |s| s.0)
        ),
        None => all,
    }
}

/// A line through corners, vertical at each.
fn curve(path: &[[f64; 2]]) -> String {
    let mut d = String::new();
    let mut last = [f64::NAN; 2];
    for (i, [x, y]) in path.iter().copied().enumerate() {
        let [x0, y0] = last;
        if i == 0 {
            let _ = write!(d, "M{} {}", short(x), short(y));
        } else if x == x0 {
            let _ = write!(d, "V{}", short(y));
        } else {
            let middle = f64::midpoint(y0, y);
            let _ = write!(
                d,
                "C{} {} {} {} {} {}",
                short(x0),
                short(middle),
                short(x),
                short(middle),
                short(x),
                short(y)
            );
        }
        last = [x, y];
    }
    d
}

/// The height of a line of small text, and the width of a character.
const LINE: f64 = 11.0;
const LETTER: f64 = 6.1;

/// Writes the type of each value beside the arrow that leaves its box, where there is room; once
/// for each box and type.
fn types(svg: &mut String, group: &Group, sheet: &Shown) {
    let crowd = Crowd::of(sheet);
    let mut taken: HashMap<i64, Vec<[f64; 4]>> = HashMap::new();
    let mut written: HashSet<(usize, &str)> = HashSet::new();
    for (edge, path) in group.edges.iter().zip(&sheet.paths) {
        let (Some([sx, sy]), Some([ex, ey])) = (path.first(), path.last()) else {
            continue;
        };
        if edge.label.is_empty() || written.contains(&(edge.from, &edge.label[..])) {
            continue;
        }
        let width = edge.label.chars().count() as f64 * LETTER;
        // Right or left of where the arrow begins, else of where it ends.
        let places = [
            (sx + 5.0, sy + 12.0, false),
            (sx - 5.0, sy + 12.0, true),
            (ex + 6.0, ey - 11.0, false),
            (ex - 6.0, ey - 11.0, true),
        ];
        let free = places.into_iter().find_map(|(x, y, end)| {
            let left = if end { x - width } else { x };
            let area = [left - 2.0, y - LINE + 2.0, left + width + 2.0, y + 3.0];
            let row = |y: f64| (y / 32.0).floor() as i64;
            let beside = (row(area[1]) - 1..=row(area[3]) + 1)
                .flat_map(|r| taken.get(&r).into_iter().flatten());
            let clear = !crowd.touches(area)
                && beside
                    .into_iter()
                    .all(|t| area[2] < t[0] || t[2] < area[0] || area[3] < t[1] || t[3] < area[1]);
            let inside = left > sheet.corner[0] + 4.0
                && left + width < sheet.corner[0] + sheet.size[0] - 4.0;
            (clear && inside).then_some((x, y, end, area, row(area[1])))
        });
        if let Some((x, y, end, area, row)) = free {
            taken.entry(row).or_default().push(area);
            written.insert((edge.from, &edge.label));
            let class = if end { "type end" } else { "type" };
            let _ = writeln!(
                svg,
                "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
                short(x),
                short(y),
                escape(&edge.label)
            );
        }
    }
}

/// Points of all arrows and the areas of all boxes, by height.
struct Crowd {
    rows: HashMap<i64, Vec<[f64; 2]>>,
    boxes: HashMap<i64, Vec<[f64; 4]>>,
}

/// The height of a row of [`Crowd`].
const ROW: f64 = 24.0;

impl Crowd {
    fn of(sheet: &Shown) -> Crowd {
        let mut rows: HashMap<i64, Vec<[f64; 2]>> = HashMap::new();
        let mut boxes: HashMap<i64, Vec<[f64; 4]>> = HashMap::new();
        let row = |y: f64| (y / ROW).floor() as i64;
        for pair in sheet.paths.iter().flat_map(|p| p.windows(2)) {
            let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
            let steps =
                (((y1 - y0).abs().max((x1 - x0).abs()) / 5.0).ceil() as usize).clamp(1, 400);
            for step in 0..=steps {
                let t = step as f64 / steps as f64;
                // The same curve that is drawn: from vertical to vertical.
                let (a, b) = (
                    (1.0 - t) * (1.0 - t) * (1.0 + 2.0 * t),
                    t * t * (3.0 - 2.0 * t),
                );
                let middle = f64::midpoint(y0, y1);
                let c = 1.0 - t;
                let y = c * c * c * y0
                    + 3.0 * c * c * t * middle
                    + 3.0 * c * t * t * middle
                    + t * t * t * y1;
                rows.entry(row(y)).or_default().push([a * x0 + b * x1, y]);
            }
        }
        for place in &sheet.boxes {
            let ([x, y], [w, h]) = (place.centre, place.size);
            let area = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
            for r in row(area[1])..=row(area[3]) {
                boxes.entry(r).or_default().push(area);
            }
        }
        Crowd { rows, boxes }
    }

    fn touches(&self, area: [f64; 4]) -> bool {
        let row = |y: f64| (y / ROW).floor() as i64;
        (row(area[1])..=row(area[3])).any(|r| {
            let inside =
                |p: &[f64; 2]| p[0] > area[0] && p[0] < area[2] && p[1] > area[1] && p[1] < area[3];
            let over =
                |b: &[f64; 4]| b[2] > area[0] && b[0] < area[2] && b[3] > area[1] && b[1] < area[3];
            self.rows
                .get(&r)
                .is_some_and(|points| points.iter().any(inside))
                || self
                    .boxes
                    .get(&r)
                    .is_some_and(|boxes| boxes.iter().any(over))
        })
    }
}

/// What the colours mean, for the families that are there.
struct Legend {
    entries: Vec<(&'static str, &'static str)>,
    width: f64,
}

impl Legend {
    fn of(picture: &Picture, sheets: &[Shown]) -> Legend {
        let nodes = sheets.iter().flat_map(|s| {
            let nodes = picture.groups.get(s.group).map_or(&[][..], |g| &g.nodes);
            nodes
                .iter()
                .zip(&s.boxes)
                .filter(|(_, b)| !b.unfolded)
                .map(|(n, _)| &n.family[..])
        });
        let there: HashSet<&str> = nodes.collect();
        let entries: Vec<(&str, &str)> = (FAMILIES.iter())
            .filter(|f| there.contains(f.0))
            .map(|f| (f.0, f.1))
            .collect();
        let width = entries.iter().map(|e| Legend::span(e.1)).sum();
        Legend { entries, width }
    }

    fn span(text: &str) -> f64 {
        text.chars().count() as f64 * 6.6 + 34.0
    }

    fn draw(&self, svg: &mut String, height: f64) {
        let mut x = 18.0;
        let y = height - 20.0;
        for (family, text) in &self.entries {
            let _ = writeln!(
                svg,
                "<rect class=\"{family}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"10\" rx=\"3\"/>\
                 <text class=\"legend\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                y - 9.0,
                x + 19.0,
                y
            );
            x += Legend::span(text);
        }
    }
}

/// A coordinate with one digit at most.
fn short(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}
