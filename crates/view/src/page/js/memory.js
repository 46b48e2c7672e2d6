// The view of memory: every value as a rectangle over steps (across) and bytes of the arena (up).

const BLOCK_KINDS = {
  kept: ["accent", "kept: read again after other steps"],
  short: ["faint", "short: read by the next steps"],
  again: ["back", "again: computed a second time to save memory"],
  scratch: ["grid", "scratch of one step"],
  state: ["plum", "state of a loop"],
  result: ["good", "result"],
};

views.push({
  id: "memory",
  label: "Memory",
  offered: (page) => Boolean(page.memory) && list(page.memory.blocks).length + list(page.memory.curve).length > 0,
  create(page) {
    const { memory } = page;
    const root = el("div", { class: "view scrolling" }, memorySummary(memory));
    let map = null;
    if (memory.blocks.length > 0) {
      map = new MemoryMap(memory);
      root.append(map.element);
    }
    if (memory.curve.length > 1) root.append(memoryCurve(memory));
    return {
      root,
      enter: () => map?.draw(),
      state: () => [],
      key: (event) => (map && ["f", "+", "-", "="].includes(event.key) ? map.key(event) : false),
    };
  },
});

function memorySummary(memory) {
  const again = memory.steps.filter((s) => s.again).length;
  const tile = (name, value, note) =>
    el("div", { class: "tile" }, el("div", { class: "tile-name" }, name), el("div", { class: "tile-value" }, value),
      note ? el("div", { class: "faint" }, note) : null);
  return el(
    "div",
    { class: "tiles" },
    tile("Arena", bytes(memory.arena), "values between steps"),
    tile("Whole run", bytes(memory.total), "with inputs, constants, results"),
    memory.budget !== null ? tile("Allowed", bytes(memory.budget),
      memory.total <= memory.budget ? "not exceeded" : "exceeded") : null,
    tile("Steps", whole(memory.steps.length), again > 0 ? `${whole(again)} run again` : "none runs again"),
    tile("Values", whole(memory.blocks.length), ""),
  );
}

/** Bytes in use at each step. */
function load(memory) {
  const out = new Float64Array(highest(memory.blocks.map((b) => b.to + 1), Math.max(memory.steps.length, 1)) + 1);
  for (const b of memory.blocks) {
    out[b.from] += b.bytes;
    out[b.to + 1] -= b.bytes;
  }
  for (let i = 1; i < out.length; i++) out[i] += out[i - 1];
  return out.subarray(0, out.length - 1);
}

class MemoryMap {
  constructor(memory) {
    this.memory = memory;
    // The order in which the keys go through the blocks.
    this.blocks = [...memory.blocks].sort((a, b) => a.from - b.from || a.offset - b.offset);
    this.load = memory.blocks.length > 0 ? load(memory) : [];
    this.steps = this.load.length;
    this.top = highest(this.blocks.map((b) => b.offset + b.bytes), Math.max(memory.arena, 1));
    this.range = [0, this.steps];
    this.chosen = null;
    this.canvas = el("canvas", {
      class: "memory-map",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "memory over steps",
      "aria-label": "Values in memory. Arrow keys go from value to value, plus and minus zoom, f shows all.",
    });
    this.readout = el("p", { class: "readout", "aria-live": "off" });
    this.element = el(
      "figure",
      { class: "card" },
      el("figcaption", { class: "card-head" },
        el("h2", {}, "What lies where, and how long"),
        el("div", { class: "graph-tools inline-tools", role: "group", "aria-label": "Zoom" },
          button("+", "Zoom in (+)", () => this.zoom(1 / 1.5)),
          button("−", "Zoom out (−)", () => this.zoom(1.5)),
          button("Fit", "Show all (f)", () => this.fit()))),
      this.legend(),
      this.canvas,
      this.readout,
    );
    this.canvas.repaint = () => this.draw();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.say();
  }

  legend() {
    const present = new Set(this.blocks.map((b) => b.kind));
    return el(
      "div",
      { class: "legend" },
      Object.entries(BLOCK_KINDS).filter(([kind]) => present.has(kind)).map(([kind, [ink, words]]) =>
        el("span", { class: "key still" },
          el("span", { class: "swatch square", css: { "background-color": `var(--${ink})` } }), words)),
      this.memory.steps.some((s) => s.again)
        ? el("span", { class: "key still" }, el("span", { class: "swatch square hatched" }), "a step that runs again")
        : null,
    );
  }

