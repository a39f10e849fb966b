"""What each pass does to the ONNX file of a network: nodes, bytes of numbers, multiply-accumulates."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from archdsl.analysis.count import count
from archdsl.backends.onnx.plan import plan
from archdsl.graph import Graph
from archdsl.passes.optimise import PASSES


class Effect(NamedTuple):
    """The network behind a pass ("": before the first). `nodes` are the graph's own, `onnx_nodes` those of the file,
    `nbytes` its initializers'; `changed` whether the pass did anything."""

    name: str
    about: str
    nodes: int
    onnx_nodes: int
    nbytes: int
    macs: int
    changed: bool


def effects(graph: Graph, passes: Collection[str] = tuple(PASSES)) -> tuple[Effect, ...]:
    """The network as written, then behind each of the passes, which build on one another."""
    found = [_effect("", "", graph, False)]
    for name, function in PASSES.items():
        if name in passes:
            made = function(graph)
            about = (function.__doc__ or "").partition("\n\n")[0]
            found.append(_effect(name, " ".join(about.split()), made, made is not graph))
            graph = made
    return tuple(found)


def _effect(name: str, about: str, graph: Graph, changed: bool) -> Effect:
    planned = plan(graph)
    return Effect(name, about, len(graph.nodes), len(planned.nodes), planned.nbytes, count(graph).macs, changed)
