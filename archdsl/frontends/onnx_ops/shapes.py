"""Import rules of merges, slices, reshapes and pads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal

import numpy as np

from archdsl import ops
from archdsl.axes import axes_of
from archdsl.frontends.constants import constant_before
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.layers import lrn_by_pool, resolved
from archdsl.frontends.onnx_ops.pixels import channelconv, pixels_by_reshape
from archdsl.frontends.onnx_ops.resizes import nearest_by_gather
from archdsl.frontends.onnx_ops.values import affine, gelu_by_erf, identity, per_channel
from archdsl.frontends.state import ImportRule, ImportState, Unsupported
from archdsl.shapes import concrete, numel


def constant_operand(state: ImportState, node: SourceNode) -> Array | None:
    return next((state.constants[i] for i in node.inputs if i in state.constants), None)


def merged(state: ImportState, node: SourceNode, merge: type[ops.Elementwise]) -> None:
    """An elementwise op of values, which broadcasts if their shapes differ."""
    if constant_operand(state, node) is not None:
        raise Unsupported("one of its inputs is a constant")
    inputs = [name for name in node.inputs if name]
    if merge is ops.Mul:  # the gate comes last
        inputs.sort(key=lambda i: -numel(state.shape(i)))
    differ = len({concrete(state.shape(name)) for name in inputs}) > 1
    word = {"broadcast": True} if differ and "broadcast" in merge.model_fields else {}
    state.add(node, merge(**word), node.outputs[0], inputs=inputs)


def joins(merge: type[ops.Elementwise]) -> ImportRule:
    return lambda state, node: merged(state, node, merge)


def learned(state: ImportState, node: SourceNode, op: type[ops.Scale | ops.Offset], values: Array) -> bool:
    """A constant per channel with the name of a parameter, which multiplies or is added."""
    name = next(i for i in node.inputs if i in state.constants)
    (source,) = (i for i in node.inputs if i != name)
    channels, *sizes = concrete(state.shape(source))
    path = state.model.origins.get(name, name)
    if values.size != channels or channels == 1 or "." not in path:
        return False
    per_channel(state, source, values)
    original = state.constants.get(path, values)  # layer scales are vectors that PyTorch reshapes for an image
    batched, flat = original.ndim == len(sizes) + 2, original.shape == (channels,) and bool(sizes)
    tensor = original if flat else values.reshape((1,) * batched + (channels,) + (1,) * len(sizes))
    state.add(node, op(batched=batched, flat=flat), node.outputs[0], {"": tensor}, inputs=[source], module=path)
    return True


def add(state: ImportState, node: SourceNode) -> None:
    constant = constant_operand(state, node)
    if constant is None:
        merged(state, node, ops.Add)
    elif not learned(state, node, ops.Offset, constant):
        affine(state, node, None, constant)


def sub(state: ImportState, node: SourceNode) -> None:
    minuend, subtrahend = state.constant(node, 0), state.constant(node, 1)
    if minuend is not None:
        affine(state, node, np.array(-1.0), minuend)
    elif subtrahend is not None:
        affine(state, node, None, -subtrahend)
    else:
        merged(state, node, ops.Sub)


def mul(state: ImportState, node: SourceNode) -> None:
    if node.inputs[0] == node.inputs[1] and lrn_by_pool(state, node):
        return
    factor = constant_operand(state, node)
    if factor is None:
        merged(state, node, ops.Mul)
    elif not learned(state, node, ops.Scale, factor):
        affine(state, node, factor, None)


def div(state: ImportState, node: SourceNode) -> None:
    """A division by a constant; or the first node of a GELU without ONNX's own op: x/sqrt(2), Erf, +1, *x, *0.5."""
    divisor = state.constant(node, 1)
    if divisor is None:
        merged(state, node, ops.Div)
    elif divisor.size != 1 or abs(float(divisor.reshape(())) - 2**0.5) >= 1e-5 or not gelu_by_erf(state, node):
        affine(state, node, 1.0 / divisor.astype(np.float64), None)


def concat(state: ImportState, node: SourceNode) -> None:
    if len(node.inputs) == 1:  # DenseNet's first layer concatenates one tensor
        identity(state, node)
        return
    if not all(state.is_channels(name, node.attributes["axis"]) for name in node.inputs):
        raise Unsupported("it does not concatenate channels")
    state.add(node, ops.Concat(), node.outputs[0], inputs=node.inputs)


def slices(state: ImportState, node: SourceNode, ranges: Sequence[tuple[str, int, int]]) -> None:
    for name, start, end in ranges:
        state.add(node, ops.Slice(start=start, end=end), name)


