// The view that steps through a computation, forward and then backward.

views.push({
  id: "walk",
  label: "Step through",
  offered: (page) => list(page.walks).length > 0,
  create(page) {
    let which = 0;
    let at = 0;
    let timer = null;
    let speed = 1;
    let walk = page.walks[0];
    const graph = new GraphCanvas({ select: (node) => chosen(node) });
    const side = el("div", { class: "side walk-side", tabindex: "0", role: "region", "aria-label": "This step" });
    const slider = el("input", { type: "range", min: 0, step: 1, class: "timeline", "aria-label": "Step" });
    const counter = el("span", { class: "count figure" });
    const play = button(icon("play"), "Play (space)", () => toggle(), { class: "play" });
    const names = page.walks.map((w) => w.name);
    const pick = names.length > 3 ? chooser("Which computation", names, 0, (i) => open(i)) : null;
    const picks = names.length > 1 && !pick
      ? el("div", { class: "picks", role: "group", "aria-label": "Which computation" },
          names.map((name, i) => button(name, `Show ${name}`, () => open(i), { class: "pick" })))
      : null;
    const pace = chooser("Speed", ["½×", "1×", "2×", "4×"], 1, (i) => {
      speed = [0.5, 1, 2, 4][i];
      if (timer) start();
    });
    const bar = el(
      "div",
      { class: "bar" },
      pick ?? picks,
      el(
        "div",
        { class: "transport" },
        button(icon("first"), "To the beginning (Home)", () => go(0)),
        button(icon("back"), "One step back (←)", () => go(at - 1)),
        play,
        button(icon("on"), "One step on (→)", () => go(at + 1)),
        button(icon("last"), "To the end (End)", () => go(last())),
        pace,
      ),
    );
    const track = el("div", { class: "track" }, slider, counter);
    const root = el("div", { class: "view split walking" }, bar, track, graph.element, side);

    const last = () => walk.steps.length + 1;

    function open(i) {
      stop();
      which = clamp(i, 0, page.walks.length - 1);
      walk = page.walks[which];
      if (pick) pick.value = String(which);
      picks?.querySelectorAll("button").forEach((b, k) => b.setAttribute("aria-pressed", String(k === which)));
      const picture = page.pictures[walk.picture];
      graph.element.hidden = !picture;
      if (picture) graph.show(picture);
      slider.max = String(last());
      // The place on the slider where the way back begins.
      const forward = walk.steps.filter((s) => !s.backward).length;
      const turn = forward === walk.steps.length ? 100 : (100 * (forward + 0.5)) / last();
      slider.style.setProperty("--turn", `${turn.toFixed(2)}%`);
      at = 0;
      draw(true);
    }

    function go(to) {
      const next = clamp(to, 0, last());
      if (next === at) return;
      at = next;
      draw();
    }

    function draw(sudden) {
      const step = walk.steps[at - 1];
      slider.value = String(at);
      const words = at === 0 ? "beginning" : at === last() ? "result" : step.backward ? "backward" : "forward";
      slider.setAttribute("aria-valuetext", `${at} of ${last()}, ${words}${step ? `: ${step.formula}` : ""}`);
      counter.textContent = `${at} / ${last()}`;
      root.dataset.phase = words;
      refill(side, stepPanel(walk, at, step, (id) => graph.picture && graph.reveal(id)));
      side.scrollTop = 0;
      if (graph.picture) {
        graph.selected = null;
        graph.path = null;
        graph.mark(step ? { id: step.node, backward: step.backward } : null, marks(walk, at));
        if (step) graph.reveal(step.node, { sudden });
      }
      address.note("walk", [which, at]);
      if (at === last()) stop();
    }

    /** Choosing a box goes to the step that runs it, on the way that one is on. */
    function chosen(node) {
      if (!node) return;
      const back = walk.steps[at - 1]?.backward ?? false;
      const steps = walk.steps.map((s, i) => [s, i]).filter(([s]) => s.node === node.id);
      const found = steps.find(([s]) => s.backward === back) ?? steps[0];
      if (found) go(found[1] + 1);
    }

    function toggle() {
      if (timer) stop();
      else {
        if (at === last()) at = 0;
        start();
        go(at + 1);
      }
    }

    function start() {
      clearInterval(timer);
      timer = setInterval(() => go(at + 1), 1100 / speed);
      refill(play, icon("pause"));
      play.setAttribute("aria-label", "Pause (space)");
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      refill(play, icon("play"));
      play.setAttribute("aria-label", "Play (space)");
    }

    slider.addEventListener("input", () => go(Number(slider.value)));
    graph.on.arrows = true;
    graph.canvas.setAttribute("aria-label", "Graph with the values of this step");
    open(0);
    return {
      root,
      graph,
      enter([i, step] = []) {
        const asked = indexOf(i, page.walks.length);
        if (asked !== undefined && asked !== which) open(asked);
        if (indexOf(step) !== undefined) go(indexOf(step));
        if (graph.picture) graph.resize();
      },
      leave: stop,
      state: () => [which, at],
      key(event) {
        if (event.key === "ArrowRight" || event.key === "n") go(at + 1);
        else if (event.key === "ArrowLeft" || event.key === "p") go(at - 1);
        else if (event.key === "Home") go(0);
        else if (event.key === "End") go(last());
        else if (event.key === " ") toggle();
        else if (["f", "+", "-", "=", "u", "c"].includes(event.key)) graph.key(event);
        else return false;
        return true;
      },
    };
  },
});

