"use strict";
// The page: its state, and the updates of the drawing, the panel and the address.

const at = (id) => document.getElementById(id);
const network = JSON.parse(at("network").textContent);
const state = { values: Object.fromEntries(network.sizes.map((size) => [size.name, size.default])), batch: 1, colour: "kind", shown: "graph" };
const first = {};
const known = keyNames(network);
const stills = [...document.querySelectorAll(".still")].map(({ id }) => id.replace("still-", "")).filter((style) => style !== "graph");
let counts = countAt(network.nodes, state.values, state.batch);

function report(text) {
  at("message").textContent = text;
}

const layouter = new Layouter(at("layouter").textContent);
const view = new DrawingView(network, at("drawing"), layouter, {
  selected: () => showSelected(),
  changed: () => (recolour(), keepAddress()),
  report,
  hovered: showTip,
  toggle: (key, how) => view.toggle(key, counts, how),
});
const sliders = new Sliders(at("sliders"), network, state, () => recount());
new Search(at("search"), at("results"), network, {
  matched: (ids) => view.mark(ids),
  go: ({ id, levels }) => go(id, levels),
});
const actions = { go, toggle: (key, how) => view.toggle(key, counts, how) };

function go(id, levels, stop) {
  return view.reveal(id, counts, levels, stop);
}

function recount() {
  counts = countAt(network.nodes, state.values, state.batch);
  if (view.drawing) repaint(view.drawing, view.elements, counts);
  recolour();
  showTotals(at("totals"), network, counts, state.batch, go);
  showSelected();
  keepAddress();
}

function showSelected() {
  const member = view.members.get(view.selected) ?? null;
  showMemory(at("memory-chart"), network, counts, member, go);
  const select = (key) => (view.select(key, true), view.look(key));
  at("sheet").textContent = member ? `${wordsOf(member, counts).title} \u00b7 ${shapeText(counts.shapes[member.ranges[0][1] - 1])}` : "Figures";
  if (member) showDetails(at("details"), network, counts, member, actions);
  else if (view.drawing) showOverview(at("details"), network, counts, view.drawing.boxes, select);
  keepAddress();
}

// --- colours ---------------------------------------------------------------------------------------------

/** Colours the boxes by their share of params, MACs or memory; by kind the style sheet does. */
function recolour() {
  view.root.classList.toggle("heat", state.colour !== "kind");
  if (!view.drawing) return;
  const value = {
    params: (id) => Number(network.nodes[id].params ?? 0),
    macs: (id) => Number(counts.macs[id]),
    memory: (id) => Number(counts.alive[id]),
  }[state.colour];
  const heats = view.drawing.boxes.map(({ ranges, output }) => {
    if (!value || output) return 0;
    const values = ranges.flatMap(([start, stop]) => Array.from({ length: stop - start }, (_, n) => value(start + n)));
    return state.colour === "memory" ? Math.max(...values) : values.reduce((a, b) => a + b, 0);
  });
  const most = Math.max(...heats, 1);
  view.drawing.boxes.forEach((box, number) => {
    view.elements.get(box.key).style.setProperty("--heat", `${Math.round((100 * heats[number]) / most)}%`);
  });
  showLegend(most);
}

const UNITS = { params: "", macs: " MACs", memory: "B" };

/** The legend: the categories in the drawing, or a colour scale up to `most`. */
function showLegend(most) {
  if (state.colour !== "kind") {
    const full = `${inShort(Math.round(most))}${UNITS[state.colour]}`.replace("  ", " ");
    return at("legend").replaceChildren(html("li", {}, "0", html("span", { class: "ramp" }), full));
  }
  const used = new Set(view.drawing.boxes.map(({ item }) => item.look));
  const kinds = Object.entries(network.looks).filter(([look]) => used.has(look));
  at("legend").replaceChildren(...kinds.map(([look, words]) => html("li", {}, html("span", { class: `chip look-${look}` }), words)));
}

// --- the tip beside the pointer --------------------------------------------------------------------------

