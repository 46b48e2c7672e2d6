// The view of the compiler's passes: what each leaves of the graph, and which lines it changed.

views.push({
  id: "passes",
  label: "Passes",
  offered: (page) => list(page.passes).length > 0,
  create(page) {
    const { passes } = page;
    let at = 0;
    let shape = "lines";
    let graph = null;
    const most = {
      equations: Math.max(...passes.map((p) => p.equations), 1),
      operations: Math.max(...passes.map((p) => p.operations), 1),
    };
    const rail = el("div", { class: "rail", role: "listbox", "aria-label": "Passes", tabindex: "0" });
    const head = el("div", { class: "pass-head" });
    const body = el("div", { class: "pass-body" });
    const root = el("div", { class: "view passes" }, rail, el("div", { class: "pass" }, head, body));
    rail.addEventListener("keydown", (event) => {
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: passes.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      go(to);
    });

    refill(rail, passes.map((pass, i) => {
      const before = i > 0 ? passes[i - 1] : null;
      const bar = (key, name) => el("span", { class: "pass-figure" },
        el("span", { class: "meter", "aria-hidden": "true" },
          el("span", { class: `meter-bar ${key}`, css: { width: `${(100 * pass[key]) / most[key]}%` } })),
        el("span", { class: "figure" }, key === "equations" ? whole(pass[key]) : si(pass[key], "")),
        el("span", { class: "faint" }, name),
        before ? change(pass[key] - before[key]) : null);
      return el("div", { class: "pass-item", role: "option", id: `pass-${i}`, on: { click: () => go(i) } },
        el("span", { class: "pass-name" }, pass.name), bar("equations", "eq."), bar("operations", "ops"));
    }));

    function go(to) {
      at = clamp(to, 0, passes.length - 1);
      draw();
      rail.children[at].scrollIntoView({ block: "nearest" });
      announce(`${passes[at].name}: ${passes[at].about}`);
    }

    function draw() {
      const pass = passes[at];
      [...rail.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
      rail.setAttribute("aria-activedescendant", `pass-${at}`);
      const picture = page.pictures[pass.picture ?? -1];
      if (!picture) shape = "lines";
      const count = (kind) => pass.lines.filter((l) => l.kind === kind).length;
      refill(
        head,
        el("h2", {}, pass.name),
        el("p", {}, pass.about),
        el("p", { class: "faint" }, `${plural(count("removed"), "line")} removed, ${whole(count("added"))} added`),
        picture
          ? el("div", { class: "picks", role: "group", "aria-label": "How to show the graph" },
              ["lines", "graph"].map((name) => button(name === "lines" ? "Changed lines" : "Graph after it",
                `Show ${name}`, () => { shape = name; draw(); head.querySelector("[aria-pressed=true]")?.focus(); },
                { class: "pick", "aria-pressed": String(shape === name) })))
          : null,
      );
      body.classList.toggle("with-graph", shape === "graph");
      if (shape === "graph") {
        graph ??= new GraphCanvas();
        refill(body, graph.element);
        graph.show(picture);
      } else refill(body, diff(pass.lines));
      address.note("passes", [at]);
    }

    draw();
    return {
      root,
      enter([i] = []) {
        const asked = indexOf(i, page.passes.length);
        if (asked !== undefined && asked !== at) go(asked);
        graph?.resize();
      },
      state: () => [at],
      key(event) {
        if (event.key === "ArrowDown" || event.key === "n") go(at + 1);
        else if (event.key === "ArrowUp" || event.key === "p") go(at - 1);
        else return false;
        return true;
      },
    };
  },
});

function change(by) {
  if (by === 0) return el("span", { class: "change" }, "");
  return el("span", { class: by < 0 ? "change less" : "change more" }, by < 0 ? `−${si(-by, "")}` : `+${si(by, "")}`);
}

/** Lines with signs before them; long runs of unchanged ones are folded. */
function diff(lines) {
  if (lines.length === 0) return el("p", { class: "faint" }, "No lines were kept of this pass.");
  const around = 3;
  const near = new Uint8Array(lines.length);
  lines.forEach((line, i) => {
    if (line.kind === "same") return;
    for (let k = Math.max(0, i - around); k <= Math.min(lines.length - 1, i + around); k++) near[k] = 1;
  });
  const changed = near.some((n) => n === 1);
  const out = [];
  for (let i = 0; i < lines.length; ) {
    let end = i;
    while (end < lines.length && !near[end]) end += 1;
    // Folding two lines would save nothing.
    if (end - i > 2 && (changed || lines.length > 40)) {
      const run = lines.slice(i, end);
      const more = el("button", { type: "button", class: "more",
        on: { click: () => more.replaceWith(...run.map(diffLine)) } }, `${whole(run.length)} lines stay the same`);
      out.push(more);
      i = end;
      continue;
    }
    const stop = Math.max(end, i + 1);
    for (; i < stop; i++) out.push(diffLine(lines[i]));
  }
  return el("div", { class: "diff", role: "region", "aria-label": "Changed lines", tabindex: "0" },
    changed ? null : el("p", { class: "faint" }, "This pass changed nothing."), out);
}

function diffLine(line) {
  const signs = { added: ["+", "added"], removed: ["−", "removed"] };
  const [sign, words] = signs[line.kind] ?? [" ", ""];
  return el("div", { class: `line ${words}` }, el("span", { class: "sign", "aria-label": words || null }, sign), line.text);
}
