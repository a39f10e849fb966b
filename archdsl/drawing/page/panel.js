"use strict";
// The panel: the sliders, the totals, the memory chart, and the details of the selected item.

const MAX_BATCH_POWER = 10;
const MAX_SIZE = 16384;
const MAX_BATCH = 65536;
const MAX_TENSORS = 12;
const MAX_COPIES = 60;
const LEADING = 5;
const CHART = { width: 320, height: 64, columns: 160 };

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const bytes = (count) => `${inShort(count)}B`;

// --- sliders ---------------------------------------------------------------------------------------------

/** Controls for the input's sizes and the batch. They call `change` after each change. */
class Sliders {
  constructor(place, { sizes, words }, state, change) {
    Object.assign(this, { place, sizes, words, state, change, rows: new Map() });
    const [first] = sizes;
    const equal = (size) => ["default", "minimum", "step", "pinned"].every((key) => size[key] === first[key]);
    const alike = Boolean(words.equal) && sizes.length > 1 && sizes.every(equal);
    this.linked = alike && !first.pinned;
    if (alike) this.#size("size", "input size", first, sizes.map((size) => size.name));
    else for (const size of sizes) this.#size(size.name, size.name, size, [size.name]);
    if (this.linked) this.#separately();
    this.#batch();
    this.reset = html("button", { type: "button", class: "quiet", onclick: () => this.#reset() }, "Reset");
    place.append(this.reset);
    this.show();
  }

  #size(id, label, size, names) {
    const most = legalSize({ ...size, pinned: "" }, Math.max(size.default * 4, 512));
    const set = (wanted) => {
      const legal = legalSize(size, Math.min(wanted, Math.max(MAX_SIZE, size.default)));
      for (const name of names) this.state.values[name] = legal;
      this.#changed();
    };
    const about = size.pinned
      ? `fixed at ${size.default}: ${size.pinned}`
      : `${size.minimum} or more${size.step > 1 ? `, in steps of ${size.step}` : ""}`;
    this.#row(id, label, { min: size.minimum, max: most, step: size.step, disabled: Boolean(size.pinned) }, set, () => this.state.values[names[0]], about);
  }

  #separately() {
    const box = html("input", { type: "checkbox", id: "square", checked: true });
    box.addEventListener("change", () => {
      for (const row of [...this.rows.keys()].filter((key) => key !== "batch")) this.rows.get(row).element.remove();
      for (const key of [...this.rows.keys()]) if (key !== "batch") this.rows.delete(key);
      const [first] = this.sizes;
      if (box.checked) {
        for (const size of this.sizes) this.state.values[size.name] = this.state.values[first.name];
        this.#size("size", "input size", first, this.sizes.map((size) => size.name));
      } else for (const size of this.sizes) this.#size(size.name, size.name, size, [size.name]);
      this.#changed();
    });
    this.square = box;
    this.place.append(html("label", { class: "check", for: "square" }, box, `equal ${this.words.equal}`));
  }

  #batch() {
    const set = (wanted) => {
      this.state.batch = clamp(Math.round(wanted) || 1, 1, MAX_BATCH);
      this.#changed();
    };
    const powers = { from: (power) => 2 ** power, to: (batch) => Math.round(Math.log2(batch)) };
    this.#row("batch", "batch", { min: 0, max: MAX_BATCH_POWER, step: 1, powers }, set, () => this.state.batch, `number of ${this.words.input}s`);
  }

  #row(id, label, { min, max, step, disabled, powers }, set, get, about) {
    const slider = html("input", { type: "range", id: `${id}-slider`, min, max, step, disabled, "aria-label": label });
    const number = html("input", {
      type: "number", id: `${id}-number`, min: powers ? 1 : min, step: powers ? 1 : step, disabled, "aria-label": `${label}, exactly`, "aria-describedby": `${id}-about`,
    });
    slider.addEventListener("input", () => set(powers ? powers.from(Number(slider.value)) : Number(slider.value)));
    number.addEventListener("change", () => set(Number(number.value)));
    const element = html("div", { class: "slider" }, html("label", { for: `${id}-slider` }, label), slider, number, html("p", { class: "hint", id: `${id}-about` }, about));
    const show = () => {
      slider.value = powers ? powers.to(get()) : get();
      slider.setAttribute("aria-valuetext", String(get()));
      number.value = get();
    };
    const before = id === "batch" ? null : this.place.querySelector(".check, .slider.batch");
    if (id === "batch") element.classList.add("batch");
    this.place.insertBefore(element, before);
    this.rows.set(id, { element, show });
  }

  #reset() {
    for (const size of this.sizes) this.state.values[size.name] = size.default;
    this.state.batch = 1;
    this.#changed();
  }

  #changed() {
    this.show();
    this.change();
  }

  /** Shows the values of the state. */
  show() {
    const values = new Set(this.sizes.map((size) => this.state.values[size.name]));
    if (this.square?.checked && values.size > 1) {
      this.square.checked = false;
      this.square.dispatchEvent(new Event("change"));
    }
    for (const { show } of this.rows.values()) show();
    const usual = this.state.batch === 1 && this.sizes.every((size) => this.state.values[size.name] === size.default);
    this.reset.hidden = usual;
  }
}

