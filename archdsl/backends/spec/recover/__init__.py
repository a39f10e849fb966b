"""Recover the blocks of a flat graph: a short spec with blocks, repeats, composites, defaults and arguments.

Modules with equal layouts are one block. Their different values are holes, which become arguments, or expressions of
other arguments and of the number of input channels. The text is elaborated and compared with the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.backends.spec.recover.items import Naming
from archdsl.backends.spec.recover.ops import Inexpressible
from archdsl.backends.spec.recover.recovery import Recovery
from archdsl.backends.spec.recover.same import same_network
from archdsl.backends.spec.rewrite import Unfaithful, formatted
from archdsl.diagnostics import ArchError, Source
from archdsl.elaborate import elaborate
from archdsl.graph import Graph
from archdsl.spec.open import document_of, from_source

MAX_NODES = 20_000
"""Larger graphs stay flat."""
MAX_ROUNDS = 5
"""The most attempts that each improve the one before."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A spec with blocks. `recovered` counts the modules that are calls or composites, `flat` the others."""

    text: str
    graph: Graph
    recovered: int
    flat: int


def recover(graph: Graph, classes: Mapping[str, str] = {}) -> Recovered | None:
    """Return the graph as the shortest spec that describes the same network; None if no form with blocks does.

    `classes` are the names of the classes of modules, by path. Graphs of more than `MAX_NODES` nodes are not tried.
    """
    if len(graph.nodes) > MAX_NODES:
        return None
    best: Recovered | None = None
    for naming in ("nested", "flat", "sibling"):
        for projection in (("bn", False), None):
            attempt = _attempt(graph, classes, naming, projection)
            if attempt is not None:
                if best is None or len(attempt.text.splitlines()) < len(best.text.splitlines()):
                    best = attempt
                break
    return best


def _attempt(
    graph: Graph, classes: Mapping[str, str], naming: str, projection: tuple[str, bool] | None
) -> Recovered | None:
    shared = frozenset(node.id for node in graph.nodes if graph.is_shared(node))
    try:
        recovery = Recovery(graph, classes, Naming(naming, shared), projection)
        for _ in range(MAX_ROUNDS):
            better = recovery.better()
            if better is None:
                break
            recovery = better
        text = recovery.text()
        again = elaborate(document_of(from_source(Source(f"{graph.name}.yaml", text))))
        if not same_network(graph, again):
            return None
        return Recovered(formatted(Source(f"{graph.name}.yaml", text)), again, *recovery.counts())
    except (ArchError, Inexpressible, Unfaithful):
        return None
