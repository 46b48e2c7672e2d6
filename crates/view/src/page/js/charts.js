// Charts as SVG, drawn in real pixels: axes, lines, and a cursor that mouse and keys can move.

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) ?? power * 10;
  // Numbers that differ in their last digits only have no round numbers between them.
  if (Math.max(Math.abs(low), Math.abs(high)) / step > 1e12) return [low, high];
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) out.push(k * step);
  return out;
}

/** Powers of ten from `low` to `high`, at most `count` of them. */
function decades(low, high, count) {
  const [a, b] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((b - a + 1) / count));
  const out = [];
  for (let k = a; k <= b; k += every) out.push(10 ** k);
  return out;
}

/** An axis: from numbers to pixels. */
function axis(low, high, from, to, log = false) {
  const f = log ? Math.log10 : (x) => x;
  const [a, b] = [f(low), f(high)];
  const map = (x) => from + ((f(x) - a) / (b - a || 1)) * (to - from);
  map.ticks = (count) => (log ? decades(low, high, count) : ticks(low, high, count));
  return map;
}

/** Lines across the plot with numbers beside them. */
function gridLines(frame, x, y, options) {
  const { left, top, right, bottom } = frame;
  const across = Math.max(3, Math.floor((right - left) / 64));
  const up = Math.max(3, Math.floor((bottom - top) / 30));
  const at = (v) => v.toFixed(1);
  return [
    y.ticks(up).map((t) => [
      svg("line", { class: "grid", x1: left, x2: right, y1: at(y(t)), y2: at(y(t)) }),
      svg("text", { class: "tick", x: left - 8, y: at(y(t) + 4), "text-anchor": "end" }, options.yText(t)),
    ]),
    x.ticks(across).map((t) => [
      svg("line", { class: "grid", x1: at(x(t)), x2: at(x(t)), y1: top, y2: bottom }),
      svg("text", { class: "tick", x: at(x(t)), y: bottom + 18, "text-anchor": "middle" }, options.xText(t)),
    ]),
    svg("text", { class: "axis", x: right, y: bottom + 36, "text-anchor": "end" }, options.xLabel ?? ""),
    svg("text", { class: "axis", x: 4, y: top - 10 }, options.yLabel ?? ""),
  ];
}

/**
 * Lines over whole numbers (epochs, steps). The legend is the readout too: it shows the values
 * under the cursor, which the mouse moves, or the arrow keys once the chart has the focus.
 *
 * `text` writes values, `tick` those beside the axis; `from` is a number that the axis contains.
 * `series` is a list of `{ name, values, dashed }`, `xs` the numbers that they stand over.
 */
