"""A drawing of one block: find it by its path, and find its inputs and outputs."""

from __future__ import annotations

from collections.abc import Collection

from archdsl.analysis.parts import Part, node_part, scope_part
from archdsl.diagnostics import ArchError, closest, error, escape_control
from archdsl.drawing.model.drawing import EVERYTHING, View
from archdsl.graph import Graph

_SHOWN = 12


def known_paths(graph: Graph) -> frozenset[str]:
    """Return the paths of all blocks, sequences and written nodes."""
    return frozenset({s.path for s in graph.root.walk() if s.path} | {n.path for n in graph.nodes if not n.implied})


def _no_path(name: str, paths: Collection[str], path: str) -> ArchError:
    parent = path.rpartition(".")[0]
    while parent and parent not in paths:
        parent = parent.rpartition(".")[0]
    beside = [p for p in paths if p.rpartition(".")[0] == parent]
    near = closest(path, sorted(paths))
    listed = ", ".join(sorted(beside, key=_order)[:_SHOWN]) + (", ..." if len(beside) > _SHOWN else "")
    help = (f"did you mean `{near}`? " if near else "") + (f"`{parent}` has: " if parent else "it has: ") + listed
    shown = escape_control(path if len(path) <= 80 else f"{path[:60]}...")
    return error("E0713", f"`{name}` has no `{shown}`", status=2, help=help)


def _order(path: str) -> list[tuple[int, str]]:
    """Sort key of a path: its numbers by value."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in path.split(".")]


def check_paths(graph: Graph, view: View) -> None:
    """Raise E0713 (status 2) for a path of the view that the network does not have."""
    paths = known_paths(graph)
    for path in (view.focus, *view.expand):
        if path and path not in paths and (path != EVERYTHING or path == view.focus):
            raise _no_path(graph.name, paths, path)


def focus_on(graph: Graph, view: View) -> Part | None:
    """Return the only part that is drawn, of the outermost scope with the path or of the node; None without a focus.

    Raises as `check_paths`.
    """
    check_paths(graph, view)
    if not view.focus:
        return None
    for scope in graph.root.walk():
        if scope.path == view.focus and scope.name is not None:
            return scope_part(graph, scope)
    return node_part(graph.by_path[view.focus])


def crossing(graph: Graph, ids: range) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the outside nodes that the range reads, and its nodes that are read outside or are outputs."""
    nodes = graph.nodes[ids.start : ids.stop]
    inputs = dict.fromkeys(i for node in nodes for i in node.inputs if i not in ids)
    ends = {*graph.outputs.values(), *(head.node for head in graph.aux.values())}
    outputs = [i for i in ids if i in ends or any(reader not in ids for reader in graph.consumers[i])]
    return tuple(inputs), tuple(outputs)
