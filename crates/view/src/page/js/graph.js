// A graph that can be looked at: zoomed, moved, searched, unfolded. It is drawn on a canvas, and
// only what is in sight, so that thousands of boxes stay fluid.

const ZOOM = { least: 0.02, most: 4 };

class GraphCanvas {
  /** `on.select(node)` is told of every choice, `on.open()` when groups fold or unfold. */
  constructor(on = {}) {
    this.on = on;
    this.view = { x: 0, y: 0, scale: 1 };
    this.open = new Set();
    this.selected = null;
    this.current = null;
    this.badges = new Map();
    this.pointers = new Map();
    this.canvas = el("canvas", {
      class: "graph-canvas",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "graph",
      "aria-label": "Graph. Arrow keys go from box to box, Enter folds and unfolds, f shows all.",
    });
    this.map = el("canvas", { class: "minimap", "aria-hidden": "true" });
    this.element = el("div", { class: "graph" }, this.canvas, this.map, this.tools());
    this.canvas.repaint = () => this.draw();
    this.map.repaint = () => this.drawMap();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  tools() {
    return el(
      "div",
      { class: "graph-tools", role: "group", "aria-label": "Zoom and folding" },
      button("+", "Zoom in (+)", () => this.zoom(1.3)),
      button("−", "Zoom out (−)", () => this.zoom(1 / 1.3)),
      button("Fit", "Show all (f)", () => this.fit(true)),
      (this.foldTools = el(
        "span",
        { class: "fold-tools" },
        button("Unfold", "Unfold all groups (u)", () => this.unfoldAll()),
        button("Fold", "Fold all groups (c)", () => this.foldAll()),
      )),
    );
  }

  show(picture) {
    if (this.picture === picture) return;
    this.picture = picture;
    this.index = new PictureIndex(picture);
    this.open = new Set(picture.groups.flatMap((group, g) => (g > 0 && group.open ? [g] : [])));
    // A group is only in sight when those around it are unfolded too.
    this.selected = null;
    this.current = null;
    this.path = null;
    this.badges = new Map();
    this.foldTools.hidden = picture.groups.length < 2;
    this.place();
    this.fitted = false;
    this.resize();
  }

  /** Lays out again after folding; what stands under `anchor` stays where it is on the screen. */
  place(anchor) {
    const before = anchor === undefined ? null : this.boxes?.get(anchor);
    this.flat = placeAll(this.index, this.open);
    this.boxes = new Map(this.flat.boxes.map((box) => [box.node.id, box]));
    for (const edge of this.flat.edges) edge.bounds = boundsOf(edge.points);
    const after = anchor === undefined ? null : this.boxes.get(anchor);
    if (before && after) {
      this.view.x += (before.x - after.x) * this.view.scale;
      this.view.y += (before.y - before.h / 2 - after.y + after.h / 2) * this.view.scale;
    }
    this.drawMap();
    this.request();
  }

  resize() {
    const [w, h] = [this.element.clientWidth, this.element.clientHeight];
    if (w === 0 || h === 0) return;
    this.size = [w, h];
    if (!this.fitted && this.picture) this.fit(false);
    this.draw();
    this.drawMap();
  }

  fit(smooth) {
    if (!this.size || !this.flat) return;
    this.fitted = true;
    const [w, h] = this.size;
    const { width, height } = this.flat;
    const room = Math.min((w - 32) / (width || 1), (h - 32) / (height || 1));
    let scale = clamp(room, ZOOM.least, 1.25);
    let y = (h - height * scale) / 2;
    let x = (w - width * scale) / 2;
    // A large graph whose text could not be read begins at its top, with the first box in sight.
    if (scale < 0.62 && !smooth && this.flat.boxes.length < 400) {
      scale = clamp((w - 32) / (width || 1), 0.62, 1);
      y = 16;
      const first = this.flat.boxes.reduce((a, b) => (b.y < a.y - 1 ? b : a));
      x = width * scale <= w ? (w - width * scale) / 2 : w / 2 - first.x * scale;
    }
    this.go({ x, y, scale }, smooth);
  }

  zoom(factor, at) {
    cancelAnimationFrame(this.going);
    const [x, y] = at ?? [this.size[0] / 2, this.size[1] / 2];
    const scale = clamp(this.view.scale * factor, ZOOM.least, ZOOM.most);
    const k = scale / this.view.scale;
    this.view = { scale, x: x - (x - this.view.x) * k, y: y - (y - this.view.y) * k };
    this.request();
  }

  pan(dx, dy) {
    cancelAnimationFrame(this.going);
    this.view.x += dx;
    this.view.y += dy;
    this.request();
  }

  /** Goes to a view, smoothly unless the reader asked for less motion. */
  go(to, smooth) {
    cancelAnimationFrame(this.going);
    if (!smooth || still()) {
      this.view = to;
      this.request();
      return;
    }
    const from = { ...this.view };
    const start = performance.now();
    const move = (now) => {
      const t = clamp((now - start) / 220, 0, 1);
      const e = 1 - (1 - t) ** 3;
      for (const key of ["x", "y", "scale"]) this.view[key] = from[key] + (to[key] - from[key]) * e;
      this.draw();
      if (t < 1) this.going = requestAnimationFrame(move);
    };
    this.going = requestAnimationFrame(move);
  }

  /** Brings a node into sight, unfolding what it is inside of. */
  reveal(id, options = {}) {
    const shut = this.index.around(id).filter((g) => !this.open.has(g));
    if (shut.length > 0) {
      for (const g of shut) this.open.add(g);
      this.place();
      this.on.open?.();
    }
    const box = this.boxes.get(id);
    if (!box || !this.size) return;
    const [w, h] = this.size;
    const scale = options.near ? Math.max(this.view.scale, 0.8) : this.view.scale;
    const [x, y] = [box.x * this.view.scale + this.view.x, box.y * this.view.scale + this.view.y];
    const edge = Math.min(90, w / 4, h / 4);
    const inside = x > edge && x < w - edge && y > edge && y < h - edge;
    if (inside && scale === this.view.scale) return this.request();
    this.go({ scale, x: w / 2 - box.x * scale, y: h / 2 - box.y * scale }, !options.sudden);
  }

  select(id, options = {}) {
    const node = id === null ? null : this.index?.node(id);
    this.selected = node ? id : null;
    this.path = node
      ? { up: this.index.reach(id, this.index.enter), down: this.index.reach(id, this.index.leave) }
      : null;
    if (node && options.reveal) this.reveal(id, options);
    this.request();
    if (!options.quiet) this.on.select?.(node);
  }

  toggle(id) {
    const box = this.boxes.get(id);
    if (!box || box.child === null) return;
    if (box.open) this.open.delete(box.child);
    else this.open.add(box.child);
    this.place(id);
    announce(`${box.node.label} ${box.open ? "folded" : "unfolded"}`);
    this.on.open?.();
  }

  unfoldAll() {
    this.open = new Set(this.picture.groups.map((_, g) => g).slice(1));
    this.place();
    this.fit(true);
  }

  foldAll() {
    this.open = new Set();
    this.place();
    this.fit(true);
  }

  /** Which boxes carry a value, and which is the step that runs now. */
  mark(current, badges) {
    this.current = current;
    this.badges = badges;
    this.request();
  }

  /** The box that stands for a node: itself, or the folded group that it is inside of. */
  visible(id) {
    if (this.boxes.has(id)) return this.boxes.get(id);
    for (const g of this.index.around(id)) {
      const [pg, pi] = this.index.box[g];
      const box = this.boxes.get(this.index.picture.groups[pg].nodes[pi].id);
      if (box) return box;
    }
    return null;
  }

  /** The innermost box under a point of the screen. */
  hit(sx, sy) {
    const { x, y, scale } = this.view;
    const [px, py] = [(sx - x) / scale, (sy - y) / scale];
    const slack = Math.max(0, 4 / scale - 4);
    let found = null;
    for (const box of this.flat?.boxes ?? []) {
      const inside =
        Math.abs(px - box.x) <= box.w / 2 + slack && Math.abs(py - box.y) <= box.h / 2 + slack;
      if (inside && (!found || box.w * box.h <= found.w * found.h)) found = box;
    }
    // An unfolded group is held by its header, so that what is inside can be moved freely.
    if (found?.open && py > found.y - found.h / 2 + HEADER) return null;
    return found;
  }

  /** From box to box with the arrow keys: the nearest one in that direction. */
  step(dx, dy) {
    const from = this.boxes.get(this.selected);
    if (!from) {
      const first = this.flat.boxes[0];
      if (first) this.select(first.node.id, { reveal: true });
      return;
    }
    let best = null;
    let least = Infinity;
    for (const box of this.flat.boxes) {
      if (box === from) continue;
      const top = (b) => (b.open ? b.y - b.h / 2 : b.y);
      const [x, y] = [box.x - from.x, top(box) - top(from)];
      const along = x * dx + y * dy;
      const across = Math.abs(x * dy) + Math.abs(y * dx);
      if (along <= 2) continue;
      const cost = along + 2.5 * across;
      if (cost < least) [best, least] = [box, cost];
    }
    if (best) this.select(best.node.id, { reveal: true });
  }

  request() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    if (!this.size || !this.flat) return;
    const start = performance.now();
    paintGraph(this);
    this.frame = performance.now() - start;
    this.drawMap();
  }