function lineChart({ title, xs, series, xLabel, yLabel, log = false, height = 230, text = num, tick = text, from }) {
  const shown = series.map(() => true);
  const host = el("div", { class: "plot" });
  const readout = el("div", { class: "legend" });
  const card = el("figure", { class: "chart" }, el("figcaption", {}, title), readout, host);
  let cursor = null;
  let width = 0;
  const values = series.map((s) => s.values.map((v) => (Number.isFinite(v) && (!log || v > 0) ? v : null)));

  const legend = () => {
    const at = cursor ?? xs.length - 1;
    refill(
      readout,
      el("span", { class: "faint" }, `${xLabel} ${xs[at] ?? ""}`),
      series.map((s, k) =>
        el(
          "button",
          {
            type: "button",
            class: `key s${k % 8}${s.dashed ? " dashed" : ""}`,
            "aria-pressed": String(shown[k]),
            title: `Show or hide ${s.name}`,
            on: {
              click: () => {
                shown[k] = !shown[k];
                draw();
                readout.querySelectorAll("button")[k]?.focus();
              },
            },
          },
          el("span", { class: "swatch", "aria-hidden": "true" }),
          el("span", { class: "key-name" }, s.name),
          el("span", { class: "figure" }, text(s.values[at])),
        ),
      ),
    );
  };

  const draw = () => {
    legend();
    const frame = { left: 58, top: 24, right: width - 12, bottom: height - 44 };
    const all = values.filter((_, k) => shown[k]).flat().filter((v) => v !== null);
    if (all.length === 0) {
      refill(host, el("p", { class: "faint" }, "No finite value."));
      return;
    }
    let [low, high] = [lowest(all), highest(all)];
    if (log) {
      [low, high] = [low / 1.3, high * 1.3];
      if (high / low < 10) [low, high] = [low / 2, high * 2];
    } else {
      if (from !== undefined) low = Math.min(low, from);
      const margin = (high - low || Math.abs(high) || 1) * 0.06;
      [low, high] = [low === from ? low : low - margin, high + margin];
    }
    const x = axis(xs[0], xs.at(-1), frame.left, frame.right);
    x.ticks = (count) => ticks(xs[0], xs.at(-1), count).filter((t) => Number.isInteger(t));
    const y = axis(low, high, frame.bottom, frame.top, log);
    const lines = values.map((ys, k) => shown[k] && polylines(xs, ys, x, y, k, series[k].dashed));
    const mark = cursor === null ? [] : [
      svg("line", { class: "cursor", x1: x(xs[cursor]), x2: x(xs[cursor]), y1: frame.top, y2: frame.bottom }),
      values.map((ys, k) => shown[k] && ys[cursor] !== null && ys[cursor] !== undefined
        && svg("circle", { class: `dot s${k % 8}`, cx: x(xs[cursor]), cy: y(ys[cursor]), r: 3.5 })),
    ];
    const drawing = svg(
      "svg",
      {
        width, height, viewBox: `0 0 ${width} ${height}`, tabindex: "0", role: "application",
        "aria-roledescription": "chart",
        "aria-label": `${title}. Left and right move the cursor.`,
        on: {
          pointermove: (event) => {
            const px = event.clientX - drawing.getBoundingClientRect().left;
            move(nearest(xs, x, px));
          },
          pointerleave: () => move(null),
          keydown: (event) => {
            const to = {
              ArrowLeft: (cursor ?? xs.length) - 1, ArrowRight: (cursor ?? -1) + 1,
              Home: 0, End: xs.length - 1,
            }[event.key];
            if (to === undefined) return;
            event.preventDefault();
            move(clamp(to, 0, xs.length - 1));
            announce(`${xLabel} ${xs[cursor]}: ${series.map((s) => `${s.name} ${text(s.values[cursor])}`).join(", ")}`);
          },
        },
      },
      gridLines(frame, x, y, { yText: tick, xText: (t) => whole(t), xLabel, yLabel }),
      lines,
      mark,
    );
    const had = host.firstChild && host.contains(document.activeElement);
    refill(host, drawing);
    if (had) drawing.focus({ preventScroll: true });
  };
  const move = (to) => {
    if (to === cursor) return;
    cursor = to;
    draw();
  };
  fitted(host, (w) => {
    width = w;
    draw();
  });
  return card;
}

function nearest(xs, x, pixel) {
  let best = 0;
  for (let i = 0; i < xs.length; i++) if (Math.abs(x(xs[i]) - pixel) < Math.abs(x(xs[best]) - pixel)) best = i;
  return best;
}

/** A line for each run of finite values; a single value is a dot. */
function polylines(xs, ys, x, y, k, dashed) {
  const runs = [];
  let run = [];
  ys.forEach((v, i) => {
    if (v === null || v === undefined) {
      if (run.length > 0) runs.push(run);
      run = [];
    } else run.push([x(xs[i]).toFixed(1), y(v).toFixed(1)]);
  });
  if (run.length > 0) runs.push(run);
  const kind = `s${k % 8}${dashed ? " dashed" : ""}`;
  return runs.map((points) =>
    points.length === 1
      ? svg("circle", { class: `dot ${kind}`, cx: points[0][0], cy: points[0][1], r: 3 })
      : svg("polyline", { class: `series ${kind}`, points: points.map((p) => p.join(",")).join(" ") }),
  );
}
