"""Compare a network's artefacts (module, generated source, ONNX file) with the float64 reference, node by node."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from archdsl.analysis.count import count_nodes
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.verification.observe import NodeValues
from archdsl.verification.reference import Reference, reference_values
from archdsl.verification.tolerance import LARGEST, Deviation

BYTES = 4


class NodeResult(NamedTuple):
    """The path of a node, its op, and its deviation in each artefact that has the node."""

    path: str
    op: str
    deviations: Mapping[str, Deviation]

    @property
    def failing(self) -> tuple[str, ...]:
        """The artefacts whose difference exceeds the tolerance."""
        return tuple(name for name, deviation in self.deviations.items() if deviation.exceeded)


class Overflow(NamedTuple):
    """The first node of an artefact whose values do not fit into its type: its path, and its largest absolute value."""

    path: str
    largest: float
    dtype: str


class ArtefactResult(NamedTuple):
    """The result of one artefact: the number of compared nodes, the worst one, and how many exceed their tolerance.

    The worst node is the one with the largest ratio of difference and tolerance.
    """

    nodes: int
    path: str
    difference: float
    tolerance: float
    channel: int | None
    exceeded: int


@dataclass(frozen=True, slots=True)
class NodeComparison:
    """The result of every node that at least one artefact has.

    `absent` are the paths of nodes that the ONNX file does not have: folded into others, or not needed at inference.
    `foreign` are the names of nodes of the ONNX file that belong to no node of the spec.
    `overflows` are the first overflows of each artefact; an artefact is not compared where a node reads such values.
    """

    nodes: tuple[NodeResult, ...]
    absent: tuple[str, ...]
    overflows: Mapping[str, Overflow] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()

    @property
    def within(self) -> bool:
        """Whether every node that was compared is within its tolerance, in every artefact."""
        return not any(node.failing for node in self.nodes)

    @property
    def passed(self) -> bool:
        """Whether every node of every artefact was compared and is within its tolerance."""
        return self.within and not self.overflows

    def worst(self, artefact: str) -> ArtefactResult | None:
        """Return the worst node of one artefact; None if no node of it was compared."""
        nodes = [(*node.deviations[artefact], node.path) for node in self.nodes if artefact in node.deviations]
        if not nodes:
            return None
        difference, tolerance, channel, path = max(nodes, key=lambda node: node[0] / node[1])
        exceeded = sum(artefact in node.failing for node in self.nodes)
        return ArtefactResult(len(nodes), path, difference, tolerance, channel, exceeded)

    def first_failing(self, artefact: str) -> NodeResult | None:
        """Return the first node, in execution order, whose difference in the artefact exceeds the tolerance."""
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
    """Compare each node that an artefact has with the reference.

    `artefacts` are their values, by the paths of the nodes of `graph`. The reference computes each node from the
    artefact's own values of earlier nodes. Inputs are not compared. `dtypes` are the types of the artefacts that do not
    compute in float32.
    """
    equal: dict[str, str] = {}
    rounds = [name for name, values in artefacts.items() if not _note_equal(name, values, artefacts, equal)]
    deviations: dict[str, dict[str, Deviation]] = {}
    overflows: dict[str, Overflow] = {}
    for number, name in enumerate(rounds):
        dtype = (dtypes or {}).get(name, "float32")
        references = reference_values(graph, weights, inputs, dtype, seed, artefacts[name])
        if progress is not None:
            references = _watched(references, progress, number * len(graph.nodes), len(rounds) * len(graph.nodes))
        deviations[name], overflow = _deviations(graph, artefacts[name], references, name != "onnx")
        overflows |= {} if overflow is None else {name: overflow}
    if progress is not None:
        progress(len(rounds) * len(graph.nodes), len(rounds) * len(graph.nodes))
    deviations |= {name: deviations[other] for name, other in equal.items()}
    overflows |= {name: overflows[other] for name, other in equal.items() if other in overflows}
    nodes = [node for node in graph.nodes if not node.training and node.id not in graph.inputs]
    results = [NodeResult(node.path, node.op.name, _of_node(node, artefacts, deviations)) for node in nodes]
    in_file = artefacts.get("onnx", {})
    absent = tuple(node.path for node in nodes if in_file and node.path not in in_file)
    return NodeComparison(tuple(result for result in results if result.deviations), absent, overflows)


def _watched(
    references: Iterator[Reference], progress: Callable[[int, int], None], done: int, total: int
) -> Iterator[Reference]:
    for reference in references:
        yield reference
        progress(done + reference.node.id + 1, total)


def _deviations(
    graph: Graph, values: NodeValues, references: Iterable[Reference], hides: bool
) -> tuple[dict[str, Deviation], Overflow | None]:
    """The deviation of each node of one artefact, and its first overflow.

    `hides`: the artefact also computes the nodes that it has no value of; a file does not: they are folded.
    """
    deviations: dict[str, Deviation] = {}
    overflow, unobserved = None, None
    for reference in references:
        node = reference.node
        here = Overflow(node.path, reference.largest, reference.dtype)
        if node.id in graph.inputs:
            continue
        if reference.overflow:
            overflow = overflow or unobserved or here
        elif node.path in values:
            value = values[node.path]
            if not node.op.stored and value.size == reference.value.size:
                value = value.reshape(reference.value.shape)  # a dropout may come before or after a flatten
            deviations[node.path] = reference.deviation(value)
        elif hides and reference.largest > LARGEST[reference.dtype]:
            unobserved = unobserved or here
    return deviations, overflow


def _of_node(
    node: Node, artefacts: Mapping[str, NodeValues], deviations: Mapping[str, Mapping[str, Deviation]]
) -> dict[str, Deviation]:
    return {name: deviations[name][node.path] for name in artefacts if node.path in deviations[name]}


def _note_equal(name: str, values: NodeValues, artefacts: Mapping[str, NodeValues], equal: dict[str, str]) -> bool:
    """Record an earlier artefact with bitwise equal values: its results apply to this one too."""
    for other, theirs in artefacts.items():
        if other == name:
            return False
        if theirs.keys() == values.keys() and all(
            np.array_equal(theirs[path], value) for path, value in values.items()
        ):
            equal[name] = equal.get(other, other)
            return True
    return False


def computed_nodes(graph: Graph, absorbed: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return, for each node of an optimised file, the path of the node in `graph` whose value it computes.

    A layer with a folded norm computes the value of the norm, whatever else reads the layer in `graph`: the file has no
    auxiliary heads and no nodes without a reader. `absorbed` are the nodes of the file, each with the paths of the
    nodes that it absorbed.
    """
    return {path: _computed_node(graph, graph.by_path[path], absorbed) for path in absorbed}


