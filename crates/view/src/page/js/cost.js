// The view of time: a roofline of all steps, and the steps as a table.

views.push({
  id: "cost",
  label: "Cost",
  offered: (page) => Boolean(page.cost) && list(page.cost.steps).length > 0,
  create(page) {
    const { cost } = page;
    const steps = cost.steps.map((step, at) => costOf(cost, step, at));
    const table = new CostTable(cost, steps);
    const plot = roofline(cost, steps, (step) => table.choose(step));
    const sum = steps.reduce((a, s) => a + (s.seconds || 0), 0);
    return {
      root: el(
        "div",
        { class: "view scrolling" },
        el("div", { class: "tiles" },
          costTile("One run", seconds(cost.seconds), cost.runs > 0 ? `of ${plural(cost.runs, "run")}` : ""),
          costTile("In steps", seconds(sum), cost.seconds > 0 ? `${percent(sum / cost.seconds)} of it` : ""),
          costTile("Steps", whole(steps.length), ""),
          costTile("Machine", cost.machine || "–", "", "words")),
        plot,
        table.element,
      ),
      enter() {},
      state: () => [],
      key: () => false,
    };
  },
});

function costTile(name, value, note, kind = "") {
  return el("div", { class: `tile ${kind}` }, el("div", { class: "tile-name" }, name),
    el("div", { class: "tile-value" }, value), note ? el("div", { class: "faint" }, note) : null);
}

/** A step with the figures that follow from what was measured. */
function costOf(cost, step, at) {
  const intensity = step.bytes > 0 ? step.operations / step.bytes : null;
  const rate = step.seconds > 0 ? step.operations / step.seconds : null;
  const roof = intensity > 0 && cost.peak_operations > 0
    ? Math.min(cost.peak_operations, cost.peak_bytes * intensity)
    : null;
  // A step without arithmetic is held against what memory can give.
  const share = roof && rate ? rate / roof
    : step.operations === 0 && step.seconds > 0 && cost.peak_bytes > 0 ? step.bytes / step.seconds / cost.peak_bytes
    : null;
  return { ...step, at, intensity, rate, limit: share };
}

function roofline(cost, steps, choose) {
  const host = el("div", { class: "plot" });
  const dots = steps.filter((s) => s.intensity > 0 && s.rate > 0);
  const without = steps.length - dots.length;
  const total = steps.reduce((a, s) => a + (s.seconds || 0), 0) || 1;
  // Large dots first, so that small ones stay within reach.
  const order = [...dots].sort((a, b) => b.seconds - a.seconds);
  const readout = el("p", { class: "readout" });
  const say = (step) => refill(readout, step
    ? [el("code", {}, step.label), ` · ${seconds(step.seconds)} · ${si(step.rate, "op/s")} at ${num(step.intensity, 3)} op/B`,
        step.limit === null ? "" : ` · ${percent(step.limit)} of the limit`]
    : el("span", { class: "faint" }, "A dot is a step; the larger, the longer. The lines are the most that this machine does."));
  say(null);
  const stepAt = (event) => steps[event.target.dataset?.at ?? -1] ?? null;
  const draw = (width) => {
    const height = width < 500 ? 300 : 380;
    const frame = { left: 76, top: 26, right: width - 16, bottom: height - 48 };
    const ridge = cost.peak_bytes > 0 && cost.peak_operations > 0 ? cost.peak_operations / cost.peak_bytes : 1;
    const xs = [...dots.map((s) => s.intensity), ridge];
    const ys = [...dots.map((s) => s.rate), cost.peak_operations || 1];
    const [x0, x1] = [lowest(xs) / 3, highest(xs) * 6];
    const [y0, y1] = [lowest(ys) / 3, highest(ys) * 2.5];
    const x = axis(x0, x1, frame.left, frame.right, true);
    const y = axis(y0, y1, frame.bottom, frame.top, true);
    const roof = (i) => Math.min(cost.peak_operations, cost.peak_bytes * i);
    // Where the slope enters the plot from below.
    const start = Math.max(x0, y0 / (cost.peak_bytes || 1));
    const roofPoints = [start, ridge, x1].filter((i) => i >= x0 && roof(i) > 0);
    const low = x(start);
    refill(host, svg(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Roofline of the steps; the table below has the same figures",
        on: {
          pointermove: (event) => say(stepAt(event)),
          pointerleave: () => say(null),
          click: (event) => stepAt(event) && choose(stepAt(event)),
        } },
      gridLines(frame, x, y, {
        xText: (t) => num(t, 2), yText: (t) => si(t, ""), xLabel: "operations per byte", yLabel: "operations per second",
      }),
      roofPoints.length > 1
        ? svg("polyline", { class: "roof", points: roofPoints.map((i) => `${x(i).toFixed(1)},${y(roof(i)).toFixed(1)}`).join(" ") })
        : null,
      svg("text", { class: "axis roof-name", x: frame.right - 4, y: y(cost.peak_operations || 1) - 7, "text-anchor": "end" },
        `arithmetic ${si(cost.peak_operations, "op/s")}`),
      cost.peak_bytes > 0
        ? svg("text", {
            class: "axis roof-name", "text-anchor": "start",
            transform: `translate(${(low + (x(ridge) - low) * 0.12).toFixed(1)} ${(y(roof(start)) - (y(roof(start)) - y(roof(ridge))) * 0.12 - 9).toFixed(1)}) rotate(${((Math.atan2(y(roof(ridge)) - y(roof(start)), x(ridge) - low) * 180) / Math.PI).toFixed(2)})`,
          }, `memory ${si(cost.peak_bytes, "B/s")}`)
        : null,
      order.map((step) => svg("circle", {
        class: `step-dot ${step.kind === "dot" ? "k1" : step.kind === "loop" ? "k2" : "k0"}`,
        "data-at": step.at,
        cx: x(step.intensity).toFixed(1), cy: y(step.rate).toFixed(1),
        r: (3.5 + 14 * Math.sqrt((step.seconds || 0) / total)).toFixed(1),
      })),
    ));
  };
  fitted(host, draw);
  const kinds = [["k0", "pointwise regions and others"], ["k1", "products of matrices"], ["k2", "loops"]];
  const present = new Set(dots.map((s) => (s.kind === "dot" ? "k1" : s.kind === "loop" ? "k2" : "k0")));
  return el(
    "figure",
    { class: "card" },
    el("figcaption", { class: "card-head" }, el("h2", {}, "Against the machine's limits")),
    el("div", { class: "legend" }, kinds.filter(([k]) => present.has(k)).map(([k, words]) =>
      el("span", { class: "key still" }, el("span", { class: `swatch square ${k}` }), words)),
      without > 0 ? el("span", { class: "faint" }, `${plural(without, "step")} without arithmetic or time not drawn`) : null),
    host,
    readout,
  );
}

