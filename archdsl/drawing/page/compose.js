"use strict";
// Composes the boxes, frames and arrows of a drawing from the tree of the network and the set of expanded items.
//
// The key of an item lists the indices on the path to it: "4.0.2". A run of equal items is collapsed to one item, or its
// copies are shown apart: then "4.0#3" is copy number 3.

const TIMES = "\u00d7";
const SAME = (path) => path;
/** Renames paths in the first copy of an item to those in another copy. */
const inCopy = (item, copy, rename) => (path) => rename(path.startsWith(item.copies[0][2]) ? copy[2] + path.slice(item.copies[0][2].length) : path);

/** Boxes {number, key, item, ids, ...}, the top members (boxes and frames {key, item, members}), and arrows. */
function compose(network, open, apart) {
  const drawing = { boxes: [], members: [], arrows: [] };
  const boxOf = new Array(network.nodes.length).fill(-1);

  function addBox(members, about, ranges) {
    const box = { number: drawing.boxes.length, ranges, ...about };
    drawing.boxes.push(box);
    members.push(box);
    for (const [start, stop] of ranges) boxOf.fill(box.number, start, stop);
  }

  // `shifts` move the ids of the first copy of the frames around an item to those of each copy: counts are of all.
  function place(item, key, shifts, rename, members, only = -1) {
    const copies = only < 0 ? item.copies : [item.copies[0]];
    const ranges = shifts.flatMap((shift) => copies.map(([start, stop]) => [start + shift, stop + shift]));
    const moved = (copy) => shifts.map((shift) => shift + copy[0] - item.copies[0][0]);
    const about = { key, item, only, count: copies.length, path: rename(copies[0][2]), last: rename(copies.at(-1)[2]) };
    if (copies.length > 1 && apart.has(key)) {
      const frame = { ...about, ranges, apart: true, members: [] };
      members.push(frame);
      copies.forEach((copy, number) => {
        const renamed = inCopy(item, copy, rename);
        place(item, `${key}#${number}`, moved(copy), renamed, frame.members, number);
      });
    } else if (item.items && open.has(key)) {
      const frame = { ...about, ranges, members: [] };
      members.push(frame);
      item.items.forEach((inner, number) => place(inner, `${key}.${number}`, copies.flatMap(moved), rename, frame.members));
    } else {
      const rest = item.rest ?? 0;
      addBox(members, about, ranges.map(([start, stop]) => [start, stop - rest]));
      if (rest) addBox(members, restOf(about), ranges.map(([, stop]) => [stop - rest, stop]));
    }
  }

  network.items.forEach((item, number) => place(item, String(number), [0], SAME, drawing.members));
  drawing.arrows = arrowsOf(network.nodes, boxOf, drawing.boxes);
  addOutputs(network, boxOf, drawing);
  return drawing;
}

/** The concat after the layers of a dense block, which is a separate box. */
function restOf(about) {
  return { ...about, key: `${about.key}+`, rest: true, item: about.item.items.at(-1) };
}

/** Arrows between boxes, except arrows to an earlier box: they lead from one copy of a run to the next. */
function arrowsOf(nodes, boxOf, boxes) {
  const arrows = new Map();
  const labelled = new Set();
  for (const [id, node] of nodes.entries()) {
    for (const source of node.inputs ?? []) {
      const [from, to] = [boxOf[source], boxOf[id]];
      if (from >= to || arrows.has(`${from} ${to}`)) continue;
      const arrow = { from, to, node: -1, training: node.training };
      const about = `${from} ${JSON.stringify(nodes[source].shape)}`;
      if (!labelled.has(about) && changes(nodes, boxes[from], nodes[source])) {
        labelled.add(about);
        arrow.node = source;
      }
      arrows.set(`${from} ${to}`, arrow);
    }
  }
  return [...arrows.values()];
}

/** Whether the output shape of a box differs from its input shape: then its arrow is labelled. */
function changes(nodes, box, source) {
  const first = nodes[box.ranges[0][0]];
  return Boolean(first.inputs) && JSON.stringify(nodes[first.inputs[0]].shape) !== JSON.stringify(source.shape);
}

function addOutputs(network, boxOf, drawing) {
  const outputs = Object.entries(network.outputs);
  for (const [name, id] of outputs) {
    if (outputs.length < 2 && network.nodes[id].shape.length < 2) continue;
    const item = { kind: "output", look: "output", title: name };
    const box = { number: drawing.boxes.length, key: `>${name}`, item, count: 1, path: name, last: name, ranges: [[id, id + 1]], output: true };
    drawing.boxes.push(box);
    drawing.members.push(box);
    drawing.arrows.push({ from: boxOf[id], to: box.number, node: -1 });
  }
}

