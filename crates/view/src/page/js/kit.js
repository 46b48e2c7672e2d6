// Small tools that every view uses: elements, numbers as text, colours, announcements.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. Text only ever enters as text nodes, and styles through the object model, so
 * that nothing in the data can become markup and the content security policy needs no exception.
 */
function el(name, props, ...children) {
  return fill(document.createElement(name), props, children);
}

/** The same for SVG. */
function svg(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), props, children);
}

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") {
      for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    } else if (key === "css") {
      for (const [name, text] of Object.entries(value)) node.style.setProperty(name, text);
    } else {
      node.setAttribute(key, value === true ? "" : String(value));
    }
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Puts other children in the place of those that are there. */
function refill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** The largest of any number of numbers; a call with all of them as arguments fails for 130,000. */
function highest(numbers, from = -Infinity) {
  return numbers.reduce((a, b) => (b > a ? b : a), from);
}

/** The smallest of any number of numbers. */
function lowest(numbers, from = Infinity) {
  return numbers.reduce((a, b) => (b < a ? b : a), from);
}

/** The whole number that a part of an address stands for, if it is one below `count`. */
function indexOf(text, count = Infinity) {
  const number = /^\d+$/.test(text ?? "") ? Number(text) : undefined;
  return number < count ? number : undefined;
}

/** A button whose title also names its key. */
function button(text, title, click, props) {
  return el(
    "button",
    { type: "button", title, "aria-label": title, on: { click }, ...props },
    text,
  );
}

/** A sign of the player, drawn here because fonts do not agree on them. */
function icon(name) {
  const shapes = {
    first: "M3 3h2v10H3zM13 3v10L5.5 8z", last: "M11 3h2v10h-2zM3 3v10l7.5-5z",
    back: "M12 3v10L4 8z", on: "M4 3v10l8-5z", play: "M4 2.5v11l9-5.5z", pause: "M4 3h3v10H4zM9 3h3v10H9z",
    theme: "M8 1.5a6.5 6.5 0 1 0 0 13zM8 1.5a6.5 6.5 0 0 1 0 13v-1.2a5.3 5.3 0 0 0 0-10.6z",
  };
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    svg("path", { d: shapes[name] }));
}

/** A list of choices with a label that is read aloud. */
function chooser(label, names, chosen, change) {
  const select = el(
    "select",
    { "aria-label": label, on: { change: () => change(Number(select.value)) } },
    names.map((name, i) => el("option", { value: i }, name)),
  );
  select.value = String(chosen);
  return select;
}

/** A number with at most `digits` digits that count, without a tail of zeros. */
function num(x, digits = 4) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  let text;
  if (size >= 1e6 || size < 1e-4) {
    text = x.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e").replace("e+", "e");
  } else {
    text = String(Number(x.toPrecision(digits)));
  }
  return text.replace(/^-/, "−").replace("e-", "e−");
}

/** A whole number with thin spaces between thousands. */
function whole(n) {
  if (n === null || n === undefined) return "–";
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Bytes in the largest unit of which there is at least one. */
function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit + 1 < units.length) {
    n /= 1024;
    unit += 1;
  }
  return `${n.toFixed(unit === 0 || n >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** A number with a unit and a prefix of thousands. */
function si(x, unit) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
  const [size, prefix] = steps.find(([size]) => Math.abs(x) >= size) ?? [1, ""];
  return `${num(x / size, 3)} ${prefix}${unit}`.trim();
}

function seconds(s) {
  if (s === null || s === undefined || !Number.isFinite(s)) return "–";
  if (s >= 100) return `${s.toFixed(0)} s`;
  if (s >= 1) return `${s.toFixed(2)} s`;
  if (s >= 1e-3) return `${num(s * 1e3, 3)} ms`;
  if (s >= 1e-6) return `${num(s * 1e6, 3)} µs`;
  return `${num(s * 1e9, 3)} ns`;
}

function plural(n, one, many = `${one}s`) {
  return `${whole(n)} ${n === 1 ? one : many}`;
}

/** A share with one digit behind the point, so that shares below each other line up. */
function percent(share) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–";
}

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** What a list from the data is if it is missing. */
const list = (x) => (Array.isArray(x) ? x : []);

/** The element, or a part of its text, said aloud by a screen reader. */
function announce(text) {
  const at = document.getElementById("announce");
  if (at && at.textContent !== text) at.textContent = text;
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Canvases cannot read custom properties, so the colours are asked of an element that uses them,
// once for each theme.
const COLOURS = [
  "page", "panel", "text", "faint", "grid", "accent", "accent-soft", "back", "back-soft", "good",
  "good-soft", "bad", "bad-soft", "plum", "plum-soft", "quiet", "heat-low", "heat-zero", "heat-high", "frame",
  // Of each family of boxes the inside and the border.
  ...["input", "constant", "output", "pointwise", "product", "reduction", "move", "linalg", "random", "control", "group"]
    .flatMap((family) => [`${family}-fill`, `${family}-line`]),
];
const colour = {};

function readColours() {
  const probe = el("span", { hidden: true });
  document.body.append(probe);
  for (const name of COLOURS) {
    probe.style.setProperty("color", `var(--${name})`);
    colour[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  for (const name of ["heat-low", "heat-zero", "heat-high"]) {
    colour[`${name}-rgb`] = colour[name].match(/[\d.]+/g).slice(0, 3).map(Number);
  }
}

/** Light or dark: as the system says until the reader says otherwise. */
const theme = {
  /** Puts the theme that was chosen before in force. */
  start() {
    try {
      this.set(localStorage.getItem("cotangent-theme"));
    } catch {
      this.set(null);
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.tell());
  },
  dark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  },
  set(name) {
    if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
    this.tell();
  },
  toggle() {
    const name = this.dark() ? "light" : "dark";
    this.set(name);
    try {
      localStorage.setItem("cotangent-theme", name);
    } catch {
      // A page opened from disk may have no storage; the choice then lasts as long as the page.
    }
    announce(`${name} colours`);
  },
  tell() {
    readColours();
    for (const canvas of document.querySelectorAll("canvas")) canvas.repaint?.();
  },
};

/** Sizes a canvas to its box in real pixels; gives its context in CSS pixels. */
function sharp(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/**
 * Calls `draw(width)` now and whenever the width of `host` changes. Charts are drawn in real
 * pixels rather than stretched, so that their text is as large on a telephone as on a desk.
 */
function fitted(host, draw) {
  let last = -1;
  const see = () => {
    const width = Math.floor(host.clientWidth);
    if (width > 0 && width !== last) {
      last = width;
      draw(width);
    }
  };
  new ResizeObserver(see).observe(host);
  see();
  return host;
}

/** Two rows of a table of facts, or nothing where the value is empty. */
function fact(name, value) {
  if (value === "" || value === null || value === undefined) return [];
  return [el("dt", {}, name), el("dd", {}, value)];
}

/** The views that a page can have, in the order of their tabs. Each file adds its own. */
const views = [];
