"""The kernels that ONNX Runtime runs for a network on a CPU, with the work of each. No weights and no file are made.

They follow from the graph after the passes of `compile`, and from what ONNX Runtime's own optimiser does to it
(onnxruntime/core/optimizer/nchwc_transformer.cc, conv_activation_fusion.cc): an activation and an addition run inside
the convolution before them, and images are stored in blocks of 16 channels between the ops that support it, so that
the values are reordered between two ops of which one does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from archdsl.axes import axes_of
from archdsl.graph import Graph, Node
from archdsl.ops import (
    Add,
    AvgPool,
    Bn,
    Clip,
    Concat,
    Conv,
    Fc,
    Gap,
    Gmp,
    HardSigmoid,
    LeakyRelu,
    MaxPool,
    Mul,
    Op,
    Pool,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Slice,
    Tanh,
    Upsample,
    Weighted,
)
from archdsl.passes.optimise import optimise
from archdsl.shapes import concrete, numel

BLOCK, ALIGNMENT = 16, 4
"""Channels of a block, and what the number of input channels must be a multiple of (AVX-512; AVX2 has blocks of 8)."""
_INSIDE: tuple[type[Op], ...] = (Relu, Relu6, Clip, LeakyRelu, Sigmoid, Tanh, HardSigmoid)
"""Activations that run inside the convolution or the product before them."""
_POOLS: tuple[type[Op], ...] = (MaxPool, AvgPool, Gap, Gmp)
_POINTWISE: tuple[type[Op], ...] = (Relu, Sigmoid, Tanh, Silu, Bn, Upsample)


REORDERS = {"ReorderInput": "reorder to blocks", "ReorderOutput": "reorder from blocks"}
"""The classes of the kernels that ONNX Runtime adds, by their ops."""


class Kernel(NamedTuple):
    """A kernel: the paths of the nodes that it computes, the first its own, and its work for one sample.

    `kind` is its class, such as `1x1 conv` or `add`; `values` are those that it reads and writes, `weights` those of
    its tensors. The efficiency of a class depends on `sizes`: of a convolution the channels of a group and the filters
    of a group, the pixels of its window and of its output.
    """

    paths: tuple[str, ...]
    kind: str
    macs: int
    values: int
    weights: int
    sizes: tuple[int, ...]


def kernels(graph: Graph) -> tuple[Kernel, ...]:
    """Return the kernels of a complete graph at its default input size, in order of execution."""
    return _Kernels(optimise(graph)).all()


class _Kernels:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.kept = {*graph.outputs.values()}
        self.running = [node for node in graph.running if node.inputs]
        self.readers: Mapping[int, list[Node]] = {node.id: [] for node in graph.nodes}
        self.source: dict[int, int] = {}
        """The node in whose kernel a node runs, or that has its values."""
        self.blocked: set[int] = set()
        """Nodes whose values are in blocks of channels."""
        self.kernels: list[Kernel] = []
        self.reordered: set[int] = set()
        for node in self.running:
            for i in dict.fromkeys(node.inputs):
                self.readers[i].append(node)

    def all(self) -> tuple[Kernel, ...]:
        for node in self.running:
            inside = self._inside(node)
            if inside is not None:
                self.source[node.id] = self._of(inside)
                if inside in self.blocked:
                    self.blocked.add(node.id)
                continue
            takes = self._takes_blocks(node)
            self._reorder(node, takes)
            if takes or self._reads_plain(node):
                self.blocked.add(node.id)
            self.kernels.append(_kernel(node))
        self._reorder_outputs()
        inner: dict[str, list[str]] = {}
        for number, root in self.source.items():
            inner.setdefault(self.graph.nodes[root].path, []).append(self.graph.nodes[number].path)
        return tuple(k._replace(paths=(*k.paths, *inner.get(k.paths[0], ()))) for k in self.kernels)

    def _inside(self, node: Node) -> int | None:
        """The node whose kernel computes this one, or whose values this one shows."""
        if not node.op.stored or not node.op.inference:
            return self._of(node.inputs[0])
        if isinstance(node.op, Slice):  # the slices of one value are one Split
            first = next(other for other in self.readers[node.inputs[0]] if isinstance(other.op, Slice))
            return None if first is node else first.id
        if isinstance(node.op, _INSIDE):
            before = self.graph.nodes[node.inputs[0]]
            return self._of(before.id) if self._joins(before) and isinstance(before.op, (Conv, Fc, Add, Bn)) else None
        if isinstance(node.op, Add) and len(node.inputs) == 2 and len(set(map(numel, node.in_shapes))) == 1:
            for i in reversed(node.inputs):
                before = self.graph.nodes[i]
                if isinstance(before.op, Conv) and self._joins(before) and i in self.blocked:
                    return i
        return None

    def _joins(self, node: Node) -> bool:
        """Whether a node can be joined with the only one that reads it."""
        if (
            isinstance(node.op, Add)
            and node.id not in self.source
            or isinstance(node.op, Bn)
            and node.id not in self.blocked
        ):
            return False
        return len(self.readers[node.id]) == 1 and node.id not in self.kept

    def _of(self, number: int) -> int:
        return self.source.get(number, number)

    # --- blocks of channels ------------------------------------------------------------------------------

    def _takes_blocks(self, node: Node) -> bool:
        """Whether the kernel reads and writes blocks of channels."""
        op, shapes = node.op, [concrete(shape) for shape in node.in_shapes]
        if axes_of(shapes[0]) != 2:
            return False
        channels, known = shapes[0][0], [i in self.blocked for i in node.inputs]
        if isinstance(op, Conv):
            return _blocked_conv(op, channels) and channels // op.groups >= (BLOCK if op.groups == 1 else 1)
        if isinstance(op, _POOLS):
            return channels % BLOCK == 0 and known[0]
        if isinstance(op, _POINTWISE):
            return known[0]
        if isinstance(op, (Add, Mul)):
            return all(known) and len(set(shapes)) == 1
        return isinstance(op, Concat) and all(known) and all(shape[0] % BLOCK == 0 for shape in shapes)

    def _reads_plain(self, node: Node) -> bool:
        """Whether the kernel reads plain values and writes blocks: a convolution of a few channels."""
        shape = concrete(node.in_shapes[0])
        op = node.op
        return isinstance(op, Conv) and axes_of(shape) == 2 and op.groups == 1 and shape[0] < BLOCK

    def _reorder(self, node: Node, takes: bool) -> None:
        for i in dict.fromkeys(node.sources):
            if (i in self.blocked) != takes:
                self._reorder_value(i)

    def _reorder_value(self, number: int) -> None:
        root = self._of(number)
        if root not in self.reordered:
            self.reordered.add(root)
            node = self.graph.nodes[number]
            kind = REORDERS["ReorderOutput" if number in self.blocked else "ReorderInput"]
            values = numel(node.shape)
            self.kernels.append(Kernel((node.path,), kind, 0, 2 * values, 0, (values,)))

    def _reorder_outputs(self) -> None:
        for number in self.kept:
            if number in self.blocked:
                self._reorder_value(number)


def _blocked_conv(op: Conv, channels: int) -> bool:
    each, filters = channels // op.groups, op.out // op.groups
    if op.groups == 1:
        return channels % ALIGNMENT == 0
    depthwise = each == 1 and filters == 1
    return channels % ALIGNMENT == 0 if depthwise else each % BLOCK == 0 and filters % BLOCK == 0


# --- one kernel ------------------------------------------------------------------------------------------


def _kernel(node: Node) -> Kernel:
    op, shape, output = node.op, concrete(node.in_shapes[0]), concrete(node.shape)
    values = sum(map(numel, node.in_shapes)) + numel(node.shape)
    if isinstance(op, Slice):
        values = 2 * numel(node.in_shapes[0])
    weights = sum(param.numel for param in node.reads)
    kind, sizes = _class(op, shape, output) if isinstance(op, Weighted) else (op.name, (values,))
    if isinstance(op, Pool):
        sizes = (prod(getattr(op, "kernel", (1,))), values)
    return Kernel((node.path,), kind, node.macs, values, weights, sizes)


def _class(op: Weighted, shape: tuple[int, ...], output: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """The class of an op that multiplies, and its sizes."""
    axes, groups = axes_of(shape), getattr(op, "groups", 1)
    if isinstance(op, Fc):
        return (f"fc {axes}d" if axes else "fc"), (shape[0] if axes else prod(shape), output[0])
    window = prod(getattr(op, "kernel", None) or (1,))
    sizes = (shape[0] // groups, output[0] // groups, window, prod(output[1:]))
    name = op.name
    if isinstance(op, Conv):
        name = _conv_class(shape[0], axes, groups, window)
    return f"{name} {axes}d", sizes


def _conv_class(channels: int, axes: int, groups: int, window: int) -> str:
    if groups > 1:
        return "depthwise" if channels == groups else "grouped"
    if axes == 2 and channels >= BLOCK and channels % ALIGNMENT:
        return "unaligned"
    return "pointwise" if window == 1 else "few channels" if channels < ALIGNMENT else "conv"
