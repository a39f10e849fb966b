"""The arrows of a drawing, from the edges of the graph and the box of each node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from archdsl.drawing.model.drawing import Arrow, Box, Frame, walk
from archdsl.graph import Graph
from archdsl.report.words import TIMES, common_text
from archdsl.shapes import Shape, concrete, format_shape


def edges(
    graph: Graph, box_of: Mapping[int, int], runs: Iterable[Sequence[range]]
) -> Iterator[tuple[int, int, Shape, bool]]:
    """Yield (from box, to box, shape, training only) of each edge of the graph that is drawn.

    Edges within a box are not drawn, nor from a node that gives only its size, nor between the copies of a run, of
    which only one copy is drawn.
    """
    between = set(_between_copies(graph, runs))
    for node in graph.nodes:
        target = box_of.get(node.id)
        if target is None:
            continue
        for source in node.sources:
            start = box_of.get(source)
            if start is not None and start < target and (source, node.id) not in between:
                yield start, target, graph.nodes[source].shape, node.training


def _between_copies(graph: Graph, runs: Iterable[Sequence[range]]) -> Iterator[tuple[int, int]]:
    for copies in runs:
        start = copies[0].start
        for ids in copies[1:]:
            for node in graph.nodes[ids.start : ids.stop]:
                yield from ((source, node.id) for source in node.sources if start <= source < ids.start)


def arrows(
    members: Sequence[Box | Frame],
    connections: Iterable[tuple[int, int, Shape, bool]],
    ends: Iterable[tuple[Shape, int, int]],
) -> tuple[Arrow, ...]:
    """Return one arrow for each pair of boxes, in the order of first use; those to the outputs come last."""
    boxes = {box.number: box for box in walk(members) if isinstance(box, Box)}
    shapes: dict[tuple[int, int], dict[Shape, bool]] = {}
    for source, target, shape, training in connections:
        shapes.setdefault((source, target), {}).setdefault(shape, training)
    drawn: dict[tuple[int, int], Arrow] = {}
    labelled: set[tuple[int, str]] = set()
    for (source, target), found in shapes.items():
        first, training = next(iter(found.items()))
        label = _label(boxes[source], list(found), labelled)
        drawn[source, target] = Arrow(source, target, first, label, training)
    for shape, source, target in ends:
        drawn[source, target] = Arrow(source, target, shape)
    skipping = skips(drawn)
    return tuple(Arrow(a.source, a.target, a.shape, a.label, a.training, pair in skipping) for pair, a in drawn.items())


def _label(box: Box, shapes: Sequence[Shape], labelled: set[tuple[int, str]]) -> str:
    """Return the output shape of a box if it differs from its input shape and no arrow has this label yet.

    Sizes that differ in the copies of a frame are ranges: `64…128 x 56 x 56`.
    """
    changes = box.look != "input" and (not box.in_shapes or concrete(box.in_shapes[0]) != concrete(shapes[0]))
    label = common_text([format_shape(shape, times=f" {TIMES} ") for shape in shapes]) or "?"
    if not changes or (box.number, label) in labelled:
        return ""
    labelled.add((box.number, label))
    return label


def skips(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the arrows for which a longer route leads to the same box. Box numbers increase along arrows: no
    cycles."""
    before: dict[int, list[int]] = {}
    for source, target in pairs:
        before.setdefault(target, []).append(source)
    ancestors: dict[int, int] = {}
    """For each box, all boxes that lead to it, as bits."""
    for target in sorted(before):
        ancestors[target] = 0
        for source in before[target]:
            ancestors[target] |= ancestors.get(source, 0) | 1 << source
    return {
        (source, target)
        for target, sources in before.items()
        for source in sources
        if any(ancestors.get(other, 0) >> source & 1 for other in sources if other != source)
    }
