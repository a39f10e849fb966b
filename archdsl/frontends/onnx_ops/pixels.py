"""Import rules of ops that move values: transposes, reshapes, squeezes, pixels into channels and back.

None of them computes anything, so that they only change the layout of a tensor. An op of the spec is added where a
later node reads the tensor by its axes.
"""

from __future__ import annotations

import numpy as np

from archdsl.frontends.constants import constant_before
from archdsl.frontends.layout import Axes, joined, regrouped, size_of
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.layers import resolved
from archdsl.frontends.onnx_ops.resizes import nearest_by_gather
from archdsl.frontends.onnx_ops.values import identity
from archdsl.frontends.state import ImportState, Unsupported


def transpose(state: ImportState, node: SourceNode) -> None:
    axes = state.view(node.inputs[0]).axes
    perm = tuple(node.attributes.get("perm", range(len(axes), -1, -1)))
    if sorted(perm) != list(range(len(axes) + 1)) or perm[0] != 0:
        raise Unsupported("it moves the batch")
    state.alias(node.outputs[0], node.inputs[0], tuple(axes[axis - 1] for axis in perm[1:]))


def moved(state: ImportState, node: SourceNode, axes: Axes | None) -> None:
    if axes is None:
        raise Unsupported("it cuts through an axis, which a spec cannot express")
    state.alias(node.outputs[0], node.inputs[0], axes)


def reshape(state: ImportState, node: SourceNode) -> None:
    target = state.require_constant(node, 1, "target")
    view = state.view(node.inputs[0])
    if target.size == 1 and undone_by_gather(state, node):
        return
    sizes = resolved((state.batch, *view.sizes), target.reshape(-1))
    legal = min(sizes, default=0) > 0 and not (node.attributes.get("allowzero", 0) and 0 in target)
    if not legal or sizes[0] != state.batch or not sizes[1:]:
        raise Unsupported(f"the shape {[int(t) for t in target.reshape(-1)]} does not keep the batch as the first axis")
    fixed = -1 in target and target.reshape(-1)[0] == 1 and not state.from_shape(node.inputs[1])
    if fixed and any(shape[0] is None for shape in state.model.shapes.values() if shape):
        raise Unsupported("it fixes the batch at 1, which the inputs of the file leave open")
    moved(state, node, regrouped(view.axes, sizes[1:]))


def undone_by_gather(state: ImportState, node: SourceNode) -> bool:
    """A Reshape to one axis and a Gather that restores the shape: PyTorch exports `as_strided` so, in a mean over an
    image."""
    reader = state.only_reader(node.outputs[0], "Gather")
    order = constant_before(state, reader[0], reader[1].inputs[1]) if reader is not None else None
    view = state.view(node.inputs[0])
    if (
        reader is None
        or order is None
        or order.shape != (state.batch, *view.sizes)
        or reader[1].attributes.get("axis", 0) != 0
    ):
        return False
    if not np.array_equal(order.reshape(-1), np.arange(order.size)):
        return False
    state.consumed.add(reader[0])
    state.alias(reader[1].outputs[0], node.inputs[0])
    return True


def flatten(state: ImportState, node: SourceNode) -> None:
    axes = state.view(node.inputs[0]).axes
    if node.attributes.get("axis", 1) not in (1, -len(axes)):
        raise Unsupported("it does not flatten all axes but the batch")
    moved(state, node, (joined(axes),))


def squeeze(state: ImportState, node: SourceNode) -> None:
    axes = state.view(node.inputs[0]).axes
    removed = state.listed_axes(node, len(axes) + 1)
    if not removed or 0 in removed:
        raise Unsupported("it removes the batch")
    if any(size_of(axes[axis - 1]) != 1 for axis in removed):
        raise Unsupported("it removes an axis that is larger than 1")
    moved(state, node, tuple(factors for axis, factors in enumerate(axes, 1) if axis not in removed))


def unsqueeze(state: ImportState, node: SourceNode) -> None:
    axes = [*state.view(node.inputs[0]).axes]
    added = state.listed_axes(node, len(axes) + 1 + state.require_constant(node, 1, "list of axes").size)
    if not added or 0 in added:
        raise Unsupported("it adds an axis before the batch")
    for axis in added:
        axes.insert(axis - 1, ())
    moved(state, node, tuple(axes))


