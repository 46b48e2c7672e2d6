// The view of a graph: search, choice among graphs, and what is known of the chosen node.

views.push({
  id: "graph",
  label: "Graph",
  offered: (page) => list(page.pictures).some((p) => list(p.groups).length > 0),
  create(page) {
    let which = 0;
    const graph = new GraphCanvas({ select: (node) => show(node) });
    const side = el("div", { class: "side", tabindex: "0", role: "region", "aria-label": "Chosen node" });
    const found = el("ul", { class: "found", role: "listbox", id: "found", hidden: true });
    const search = el("input", {
      type: "search",
      placeholder: "Search op, name, type, place",
      "aria-label": "Search the graph",
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": "found",
      autocomplete: "off",
      spellcheck: "false",
    });
    const count = el("span", { class: "faint count" });
    const pick = page.pictures.length > 1
      ? chooser("Which graph", page.pictures.map((p) => p.name), 0, (i) => open(i))
      : null;
    const bar = el("div", { class: "bar" }, pick, el("div", { class: "search" }, search, found), count);
    const root = el("div", { class: "view split" }, bar, graph.element, side);

    function open(i) {
      which = clamp(i, 0, page.pictures.length - 1);
      if (pick) pick.value = String(which);
      graph.show(page.pictures[which]);
      search.value = "";
      matches = [];
      offer();
      count.textContent = plural(graph.index.where.size, "box", "boxes");
      show(null);
    }

    function show(node) {
      refill(side, nodeDetails(graph.index, node, (id) => graph.select(id, { reveal: true })));
      side.scrollTop = 0;
      if (node) announce(hint(node));
      address.note("graph", [which, node ? node.id : ""]);
    }

    // The search looks at all nodes, also at those inside of folded groups.
    let matches = [];
    let at = 0;
    function look() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      matches = [];
      if (words.length > 0) {
        for (const group of graph.picture.groups) {
          for (const node of group.nodes) {
            const text = `${node.label} ${node.op} ${node.variable} ${node.type} ${node.place ?? ""}`.toLowerCase();
            if (words.every((word) => text.includes(word))) matches.push(node);
          }
        }
        // An exact name comes before a part of one, and that before a type or a place.
        const rank = ({ variable, op, label }) => {
          const names = [variable, op, label].map((name) => name.toLowerCase());
          return names.includes(words[0]) ? 0 : names.some((name) => name.includes(words[0])) ? 1 : 2;
        };
        const ranked = matches.map((node) => [rank(node), node]);
        matches = ranked.sort((a, b) => a[0] - b[0]).map(([, node]) => node);
      }
      at = 0;
      offer();
    }

    function offer() {
      const shown = matches.slice(0, 12);
      found.hidden = search.value.trim() === "" || document.activeElement !== search;
      search.setAttribute("aria-expanded", String(!found.hidden));
      refill(
        found,
        shown.map((node, i) =>
          el(
            "li",
            {
              role: "option", id: `found-${i}`, "aria-selected": String(i === at),
              on: { pointerdown: (event) => { event.preventDefault(); at = i; jump(); } },
            },
            el("span", { class: "link-name" }, node.label || node.op),
            el("span", { class: "faint" }, [node.variable, node.type, node.place].filter(Boolean).join(" · ")),
          ),
        ),
        matches.length === 0 ? el("li", { class: "faint" }, "Nothing found.") : null,
        matches.length > shown.length
          ? el("li", { class: "faint" }, `${whole(matches.length)} found; Enter goes on to the next`)
          : null,
      );
      if (at < shown.length) search.setAttribute("aria-activedescendant", `found-${at}`);
      else search.removeAttribute("aria-activedescendant");
    }

    function jump() {
      const node = matches[at];
      if (!node) return;
      graph.select(node.id, { reveal: true, near: true });
      announce(`${at + 1} of ${matches.length}: ${hint(node)}`);
    }

    search.addEventListener("input", look);
    search.addEventListener("focus", offer);
    search.addEventListener("blur", offer);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        jump();
        at = matches.length > 0 ? (at + 1) % matches.length : 0;
      } else if (event.key === "ArrowDown") at = Math.min(at + 1, Math.max(matches.length - 1, 0));
      else if (event.key === "ArrowUp") at = Math.max(at - 1, 0);
      else if (event.key === "Escape") {
        search.value = "";
        look();
        graph.canvas.focus();
      } else return;
      event.preventDefault();
      offer();
    });

    open(0);
    return {
      root,
      graph,
      /** `which` graph and, if known, the node to choose in it. */
      enter([i, id] = []) {
        const asked = indexOf(i, page.pictures.length);
        if (asked !== undefined && asked !== which) open(asked);
        graph.resize();
        if (indexOf(id) !== undefined) graph.select(indexOf(id), { reveal: true, sudden: true });
      },
      state: () => [which, graph.selected ?? ""],
      key(event) {
        if (event.key === "/") search.focus();
        else if (["f", "+", "-", "=", "u", "c"].includes(event.key)) graph.key(event);
        else return false;
        return true;
      },
    };
  },
});