  drawMap() {
    paintMap(this);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, spot(event));
      this.moved = this.pointers.size > 1;
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => {
      const clicked = this.pointers.delete(event.pointerId) && !this.moved;
      if (clicked) this.click(...spot(event));
    });
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("dblclick", (event) => {
      const box = this.hit(...spot(event));
      if (box) this.toggle(box.node.id);
      else this.zoom(1.6, spot(event));
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const lines = event.deltaMode === 1 ? 16 : 1;
        if (event.shiftKey) this.pan(-(event.deltaY || event.deltaX) * lines, 0);
        else this.zoom(Math.exp(clamp(-event.deltaY * lines, -240, 240) / 420), spot(event));
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.request());
    canvas.addEventListener("blur", () => this.request());
    this.map.addEventListener("pointerdown", (event) => this.jump(event));
    this.map.addEventListener("pointermove", (event) => event.buttons > 0 && this.jump(event));
  }

  /** One finger or the mouse moves, two fingers zoom as well. */
  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      const box = this.hit(...spot(event));
      this.canvas.title = box ? hint(box.node) : "";
      this.canvas.classList.toggle("over", Boolean(box));
      return;
    }
    const now = spot(event);
    if (this.pointers.size === 1) {
      if (!this.moved && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4) return;
      this.pan(now[0] - before[0], now[1] - before[1]);
    } else {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const far = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      this.zoom(far(now) / far(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    }
    this.moved = true;
    this.pointers.set(event.pointerId, now);
  }

  click(x, y) {
    const box = this.hit(x, y);
    if (box && box.child !== null) {
      // The sign at the left of the header folds at once.
      const left = (box.x - box.w / 2) * this.view.scale + this.view.x;
      if (x - left < 24 * Math.max(this.view.scale, 0.5)) return this.toggle(box.node.id);
    }
    this.select(box ? box.node.id : null);
  }

  jump(event) {
    const { scale, left, top } = this.mapped ?? {};
    if (!scale) return;
    const [x, y] = spot(event);
    this.view.x = this.size[0] / 2 - ((x - left) / scale) * this.view.scale;
    this.view.y = this.size[1] / 2 - ((y - top) / scale) * this.view.scale;
    this.request();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    if (arrow && event.shiftKey) this.pan(-80 * arrow[0], -80 * arrow[1]);
    else if (arrow && !this.on.arrows) this.step(...arrow);
    else if (event.key === "+" || event.key === "=") this.zoom(1.3);
    else if (event.key === "-") this.zoom(1 / 1.3);
    else if (event.key === "f" || event.key === "0") this.fit(true);
    else if (event.key === "u") this.unfoldAll();
    else if (event.key === "c") this.foldAll();
    else if (event.key === "Enter" && this.selected !== null) this.toggle(this.selected);
    else if (event.key === "Escape" && this.selected !== null) this.select(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Where a pointer is within the element it is over. */
function spot(event) {
  return [event.offsetX, event.offsetY];
}

function hint(node) {
  return [node.label, node.type, node.place].filter(Boolean).join(" · ");
}

function boundsOf(points) {
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
