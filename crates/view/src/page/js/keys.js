// The keys, and the sheet that lists them.

const KEYS = [
  ["Everywhere", [
    ["1 … 7", "go to a view"], ["t", "light or dark"], ["?", "this list"], ["Esc", "close, let go"],
    ["Tab", "on to the next control"],
  ]],
  ["Graph", [
    ["/", "search"], ["Enter", "next that was found; fold or unfold the chosen box"],
    ["← → ↑ ↓", "go from box to box"], ["Shift + arrows", "move the graph"], ["+ −", "zoom"], ["f", "show all"],
    ["u, c", "unfold all, fold all"],
  ]],
  ["Step through", [
    ["← →", "one step back, on"], ["Home, End", "to the beginning, the end"], ["Space", "play, pause"],
  ]],
  ["Passes", [["↑ ↓", "pass before, after"]]],
  ["Memory, charts", [["arrows", "from value to value"], ["+ −, f", "zoom, show all"]]],
];

class KeySheet {
  constructor() {
    this.dialog = el(
      "dialog",
      { class: "sheet", "aria-label": "Keys" },
      el("div", { class: "sheet-head" }, el("h2", {}, "Keys"), button("✕", "Close (Esc)", () => this.dialog.close())),
      el("div", { class: "sheet-body" }, KEYS.map(([title, keys]) =>
        el("section", {}, el("h3", {}, title),
          el("dl", {}, keys.map(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)]))))),
    );
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    document.body.append(this.dialog);
  }

  toggle() {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }
}

/** Whether a key belongs to what has the focus: text that is typed, a list, a slider. */
function taken(event) {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches("textarea, select, input:not([type=range], [type=checkbox])")) return true;
  if (target.matches("[type=range]")) return /^(Arrow|Home|End|Page)/.test(event.key);
  if (target.matches("[role=tab]")) return /^(Arrow|Home|End)/.test(event.key) || event.key === " " || event.key === "Enter";
  if (target.matches("button, summary, [type=checkbox]")) return event.key === " " || event.key === "Enter";
  return false;
}
