"""Receptive fields: the part of the input that one value of each node depends on.

Computed from input to output: a window of reach k and stride s, on a node whose field is r and whose neighbouring
values are j input pixels apart, covers ``r + (k - 1) * j`` pixels, and its neighbouring values are ``j * s`` apart
(Araujo et al. 2019, "Computing receptive fields of convolutional neural networks", equations 1 and 2). A stride below 1
(deconv, upsample) reduces the distance. A merge has the largest field of its inputs. The field is theoretical: it may
be larger than the image.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from archdsl.graph import Graph, Node
from archdsl.shapes import concrete


class ReceptiveField(NamedTuple):
    """Height and width in pixels of the input."""

    height: int
    width: int


class _Reach(NamedTuple):
    """Field and distance of neighbours along one axis, in pixels of the input; fractional after fractional strides."""

    size: float
    jump: float


_START = _Reach(1.0, 1.0)
_ROUNDING = 1e-6


def receptive_fields(graph: Graph) -> tuple[ReceptiveField | None, ...]:
    """Return for each node the height and width of its receptive field; None: the whole image.

    A global op (gap, flatten), every node after it, and a vector input have None.
    """
    known: list[tuple[_Reach, _Reach] | None] = []
    for node in graph.nodes:
        known.append(_reach(node, [known[i] for i in node.inputs]))
    return tuple(
        None if pair is None else ReceptiveField(*(ceil(axis.size - _ROUNDING) for axis in pair)) for pair in known
    )


def _reach(node: Node, inputs: list[tuple[_Reach, _Reach] | None]) -> tuple[_Reach, _Reach] | None:
    if not inputs:
        return (_START, _START) if len(node.shape) == 3 else None
    window = node.op.window(node.in_shapes)
    pairs = [pair for pair in inputs if pair is not None]
    if window is None or len(pairs) < len(inputs):
        return None
    axes = []
    for axis in (0, 1):
        size = max(pair[axis].size for pair in pairs)
        jump = max(pair[axis].jump for pair in pairs)
        axes.append(_Reach(size + (window.reach[axis] - 1) * jump, jump * window.stride[axis]))
    return axes[0], axes[1]


def feature_field(graph: Graph) -> ReceptiveField | None:
    """Return the field of the last feature map, which a classifier pools or flattens.

    None: the whole image, or a network without feature maps.
    """
    fields = receptive_fields(graph)
    maps = [n.id for n in graph.nodes if not n.training and len(n.shape) == 3 and not _pooled(n)]
    return fields[maps[-1]] if maps else None


def _pooled(node: Node) -> bool:
    return all(size == 1 for size in concrete(node.shape)[1:]) and bool(node.inputs)
