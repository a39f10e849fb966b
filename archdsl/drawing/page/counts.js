"use strict";
// Counts at any input size and batch, computed from the formulas in the page with integers of any length.
// They are equal to those of `archdsl params --input SIZE --batch N`.

const BYTES_PER_VALUE = 4n;

/** A size: a number, or [symbol, m, p, q, r] for m * ((symbol + p) // q) + r. */
function sizeAt(size, values) {
  if (!Array.isArray(size)) return BigInt(size);
  const [symbol, m, p, q, r] = size;
  return BigInt(m) * ((BigInt(values[symbol]) + BigInt(p)) / BigInt(q)) + BigInt(r);
}

/** The formula of a size as text: (H + 3)//4. */
function sizeFormula(size) {
  if (!Array.isArray(size)) return String(size);
  const [symbol, m, p, q, r] = size;
  let text = p ? `(${symbol} + ${p})` : symbol;
  if (q !== 1) text += `//${q}`;
  if (m !== 1) text = q === 1 ? `${m}*${text}` : `${m}*(${text})`;
  return r > 0 ? `${text} + ${r}` : r < 0 ? `${text} - ${-r}` : text;
}

const product = (numbers) => numbers.reduce((a, b) => a * b, 1n);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0n);

/** Whether nothing runs the node at inference: it is of an auxiliary head, or no output depends on it. */
const idle = (node) => Boolean(node.training || node.unread);

/** The counts that depend on the input's size: for each node its shape, elements, MACs, the bytes
 * alive at its step, and the bytes stored for the backward. */
function countAt(nodes, values, batch) {
  const shapes = nodes.map((node) => (node.shape ?? []).map((size) => sizeAt(size, values)));
  const elements = shapes.map(product);
  const macs = nodes.map((node, id) => {
    if (!node.macs) return 0n;
    const [each, of] = node.macs;
    const times = of === "output" ? elements[id] : of === "input" ? elements[node.inputs[0]] : 1n;
    return BigInt(batch) * BigInt(each) * times;
  });
  const alive = aliveAt(nodes, elements).map((count) => count * BigInt(batch) * BYTES_PER_VALUE);
  const runs = nodes.map((node, id) => id).filter((id) => !idle(nodes[id]));
  const peak = runs.reduce((best, id) => (alive[id] > alive[best] ? id : best), 0);
  const made = runs.filter((id) => nodes[id].inputs && !nodes[id].view);
  const stored = nodes.map((node) => sum((node.stored ?? []).map((part) => storedAt(part, elements, BigInt(batch)))));
  return {
    shapes,
    elements: elements.map((count) => count * BigInt(batch)),
    macs,
    alive,
    peak,
    stored,
    totals: {
      macs: sum(runs.map((id) => macs[id])),
      activations: BigInt(batch) * sum(made.map((id) => elements[id])),
      memory: alive[peak],
      stored: sum(stored),
    },
  };
}

/** Bytes that a node stores for the backward: in proportion to the values of a node, or a number; by sample or once. */
function storedAt([bytes, values, of, batched], elements, batch) {
  return (BigInt(bytes) * (of < 0 ? 1n : elements[of]) * (batched ? batch : 1n)) / BigInt(values);
}

/** The values alive while each node is computed: outputs live until their last read, views need no memory. */
function aliveAt(nodes, elements) {
  const own = nodes.map((node, id) => ((node.memory ?? 0) === id && !idle(node) ? elements[id] : 0n));
  const freed = nodes.map(() => []);
  nodes.forEach((node, id) => freed[node.until ?? 0]?.push(id));
  let alive = sum(own.filter((_, id) => nodes[id].kind === "input"));
  return nodes.map((node, id) => {
    if (node.kind !== "input") alive += own[id];
    const here = idle(node) ? 0n : alive;
    for (const done of freed[id]) alive -= own[done];
    return here;
  });
}

/** The nearest legal size: the minimum plus a multiple of the step; a pinned size never changes. */
function legalSize({ default: usual, minimum, step, pinned }, wanted) {
  if (pinned || !Number.isFinite(wanted)) return usual;
  return Math.max(minimum, minimum + Math.round((wanted - minimum) / step) * step);
}

/** A count with four digits and its unit: 4.089 G. */
function inShort(count) {
  const exact = BigInt(count);
  if (exact < 1000n) return `${exact} `;
  let scaled = Number(exact);
  let unit = 0;
  while (scaled >= 999.95 && unit < 6) {
    scaled /= 1000;
    unit += 1;
  }
  return `${scaled.toPrecision(4)} ${" kMGTPE"[unit].trim()}`;
}

const inFull = (count) => BigInt(count).toLocaleString("en-US");

function share(part, whole) {
  if (!BigInt(whole)) return "";
  const percent = Number((BigInt(part) * 100000n) / BigInt(whole)) / 1000;
  return percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}
