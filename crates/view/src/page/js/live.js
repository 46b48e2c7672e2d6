// The bar of a live page: a function to be typed, its inputs, and what to differentiate. Every
// change is sent to the server that gave the page, which answers with a new page as JSON.

const WAIT = 350;

class LiveBar {
  /** `renew(page)` is called with every page that comes back. */
  constructor(page, renew) {
    this.live = page.live;
    this.renew = renew;
    this.text = el("textarea", {
      id: "live-text", rows: 3, spellcheck: "false", autocapitalize: "off", autocomplete: "off",
      "aria-label": "Function", "aria-describedby": "live-fault",
      maxlength: this.live.characters > 0 ? this.live.characters : null,
    });
    this.inputs = el("div", { class: "live-inputs" });
    this.mode = el("select", { "aria-label": "Mode" });
    this.modeAbout = el("span", { class: "faint" });
    this.wrt = el("div", { class: "live-wrt", role: "group", "aria-label": "Differentiate with respect to" });
    this.fault = el("div", { class: "live-fault", id: "live-fault", role: "alert" });
    this.state = el("span", { class: "live-state faint", role: "status" });
    this.derivative = el("pre", { class: "code", tabindex: "0", "aria-label": "derivative" });
    this.derivativeBox = el("details", { class: "live-derivative" }, el("summary", {}, "The derivative as text"), this.derivative);
    const examples = list(this.live.examples);
    this.examples = examples.length > 0
      ? el("div", { class: "picks", role: "group", "aria-label": "Examples" },
          examples.map((e) => button(e.name, `Show ${e.name}`, () => this.example(e), { class: "pick" })))
      : null;
    this.element = el(
      "section",
      { class: "live", "aria-label": "Your function" },
      this.examples,
      el("div", { class: "live-grid" },
        el("div", { class: "live-edit" }, this.text, this.fault),
        el("div", { class: "live-controls" }, this.inputs,
          el("div", { class: "live-row" }, el("label", {}, el("span", { class: "field-name" }, "mode"), this.mode), this.modeAbout),
          this.wrt)),
      el("div", { class: "live-foot" }, this.state,
        el("span", { class: "faint" }, this.limits())),
      this.derivativeBox,
    );
    this.text.addEventListener("input", () => this.soon());
    this.mode.addEventListener("change", () => this.ask());
    this.text.value = this.live.text;
    this.refresh(this.live);
  }

  limits() {
    const { seconds: time, bytes: memory } = this.live;
    return [time > 0 ? `at most ${num(time)} s` : "", memory > 0 ? bytes(memory) : "", "Ctrl+Enter runs at once"]
      .filter(Boolean).join(" · ");
  }

  /** Fields for what the server found in the text. What the reader is typing stays untouched. */
  refresh(live) {
    this.live = live;
    const names = live.inputs.map((i) => `${i.name} ${i.type}`).join("\n");
    if (names !== this.names) {
      this.names = names;
      refill(this.inputs, live.inputs.map((input) =>
        el("label", {},
          el("span", { class: "field-name" }, el("code", {}, input.name), " ", el("span", { class: "faint" }, input.type)),
          el("input", { type: "text", value: input.text, "data-name": input.name, spellcheck: "false", autocomplete: "off",
            on: { input: () => this.soon() } }))));
      refill(this.wrt, el("span", { class: "field-name" }, "with respect to"), live.inputs.map((input) =>
        el("label", { class: "check" },
          el("input", { type: "checkbox", checked: live.wrt.includes(input.name), "data-name": input.name,
            on: { change: () => this.ask() } }), el("code", {}, input.name))));
    }
    const modes = live.modes.map((m) => m.name).join("\n");
    if (modes !== this.modes) {
      this.modes = modes;
      refill(this.mode, live.modes.map((m) => el("option", { value: m.name }, m.name)));
    }
    this.mode.value = live.mode;
    this.modeAbout.textContent = live.modes.find((m) => m.name === live.mode)?.about ?? "";
    this.derivativeBox.hidden = !live.derivative;
    this.derivative.textContent = live.derivative;
  }

  example(example) {
    this.text.value = example.text;
    // Values that belonged to another function would be refused.
    this.names = null;
    refill(this.inputs);
    refill(this.wrt);
    this.ask({ text: example.text, inputs: [], wrt: [], mode: this.mode.value });
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT);
  }

  /** What is asked of the server: the text, the inputs as they are typed, wrt and mode. */
  question() {
    const fields = [...this.inputs.querySelectorAll("input")];
    const checks = [...this.wrt.querySelectorAll("input")];
    return {
      text: this.text.value,
      inputs: fields.map((f) => ({ name: f.dataset.name, type: "", text: f.value })),
      wrt: checks.filter((c) => c.checked).map((c) => c.dataset.name),
      mode: this.mode.value,
    };
  }

  async ask(question = this.question()) {
    clearTimeout(this.timer);
    // Only the newest question counts.
    this.flight?.abort();
    const flight = new AbortController();
    this.flight = flight;
    this.state.textContent = "…";
    const started = performance.now();
    try {
      const reply = await fetch("/api/show", {
        method: "POST",
        headers: { "content-type": "application/json", "x-token": this.live.token },
        body: JSON.stringify(question),
        signal: flight.signal,
        cache: "no-store",
        credentials: "omit",
      });
      const answer = await reply.json();
      if (flight !== this.flight) return;
      if (answer.error) this.refuse(answer.error, question);
      else {
        this.refuse(null);
        if (answer.live) this.refresh({ ...answer.live, token: this.live.token });
        this.renew(answer);
        this.state.textContent = `answered in ${seconds((performance.now() - started) / 1000)}`;
      }
    } catch (error) {
      if (flight !== this.flight || error.name === "AbortError") return;
      this.state.textContent = "";
      this.refuse({ message: "The server does not answer. Is it still running?" }, question);
    }
  }

  /** A message below the text; if it has a place, with that line and a caret under the character. */
  refuse(error, question) {
    this.text.toggleAttribute("aria-invalid", false);
    for (const field of this.inputs.querySelectorAll("input")) field.removeAttribute("aria-invalid");
    if (!error) {
      refill(this.fault);
      return;
    }
    this.state.textContent = "";
    const field = error.input
      ? [...this.inputs.querySelectorAll("input")].find((f) => f.dataset.name === error.input) : null;
    (field ?? this.text).setAttribute("aria-invalid", "true");
    const line = error.line > 0 ? question.text.split("\n")[error.line - 1] : undefined;
    const at = line === undefined ? 0 : clamp((error.column || 1) - 1, 0, [...line].length);
    // Tabs stay tabs, so that the caret stands under its character.
    const before = line === undefined ? "" : [...line].slice(0, at).map((c) => (c === "\t" ? c : " ")).join("");
    refill(this.fault,
      line === undefined ? null : el("pre", { class: "caret", "aria-hidden": "true" }, `${line}\n${before}^`),
      el("p", {}, line === undefined ? "" : `Line ${error.line}, column ${error.column || 1}: `, error.message));
  }
}
