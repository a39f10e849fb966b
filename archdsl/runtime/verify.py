"""A network's artefacts held against a judge, node by node, on seeded input: module, printed source, ONNX file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.ops import Affine
from archdsl.passes.count import count_nodes
from archdsl.passes.edit import sole_reader
from archdsl.passes.fold_maps import channel_map
from archdsl.runtime.bounds import difference
from archdsl.runtime.judge import judge
from archdsl.runtime.values import Values

BYTES = 4


class Measured(NamedTuple):
    """One node: how far each artefact is from the judge there, by the artefact's name, and how far it may be."""

    path: str
    kind: str
    differences: Mapping[str, float]
    bound: float

    @property
    def past(self) -> tuple[str, ...]:
        """The artefacts that are past the bound."""
        return tuple(name for name, found in self.differences.items() if not found <= self.bound)


class Worst(NamedTuple):
    """An artefact: how many nodes were compared, and the one that is nearest to its bound, or furthest past it."""

    nodes: int
    path: str
    difference: float
    bound: float
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
        nodes = [node for node in self.nodes if artefact in node.differences]
        if not nodes:
            return None
        at = max(nodes, key=lambda node: node.differences[artefact] / node.bound)
        past = sum(artefact in node.past for node in nodes)
        return Worst(len(nodes), at.path, at.differences[artefact], at.bound, past)

    def first_past(self, artefact: str) -> Measured | None:
        """The first node, in the order in which they run, at which an artefact is past the bound."""
        return next((node for node in self.nodes if artefact in node.past), None)


def measure(graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array], artefacts: Mapping[str, Values],
            seed: int = 0, progress: Callable[[int, int], None] | None = None) -> Report:  # fmt: skip
    """Each node that some artefact has a value of, held against the judge.

    `artefacts` are values by the paths of `graph`'s nodes. Nodes that are inputs are not measured.
    """
    measured = []
    seen = artefacts.get("onnx")
    folded: list[str] = []
    for node, value, bound in judge(graph, weights, inputs, seed=seed):
        if progress is not None:
            progress(node.id + 1, len(graph.nodes))
        if node.id in graph.inputs:
            continue
        found = {
            name: difference(values[node.path], value) for name, values in artefacts.items() if node.path in values
        }
        if found:
            measured.append(Measured(node.path, node.op.kind, found, bound))
        if seen is not None and node.path not in seen:
            folded.append(node.path)
    return Report(tuple(measured), tuple(folded))


def stands_for(graph: Graph, made_of: Mapping[str, set[str]]) -> dict[str, str]:
    """Of each node that an optimised file has, by its path, the node of `graph` whose value it gives.

    A layer that took the norm behind it in gives the norm's value. `made_of` are the nodes that the file has, and the keys of
    the network's tensors that those of each were folded of.
    """
    return {path: _taken_in(graph, graph.by_path[path], made_of, keys).path for path, keys in made_of.items()}


def _taken_in(graph: Graph, node: Node, present: Mapping[str, set[str]], keys: set[str]) -> Node:
    """The last of the nodes behind that the file has no more, and whose work this one does."""
    last = node
    while (reader := sole_reader(graph, node.id)) is not None and reader.path not in present:
        neutral = not reader.op.inference or reader.op == Affine()
        own = {reader.key(param) for param in reader.params}
        into = channel_map(reader) is not None and bool(keys) and (not own or bool(own & keys))
        if not (neutral or into):
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