def split(state: ImportState, node: SourceNode) -> None:
    channels = concrete(state.shape(node.inputs[0]))[0]
    split_input = state.constant(node, 1)
    sizes = (
        [int(n) for n in split_input]
        if split_input is not None
        else [channels // len(node.outputs)] * len(node.outputs)
    )
    if not state.is_channels(node.inputs[0], node.attributes.get("axis", 0)) or sum(sizes) != channels:
        raise Unsupported("it does not split channels")
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    slices(
        state,
        node,
        [(out, s, s + n) for out, s, n in zip(node.outputs, starts, sizes, strict=True) if state.readers.get(out)],
    )


def slice_(state: ImportState, node: SourceNode) -> None:
    starts, ends, axes, steps = (state.constant(node, n) for n in (1, 2, 3, 4))
    if starts is None or ends is None or axes is None or starts.size != 1:
        raise Unsupported("it does not slice one axis at constant positions")
    if not state.is_channels(node.inputs[0], int(axes.reshape(()))) or (
        steps is not None and int(steps.reshape(())) != 1
    ):
        raise Unsupported("it does not slice channels")
    channels = concrete(state.shape(node.inputs[0]))[0]
    start, end, _ = slice(int(starts.reshape(())), int(ends.reshape(()))).indices(channels)
    slices(state, node, [(node.outputs[0], start, end)])


def flatten(state: ImportState, node: SourceNode) -> None:
    if node.attributes.get("axis", 1) != 1:
        raise Unsupported("it does not flatten all axes but the batch")
    to_vector(state, node)


def to_vector(state: ImportState, node: SourceNode) -> None:
    value = node.inputs[0]
    shape = concrete(state.shape(value))
    if value in state.channels_last and set(shape[1:]) - {1}:
        raise Unsupported("it flattens a value with channels last")
    if not axes_of(shape):
        identity(state, node)
        return
    state.add(node, ops.Flatten(), node.outputs[0])
    state.channels_last.discard(node.outputs[0])


def reshape(state: ImportState, node: SourceNode) -> None:
    """A flatten; or, with the Transpose and Reshape after it, a channel shuffle."""
    target = state.require_constant(node, 1, "target")
    size = numel(state.shape(node.inputs[0]))
    if len(target) == 2 and (int(target[1]) in (-1, size)):
        to_vector(state, node)
    elif (
        shuffle(state, node, target)
        or parted_softmax(state, node, target)
        or pixels_by_reshape(state, node, target)
        or channelconv(state, node, target)
        or (len(target) == 1 and undone_by_gather(state, node))
    ):
        return
    elif resolved(shape := (1, *concrete(state.shape(node.inputs[0]))), target) == shape:
        identity(state, node)
    else:
        raise Unsupported(
            f"the shape {[int(t) for t in target]} is neither a flatten, nor part of a channel shuffle or softmax"
        )


def undone_by_gather(state: ImportState, node: SourceNode) -> bool:
    """A Reshape to one axis and a Gather that restores the shape: PyTorch exports `as_strided` so, in a mean over an
    image."""
    reader = state.only_reader(node.outputs[0], "Gather")
    order = state.constant(reader[1], 1) if reader is not None else None
    shape = (1, *concrete(state.shape(node.inputs[0])))
    unchanged = order is not None and order.shape == shape and np.array_equal(order.reshape(-1), np.arange(order.size))
    if (
        reader is None
        or not unchanged
        or node.inputs[0] in state.channels_last
        or reader[1].attributes.get("axis", 0) != 0
    ):
        return False
    state.consumed.add(reader[0])
    state.aliases[reader[1].outputs[0]] = state.value(node.inputs[0])
    return True


def shuffle(state: ImportState, node: SourceNode, target: Array) -> bool:
    """Channels as groups x channels, exchanged, and as channels again; sizes after them stay where they are."""
    shape = (1, *concrete(state.shape(node.inputs[0])))
    apart = resolved(shape, target)
    transpose = state.only_reader(node.outputs[0], "Transpose")
    if len(apart) < 3 or apart[0] != 1 or apart[1] * apart[2] != shape[1] or transpose is None:
        return False
    if tuple(transpose[1].attributes.get("perm", ())) != (0, 2, 1, *range(3, len(apart))):
        return False
    together = state.only_reader(transpose[1].outputs[0], "Reshape")
    if together is None or node.inputs[0] in state.channels_last:
        return False
    second_target = constant_before(state, together[0], together[1].inputs[1])
    if second_target is None or resolved((1, apart[2], apart[1], *apart[3:]), second_target) != shape:
        return False
    state.consumed.update((transpose[0], together[0]))
    state.add(node, ops.Shuffle(groups=apart[1]), together[1].outputs[0])
    return True


def parted_softmax(state: ImportState, node: SourceNode, target: Array) -> bool:
    """A softmax over groups or parts of the channels, or over space: over an axis of another shape, and back."""
    shape = (1, *concrete(state.shape(node.inputs[0])))
    apart = resolved(shape, target)
    softmax = state.only_reader(node.outputs[0], "Softmax")
    together = softmax and state.only_reader(softmax[1].outputs[0], "Reshape")
    if softmax is None or together is None or node.inputs[0] in state.channels_last or apart[:1] != (1,):
        return False
    back = constant_before(state, together[0], together[1].inputs[1])
    axis = softmax[1].attributes.get("axis", -1) % len(apart)
    if back is None or resolved(apart, back) != shape or prod(apart) != prod(shape) or axis == 0:
        return False
    groups, parts = prod(apart[1:axis]), apart[axis]
    if groups == shape[1] and parts == prod(shape[2:]):
        op = ops.Softmax(space=True)
    elif shape[1] % (groups * parts) == 0:
        op = ops.Softmax(groups=groups, parts=None if groups * parts == shape[1] else parts)
    else:
        return False
    state.consumed.update((softmax[0], together[0]))
    state.add(node, op, together[1].outputs[0])
    return True


def gather(state: ImportState, node: SourceNode) -> None:
    """A channel shuffle as archdsl writes it, whose second index is the size of a group; or a nearest resize."""
    order = state.require_constant(node, 1, "order").reshape(-1)
    if node.inputs[0] not in state.channels_last and nearest_by_gather(state, node, order):
        return
    channels = concrete(state.shape(node.inputs[0]))[0]
    size = (
        int(order[1])
        if state.is_channels(node.inputs[0], node.attributes.get("axis", 0)) and order.size == channels > 1
        else 0
    )
    if size < 1 or channels % size or not np.array_equal(order, np.arange(channels).reshape(-1, size).T.reshape(-1)):
        raise Unsupported("it is neither a channel shuffle nor a nearest resize")
    state.add(node, ops.Shuffle(groups=channels // size), node.outputs[0])


def squeeze(state: ImportState, node: SourceNode) -> None:
    value = node.inputs[0]
    spatial = state.spatial(value)
    removed = list(state.listed_axes(node, len(spatial) + 2))
    if removed not in ([], spatial) or set(concrete(state.shape(value))[1:]) - {1}:
        raise Unsupported("it removes other axes than all spatial ones, each of size 1")
    to_vector(state, node)


def transpose(state: ImportState, node: SourceNode) -> None:
    value, perm = state.value(node.inputs[0]), tuple(node.attributes.get("perm", ()))
    channels_last, axes = node.inputs[0] in state.channels_last, state.axes(node.inputs[0])
    last, first = (0, *range(2, axes + 2), 1), (0, axes + 1, *range(1, axes + 1))
    if not axes or perm != (first if channels_last else last):
        raise Unsupported("only a transpose to channels last, and back, is supported")
    state.aliases[node.outputs[0]] = value
    if not channels_last:
        state.channels_last.add(node.outputs[0])


_PAD_MODES: Mapping[str, Literal["constant", "reflect", "replicate", "wrap"]]
_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "wrap"}


def pad(state: ImportState, node: SourceNode) -> None:
    mode = _PAD_MODES.get(str(node.attributes.get("mode", "constant")))
    if mode is None:
        raise Unsupported("its mode is not constant, reflect, edge or wrap")
    rank = state.axes(node.inputs[0]) + 2
    pads_input, axes_input = state.constant(node, 1), state.constant(node, 3)
    pads = [int(p) for p in (pads_input if pads_input is not None else node.attributes.get("pads", ()))]
    axes = list(range(rank)) if axes_input is None else [int(axis) % rank for axis in axes_input]
    if len(pads) != 2 * len(axes) or not state.axes(node.inputs[0]):
        raise Unsupported("its list of pads does not fit its input")
    begins, ends = (
        [dict(zip(axes, half, strict=True)).get(axis, 0) for axis in range(rank)]
        for half in (pads[: len(axes)], pads[len(axes) :])
    )
    if begins[0] or ends[0]:
        raise Unsupported("it pads the batch")
    value = state.constant(node, 2) if mode == "constant" else None
    op = ops.Pad(
        pixels=(*begins[2:], *ends[2:]),
        channels=(begins[1], ends[1]),
        value=float(value.reshape(())) if value is not None else 0.0,
        mode=mode,
    )
    state.add(node, op, node.outputs[0])
