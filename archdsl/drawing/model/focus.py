"""One block of a network drawn alone: finding it by its path, and what goes in and out of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from archdsl.analysis.parts import Part, node_part, scope_part
from archdsl.diagnostics import closest, error, escape_control
from archdsl.graph import Graph

_SHOWN = 12


class Focus(NamedTuple):
    part: Part


def known(graph: Graph) -> frozenset[str]:
    """Every path that can be named: of blocks, sequences and written nodes."""
    return frozenset({s.path for s in graph.root.walk() if s.path} | {n.path for n in graph.nodes if not n.implied})


def need_path(name: str, paths: Collection[str], path: str) -> None:
    """Raises E0713 (status 2) unless the path is one of the network's."""
    if path in paths:
        return
    parent = path.rpartition(".")[0]
    while parent and parent not in paths:
        parent = parent.rpartition(".")[0]
    beside = [p for p in paths if p.rpartition(".")[0] == parent]
    near = closest(path, sorted(paths))
    listed = ", ".join(sorted(beside, key=_order)[:_SHOWN]) + (", ..." if len(beside) > _SHOWN else "")
    help = (f"did you mean `{near}`? " if near else "") + (f"`{parent}` has: " if parent else "it has: ") + listed
    shown = escape_control(path if len(path) <= 80 else f"{path[:60]}...")
    raise error("E0713", f"`{name}` has no `{shown}`", status=2, help=help)


def _order(path: str) -> list[tuple[int, str]]:
    """Numbers in paths by their value."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in path.split(".")]


def focus_on(graph: Graph, path: str) -> Focus:
    """What has the path: the outermost scope, or the node."""
    for scope in graph.root.walk():
        if scope.path == path and scope.name is not None:
            return Focus(scope_part(graph, scope))
    return Focus(node_part(graph.by_path[path]))


def crossing(graph: Graph, ids: range) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The nodes outside that are read inside, and those inside that are read outside or are outputs."""
    nodes = graph.nodes[ids.start : ids.stop]
    given = dict.fromkeys(i for node in nodes for i in node.inputs if i not in ids)
    ends = {*graph.outputs.values(), *(head.node for head in graph.aux.values())}
    left = [i for i in ids if i in ends or any(reader not in ids for reader in graph.consumers[i])]
    return tuple(given), tuple(left)
