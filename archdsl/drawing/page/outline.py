"""The network as a tree for the page: stages, blocks, runs of equal blocks, written nodes, single ops.

The tree contains all levels, so that the page's scripts can expand and collapse any part. Of a run of equal parts it
contains only the first copy; the others differ in the node ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from archdsl.analysis.equal_scopes import signatures
from archdsl.analysis.parts import Part, Signatures, changes, head, inside, node_part, scopes, split
from archdsl.axes import kind_of, sizes_words
from archdsl.diagnostics import escape_control
from archdsl.drawing.model.boxes import block_box, node_box
from archdsl.drawing.model.drawing import NOTHING, Box
from archdsl.drawing.model.stages import collapse_nodes, stages
from archdsl.graph import Graph
from archdsl.report.words import TIMES, changed_lines
from archdsl.shapes import concrete

Data: TypeAlias = dict[str, Any]
_BETWEEN = " \u2026 "
MANY, GROUP = 120, 40
"""More items than the first number are divided into groups of the second, so that the drawing stays readable."""


def outline(graph: Graph) -> list[Data]:
    """Return the items of the whole network in written order, each with its inner items.

    `copies` are `[first id, id after the last, path]`, one for each copy; the last `rest` nodes of a copy are a
    separate box while the item is collapsed (the concat after a layer of a dense block). `changes` are the numbers that
    differ among the copies, each by the first id of a copy, also of those in the copies of the blocks around it.
    """
    same = signatures(graph, fields=False)
    top = collapse_nodes(graph, _flattened(graph, split(graph, graph.root, same), same))
    items: list[Data] = []
    for parts, title in stages(graph, top, boxes=False):
        inner = _grouped([_item(graph, part, same, "", (0,)) for part in parts])
        items += [_stage(graph, title, inner)] if title else inner
    return _grouped(items)


def _flattened(graph: Graph, parts: Sequence[Part], same: Signatures) -> list[Part]:
    """Replace named sequences by their members."""
    flat: list[Part] = []
    pending = list(reversed(parts))
    while pending:
        part = pending.pop()
        if part.kind == "sequence" and part.scope is not None and part.scope.role != "aux":
            pending += reversed(inside(graph, part, same))
        else:
            flat.append(part)
    return flat


def _grouped(items: list[Data]) -> list[Data]:
    """Divide a long list of items into groups, repeatedly, until it is short enough to be drawn."""
    while len(items) > MANY:
        items = [_group(items[n : n + GROUP]) for n in range(0, len(items), GROUP)]
    return items


def _group(items: list[Data]) -> Data:
    (start, _, first), (_, stop, last) = items[0]["copies"][0], items[-1]["copies"][-1]
    title = f"{len(items)} parts"
    return {
        "kind": "block",
        "look": "block",
        "title": title,
        "name": f"{first}{_BETWEEN}{last}",
        "copies": [[start, stop, ""]],
        "items": items,
    }


def _stage(graph: Graph, title: str, items: list[Data]) -> Data:
    """A stage: neighbours of one resolution. If its title is a size, `resolution` is a node of that size, and `lead` is
    what stands before it."""
    start, stop = items[0]["copies"][0][0], items[-1]["copies"][-1][1]
    stage: Data = {
        "kind": "stage",
        "look": "block",
        "title": escape_control(title),
        "copies": [[start, stop, ""]],
        "items": items,
    }
    sized = (n for n in graph.nodes[start:stop] if n.known and sizes_words(concrete(n.shape), f" {TIMES} ") == title)
    named = next(sized, None)
    return stage if named is None else stage | {"resolution": named.id, "lead": kind_of(named.shape).lead}


def _item(graph: Graph, part: Part, same: Signatures, around: str, shifts: Sequence[int]) -> Data:
    """A part with its inner items. The recursion is as deep as blocks are nested.

    `shifts` are the distances in nodes from the first copy of the blocks around to each of their copies.
    """
    if part.scope is None or part.kind == "node":
        return _node(graph, part, shifts)
    parts = collapse_nodes(graph, _flattened(graph, inside(graph, part, same), same))
    within = _within(part, shifts)
    inner = _grouped([_item(graph, each, same, part.path, within) for each in parts])
    paths = [scope.path for scope in scopes(graph, part)]
    return _item_data(graph, block_box(graph, 0, part, around, NOTHING), "block", part, paths, within) | {
        "rest": part.copies[0].stop - part.scope.end,
        "items": inner,
    }


def _node(graph: Graph, part: Part, shifts: Sequence[int]) -> Data:
    """A written node with its ops as inner items."""
    at = head(graph, part).id - part.copies[0].start
    named = [scope.path for scope in scopes(graph, part)]
    paths = named or [graph.nodes[copy.start + at].path for copy in part.copies]
    within = _within(part, shifts)
    item = _item_data(graph, node_box(graph, 0, part, NOTHING), "node", part, paths, within)
    if len(part.copies[0]) > 1:
        item["items"] = [_node(graph, node_part(node), within) for node in part.nodes(graph)]
    return item


def _within(part: Part, shifts: Sequence[int]) -> list[int]:
    """The shifts of all copies of a part, also of those in the copies of the blocks around it."""
    return [by + copy.start - part.copies[0].start for by in shifts for copy in part.copies]


def _item_data(graph: Graph, box: Box, kind: str, part: Part, paths: Iterable[str], within: Sequence[int]) -> Data:
    """The data of a box without empty values. The page computes the shape of an input itself."""
    ranged = changed_lines(graph, part)
    lines = (line for line in box.lines if line not in ranged)
    texts = {
        "title": box.title,
        "name": box.name,
        "tail": "" if box.look == "input" else ", ".join(filter(None, (box.tail, *lines))),
    }
    escaped = {name: escape_control(text) for name, text in texts.items()}
    item = {"kind": kind, "look": box.look, **escaped, "sign": bool(box.sign), "training": box.training}
    everywhere = [range(part.copies[0].start + by, part.copies[0].stop + by) for by in within]
    item["changes"] = {
        name: {ids.start: f"{value:.4g}" for ids, value in zip(everywhere, values, strict=True)}
        for name, values in changes(graph, part._replace(copies=tuple(everywhere))).items()
    }
    copies = [[ids.start, ids.stop, escape_control(path)] for ids, path in zip(part.copies, paths, strict=True)]
    return {name: value for name, value in item.items() if value} | {"copies": copies}
