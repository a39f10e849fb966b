"""A network's artefacts held against a judge, node by node, on seeded input: module, printed source, ONNX file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from archdsl.analysis.count import count_nodes
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.ops import Affine
from archdsl.passes.edit import sole_reader
from archdsl.verification.observe import Values
from archdsl.verification.reference import judge
from archdsl.verification.tolerance import Apart

BYTES = 4


class Measured(NamedTuple):
    """One node: of each artefact that has it, by name, how far it is from the judge there, in its worst channel."""

    path: str
    kind: str
    found: Mapping[str, Apart]

    @property
    def past(self) -> tuple[str, ...]:
        """The artefacts that are past the bound; where no number is left, nothing can be compared."""
        return tuple(name for name, apart in self.found.items() if apart.past)


class Worst(NamedTuple):
    """An artefact: how many nodes were compared, the one that is nearest to its bound, or furthest past it, and how
    many are past theirs."""

    nodes: int
    path: str
    difference: float
    bound: float
    channel: int | None
    past: int


@dataclass(frozen=True, slots=True)
class Report:
    """`folded` are the nodes that the ONNX file does not have, because passes took them into others."""

    nodes: tuple[Measured, ...]
    folded: tuple[str, ...]

    @property
    def fine(self) -> bool:
        return not any(node.past for node in self.nodes)

    def worst(self, artefact: str) -> Worst | None:
        """Of one artefact; None where no node of it was compared."""
        nodes = [(*node.found[artefact], node.path) for node in self.nodes if artefact in node.found]
        if not nodes:
            return None
        apart, bound, channel, path = max(nodes, key=lambda found: found[0] / found[1])
        return Worst(len(nodes), path, apart, bound, channel, sum(artefact in node.past for node in self.nodes))

    def first_past(self, artefact: str) -> Measured | None:
        """The first node, in the order in which they run, at which an artefact is past the bound."""
        return next((node for node in self.nodes if artefact in node.past), None)


def measure(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    artefacts: Mapping[str, Values],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> Report:
    """Each node that some artefact has a value of, held against the judge.

    `artefacts` are values by the paths of `graph`'s nodes. The judge computes a node from the values that the artefact
    itself has before it. Nodes that are inputs are not measured. `dtypes` names the artefacts that do not compute in
    float32.
    """
    found: dict[str, dict[str, Apart]] = {}
    done: dict[str, str] = {}
    rounds = [name for name, values in artefacts.items() if not _twin(name, values, artefacts, done)]
    for number, name in enumerate(rounds):
        found[name] = {}
        dtype = (dtypes or {}).get(name, "float32")
        for judged in judge(graph, weights, inputs, dtype, seed, artefacts[name]):
            node = judged.node
            if node.path in artefacts[name] and node.id not in graph.inputs:
                ours = artefacts[name][node.path]
                if (
                    not node.op.stored and ours.size == judged.value.size
                ):  # a flatten may stand before a dropout, or behind
                    ours = ours.reshape(judged.value.shape)
                found[name][node.path] = judged.of(ours)
            if progress is not None:
                progress(number * len(graph.nodes) + node.id + 1, len(rounds) * len(graph.nodes))
    found |= {name: found[twin] for name, twin in done.items()}
    nodes = [node for node in graph.nodes if not node.training and node.id not in graph.inputs]
    measured = [
        Measured(
            node.path, node.op.kind, {name: found[name][node.path] for name in artefacts if node.path in found[name]}
        )
        for node in nodes
        if any(node.path in values for values in found.values())
    ]
    seen = artefacts.get("onnx", {})
    return Report(tuple(measured), tuple(node.path for node in nodes if seen and node.path not in seen))


def _twin(name: str, values: Values, artefacts: Mapping[str, Values], twins: dict[str, str]) -> bool:
    """Notes an artefact before this one with the very same numbers: what is said of that holds of this."""
    for other, theirs in artefacts.items():
        if other == name:
            return False
        if theirs.keys() == values.keys() and all(
            np.array_equal(theirs[path], value) for path, value in values.items()
        ):
            twins[name] = twins.get(other, other)
            return True
    return False


def stands_for(graph: Graph, taken: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Of each node that an optimised file has, by its path, the node of `graph` whose value it gives.

    A layer that took the norm behind it in gives the norm's value. `taken` are the nodes that the file has, and the
    paths of those that each took in.
    """
    return {path: _taken_in(graph, graph.by_path[path], taken).path for path in taken}


def _taken_in(graph: Graph, node: Node, present: Mapping[str, tuple[str, ...]]) -> Node:
    """The last of the nodes behind that the file has no more, and whose work this one does."""
    last, taken = node, present[node.path]
    while (reader := sole_reader(graph, node.id)) is not None and reader.path not in present:
        neutral = not reader.op.inference or reader.op == Affine()
        if not neutral and reader.path not in taken:
            break
        node = reader
        last = last if neutral else reader
    return last


def memory_needed(graph: Graph, batch: int) -> int:
    """Bytes that the values of all nodes take, of three artefacts in float32."""
    return 3 * BYTES * batch * sum(c.activations for c in count_nodes(graph))


def weights_sha256(graph: Graph, weights: Mapping[str, Array]) -> str:
    """The SHA-256 of the graph's tensors, each with its name and shape, in order; of the numbers, not of a file."""
    digest = hashlib.sha256()
    for tensor in graph.tensors:
        array = np.ascontiguousarray(weights[tensor.key])
        digest.update(f"{tensor.key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def as_facts(report: Report, artefacts: Mapping[str, Any]) -> dict[str, Any]:
    """For each artefact what `Report.worst` says, as plain data."""
    found = {name: report.worst(name) for name in artefacts}
    return {name: worst._asdict() for name, worst in found.items() if worst is not None}
