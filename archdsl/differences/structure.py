"""Align two networks by structure alone: a model of another tool has other names, or its norms are folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from archdsl.analysis.equal_nodes import COMMUTATIVE, signatures
from archdsl.graph import Graph, Node
from archdsl.network import Network
from archdsl.ops import Concat, Dropout, DropPath, Identity

Equal: TypeAlias = Literal["nodes", "inference"]
"""What is equal: all nodes, or the nodes at inference, with norms folded into layers in both networks."""


_REMOVALS = ("drop-training", "drop-identities", "drop-dead")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two networks that are equal apart from names. `tensors`: for each tensor of the second, that of the first."""

    level: Equal
    graphs: tuple[Graph, Graph]
    tensors: dict[str, str]


def foreign(network: Network) -> bool:
    """Return whether the network was imported, so that its names are not those of a spec."""
    return network.model is not None and not network.model.carried


def aligned(one: Network, two: Network) -> Alignment | None:
    """Return the alignment of networks with the same ops, fields, shapes, wiring and sharing; None if there is none.

    Outputs are compared in order. Nodes without an effect at inference, such as dropout, do not count: for them there
    is `training_nodes`.
    """
    levels: tuple[tuple[Equal, Graph, Graph], ...] = (
        ("nodes", one.optimised(_REMOVALS), two.optimised(_REMOVALS)),
        ("inference", one.optimised(), two.optimised()),
    )
    for level, first, second in levels:
        # Where both have norms, folding them would hide a difference, such as that of their epsilon.
        if level == "inference" and all(any(node.folded for node in graph.nodes) for graph in (first, second)):
            return None
        tensors = _tensors(first, second)
        if tensors is not None:
            return Alignment(level, (first, second), tensors)
    return None


def training_nodes(one: Network, two: Network) -> tuple[tuple[str, str, str], ...]:
    """Return each op that acts in training only, such as dropout, with its probabilities in both networks, as text.

    An empty text: this network has none; a model does not always contain them. Nothing if they and their places agree.
    """
    keep = [name for name in _REMOVALS if name != "drop-identities"]
    if _tensors(one.optimised(keep), two.optimised(keep)) is not None:
        return ()
    return tuple((op.name, _probabilities(one, op), _probabilities(two, op)) for op in (Dropout, DropPath))


def _probabilities(network: Network, op: type[Dropout | DropPath]) -> str:
    found = Counter(node.op.p for node in network.graph.running if isinstance(node.op, op) and node.op.p)
    return ", ".join(f"{p:g}" + (f" ({count} times)" if count > 1 else "") for p, count in sorted(found.items()))


def _tensors(one: Graph, two: Graph) -> dict[str, str] | None:
    """For each tensor of the second graph, that of the first; None if the graphs differ."""
    numbers: dict[object, int] = {}
    kinds = signatures(one, numbers, named=False), signatures(two, numbers, named=False)
    ends = list(one.outputs.values()), list(two.outputs.values())
    if [kinds[0][n] for n in ends[0]] != [kinds[1][n] for n in ends[1]]:
        return None
    partner: dict[int, int] = {}
    reverse: dict[int, int] = {}
    tensors: dict[str, str] = {}
    back: dict[str, str] = {}
    pending = list(zip(*ends, strict=True))
    while pending:
        a, b = (_computing(graph, n) for graph, n in zip((one, two), pending.pop(), strict=True))
        if partner.setdefault(a.id, b.id) != b.id or reverse.setdefault(b.id, a.id) != a.id:
            return None
        for mine, theirs in zip(a.reads, b.reads, strict=True):
            keys = a.key(mine), b.key(theirs)
            if tensors.setdefault(keys[1], keys[0]) != keys[0] or back.setdefault(keys[0], keys[1]) != keys[1]:
                return None
        sources = _sources(one, a, kinds[0]), _sources(two, b, kinds[1])
        pending += [pair for pair in zip(*sources, strict=True) if pair[0] not in partner or pair[1] not in reverse]
    return tensors


def _computing(graph: Graph, number: int) -> Node:
    """The node, or the one before identities."""
    node = graph.nodes[number]
    while isinstance(node.op, Identity):
        node = graph.nodes[node.inputs[0]]
    return node


def _sources(graph: Graph, node: Node, kinds: Sequence[int]) -> list[int]:
    """The nodes that a node reads, in an order that does not depend on how they are written."""
    sources = [_computing(graph, number).id for number in node.inputs]
    if isinstance(node.op, COMMUTATIVE):
        return sorted(sources, key=lambda number: (kinds[number], number))
    if isinstance(node.op, Concat):
        inner = [graph.nodes[number] for number in sources]
        return [n for s in inner for n in (_sources(graph, s, kinds) if isinstance(s.op, Concat) else [s.id])]
    return sources
