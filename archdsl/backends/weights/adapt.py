"""Filters for another number of input channels, by timm's rule (`timm.models._manipulate.adapt_input_conv`).

For one channel the filters of all channels are added: a grey image has the same value in each. For other numbers they
are repeated, and scaled by the old number over the new one, so that the sums stay as large.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np

from archdsl.backends.weights.tensors import Array, TensorEntry
from archdsl.graph import Graph, Tensor
from archdsl.ops.conv import Conv


def adapted(
    entries: Mapping[str, TensorEntry], graph: Graph, fresh: Collection[str]
) -> tuple[dict[str, TensorEntry], int]:
    """Return the entries with the filters that read the input adapted to its channels, and the number of these.

    Tensors of `fresh` stay as they are, and so do filters of several groups, which have no such form.
    """
    out, count = dict(entries), 0
    for tensor in graph.tensors:
        entry = entries.get(tensor.key)
        if entry is not None and tensor.key not in fresh and adaptable(graph, tensor, entry.shape):
            channels = tensor.param.shape[1]
            shape = (*entry.shape[:1], channels, *entry.shape[2:])
            out[tensor.key] = TensorEntry(shape, entry.dtype, partial(_adapt, entry, channels), entry.stored)
            count += 1
    return out, count


def adaptable(graph: Graph, tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Return whether a tensor are the filters that read the input, and one of `shape` has other channels.

    It may lack axes, which `--inflate` then adds.
    """
    op, want = tensor.node.op, tensor.param.shape
    if (
        not isinstance(op, Conv)
        or op.groups != 1
        or tensor.param.name != "weight"
        or not shape[2:]
        or len(shape) > len(want)
    ):
        return False
    return shape[0] == want[0] and shape[1] != want[1] and _reads_input(graph, tensor.node.inputs)


def _reads_input(graph: Graph, inputs: Collection[int]) -> bool:
    """Whether only nodes without tensors, such as a pad, are between the input and a node with these inputs."""
    return bool(inputs) and all(
        i in graph.inputs or (not graph.nodes[i].params and _reads_input(graph, graph.nodes[i].inputs)) for i in inputs
    )


def _adapt(entry: TensorEntry, channels: int) -> Array:
    values = entry.make()
    old = values.shape[1]
    if channels == 1:
        return np.asarray(values.sum(1, keepdims=True), values.dtype)
    repeated = np.concatenate([values] * -(-channels // old), axis=1)[:, :channels]
    return np.ascontiguousarray(repeated * np.float32(old / channels))