  /** The rectangles of the drawing: blocks above, the load below. */
  frame() {
    const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const left = 68;
    const under = Math.round(h * 0.28);
    return { w, h, left, right: w - 10, top: 10, bottom: h - under - 26, loadTop: h - under, loadBottom: h - 22 };
  }

  draw() {
    const f = this.frame();
    if (f.w === 0) return;
    const start = performance.now();
    const c = sharp(this.canvas, f.w, f.h);
    c.clearRect(0, 0, f.w, f.h);
    c.font = `11.5px ${FONT}`;
    const x = axis(...this.range, f.left, f.right);
    const y = axis(0, this.top, f.bottom, f.top);
    this.x = x;
    this.y = y;
    this.grid(c, f, x, y);
    c.save();
    c.beginPath();
    c.rect(f.left, 0, f.right - f.left, f.h);
    c.clip();
    this.marks(c, f, x);
    this.paintBlocks(c, x, y);
    this.paintLoad(c, f, x);
    c.restore();
    this.frameTime = performance.now() - start;
  }

  grid(c, f, x, y) {
    c.strokeStyle = colour.grid;
    c.fillStyle = colour.faint;
    c.lineWidth = 1;
    c.textBaseline = "middle";
    c.textAlign = "right";
    for (const t of byteTicks(this.top, 5)) {
      c.beginPath();
      c.moveTo(f.left, y(t));
      c.lineTo(f.right, y(t));
      c.stroke();
      c.fillText(roundBytes(t), f.left - 8, y(t));
    }
    c.textAlign = "center";
    for (const t of x.ticks(Math.max(2, Math.floor((f.right - f.left) / 80)))) {
      if (Number.isInteger(t) && t < this.steps) c.fillText(whole(t), x(t + 0.5), f.h - 8);
    }
    c.textAlign = "left";
    c.fillText("step", f.left - 60, f.h - 8);
  }

  /** Hatching behind the steps that run a second time. */
  marks(c, f, x) {
    c.fillStyle = colour["back-soft"];
    this.memory.steps.forEach((step, i) => {
      if (step.again) c.fillRect(x(i), f.top, Math.max(1, x(i + 1) - x(i)), f.loadBottom - f.top);
    });
  }

  paintBlocks(c, x, y) {
    const groups = new Map();
    for (const b of this.blocks) {
      if (b.to + 1 < this.range[0] || b.from > this.range[1]) continue;
      if (!groups.has(b.kind)) groups.set(b.kind, []);
      groups.get(b.kind).push(b);
    }
    for (const [kind, blocks] of groups) {
      c.fillStyle = colour[(BLOCK_KINDS[kind] ?? BLOCK_KINDS.short)[0]];
      c.globalAlpha = kind === "short" ? 0.45 : 0.75;
      for (const b of blocks) {
        const [left, w] = [x(b.from), x(b.to + 1) - x(b.from)];
        const [top, h] = [y(b.offset + b.bytes), y(b.offset) - y(b.offset + b.bytes)];
        const gap = w > 4 && h > 4 ? 0.75 : 0;
        c.fillRect(left + gap, top + gap, Math.max(0.8, w - 2 * gap), Math.max(0.8, h - 2 * gap));
      }
    }
    c.globalAlpha = 1;
    // Names where there is room for them.
    c.textAlign = "left";
    c.textBaseline = "middle";
    for (const blocks of groups.values()) {
      for (const b of blocks) {
        const left = Math.max(x(b.from), x(this.range[0]));
        const room = x(b.to + 1) - left - 10;
        if (room < 24 || y(b.offset) - y(b.offset + b.bytes) < 15) continue;
        c.fillStyle = colour.text;
        c.fillText(cut(c, b.name, room), left + 6, y(b.offset + b.bytes / 2) + 0.5);
      }
    }
    if (this.chosen) {
      const b = this.chosen;
      c.strokeStyle = colour.text;
      c.lineWidth = 2;
      c.strokeRect(x(b.from), y(b.offset + b.bytes), Math.max(2, x(b.to + 1) - x(b.from)),
        Math.max(2, y(b.offset) - y(b.offset + b.bytes)));
    }
  }

