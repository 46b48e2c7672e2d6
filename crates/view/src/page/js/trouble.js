// The view of trouble: the way of the first value that is not finite to the result.

views.push({
  id: "trouble",
  label: "Trouble",
  offered: (page) => Boolean(page.trouble),
  create(page) {
    const { trouble } = page;
    const last = trouble.path.length - 1;
    return {
      root: el(
        "div",
        { class: "view scrolling narrow" },
        el("p", { class: "alarm", role: "note" }, trouble.message),
        el("ol", { class: "hops" }, trouble.path.map((hop, i) =>
          el("li", { class: "hop" },
            el("p", { class: "phase trouble" }, i === 0 ? "It begins here" : i === last ? "The result" : "It goes on"),
            el("pre", { class: "code", tabindex: "0", "aria-label": "equation" }, hop.text),
            hop.place || hop.source
              ? el("div", { class: "source" },
                  hop.place ? el("div", { class: "source-place" }, hop.place) : null,
                  hop.source ? el("pre", { tabindex: "0", "aria-label": "source line" }, sourceLine(hop)) : null)
              : null,
            hop.operands.length > 0 ? el("h3", {}, "Reads") : null,
            named(hop.operands),
            el("h3", {}, "Gives"),
            el("div", { class: "outcome" }, el("div", { class: "faint caption" }, hop.value.type), showValue(hop.value))))),
      ),
      enter() {},
      state: () => [],
      key: () => false,
    };
  },
});

/** The line without its indentation, and a caret under the column that its place names. */
function sourceLine(hop) {
  const line = hop.source.replace(/\t/g, " ");
  const indent = line.length - line.trimStart().length;
  const column = Number(/:\d+:(\d+)$/.exec(hop.place ?? "")?.[1]) - 1 - indent;
  const text = line.trim();
  return column >= 0 && column < text.length ? `${text}\n${" ".repeat(column)}^` : text;
}