// --- totals ----------------------------------------------------------------------------------------------

/** The totals of the network, each with an id for programs that read the page. */
function showTotals(place, network, counts, batch, go) {
  const { params, buffers, aux, weights, depth } = network.totals;
  const { macs, activations, memory, stored } = counts.totals;
  const peak = network.nodes[counts.peak].path;
  const figure = (id, label, exact, text, extra) => html("div", { class: "figure" },
    html("dt", {}, label),
    html("dd", {}, html("data", { id, value: exact, title: `${inFull(exact)}` }, text), extra ? html("small", {}, extra) : ""));
  const others = [BigInt(buffers) ? `${inFull(buffers)} buffers` : "", BigInt(aux) ? `${inShort(aux).trim()} in auxiliary heads` : ""];
  place.replaceChildren(
    figure("params", "parameters", params, inShort(params).trim(), others.filter(Boolean).join(", ")),
    figure("macs", "MACs", macs, inShort(macs).trim(), `${inShort(2n * macs).trim()}FLOPs`.replace(/(\d)FLOPs/, "$1 FLOPs")),
    figure("weights", "weights", weights, bytes(weights), `${depth} layer${depth === 1 ? "" : "s"} deep`),
    figure("memory", "peak memory", memory, bytes(memory), html("button", { type: "button", class: "link", id: "peak", title: peak, onclick: () => go(counts.peak) }, `at ${peak.length > 30 ? `\u2026${peak.slice(-28)}` : peak}`)),
    figure("activations", "activations", activations, inShort(activations).trim(), batch > 1 ? `for ${inFull(batch)} ${network.words.input}s` : `for one ${network.words.input}`),
    ...(stored ? [figure("stored", "stored in training", stored, bytes(stored), "for the backward pass")] : []),
  );
}

/** The chart of the bytes alive while each node is computed, in running order from left to right. */
function showMemory(place, network, counts, member, go) {
  const runs = network.nodes.map((_, id) => id).filter((id) => !idle(network.nodes[id]));
  const columns = Math.min(runs.length, CHART.columns);
  const wide = CHART.width / columns;
  const most = Number(counts.totals.memory) || 1;
  const columnOf = (place) => Math.floor((place * columns) / runs.length);
  const heights = new Array(columns).fill(0);
  runs.forEach((id, at) => (heights[columnOf(at)] = Math.max(heights[columnOf(at)], Number(counts.alive[id]) / most)));
  const line = heights.map((part, at) => `V${round(CHART.height - part * (CHART.height - 4))}H${round((at + 1) * wide)}`).join("");
  const chart = svg("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (member) {
    const inside = runs.map((id, at) => [id, at]).filter(([id]) => member.ranges.some(([start, stop]) => id >= start && id < stop));
    if (inside.length) {
      const [from, to] = [columnOf(inside[0][1]), columnOf(inside.at(-1)[1]) + 1];
      chart.append(svg("rect", { class: "here", x: round(from * wide), y: 0, width: round((to - from) * wide), height: CHART.height }));
    }
  }
  chart.append(svg("path", { class: "area", d: `M0 ${CHART.height}${line}V${CHART.height}Z` }));
  chart.addEventListener("click", (event) => {
    const { left, width } = chart.getBoundingClientRect();
    go(runs[clamp(Math.floor(((event.clientX - left) / width) * runs.length), 0, runs.length - 1)]);
  });
  place.replaceChildren(chart);
}

// --- what is selected ------------------------------------------------------------------------------------

/** Figures of a member: sums over its nodes, its inputs and its output. */
function figuresOf(network, counts, member) {
  const ids = member.ranges.flatMap(([start, stop]) => Array.from({ length: stop - start }, (_, n) => start + n));
  const inside = new Set(ids);
  const [start, stop] = member.ranges[0];
  const inputs = [...new Set(ids.filter((id) => id >= start && id < stop).flatMap((id) => network.nodes[id].inputs ?? []))].filter((id) => !inside.has(id));
  const last = ids.at(-1);
  // Inside an expanded run, the first copy and the last see areas of different sizes.
  const fields = [member.ranges[member.count - 1][1] - 1, last].map((id) => fieldText(network, network.nodes[id]));
  const of = (what) => sum(ids.map((id) => BigInt(network.nodes[id][what] ?? 0)));
  return {
    ids, inputs, last, params: of("params"), buffers: of("buffers"), macs: sum(ids.map((id) => counts.macs[id])), stored: sum(ids.map((id) => counts.stored[id])),
    alive: ids.reduce((most, id) => (counts.alive[id] > most ? counts.alive[id] : most), 0n), field: [...new Set(fields)].join(" \u2026 "),
  };
}

