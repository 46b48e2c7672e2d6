// Values: as text with colours behind it where they are small, as a heat map with figures where
// they are not. Colours run from blue (negative) over the background (zero) to orange (positive).

/** The colour of `x` in a map whose largest absolute value is `most`. */
function heat(x, most) {
  if (x === null || x === undefined || !Number.isFinite(x)) return colour.bad;
  const share = most > 0 ? clamp(x / most, -1, 1) : 0;
  const zero = colour["heat-zero-rgb"];
  const end = colour[share < 0 ? "heat-low-rgb" : "heat-high-rgb"];
  // The root makes small values visible; the sign is what matters most.
  const t = Math.sqrt(Math.abs(share));
  const mixed = zero.map((from, i) => Math.round(from + (end[i] - from) * t));
  return `rgb(${mixed.join(" ")})`;
}

/** The same through the theme's variables, for elements that outlive a change of theme. */
function heatMix(x, most) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "var(--bad-soft)";
  const share = most > 0 ? clamp(x / most, -1, 1) : 0;
  const end = share < 0 ? "--heat-low" : "--heat-high";
  const t = Math.round(55 * Math.sqrt(Math.abs(share)));
  return `color-mix(in oklab, var(${end}) ${t}%, var(--heat-zero))`;
}

function largest(numbers) {
  let most = 0;
  for (const x of numbers) if (Number.isFinite(x) && Math.abs(x) > most) most = Math.abs(x);
  return most;
}

const isScalar = (value) => list(value?.shape).length === 0;

/** The elements as text: exactly those given, else numbers that are rounded. */
function elements(value) {
  return value.texts.length > 0 ? value.texts : value.numbers.map((x) => num(x));
}

/** A value in few letters, for a box of the graph. */
function brief(value) {
  if (!value) return "";
  const short = (text) => (/^[-+\d.e]+$/i.test(text) && text.length > 8 ? num(Number(text)) : text);
  if (value.texts.length > 0 && value.texts.length <= 3) {
    const texts = value.texts.map((text) => short(text));
    return isScalar(value) ? texts[0] : `[${texts.join(", ")}]`;
  }
  const { norm, nan, infinite } = value.statistics;
  if (nan + infinite > 0) return `${plural(nan + infinite, "bad element")}`;
  return norm === null ? value.type : `norm ${num(norm, 3)}`;
}

/** A value, whole. */
function showValue(value, options = {}) {
  if (!value) return el("span", { class: "faint" }, "–");
  const texts = value.texts;
  if (isScalar(value) && texts.length === 1) {
    const bad = value.numbers.length === 1 && value.numbers[0] === null;
    return el("span", { class: bad ? "scalar bad" : "scalar" }, texts[0]);
  }
  if (value.statistics.count === 0 && texts.length === 0) {
    return el("span", { class: "faint" }, "no elements");
  }
  if (texts.length > 0) return value.shape.length === 1 && texts.length > 3 ? cells(value) : grids(value);
  return el(
    "div",
    { class: "large-value" },
    value.numbers.length > 0 ? heatMap(value, options) : null,
    statistics(value.statistics),
    histogram(value.statistics.histogram, value.statistics.min, value.statistics.max),
  );
}

/** Small arrays: a grid of texts for each matrix of the last two axes. */
function grids(value) {
  const [rows, columns, count] = matrices(value.shape);
  const most = largest(value.numbers);
  const texts = elements(value);
  const out = [];
  for (let k = 0; k < count; k++) {
    const start = k * rows * columns;
    if (count > 1) out.push(el("div", { class: "caption" }, `[${place(value.shape, k)}]`));
    out.push(grid(texts, value.numbers, start, rows, columns, most));
  }
  return el("div", { class: "grids" }, out);
}

/** A vector, which goes on in the next line as text does. */
function cells(value) {
  const most = largest(value.numbers);
  return el("div", { class: "cells" }, value.texts.map((text, i) => {
    const x = i in value.numbers ? value.numbers[i] : 0;
    return el("span", { class: x === null ? "cell bad" : "cell", css: { "background-color": heatMix(x, most) } }, text);
  }));
}

/** Rows and columns of the last two axes, and how many such matrices there are. */
function matrices(shape) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.length > 1 ? shape.at(-2) : 1;
  return [rows, columns, shape.slice(0, -2).reduce((a, b) => a * b, 1)];
}

/** The leading indices of the `k`-th matrix. */
function place(shape, k) {
  const out = [];
  for (const size of shape.slice(0, -2).reverse()) {
    out.unshift(k % size);
    k = Math.floor(k / size);
  }
  return [...out, "·", "·"].join(", ");
}

function grid(texts, numbers, start, rows, columns, most) {
  const body = [];
  for (let r = 0; r < rows; r++) {
    const cells = [];
    for (let c = 0; c < columns; c++) {
      const i = start + r * columns + c;
      const bad = i in numbers && numbers[i] === null;
      cells.push(
        el(
          "td",
          { class: bad ? "bad" : null, css: { "background-color": heatMix(i in numbers ? numbers[i] : 0, most) } },
          texts[i] ?? "",
        ),
      );
    }
    body.push(el("tr", {}, cells));
  }
  return el("div", { class: "scroll-x" }, el("table", { class: "grid" }, el("tbody", {}, body)));
}