function showTip(member, event) {
  const tip = at("tip");
  tip.hidden = !member || event.pointerType === "touch";
  if (tip.hidden) return;
  if (tip.dataset.key !== member.key || tip.dataset.at !== at("macs").value) {
    Object.assign(tip.dataset, { key: member.key, at: at("macs").value });
    const figures = figuresOf(network, counts, member);
    const words = wordsOf(member, counts);
    const row = (label, text) => html("div", {}, html("span", { class: "tail" }, label), text);
    tip.replaceChildren(
      html("strong", {}, [words.title, words.count].filter(Boolean).join(" ")),
      html("div", { class: "path" }, member.path === member.last ? member.path : `${member.path} \u2026 ${member.last}`),
      row("output ", shapeText(counts.shapes[figures.last])),
      figures.params ? row("params ", inFull(figures.params)) : "",
      figures.macs ? row("MACs ", inShort(figures.macs).trim()) : "",
      member.item.look === "input" || member.output ? "" : row("receptive field ", figures.field),
    );
  }
  const { clientX: x, clientY: y } = event;
  tip.style.left = `${Math.min(x + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 12 : y + 18}px`;
}

// --- the address -----------------------------------------------------------------------------------------

/** Stores what is expanded, selected and set in the address, so that a link restores it. */
function keepAddress() {
  if (!document.documentElement.dataset.ready) return;
  const params = new URLSearchParams();
  for (const { name, default: usual } of network.sizes) if (state.values[name] !== usual) params.set(name, state.values[name]);
  if (state.batch !== 1) params.set("N", state.batch);
  for (const [name, keys] of [["open", view.open], ["apart", view.apart]]) {
    if ([...keys].sort().join() !== first[name]) params.set(name, [...keys].map((key) => known.names.get(key) ?? `~${key}`).join());
  }
  if (view.selected) params.set("at", known.names.get(view.selected) ?? view.selected);
  if (state.shown !== "graph") params.set("style", state.shown);
  if (view.direction !== network.start.direction) params.set("direction", view.direction);
  if (state.colour !== network.start.colour) params.set("colour", state.colour);
  const hash = params.toString();
  if (hash !== location.hash.slice(1) && location.protocol !== "about:") history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

/** Expands what `archdsl diagram` requested when it wrote the page. */
function openInitially() {
  const { level, expand, focus } = network.start;
  view.open = level === "network" ? new Set() : initiallyOpen(network);
  view.apart = new Set();
  if (level === "layer" || expand.includes("*")) openAll(network, view.open, expand.includes("*") ? view.apart : null);
  for (const path of [...expand, focus].filter(Boolean)) {
    const entry = entryOf(network, path);
    if (!entry) continue;
    const route = routeTo(network, entry.id, view.apart, entry.levels, entry.stop);
    for (const key of [...route.open, route.key]) view.open.add(key);
    for (const key of route.apart) view.apart.add(key);
    if (path === focus) view.selected = route.key;
  }
}

function readAddress() {
  const params = new URLSearchParams(location.hash.slice(1));
  openInitially();
  for (const size of network.sizes) {
    if (params.has(size.name)) state.values[size.name] = legalSize(size, Math.min(Number(params.get(size.name)), Math.max(MAX_SIZE, size.default)));
  }
  if (params.has("N")) state.batch = clamp(Math.round(Number(params.get("N"))) || 1, 1, MAX_BATCH);
  const keys = (name) => params.get(name).split(",").map((word) => known.keys.get(word) ?? word.slice(1)).filter((key) => /^[0-9.#]+$/.test(key));
  const around = (key) => [...key.matchAll(/[.#]/g)].map(({ index }) => key.slice(0, index));
  if (params.has("open")) view.open = new Set(keys("open").flatMap((key) => [key, ...around(key)]));
  if (params.has("apart")) view.apart = new Set(keys("apart"));
  const oneOf = (name, known) => (known.includes(params.get(name)) ? params.get(name) : network.start[name]);
  view.direction = oneOf("direction", ["TB", "LR"]);
  state.colour = oneOf("colour", ["kind", "params", "macs", "memory"]);
  state.shown = stills.includes(params.get("style")) ? params.get("style") : "graph";
  view.selected = known.keys.get(params.get("at")) ?? params.get("at") ?? view.selected;
}

// --- buttons and keys ------------------------------------------------------------------------------------

/** Expands every block by one level. */
function expandMore() {
  const more = [...view.members.values()].filter((member) => !member.members && member.item.items && member.item.kind !== "node" && !member.rest);
  if (!more.length) return report("Every block is expanded.");
  return view.replace([...view.open, ...more.map((member) => member.key)], view.apart, counts);
}

const BUTTONS = {
  expand: expandMore,
  collapse: () => view.replace(initiallyOpen(network), [], counts),
  "zoom-in": () => view.magnify(1.3),
  "zoom-out": () => view.magnify(1 / 1.3),
  fit: () => view.fitAll(),
  turn: async () => {
    view.direction = view.direction === "TB" ? "LR" : "TB";
    await view.replace(view.open, view.apart, counts);
  },
  theme: () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue("color-scheme").trim() === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  },
  save: () => download(svgBlob(shownSvg()), `${network.file}.svg`),
  "save-png": async () => download(await asPng(shownSvg()), `${network.file}.png`),
  "save-pdf": () => print(),
  help: () => at("keys").showModal(),
};
for (const [id, action] of Object.entries(BUTTONS)) {
  const always = id === "theme" || id === "help";
  BUTTONS[id] = () => (always || view.drawing ? action() : undefined);
  at(id).addEventListener("click", BUTTONS[id]);
}
at("close").addEventListener("click", () => at("keys").close());

/** What is shown, as SVG: the picture of another style, or the drawing as it is expanded. */
function shownSvg() {
  if (state.shown !== "graph") return new XMLSerializer().serializeToString(at(`still-${state.shown}`).firstElementChild);
  return asSvg(view, network.name, `${inFull(network.totals.params)} params, ${inFull(counts.totals.macs)} MACs`);
}

/** Prints, or saves as PDF, what is shown: as a picture of its own, without the panel. */
addEventListener("beforeprint", () => {
  if (!view.drawing) return;
  const picture = new DOMParser().parseFromString(shownSvg(), "image/svg+xml").documentElement;
  at("printed").replaceChildren(document.importNode(picture, true));
});
addEventListener("afterprint", () => at("printed").replaceChildren());

function showStyle() {
  for (const still of document.querySelectorAll(".still")) still.classList.toggle("shown", stills.includes(state.shown) && still.id === `still-${state.shown}`);
  at("style").value = state.shown;
  keepAddress();
}
at("style").addEventListener("change", () => {
  state.shown = at("style").value;
  showStyle();
});
at("sheet").addEventListener("click", () => {
  const open = document.body.classList.toggle("sheet");
  at("sheet").setAttribute("aria-expanded", String(open));
});

const KEYS = { "/": () => at("search").focus(), "+": BUTTONS["zoom-in"], "=": BUTTONS["zoom-in"], "-": BUTTONS["zoom-out"], 0: BUTTONS.fit, "?": BUTTONS.help };
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
at("colour").addEventListener("change", () => {
  state.colour = at("colour").value;
  recolour();
  keepAddress();
});
addEventListener("hashchange", start);
addEventListener("keydown", () => (at("tip").hidden = true), true);

async function start() {
  readAddress();
  const wanted = view.selected;
  at("colour").value = state.colour;
  sliders.show();
  recount();
  // A drawing that is too large is collapsed: first to blocks, then to stages.
  for (const open of [view.open, initiallyOpen(network), new Set()]) {
    if (open !== view.open) [view.open, view.apart] = [open, new Set()];
    if (await view.redraw(counts)) break;
  }
  const entry = wanted && !view.members.has(wanted) ? entryOf(network, known.names.get(wanted) ?? wanted) : null;
  if (entry && view.drawing) await go(entry.id, entry.levels, entry.stop);
  else if (wanted && view.members.has(wanted)) view.select(wanted);
  if (wanted && view.selected) view.show(view.selected);
  if (view.drawing) document.documentElement.dataset.drawn = "yes";
  recolour();
  document.documentElement.dataset.ready = "yes";
  showStyle();
}

if (network.start.theme !== "auto") document.documentElement.dataset.theme = network.start.theme === "dark" ? "dark" : "light";
openInitially();
[first.open, first.apart] = [view.open, view.apart].map((keys) => [...keys].sort().join());
at("style").append(...["graph", ...stills].map((style) => html("option", { value: style }, `style: ${style}`)));
at("style").hidden = !stills.length;
at("name").textContent = network.name;
at("about").textContent = `input ${network.input}`;
at("convention").textContent = `${network.totals.convention}. Peak memory: the largest number of bytes of activations alive at the same time, in fp32, without in-place ops and without weights. Stored in training: bytes that PyTorch keeps from the forward pass for the backward pass, in fp32 on a GPU, without weights.`;
start();
