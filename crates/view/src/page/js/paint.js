// How a graph looks: boxes, lines and text on a canvas.

const FONT = 'system-ui, -apple-system, "Segoe UI", sans-serif';

/** The colours of a box: border, inside, text. */
function boxColours(node) {
  const kinds = {
    input: ["accent", "accent-soft"],
    constant: ["grid", "quiet"],
    output: ["good", "good-soft"],
    group: ["plum", "plum-soft"],
  };
  const [border, inside] = kinds[node.kind] ?? ["faint", "page"];
  return [colour[border], colour[inside]];
}

function paintGraph(graph) {
  const { canvas, view, flat, size, path } = graph;
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
  const boxes = flat.boxes.filter((b) =>
    near([b.x - b.w / 2 - 40, b.y - b.h / 2 - 20, b.x + b.w / 2 + 40, b.y + b.h / 2 + 20]),
  );
  for (const box of boxes) if (box.open) paintOpen(context, box, graph);
  paintEdges(context, flat.edges.filter((e) => near(e.bounds)), graph);
  // Far away, boxes are plain rectangles: one path for each colour.
  if (view.scale < 0.22) paintFar(context, boxes, graph);
  else for (const box of boxes) if (!box.open) paintBox(context, box, graph);
  if (view.scale >= 0.22) for (const box of boxes) paintBadge(context, box, graph);
  const chosen = graph.boxes.get(graph.selected);
  if (chosen) ring(context, chosen, colour.accent, view.scale, path);
  const current = graph.current === null ? null : graph.visible(graph.current.id);
  if (current) ring(context, current, graph.current.backward ? colour.back : colour.accent, view.scale);
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
  context.fillStyle = colour["plum-soft"];
  context.strokeStyle = colour.plum;
  context.lineWidth = 1 / Math.max(graph.view.scale, 0.5);
  round(context, left, top, box.w, box.h, 10);
  context.globalAlpha = 0.45;
  context.fill();
  context.globalAlpha = 0.7;
  context.stroke();
  context.globalAlpha = 1;
  if (graph.view.scale * 12 < 4) return;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 12px ${FONT}`;
  context.fillStyle = colour.plum;
  context.fillText("−", left + 10, top + HEADER / 2 + 1);
  context.fillText(cut(context, box.node.label, box.w - 36), left + 24, top + HEADER / 2 + 1);
}

function paintEdges(context, edges, graph) {
  const { view, path } = graph;
  const wide = 1.2 / clamp(view.scale, 0.35, 1);
  const plain = new Path2D();
  const up = new Path2D();
  const down = new Path2D();
  const heads = [];
  for (const { from, to, points } of edges) {
    let [where, ink] = [plain, colour.faint];
    if (path && path.up.has(from.node.id) && path.up.has(to.node.id)) [where, ink] = [up, colour.accent];
    else if (path && path.down.has(from.node.id) && path.down.has(to.node.id)) [where, ink] = [down, colour.good];
    trace(where, points, view.scale);
    if (view.scale >= 0.3) heads.push([points, ink, where === plain]);
  }
  context.lineWidth = wide;
  context.strokeStyle = colour.faint;
  context.globalAlpha = path ? 0.22 : 0.6;
  context.stroke(plain);
  context.globalAlpha = 1;
  context.lineWidth = wide * 1.6;
  context.strokeStyle = colour.accent;
  context.stroke(up);
  context.strokeStyle = colour.good;
  context.stroke(down);
  for (const [points, ink, dull] of heads) {
    context.globalAlpha = dull ? (path ? 0.25 : 0.8) : 1;
    head(context, points, ink);
  }
  context.globalAlpha = 1;
  if (view.scale >= 0.75) for (const edge of edges) edgeLabel(context, edge, graph);
}

/** A line with round corners. */
function trace(path, points, scale) {
  path.moveTo(...points[0]);
  if (scale >= 0.22) {
    for (let i = 1; i + 1 < points.length; i++) {
      const [a, b, c] = [points[i - 1], points[i], points[i + 1]];
      const reach = (p) => Math.min(14, Math.hypot(p[0] - b[0], p[1] - b[1]) / 2);
      path.lineTo(...toward(b, a, reach(a)));
      path.quadraticCurveTo(...b, ...toward(b, c, reach(c)));
    }
    path.lineTo(...points.at(-1));
  } else {
    for (let i = 1; i < points.length; i++) path.lineTo(...points[i]);
  }
}

function toward(from, to, distance) {
  const far = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const t = distance / far;
  return [from[0] + (to[0] - from[0]) * t, from[1] + (to[1] - from[1]) * t];
}

function head(context, points, ink) {
  const tip = points.at(-1);
  const back = points.at(-2);
  const angle = Math.atan2(tip[1] - back[1], tip[0] - back[0]);
  const corner = (turn) => [tip[0] - 7 * Math.cos(angle + turn), tip[1] - 7 * Math.sin(angle + turn)];
  context.fillStyle = ink;
  context.beginPath();
  context.moveTo(...tip);
  context.lineTo(...corner(0.42));
  context.lineTo(...corner(-0.42));
  context.fill();
}

/** The type of what goes along an edge, where the line is long enough for it. */
function edgeLabel(context, { edge, points, from }, graph) {
  if (!edge.label || edge.label === from.node.type) {
    // The box itself already says its type if there is a line for it.
    if (!edge.label || twoLines(from.node)) return;
  }
  let [best, long] = [null, 26];
  for (let i = 1; i < points.length; i++) {
    const far = Math.hypot(points[i][0] - points[i - 1][0], points[i][1] - points[i - 1][1]);
    if (far > long) [best, long] = [i, far];
  }
  if (best === null) return;
  const [a, b] = [points[best - 1], points[best]];
  context.globalAlpha = graph.path ? 0.5 : 1;
  context.font = `10px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = colour.page;
  const [x, y] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  context.strokeText(edge.label, x, y);
  context.fillStyle = colour.faint;
  context.fillText(edge.label, x, y);
  context.globalAlpha = 1;
}

