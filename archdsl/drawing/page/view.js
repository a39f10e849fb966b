"use strict";
// The drawing on the screen: its expanded items, its selection, its zoom; controlled by mouse, touch and keyboard.

const MOVE_MS = 260;
const DIRECTIONS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

class DrawingView {
  /** `on` contains callbacks: selected(member), changed(), report(text), hovered(member, event), toggle(key, how). */
  constructor(network, element, layouter, on) {
    Object.assign(this, { network, element, layouter, on });
    this.open = initiallyOpen(network);
    this.apart = new Set();
    this.direction = "TB";
    this.selected = null;
    this.members = new Map();
    this.elements = new Map();
    this.root = svg("g");
    element.append(this.root);
    this.#listen();
  }

  /** Composes, lays out and paints; the member with the key `anchor` keeps its position. Returns false on failure. */
  async redraw(counts, anchor) {
    const drawing = compose(this.network, this.open, this.apart);
    if (drawing.boxes.length > MAX_BOXES) {
      this.on.report(`This would draw ${inFull(drawing.boxes.length)} boxes; the limit is ${MAX_BOXES}. Collapse another block first.`);
      return false;
    }
    measure(drawing, counts, this.network.start.shapes);
    this.element.setAttribute("aria-busy", "true");
    try {
      placed(drawing, await this.layouter.run(toDot(drawing, this.direction)));
    } catch (problem) {
      if (problem.message === "replaced") return true;
      const slow = problem.message === "slow";
      this.on.report(slow ? `The layout takes more than ${LAYOUT_LIMIT_MS / 1000} s. The drawing is unchanged.` : `The layout failed: ${problem.message}.`);
      return false;
    } finally {
      this.element.setAttribute("aria-busy", "false");
    }
    this.#show(drawing, counts, anchor);
    return true;
  }

