// Where things stand in a picture once some of its groups are unfolded.
//
// Every group comes laid out by itself with its child groups folded to small boxes. Boxes stand in
// ranks: those of a rank have the same centre vertically. To unfold a child, space is inserted
// around its box: what stands in its rank moves away to both sides, and what is above or below the
// rank moves up or down. So the order of things does not change, nothing overlaps, and what a
// reader knew by its place is still there.

/** The band above what is inside of a group, which holds its name; part of the group's size. */
const HEADER = 28;

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
    /** How many boxes are in each group, those of groups inside of it included. */
    this.count = picture.groups.map((group) => group.nodes.length);
    for (let g = picture.groups.length - 1; g > 0; g--) {
      if (this.box[g]) this.count[this.box[g][0]] += this.count[g] - 1;
    }
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

  /**
   * All that a node depends on, or all that depends on it: in its group, in the groups around it,
   * and all that is inside of groups on the way.
   */
  reach(id, lists) {
    const out = new Set();
    let at = this.where.get(id);
    let innermost = true;
    while (at) {
      const [g, start] = at;
      const nodes = this.picture.groups[g].nodes;
      const seen = new Set([start]);
      const work = [start];
      while (work.length > 0) {
        for (const next of lists[g][work.pop()]) {
          if (!seen.has(next)) {
            seen.add(next);
            work.push(next);
          }
        }
      }
      for (const i of seen) {
        out.add(nodes[i].id);
        const c = i !== start || innermost ? this.child(g, i) : null;
        if (c !== null) this.addInside(c, out);
      }
      innermost = false;
      at = g > 0 ? this.box[g] : null;
    }
    return out;
  }

  addInside(group, out) {
    const work = [group];
    while (work.length > 0) {
      const g = work.pop();
      this.picture.groups[g].nodes.forEach((node, i) => {
        out.add(node.id);
        const c = this.child(g, i);
        if (c !== null) work.push(c);
      });
    }
  }
}

/** The ranks of a group, from top to bottom: centre, height, and the boxes that stand in it. */
function ranksOf(group) {
  const ranks = [];
  const order = group.nodes.map((_, i) => i).sort((a, b) => group.nodes[a].y - group.nodes[b].y);
  for (const i of order) {
    const node = group.nodes[i];
    let rank = ranks.at(-1);
    if (!rank || node.y - rank.y > 0.5) ranks.push((rank = { y: node.y, height: 0, boxes: [] }));
    rank.height = Math.max(rank.height, node.height);
    rank.boxes.push(i);
  }
  return ranks;
}

/** How far a place is pushed by something that grows by `grow` at both sides of `centre`. */
const push = (x, centre, half, grow) => grow * clamp((x - centre) / (half || 1), -1, 1);

/**
 * Places what is inside of one group. `grown(i)` is the size of a child that is unfolded, or null.
 * Gives centres and sizes of the boxes, the corners of the arrows, and the size of the whole.
 */
function placeGroup(group, grown) {
  const sizes = group.nodes.map((node, i) => grown(i) ?? [node.width, node.height]);
  const ranks = ranksOf(group);
  for (const rank of ranks) {
    rank.wide = rank.boxes.filter((i) => grown(i) && sizes[i][0] > group.nodes[i].width);
    rank.grow = Math.max(0, ...rank.boxes.map((i) => (sizes[i][1] - rank.height) / 2));
  }
  const tall = ranks.filter((rank) => rank.grow > 0);
  const across = (x, rank) => rank.wide.reduce(
    (at, i) => at + push(x, group.nodes[i].x, group.nodes[i].width / 2, (sizes[i][0] - group.nodes[i].width) / 2), x);
  const down = (y) => tall.reduce((at, rank) => at + push(y, rank.y, rank.height / 2, rank.grow), y);
  const changed = tall.length > 0 || ranks.some((rank) => rank.wide.length > 0);

  const boxes = [];
  for (const rank of ranks) {
    for (const i of rank.boxes) {
      const { x, y } = group.nodes[i];
      boxes[i] = { x: across(x, rank), y: down(y), w: sizes[i][0], h: sizes[i][1] };
    }
  }
  const paths = group.edges.map((edge) => {
    const [from, to] = [boxes[edge.from], boxes[edge.to]];
    if (!from || !to) return null;
    const last = edge.points.length - 1;
    if (last < 1) return [[from.x, from.y + from.h / 2], [to.x, to.y - to.h / 2]];
    return edge.points.map(([x, y], k) => {
      if (k === 0) return endOf(x, y, group.nodes[edge.from], from);
      if (k === last) return endOf(x, y, group.nodes[edge.to], to);
      return changed ? [across(x, nearestRank(ranks, y)), down(y)] : [x, y];
    });
  });
  if (!changed) return { boxes, paths, width: group.width, height: group.height };

  // What was pushed beyond the border moves the border.
  const before = extent(group.nodes.map((n) => [n.x, n.width]), group.edges.map((e) => e.points));
  const after = extent(boxes.map((b) => [b.x, b.w]), paths);
  const left = before[0] - after[0];
  const top = tall.reduce((sum, rank) => sum + rank.grow, 0);
  for (const box of boxes) {
    box.x += left;
    box.y += top;
  }
  for (const path of paths) for (const point of path ?? []) {
    point[0] += left;
    point[1] += top;
  }
  const width = group.width + after[1] - after[0] - before[1] + before[0];
  return { boxes, paths, width, height: group.height + 2 * top };
}