/** A picture of up to 4,096 elements; higher ranks stand side by side. */
function heatMap(value, options) {
  const [rows, columns, count] = matrices(value.shape);
  // A long vector is folded into rows so that it can be seen.
  let [h, w] = [rows, columns];
  if (rows === 1 && count === 1 && columns > 64) {
    w = Math.ceil(Math.sqrt(columns * 4));
    h = Math.ceil(columns / w);
  }
  const across = Math.ceil(Math.sqrt((count * h) / w)) || 1;
  const down = Math.ceil(count / across);
  const gap = count > 1 ? 1 : 0;
  const [wide, high] = [across * (w + gap) - gap, down * (h + gap) - gap];
  const cell = clamp(Math.floor((options.width ?? 300) / wide), 1, 14);
  const canvas = el("canvas", {
    class: "heat",
    role: "img",
    "aria-label": `heat map of ${value.type}`,
    css: { width: `${wide * cell}px`, "aspect-ratio": `${wide} / ${high}` },
  });
  canvas.repaint = () => {
    const most = largest(value.numbers);
    canvas.width = wide * cell;
    canvas.height = high * cell;
    const context = canvas.getContext("2d");
    value.numbers.forEach((x, i) => {
      const k = Math.floor(i / (rows * columns));
      const inside = i - k * rows * columns;
      const column = (k % across) * (w + gap) + (inside % w);
      const row = Math.floor(k / across) * (h + gap) + Math.floor(inside / w);
      context.fillStyle = heat(x, most);
      context.fillRect(column * cell, row * cell, cell, cell);
    });
  };
  canvas.repaint();
  return el("figure", { class: "heat-box" }, canvas, scale(value));
}

/** The two ends of the colours. */
function scale(value) {
  const most = largest(value.numbers);
  return el(
    "figcaption",
    { class: "heat-scale" },
    el("span", {}, num(-most, 3)),
    el("span", { class: "heat-ramp", "aria-hidden": "true" }),
    el("span", {}, num(most, 3)),
  );
}

function statistics(s) {
  if (!s || s.count === 0) return null;
  const rows = [
    ["elements", whole(s.count)],
    ["smallest", num(s.min)],
    ["largest", num(s.max)],
    ["mean", num(s.mean)],
    ["deviation", num(s.deviation)],
    ["norm", num(s.norm)],
    ["zeros", s.zeros > 0 ? whole(s.zeros) : ""],
    ["NaN", s.nan > 0 ? el("span", { class: "bad" }, whole(s.nan)) : ""],
    ["infinite", s.infinite > 0 ? el("span", { class: "bad" }, whole(s.infinite)) : ""],
  ];
  return el("dl", { class: "facts figures" }, rows.flatMap(([name, text]) => fact(name, text)));
}

/** Bars for counts over equal parts of a range. */
function histogram(counts, min, max, options = {}) {
  if (list(counts).length === 0 || min === null || max === null) return null;
  const [width, height] = [options.width ?? 260, options.height ?? 56];
  const most = Math.max(...counts, 1);
  const step = width / counts.length;
  const bars = counts.map((n, i) => {
    const h = n > 0 ? Math.max(1, (height * n) / most) : 0;
    return svg("rect", {
      class: options.kind ?? "bar",
      x: (i * step).toFixed(2),
      y: (height - h).toFixed(2),
      width: Math.max(0.5, step - 1).toFixed(2),
      height: h.toFixed(2),
    });
  });
  const zero = min < 0 && max > 0 ? (width * -min) / (max - min) : null;
  return el(
    "figure",
    { class: "histogram", css: { "max-width": `${width}px` } },
    svg(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `histogram from ${num(min)} to ${num(max)}`,
      },
      bars,
      zero === null ? null : svg("line", { class: "zero", x1: zero, x2: zero, y1: 0, y2: height }),
    ),
    el("figcaption", { class: "ends" }, el("span", {}, num(min)), el("span", {}, num(max))),
  );
}

/** Rounded, because a matrix of all digits cannot be taken in; the exact digits stand elsewhere. */
function shortened(value) {
  return elements(value).map((text, i) => (Number.isFinite(value.numbers[i]) ? num(value.numbers[i]) : text));
}

/** A matrix or a column with brackets around it. */
function bracketed(texts, numbers, rows, columns) {
  return el(
    "div",
    { class: "bracketed" },
    grid(texts, numbers, 0, rows, columns, largest(numbers)),
  );
}

/**
 * The product of the chain rule for one operand, written out: the local derivative, transposed,
 * times the cotangent that arrives.
 */
function chainProduct(jacobian, arriving, product) {
  const [rows, columns] = jacobian.shape.length === 2 ? jacobian.shape : [1, jacobian.texts.length || 1];
  if (rows === 1 && columns === 1) {
    const texts = [jacobian, arriving, product].map((v) => (v ? elements(v)[0] : "?"));
    return el("div", { class: "product" }, scalarChip(texts[0]), el("span", { class: "operator" }, "×"),
      scalarChip(texts[1], "arrives"),
      el("span", { class: "together" }, el("span", { class: "operator" }, "="), scalarChip(texts[2], "result")));
  }
  const [from, numbers] = [shortened(jacobian), jacobian.numbers];
  const turned = [];
  const turnedNumbers = [];
  for (let c = 0; c < columns; c++) {
    for (let r = 0; r < rows; r++) {
      turned.push(from[r * columns + c]);
      turnedNumbers.push(numbers[r * columns + c] ?? 0);
    }
  }
  const times = el("span", { class: "operator" }, "×");
  const equals = el("span", { class: "operator" }, "=");
  return el(
    "div",
    { class: "product scroll-x" },
    bracketed(turned, turnedNumbers, columns, rows),
    times,
    bracketed(shortened(arriving), arriving.numbers, rows, 1),
    equals,
    product ? bracketed(shortened(product), product.numbers, columns, 1) : "?",
  );
}

function scalarChip(text, kind = "local") {
  return el("span", { class: `chip ${kind}` }, text);
}
