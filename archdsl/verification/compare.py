"""Compare a network's artefacts (module, generated source, ONNX file) with the float64 reference, node by node."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from archdsl.analysis.count import count_nodes
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.ops import Affine
from archdsl.passes.edit import sole_reader
from archdsl.verification.observe import NodeValues
from archdsl.verification.reference import reference_values
from archdsl.verification.tolerance import Deviation

BYTES = 4


class NodeResult(NamedTuple):
    """One node, its op's kind, and its deviation in each artefact that has the node."""

    path: str
    op: str
    deviations: Mapping[str, Deviation]

    @property
    def failing(self) -> tuple[str, ...]:
        """The artefacts whose difference exceeds the tolerance."""
        return tuple(name for name, deviation in self.deviations.items() if deviation.exceeded)


class ArtefactResult(NamedTuple):
    """One artefact: how many nodes were compared, the worst node (the largest part of its tolerance), and how many
    exceed theirs."""

    nodes: int
    path: str
    difference: float
    tolerance: float
    channel: int | None
    exceeded: int


@dataclass(frozen=True, slots=True)
class NodeComparison:
    """Every node that some artefact has a value of. `absent` are the paths of nodes that the ONNX file does not have:
    folded into others, or without effect at inference."""

    nodes: tuple[NodeResult, ...]
    absent: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Whether every node of every artefact is within its tolerance."""
        return not any(node.failing for node in self.nodes)

    def worst(self, artefact: str) -> ArtefactResult | None:
        """The worst node of one artefact; None if no node of it was compared."""
        nodes = [(*node.deviations[artefact], node.path) for node in self.nodes if artefact in node.deviations]
        if not nodes:
            return None
        difference, tolerance, channel, path = max(nodes, key=lambda node: node[0] / node[1])
        exceeded = sum(artefact in node.failing for node in self.nodes)
        return ArtefactResult(len(nodes), path, difference, tolerance, channel, exceeded)

    def first_failing(self, artefact: str) -> NodeResult | None:
        """The first node, in execution order, whose difference in the artefact exceeds the tolerance."""
        return next((node for node in self.nodes if artefact in node.failing), None)


def compare_nodes(
    graph: Graph,
    weights: Mapping[str, Array],
    inputs: Mapping[str, Array],
    artefacts: Mapping[str, NodeValues],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> NodeComparison:
    """Compare each node that some artefact has a value of with the reference.

    `artefacts` are values by the paths of `graph`'s nodes. The reference computes a node from the artefact's own values
    of earlier nodes. Inputs are not compared. `dtypes` names the artefacts that do not compute in float32.
    """
    equal: dict[str, str] = {}
    rounds = [name for name, values in artefacts.items() if not _note_equal(name, values, artefacts, equal)]
    deviations: dict[str, dict[str, Deviation]] = {}
    for number, name in enumerate(rounds):
        deviations[name] = {}
        dtype = (dtypes or {}).get(name, "float32")
        for reference in reference_values(graph, weights, inputs, dtype, seed, artefacts[name]):
            node = reference.node
            if node.path in artefacts[name] and node.id not in graph.inputs:
                value = artefacts[name][node.path]
                if not node.op.stored and value.size == reference.value.size:
                    value = value.reshape(reference.value.shape)  # a flatten may stand before a dropout, or behind it
                deviations[name][node.path] = reference.deviation(value)
            if progress is not None:
                progress(number * len(graph.nodes) + node.id + 1, len(rounds) * len(graph.nodes))
    deviations |= {name: deviations[other] for name, other in equal.items()}
    nodes = [node for node in graph.nodes if not node.training and node.id not in graph.inputs]
    results = [NodeResult(node.path, node.op.name, _of_node(node, artefacts, deviations)) for node in nodes]
    in_file = artefacts.get("onnx", {})
    absent = tuple(node.path for node in nodes if in_file and node.path not in in_file)
    return NodeComparison(tuple(result for result in results if result.deviations), absent)


def _of_node(
    node: Node, artefacts: Mapping[str, NodeValues], deviations: Mapping[str, Mapping[str, Deviation]]
) -> dict[str, Deviation]:
    return {name: deviations[name][node.path] for name in artefacts if node.path in deviations[name]}


def _note_equal(name: str, values: NodeValues, artefacts: Mapping[str, NodeValues], equal: dict[str, str]) -> bool:
    """Notes an earlier artefact with the same values in every bit: its results hold for this one too."""
    for other, theirs in artefacts.items():
        if other == name:
            return False
        if theirs.keys() == values.keys() and all(
            np.array_equal(theirs[path], value) for path, value in values.items()
        ):
            equal[name] = equal.get(other, other)
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
