// Puts the page together: the data, the tabs, the address, the keys.

/** The part of the address after `#`: the view and where one is in it. */
const address = {
  read() {
    let text = "";
    try {
      text = decodeURIComponent(location.hash.slice(1));
    } catch {
      // An address that was cut in the middle of a character names no view.
    }
    const [view, ...state] = text.split("/");
    return { view, state };
  },
  note(view, state) {
    if (!app || app.current !== view) return;
    const text = `#${[view, ...state].join("/").replace(/\/+$/, "")}`;
    if (text === location.hash) return;
    try {
      history.replaceState(null, "", text);
    } catch {
      // Some viewers of files forbid it; the page works without.
    }
  },
};

class App {
  constructor(page) {
    this.title = el("h1", {});
    this.about = el("p", { class: "about" });
    this.tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
    this.main = el("main", { id: "main" });
    this.sheet = new KeySheet();
    const header = el(
      "header",
      { class: "top" },
      el("div", { class: "heading" }, this.title, this.about),
      el("div", { class: "top-tools" },
        button(icon("theme"), "Light or dark (t)", () => theme.toggle(), { class: "round-button" }),
        button("?", "Keys (?)", () => this.sheet.toggle(), { class: "round-button" })),
      this.tabs,
    );
    this.live = page.live ? new LiveBar(page, (next) => this.show(next)) : null;
    document.body.prepend(header, ...(this.live ? [this.live.element] : []), this.main);
    document.body.append(el("div", { id: "announce", class: "unseen", "aria-live": "polite" }));
    document.body.classList.toggle("is-live", Boolean(page.live));
  }

  /** Takes a page: at first, and again whenever a live page has a new one. */
  show(page) {
    const before = this.current ? { view: this.current, state: this.made.get(this.current)?.state() ?? [] } : address.read();
    this.made?.get(this.current)?.leave?.();
    this.page = page;
    this.made = new Map();
    this.current = null;
    document.title = page.title || "cotangent";
    this.title.textContent = page.title;
    this.about.textContent = page.about;
    this.about.hidden = !page.about;
    this.offered = views.filter((view) => view.offered(page));
    refill(this.tabs, this.offered.map((view, i) =>
      el("button", {
        type: "button", role: "tab", id: `tab-${view.id}`, "aria-controls": `view-${view.id}`, title: `${view.label} (${i + 1})`,
        on: { click: () => this.go(view.id) },
      }, view.label)));
    this.tabs.hidden = this.offered.length < 2;
    refill(this.main, this.offered.map((view) =>
      el("div", { role: "tabpanel", id: `view-${view.id}`, "aria-labelledby": `tab-${view.id}`, class: "panel", hidden: true })));
    if (this.offered.length === 0) {
      refill(this.main, el("div", { class: "empty" }, el("p", {}, "There is nothing to show yet.")));
      return;
    }
    const wanted = this.offered.some((view) => view.id === before.view) ? before : { view: this.offered[0].id, state: [] };
    this.go(wanted.view, wanted.state);
  }

  go(id, state = []) {
    const view = this.offered.find((v) => v.id === id);
    if (!view) return;
    if (this.current !== id) this.made.get(this.current)?.leave?.();
    this.current = id;
    for (const tab of this.tabs.children) {
      const chosen = tab.id === `tab-${id}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    for (const panel of this.main.children) panel.hidden = panel.id !== `view-${id}`;
    if (!this.made.has(id)) {
      // A view is only made when it is looked at; its data may be large.
      const made = view.create(this.page);
      this.made.set(id, made);
      document.getElementById(`view-${id}`).append(made.root);
    }
    document.body.dataset.view = id;
    const made = this.made.get(id);
    made.enter(state);
    address.note(id, made.state());
  }

  listen() {
    this.tabs.addEventListener("keydown", (event) => {
      const ids = this.offered.map((v) => v.id);
      const at = ids.indexOf(this.current);
      const to = { ArrowRight: (at + 1) % ids.length, ArrowLeft: (at + ids.length - 1) % ids.length, Home: 0, End: ids.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.go(ids[to]);
      document.getElementById(`tab-${ids[to]}`).focus();
    });
    document.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("hashchange", () => {
      const { view, state } = address.read();
      this.go(view, state);
    });
  }

  key(event) {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && this.live) {
      event.preventDefault();
      this.live.ask();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || this.sheet.dialog.open || taken(event)) return;
    const view = this.offered[Number(event.key) - 1];
    if (event.key === "?") this.sheet.toggle();
    else if (event.key === "t") theme.toggle();
    else if (view && /^\d$/.test(event.key)) this.go(view.id);
    else if (!this.made.get(this.current)?.key(event)) return;
    event.preventDefault();
  }
}

let app = null;
theme.start();
const given = JSON.parse(document.getElementById("data").textContent);
app = new App(given);
app.show(given);
app.listen();