/** The weight of each arrow: the trunk, the longest path, runs straight down, and shortcuts go around it. */
function weights({ boxes, arrows, members }) {
  if (!members.some((member) => member.item.kind === "stage")) return arrows.map(() => 1);
  const degree = { from: boxes.map(() => 0), to: boxes.map(() => 0) };
  const depth = boxes.map(() => 0);
  const straight = new Map();
  for (const arrow of arrows) {
    if (!arrow.training) degree.from[arrow.from] += 1;
    degree.to[arrow.to] += 1;
    if (depth[arrow.from] + 1 > depth[arrow.to]) {
      depth[arrow.to] = depth[arrow.from] + 1;
      straight.set(arrow.to, arrow);
    }
  }
  const trunk = new Map();
  for (const arrow of straight.values()) {
    const plain = degree.from[arrow.from] <= 2 && degree.to[arrow.to] <= 2 && !arrow.training;
    if (plain && !trunk.has(arrow.from)) trunk.set(arrow.from, arrow);
  }
  for (const arrow of trunk.values()) arrow.trunk = boxes[arrow.from].trunk = boxes[arrow.to].trunk = true;
  return arrows.map((arrow) => {
    if (arrow.trunk) return 100;
    return degree.from[arrow.from] > 1 && degree.to[arrow.to] === 1 ? 2 : 1;
  });
}

/**
 * The route to a node: the items to expand and the runs to show apart so that the node has its own box. `levels` stops
 * earlier, at a block around the node, and `stop` at the first item with no nodes but those from `id` up to `stop`. The
 * runs in `apart` are already shown apart.
 */
function routeTo(network, id, apart, levels = Infinity, stop = 0) {
  const route = { open: [], apart: [], key: "" };
  let [items, prefix, shift] = [network.items, "", 0];
  const holds = ([start, stop]) => id >= start + shift && id < stop + shift;
  for (let level = 1; ; level += 1) {
    const number = items.findIndex((item) => item.copies.some(holds));
    if (number < 0) return route;
    const item = items[number];
    const copy = item.copies.findIndex(holds);
    route.key = prefix + number;
    const named = item.kind !== "stage";
    if (named && item.copies[0][0] + shift >= id && item.copies.at(-1)[1] + shift <= stop) return route;
    if (copy > 0 || apart.has(route.key)) {
      route.apart.push(route.key);
      route.key += `#${copy}`;
      shift += item.copies[copy][0] - item.copies[0][0];
    }
    if (!item.items || item.kind === "node" || level === levels) return route;
    route.open.push(route.key);
    [items, prefix] = [item.items, `${route.key}.`];
  }
}

/** The entry of a block or node, or of all nodes whose paths begin with a path; undefined if there is none. */
function entryOf(network, path) {
  const entry = namesOf(network).find((each) => each.path === path);
  if (entry) return entry;
  const ids = network.nodes.flatMap((node, id) => (node.path.startsWith(`${path}.`) ? [id] : []));
  return ids.length ? { id: ids[0], levels: Infinity, stop: ids.at(-1) + 1 } : undefined;
}

/** A name for the key of each item and copy, and back: its path, or `~` and the path of its first item, or the key. */
function keyNames(network) {
  const [names, keys] = [new Map(), new Map()];
  const add = (key, path) => {
    const name = path && !keys.has(path) ? path : `~${key}`;
    names.set(key, name);
    keys.set(name, key);
  };
  const visit = (item, key, rename) => {
    const first = (inner) => inner.copies[0][2] || first(inner.items[0]);
    add(key, rename(item.copies[0][2]) || `~${rename(first(item))}`);
    enter(item, key, rename);
    if (item.copies.length > 1) item.copies.forEach((copy, number) => {
      const renamed = inCopy(item, copy, rename);
      add(`${key}#${number}`, number ? renamed(item.copies[0][2]) : "");
      enter(item, `${key}#${number}`, renamed);
    });
  };
  const enter = (item, key, rename) => item.items?.forEach((inner, number) => visit(inner, `${key}.${number}`, rename));
  network.items.forEach((item, number) => visit(item, String(number), SAME));
  return { names, keys };
}

/** Every block and node for the search: {path, text, id, levels}. */
function namesOf(network) {
  const blocks = [];
  const visit = (item, level, shift, rename) => {
    for (const copy of item.kind === "node" ? [] : item.copies) {
      const renamed = inCopy(item, copy, rename);
      const moved = shift + copy[0] - item.copies[0][0];
      if (item.kind === "block" && copy[2]) blocks.push({ path: renamed(item.copies[0][2]), text: item.title, id: copy[0] + shift, levels: level });
      item.items.forEach((inner) => visit(inner, level + 1, moved, renamed));
    }
  };
  network.items.forEach((item) => visit(item, 1, 0, SAME));
  const nodes = network.nodes.map(({ path, text, fields }, id) => ({ path, text, fields, id, levels: Infinity }));
  return [...blocks, ...nodes];
}