  /** Bytes in use, below the blocks and over the same steps, with what is allowed. */
  paintLoad(c, f, x) {
    const fixed = Math.max(0, this.memory.total - this.memory.arena);
    const allowed = this.memory.budget === null ? null : this.memory.budget - fixed;
    const most = Math.max(this.memory.arena, allowed > 0 && allowed < this.memory.arena * 3 ? allowed : 0, 1);
    const y = axis(0, most * 1.04, f.loadBottom, f.loadTop);
    c.beginPath();
    c.moveTo(x(0), f.loadBottom);
    this.load.forEach((n, i) => {
      c.lineTo(x(i), y(n));
      c.lineTo(x(i + 1), y(n));
    });
    c.lineTo(x(this.steps), f.loadBottom);
    c.globalAlpha = 0.18;
    c.fillStyle = colour.accent;
    c.fill();
    c.globalAlpha = 1;
    c.strokeStyle = colour.accent;
    c.lineWidth = 1.5;
    c.stroke();
    const crowded = f.w < 560 && allowed !== null && Math.abs(y(allowed) - y(this.memory.arena)) < 28;
    const arena = crowded ? "" : `arena ${bytes(this.memory.arena)}`;
    this.level(c, f, y, this.memory.arena, arena, colour.faint, 0.35, 12);
    if (allowed !== null && allowed > 0 && allowed <= most) {
      const words = fixed > 0 && f.w > 560 ? `allowed ${bytes(this.memory.budget)}, less ${bytes(fixed)} outside of the arena`
        : `allowed ${bytes(this.memory.budget)}`;
      const below = y(allowed) - f.loadTop < 12 || Math.abs(y(allowed) - y(this.memory.arena)) < 14;
      this.level(c, f, y, allowed, words, colour.bad, 1, below ? 12 : -8);
    }
  }

  level(c, f, y, at, words, ink, alpha, shift) {
    c.strokeStyle = ink;
    c.setLineDash([5, 4]);
    c.lineWidth = 1.25;
    c.globalAlpha = alpha;
    c.beginPath();
    c.moveTo(f.left, y(at));
    c.lineTo(f.right, y(at));
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
    c.fillStyle = ink;
    c.textAlign = shift === 12 && ink === colour.bad ? "left" : "right";
    const px = c.textAlign === "left" ? f.left + 6 : f.right - 4;
    c.fillText(cut(c, words, f.right - f.left - 12), px, y(at) + shift);
  }

  hit(px, py) {
    if (!this.x) return null;
    let found = null;
    for (const b of this.blocks) {
      const inside = px >= this.x(b.from) && px <= Math.max(this.x(b.to + 1), this.x(b.from) + 2)
        && py <= this.y(b.offset) && py >= Math.min(this.y(b.offset + b.bytes), this.y(b.offset) - 2);
      if (inside && (!found || b.bytes < found.bytes)) found = b;
    }
    return found;
  }

  choose(block, aloud) {
    if (block === this.chosen) return;
    this.chosen = block;
    this.say(aloud);
    this.draw();
  }

  say(aloud) {
    const b = this.chosen;
    if (!b) {
      refill(this.readout, el("span", { class: "faint" },
        "Point at a value, or go through them with the arrow keys once the picture has the focus."));
      return;
    }
    const step = (i) => `${whole(i)}${this.memory.steps[i] ? ` (${this.memory.steps[i].label})` : ""}`;
    refill(this.readout, el("code", {}, b.name), " ", el("span", { class: "faint" }, b.type),
      ` · ${bytes(b.bytes)} at ${whole(b.offset)} · ${b.kind} · from step ${step(b.from)} to ${step(b.to)}`);
    if (aloud) announce(this.readout.textContent);
  }

  fit() {
    this.range = [0, this.steps];
    this.draw();
  }

  zoom(factor, at) {
    const [a, b] = this.range;
    const centre = at ?? (this.chosen ? clamp((this.chosen.from + this.chosen.to + 1) / 2, a, b) : (a + b) / 2);
    const width = clamp((b - a) * factor, Math.min(4, this.steps), this.steps);
    this.shift(centre - ((centre - a) / (b - a)) * width, width);
  }

  shift(from, width = this.range[1] - this.range[0]) {
    const a = clamp(from, 0, this.steps - width);
    this.range = [a, a + width];
    this.draw();
  }

