"""The head of a classifier: the nodes that compute the scores of classes from the last feature map."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.graph import Graph, Node, needed_for
from archdsl.ops import AvgPool, Conv, Fc, Gap, LogSoftmax, Sigmoid, Softmax
from archdsl.shapes import concrete


@dataclass(frozen=True, slots=True)
class PooledHead:
    """A head that is a global average pool and at most one linear layer.

    `features` is the input of the pool. `linear`, an `fc` or a `1x1 conv`, is None if the output is the pooled map.
    """

    features: Node
    linear: Node | None


def logits_node(graph: Graph) -> Node:
    """Return the node that computes the first output, without a final softmax or sigmoid."""
    return _before_views(graph, graph.nodes[next(iter(graph.outputs.values()))], (Softmax, LogSoftmax, Sigmoid))


def pooled_head(graph: Graph) -> PooledHead | None:
    """Return the head of the first output; None if it is not a global average pool and at most one linear layer."""
    node, linear = logits_node(graph), None
    if _is_linear(node):
        linear, node = node, _before_views(graph, graph.nodes[node.inputs[0]])
    return PooledHead(graph.nodes[node.inputs[0]], linear) if is_global_average(node) else None


def is_global_average(node: Node) -> bool:
    """Return whether the node is a global average pool, or an average pool whose only window is the whole input."""
    op = node.op
    if not isinstance(op, AvgPool):
        return isinstance(op, Gap)
    if op.adaptive:
        return set(op.kernel) == {1}
    (shape,) = node.in_shapes
    return op.kernel == shape[1:] and set(node.shape[1:]) == {1} and not any(op.end_pads(shape, node.shape))


def last_map(graph: Graph, end: Node) -> Node | None:
    """Return the last node before `end` that has more than one pixel and that every path from the inputs passes.

    None if only the inputs have several pixels.
    """
    needed = sorted(needed_for(graph.nodes, {end.id}))
    best, reach = None, 0
    last_reader = {source: reader for reader in needed for source in graph.nodes[reader].sources}
    for number in needed:
        node = graph.nodes[number]
        if reach <= number and number not in graph.inputs and has_pixels(node):
            best = node
        reach = max(reach, last_reader.get(number, number))
    return best


def has_pixels(node: Node) -> bool:
    """Return whether the node's output has spatial axes, and more than one pixel."""
    return bool(set(concrete(node.shape)[1:]) - {1})


def _is_linear(node: Node) -> bool:
    op = node.op
    if isinstance(op, Conv):
        points = {*op.kernel, *op.stride} == {1} and not any(op.pads(node.in_shapes[0]))
        return points and isinstance(op.bias, bool)
    return isinstance(op, Fc)


def _before_views(graph: Graph, node: Node, more: tuple[type, ...] = ()) -> Node:
    """The node, or the first one before it that changes values at inference and is none of the ops `more`."""
    while node.inputs and (not node.op.stored or not node.op.inference or isinstance(node.op, more)):
        node = graph.nodes[node.inputs[0]]
    return node