def _computed_node(graph: Graph, layer: Node, absorbed: Mapping[str, tuple[str, ...]]) -> str:
    """The last absorbed node behind the layer; nodes before the layer, and nodes that the file has, do not count."""
    gone = [graph.by_path[path] for path in absorbed[layer.path] if path in graph.by_path and path not in absorbed]
    return max((node for node in gone if _follows(graph, node, layer, absorbed)), key=_id, default=layer).path


def _follows(graph: Graph, node: Node, layer: Node, present: Container[str]) -> bool:
    """Whether only nodes that the file does not have are between the layer and the node."""
    while node.id > layer.id and node.path not in present:
        node = graph.nodes[node.inputs[0]]
    return node.id == layer.id


def _id(node: Node) -> int:
    return node.id


def memory_needed(graph: Graph, batch: int) -> int:
    """Return the bytes for the values of all nodes of three artefacts in float32."""
    return 3 * BYTES * batch * sum(c.activations for c in count_nodes(graph))


def weights_sha256(graph: Graph, weights: Mapping[str, Array]) -> str:
    """Return the SHA-256 of the graph's tensors in order: name, type, shape and values of each."""
    digest = hashlib.sha256()
    for tensor in graph.tensors:
        array = np.ascontiguousarray(weights[tensor.key])
        digest.update(f"{tensor.key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
