"""Import rules of pooling ops."""

from __future__ import annotations

from typing import Any

from archdsl import ops
from archdsl.frontends.onnx_model import SourceNode
from archdsl.frontends.onnx_ops.layers import pad_field, per_axis
from archdsl.frontends.state import ImportState, Unsupported
from archdsl.ops.base import Op


def pool_fields(state: ImportState, node: SourceNode) -> dict[str, Any]:
    axes = state.axes(node.inputs[0])
    kernel, stride = per_axis(node, "kernel_shape", axes), per_axis(node, "strides", axes)
    return {
        "kernel": kernel,
        "stride": stride if stride != kernel else None,
        "pad": pad_field(node, axes),
        "ceil": bool(node.attributes.get("ceil_mode", 0)),
    }


def maxpool(state: ImportState, node: SourceNode) -> None:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise Unsupported("another node reads its indices")
    dilation = per_axis(node, "dilations", state.axes(node.inputs[0]))
    state.add(node, ops.MaxPool(**pool_fields(state, node), dilation=dilation), node.outputs[0])


def avgpool(state: ImportState, node: SourceNode) -> None:
    fields = pool_fields(state, node)
    if set(node.attributes.get("dilations", ())) - {1}:
        raise Unsupported("archdsl has no average pool with a dilation")
    inside = not node.attributes.get("count_include_pad", 0) and fields["pad"] != 0
    state.add(node, ops.AvgPool(**fields, inside=inside), node.outputs[0])


def gap(state: ImportState, node: SourceNode) -> None:
    state.add(node, ops.Gap(), node.outputs[0])


_REDUCTIONS: dict[str, tuple[Op, Op]] = {
    "ReduceMean": (ops.Mean(over="channels"), ops.Gap()),
    "ReduceMax": (ops.Max(over="channels"), ops.Gmp()),
    "ReduceSum": (ops.Sum(over="channels"), ops.Sum(over="space")),
    "ReduceL2": (ops.L2(over="channels"), ops.L2(over="space")),
}
"""Over the channels, and over all spatial axes."""


def reduction(state: ImportState, node: SourceNode) -> None:
    spatial = state.spatial(node.inputs[0])
    reduced, keep = state.listed_axes(node, len(spatial) + 2), node.attributes.get("keepdims", 1)
    channels_last = node.inputs[0] in state.channels_last
    if node.op_type == "ReduceMean" and reduced == (1,) and not channels_last and mean_of_layer_norm(state, node):
        return
    over_channels, over_space = _REDUCTIONS[node.op_type]
    if len(reduced) == 1 and state.is_channels(node.inputs[0], reduced[0]):
        if not keep:
            raise Unsupported("it removes the axis of the channels")
        state.add(node, over_channels, node.outputs[0])
        return
    if list(reduced) != spatial or not spatial:
        raise Unsupported("it is neither over the channels nor over all spatial axes")
    if keep:
        state.add(node, over_space, node.outputs[0])
        return
    middle = f"{node.outputs[0]}/reduced"
    state.add(node, over_space, middle)
    state.add(node, ops.Flatten(), node.outputs[0], inputs=[middle])
    state.channels_last -= {middle, node.outputs[0]}


def unsqueeze(state: ImportState, node: SourceNode) -> None:
    """A mean of a signal with one more axis, which a Squeeze removes: PyTorch exports `AdaptiveAvgPool1d(1)` so."""
    mean = state.only_reader(node.outputs[0], "ReduceMean")
    squeeze = None if mean is None else state.only_reader(mean[1].outputs[0], "Squeeze")
    rank = state.axes(node.inputs[0]) + 3
    added = state.listed_axes(node, rank)
    if mean is None or squeeze is None or node.inputs[0] in state.channels_last:
        raise Unsupported("archdsl has no op for it")
    whole = state.listed_axes(mean[1], rank) == tuple(range(2, rank)) and mean[1].attributes.get("keepdims", 1)
    if not whole or min(added, default=0) < 2 or len(added) > 1 or state.listed_axes(squeeze[1], rank) != added:
        raise Unsupported("it adds an axis that is not removed after a mean over all spatial axes")
    state.consumed.update((mean[0], squeeze[0]))
    state.add(node, ops.Gap(), squeeze[1].outputs[0])


def mean_of_layer_norm(state: ImportState, node: SourceNode) -> bool:
    """The mean that archdsl subtracts before a layer norm; dropped, because the norm subtracts it as well."""
    reader = state.only_reader(node.outputs[0], "Sub")
    if reader is None or reader[1].inputs != (node.inputs[0], node.outputs[0]):
        return False
    value = reader[1].outputs[0]
    transpose = state.only_reader(value, "Transpose")
    if state.only_reader(transpose[1].outputs[0] if transpose else value, "LayerNormalization") is None:
        return False
    state.consumed.add(reader[0])
    state.aliases[value] = state.value(node.inputs[0])
    return True