def depth_to_space(state: ImportState, node: SourceNode) -> None:
    """Reshape, Transpose, Reshape, as ONNX defines it."""
    factor, mode = node.attributes["blocksize"], node.attributes.get("mode", "DCR")
    channels, *sizes = state.view(node.inputs[0]).sizes
    axes = len(sizes)
    each, factors = channels // factor**axes, (factor,) * axes
    if mode == "CRD":
        apart, order = (each, *factors, *sizes), (0, *(n for axis in range(1, axes + 1) for n in (axis + axes, axis)))
    elif mode == "DCR":
        apart, order = (*factors, each, *sizes), (axes, *(n for axis in range(axes) for n in (axis + axes + 1, axis)))
    else:
        raise Unsupported(f"archdsl does not know the mode `{mode}`")
    _rearrange(state, node, apart, order, (each, *(size * factor for size in sizes)))


def space_to_depth(state: ImportState, node: SourceNode) -> None:
    factor = node.attributes["blocksize"]
    channels, *sizes = state.view(node.inputs[0]).sizes
    if any(size % factor for size in sizes):
        raise Unsupported(f"its sizes are not multiples of {factor}")
    last = 2 * len(sizes) + 1
    apart = (channels, *(n for size in sizes for n in (size // factor, factor)))
    together = (channels * factor ** len(sizes), *(size // factor for size in sizes))
    _rearrange(state, node, apart, (*range(2, last, 2), 0, *range(1, last, 2)), together)


def _rearrange(
    state: ImportState, node: SourceNode, apart: tuple[int, ...], order: tuple[int, ...], together: tuple[int, ...]
) -> None:
    first = regrouped(state.view(node.inputs[0]).axes, apart)
    moved(state, node, first and regrouped(tuple(first[axis] for axis in order), together))


def gather(state: ImportState, node: SourceNode) -> None:
    """Channels in another order, which a Reshape and a Transpose could give; or a nearest resize."""
    indices = state.require_constant(node, 1, "order")
    if indices.shape != (indices.size,):
        raise Unsupported("it is neither a channel shuffle nor a nearest resize")
    axis, axes = state.axis(node, 0), [*state.view(node.inputs[0]).axes]
    order = np.where(indices < 0, indices + size_of(axes[axis]), indices)
    size = int(order[1]) if order.size == size_of(axes[axis]) > 1 else 0
    if np.array_equal(order, np.arange(size_of(axes[axis]))):
        identity(state, node)
    elif size > 1 and not order.size % size and np.array_equal(order, _turned(order.size, size)):
        apart = regrouped((axes[axis],), (order.size // size, size))
        axes[axis] = () if apart is None else joined((apart[1], apart[0]))
        moved(state, node, None if apart is None else tuple(axes))
    elif not state.is_standard(node.inputs[0]) or not nearest_by_gather(state, node, order):
        raise Unsupported("it is neither a channel shuffle nor a nearest resize")


def _turned(count: int, size: int) -> Array:
    return np.arange(count).reshape(-1, size).T.reshape(-1)


def expand(state: ImportState, node: SourceNode) -> None:
    """Values repeated to the shape of the other operand of a product or sum, which does that itself."""
    target = tuple(map(int, state.require_constant(node, 1, "shape").reshape(-1)))
    sizes = (state.batch, *state.view(node.inputs[0]).sizes)
    target = (*sizes[: len(sizes) - len(target)], *target)
    if len(target) != len(sizes):
        raise Unsupported("it adds axes")
    if min(target, default=1) < 1:
        raise Unsupported("its output is empty")
    result = tuple(map(max, sizes, target))
    if result == sizes:
        identity(state, node)
        return
    reader = state.only_reader(node.outputs[0], "Mul") or state.only_reader(node.outputs[0], "Add")
    others = [name for name in reader[1].inputs if name != node.outputs[0]] if reader is not None else []
    if not any(name in state.views and (state.batch, *state.view(name).sizes) == result for name in others):
        raise Unsupported("it does not repeat values for a product")
    identity(state, node)
