"""What a network costs: numbers stored and multiply-accumulates done, node by node and in total.

`macs` are the multiply-accumulates of convolutions and fully connected layers, bias adds not counted;
everything is for the default input size and, unless a batch is given, for one sample at inference. Auxiliary
heads run in training only and are counted apart.
"""

from __future__ import annotations

from typing import NamedTuple

from archdsl.analysis.memory import peak_memory
from archdsl.graph import Graph, Node
from archdsl.ops import GRAPH_OPS, Weighted
from archdsl.shapes import numel

*_KINDS, _LAST = (op.name for op in GRAPH_OPS if issubclass(op, Weighted))
CONVENTION = (
    f"one sample at inference, fp32; MACs of {', '.join(_KINDS)} and {_LAST}, bias adds not counted; "
    "FLOPs = 2 * MACs; auxiliary heads apart"
)
"""How every figure of this package is counted, in one line; each report prints it."""


def convention(batch: int = 1) -> str:
    """`CONVENTION` for `batch` samples."""
    return CONVENTION if batch == 1 else CONVENTION.replace("one sample", f"a batch of {batch}", 1)


def flops(macs: int) -> int:
    """Floating-point operations: one multiplication and one addition for each multiply-accumulate."""
    return 2 * macs


class NodeCount(NamedTuple):
    """One node for one sample: trained numbers, buffers, bytes of both as stored, MACs, elements it stores."""

    params: int
    buffers: int
    weight_bytes: int
    macs: int
    activations: int


class Totals(NamedTuple):
    """A whole network. Without the auxiliary heads, whose trained numbers are `aux_params`."""

    params: int
    """Trained numbers."""
    buffers: int
    """Numbers stored but not trained: batch-norm statistics and counters, fixed filters."""
    aux_params: int
    macs: int
    flops: int
    activations: int
    """Elements of every stored output; inputs and views (flatten, dropout) are not counted."""
    peak_memory_bytes: int
    weight_bytes: int
    """Bytes of all params and buffers: fp32, counters int64."""
    depth: int
    """Weighted layers on the longest path from an input to an output."""


def count_node(node: Node) -> NodeCount:
    """The figures of one node for one sample."""
    params = node.params
    return NodeCount(
        params=sum(p.numel for p in params if p.trained),
        buffers=sum(p.numel for p in params if not p.trained),
        weight_bytes=sum(p.nbytes for p in params),
        macs=node.macs,
        activations=numel(node.shape) if node.op.stored and node.inputs else 0,
    )


def count_nodes(graph: Graph) -> tuple[NodeCount, ...]:
    """The figures of every node, by id, auxiliary heads included."""
    return tuple(map(count_node, graph.nodes))


def depth(graph: Graph) -> int:
    """Weighted layers on the longest path to an output, auxiliary heads left out."""
    longest: list[int] = []
    for node in graph.nodes:
        before = max((longest[i] for i in node.inputs), default=0)
        longest.append(before + isinstance(node.op, Weighted))
    return max((longest[i] for i in graph.outputs.values()), default=0)


def count(graph: Graph, batch: int = 1, nodes: tuple[NodeCount, ...] | None = None) -> Totals:
    """The totals of a network; MACs, FLOPs, activations and peak memory are for `batch` samples.

    `nodes` may hand in what `count_nodes` gave. Raises ValueError for a batch below 1.
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
