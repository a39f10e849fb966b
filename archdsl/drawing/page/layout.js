"use strict";
// The layout: Graphviz runs in a worker, reads sizes and connections as numbers, and returns positions.

const MAX_BOXES = 800;
const LAYOUT_LIMIT_MS = 8000;
const POINTS_PER_INCH = 72;

/** The DOT text of a drawing, which contains no text of the spec. */
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
    // The trunk's labels are placed beside it later: space for them in the layout would bend the trunk.
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
  const marks = drawing.arrows.flatMap((arrow) => along(arrow).map((mark) => ({ ...mark, arrow })));
  besideTheTrunk(drawing.arrows, marks);
  drawing.members.forEach((member) => clearOfArrows(member, marks));
  return Object.assign(drawing, { width: wide, height: high });
}

/** Move the name of a frame to its right end if an arrow passes the left one only. */
function clearOfArrows(member, marks) {
  if (!member.members) return;
  const { x, y, width, label } = member;
  const crossed = (left) => marks.some((mark) => mark.x > left && mark.x < left + label.width && mark.y > y + 3 && mark.y < y + 21);
  const shift = Math.max(0, width - label.width);
  label.shift = crossed(x) && !crossed(x + shift) ? shift : 0;
  member.members.forEach((inner) => clearOfArrows(inner, marks));
}

/** Place the trunk's labels to the right of their arrows, or to the left if another arrow passes there. */
function besideTheTrunk(arrows, marks) {
  for (const arrow of arrows) {
    const { label } = arrow;
    if (label?.room === undefined) continue;
    const crossed = (x) => marks.some((mark) =>
      mark.arrow !== arrow && Math.abs(mark.x - x) < label.width / 2 - 3 && Math.abs(mark.y - label.y) < label.height / 2 - 2);
    // An arrow that is not vertical passes to the right and left of its middle.
    const own = marks.filter((mark) => mark.arrow === arrow && Math.abs(mark.y - label.y) < label.height / 2).map((mark) => mark.x - label.x);
    const [right, left] = [Math.max(0, ...own) + label.width / 2, Math.min(0, ...own) - label.width / 2].map((by) => label.x + by);
    label.x = crossed(right) && !crossed(left) ? left : right;
  }
}

/** Points on the curve of an arrow, close enough together that no label slips between them. */
function along({ points }) {
  const curve = [];
  for (let n = 0; n + 3 < points.length; n += 3) {
    const [a, b, c, d] = points.slice(n, n + 4);
    const steps = Math.max(4, Math.ceil(Math.hypot(d.x - a.x, d.y - a.y) / 5));
    for (let step = 0; step <= steps; step += 1) {
      const [t, s] = [step / steps, 1 - step / steps];
      const mix = (axis) => s * s * s * a[axis] + 3 * s * s * t * b[axis] + 3 * s * t * t * c[axis] + t * t * t * d[axis];
      curve.push({ x: mix("x"), y: mix("y") });
    }
  }
  return curve;
}

/** Runs Graphviz, one layout at a time; a time limit or the next layout ends it. */
class Layouter {
  #source;
  #worker = null;
  #waiting = null;
  #count = 0;

  constructor(source) {
    this.#source = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    this.#start();
  }

  /** Returns Graphviz's JSON for a DOT text. Rejects with "slow", with "replaced" by a later call, or with an error. */
  run(dot) {
    if (this.#waiting) this.#restart("replaced");
    return new Promise((resolve, reject) => {
      this.#waiting = { id: ++this.#count, resolve, reject, timer: 0 };
      if (this.#worker) this.#worker.postMessage({ id: this.#count, dot });
      else this.#settle("reject", new Error("this browser, or the frame around the page, does not allow workers"));
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
      // The time limit does not include the start of the worker.
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
