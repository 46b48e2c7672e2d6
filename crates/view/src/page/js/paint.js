// How a graph looks: boxes, lines and text on a canvas.

const FONT = 'system-ui, -apple-system, "Segoe UI", sans-serif';
const CODE = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';

/** What a box is for its colours: its family if it has one, else its kind. */
function familyOf(node) {
  const family = node.family || (node.kind === "op" ? "pointwise" : node.kind);
  return colour[`${family}-fill`] ? family : "pointwise";
}

/** Below this scale boxes are plain rectangles without text. */
const FAR = 0.22;

function paintGraph(graph) {
  const { canvas, view, flat, size } = graph;
  const context = sharp(canvas, ...size);
  context.clearRect(0, 0, ...size);
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  const sight = [
    -view.x / view.scale,
    -view.y / view.scale,
    (size[0] - view.x) / view.scale,
    (size[1] - view.y) / view.scale,
  ];
  const near = (b) => b[2] >= sight[0] && b[0] <= sight[2] && b[3] >= sight[1] && b[1] <= sight[3];
  const boxes = view.scale < FAR ? flat.boxes : flat.boxes.filter((b) =>
    near([b.x - b.w / 2 - 40, b.y - b.h / 2 - 20, b.x + b.w / 2 + 40, b.y + b.h / 2 + 20]),
  );
  for (const box of boxes) if (box.open) paintOpen(context, box, graph);
  if (view.scale < FAR) paintFar(context, graph);
  else {
    paintEdges(context, flat.edges.filter((e) => near(e.bounds)), graph);
    for (const box of boxes) if (!box.open) paintBox(context, box, graph);
  }
  const chosen = graph.boxes.get(graph.selected);
  if (chosen) ring(context, chosen, colour.accent, view.scale);
  const current = graph.current === null ? null : graph.visible(graph.current.id);
  if (current) ring(context, current, graph.current.backward ? colour.back : colour.accent, view.scale);
  if (view.scale >= 0.3) for (const box of boxes) paintBadge(context, box, graph);
  context.restore();
}

/** Whether something is beside the path of the chosen node and therefore pale. */
function pale(graph, id) {
  const { path } = graph;
  if (!path || path.up.size + path.down.size <= 2) return false;
  return !path.up.has(id) && !path.down.has(id);
}

function paintOpen(context, box, graph) {
  const [left, top] = [box.x - box.w / 2, box.y - box.h / 2];
  context.globalAlpha = 1;
  const ink = box.node.in_derivative ? colour.back : colour.frame;
  context.fillStyle = ink;
  context.strokeStyle = ink;
  context.lineWidth = 1 / Math.max(graph.view.scale, 0.5);
  round(context, left, top, box.w, box.h, 10);
  context.globalAlpha = 0.06;
  context.fill();
  context.globalAlpha = 0.4;
  context.stroke();
  context.globalAlpha = 1;
  if (graph.view.scale * 12 < 4) return;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 12.5px ${FONT}`;
  context.fillStyle = ink;
  context.fillText("−", left + 10, top + HEADER / 2 + 1);
  context.fillText(cut(context, box.node.label, box.w - 36), left + 24, top + HEADER / 2 + 1);
}

/** Whether an edge is on the way to the chosen node (`up`), from it (`down`), or neither. */
function wayOf({ from, to }, path) {
  if (!path) return "plain";
  if (path.up.has(from.node.id) && path.up.has(to.node.id)) return "up";
  return path.down.has(from.node.id) && path.down.has(to.node.id) ? "down" : "plain";
}

/** The lines of some edges, by their way. */
function traceAll(edges, graph, scale) {
  const lines = { plain: new Path2D(), up: new Path2D(), down: new Path2D() };
  for (const edge of edges) trace(lines[wayOf(edge, graph.path)], edge.points, scale);
  return lines;
}

function strokeAll(context, lines, graph) {
  const wide = 1.2 / clamp(graph.view.scale, 0.35, 1);
  context.lineWidth = wide;
  context.strokeStyle = colour.faint;
  context.globalAlpha = graph.path ? 0.22 : 0.6;
  context.stroke(lines.plain);
  context.globalAlpha = 1;
  if (!graph.path) return;
  context.lineWidth = wide * 1.6;
  context.strokeStyle = colour.accent;
  context.stroke(lines.up);
  context.strokeStyle = colour.good;
  context.stroke(lines.down);
}

function paintEdges(context, edges, graph) {
  const { view, path } = graph;
  strokeAll(context, traceAll(edges, graph, view.scale), graph);
  const inks = { plain: colour.faint, up: colour.accent, down: colour.good };
  if (view.scale >= 0.3) {
    for (const edge of edges) {
      const way = wayOf(edge, path);
      context.globalAlpha = way === "plain" ? (path ? 0.25 : 0.8) : 1;
      head(context, edge.points, inks[way]);
    }
  }
  context.globalAlpha = 1;
  if (view.scale < 0.75 || graph.badges.size > 0) return;
  // One label for all arrows that leave a box with the same type.
  const said = new Set();
  for (const edge of edges) {
    const key = `${edge.from.node.id} ${edge.points[0][0].toFixed(0)} ${edge.edge.label}`;
    if (!said.has(key)) edgeLabel(context, edge, graph);
    said.add(key);
  }
}

/** A line through corners that is vertical at each, as the SVG pictures draw it. */
function trace(path, points, scale) {
  path.moveTo(...points[0]);
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    if (scale < FAR || Math.abs(a[0] - b[0]) < 0.5) path.lineTo(...b);
    else {
      const half = (a[1] + b[1]) / 2;
      path.bezierCurveTo(a[0], half, b[0], half, ...b);
    }
  }
}

function head(context, points, ink) {
  const [x, y] = points.at(-1);
  const way = y >= points.at(-2)[1] ? 1 : -1;
  context.fillStyle = ink;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 3.4, y - 7 * way);
  context.lineTo(x + 3.4, y - 7 * way);
  context.fill();
}

/** The type of what goes along an edge, beside the line where it leaves its box. */
function edgeLabel(context, { edge, points }, graph) {
  if (!edge.label) return;
  const [[x, y], [, below]] = points;
  if (Math.abs(below - y) < 18) return;
  context.globalAlpha = graph.path ? 0.45 : 1;
  context.font = `10px ${CODE}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = colour.page;
  const at = y + 10 * Math.sign(below - y);
  context.strokeText(edge.label, x + 5, at);
  context.fillStyle = colour.faint;
  context.fillText(edge.label, x + 5, at);
  context.globalAlpha = 1;
}

