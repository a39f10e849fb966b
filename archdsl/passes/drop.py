"""Passes that remove nodes without effect at inference."""

from __future__ import annotations

from dataclasses import replace

from archdsl.graph import Graph
from archdsl.ops import Affine, Input
from archdsl.passes.edit import Edit


def drop_training(graph: Graph) -> Graph:
    """Remove auxiliary heads, which run in training only."""
    plain = replace(graph, aux={}) if graph.aux else graph
    edit = Edit(plain)
    for node in graph.nodes:
        if node.training and node.id in plain.unread:
            edit.drop(node.id)
    return edit.apply()


def drop_identities(graph: Graph) -> Graph:
    """Remove ops that change nothing at inference: dropout, droppath, identity, an `affine` by 1 and 0."""
    edit = Edit(graph)
    for node in graph.nodes:
        neutral = isinstance(node.op, Affine) and _all(node.op.mul, 1.0) and _all(node.op.add, 0.0)
        if (not node.op.inference or neutral) and not isinstance(node.op, Input):
            edit.bypass(node.id, node.inputs[0])
    return edit.apply()


def drop_dead(graph: Graph) -> Graph:
    """Remove nodes that no output and no auxiliary head depends on. Inputs stay: callers pass them by name."""
    edit = Edit(graph)
    for node in graph.unread:
        edit.drop(node)
    return edit.apply()


def _all(value: float | tuple[float, ...], number: float) -> bool:
    return all(v == number for v in (value if isinstance(value, tuple) else (value,)))
