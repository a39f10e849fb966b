"""Strides between two nodes: how many pixels of the first lie between neighbouring pixels of the second.

They follow from the ops, not from the sizes: sizes can fit another stride by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from archdsl.axes import axes_of
from archdsl.graph import Node
from archdsl.ops import AvgPool
from archdsl.ops.merge import Merge
from archdsl.shapes import Shape, at


class Grid(NamedTuple):
    """The pixels of a node, relative to those of an earlier node: `strides` of its pixels apart."""

    node: int
    strides: tuple[Fraction, ...]


def extend(grids: list[Grid], nodes: Sequence[Node]) -> None:
    """Add the grids of the nodes that have none yet.

    A node whose op has no stride (a global pool), or whose inputs have different ones, starts a grid of its own.
    """
    for node in nodes[len(grids) :]:
        grids.append(_grid(node, grids) or Grid(node.id, (Fraction(1),) * max(len(node.shape or ()) - 1, 0)))


def between(first: Grid, second: Grid) -> tuple[int, ...] | None:
    """Return the stride of each axis from the first node to the second; None if there are no whole ones."""
    if first.node != second.node:
        return None
    strides = [after / before for before, after in zip(first.strides, second.strides, strict=True)]
    return tuple(map(int, strides)) if all(stride.denominator == 1 for stride in strides) else None


def _grid(node: Node, grids: Sequence[Grid]) -> Grid | None:
    if not node.inputs or node.shape is None or None in node.in_shapes or not axes_of(node.shape):
        return None
    if isinstance(node.op, Merge):
        whole = [i for i, shape in zip(node.inputs, node.in_shapes, strict=True) if _size(shape) == _size(node.shape)]
        earliest = min(grids[i].node for i in whole)
        merged = {grids[i] for i in whole if grids[i].node == earliest}
        return merged.pop() if len(merged) == 1 else None
    shape, source = node.in_shapes[0], node.inputs[0]
    window = None if isinstance(node.op, AvgPool) and node.op.adaptive else node.op.window(node.in_shapes)
    if not axes_of(shape) or (window is None and _size(shape) != _size(node.shape)):
        return None
    if not window or all(reads.step == reads.per for reads in window):  # also a norm over the image
        return grids[source]
    before = grids[source].strides
    strides = (stride * Fraction(reads.step, reads.per) for stride, reads in zip(before, window, strict=True))
    return Grid(grids[source].node, tuple(strides))


def _size(shape: Shape) -> list[int]:
    return [at(size) for size in shape[1:]]