/**
 * The whole graph from far away: a few paths that are kept until something folds or is chosen, so
 * that moving costs no more than drawing them.
 */
function paintFar(context, graph) {
  const { flat, path } = graph;
  if (graph.far?.flat !== flat || graph.far.path !== path) {
    const boxes = new Map();
    for (const box of flat.boxes) {
      if (box.open) continue;
      const key = `${familyOf(box.node)} ${pale(graph, box.node.id) ? 0.2 : 0.75}`;
      if (!boxes.has(key)) boxes.set(key, new Path2D());
      boxes.get(key).rect(box.x - box.w / 2, box.y - box.h / 2, box.w, box.h);
    }
    graph.far = { flat, path, boxes, lines: traceAll(flat.edges, graph, 0) };
  }
  strokeAll(context, graph.far.lines, graph);
  for (const [key, shape] of graph.far.boxes) {
    const [family, alpha] = key.split(" ");
    context.globalAlpha = Number(alpha);
    context.fillStyle = colour[`${family}-line`];
    context.fill(shape);
  }
  context.globalAlpha = 1;
}

function paintBox(context, box, graph) {
  const { node } = box;
  const [left, top] = [box.x - box.w / 2, box.y - box.h / 2];
  const family = familyOf(node);
  context.globalAlpha = pale(graph, node.id) ? 0.45 : 1;
  context.fillStyle = colour[`${family}-fill`];
  context.strokeStyle = colour[`${family}-line`];
  context.lineWidth = 1.1;
  if (box.child !== null) {
    // A second sheet behind: there is more inside.
    round(context, left + 3, top + 3, box.w, box.h, 6);
    context.fill();
    context.stroke();
  }
  const curve = node.kind === "input" || node.kind === "output" ? box.h / 2 : 6;
  round(context, left, top, box.w, box.h, curve);
  context.fill();
  context.stroke();
  if (graph.view.scale * 13 >= 4.5) paintLabel(context, box);
  context.globalAlpha = 1;
}

function paintLabel(context, box) {
  const { node } = box;
  context.textBaseline = "middle";
  context.textAlign = "center";
  const folded = box.child !== null;
  const note = folded ? plural(box.count, "box", "boxes") : node.type;
  const two = box.h >= 36 && Boolean(note);
  context.fillStyle = node.in_derivative ? colour.back : colour.text;
  context.font = `13px ${CODE}`;
  context.fillText(cut(context, node.label || node.op, box.w - (folded ? 26 : 8)), box.x, box.y - (two ? 7 : -0.5));
  context.fillStyle = colour.faint;
  if (folded) context.fillText("+", left(box) + 10, box.y - (two ? 7 : -0.5));
  if (!two) return;
  context.font = `10.5px ${FONT}`;
  context.fillText(cut(context, note, box.w - 10), box.x, box.y + 9);
}

const left = (box) => box.x - box.w / 2;

/** The value on a box (below it, blue) and its cotangent (above it, orange). */
function paintBadge(context, box, graph) {
  const badge = graph.badges.get(box.node.id);
  if (!badge) return;
  if (badge.value) pill(context, box, 1, badge.value, "accent", graph);
  if (badge.cotangent) pill(context, box, -1, badge.cotangent, "back", graph);
}

