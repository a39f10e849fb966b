"use strict";
// What is drawn: boxes, frames and arrows, from the tree of the network and from what is open in it.
//
// An item of the tree is known by its key, the places on the way to it: "4.0.2". Of a run of equal items either one
// stands for all, or they are shown apart: then "4.0#3" is the copy number 3.

const TIMES = "\u00d7";
const SAME = (path) => path;

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

  function place(item, key, shift, rename, members, only = -1) {
    const copies = only < 0 ? item.copies : [item.copies[0]];
    const ranges = copies.map(([start, stop]) => [start + shift, stop + shift]);
    const about = { key, item, only, count: copies.length, path: rename(copies[0][2]), last: rename(copies.at(-1)[2]) };
    if (copies.length > 1 && apart.has(key)) {
      const frame = { ...about, ranges, apart: true, members: [] };
      members.push(frame);
      copies.forEach((copy, number) => {
        const moved = shift + copy[0] - item.copies[0][0];
        const renamed = (path) => rename(path.startsWith(item.copies[0][2]) ? copy[2] + path.slice(item.copies[0][2].length) : path);
        place(item, `${key}#${number}`, moved, renamed, frame.members, number);
      });
    } else if (item.items && open.has(key)) {
      const frame = { ...about, ranges, members: [] };
      members.push(frame);
      item.items.forEach((inner, number) => place(inner, `${key}.${number}`, shift, rename, frame.members));
      const [from, to] = ranges[0];
      for (const [start, stop] of ranges.slice(1)) {
        for (let id = start; id < stop; id += 1) boxOf[id] = boxOf[Math.min(from + id - start, to - 1)];
      }
    } else {
      const rest = item.rest ?? 0;
      addBox(members, about, ranges.map(([start, stop]) => [start, stop - rest]));
      if (rest) addBox(members, restOf(about), ranges.map(([, stop]) => [stop - rest, stop]));
    }
  }

  network.items.forEach((item, number) => place(item, String(number), 0, SAME, drawing.members));
  drawing.arrows = arrowsOf(network.nodes, boxOf, drawing.boxes);
  addOutputs(network, boxOf, drawing);
  return drawing;
}

/** The concat behind the layers of a dense block, which is a box of its own. */
function restOf(about) {
  return { ...about, key: `${about.key}+`, rest: true, item: about.item.items.at(-1) };
}

/** Arrows between boxes. Those back to an earlier box lead from one copy of a run to the next: left out. */
function arrowsOf(nodes, boxOf, boxes) {
  const found = new Map();
  const said = new Set();
  for (const [id, node] of nodes.entries()) {
    for (const source of node.inputs ?? []) {
      const [from, to] = [boxOf[source], boxOf[id]];
      if (from >= to || found.has(`${from} ${to}`)) continue;
      const arrow = { from, to, node: -1, training: node.training };
      const about = `${from} ${JSON.stringify(nodes[source].shape)}`;
      if (!said.has(about) && changes(nodes, boxes[from], nodes[source])) {
        said.add(about);
        arrow.node = source;
      }
      found.set(`${from} ${to}`, arrow);
    }
  }
  return [...found.values()];
}

/** Whether a box gives another shape than it receives: then its arrow says it. */
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

/** How much each arrow wants to be straight: the trunk, the longest way through, runs down and shortcuts go around. */
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
 * The way to a node: what must be open, and which runs shown apart, for it to have a box of its own. `levels` stops
 * earlier, at a block around it. Runs that `apart` has are apart already.
 */
function wayTo(network, id, apart, levels = Infinity) {
  const way = { open: [], apart: [], key: "" };
  let [items, prefix, shift] = [network.items, "", 0];
  const holds = ([start, stop]) => id >= start + shift && id < stop + shift;
  for (let level = 1; ; level += 1) {
    const number = items.findIndex((item) => item.copies.some(holds));
    if (number < 0) return way;
    const item = items[number];
    const copy = item.copies.findIndex(holds);
    way.key = prefix + number;
    if (copy > 0 || apart.has(way.key)) {
      way.apart.push(way.key);
      way.key += `#${copy}`;
      shift += item.copies[copy][0] - item.copies[0][0];
    }
    if (!item.items || item.kind === "node" || level === levels) return way;
    way.open.push(way.key);
    [items, prefix] = [item.items, `${way.key}.`];
  }
}

/** Every block and node by name, for the search: {path, text, id, levels}. */
function namesOf(network) {
  const found = [];
  const visit = (item, level, shift, rename) => {
    for (const copy of item.kind === "node" ? [] : item.copies) {
      const renamed = (path) => rename(path.startsWith(item.copies[0][2]) ? copy[2] + path.slice(item.copies[0][2].length) : path);
      const moved = shift + copy[0] - item.copies[0][0];
      if (item.kind === "block" && copy[2]) found.push({ path: renamed(item.copies[0][2]), text: item.title, id: copy[0] + shift, levels: level });
      item.items.forEach((inner) => visit(inner, level + 1, moved, renamed));
    }
  };
  network.items.forEach((item) => visit(item, 1, 0, SAME));
  const nodes = network.nodes.map(({ path, text }, id) => ({ path, text, id, levels: Infinity }));
  return [...found, ...nodes];
}