function paintFar(context, boxes, graph) {
  const paths = new Map();
  for (const box of boxes) {
    if (box.open) continue;
    const [border, inside] = boxColours(box.node);
    const ink = inside === colour.page ? colour.faint : border;
    const key = `${ink}|${pale(graph, box.node.id)}`;
    if (!paths.has(key)) paths.set(key, new Path2D());
    paths.get(key).rect(box.x - box.w / 2, box.y - box.h / 2, box.w, box.h);
  }
  for (const [key, path] of paths) {
    const [ink, dull] = key.split("|");
    context.globalAlpha = dull === "true" ? 0.2 : 0.75;
    context.fillStyle = ink;
    context.fill(path);
  }
  context.globalAlpha = 1;
}

const twoLines = (node) => node.height >= 34 && Boolean(node.type);

function paintBox(context, box, graph) {
  const { node } = box;
  const [left, top] = [box.x - box.w / 2, box.y - box.h / 2];
  const [border, inside] = boxColours(node);
  context.globalAlpha = pale(graph, node.id) ? 0.4 : 1;
  context.fillStyle = inside;
  context.strokeStyle = border;
  context.lineWidth = node.kind === "op" ? 1 : 1.2;
  if (node.kind === "group") {
    // A second sheet behind: there is more inside.
    round(context, left + 3, top + 3, box.w, box.h, 7);
    context.fill();
    context.stroke();
  }
  const curve = node.kind === "input" || node.kind === "output" ? box.h / 2 : 7;
  round(context, left, top, box.w, box.h, curve);
  context.fill();
  context.stroke();
  if (graph.view.scale * 12 < 4.5) {
    context.globalAlpha = 1;
    return;
  }
  context.textBaseline = "middle";
  context.textAlign = "center";
  const two = twoLines(node);
  const sign = node.group === null || node.group === undefined ? 0 : 14;
  context.fillStyle = colour.text;
  context.font = `600 12px ${FONT}`;
  const room = box.w - 14 - sign * 2;
  context.fillText(cut(context, node.label || node.op, room), box.x, box.y - (two ? 7.5 : -0.5));
  if (sign > 0) {
    context.fillStyle = colour.plum;
    context.fillText("+", left + 12, box.y + 0.5);
  }
  if (two) {
    context.font = `10.5px ${FONT}`;
    context.fillStyle = colour.faint;
    context.fillText(cut(context, node.type, box.w - 12), box.x, box.y + 8.5);
  }
  context.globalAlpha = 1;
}

/** The value on a box (below, blue) and its cotangent (above it, orange). */
function paintBadge(context, box, graph) {
  const badge = graph.badges.get(box.node.id);
  if (!badge) return;
  const top = box.y - box.h / 2;
  if (badge.value) pill(context, box.x, top + box.h, badge.value, colour.accent, colour["accent-soft"], graph);
  if (badge.cotangent) pill(context, box.x, top, badge.cotangent, colour.back, colour["back-soft"], graph);
}

function pill(context, x, y, { text, numbers }, ink, inside, graph) {
  // Text keeps a size at which it can be read when the graph is far away.
  const k = clamp(0.8 / graph.view.scale, 1, 1.8);
  context.save();
  context.translate(x, y);
  context.scale(k, k);
  context.font = `11px ${FONT}`;
  const strip = numbers && numbers.length > 1 ? Math.min(numbers.length, 8) : 0;
  const wide = context.measureText(text).width + 14 + (strip > 0 ? strip * 6 + 5 : 0);
  context.fillStyle = inside;
  context.strokeStyle = ink;
  context.lineWidth = 1;
  round(context, -wide / 2, -8.5, wide, 17, 8.5);
  context.fill();
  context.stroke();
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = colour.text;
  context.fillText(text, -wide / 2 + 7, 0.5);
  if (strip > 0) {
    const most = largest(numbers);
    const start = wide / 2 - 7 - strip * 6;
    for (let i = 0; i < strip; i++) {
      context.fillStyle = heat(numbers[i], most);
      context.fillRect(start + i * 6, -4, 5, 8);
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
