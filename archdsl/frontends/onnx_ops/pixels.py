"""Import rules of ops that move pixels into channels and back, and of the convolution along the channels."""

from __future__ import annotations

import numpy as np

from archdsl import ops
from archdsl.axes import axes_of
from archdsl.frontends.constants import constant_before
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.layers import bias_of, module_of, resolved
from archdsl.frontends.state import ImportState, Unsupported
from archdsl.ops.base import Op
from archdsl.shapes import concrete


def depth_to_space(state: ImportState, node: SourceNode) -> None:
    factor = node.attributes["blocksize"]
    outputs = concrete(state.shape(node.inputs[0]))[0] // factor**2
    if node.attributes.get("mode", "DCR") != "CRD" and outputs > 1:
        raise Unsupported("the channels of a pixel are not neighbours (mode DCR)")
    state.add(node, ops.PixelShuffle(scale=factor), node.outputs[0])


def space_to_depth(state: ImportState, node: SourceNode) -> None:
    """Its channels are in PyTorch's order if there is one, or if a Gather after it puts them there."""
    factor, channels = node.attributes["blocksize"], concrete(state.shape(node.inputs[0]))[0]
    op, output = ops.PixelUnshuffle(scale=factor), node.outputs[0]
    if channels > 1:
        reader = state.only_reader(output, "Gather")
        order = state.constant(reader[1], 1) if reader is not None else None
        wanted = np.arange(factor**2 * channels).reshape(-1, channels).T.reshape(-1)
        if reader is None or order is None or not np.array_equal(order, wanted) or reader[1].attributes["axis"] != 1:
            raise Unsupported("the channels of a square of pixels are not neighbours")
        state.consumed.add(reader[0])
        output = reader[1].outputs[0]
    state.add(node, op, output)


def pixels_by_reshape(state: ImportState, node: SourceNode, target: Array) -> bool:
    """A pixelshuffle or pixelunshuffle as a Reshape, a Transpose and a Reshape."""
    shape = (1, *concrete(state.shape(node.inputs[0])))
    apart, axes = resolved(shape, target), axes_of(shape[1:])
    transpose = state.only_reader(node.outputs[0], "Transpose")
    if not axes or len(apart) != 2 + 2 * axes or transpose is None or node.inputs[0] in state.channels_last:
        return False
    perm = tuple(transpose[1].attributes.get("perm", ()))
    for op, order, wanted in _forms(shape, apart, axes):
        if perm != order or apart != wanted:
            continue
        together = state.only_reader(transpose[1].outputs[0], "Reshape")
        second = constant_before(state, together[0], together[1].inputs[1]) if together is not None else None
        output = (1, *concrete(op.infer([shape[1:]])))
        if together is None or second is None or resolved(tuple(apart[axis] for axis in perm), second) != output:
            return False
        state.consumed.update((transpose[0], together[0]))
        state.add(node, op, together[1].outputs[0])
        return True
    return False


def _forms(
    shape: tuple[int, ...], apart: tuple[int, ...], axes: int
) -> list[tuple[Op, tuple[int, ...], tuple[int, ...]]]:
    """The two ops, with the order of the axes of their Transpose and the target of their first Reshape."""
    forms: list[tuple[Op, tuple[int, ...], tuple[int, ...]]] = []
    factor = apart[2]
    if factor > 1 and shape[1] % factor**axes == 0:
        order = (0, 1, *(axis for n in range(axes) for axis in (2 + axes + n, 2 + n)))
        forms.append(
            (ops.PixelShuffle(scale=factor), order, (1, shape[1] // factor**axes, *[factor] * axes, *shape[2:]))
        )
    factor = apart[3]
    if factor > 1 and not any(size % factor for size in shape[2:]):
        order = (0, 1, *range(3, 3 + 2 * axes, 2), *range(2, 2 + 2 * axes, 2))
        forms.append(
            (
                ops.PixelUnshuffle(scale=factor),
                order,
                (*shape[:2], *(n for s in shape[2:] for n in (s // factor, factor))),
            )
        )
    return forms


def channelconv(state: ImportState, node: SourceNode, target: Array) -> bool:
    """A Reshape of the channels to an axis of their own, and a convolution along it.

    The Reshape back, which may come later, is then one to the shape that the value has.
    """
    source = node.inputs[0]
    shape = (1, *concrete(state.shape(source)))
    rows, reader = resolved(shape, target), state.only_reader(node.outputs[0], "Conv")
    pixels = int(np.prod(shape[2:]))
    if reader is None or node.inputs[0] in state.channels_last:
        return False
    if (
        rows[:3] != (1, 1, shape[1])
        or int(np.prod(rows[3:])) != pixels
        or len(rows) - 2 > 2
        or (pixels > 1 and len(rows) == 3)
    ):
        return False
    index, conv = reader
    weight = state.require_constant(conv, 1, "weight")
    size, pads = weight.size, tuple(conv.attributes.get("pads", ()))
    side = (size // 2, *[0] * (len(rows) - 3))
    plain = all(set(conv.attributes.get(name, (1,))) == {1} for name in ("strides", "dilations"))
    if weight.shape != (1, 1, size, *[1] * (len(rows) - 3)) or size % 2 == 0 or pads != (*side, *side) or not plain:
        return False
    source = _before_flatten(state, source)
    bias = bias_of(state, conv, 2)
    op = ops.ChannelConv(size=size, bias=bool(bias))
    state.consumed.add(index)
    tensors = {"weight": weight.reshape(1, 1, size), **bias}
    state.add(conv, op, conv.outputs[0], tensors, inputs=[source], module=module_of(state, conv))
    return True


def _before_flatten(state: ImportState, name: str) -> str:
    """The value with axes of size 1 that was flattened to this vector, if only this node reads the vector.

    A Reshape after the convolution restores the axes.
    """
    op = next((op for op in state.ops if op.output == state.value(name)), None)
    if op is None or not isinstance(op.op, ops.Flatten) or len(state.readers.get(name, ())) > 1:
        return name
    if set(concrete(state.shape(op.inputs[0]))[1:]) != {1}:
        return name
    state.ops.remove(op)
    return op.inputs[0]


def expand(state: ImportState, node: SourceNode) -> None:
    """Values repeated to the shape of the other factor of a product, which does that itself."""
    target = tuple(map(int, state.require_constant(node, 1, "shape").reshape(-1)))
    product = state.only_reader(node.outputs[0], "Mul")
    others = [name for name in product[1].inputs if name != node.outputs[0]] if product is not None else []
    known = [(1, *concrete(state.shapes[state.value(name)])) for name in others if state.value(name) in state.shapes]
    if target not in [(*[1] * (len(target) - len(shape)), *shape) for shape in known]:
        raise Unsupported("it does not repeat values for a product")
    state.aliases[node.outputs[0]] = state.value(node.inputs[0])
