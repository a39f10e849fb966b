"""Where in a text the nodes of its network are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from archdsl.diagnostics import CallSite, Span
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
    source = network.document.source
    found: dict[tuple[int, int], dict[str | None, Node]] = {}
    for span, call, node in _made(network.graph):
        if span.source is source:
            copies = found.setdefault((span.start, span.end), {})
            if call not in copies or copies[call].id < node.id:
                copies[call] = node
    return found


def _made(graph: Graph) -> Iterator[tuple[Span, str | None, Node]]:
    """Each span, the call that it is in, and a node that it makes: of nodes, of the calls around them, of scopes."""
    inputs = frozenset(graph.inputs)
    for node in graph.nodes:
        if node.id not in inputs:
            for span, site in _spans(node):
                yield span, site.path if site is not None else None, node
    for scope in graph.root.walk():
        if scope.parent is not None and scope.first < scope.end:
            site = scope.origin.call
            yield scope.origin.span, site.path if site is not None else None, graph.nodes[scope.end - 1]


def _spans(node: Node) -> Iterator[tuple[Span, CallSite | None]]:
    """The span of a node, and those of the calls around it, each with the call that it is in."""
    site = node.origin.call
    yield node.origin.span, site
    while site is not None:
        yield site.span, site.parent
        site = site.parent


def shapes(nodes: Iterable[Node], symbolic: bool = False) -> str:
    """Return the different output shapes of nodes: the first, and how many others there are."""
    different = dict.fromkeys(node.shape for node in nodes)
    first, *others = dict.fromkeys(format_shape(shape, symbolic) for shape in different)
    return first + (f" and {len(others)} more" if others else "")


def made_by(network: Network, start: int, end: int) -> Mapping[str | None, list[Node]]:
    """Return all nodes that a span makes, for each block call around it, in the order of the graph."""
    source, graph = network.document.source, network.graph
    found: dict[str | None, dict[int, Node]] = {}

    def add(span: Span, site: CallSite | None, nodes: Iterable[Node]) -> None:
        if span.source is source and (span.start, span.end) == (start, end):
            found.setdefault(site.path if site is not None else None, {}).update((node.id, node) for node in nodes)

    for node in graph.nodes:
        for span, site in _spans(node):
            add(span, site, (node,))
    for scope in graph.root.walk():
        add(scope.origin.span, scope.origin.call, graph.nodes[scope.first : scope.end])
    return {call: [nodes[i] for i in sorted(nodes)] for call, nodes in found.items()}
