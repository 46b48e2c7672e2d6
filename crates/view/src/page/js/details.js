// What is known of one node of a graph, in words.

/** `go(id)` is called for the links to operands and readers. */
function nodeDetails(index, node, go, more) {
  if (!node) {
    return el(
      "div",
      { class: "empty" },
      el("p", {}, "Choose a box to see what it does."),
      el("p", { class: "faint" }, "Click it, or walk with the arrow keys once the graph has the focus."),
      families(index.picture),
    );
  }
  const { picture } = index;
  const group = Number.isInteger(node.group) ? picture.groups[node.group] : null;
  const here = index.around(node.id).map((g) => picture.groups[g].label).reverse();
  return el(
    "div",
    { class: "details" },
    el("h2", {}, node.label || node.op || node.variable),
    el("p", { class: "kind" }, kindInWords(node, group)),
    more,
    node.text ? el("pre", { class: "code", tabindex: "0", "aria-label": "equation" }, node.text) : null,
    node.about ? el("p", {}, node.about) : null,
    el(
      "dl",
      { class: "facts" },
      fact("type", node.type && el("code", {}, node.type)),
      fact("bytes", node.bytes > 0 ? bytes(node.bytes) : ""),
      fact("operations", node.operations > 0 ? whole(node.operations) : ""),
      fact("place", node.place && el("code", {}, node.place)),
      fact("inside of", here.join(" › ")),
      group ? fact("contains", plural(group.nodes.length, "box", "boxes")) : [],
    ),
    list(node.derivative).length > 0
      ? [el("h3", {}, "Derivative"), el("ul", { class: "rules" }, node.derivative.map((l) => el("li", {}, l)))]
      : null,
    node.kinks ? [el("h3", {}, "At kinks and borders"), el("p", {}, node.kinks)] : null,
    links("Reads", index.operands(node.id), index, go),
    links("Is read by", index.readers(node.id), index, go),
  );
}

const FAMILIES = {
  input: "inputs", constant: "constants", pointwise: "element by element", product: "dot and conv",
  reduction: "reductions", move: "move elements", linalg: "linear algebra", random: "random",
  control: "calls, loops, branches", group: "groups", output: "results",
};

/** What the colours mean, and how many boxes there are of each. */
function families(picture) {
  const counts = {};
  for (const group of picture.groups) {
    for (const node of group.nodes) counts[familyOf(node)] = (counts[familyOf(node)] ?? 0) + 1;
  }
  return [
    el("h3", {}, "Colours"),
    el("div", { class: "families" }, Object.entries(FAMILIES).filter(([name]) => counts[name]).map(([name, words]) => [
      el("span", { class: "swatch", css: { "background-color": `var(--${name}-fill)`, "border-color": `var(--${name}-line)` } }),
      el("span", {}, words),
      el("span", { class: "figure" }, whole(counts[name])),
    ])),
  ];
}

function kindInWords(node, group) {
  const words = {
    input: "input", constant: "constant", output: "result",
    op: node.op ? `operation ${node.op}` : "operation",
  };
  if (group) return `${group.kind || "group"} ${group.label}`;
  return [words[node.kind] ?? node.kind, node.variable && node.kind !== "input" ? node.variable : ""]
    .filter(Boolean)
    .join(" · ");
}

function links(title, ids, index, go) {
  if (ids.length === 0) return null;
  const shown = ids.slice(0, 40);
  return [
    el("h3", {}, title),
    el(
      "ul",
      { class: "links" },
      shown.map((id) => {
        const node = index.node(id);
        return el(
          "li",
          {},
          el(
            "button",
            { type: "button", class: "link", on: { click: () => go(id) } },
            el("span", { class: "link-name" }, node.label || node.op || node.variable),
            el("span", { class: "faint" }, [node.variable, node.type].filter(Boolean).join(" · ")),
          ),
        );
      }),
      ids.length > shown.length ? el("li", { class: "faint" }, `and ${ids.length - shown.length} more`) : null,
    ),
  ];
}
