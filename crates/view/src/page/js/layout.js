// Where things stand in a picture once some of its groups are unfolded.
//
// Every group comes laid out by itself with its child groups folded to small boxes. Unfolding a
// child inserts space around its box. Both axes are stretched by themselves, by a map that never
// brings two things nearer to each other; so the order of things does not change and nothing
// overlaps, whatever is unfolded. Boxes that stand in one row or column share the space that is
// inserted instead of adding it up.

/** Room for the name of an unfolded group above what is inside. */
const HEADER = 26;

/** What is looked up again and again in a picture, computed once. */
class PictureIndex {
  constructor(picture) {
    this.picture = picture;
    /** Where a node stands: its group and its position there. */
    this.where = new Map();
    /** For each group: the place of the box that stands for it. */
    this.box = picture.groups.map(() => null);
    /** For each group and position: the edges that enter and that leave. */
    this.enter = [];
    this.leave = [];
    picture.groups.forEach((group, g) => {
      group.nodes.forEach((node, i) => {
        this.where.set(node.id, [g, i]);
        // A parent stands before its children; anything else would be a ring.
        if (Number.isInteger(node.group) && node.group > g && node.group < picture.groups.length) {
          this.box[node.group] = [g, i];
        }
      });
      const enter = group.nodes.map(() => []);
      const leave = group.nodes.map(() => []);
      for (const edge of group.edges) {
        enter[edge.to]?.push(edge.from);
        leave[edge.from]?.push(edge.to);
      }
      this.enter.push(enter);
      this.leave.push(leave);
    });
  }

  node(id) {
    const at = this.where.get(id);
    return at ? this.picture.groups[at[0]].nodes[at[1]] : null;
  }

  /** The group that a box stands for, if it can be unfolded. */
  child(g, i) {
    const c = this.picture.groups[g].nodes[i].group;
    const box = Number.isInteger(c) ? this.box[c] : null;
    return box && box[0] === g && box[1] === i ? c : null;
  }

  /** The groups around a node, the innermost first, without the whole graph. */
  around(id) {
    const out = [];
    let g = this.where.get(id)?.[0];
    while (g !== undefined && g > 0 && this.box[g]) {
      out.push(g);
      g = this.box[g][0];
    }
    return out;
  }

  /** The nodes that are read and that read, as ids. */
  operands(id) {
    return this.beside(id, this.enter);
  }

  readers(id) {
    return this.beside(id, this.leave);
  }

  beside(id, lists) {
    const at = this.where.get(id);
    if (!at) return [];
    const nodes = this.picture.groups[at[0]].nodes;
    return [...new Set(lists[at[0]][at[1]])].map((i) => nodes[i].id);
  }

  /** All that a node depends on, or all that depends on it, within its group. */
  reach(id, lists) {
    const at = this.where.get(id);
    if (!at) return new Set();
    const nodes = this.picture.groups[at[0]].nodes;
    const seen = new Set([at[1]]);
    const work = [at[1]];
    while (work.length > 0) {
      for (const next of lists[at[0]][work.pop()]) {
        if (!seen.has(next)) {
          seen.add(next);
          work.push(next);
        }
      }
    }
    return new Set([...seen].map((i) => nodes[i].id));
  }
}

/**
 * A map of one axis that never shrinks a distance and gives each interval `[from, to]` at least
 * the length `need`. It is the mean of the two extreme maps of the same total length, so that what
 * is symmetric stays so.
 */
