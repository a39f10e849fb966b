"use strict";
// Where everything stands: Graphviz, in a worker, is given sizes and wiring as numbers, and gives back positions.

const MAX_BOXES = 800;
const LAYOUT_LIMIT_MS = 8000;
const POINTS_PER_INCH = 72;

/** The DOT text of a drawing. Nothing that a spec names is in it. */
function toDot(drawing, direction) {
  const inches = (pixels) => (pixels / POINTS_PER_INCH).toFixed(4);
  const room = ({ width, height, room: reserved = width }) =>
    `<<table border="0" cellborder="0" cellspacing="0" cellpadding="0" fixedsize="true" width="${Math.ceil(reserved)}" height="${height}"><tr><td></td></tr></table>>`;
  const lines = [
    "digraph {",
    `graph [newrank=true, nodesep=0.26, ranksep=0.2, rankdir=${direction}, labeljust=l, labelloc=t, margin=0]`,
    'node [shape=box, fixedsize=true, label=""]',
    "edge [arrowsize=0.6]",
  ];
  let clusters = 0;
  const put = (member) => {
    if (!member.members) {
      const group = member.trunk ? ", group=trunk" : "";
      lines.push(`n${member.number} [width=${inches(member.width)}, height=${inches(member.height)}${group}]`);
      return;
    }
    member.cluster = `cluster_${clusters++}`;
    lines.push(`subgraph ${member.cluster} { graph [label=${room(member.label)}, margin=9]`);
    member.members.forEach(put);
    lines.push("}");
  };
  const weight = weights(drawing);
  drawing.members.forEach(put);
  drawing.arrows.forEach((arrow, number) => {
    // The trunk's labels stand beside it, where shortcuts pass further out anyway: room for them would bend it.
    if (arrow.label && arrow.trunk && direction === "TB") arrow.label.room = 2;
    const label = arrow.label ? `, label=${room(arrow.label)}` : "";
    lines.push(`n${arrow.from} -> n${arrow.to} [weight=${weight[number]}, comment=${number}${label}]`);
  });
  return [...lines, "}"].join("\n");
}

/** Adds positions in pixels, y down, to boxes (x, y: centres), frames (x, y, width, height) and arrows (path, tip). */
function placed(drawing, json) {
  const [, , wide, high] = json.bb.split(",").map(Number);
  const named = new Map((json.objects ?? []).map((object) => [object.name, object]));
  const point = (text) => {
    const [x, y] = text.split(",").map(Number);
    return { x, y: high - y };
  };
  for (const box of drawing.boxes) Object.assign(box, point(named.get(`n${box.number}`).pos));
  const frame = (member) => {
    if (!member.members) return;
    const [left, bottom, right, top] = named.get(member.cluster).bb.split(",").map(Number);
    Object.assign(member, { x: left, y: high - top, width: right - left, height: top - bottom });
    member.members.forEach(frame);
  };
  drawing.members.forEach(frame);
  for (const edge of json.edges ?? []) {
    const arrow = drawing.arrows[Number(edge.comment)];
    const words = edge.pos.split(" ");
    const tips = words.filter((word) => word.startsWith("e,"));
    arrow.points = words.filter((word) => !/^[es],/.test(word)).map(point);
    arrow.tip = tips.length ? point(tips[0].slice(2)) : arrow.points.at(-1);
    if (edge.lp) Object.assign(arrow.label, point(edge.lp));
  }
  besideTheTrunk(drawing.arrows);
  return Object.assign(drawing, { width: wide, height: high });
}

/** Labels for which no room was kept stand to the right of their arrow, or to the left where another arrow passes there. */
function besideTheTrunk(arrows) {
  const marks = arrows.flatMap((arrow) => along(arrow).map((mark) => ({ ...mark, arrow })));
  for (const arrow of arrows) {
    const { label } = arrow;
    if (label?.room === undefined) continue;
    const crossed = (x) => marks.some((mark) =>
      mark.arrow !== arrow && Math.abs(mark.x - x) < label.width / 2 - 3 && Math.abs(mark.y - label.y) < label.height / 2 - 2);
    const [right, left] = [1, -1].map((side) => label.x + (side * label.width) / 2);
    label.x = crossed(right) && !crossed(left) ? left : right;
  }
}

/** Points on the curve of an arrow, close enough together that no label slips between them. */
function along({ points }) {
  const found = [];
  for (let n = 0; n + 3 < points.length; n += 3) {
    const [a, b, c, d] = points.slice(n, n + 4);
    const steps = Math.max(4, Math.ceil(Math.hypot(d.x - a.x, d.y - a.y) / 5));
    for (let step = 0; step <= steps; step += 1) {
      const [t, s] = [step / steps, 1 - step / steps];
      const mix = (axis) => s * s * s * a[axis] + 3 * s * s * t * b[axis] + 3 * s * t * t * c[axis] + t * t * t * d[axis];
      found.push({ x: mix("x"), y: mix("y") });
    }
  }
  return found;
}

/** Runs Graphviz; one layout at a time, ended when it takes too long or when another is asked for. */
class Layouter {
  #source;
  #worker = null;
  #waiting = null;
  #count = 0;

  constructor(source) {
    this.#source = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    this.#start();
  }

  /** Graphviz's JSON for a DOT text. Rejects with "slow", with "replaced" by a later call, or with what went wrong. */
  run(dot) {
    if (this.#waiting) this.#restart("replaced");
    return new Promise((resolve, reject) => {
      this.#waiting = { id: ++this.#count, resolve, reject, timer: 0 };
      if (this.#worker) this.#worker.postMessage({ id: this.#count, dot });
      else this.#settle("reject", new Error("this browser, or the frame that the page stands in, lets it start no worker"));
    });
  }

  #start() {
    try {
      this.#worker = new Worker(this.#source);
    } catch {
      this.#worker = null;
      return;
    }
    this.#worker.onmessage = ({ data }) => {
      if (this.#waiting?.id !== data.id) return;
      // Its own start is not counted: only then does it begin to lay out.
      if (data.begun) this.#waiting.timer = setTimeout(() => this.#restart("slow"), LAYOUT_LIMIT_MS);
      else if (data.problem) this.#settle("reject", new Error(data.problem));
      else this.#settle("resolve", JSON.parse(data.drawn));
    };
    this.#worker.onerror = (event) => this.#settle("reject", new Error(event.message || "the layout worker did not start"));
  }

  #settle(how, value) {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (!waiting) return;
    clearTimeout(waiting.timer);
    waiting[how](value);
  }

  #restart(why) {
    this.#worker.terminate();
    this.#settle("reject", new Error(why));
    this.#start();
  }
}
