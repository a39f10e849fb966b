"""Peak memory of the activations at inference, by liveness analysis.

The nodes run in the order of the spec. A stored output is alive from the step that computes it to the last step that
reads it; a step that needs only its size does not read it. Outputs of the network stay alive to the end. A view
(flatten, dropout, identity) keeps its source alive and needs no memory. No op works in place, and a concat copies.
Weights and the workspace of kernels are not counted.
"""

from __future__ import annotations

from typing import NamedTuple

from archdsl.graph import Graph
from archdsl.shapes import numel

BYTES_PER_VALUE = 4
"""fp32."""


class Peak(NamedTuple):
    """The largest sum of live bytes, and the id of the first node at which it is reached."""

    bytes: int
    node: int


def storages(graph: Graph) -> tuple[int, ...]:
    """Return for each node the id of the node that owns the memory of its output: itself, or the source of a view."""
    owner: list[int] = []
    for node in graph.nodes:
        shared = not node.op.stored and node.inputs
        owner.append(owner[node.inputs[0]] if shared else node.id)
    return tuple(owner)


def last_reads(graph: Graph) -> tuple[int, ...]:
    """Return for each node the id of the last node that reads its memory.

    It is the node's own id if no node reads it, and the number of nodes for an output.
    """
    owner = storages(graph)
    last = list(range(len(graph.nodes)))
    for node in graph.running:
        for source in node.sources:
            last[owner[source]] = node.id
    for output in graph.outputs.values():
        last[owner[output]] = len(graph.nodes)
    return tuple(last)


def live_values(graph: Graph) -> tuple[int, ...]:
    """Return for each node the number of values that are alive while it runs, for one sample, including its output.

    The network's inputs are alive from the start. A node that does not run at inference has 0.
    """
    owner, last = storages(graph), last_reads(graph)
    freed: list[list[int]] = [[] for _ in range(len(graph.nodes) + 1)]
    running = {node.id for node in graph.running}
    sizes = [numel(n.shape) if owner[n.id] == n.id and n.known and n.id in running else 0 for n in graph.nodes]
    for storage, step in enumerate(last):
        freed[step].append(storage)
    inputs = set(graph.inputs)
    alive = sum(sizes[i] for i in inputs)
    steps: list[int] = []
    for node in graph.nodes:
        alive += 0 if node.id in inputs else sizes[node.id]
        steps.append(alive if node.id in running else 0)
        alive -= sum(sizes[storage] for storage in freed[node.id])
    return tuple(steps)


def peak_memory(graph: Graph, batch: int = 1) -> Peak:
    """Return the peak activation memory in bytes (fp32), at the default input size for `batch` samples."""
    steps = live_values(graph) or (0,)
    at = max(range(len(steps)), key=steps.__getitem__)
    return Peak(steps[at] * batch * BYTES_PER_VALUE, at)