function stretch(length, intervals) {
  const stops = [...new Set([0, length, ...intervals.flatMap((k) => [k.from, k.to])])].sort(
    (a, b) => a - b,
  );
  const at = new Map(stops.map((stop, i) => [stop, i]));
  const ending = stops.map(() => []);
  const beginning = stops.map(() => []);
  for (const { from, to, need } of intervals) {
    ending[at.get(to)].push([at.get(from), need]);
    beginning[at.get(from)].push([at.get(to), need]);
  }
  const low = [stops[0]];
  for (let i = 1; i < stops.length; i++) {
    low[i] = low[i - 1] + stops[i] - stops[i - 1];
    for (const [j, need] of ending[i]) low[i] = Math.max(low[i], low[j] + need);
  }
  const high = [...low];
  for (let i = stops.length - 2; i >= 0; i--) {
    high[i] = high[i + 1] - stops[i + 1] + stops[i];
    for (const [j, need] of beginning[i]) high[i] = Math.min(high[i], high[j] - need);
  }
  high[0] = low[0];
  const to = low.map((x, i) => (x + high[i]) / 2);
  const map = (x) => {
    let [a, b] = [0, stops.length - 1];
    if (x <= stops[a]) return to[a] + x - stops[a];
    if (x >= stops[b]) return to[b] + x - stops[b];
    while (b - a > 1) {
      const middle = (a + b) >> 1;
      if (stops[middle] <= x) a = middle;
      else b = middle;
    }
    return to[a] + ((x - stops[a]) * (to[b] - to[a])) / (stops[b] - stops[a]);
  };
  map.total = map(length) - map(0);
  return map;
}

/**
 * Places everything that is visible when the groups in `open` are unfolded. Gives boxes (the outer
 * ones before what they contain), edges as lines in the coordinates of the whole, and the size.
 */
function placeAll(index, open) {
  const { groups } = index.picture;
  const inner = groups.map(() => null);
  const outer = groups.map(() => [0, 0]);
  // Children stand behind their parents, so their sizes are known first.
  for (let g = groups.length - 1; g >= 0; g--) {
    if (g > 0 && !open.has(g)) continue;
    const [across, down] = [[], []];
    groups[g].nodes.forEach((node, i) => {
      const c = index.child(g, i);
      if (c === null || !open.has(c)) return;
      const [w, h] = outer[c];
      across.push({ from: node.x - node.width / 2, to: node.x + node.width / 2, need: Math.max(w, node.width) });
      down.push({ from: node.y - node.height / 2, to: node.y + node.height / 2, need: Math.max(h, node.height) });
    });
    const x = stretch(groups[g].width, across);
    const y = stretch(groups[g].height, down);
    inner[g] = { x, y };
    outer[g] = [Math.max(x.total, 120), y.total + HEADER];
  }

  const boxes = [];
  const edges = [];
  const work = groups.length > 0 ? [[0, 0, 0]] : [];
  while (work.length > 0) {
    const [g, left, top] = work.pop();
    const { x, y } = inner[g];
    const here = groups[g].nodes.map((node, i) => {
      const c = index.child(g, i);
      const unfolded = c !== null && open.has(c);
      const [w, h] = unfolded ? outer[c] : [node.width, node.height];
      const box = {
        node, group: g, child: c, open: unfolded, w, h,
        x: left + middle(x, node.x, node.width),
        y: top + middle(y, node.y, node.height),
      };
      if (unfolded) work.push([c, box.x - w / 2 + (w - inner[c].x.total) / 2, box.y - h / 2 + HEADER]);
      boxes.push(box);
      return box;
    });
    for (const edge of groups[g].edges) {
      const [from, to] = [here[edge.from], here[edge.to]];
      if (!from || !to) continue;
      edges.push({ edge, from, to, points: line(edge, from, to, x, y, left, top) });
    }
  }
  return { boxes, edges, width: inner[0]?.x.total ?? 0, height: inner[0]?.y.total ?? 0 };
}

/** Where the centre of a box goes: amid of where its two sides go. */
function middle(map, centre, size) {
  return (map(centre - size / 2) + map(centre + size / 2)) / 2;
}

/** The corners of an edge. Its ends go with their boxes, what is between goes with the space. */
function line(edge, from, to, x, y, left, top) {
  const last = edge.points.length - 1;
  if (last < 1) return [[from.x, from.y + from.h / 2], [to.x, to.y - to.h / 2]];
  return edge.points.map(([px, py], i) => {
    if (i > 0 && i < last) return [left + x(px), top + y(py)];
    const box = i === 0 ? from : to;
    const { node } = box;
    return [
      box.x + ((px - node.x) * box.w) / (node.width || 1),
      box.y + ((py - node.y) * box.h) / (node.height || 1),
    ];
  });
}