function fieldText(network, { field }) {
  if (!field) return `the whole ${network.words.input}`;
  const [sizes, adapted] = [field.slice(0, -1), field.at(-1)];
  const usual = network.sizes.map((size) => size.default).join(` ${TIMES} `);
  return `${sizes.map(inFull).join(` ${TIMES} `)} ${network.words.points[sizes.length]}${String(sizes) === "1" ? "" : "s"}${adapted ? ` (at ${usual})` : ""}`;
}

/** The boxes with the largest shares of the cost. */
function showOverview(place, network, counts, boxes, select) {
  const costs = boxes.filter((box) => !box.output && !box.item.training).map((box) => ({ box, ...figuresOf(network, counts, box) }));
  const ranking = (label, what, total) => {
    const most = costs.filter((cost) => cost[what]).sort((a, b) => (b[what] > a[what] ? 1 : -1)).slice(0, LEADING);
    const rows = most.map(({ box, [what]: value }) => {
      const words = wordsOf(box, counts);
      const copies = box.ranges.length / box.count;
      const path = (box.path === box.last ? box.path : `${box.path} \u2026 ${box.last.split(".").at(-1)}`) + (copies > 1 ? ` ${TIMES}${copies}` : "");
      const name = html("button", { type: "button", class: "link", title: words.title, onclick: () => select(box.key) }, path || words.title);
      const part = Number((value * 1000n) / BigInt(total));
      return html("li", {}, name, html("meter", { max: 1000, value: part, "aria-label": "share" }), html("span", { class: "share" }, share(value, total)));
    });
    return rows.length ? [html("h2", { class: "ranking-of" }, label), html("ol", { class: "ranking" }, ...rows)] : [];
  };
  place.replaceChildren(
    html("p", { class: "hint" }, "Select a box to see its shapes, its cost, and its lines in the spec."),
    ...ranking("most MACs", "macs", counts.totals.macs), ...ranking("most parameters", "params", network.totals.params),
  );
}

function showDetails(place, network, counts, member, actions) {
  const words = wordsOf(member, counts);
  const figures = figuresOf(network, counts, member);
  const { item } = member;
  const run = member.count > 1 && !member.rest;
  const path = member.path === member.last ? member.path : `${member.path} \u2026 ${member.last}`;
  place.replaceChildren(...[
    html("h2", {}, html("span", { class: `chip look-${item.look}` }), [item.resolution === undefined ? item.title : words.title, words.count].filter(Boolean).join(" ")),
    path && path !== item.title ? html("p", { class: "path" }, path) : null,
    buttonsOf(member, run, actions),
    figureTable(network, counts, member, figures, actions),
    tensorTable(network, figures.ids, item),
    run ? copyList(network, member, actions) : null,
    ...writtenAt(network, member, item),
  ].filter(Boolean));
}

function buttonsOf(member, run, { toggle }) {
  const button = (text, how) => html("button", { type: "button", onclick: () => toggle(member.key, how) }, text);
  const buttons = [];
  if (member.members) buttons.push(button(member.apart ? "Collapse copies" : "Collapse", ""));
  else if (member.item.items && !member.rest) buttons.push(button(member.item.kind === "node" ? "Show each op" : "Expand", ""));
  if (run && !member.apart) buttons.push(button(`Show all ${member.count}`, "apart"));
  return buttons.length ? html("p", { class: "buttons" }, ...buttons) : null;
}