/** The end of an arrow goes with its box, and keeps its share of a side that grows. */
function endOf(x, y, node, box) {
  return [box.x + ((x - node.x) * box.w) / (node.width || 1), box.y + ((y - node.y) * box.h) / (node.height || 1)];
}

/** Corners stand at the upper or lower border of a rank. */
function nearestRank(ranks, y) {
  let [low, high] = [0, ranks.length - 1];
  while (low < high) {
    const half = (low + high) >> 1;
    if (ranks[half].y + ranks[half].height / 2 < y) low = half + 1;
    else high = half;
  }
  const away = (rank) => Math.abs(y - rank.y) - rank.height / 2;
  return low > 0 && away(ranks[low - 1]) < away(ranks[low]) ? ranks[low - 1] : ranks[low];
}

function extent(boxes, paths) {
  let [low, high] = [Infinity, -Infinity];
  for (const [x, w] of boxes) [low, high] = [Math.min(low, x - w / 2), Math.max(high, x + w / 2)];
  for (const path of paths) for (const [x] of path ?? []) [low, high] = [Math.min(low, x), Math.max(high, x)];
  return low <= high ? [low, high] : [0, 0];
}

/**
 * Places everything that is visible when the groups in `open` are unfolded. Gives boxes (the outer
 * ones before what they contain), edges as lines in the coordinates of the whole, and the size.
 */
function placeAll(index, open) {
  const { groups } = index.picture;
  const inner = groups.map(() => null);
  const size = (g) => {
    const label = groups[g].label.length * 7 + 44;
    return [Math.max(inner[g].width, label), inner[g].height];
  };
  // Children stand behind their parents, so their sizes are known first.
  for (let g = groups.length - 1; g >= 0; g--) {
    if (g > 0 && !open.has(g)) continue;
    inner[g] = placeGroup(groups[g], (i) => {
      const c = index.child(g, i);
      return c !== null && open.has(c) ? size(c) : null;
    });
  }

  const boxes = [];
  const edges = [];
  const work = groups.length > 0 ? [[0, 0, 0]] : [];
  while (work.length > 0) {
    const [g, left, top] = work.pop();
    const here = groups[g].nodes.map((node, i) => {
      const child = index.child(g, i);
      const at = inner[g].boxes[i];
      const box = { node, group: g, child, open: child !== null && open.has(child), w: at.w, h: at.h,
        x: left + at.x, y: top + at.y, count: child === null ? 0 : index.count[child] };
      if (box.open) work.push([child, box.x - inner[child].width / 2, box.y - box.h / 2]);
      boxes.push(box);
      return box;
    });
    groups[g].edges.forEach((edge, k) => {
      const path = inner[g].paths[k];
      if (path) edges.push({ edge, from: here[edge.from], to: here[edge.to], points: path.map(([x, y]) => [left + x, top + y]) });
    });
  }
  return { boxes, edges, width: inner[0]?.width ?? 0, height: inner[0]?.height ?? 0 };
}