function pill(context, box, way, { text, numbers }, ink, graph) {
  // Text keeps a size at which it can be read when the graph is far away.
  const k = clamp(0.75 / graph.view.scale, 1, 1.3);
  context.save();
  context.translate(box.x, box.y + way * (box.h / 2 + 5));
  context.scale(k, k);
  context.font = `11px ${FONT}`;
  const strip = numbers && numbers.length > 1 ? Math.min(numbers.length, 8) * 6 : 0;
  // Beside its neighbours a pill may be somewhat wider than its box, not more.
  const words = strip === 0 || (context.measureText(text).width + strip + 20) * k <= box.w + 20 ? text : "";
  const wide = (words ? context.measureText(words).width + (strip ? 6 : 0) : 0) + strip + 14;
  context.fillStyle = colour[`${ink}-soft`];
  context.strokeStyle = colour[ink];
  context.lineWidth = 1;
  round(context, -wide / 2, -8.5, wide, 17, 8.5);
  context.fill();
  context.stroke();
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = colour.text;
  context.fillText(words, -wide / 2 + 7, 0.5);
  if (strip > 0) {
    const most = largest(numbers);
    for (let i = 0; i * 6 < strip; i++) {
      context.fillStyle = heat(numbers[i], most);
      context.fillRect(wide / 2 - 7 - strip + i * 6, -4, 5.4, 8);
    }
  }
  context.restore();
}

function ring(context, box, ink, scale) {
  const gap = 4;
  context.strokeStyle = ink;
  context.lineWidth = 2.5 / clamp(scale, 0.25, 1);
  const sheet = box.child !== null && !box.open ? 3 : 0;
  round(context, box.x - box.w / 2 - gap, box.y - box.h / 2 - gap, box.w + 2 * gap + sheet, box.h + 2 * gap + sheet, 11);
  context.stroke();
}

function round(context, x, y, w, h, radius) {
  context.beginPath();
  context.roundRect(x, y, w, h, Math.min(radius, w / 2, h / 2));
}

const cuts = new Map();

/** Text that ends in "…" where it is wider than its room. Measuring is slow, so it is kept. */
function cut(context, text, room) {
  const key = `${context.font}|${Math.round(room)}|${text}`;
  let out = cuts.get(key);
  if (out === undefined) {
    out = text;
    if (context.measureText(out).width > room) {
      let [low, high] = [0, text.length];
      while (low < high) {
        const half = (low + high + 1) >> 1;
        if (context.measureText(`${text.slice(0, half)}…`).width <= room) low = half;
        else high = half - 1;
      }
      out = low > 0 ? `${text.slice(0, low)}…` : "";
    }
    if (cuts.size > 20000) cuts.clear();
    cuts.set(key, out);
  }
  return out;
}

/** The whole graph, small, with a frame around what is in sight; only where something is hidden. */
function paintMap(graph) {
  const { map, flat, size, view } = graph;
  if (!flat || !size) return;
  const shown = { w: flat.width * view.scale, h: flat.height * view.scale };
  const useful = size[0] > 520 && (shown.w > size[0] * 1.15 || shown.h > size[1] * 1.15);
  map.hidden = !useful;
  if (!useful) return;
  const [w, h] = [160, 110];
  const context = sharp(map, w, h);
  context.clearRect(0, 0, w, h);
  const scale = Math.min((w - 8) / flat.width, (h - 8) / flat.height);
  const [left, top] = [(w - flat.width * scale) / 2, (h - flat.height * scale) / 2];
  graph.mapped = { scale, left, top };
  // The boxes do not change while one pans, so their picture is kept.
  if (graph.mapOf !== flat || graph.mapInk !== colour.faint) {
    const path = new Path2D();
    for (const b of flat.boxes) {
      if (b.open) continue;
      path.rect(left + (b.x - b.w / 2) * scale, top + (b.y - b.h / 2) * scale,
        Math.max(0.7, b.w * scale), Math.max(0.7, b.h * scale));
    }
    const kept = document.createElement("canvas");
    const inside = sharp(kept, w, h);
    inside.globalAlpha = 0.6;
    inside.fillStyle = colour.faint;
    inside.fill(path);
    [graph.mapOf, graph.mapInk, graph.mapKept] = [flat, colour.faint, kept];
  }
  context.drawImage(graph.mapKept, 0, 0, w, h);
  context.strokeStyle = colour.accent;
  context.lineWidth = 1.5;
  const x = clamp(left - (view.x / view.scale) * scale, 1, w - 1);
  const y = clamp(top - (view.y / view.scale) * scale, 1, h - 1);
  const right = clamp(left + ((size[0] - view.x) / view.scale) * scale, 1, w - 1);
  const bottom = clamp(top + ((size[1] - view.y) / view.scale) * scale, 1, h - 1);
  context.strokeRect(x, y, right - x, bottom - y);
}
