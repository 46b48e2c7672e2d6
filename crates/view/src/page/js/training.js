// The view of a training: curves, layers, confusions, the worst examples, the configuration.

views.push({
  id: "training",
  label: "Training",
  offered: (page) => Boolean(page.training),
  create(page) {
    const t = page.training;
    const xs = t.epochs.map((e) => e.number);
    const column = (key) => t.epochs.map((e) => e[key]);
    const has = (key) => t.epochs.some((e) => Number.isFinite(e[key]));
    const curves = (title, pairs, more) => {
      const series = pairs.filter(([key]) => has(key)).map(([key, name], k) => ({ name, values: column(key), dashed: k > 0 }));
      return series.length > 0 ? lineChart({ title, xs, series, xLabel: "epoch", ...more }) : null;
    };
    const share = (v) => (Number.isFinite(v) ? percent(v) : "–");
    const isShare = ["metric", "validation_metric"].every((key) => column(key).every((v) => v === null || (v >= 0 && v <= 1)));
    return {
      root: el(
        "div",
        { class: "view scrolling" },
        t.summary.length > 0
          ? el("div", { class: "tiles" }, t.summary.map(([name, value]) =>
              el("div", { class: "tile" }, el("div", { class: "tile-name" }, name), el("div", { class: "tile-value" }, value))))
          : null,
        xs.length > 0
          ? el(
              "div",
              { class: "charts" },
              curves("Loss", [["loss", "trained on"], ["validation_loss", "validation"]]),
              t.metric ? curves(capital(t.metric), [["metric", "trained on"], ["validation_metric", "validation"]],
                isShare ? { text: share, tick: (v) => `${num(100 * v, 3)} %` } : {}) : null,
              layerChart("Norm of the gradient", xs, t.layers, "gradient_norm"),
              layerChart("Update over parameter", xs, t.layers, "update_ratio"),
              // A rate that never changes says nothing.
              new Set(column("rate")).size > 1 ? curves("Learning rate", [["rate", "at the end of the epoch"]]) : null,
              new Set(column("seconds")).size > 1 ? curves("Time of an epoch", [["seconds", "seconds"]], { text: seconds, from: 0 }) : null,
            )
          : null,
        layers(t.layers),
        el("div", { class: "pair" }, confusion(t), worst(t.worst)),
        t.configuration.length > 0
          ? el("section", { class: "card" }, el("h2", {}, "Configuration"),
              el("dl", { class: "facts wide" }, t.configuration.map(([name, value]) => fact(name, value || "–"))))
          : null,
      ),
      enter() {},
      state: () => [],
      key: () => false,
    };
  },
});

function capital(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** A line for each array of parameters; sizes differ by powers of ten. */
function layerChart(title, xs, layers, key) {
  const series = layers.filter((l) => list(l[key]).some(Number.isFinite)).map((l) => ({ name: l.name, values: l[key] }));
  if (series.length === 0) return null;
  return lineChart({ title, xs, series, xLabel: "epoch", log: true, text: (v) => num(v, 3) });
}

function layers(all) {
  if (all.length === 0) return null;
  const half = (title, s, kind) =>
    el("div", {},
      el("div", { class: "caption" }, title, s.count > 0 ? ` · norm ${num(s.norm, 3)} · deviation ${num(s.deviation, 3)}` : ""),
      histogram(s.histogram, s.min, s.max, { kind: `bar ${kind}`, width: 230, height: 48 }),
      s.nan + s.infinite > 0 ? el("p", { class: "bad" }, plural(s.nan + s.infinite, "element is not finite", "elements are not finite")) : null);
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Parameters at the end"),
    el("div", { class: "layers" }, all.map((layer) =>
      el("article", { class: "layer" },
        el("h3", {}, el("code", {}, layer.name), " ", el("span", { class: "faint" }, layer.type)),
        half("weights", layer.weights, "weights"),
        half("last gradient", layer.gradient, "gradient")))),
  );
}

function confusion(t) {
  if (t.confusion.length === 0) return null;
  const name = (i) => t.classes[i] ?? String(i);
  const most = t.confusion.reduce((sofar, row, r) => highest(row.filter((_, c) => c !== r), sofar), 1);
  const top = highest(t.confusion.map((row, r) => row[r] ?? 0), 1);
  const width = t.confusion[0]?.length ?? 0;
  let right = 0;
  let all = 0;
  t.confusion.forEach((row, r) => row.forEach((n, c) => {
    all += n;
    if (r === c) right += n;
  }));
  const cell = (n, r, c) => {
    const t = n === 0 ? 0 : r === c ? 12 + (38 * n) / top : 18 + (50 * n) / most;
    return el("td", {
      css: { "background-color": n === 0 ? "transparent" : `color-mix(in oklab, var(--${r === c ? "good" : "heat-high"}) ${t.toFixed(0)}%, var(--page))` },
      class: n === 0 ? "zero" : null,
      title: `${name(r)} answered as ${name(c)}: ${n}`,
    }, n === 0 ? "·" : whole(n));
  };
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Confusions"),
    el("p", { class: "faint" }, `Rows are what it is, columns what was answered. ${whole(right)} of ${whole(all)} right.`),
    el("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Confusion matrix" },
      el("table", { class: "confusion" },
        el("thead", {}, el("tr", {}, el("td", {}), Array.from({ length: width }, (_, c) => el("th", { scope: "col" }, name(c))))),
        el("tbody", {}, t.confusion.map((row, r) => el("tr", {}, el("th", { scope: "row" }, name(r)), row.map((n, c) => cell(n, r, c))))))),
  );
}

function worst(examples) {
  if (examples.length === 0) return null;
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Worst examples"),
    el("p", { class: "faint" }, "Those with the largest losses, the worst first."),
    el("div", { class: "examples" }, examples.map((e) =>
      el("figure", { class: "example" },
        e.pixels.length > 0 ? pixels(e) : null,
        e.inputs.length > 0 ? el("dl", { class: "facts" }, e.inputs.map(([name, value]) => fact(name, value || "–"))) : null,
        el("figcaption", {},
          el("div", {}, el("strong", {}, e.truth), " answered as ", el("strong", { class: e.truth === e.answer ? null : "bad" }, e.answer)),
          el("div", { class: "faint figure" }, [e.probability === null ? "" : `sure ${percent(e.probability)}`,
            e.loss === null ? "" : `loss ${num(e.loss, 3)}`].filter(Boolean).join(" · ")),
          el("div", { class: "faint figure" }, `row ${whole(e.row)}`))))),
  );
}

/** A picture in its own pixels; light paper and dark ink in either theme. */
function pixels(example) {
  const rows = example.pixels;
  const [h, w] = [rows.length, Math.max(...rows.map((row) => row.length), 1)];
  const canvas = el("canvas", { class: "pixels", width: w, height: h, role: "img",
    "aria-label": `row ${example.row}, ${example.truth}` });
  const context = canvas.getContext("2d");
  rows.forEach((row, r) => row.forEach((ink, c) => {
    const level = Math.round(255 * (1 - clamp(ink ?? 0, 0, 1)));
    context.fillStyle = `rgb(${level} ${level} ${level})`;
    context.fillRect(c, r, 1, 1);
  }));
  return canvas;
}
