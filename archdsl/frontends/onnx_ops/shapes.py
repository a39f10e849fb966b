"""Import rules of merges, slices and pads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite, prod
from typing import Literal

import numpy as np

from archdsl import ops
from archdsl.frontends.layout import Axes, standard
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.layers import lrn_by_pool
from archdsl.frontends.onnx_ops.values import affine, clipped, identity, operands
from archdsl.frontends.state import ImportRule, ImportState, Unsupported, single

_HUGE = 1 << 62
_LOWEST = float(np.finfo(np.float32).min)
"""A max pool ignores such padding, as its own."""


def merged(state: ImportState, node: SourceNode, merge: type[ops.Elementwise]) -> None:
    """An elementwise op of tensors, which broadcasts if their shapes differ."""
    inputs = [name for name in node.inputs if name]
    views = [state.view(name) for name in inputs]
    if len({len(view.axes) for view in views}) > 1:
        raise Unsupported("its inputs have different numbers of axes")
    if len(inputs) == 1:
        identity(state, node)
        return
    shapes = [state.shape(name) for name in inputs]
    if len(set(shapes)) == len({view.axes for view in views}) == 1:
        state.add(node, merge(), node.outputs[0], inputs=inputs, axes=views[0].axes)
        return
    values, order = agreeing(state, inputs)
    if merge is ops.Mul:  # the gate comes last
        values.sort(key=lambda value: -prod(state.shape(value)))
    differ = len({state.shape(value) for value in values}) > 1
    word = {"broadcast": True} if differ and "broadcast" in merge.model_fields else {}
    shape = tuple(map(max, *(state.shape(value) for value in values)))
    state.add(node, merge(**word), node.outputs[0], inputs=values, axes=in_order(shape, order))


def agreeing(state: ImportState, names: Sequence[str]) -> tuple[list[str], tuple[int | None, ...]]:
    """The values of tensors with one order of axes, and that order: for each axis of the tensor that of the value.

    Raises `Unsupported` if a value would have to be transposed.
    """
    orders = {
        (len(state.shape(name)), None if (whole := state.whole_axes(name)) is None else (*whole,)) for name in names
    }
    _, order = next(iter(orders))
    if len(orders) == 1 and order is not None:
        return [state.value(name) for name in names], order
    values = [state.standard(name) for name in names]
    if len({len(state.shape(value)) for value in values}) > 1:
        raise Unsupported("its inputs have different numbers of axes")
    return values, tuple(range(len(state.shape(values[0]))))


def in_order(shape: Sequence[int], order: Sequence[int | None]) -> Axes:
    """The layout of a tensor with the axes of a value in this order; None is an axis of size 1."""
    whole = standard(shape)
    return tuple(() if axis is None else whole[axis] for axis in order)


def extreme(merge: type[ops.Elementwise]) -> ImportRule:
    """The larger or smaller of tensors, or of a tensor and a number."""

    def rule(state: ImportState, node: SourceNode) -> None:
        constants = [state.constants[name] for name in node.inputs if name in state.constants]
        if not constants:
            merged(state, node, merge)
            return
        if len(node.inputs) != 2 or len(constants) != 1 or constants[0].size != 1:
            raise Unsupported("one of its inputs is a constant of more than one number")
        source = next(name for name in node.inputs if name not in state.constants)
        if constants[0].ndim > len(state.view(source).axes) + 1:
            raise Unsupported("its constant has more axes than its input")
        limit = single(float(constants[0].reshape(())))
        low, high = (limit, None) if merge is ops.Maximum else (None, limit)
        inner = SourceNode(node.op_type, node.name, node.module, (source,), node.outputs, {})
        clipped(state, inner, low, high)

    return rule


def add(state: ImportState, node: SourceNode) -> None:
    pair = operands(state, node)
    if pair is None:
        merged(state, node, ops.Add)
    else:
        affine(state, node, *pair, False, state.constants[pair[1]])


def sum_(state: ImportState, node: SourceNode) -> None:
    (add if len(node.inputs) == 2 else lambda s, n: merged(s, n, ops.Add))(state, node)


def sub(state: ImportState, node: SourceNode) -> None:
    pair = operands(state, node)
    if pair is None:
        merged(state, node, ops.Sub)
    elif pair[1] == node.inputs[1]:
        affine(state, node, *pair, False, -state.constants[pair[1]])
    else:
        negative = SourceNode("Neg", node.name, node.module, (pair[0],), (f"{node.outputs[0]}/negative",), {})
        neg(state, negative)
        affine(state, node, negative.outputs[0], pair[1], False, state.constants[pair[1]])


def neg(state: ImportState, node: SourceNode) -> None:
    axes = state.view(node.inputs[0]).axes
    state.add(node, ops.Affine(mul=-1.0), node.outputs[0], axes=axes)


def mul(state: ImportState, node: SourceNode) -> None:
    pair = operands(state, node)
    if pair is not None:
        affine(state, node, *pair, True, state.constants[pair[1]])
    elif node.inputs[0] != node.inputs[1] or not lrn_by_pool(state, node):
        merged(state, node, ops.Mul)


def power(state: ImportState, node: SourceNode) -> None:
    source, exponent = node.inputs[0], state.require_constant(node, 1, "exponent")
    if exponent.size != 1 or exponent.reshape(()) != 2 or exponent.ndim > len(state.view(source).axes) + 1:
        raise Unsupported("it is a power other than 2")
    mul(state, replace(node, op_type="Mul", inputs=(source, source)))


def div(state: ImportState, node: SourceNode) -> None:
    pair = operands(state, node)
    if pair is None:
        merged(state, node, ops.Div)
        return
    divisor = state.constants[pair[1]]
    if pair[1] == node.inputs[0] or not divisor.all() or divisor.dtype.kind != "f":
        raise Unsupported("it divides a constant, or by 0")
    affine(state, node, *pair, True, (1 / divisor.astype(np.float64)).astype(divisor.dtype))


# --- channels ----------------------------------------------------------------------------------------------------


def concat(state: ImportState, node: SourceNode) -> None:
    if any(name in state.constants for name in node.inputs):
        raise Unsupported("one of its inputs is a constant")
    axis, names = state.axis(node, 1), list(node.inputs)
    if len({len(state.view(name).axes) for name in names}) > 1:
        raise Unsupported("its inputs have different numbers of axes")
    if len(names) == 1:
        identity(state, node)
        return
    values, order = agreeing(state, names)
    if order[axis] != 0:
        raise Unsupported("it does not concatenate channels")
    channels = sum(state.shape(value)[0] for value in values)
    shape = (channels, *state.shape(values[0])[1:])
    state.add(node, ops.Concat(), node.outputs[0], inputs=values, axes=in_order(shape, order))


def channel_slice(state: ImportState, source: str, node: SourceNode, output: str, start: int, end: int) -> None:
    """The channels from `start` to `end` of a tensor, in whose layout each axis is one of the value."""
    order, shape = state.whole_axes(source), state.shape(source)
    if order is None:
        source, order = state.standard(source), list(range(len(shape)))
        shape = state.shape(source)
    if (start, end) == (0, shape[0]):
        state.alias(output, source)
        return
    op = ops.Slice(start=start, end=None if end == shape[0] else end)
    state.add(node, op, output, inputs=[source], axes=in_order((end - start, *shape[1:]), order))


def split(state: ImportState, node: SourceNode) -> None:
    name, axis = node.inputs[0], state.axis(node, 0)
    order, size = state.whole_axes(name), state.view(name).sizes[axis]
    if order is None:
        state.standard(name)
    listed, count = state.constant(node, 1), len(node.outputs)
    each = -(-size // count)
    sizes = [min(each, size - n * each) for n in range(count)] if listed is None else [int(n) for n in listed]
    if (order is not None and order[axis] != 0) or sum(sizes) != size or min(sizes) < 1 or len(sizes) != count:
        raise Unsupported("it does not split channels")
    if node.attributes.get("num_outputs", count) != count:
        raise Unsupported("its `num_outputs` is not the number of its outputs")
    for number, output in enumerate(node.outputs):
        if state.readers.get(output) or output in state.model.outputs:
            channel_slice(state, name, node, output, sum(sizes[:number]), sum(sizes[: number + 1]))


def slice_(state: ImportState, node: SourceNode) -> None:
    """A slice of the channels; one of spatial axes is a crop, and with a step a pool with windows of one pixel."""
    name, view = node.inputs[0], state.view(node.inputs[0])
    rank = len(view.axes) + 1
    starts, ends = (state.require_constant(node, index, "range").reshape(-1) for index in range(1, 3))
    listed, given = state.constant(node, 3), state.constant(node, 4)
    axes = [int(axis) % rank for axis in (range(starts.size) if listed is None else listed.reshape(-1))]
    steps = [1] * len(axes) if given is None else [int(step) for step in given.reshape(-1)]
    if min(steps, default=1) < 1 or len({*axes}) < len(axes):
        raise Unsupported("it reverses an axis, or slices one twice")
    ranges = dict.fromkeys(range(rank), range(_HUGE))
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        ranges[axis] = range((state.batch, *view.sizes)[axis])[int(start) : int(end) : step]
        if not ranges[axis]:
            raise Unsupported("its output is empty")
    if ranges[0] not in (range(_HUGE), range(state.batch)):
        raise Unsupported("it slices the batch")
    if set(axes) - {0} and state.whole_axes(name) is None:
        name = state.standard(name)
    for axis, part in ranges.items():
        if axis and part == range(view.sizes[axis - 1]):
            ranges[axis] = range(_HUGE)
    used = {axis: part for axis, part in ranges.items() if axis and part != range(_HUGE)}
    channels = [axis for axis in used if (state.whole_axes(name) or [])[axis - 1] == 0]
    pixels = {axis: part for axis, part in used.items() if axis not in channels}
    if not used:
        state.alias(node.outputs[0], name)
    elif channels:
        part = used[channels[0]]
        if part.step != 1 or (pixels and not state.is_standard(name)):
            raise Unsupported("it takes every n-th channel, or pixels in another order of axes")
        inner = f"{node.outputs[0]}/channels" if pixels else node.outputs[0]
        channel_slice(state, name, node, inner, part[0], part[-1] + 1)
        name = inner
    if pixels:
        _crop(state, node, state.standard(name), pixels)


def _crop(state: ImportState, node: SourceNode, value: str, pixels: Mapping[int, range]) -> None:
    sizes = state.shape(value)[1:]
    parts = [pixels.get(axis + 2, range(size)) for axis, size in enumerate(sizes)]
    crops = [-part[0] for part in parts], [part.stop - size for part, size in zip(parts, sizes, strict=True)]
    step = tuple(part.step for part in parts)
    cropped = node.outputs[0] if set(step) == {1} else f"{node.outputs[0]}/cropped"
    if any((*crops[0], *crops[1])):
        state.add(node, ops.Pad(pixels=(*crops[0], *crops[1])), cropped, inputs=[value])
        value = cropped
    if set(step) != {1}:
        state.add(node, ops.MaxPool(kernel=(1,) * len(step), stride=step), node.outputs[0], inputs=[value])


_PAD_MODES: Mapping[str, Literal["constant", "reflect", "replicate", "wrap"]]
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "wrap"}


def pad(state: ImportState, node: SourceNode) -> None:
    mode = _PAD_MODES.get(str(node.attributes.get("mode", "constant")))
    if mode is None:
        raise Unsupported("its mode is not constant, reflect, edge or wrap")
    rank = state.axes(node.inputs[0]) + 2
    listed, axes_input = state.require_constant(node, 1, "list of pads"), state.constant(node, 3)
    pads = [int(p) for p in listed.reshape(-1)]
    axes = list(range(rank)) if axes_input is None else [int(axis) % rank for axis in axes_input.reshape(-1)]
    if len(pads) != 2 * len(axes) or len({*axes}) < len(axes):
        raise Unsupported("its list of pads does not fit its input")
    begins, ends = (
        [dict(zip(axes, half, strict=True)).get(axis, 0) for axis in range(rank)]
        for half in (pads[: len(axes)], pads[len(axes) :])
    )
    if begins[0] or ends[0]:
        raise Unsupported("it pads the batch")
    if not any(pads):
        identity(state, node)
        return
    value: Array | None = state.constant(node, 2) if mode == "constant" else None
    number = 0.0 if value is None else float(value.reshape(()))
    pixels = (*begins[2:], *ends[2:])
    if number <= _LOWEST and not begins[1] and not ends[1] and min(pixels) >= 0 and _read_by_max_pools(state, node):
        state.lowest_pads[node.outputs[0]] = pixels
        identity(state, node)
        return
    if not isfinite(number):
        raise Unsupported("it pads with an infinite number, and not for a max pool alone")
    op = ops.Pad(pixels=pixels, channels=(begins[1], ends[1]), value=single(number), mode=mode)
    state.add(node, op, node.outputs[0])


def _read_by_max_pools(state: ImportState, node: SourceNode) -> bool:
    readers = [state.model.nodes[index].op_type for index in state.readers.get(node.outputs[0], [])]
    return {*readers} == {"MaxPool"} and node.outputs[0] not in state.model.outputs
