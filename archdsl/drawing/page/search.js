"use strict";
// The search box: finds nodes and blocks by path, by op, or by a field and its value.

const MAX_RESULTS = 40;

class Search {
  /** `on`: matched(ids or null) while the user types, go(entry) when the user chooses one. */
  constructor(input, list, network, on) {
    Object.assign(this, { input, list, on, results: [], at: -1 });
    this.entries = namesOf(network).map((entry) => ({ ...entry, key: `${entry.path} ${entry.text}`.toLowerCase(), fields: ` ${entry.fields ?? ""}, ` }));
    this.fields = new Set(network.nodes.flatMap(({ fields }) => (fields ?? "").split(", ").map((field) => field.split(" ")[0])));
    input.addEventListener("input", () => this.#find());
    input.addEventListener("focus", () => this.#find());
    input.addEventListener("blur", () => this.#close());
    input.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const option = event.target.closest("[role=option]");
      if (option) this.#choose(Number(option.dataset.at));
    });
  }

  #find() {
    const words = this.#terms(this.input.value.toLowerCase().split(/\s+/).filter(Boolean));
    if (!words.length) return this.#close();
    const all = this.entries.filter(({ key, fields }) => words.every((word) => key.includes(word) || fields.includes(` ${word}${word.includes(" ") ? "," : " "}`)));
    // Exact paths come first, then paths that end with the first word.
    const rank = ({ path }) => (path.toLowerCase() === words[0] ? 0 : path.toLowerCase().endsWith(words[0]) ? 1 : 2);
    this.results = all.map((entry, number) => ({ entry, number })).sort((a, b) => rank(a.entry) - rank(b.entry) || a.number - b.number)
      .slice(0, MAX_RESULTS).map(({ entry }) => entry);
    this.at = this.results.length ? 0 : -1;
    this.#show(all.length);
    this.on.matched(all.length ? all.map(({ id }) => id) : null);
  }

  /** The words to find; the name of a field and its value (`stride 2`) are one. */
  #terms(words) {
    return words.flatMap((word, n) => {
      if (n && this.fields.has(words[n - 1])) return [];
      return [this.fields.has(word) && n + 1 < words.length ? `${word} ${words[n + 1]}` : word];
    });
  }

  #show(count) {
    const options = this.results.map((entry, at) => html("li", { role: "option", id: `result-${at}`, "data-at": at, "aria-selected": at === this.at },
      html("span", { class: "path" }, entry.path), html("span", { class: "tail" }, entry.text)));
    if (!count) options.push(html("li", { class: "none" }, "no node or block matches"));
    if (count > this.results.length) options.push(html("li", { class: "none" }, `and ${inFull(count - this.results.length)} more`));
    this.list.replaceChildren(...options);
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.#point();
  }

  #point() {
    for (const option of this.list.querySelectorAll("[role=option]")) {
      const here = Number(option.dataset.at) === this.at;
      option.setAttribute("aria-selected", String(here));
      if (here) option.scrollIntoView({ block: "nearest" });
    }
    if (this.at < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `result-${this.at}`);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.results.length) {
      this.at = (this.at + step + this.results.length) % this.results.length;
      this.#point();
    } else if (event.key === "Enter" && this.at >= 0) this.#choose(this.at);
    else if (event.key === "Escape") {
      if (this.input.value) this.input.value = "";
      else this.input.blur();
      this.#close();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #choose(at) {
    const entry = this.results[at];
    this.input.value = "";
    this.#close();
    this.on.go(entry);
  }

  #close() {
    this.results = [];
    this.at = -1;
    this.list.hidden = true;
    this.list.replaceChildren();
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    this.on.matched(null);
  }
}
