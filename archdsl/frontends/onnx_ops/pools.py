"""Import rules of pooling ops and reductions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl import ops
from archdsl.frontends.constants import constant_before
from archdsl.frontends.layout import Axes, Factors, size_of
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
        "pad": pad_field(state, node, kernel),
        "ceil": bool(node.attributes.get("ceil_mode", 0)) and node.attributes.get("auto_pad", "NOTSET") == "NOTSET",
    }


def maxpool(state: ImportState, node: SourceNode) -> None:
    more = state.lowest_pads.get(node.inputs[0])
    node = state.with_standard_inputs(node)
    if more is not None:
        if node.attributes.get("ceil_mode", 0) or node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise Unsupported("it pads by the size of an input that is padded already")
        own = node.attributes.get("pads") or [0] * len(more)
        pads = [one + other for one, other in zip(own, more, strict=True)]
        node = replace(node, attributes={**node.attributes, "auto_pad": "NOTSET", "pads": pads})
    dilation = per_axis(node, "dilations", state.axes(node.inputs[0]))
    state.add(node, ops.MaxPool(**pool_fields(state, node), dilation=dilation), node.outputs[0])


def avgpool(state: ImportState, node: SourceNode) -> None:
    fields = pool_fields(state, node)
    if set(node.attributes.get("dilations", ())) - {1}:
        raise Unsupported("archdsl has no average pool with a dilation")
    inside = not node.attributes.get("count_include_pad", 0) and fields["pad"] != 0
    state.add(node, ops.AvgPool(**fields, inside=inside), node.outputs[0])


def adaptive(state: ImportState, node: SourceNode) -> None:
    state.add(node, ops.AvgPool(kernel=node.attributes["kernel_shape"], adaptive=True), node.outputs[0])


def blurpool(state: ImportState, node: SourceNode) -> None:
    kernel, stride = node.attributes["kernel_shape"], node.attributes["strides"]
    state.add(node, ops.BlurPool(kernel=kernel, stride=stride), node.outputs[0])


_REDUCTIONS: dict[str, tuple[Op, Op]] = {
    "ReduceMean": (ops.Mean(over="channels"), ops.Gap()),
    "ReduceMax": (ops.Max(over="channels"), ops.Gmp()),
    "ReduceSum": (ops.Sum(over="channels"), ops.Sum(over="space")),
    "ReduceL2": (ops.L2(over="channels"), ops.L2(over="space")),
}
"""Over the channels, and over all spatial axes."""


def reduction(state: ImportState, node: SourceNode) -> None:
    """A reduction over space, over the channels, or over both; reductions that follow may reduce the rest of space."""
    name, axes, output = node.inputs[0], state.view(node.inputs[0]).axes, node.outputs[0]
    axes, factors = _reduced(state, node, axes)
    if node.op_type == "ReduceMean" and state.is_channels(name, factors) and mean_of_layer_norm(state, node):
        return
    pixels = [factor for factor in factors if factor[0]]
    while pixels and not state.is_space(name, tuple(pixels)):
        reader = state.only_reader(output, node.op_type)
        if reader is None or constant_before(state, reader[0], (*reader[1].inputs, "", "")[1]) is None:
            break
        axes, more = _reduced(state, reader[1], axes)
        factors += more
        pixels += [factor for factor in more if factor[0]]
        state.consumed.add(reader[0])
        output = reader[1].outputs[0]
    channels = tuple(factor for factor in factors if not factor[0])
    if (pixels and not state.is_space(name, tuple(pixels))) or (channels and not state.is_channels(name, channels)):
        raise Unsupported("it is neither over the channels nor over all spatial axes")
    over_channels, over_space = _REDUCTIONS[node.op_type]
    source, steps = name, [*[over_space] * bool(pixels), *[over_channels] * bool(channels)]
    for number, op in enumerate(steps):
        last = number == len(steps) - 1
        target = output if last else f"{output}/space"
        inner = state.view(name).axes if not last else axes
        state.add(node, op, target, inputs=[source], axes=inner if last else _without_space(inner))
        source = target
    if not steps:
        state.alias(output, name, axes)


def _without_space(axes: Axes) -> Axes:
    return tuple(tuple(factor for factor in factors if not factor[0]) for factors in axes)


def _reduced(state: ImportState, node: SourceNode, axes: Axes) -> tuple[Axes, Factors]:
    """The layout after a reduction, and the factors of size 2 or more that it reduces."""
    rank, keep = len(axes) + 1, node.attributes.get("keepdims", 1)
    if keep not in (False, True):  # also of a node after the first one
        raise Unsupported(f"its `keepdims` is {keep}, not 0 or 1")
    listed = state.listed_axes(node, rank)
    if not listed and node.attributes.get("noop_with_empty_axes", 0):
        return axes, ()
    if 0 in listed or not listed:
        raise Unsupported("it reduces the batch")
    after = tuple(() if axis in listed else f for axis, f in enumerate(axes, 1) if keep or axis not in listed)
    return after, tuple(f for axis in listed for f in axes[axis - 1] if size_of((f,)) > 1)


def mean_of_layer_norm(state: ImportState, node: SourceNode) -> bool:
    """The mean that archdsl subtracts before a layer norm; dropped, because the norm subtracts it as well."""
    reader = state.only_reader(node.outputs[0], "Sub")
    if (
        reader is None
        or reader[1].inputs != (node.inputs[0], node.outputs[0])
        or not node.attributes.get("keepdims", 1)
    ):
        return False
    value = reader[1].outputs[0]
    transpose = state.only_reader(value, "Transpose")
    norm = state.only_reader(transpose[1].outputs[0] if transpose else value, "LayerNormalization")
    rank = len(state.view(node.inputs[0]).axes) + 1
    order = tuple(transpose[1].attributes.get("perm", ())) if transpose else tuple(range(rank))
    axis = norm[1].attributes.get("axis", -1) % rank if norm else 0
    if len(order) != rank or axis != rank - 1 or order[axis] not in state.listed_axes(node, rank):
        return False
    state.consumed.add(reader[0])
    state.alias(value, node.inputs[0])
    return True
