"use strict";
// Paints the drawing as SVG elements. Text of the spec is only set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const FONT = '"Helvetica Neue", Helvetica, Arial, sans-serif';
const SIZES = { title: 12.5, node: 12, tail: 11, name: 10.5, label: 10, frame: 11 };
const RADIUS = 6;
const STACK = 3;
const LONGEST = 60;

const pen = document.createElement("canvas").getContext("2d");

function textWidth(text, size, weight = 400) {
  pen.font = `${weight} ${size}px ${FONT}`;
  return pen.measureText(text).width;
}

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

function write(text, x, y, attributes = {}) {
  const element = svg("text", { x, y, ...attributes });
  element.textContent = text;
  return element;
}

const shapeText = (shape) => shape.join(` ${TIMES} `);

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}\u2026` : text);

/** The text of a box or frame, with the current shapes. */
function wordsOf(member, counts) {
  const { item, count } = member;
  const words = { title: cut(item.title), tail: cut([item.tail, ...changedIn(member)].filter(Boolean).join(", ")), name: "", count: count > 1 ? `${TIMES}${count}` : "" };
  if (item.look === "input" || item.look === "output") words.tail = shapeText(counts.shapes[member.ranges[0][0]]);
  if (item.resolution !== undefined) words.title = item.lead + shapeText(counts.shapes[item.resolution].slice(1));
  if (item.kind === "block") words.name = cut(nameOf(member));
  return words;
}

/** The numbers that differ among copies: the own one of a single copy, of several the first and the last. */
function changedIn({ item, ranges }) {
  return Object.entries(item.changes ?? {}).map(([name, values]) => {
    const own = [...new Set(ranges.map(([start]) => values[start]))];
    const sorted = own.toSorted((a, b) => a - b);
    const steady = [sorted, sorted.toReversed()].some((each) => each.join() === own.join());
    const text = own.length === 1 ? own[0] : steady ? `${own[0]}\u2026${own.at(-1)}` : "\u2026";
    return `${name} ${text}${name === "receives" ? " channels" : ""}`;
  });
}

/** The name of a block within the block around it: of a run the first and last name, of a copy its own. */
function nameOf({ item, only }) {
  if (!item.name || only < 0) return item.name ?? "";
  const [first] = item.name.split(" ");
  return item.copies[only][2].slice(item.copies[0][2].length - first.length);
}

/** Sets the sizes of boxes, frame titles and arrow labels before the layout. */
function measure(drawing, counts, shapes) {
  for (const box of drawing.boxes) Object.assign(box, roomOf(box, wordsOf(box, counts)));
  const frame = (member) => {
    if (!member.members) return;
    const { title, name, count } = wordsOf(member, counts);
    const width = textWidth(`\u25be ${[name || title, count, name ? title : ""].filter(Boolean).join("   ")}`, SIZES.frame, 600);
    // A stage is twice as wide as its name, so that the arrow from above stays beside the name.
    member.label = { width: width + 14, room: member.item.kind === "stage" ? 2 * width : width + 14, height: 17 };
    member.members.forEach(frame);
  };
  drawing.members.forEach(frame);
  for (const arrow of drawing.arrows) {
    if (arrow.node < 0 || !shapes) continue;
    const text = shapeText(counts.shapes[arrow.node]);
    arrow.label = { text, width: textWidth(text, SIZES.label) + 12, height: 14 };
  }
}

function roomOf(box, { title, tail, name, count }) {
  if (box.item.sign) return { width: 24, height: 24 };
  if (box.item.kind === "block" || box.item.kind === "stage") {
    const first = textWidth(title, SIZES.title, 600) + (count ? textWidth(count, SIZES.title, 600) + 10 : 0);
    const second = textWidth([name, tail].filter(Boolean).join(" \u00b7 "), SIZES.name);
    return { width: Math.max(first, second) + 40, height: name || tail ? 40 : 28 };
  }
  const widths = [textWidth(title, SIZES.node, box.output ? 600 : 400), count && textWidth(count, SIZES.node, 600) + 8];
  widths.push(tail && textWidth(tail, SIZES.tail) + 9);
  return { width: widths.reduce((a, b) => a + (b || 0), 0) + 22, height: 25 };
}

/** Paints everything and returns the elements of boxes and frame headers by key. */
function paint(root, drawing, counts) {
  const layers = { frames: svg("g"), arrows: svg("g", { class: "arrows" }), heads: svg("g"), boxes: svg("g") };
  const elements = new Map();
  const frame = (member) => {
    if (!member.members) return;
    const head = headElement(member, wordsOf(member, counts));
    layers.frames.append(frameElement(member));
    layers.heads.append(head);
    elements.set(member.key, head);
    member.members.forEach(frame);
  };
  drawing.members.forEach(frame);
  for (const arrow of drawing.arrows) layers.arrows.append(...arrowElements(arrow));
  for (const box of drawing.boxes) {
    const element = boxElement(box, wordsOf(box, counts));
    layers.boxes.append(element);
    elements.set(box.key, element);
  }
  root.replaceChildren(...Object.values(layers));
  return elements;
}

/** Updates the shapes after a change of the input's size; nothing moves. */
function repaint(drawing, elements, counts) {
  for (const arrow of drawing.arrows) {
    if (arrow.label) arrow.element.textContent = shapeText(counts.shapes[arrow.node]);
  }
  const visit = (member) => {
    const words = wordsOf(member, counts);
    const element = elements.get(member.key);
    element.setAttribute("aria-label", spoken(member, words, counts));
    if (member.item.look === "input" || member.item.look === "output") element.querySelector(".tail").textContent = ` ${words.tail}`;
    if (member.item.resolution !== undefined) element.querySelector(".title").textContent = member.members ? ` ${words.title}` : words.title;
    member.members?.forEach(visit);
  };
  drawing.members.forEach(visit);
}

/** The label for screen readers: the visible text in order, and the output shape. */
function spoken(member, { title, name, count, tail }, counts) {
  const seen = member.members ? [name || title, count, name && name !== title && title] : [title, count, [name, tail].filter(Boolean).join(" \u00b7 ")];
  const shape = shapeText(counts.shapes[member.ranges.at(-1)[1] - 1]);
  return [seen.filter(Boolean).join(" "), member.output || member.item.look === "input" ? "" : `output ${shape}`].filter(Boolean).join(", ");
}

function frameElement(member) {
  const { key, x, y, width, height, item } = member;
  const classes = `frame ${item.kind === "stage" ? "stage" : "opened"}${item.training ? " training" : ""}`;
  const plates = (member.apart || member.count === 1 ? [0] : [2, 1, 0]).map((n) =>
    svg("rect", { class: "plate", x: n * STACK, y: -n * STACK, width, height, rx: 8 }));
  return svg("g", { class: classes, "data-frame": key, transform: `translate(${round(x)} ${round(y)})` }, ...plates);
}

/** The header of a frame, which collapses it. It is painted above the arrows. */
function headElement(member, { title, name, count }) {
  const text = write("", 10, 15.5, { "font-size": SIZES.frame });
  text.append(span("\u25be", "collapse", 600), span(name || title, "title", 600, 1));
  if (count) text.append(span(count, "count", 600, 6));
  if (name && title !== name) text.append(span(title, "tail", 400, 6));
  const hit = svg("rect", { class: "hit", x: 4, y: 3, width: Math.max(24, member.label.width), height: 18, rx: 4 });
  const classes = `head ${member.item.kind === "stage" ? "stage" : "opened"}`;
  return svg("g", {
    class: classes, "data-key": member.key, transform: `translate(${round(member.x + member.label.shift)} ${round(member.y)})`, role: "button", tabindex: -1, "aria-expanded": "true",
  }, hit, text);
}

function arrowElements(arrow) {
  const [start, ...rest] = arrow.points;
  const curve = rest.map(({ x, y }) => `${round(x)} ${round(y)}`).join(" ");
  const end = rest.at(-1) ?? start;
  const [dx, dy] = [arrow.tip.x - end.x, arrow.tip.y - end.y];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const wing = (side) => `${round(arrow.tip.x - 6.5 * ux + side * 2.6 * uy)} ${round(arrow.tip.y - 6.5 * uy - side * 2.6 * ux)}`;
  const classes = `arrow${arrow.training ? " training" : ""}`;
  const elements = [
    svg("path", { class: classes, d: `M${round(start.x)} ${round(start.y)}C${curve}L${round(end.x)} ${round(end.y)}`, "data-arrow": `${arrow.from} ${arrow.to}` }),
    svg("path", { class: "tip", d: `M${round(arrow.tip.x)} ${round(arrow.tip.y)}L${wing(1)}L${wing(-1)}Z` }),
  ];
  if (arrow.label) {
    arrow.element = write(arrow.label.text, round(arrow.label.x - arrow.label.width / 2 + 6), round(arrow.label.y + 3.5), { class: "shape", "font-size": SIZES.label });
    elements.push(arrow.element);
  }
  return elements;
}

const round = (number) => Math.round(number * 100) / 100;

function boxElement(box, words) {
  const { width, height, item, x, y } = box;
  const opens = Boolean(item.items) && !box.rest;
  const classes = ["box", `look-${item.look}`, item.kind, opens && "opens", item.training && "training"].filter(Boolean).join(" ");
  const element = svg("g", {
    class: classes, "data-key": box.key, transform: `translate(${round(x)} ${round(y)})`, role: "button", tabindex: -1,
    "aria-expanded": opens ? "false" : undefined,
  });
  if (box.output) return element.append(hitArea(width, height), lineOf(words, true)), element;
  if (item.sign) {
    element.append(svg("circle", { class: "plate", r: width / 2 }), write(item.title, 0, 5, { class: "title sign", "text-anchor": "middle", "font-size": item.title.length > 1 ? 9 : 15 }));
    return element;
  }
  for (const step of box.count > 1 ? [2, 1, 0] : [0]) {
    const moved = step * STACK;
    element.append(svg("rect", { class: "plate", x: moved - width / 2, y: -moved - height / 2, width, height, rx: RADIUS }));
  }
  if (item.kind === "block" || item.kind === "stage") element.append(...blockLines(words));
  else element.append(lineOf(words, false));
  if (opens) element.append(opener(width, height, item.kind === "node"));
  return element;
}

const hitArea = (width, height) => svg("rect", { class: "hit", x: -width / 2, y: -height / 2, width, height, rx: RADIUS });

function blockLines({ title, count, name, tail }) {
  const below = [name, tail].filter(Boolean).join(" \u00b7 ");
  const first = write("", -8, below ? -3 : 4.5, { "text-anchor": "middle", "font-size": SIZES.title, "font-weight": 600 });
  first.append(span(title, "title"));
  if (count) first.append(span(count, "count", 600, 4));
  return below ? [first, write(` ${below}`, -8, 12, { class: "tail", "text-anchor": "middle", "font-size": SIZES.name })] : [first];
}

function lineOf({ title, count, tail }, strong) {
  const line = write("", 0, 4.2, { "text-anchor": "middle", "font-size": SIZES.node });
  line.append(span(title, "title", strong ? 600 : 400));
  if (count) line.append(span(count, "count", 600, 4));
  if (tail) line.append(span(tail, "tail", 400, 5, SIZES.tail));
  return line;
}

/** A piece of a line, after a space and `gap` pixels. */
function span(text, classes, weight, gap, size) {
  const element = svg("tspan", { class: classes, "font-weight": weight, "font-size": size, dx: gap });
  element.textContent = gap === undefined ? text : ` ${text}`;
  return element;
}

/** The plus that expands a block. That of a written node is in its corner and visible only under the pointer. */
function opener(width, height, small) {
  const [x, y, r] = small ? [width / 2 - 2, -height / 2 + 2, 7] : [width / 2 - 13, 0, 7.5];
  return svg("g", { class: `opener${small ? " small" : ""}`, transform: `translate(${x} ${y})`, "data-opens": "yes" },
    svg("circle", { r }), svg("path", { d: "M-3.5 0H3.5M0 -3.5V3.5" }));
}
