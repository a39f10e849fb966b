"""Import rules of merges, slices, reshapes, pads and resizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archdsl import ops
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.layers import lrn_by_pool
from archdsl.frontends.onnx_ops.values import affine, identity, per_channel
from archdsl.frontends.state import ImportState, Unsupported
from archdsl.shapes import concrete, numel

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""The `perm` of the Transpose to channels first, and to channels last."""


def constant_operand(state: ImportState, node: SourceNode) -> Array | None:
    return next((state.constants[i] for i in node.inputs if i in state.constants), None)


def add(state: ImportState, node: SourceNode) -> None:
    constant = constant_operand(state, node)
    if constant is not None:
        affine(state, node, None, constant)
        return
    state.add(node, ops.Add(), node.outputs[0], inputs=node.inputs)


def sub(state: ImportState, node: SourceNode) -> None:
    affine(state, node, None, -state.require_constant(node, 1, "subtrahend"))


def mul(state: ImportState, node: SourceNode) -> None:
    if node.inputs[0] == node.inputs[1] and lrn_by_pool(state, node):
        return
    factor = constant_operand(state, node)
    if factor is None:
        first, second = sorted(node.inputs, key=lambda i: -numel(state.shape(i)))
        state.add(node, ops.Mul(), node.outputs[0], inputs=[first, second])
        return
    name = next(i for i in node.inputs if i in state.constants)
    (source,) = (i for i in node.inputs if i != name)
    channels = concrete(state.shape(source))[0]
    if factor.size == channels > 1 and "." in name:
        per_channel(state, source, factor)
        shape = (channels,) + (1,) * (len(state.shape(source)) - 1)
        state.add(node, ops.Scale(), node.outputs[0], {"": factor.reshape(shape)}, inputs=[source], module=name)
    else:
        affine(state, node, factor, None)


def concat(state: ImportState, node: SourceNode) -> None:
    if len(node.inputs) == 1:  # DenseNet's first layer concatenates one tensor
        identity(state, node)
        return
    if node.attributes.get("axis") not in (1, -3):
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
    if node.attributes.get("axis", 0) not in (1, -3) or sum(sizes) != channels:
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
    if int(axes.reshape(())) not in (1, -3) or (steps is not None and int(steps.reshape(())) != 1):
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
    if value in state.channels_last and len(shape) == 3 and shape[1:] != (1, 1):
        raise Unsupported("it flattens an image with channels last")
    if len(shape) == 1:
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
    elif (len(target) == 5 and shuffle(state, node, target)) or (len(target) == 1 and undone_by_gather(state, node)):
        return
    else:
        raise Unsupported(f"the shape {[int(t) for t in target]} is neither a flatten nor a channel shuffle")


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
    transpose = state.only_reader(node.outputs[0], "Transpose")
    if transpose is None or tuple(transpose[1].attributes.get("perm", ())) != (0, 2, 1, 3, 4):
        return False
    second_reshape = state.only_reader(transpose[1].outputs[0], "Reshape")
    if second_reshape is None:
        return False
    state.consumed.update((transpose[0], second_reshape[0]))
    state.add(node, ops.Shuffle(groups=int(target[1])), second_reshape[1].outputs[0])
    return True


def gather(state: ImportState, node: SourceNode) -> None:
    """A channel shuffle as archdsl writes it: the second index is the size of a group."""
    order = state.require_constant(node, 1, "order").reshape(-1)
    channels = concrete(state.shape(node.inputs[0]))[0]
    size = int(order[1]) if node.attributes.get("axis", 0) in (1, -3) and order.size == channels > 1 else 0
    if size < 1 or channels % size or not np.array_equal(order, np.arange(channels).reshape(-1, size).T.reshape(-1)):
        raise Unsupported("it is not a channel shuffle")
    state.add(node, ops.Shuffle(groups=channels // size), node.outputs[0])


def squeeze(state: ImportState, node: SourceNode) -> None:
    if concrete(state.shape(node.inputs[0]))[1:] != (1, 1):
        raise Unsupported("it removes axes other than a height and width of 1")
    to_vector(state, node)


def transpose(state: ImportState, node: SourceNode) -> None:
    value, perm = state.value(node.inputs[0]), tuple(node.attributes.get("perm", ()))
    channels_last = node.inputs[0] in state.channels_last
    if perm != (FIRST if channels_last else LAST):
        raise Unsupported("only a transpose to channels last, and back, is supported")
    state.aliases[node.outputs[0]] = value
    if not channels_last:
        state.channels_last.add(node.outputs[0])


def pad(state: ImportState, node: SourceNode) -> None:
    if node.attributes.get("mode", "constant") != "constant":
        raise Unsupported("it does not pad with a constant value")
    pads_input = state.constant(node, 1)
    pads = [int(p) for p in (pads_input if pads_input is not None else node.attributes.get("pads", ()))]
    axes_input = state.constant(node, 3)
    axes = [0, 1, 2, 3] if axes_input is None else [int(axis) % 4 for axis in axes_input]
    if len(pads) != 2 * len(axes) or len(state.shape(node.inputs[0])) != 3:
        raise Unsupported("it does not pad an image")
    begin, end = (
        {**dict.fromkeys(range(4), 0), **dict(zip(axes, half, strict=True))}
        for half in (pads[: len(axes)], pads[len(axes) :])
    )
    if begin[0] or end[0]:
        raise Unsupported("it pads the batch")
    value = state.constant(node, 2)
    op = ops.Pad(
        pixels=(begin[2], begin[3], end[2], end[3]),
        channels=(begin[1], end[1]),
        value=float(value.reshape(())) if value is not None else 0.0,
    )
    state.add(node, op, node.outputs[0])


def resize(state: ImportState, node: SourceNode) -> None:
    scales, sizes = state.constant(node, 2), state.constant(node, 3)
    shape = concrete(state.shape(node.inputs[0]))
    if sizes is not None and sizes.size == 4:
        scales = np.array([1, 1, *(int(s) / n for s, n in zip(sizes[2:], shape[1:], strict=True))])
    if scales is None or scales.size != 4 or any(s != int(s) or s < 1 for s in scales) or tuple(scales[:2]) != (1, 1):
        raise Unsupported("its scale is not an integer")
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_floor",
        **node.attributes,
    }
    nearest = attributes["mode"] == "nearest" and (
        attributes["coordinate_transformation_mode"],
        attributes["nearest_mode"],
    ) in (
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round_prefer_ceil"),
        ("pytorch_half_pixel", "floor"),
    )
    linear = attributes["mode"] == "linear" and attributes["coordinate_transformation_mode"] in (
        "half_pixel",
        "pytorch_half_pixel",
    )
    if not nearest and not linear:
        raise Unsupported("archdsl has no such interpolation: supported are nearest and half-pixel bilinear")
    state.add(
        node,
        ops.Upsample(scale=(int(scales[2]), int(scales[3])), mode="nearest" if nearest else "linear"),
        node.outputs[0],
    )
