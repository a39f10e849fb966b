"""The feature maps of a network, one for each stride, and the facts of a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from archdsl.analysis.count import count_nodes
from archdsl.analysis.parts import Part, inside, split
from archdsl.axes import axes_of
from archdsl.diagnostics import closest, error
from archdsl.graph import Graph, Node
from archdsl.shapes import concrete


class Stage(NamedTuple):
    """The last feature map at one stride: pixels of the input, along its most reduced axis, for each of its own."""

    stride: int
    node: Node


def stages(graph: Graph) -> tuple[Stage, ...]:
    """Return the stages of the first input, in the order of their strides.

    The last block at a stride ends the stage; where a stride has no block (a stem), its last node does. A decoder,
    whose strides shrink again, and what follows a global pool have no stages.
    """
    strides = _strides(graph)
    found: dict[int, tuple[bool, Node]] = {}
    for part in _outermost(graph):
        node = graph.nodes[part.ids.stop - 1]
        stride = strides[node.id]
        if stride is None or stride.denominator != 1 or part.training or node.id in graph.inputs:
            continue
        if found and stride < max(found):
            break
        block = part.kind == "block"
        if block or not found.get(int(stride), (False, node))[0]:
            found[int(stride)] = (block, node)
    return tuple(Stage(stride, node) for stride, (_, node) in found.items())


def _strides(graph: Graph) -> list[Fraction | None]:
    """For each node the distance of its pixels in the input; None after a global op that leaves one pixel."""
    strides: list[Fraction | None] = []
    for node in graph.nodes:
        known = [strides[i] for i in node.sources]
        before = max((stride for stride in known if stride is not None), default=None)
        if not node.inputs:
            before = Fraction(1) if node.id == graph.inputs[0] and axes_of(node.shape) else None
        window = node.op.window(node.in_shapes) if before is not None else None
        if window is None and before is not None and node.inputs:  # a gate or a norm reads all pixels, and keeps them
            same = concrete(node.shape)[1:] == concrete(node.in_shapes[0])[1:]
            strides.append(before if same and set(concrete(node.shape)[1:]) != {1} else None)
        else:
            steps = (Fraction(reads.step, reads.per) for reads in window or ())
            strides.append(None if before is None else before * max(steps, default=Fraction(1)))
    return strides


def _outermost(graph: Graph) -> list[Part]:
    """The blocks and written nodes of the net, from first to last; sequences of them are opened."""
    parts: list[Part] = []
    pending = list(reversed(split(graph, graph.root)))
    while pending:
        part = pending.pop()
        if part.kind == "sequence":
            pending += reversed(inside(graph, part))
        else:
            parts.append(part)
    return parts


@dataclass(frozen=True, slots=True)
class Section:
    """A node, or a part of the network with several: `params` and `macs` are sums, `shape` is that of its output."""

    path: str
    nodes: tuple[Node, ...]
    params: int
    macs: int

    @property
    def shape(self) -> tuple[int, ...]:
        return concrete(self.nodes[-1].shape)

    def __repr__(self) -> str:
        what = repr(self.nodes[0].op) if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        shape = " x ".join(map(str, self.shape))
        return f"<{self.path}: {what}, output {shape}, {self.params:,} params, {self.macs:,} MACs>"


def section(graph: Graph, path: str) -> Section:
    """Return the node or the part with this path. Raises E0001 (status 2) if there is none."""
    ids = {node.path: range(node.id, node.id + 1) for node in graph.nodes}
    parts = {scope.path: range(scope.first, scope.end) for scope in reversed([*graph.root.walk()]) if scope.path}
    ids = parts | ids
    if path not in ids:
        near = closest(path, ids)
        help = f"did you mean `{near}`?" if near else "`archdsl params` lists the paths"
        raise error("E0001", f"`{graph.name}` has no node or block `{path[:120]}`", status=2, help=help)
    counts = count_nodes(graph)
    span = ids[path]
    nodes, costs = graph.nodes[span.start : span.stop], counts[span.start : span.stop]
    return Section(path, nodes, sum(c.params for c in costs), sum(c.macs for c in costs))