function figureTable(network, counts, member, figures, { go }) {
  const { nodes, sizes } = network;
  const rows = [];
  const row = (label, ...cells) => rows.push(html("tr", {}, html("th", { scope: "row" }, label), html("td", {}, ...cells)));
  for (const id of figures.inputs.slice(0, 6)) {
    row("input", shapeText(counts.shapes[id]), " ", html("button", { type: "button", class: "link", onclick: () => go(id) }, nodes[id].path));
  }
  row("output", html("output", { id: "output-shape" }, shapeText(counts.shapes[figures.last])), html("span", { class: "share" }, bytes(counts.elements[figures.last] * BYTES_PER_VALUE)));
  const formula = nodes[figures.last].shape.map(sizeFormula).join(` ${TIMES} `);
  if (sizes.length && /[A-Za-z]/.test(formula)) row("at any size", html("span", { class: "formula" }, formula));
  const times = BigInt(member.ranges.length);
  const each = (value) => (times > 1n ? ` (${inFull(value / times)} each, ${TIMES}${times})` : "");
  const even = (what) => member.ranges.every(([start, stop]) => sumOver(what, start, stop) * times === sumAll(what));
  const sumOver = (what, start, stop) => sum(Array.from({ length: stop - start }, (_, n) => (what === "macs" ? counts.macs[start + n] : BigInt(nodes[start + n][what] ?? 0))));
  const sumAll = (what) => sum(member.ranges.map(([start, stop]) => sumOver(what, start, stop)));
  const cost = (label, id, what, total) => figures[what] && row(label, html("output", { id }, inFull(figures[what])), even(what) ? each(figures[what]) : "", html("span", { class: "share" }, share(figures[what], total)));
  cost("parameters", "its-params", "params", member.item.training ? 0 : network.totals.params);
  cost("buffers", "its-buffers", "buffers", 0);
  cost("MACs", "its-macs", "macs", member.item.training ? 0 : counts.totals.macs);
  if (!member.item.training) row("memory", `${bytes(figures.alive)} alive`, member.ranges.length > 1 || figures.ids.length > 1 ? " at most" : "");
  if (figures.stored) row("in training", `${bytes(figures.stored)} stored`, html("span", { class: "share" }, share(figures.stored, counts.totals.stored)));
  if (nodes[figures.last].kind !== "input" && member.item.look !== "output") row("receptive field", figures.field);
  if (member.item.training) row("used", "in training only");
  return html("table", {}, html("tbody", {}, ...rows));
}

function tensorTable(network, ids, item) {
  if (item.kind !== "node") return null;
  const tensors = ids.flatMap((id) => network.nodes[id].tensors ?? []);
  if (!tensors.length) return null;
  const rows = tensors.slice(0, MAX_TENSORS).map(([key, shape, trained]) => html("tr", {},
    html("td", { class: "path" }, key), html("td", {}, shape.join(` ${TIMES} `) || "scalar", trained ? "" : html("small", {}, " buffer"))));
  const more = tensors.length > MAX_TENSORS ? [html("tr", {}, html("td", { colspan: 2 }, `and ${tensors.length - MAX_TENSORS} more`))] : [];
  return html("details", {}, html("summary", {}, `${tensors.length} tensor${tensors.length > 1 ? "s" : ""}`), html("table", {}, html("tbody", {}, ...rows, ...more)));
}

function copyList(network, member, { go }) {
  const links = member.ranges.slice(0, Math.min(member.count, MAX_COPIES)).map(([start], number) => {
    const levels = member.item.kind === "node" ? Infinity : member.key.split(".").length;
    return html("button", { type: "button", class: "link", onclick: () => go(start, levels) }, member.item.copies[number][2].split(".").at(-1));
  });
  const more = member.count > MAX_COPIES ? ` and ${member.count - MAX_COPIES} more` : "";
  return html("details", {}, html("summary", {}, `${member.count} copies`), html("p", { class: "copies" }, ...links.flatMap((link) => [link, " "]), more));
}

/** The lines of the spec for a member, and the block calls around it, the innermost first. */
function writtenAt(network, member, item) {
  if (item.kind === "stage" || item.look === "output") return [];
  const { nodes, calls, spans } = network.origins;
  const id = member.ranges[0][0];
  const [own, innermost] = nodes[id] ?? [-1, -1];
  const chain = [];
  for (let call = innermost; call >= 0; call = calls[call].parent) chain.push(calls[call]);
  const from = item.kind === "node" ? -1 : chain.findIndex((call) => call.path === member.path);
  const sections = [];
  if (from < 0 && own >= 0) sections.push(html("h3", {}, "written at"), excerpt(network, spans[own]));
  for (const call of chain.slice(Math.max(from, 0))) {
    if (call.span < 0) continue;
    sections.push(html("h3", {}, sections.length ? "in " : "written at ", sections.length ? html("code", {}, `${call.path} = ${call.text}`) : ""), excerpt(network, spans[call.span]));
  }
  return sections;
}

function excerpt(network, { source, lines, columns }) {
  const { name, lines: texts } = network.origins.sources[source];
  const [first, last] = lines;
  const rows = Object.keys(texts).map(Number).filter((line) => line >= first - 1 && line <= last + 1).sort((a, b) => a - b);
  const shown = rows.map((line) => {
    const inside = line >= first && line <= last;
    const [start, end] = line === first ? columns : [0, Infinity];
    const text = texts[line];
    const marked = inside ? [text.slice(0, start), html("mark", {}, text.slice(start, end)), text.slice(end)] : [text];
    return html("div", { class: inside ? "line" : "line around" }, html("span", { class: "number" }, String(line)), html("code", {}, ...marked));
  });
  return html("figure", { class: "excerpt" }, html("figcaption", {}, `${name}:${first}`), ...shown);
}
