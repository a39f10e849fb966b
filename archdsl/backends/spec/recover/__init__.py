"""Recover the blocks of a flat graph: a short spec with blocks, repeats, composites, defaults and arguments.

Modules with equal layouts are one block. Their different values are holes, which become arguments, or expressions of
other arguments and of the number of input channels. The text is elaborated and compared with the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.analysis.equal_nodes import same_network
from archdsl.backends.spec.recover.items import Naming
from archdsl.backends.spec.recover.ops import Inexpressible
from archdsl.backends.spec.recover.recovery import Recovery
from archdsl.backends.spec.recover.tree import tree
from archdsl.backends.spec.rewrite import Unfaithful, formatted
from archdsl.diagnostics import ArchError, Source
from archdsl.elaborate import elaborate
from archdsl.graph import Graph
from archdsl.spec.open import document_of, from_source

MAX_NODES = 5_000
"""Larger graphs stay flat."""
MAX_LINES = 1_000
"""Longer texts are not checked: nobody reads them."""
MAX_ROUNDS = 5
"""The most attempts that each improve the one before."""
MAX_DROPPED = 6
"""The most blocks that are left out one by one if the spec with all of them is another network."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A spec with blocks. `recovered` counts the modules that are calls or composites, `flat` the others, apart from
    chains: these are the same in both forms."""

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
        best = _shorter(graph, classes, naming, MAX_LINES if best is None else len(best.text.splitlines())) or best
    return best


def modules(graph: Graph) -> int:
    """Return the number of modules that contain several nodes or modules; a flat spec has none of them as a block."""
    return sum(bool(group.path) and len(group.members) > 1 for group in tree(graph).walk())


def _shorter(graph: Graph, classes: Mapping[str, str], naming: str, limit: int) -> Recovered | None:
    """The spec under one `naming`, if it has fewer lines; with fewer blocks if that with all is another network."""
    rules = Naming(naming, tuple(node.id for node in graph.nodes if graph.is_shared(node)))
    attempts = [Recovery(graph, classes, rules, projection) for projection in (("bn", False), None)]
    blocks = attempts[-1].blocks
    every = frozenset(path for template in blocks for path in template.paths)
    for attempt in attempts:
        found = _verified(attempt, limit)
        if not isinstance(found, bool):
            return found
        if not found:
            return None
    for paths in [*(template.paths for template in blocks[::-1][:MAX_DROPPED]), every]:
        found = _verified(Recovery(graph, classes, rules, None, paths, paths), limit)
        if not isinstance(found, bool):
            return found
    return None


def _verified(recovery: Recovery, limit: int) -> Recovered | bool:
    """The text of an attempt, made as short as it can be.

    True if it does not describe the graph, so that another attempt might; False if it has at least `limit` lines.
    """
    graph = recovery.graph
    try:
        for _ in range(MAX_ROUNDS):
            better = recovery.better()
            if better is None:
                break
            recovery = better
        text = recovery.text()
        if text.count("\n") >= limit:
            return False
        again = elaborate(document_of(from_source(Source(f"{graph.name}.yaml", text))))
        if not same_network(graph, again):
            return True
        return Recovered(formatted(Source(f"{graph.name}.yaml", text)), again, *recovery.counts())
    except (ArchError, Inexpressible, Unfaithful):
        return True