  #show(drawing, counts, anchor) {
    const before = new Map([...this.members].map(([key, member]) => [key, grip(member)]));
    const focused = this.element.contains(document.activeElement);
    this.on.hovered(null, {});
    this.drawing = drawing;
    this.elements = paint(this.root, drawing, counts);
    this.members = membersOf(drawing);
    repaint(drawing, this.elements, counts);
    const transform = this.transform;
    if (!before.size || !anchor) this.fit();
    else this.#keep(before.get(anchor), this.members.get(anchor));
    this.#move(before, transform);
    if (!this.members.has(this.selected)) this.selected = null;
    this.select(this.selected, focused);
  }

  /** Moves the view so that a member keeps its position on the screen. */
  #keep(was, member) {
    if (!was || !member) return;
    const is = grip(member);
    this.zoom.translateBy(d3.select(this.element), was.x - is.x, was.y - is.y);
  }

  /** Moves existing members from their old positions; new members fade in. */
  #move(before, old) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || !before.size) return;
    const now = this.transform;
    const time = { duration: MOVE_MS, easing: "ease-out" };
    for (const [key, member] of this.members) {
      const elements = [this.elements.get(key), ...(member.members ? this.root.querySelectorAll(`[data-frame="${key}"]`) : [])];
      const was = before.get(key);
      if (!was || was.frame !== Boolean(member.members)) {
        for (const element of elements) element.animate([{ opacity: 0 }, { opacity: 1 }], time);
        continue;
      }
      const from = { x: (was.left * old.k + old.x - now.x) / now.k, y: (was.top * old.k + old.y - now.y) / now.k };
      if (Math.hypot(from.x - member.x, from.y - member.y) < 0.5) continue;
      const steps = [from, member].map(({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` }));
      for (const element of elements) element.animate(steps, time);
    }
    this.root.querySelector(".arrows").animate([{ opacity: 0 }, { opacity: 0, offset: 0.6 }, { opacity: 1 }], time);
  }

  // --- expand and collapse -----------------------------------------------------------------------------

  /** Expands or collapses a member; `how` may be "apart" or "together" for a run. */
  async toggle(key, counts, how = "") {
    const member = this.members.get(key);
    const run = member?.item.copies?.length > 1;
    if (how === "apart" ? !run || member.rest : !member?.item.items || member.rest) return;
    const saved = [new Set(this.open), new Set(this.apart)];
    if (how === "apart" && run) this.apart.add(key);
    else if (how === "together" || member.apart) this.apart.delete(key);
    else if (this.open.has(key)) this.open.delete(key);
    else if (member.item.items) this.open.add(key);
    if (!(await this.redraw(counts, key))) {
      [this.open, this.apart] = saved;
      return;
    }
    const { title, name } = wordsOf(member, counts);
    this.on.report(`${name || title}: ${this.members.get(key)?.members ? "expanded" : "collapsed"}, ${this.drawing.boxes.length} boxes`);
    this.on.changed();
  }

  async replace(open, apart, counts, anchor) {
    const saved = [this.open, this.apart];
    [this.open, this.apart] = [new Set(open), new Set(apart)];
    const done = await this.redraw(counts, anchor);
    if (!done) [this.open, this.apart] = saved;
    this.on.changed();
    return done;
  }

  /** Expands the blocks around a node (or around the block at depth `levels`) and selects it. */
  async reveal(id, counts, levels, stop) {
    const route = routeTo(this.network, id, this.apart, levels, stop);
    const missing = route.open.some((key) => key !== route.key && !this.open.has(key)) || route.apart.some((key) => !this.apart.has(key));
    const open = route.open.filter((key) => key !== route.key);
    if (missing && !(await this.replace([...this.open, ...open], [...this.apart, ...route.apart], counts, "0"))) return;
    this.select(route.key, true);
    this.look(route.key);
    this.on.changed();
  }

  /** The frame around a member, by key. */
  around(key) {
    const cut = Math.max(key.lastIndexOf("."), key.lastIndexOf("#"));
    const outer = cut < 0 ? null : key.slice(0, cut);
    return outer === null || this.members.has(outer) ? outer : this.around(outer);
  }

  // --- selection ---------------------------------------------------------------------------------------

  select(key, focus = false) {
    this.elements.get(this.selected)?.classList.remove("selected");
    this.selected = key;
    const element = this.elements.get(key);
    element?.classList.add("selected");
    for (const other of this.elements.values()) other.setAttribute("tabindex", "-1");
    (element ?? this.elements.values().next().value)?.setAttribute("tabindex", "0");
    if (element && focus) element.focus({ preventScroll: true });
    this.on.selected(this.members.get(key) ?? null);
  }

  /** Marks the arrows of a box. */
  near(key) {
    for (const path of this.root.querySelectorAll(".near")) path.classList.remove("near");
    const number = this.members.get(key)?.number;
    if (number === undefined) return;
    for (const path of this.root.querySelectorAll("[data-arrow]")) {
      if (path.dataset.arrow.split(" ").includes(String(number))) path.classList.add("near");
    }
  }

  /** Marks the boxes that contain any of the nodes; null removes all marks. */
  mark(ids) {
    this.root.classList.toggle("searching", ids !== null);
    for (const box of this.drawing?.boxes ?? []) {
      const hit = ids !== null && box.ranges.some(([start, stop]) => ids.some((id) => id >= start && id < stop));
      this.elements.get(box.key).classList.toggle("match", hit);
    }
  }

  /** The next member in a direction: along an arrow if there is one, else the nearest one. */
  neighbour(key, [dx, dy]) {
    const here = this.members.get(key);
    if (!here) return [...this.members.keys()].find((other) => !this.members.get(other).members);
    const along = this.direction === "TB" ? dy : dx;
    const from = grip(here);
    const linked = along && here.number !== undefined
      ? this.drawing.arrows.filter((arrow) => (along > 0 ? arrow.from : arrow.to) === here.number)
        .map((arrow) => this.drawing.boxes[along > 0 ? arrow.to : arrow.from])
      : [];
    const costs = (linked.length ? linked : [...this.members.values()]).map((member) => {
      const { x, y } = grip(member);
      const [forward, aside] = dx ? [(x - from.x) * dx, Math.abs(y - from.y)] : [(y - from.y) * dy, Math.abs(x - from.x)];
      return { member, cost: member === here || (forward <= 1 && !linked.length) ? Infinity : Math.abs(forward) + 2.5 * aside };
    });
    const best = costs.reduce((a, b) => (b.cost < a.cost ? b : a));
    return best.cost < Infinity ? best.member.key : key;
  }

  // --- zoom and position -------------------------------------------------------------------------------

  get transform() {
    return d3.zoomTransform(this.element);
  }

  /** Shows the whole drawing, or its beginning if the whole would be too small to read. */
  fit() {
    const { width, height } = this.element.getBoundingClientRect();
    const down = this.direction === "TB";
    const across = Math.min(width / (this.drawing.width + 48), (height - 30) / (this.drawing.height + 30), 1.25);
    const scale = Math.max(across, Math.min(0.85, down ? width / (this.drawing.width + 24) : height / (this.drawing.height + 24)));
    const x = down || this.drawing.width * scale < width ? (width - this.drawing.width * scale) / 2 : 24;
    const y = !down || this.drawing.height * scale < height ? Math.max(16, (height - 30 - this.drawing.height * scale) / 2) : 24;
    d3.select(this.element).call(this.zoom.transform, d3.zoomIdentity.translate(x, y).scale(scale));
  }

  fitAll() {
    const { width, height } = this.element.getBoundingClientRect();
    const scale = Math.min(width / (this.drawing.width + 48), height / (this.drawing.height + 48), 1.25);
    const [x, y] = [(width - this.drawing.width * scale) / 2, (height - this.drawing.height * scale) / 2];
    d3.select(this.element).call(this.zoom.transform, d3.zoomIdentity.translate(x, y).scale(scale));
  }

  magnify(factor) {
    this.zoom.scaleBy(d3.select(this.element), factor);
  }

  /** Moves the view so that a member is visible. */
  look(key) {
    const member = this.members.get(key);
    if (!member) return;
    const { width, height } = this.element.getBoundingClientRect();
    const { x, y } = grip(member);
    const [sx, sy] = this.transform.apply([x, y]);
    const inside = (at, size) => (at < 60 || at > size - 60 ? size / 2 - at : 0);
    const { k } = this.transform;
    this.zoom.translateBy(d3.select(this.element), inside(sx, width) / k, inside(sy, height) / k);
  }

  /** Moves the view to a member, and scales it so that a frame is visible as a whole, if it is readable then. */
  show(key) {
    const member = this.members.get(key);
    if (!member?.members) return this.look(key);
    const { width, height } = this.element.getBoundingClientRect();
    const scale = clamp(Math.min(width / (member.width + 48), (height - 30) / (member.height + 48)), 0.4, 1.25);
    const x = (width - member.width * scale) / 2 - member.x * scale;
    const y = Math.max((height - 30 - member.height * scale) / 2, 24) - member.y * scale;
    d3.select(this.element).call(this.zoom.transform, d3.zoomIdentity.translate(x, y).scale(scale));
  }

  #listen() {
    const { element } = this;
    this.zoom = d3.zoom().scaleExtent([0.03, 5]).filter((event) => !event.button && (event.type !== "wheel" || event.ctrlKey || event.metaKey))
      .on("zoom", ({ transform }) => this.root.setAttribute("transform", transform));
    d3.select(element).call(this.zoom).on("dblclick.zoom", null);
    element.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const step = event.deltaMode ? 24 : 1;
      const [dx, dy] = event.shiftKey ? [event.deltaY, 0] : [event.deltaX, event.deltaY];
      this.zoom.translateBy(d3.select(element), (-dx * step) / this.transform.k, (-dy * step) / this.transform.k);
    }, { passive: false });
    const keyOf = (event) => event.target.closest("[data-key]")?.dataset.key ?? null;
    element.addEventListener("click", (event) => {
      const key = keyOf(event);
      const opens = event.target.closest("[data-opens]") || this.members.get(key)?.members;
      this.select(key, true);
      if (opens) this.on.toggle(key);
    });
    element.addEventListener("dblclick", (event) => keyOf(event) && !this.members.get(keyOf(event))?.members && !event.target.closest("[data-opens]") && this.on.toggle(keyOf(event)));
    element.addEventListener("keydown", (event) => this.#key(event, keyOf(event)));
    element.addEventListener("focusin", (event) => {
      const key = keyOf(event);
      if (key && key !== this.selected) this.select(key);
      this.near(key);
      if (key && event.target.matches(":focus-visible")) this.look(key);
    });
    for (const type of ["pointerover", "pointermove"]) {
      element.addEventListener(type, (event) => this.on.hovered(this.members.get(keyOf(event)) ?? null, event));
    }
    element.addEventListener("pointerover", (event) => this.near(keyOf(event)));
    element.addEventListener("pointerleave", (event) => this.on.hovered(null, event));
  }

  #key(event, key) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (DIRECTIONS[event.key]) {
      const next = this.neighbour(key, DIRECTIONS[event.key]);
      this.select(next, true);
      this.look(next);
    } else if (key && (event.key === "Enter" || event.key === " ")) {
      this.on.toggle(key);
    } else if (key && event.key === "x") {
      this.on.toggle(key, this.members.get(key).apart ? "together" : "apart");
    } else if (event.key === "Escape") {
      const outer = key && (this.members.get(key).members ? key : this.around(key));
      if (outer) this.on.toggle(outer).then(() => this.select(outer, true));
      else this.select(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Initially stages are expanded, and blocks are collapsed. */
function initiallyOpen(network) {
  return new Set(network.items.flatMap((item, number) => (item.kind === "stage" ? [String(number)] : [])));
}

/** Expands every block; with `apart` also shows all copies of each run. */
function openAll(network, open, apart) {
  const visit = (item, key) => {
    if (!item.items || item.kind === "node") return;
    if (apart && item.copies.length > 1) {
      apart.add(key);
      item.copies.forEach((_, number) => enter(item, `${key}#${number}`));
    } else enter(item, key);
  };
  const enter = (item, key) => {
    open.add(key);
    item.items.forEach((inner, number) => visit(inner, `${key}.${number}`));
  };
  network.items.forEach((item, number) => visit(item, String(number)));
}

function membersOf(drawing) {
  const members = new Map();
  const visit = (member) => {
    members.set(member.key, member);
    member.members?.forEach(visit);
  };
  drawing.members.forEach(visit);
  return members;
}

/** The point of a member that keeps its position on expansion: a box's centre, the middle of a frame's header. */
function grip({ x, y, width, members }) {
  const frame = Boolean(members);
  return { frame, left: x, top: y, x: frame ? x + width / 2 : x, y: frame ? y + 12 : y };
}