  listen() {
    let held = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      held = { x: event.offsetX, from: this.range[0] };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (held && event.buttons > 0 && this.range[1] - this.range[0] < this.steps) {
        const f = this.frame();
        const step = (this.range[1] - this.range[0]) / (f.right - f.left);
        this.shift(held.from - (event.offsetX - held.x) * step);
      } else this.choose(this.hit(event.offsetX, event.offsetY));
    });
    this.canvas.addEventListener("pointerup", (event) => {
      held = null;
      this.choose(this.hit(event.offsetX, event.offsetY));
    });
    this.canvas.addEventListener("wheel", (event) => {
      // A plain wheel scrolls the page; with Ctrl (or a pinch) it zooms.
      if (!event.ctrlKey) return;
      event.preventDefault();
      const f = this.frame();
      const share = clamp((event.offsetX - f.left) / (f.right - f.left), 0, 1);
      this.zoom(Math.exp(clamp(event.deltaY, -200, 200) / 300), this.range[0] + share * (this.range[1] - this.range[0]));
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.key(event) && event.stopPropagation());
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const at = this.chosen ? this.blocks.indexOf(this.chosen) : -1;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0,
      End: this.blocks.length - 1 }[event.key];
    if (to !== undefined) {
      const block = this.blocks[clamp(to, 0, this.blocks.length - 1)];
      const [a, b] = this.range;
      if (block.from < a || block.to + 1 > b) this.shift((block.from + block.to + 1 - (b - a)) / 2);
      this.choose(block, true);
    } else if (event.key === "+" || event.key === "=") this.zoom(1 / 1.5);
    else if (event.key === "-") this.zoom(1.5);
    else if (event.key === "f") this.fit();
    else if (event.key === "Escape") this.choose(null);
    else return false;
    event.preventDefault();
    return true;
  }
}

/** Round numbers of bytes: powers of two times 1, 2 or 4 and so on. */
function byteTicks(most, count) {
  let step = 1;
  while (most / step > count) step *= 2;
  const out = [];
  for (let t = 0; t <= most; t += step) out.push(t);
  return out;
}

/** Bytes that are a round number, with all its digits. */
function roundBytes(n) {
  let unit = 0;
  while (n >= 1024 && unit < 5) {
    n /= 1024;
    unit += 1;
  }
  return `${num(n)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

/** Time against memory, with the budget that was chosen as a dot. */
function memoryCurve(memory) {
  const host = el("div", { class: "plot" });
  const points = memory.curve.filter((p) => Number.isFinite(p.time)).sort((a, b) => a.bytes - b.bytes);
  const chosen = chosenPoint(points, memory.budget ?? memory.total);
  const more = (p) => (p.time <= 1 ? "no more time" : `${num(100 * (p.time - 1), 3)} % more time`);
  const words = (p) => `${bytes(p.bytes)}, ${more(p)}`;
  const draw = (width) => {
    const height = 280;
    const frame = { left: 68, top: 24, right: width - 16, bottom: height - 46 };
    const most = Math.max(...points.map((p) => p.bytes), memory.budget ?? 0);
    const slow = Math.max(...points.map((p) => p.time), 1.02);
    const x = axis(0, most, frame.left, frame.right);
    x.ticks = (count) => byteTicks(most, count);
    const y = axis(1, 1 + (slow - 1) * 1.08, frame.bottom, frame.top);
    const allowed = memory.budget;
    const drawing = svg(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": `Memory against time: ${points.map(words).join("; ")}` },
      gridLines(frame, x, y, {
        xText: roundBytes, yText: (t) => `+${num(100 * (t - 1), 3)} %`, xLabel: "memory of a whole run", yLabel: "more time",
      }),
      allowed !== null && allowed !== undefined
        ? svg("line", { class: "limit", x1: x(allowed), x2: x(allowed), y1: frame.top, y2: frame.bottom })
        : null,
      svg("polyline", { class: "series s0", points: points.map((p) => `${x(p.bytes).toFixed(1)},${y(p.time).toFixed(1)}`).join(" ") }),
      points.map((p) => svg("circle", { class: "dot s0", cx: x(p.bytes), cy: y(p.time), r: 3 }, svg("title", {}, words(p)))),
      chosen ? svg("circle", { class: "dot chosen", cx: x(chosen.bytes), cy: y(chosen.time), r: 7 }, svg("title", {}, words(chosen))) : null,
    );
    refill(host, drawing);
  };
  fitted(host, draw);
  return el(
    "figure",
    { class: "card" },
    el("figcaption", { class: "card-head" }, el("h2", {}, "Time for memory")),
    chosen ? el("p", { class: "faint" }, `The large dot is what this plan was chosen as: ${bytes(chosen.bytes)}, ${more(chosen)}.`) : null,
    host,
  );
}

/** The point of the curve that a budget buys: the fastest that is no larger. */
function chosenPoint(points, budget) {
  const within = points.filter((p) => p.bytes <= budget);
  return within.length > 0 ? within.reduce((a, b) => (b.time <= a.time ? b : a)) : (points[0] ?? null);
}