const COST_COLUMNS = [
  ["at", "Step", (s) => whole(s.at), "figure"],
  ["label", "What", (s) => s.label, "label"],
  ["seconds", "Time", (s) => seconds(s.seconds), "figure"],
  ["share", "Share", null, "share"],
  ["limit", "Of limit", (s) => (s.limit === null ? "–" : percent(s.limit)), "figure"],
  ["kind", "Kind", (s) => s.kind, ""],
  ["operations", "Operations", (s) => si(s.operations, ""), "figure"],
  ["bytes", "Bytes", (s) => bytes(s.bytes), "figure"],
  ["rate", "Rate", (s) => (s.rate ? si(s.rate, "op/s") : "–"), "figure"],
  ["place", "Place", (s) => s.place ?? "", "place"],
];

class CostTable {
  constructor(cost, steps) {
    this.steps = steps;
    this.total = steps.reduce((a, s) => a + (s.seconds || 0), 0) || 1;
    this.most = highest(steps.map((s) => s.seconds || 0), 0) || 1;
    this.key = "seconds";
    this.down = true;
    this.limit = 100;
    this.head = el("tr", {});
    this.body = el("tbody", {});
    this.more = el("button", { type: "button", class: "more", on: { click: () => {
      this.limit = Infinity;
      this.draw();
    } } });
    const places = steps.some((s) => s.place);
    this.columns = COST_COLUMNS.filter(([key]) => key !== "place" || places);
    this.element = el(
      "section",
      { class: "card" },
      el("h2", {}, "Steps"),
      el("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Table of steps" },
        el("table", { class: "table" }, el("thead", {}, this.head), this.body)),
      this.more,
    );
    this.draw();
  }

  sort(key) {
    this.down = key === this.key ? !this.down : !["at", "label", "kind", "place"].includes(key);
    this.key = key;
    this.draw();
    this.head.querySelector(`[data-key="${key}"]`)?.focus();
  }

  choose(step) {
    this.limit = Infinity;
    this.draw();
    const row = this.body.querySelector(`[data-at="${step.at}"]`);
    row?.scrollIntoView({ block: "center", behavior: still() ? "auto" : "smooth" });
    row?.classList.add("flash");
    setTimeout(() => row?.classList.remove("flash"), 1600);
  }

  draw() {
    refill(this.head, this.columns.map(([key, name, , kind]) => {
      const by = key === "share" ? "seconds" : key;
      const sorted = by === this.key && key !== "share";
      return el("th", { scope: "col", class: kind, "aria-sort": sorted ? (this.down ? "descending" : "ascending") : null },
        el("button", { type: "button", "data-key": by, on: { click: () => this.sort(by) } },
          name, el("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (this.down ? "↓" : "↑") : "")));
    }));
    const key = this.key;
    const order = [...this.steps].sort((a, b) => {
      const [p, q] = [a[key], b[key]];
      const way = typeof p === "string" || typeof q === "string"
        ? String(p ?? "").localeCompare(String(q ?? "")) : (p ?? -1) - (q ?? -1);
      return this.down ? -way : way;
    });
    refill(this.body, order.slice(0, this.limit).map((step) =>
      el("tr", { "data-at": step.at }, this.columns.map(([key, , text, kind]) =>
        key === "share"
          ? el("td", { class: kind },
              el("span", { class: "meter", "aria-hidden": "true" },
                el("span", { class: "meter-bar", css: { width: `${(100 * (step.seconds || 0)) / this.most}%` } })),
              el("span", { class: "figure" }, percent((step.seconds || 0) / this.total)))
          : el("td", { class: kind, title: key === "label" ? step.label : null }, text(step))))));
    this.more.hidden = order.length <= this.limit;
    this.more.textContent = `Show all ${whole(order.length)} steps`;
  }
}
