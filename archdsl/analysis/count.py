"""Parameters, buffers, MACs and activations of a network, per node and in total.

`macs` are the multiply-accumulates of convolutions and fully connected layers; bias additions are not counted. All
figures are for the default input size, at inference, and for one sample unless a batch is set. Auxiliary heads run in
training only and are counted separately.
"""

from __future__ import annotations

from typing import NamedTuple

from archdsl.analysis.memory import peak_memory
from archdsl.graph import Graph, Node
from archdsl.ops import GRAPH_OPS, Weighted
from archdsl.shapes import numel

*_NAMES, _LAST = (op.name for op in GRAPH_OPS if issubclass(op, Weighted))
CONVENTION = (
    f"one sample at inference, fp32; MACs of {', '.join(_NAMES)} and {_LAST}, bias additions not counted; "
    "FLOPs = 2 * MACs; without auxiliary heads"
)
"""How all figures are counted, in one line; each report prints it."""


def convention(batch: int = 1) -> str:
    """Return `CONVENTION` for `batch` samples."""
    return CONVENTION if batch == 1 else CONVENTION.replace("one sample", f"a batch of {batch}", 1)


def flops(macs: int) -> int:
    """Return the floating-point operations: one multiplication and one addition per MAC."""
    return 2 * macs


class NodeCount(NamedTuple):
    """One node for one sample: parameters, buffers, bytes of both, MACs, elements of its stored output."""

    params: int
    buffers: int
    weight_bytes: int
    macs: int
    activations: int


class Totals(NamedTuple):
    """The figures of a network without its auxiliary heads, whose parameters are `aux_params`."""

    params: int
    """Trained values."""
    buffers: int
    """Stored values that are not trained: batch-norm statistics and counters, fixed filters."""
    aux_params: int
    macs: int
    flops: int
    activations: int
    """Elements of all stored outputs; inputs and views (flatten, dropout) are not counted."""
    peak_memory_bytes: int
    weight_bytes: int
    """Bytes of all params and buffers: fp32, counters int64."""
    depth: int
    """Weighted layers on the longest path from an input to an output."""


def count_node(node: Node) -> NodeCount:
    """Return the figures of one node for one sample."""
    params = node.params
    return NodeCount(
        params=sum(p.numel for p in params if p.trained),
        buffers=sum(p.numel for p in params if not p.trained),
        weight_bytes=sum(p.nbytes for p in params),
        macs=node.macs,
        activations=numel(node.shape) if node.op.stored and node.inputs and node.known else 0,
    )


def count_nodes(graph: Graph) -> tuple[NodeCount, ...]:
    """Return the figures of every node by id, including auxiliary heads.

    A node that no output depends on has parameters, because the PyTorch module holds them, but costs no work and no
    memory, because nothing runs it.
    """
    known: dict[object, NodeCount] = {}
    counts = []
    for node in graph.nodes:
        # Elaboration gives equal layers the same op, whose shapes decide everything else.
        key = (id(node.op), node.in_shapes, node.shared_with, id(node.folded))
        if key not in known:
            known[key] = count_node(node)
        idle = node.id in graph.unread
        counts.append(known[key]._replace(macs=0, activations=0) if idle else known[key])
    return tuple(counts)


def depth(graph: Graph) -> int:
    """Return the number of weighted layers on the longest path to an output, without auxiliary heads."""
    longest: list[int] = []
    for node in graph.nodes:
        before = max((longest[i] for i in node.inputs), default=0)
        longest.append(before + isinstance(node.op, Weighted))
    return max((longest[i] for i in graph.outputs.values()), default=0)


def count(graph: Graph, batch: int = 1, nodes: tuple[NodeCount, ...] | None = None) -> Totals:
    """Return the totals of a network; MACs, FLOPs, activations and peak memory are for `batch` samples.

    `nodes`: the result of `count_nodes`, if known. Raises ValueError for a batch below 1.
    """
    if batch < 1:
        raise ValueError(f"a batch of {batch}")
    counted = list(zip(graph.nodes, nodes or count_nodes(graph), strict=True))
    run = [c for node, c in counted if not node.training]
    macs = batch * sum(c.macs for c in run)
    return Totals(
        params=sum(c.params for c in run),
        buffers=sum(c.buffers for c in run),
        aux_params=sum(c.params for node, c in counted if node.training),
        macs=macs,
        flops=flops(macs),
        activations=batch * sum(c.activations for c in run),
        peak_memory_bytes=peak_memory(graph, batch).bytes,
        weight_bytes=sum(c.weight_bytes for c in run),
        depth=depth(graph),
    )