/** The values and cotangents that are known after `at` steps, for the boxes of the graph. */
function marks(walk, at) {
  const out = new Map();
  const put = (id, key, value) => {
    if (!value) return;
    const badge = out.get(id) ?? {};
    badge[key] = { text: brief(value), numbers: list(value.shape).length > 0 ? value.numbers : null };
    out.set(id, badge);
  };
  walk.steps.slice(0, at).forEach((step) => {
    if (step.backward) {
      put(step.node, "cotangent", step.value);
      for (const o of step.operands) put(o.node, "cotangent", o.sum ?? o.product);
    } else {
      for (const o of step.operands) put(o.node, "value", o.value);
      put(step.node, "value", step.value);
    }
  });
  return out;
}

function stepPanel(walk, at, step, go) {
  if (at === 0) {
    return el(
      "div",
      { class: "step" },
      phase("Beginning", "forward"),
      el("h2", {}, walk.name),
      el("p", {}, walk.inputs.length > 0 ? "These go in." : "Nothing goes in."),
      named(walk.inputs),
    );
  }
  if (!step) {
    return el(
      "div",
      { class: "step", id: "end" },
      phase("End", "done"),
      el("h2", {}, walk.results.length === 1 ? "Result" : "Results"),
      named(walk.results, "results"),
      walk.gradients.length > 0
        ? [el("h2", {}, walk.gradients.length === 1 ? "Gradient" : "Gradients"), named(walk.gradients, "gradients")]
        : null,
    );
  }
  return step.backward ? backwardPanel(step, go) : forwardPanel(step, go);
}

function phase(text, kind) {
  return el("p", { class: `phase ${kind}` }, text);
}

function named(values, kind) {
  return el(
    "dl",
    { class: "named", "data-kind": kind },
    values.map((n) => [
      el("dt", {}, el("code", {}, n.name), el("span", { class: "faint" }, n.value.type)),
      el("dd", {}, showValue(n.value)),
    ]),
  );
}

function variable(id, name, go) {
  return el(
    "button",
    { type: "button", class: "link inline", title: `Find ${name} in the graph`, on: { click: () => go(id) } },
    name,
  );
}

function forwardPanel(step, go) {
  return el(
    "div",
    { class: "step" },
    phase("Forward", "forward"),
    el("p", { class: "formula" }, step.formula),
    step.operands.length > 0 ? el("h3", {}, "Reads") : null,
    el(
      "dl",
      { class: "named" },
      step.operands.map((o) => [
        el("dt", {}, variable(o.node, o.variable, go), el("span", { class: "faint" }, o.value?.type ?? "")),
        el("dd", {}, showValue(o.value)),
      ]),
    ),
    el("h3", {}, "Gives"),
    el(
      "dl",
      { class: "named" },
      el("dt", {}, variable(step.node, step.variable, go), el("span", { class: "faint" }, step.value.type)),
      el("dd", { class: "outcome" }, showValue(step.value)),
    ),
  );
}

function backwardPanel(step, go) {
  return el(
    "div",
    { class: "step" },
    phase("Backward", "backward"),
    el("p", { class: "formula" }, step.formula),
    el("h3", {}, "The cotangent that arrives at ", variable(step.node, step.variable, go)),
    el("div", { class: "arriving" }, showValue(step.value)),
    step.operands.map((o) =>
      el(
        "section",
        { class: "way" },
        el("h3", {}, "To ", variable(o.node, o.variable, go)),
        o.partial ? el("p", { class: "partial" }, o.partial) : null,
        o.jacobian
          ? [
              el("p", { class: "caption" }, isOne(o.jacobian)
                ? "local derivative × what arrives = what is added"
                : "local Jacobian, transposed × what arrives = what is added"),
              chainProduct(o.jacobian, step.value, o.product),
            ]
          : null,
        o.product && (!o.jacobian || !isOne(o.jacobian))
          ? [el("p", { class: "caption" }, "added to its cotangent"), showValue(o.product)]
          : null,
        o.sum
          ? [el("p", { class: "caption" }, "paths meet here; the sum so far"), el("div", { class: "sum" }, showValue(o.sum))]
          : null,
      ),
    ),
  );
}

function isOne(jacobian) {
  return list(jacobian.shape).reduce((a, b) => a * b, 1) === 1;
}
