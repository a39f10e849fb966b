"""Recover the blocks of a flat graph: a short spec with blocks, repeats, composites, defaults and arguments.

Modules with equal layouts are one block. Their different values are holes, which become arguments, or expressions of
other arguments and of the number of input channels. The text is elaborated and compared with the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from archdsl.analysis.equal_nodes import same_network
from archdsl.backends.spec.recover.family import Member, Unalike, inside, joined
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
    """A spec with blocks, and the graph of a network of it, which may be a variant.

    `recovered` counts the modules that are calls or composites, `flat` the others, apart from chains: these are the
    same in both forms.
    """

    text: str
    graph: Graph
    recovered: int
    flat: int

    @property
    def lines(self) -> int:
        """The number of lines of the text."""
        return len(self.text.splitlines())


Shorten: TypeAlias = Callable[[Graph, Mapping[str, str], int], Recovered | None]
"""Returns a spec of a graph, or None for the flat one. Receives the graph, the names of the classes of its modules, and
the number of lines of the flat spec."""


def stay_flat(graph: Graph, classes: Mapping[str, str], lines: int) -> None:
    """Return None: the flat spec is wanted."""


@dataclass(frozen=True, slots=True)
class _Networks:
    """All networks in one graph, and the names of the classes of its modules."""

    graph: Graph
    members: tuple[Member, ...]
    classes: Mapping[str, str]


def recover(graph: Graph, classes: Mapping[str, str] = {}, limit: int = MAX_LINES) -> Recovered | None:
    """Return the graph as the shortest spec that describes the same network; None if no form with blocks does, in less
    than `limit` lines.

    `classes` are the names of the classes of modules, by path. Graphs of more than `MAX_NODES` nodes are not tried.
    """
    found = recover_family([graph], [classes], limit)
    return found[0] if found and found[0].lines < limit else None


def recover_family(
    graphs: Sequence[Graph], classes: Sequence[Mapping[str, str]], limit: int = MAX_LINES
) -> tuple[Recovered, ...]:
    """Return several networks as the shortest spec in which each but the first is a variant; none as `recover`.

    Raises `Unalike` for the first network that is no variant, whatever the `naming`.
    """
    graph, members = joined(graphs)
    if len(graph.nodes) > MAX_NODES:
        return ()
    paths = {path: word for number in range(len(graphs)) for path, word in _moved(classes, number).items()}
    networks = _Networks(graph, members, paths)
    best: tuple[Recovered, ...] = ()
    unalike: Unalike | None = None
    for naming in ("nested", "flat", "sibling"):
        try:
            best = _shorter(networks, naming, best[0].lines if best else min(limit, MAX_LINES)) or best
        except Unalike as problem:
            unalike = problem
    if not best and unalike is not None:
        raise unalike
    return best


def modules(graph: Graph) -> int:
    """Return the number of modules that contain several nodes or modules; a flat spec has none of them as a block."""
    return sum(bool(group.path) and len(group.members) > 1 for group in tree(graph).walk())


def _moved(classes: Sequence[Mapping[str, str]], number: int) -> Mapping[str, str]:
    """The classes of the modules of a network by their paths in the graph of all."""
    if len(classes) == 1:
        return classes[0]
    return {inside(number, path): word for path, word in classes[number].items()}


def _shorter(networks: _Networks, naming: str, limit: int) -> tuple[Recovered, ...]:
    """The spec under one `naming`, if it has fewer lines; with fewer blocks if that with all is another network."""
    graph = networks.graph
    rules = Naming(naming, tuple(node.id for node in graph.nodes if graph.is_shared(node)))

    def attempt(projection: tuple[str, bool] | None, failed: frozenset[str] = frozenset()) -> Recovery:
        return Recovery(graph, networks.members, networks.classes, rules, projection, failed, failed)

    attempts = [attempt(projection) for projection in (("bn", False), None)]
    blocks = attempts[-1].blocks
    every = frozenset(path for template in blocks for path in template.paths)
    for one in attempts:
        found = _verified(one, limit)
        if found is not None:
            return found
    for paths in [*(template.paths for template in blocks[::-1][:MAX_DROPPED]), every]:
        found = _verified(attempt(None, paths), limit)
        if found is not None:
            return found
    return ()


def _verified(recovery: Recovery, limit: int) -> tuple[Recovered, ...] | None:
    """The networks with the text of an attempt, made as short as it can be; empty if it has at least `limit` lines.

    None if it does not describe the graphs, so that another attempt might.
    """
    name = recovery.graph.name
    try:
        for _ in range(MAX_ROUNDS):
            better = recovery.better()
            if better is None:
                break
            recovery = better
        text = recovery.text()
        if text.count("\n") >= limit:
            return ()
        graphs = [
            _elaborated(text, name, member.graph.name if n else None) for n, member in enumerate(recovery.members)
        ]
        if not all(same_network(member.graph, graph) for member, graph in zip(recovery.members, graphs, strict=True)):
            return None
        text = formatted(Source(f"{name}.yaml", text))
        return tuple(Recovered(text, graph, *recovery.counts(number)) for number, graph in enumerate(graphs))
    except (ArchError, Inexpressible, Unfaithful):
        return None


def _elaborated(text: str, name: str, variant: str | None) -> Graph:
    return elaborate(document_of(from_source(Source(f"{name}.yaml", text), variant)))
