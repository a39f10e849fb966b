"""Where in a text the nodes of its network are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from archdsl.diagnostics import Span
from archdsl.graph import Graph, Node
from archdsl.network import Network
from archdsl.shapes import format_shape

Outputs = Mapping[str | None, Node]
"""The node with the output of a span, for each block call around it: a block is built once per call.

The copies of a repeat belong to one call; the key None stands for nodes outside of blocks.
"""


@lru_cache(maxsize=4)
def outputs(network: Network) -> Mapping[tuple[int, int], Outputs]:
    """Return the spans of all nodes, calls and composites in the network's own text, not those of its base."""
    source, nodes = network.document.source, network.nodes
    found: dict[tuple[int, int], dict[str | None, Node]] = {}
    for span, call, _, end in _made(network.graph):
        if span.source is source:
            copies = found.setdefault((span.start, span.end), {})
            if call not in copies or copies[call].id < end - 1:
                copies[call] = nodes[end - 1]
    return found


def made_by(network: Network, start: int, end: int) -> Mapping[str | None, list[Node]]:
    """Return all nodes that a span makes, for each block call around it, in the order of the graph."""
    source = network.document.source
    found: dict[str | None, set[int]] = {}
    for span, call, first, stop in _made(network.graph):
        if (span.start, span.end) == (start, end) and span.source is source:
            found.setdefault(call, set()).update(range(first, stop))
    return {call: [network.nodes[i] for i in sorted(ids)] for call, ids in found.items()}


def _made(graph: Graph) -> Iterator[tuple[Span, str | None, int, int]]:
    """The spans of nodes, of the calls around them, and of scopes: each with the call around it and its node ids."""
    for node in graph.nodes[len(graph.inputs) :]:  # the inputs come first
        site = node.origin.call
        yield node.origin.span, site and site.path, node.id, node.id + 1
        while site is not None:
            parent = site.parent
            yield site.span, parent and parent.path, node.id, node.id + 1
            site = parent
    for scope in graph.root.walk():
        if scope.parent is not None and scope.first < scope.end:
            site = scope.origin.call
            yield scope.origin.span, site and site.path, scope.first, scope.end


def shapes(nodes: Iterable[Node], symbolic: bool = False) -> str:
    """Return the different output shapes of nodes: the first, and how many others there are."""
    different = dict.fromkeys(node.shape for node in nodes)
    first, *others = dict.fromkeys(format_shape(shape, symbolic) for shape in different)
    return first + (f" and {len(others)} more" if others else "")
