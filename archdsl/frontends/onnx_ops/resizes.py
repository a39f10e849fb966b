"""Import rules of resizes: by whole factors, or to the sizes of another value of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any

import numpy as np

from archdsl import ops
from archdsl.frontends.constants import constant_before, constant_of_shapes
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.state import ImportState, Unsupported
from archdsl.ops.base import LIKE

_REPEATS = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}
"""Rules of coordinates and rounding that repeat each pixel if the factor is whole."""
_LARGER = (1, 2, 3, 4, 8, 16, 32, 64)
"""What is added to the sizes of the network's input to see on what the sizes of a Resize depend."""


def resize(state: ImportState, node: SourceNode) -> None:
    before = state.shape(node.inputs[0])[1:]
    sizes = _sizes(state, node, before)
    values: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_floor",
        **node.attributes,
    }
    if values["nearest_mode"] == "simple":  # of Upsample, and of Resize before opset 11
        values["nearest_mode"] = "floor" if all(map(int.__le__, before, sizes)) else "ceil"
    fields = _fields(values, before, sizes)
    _add(state, node, fields, sizes, node.outputs[0])


def nearest_by_gather(state: ImportState, node: SourceNode, order: Array) -> bool:
    """A nearest resize as archdsl writes it where ONNX Runtime would round differently: a Gather for each axis."""
    axis, before = state.axis(node, 0) + 1, state.shape(node.inputs[0])[1:]
    sizes, last = list(before), node
    if not _selects(before, axis, order):
        return False
    sizes[axis - 2] = order.size
    while (reader := state.only_reader(last.outputs[0], "Gather")) is not None:
        following = constant_before(state, reader[0], reader[1].inputs[1])
        if following is None or reader[1].attributes.get("axis", 0) <= axis:
            break
        axis = reader[1].attributes["axis"]
        if not _selects(before, axis, following.reshape(-1)):
            break
        sizes[axis - 2], last = following.size, reader[1]
        state.consumed.add(reader[0])
    _add(state, node, {"mode": "nearest"}, sizes, last.outputs[0])
    return True


def _selects(before: Sequence[int], axis: int, order: Array) -> bool:
    """Whether a Gather selects the pixels of a nearest resize."""
    return 2 <= axis < len(before) + 2 and np.array_equal(order, _nearest(before[axis - 2], order.size))


def _sizes(state: ImportState, node: SourceNode, before: Sequence[int]) -> list[int]:
    """The sizes that a Resize gives. Raises `Unsupported` if they are unknown, or the channels change."""
    scales, sizes = state.constant(node, 2), state.constant(node, 3)
    channels = state.shape(node.inputs[0])[0]
    shape, rank = (state.batch, channels, *before), len(before) + 2
    axes = [int(axis) % rank for axis in node.attributes.get("axes", range(rank))]
    new: dict[int, float] = {}
    if scales is not None and scales.size == len(axes):
        new = {axis: shape[axis] * float(scale) for axis, scale in zip(axes, scales, strict=True)}
    elif sizes is not None and sizes.size == len(axes):
        new = dict(zip(axes, map(float, sizes), strict=True))
    if not new:
        raise Unsupported("its sizes are not constants")
    result = [new.get(axis, float(size)) for axis, size in enumerate(shape)]
    if (round(result[0]), round(result[1])) != shape[:2]:
        raise Unsupported("it changes the channels or the batch")
    if any(abs(size - round(size)) > 1e-6 * size for size in result):
        raise Unsupported("its scales do not give whole sizes")
    return [round(size) for size in result[2:]]


def _fields(values: Mapping[str, Any], before: Sequence[int], sizes: Sequence[int]) -> dict[str, Any]:
    """The fields of an `upsample` with the attributes of a Resize. Raises `Unsupported` if there are none."""
    mode, centres = values["mode"], values["coordinate_transformation_mode"]
    whole = all(new % size == 0 for size, new in zip(before, sizes, strict=True))
    changed = [(size, new) for size, new in zip(before, sizes, strict=True) if size != new]
    if mode == "nearest":
        rule = (centres, values["nearest_mode"])
        if rule in _REPEATS and whole or rule == ("asymmetric", "floor") and all(_agrees(*pair) for pair in changed):
            return {"mode": mode}
        raise Unsupported("its nearest pixels are not those of floor(n * size / new size)")
    if values.get("antialias", 0) or values.get("exclude_outside", 0) or values.get("cubic_coeff_a", -0.75) != -0.75:
        raise Unsupported("archdsl has no antialiasing, and weighs pixels outside like the edge, with -0.75")
    if centres == "pytorch_half_pixel" and not any(new == 1 for _, new in changed):
        centres = "half_pixel"
    if mode not in ("linear", "cubic") or centres not in ("half_pixel", "align_corners"):
        raise Unsupported("archdsl has no such interpolation: supported are half-pixel centres and aligned corners")
    return {"mode": mode} | ({"align_corners": True} if centres == "align_corners" else {})


def _add(state: ImportState, node: SourceNode, fields: Mapping[str, Any], sizes: Sequence[int], output: str) -> None:
    """Add an `upsample` to these sizes: by whole factors, or those of another value."""
    before = state.shape(node.inputs[0])[1:]
    factors = tuple(new // size for size, new in zip(before, sizes, strict=True))
    whole = all(size * factor == new for size, new, factor in zip(before, sizes, factors, strict=True))
    source = _source(state, node, sizes, factors if whole else None)
    if source is None:
        state.add(node, ops.Upsample(scale=factors, **fields), output)
        return
    op = ops.Upsample(**fields).model_copy(update={"like": LIKE})
    state.add(node, op, output, inputs=[node.inputs[0], source])


def _source(state: ImportState, node: SourceNode, sizes: Sequence[int], factors: Sequence[int] | None) -> str | None:
    """The value that has the sizes of a Resize, or None for these factors of its input.

    Several may have them at one size of the network's input. If the file computes them from shapes, one is chosen that
    has them at other sizes too. Raises `Unsupported` if there is none.
    """
    elsewhere = _sizes_elsewhere(state, node)
    own = state.value(node.inputs[0])
    if factors is not None and all(tuple(map(mul, shapes[own][1:], factors)) == new for shapes, new in elsewhere):
        return None
    values = state.fitting(sizes)
    if values or factors is None:
        values.append(state.of_size(node, sizes))
    for value in reversed(values):
        if all(shapes[value][1:] == new for shapes, new in elsewhere):
            return value
    return None if factors is not None else values[-1]


def _sizes_elsewhere(state: ImportState, node: SourceNode) -> list[tuple[dict[str, tuple[int, ...]], tuple[int, ...]]]:
    """For larger inputs of the network, the shapes of all values, and the sizes that a Resize gives there; none if they
    do not depend on shapes."""
    name = node.inputs[3] if len(node.inputs) > 3 else ""
    result = []
    for more in _LARGER if state.from_shape(name) else ():
        shapes = state.shapes_of_larger_inputs(more)
        new = None if shapes is None else constant_of_shapes(state, name, shapes)
        if shapes is not None and new is not None:
            result.append((shapes, tuple(map(int, new.reshape(-1)[-(len(shapes[state.value(node.inputs[0])]) - 1) :]))))
    return result


def _nearest(size: int, new: int) -> Array:
    """The pixels that PyTorch selects: the ratio of the sizes, and its products, are rounded to float32."""
    places = np.arange(new, dtype=np.float32) * np.float32(size / new)
    return np.minimum(places.astype(np.int64), size - 1)


def _agrees(size: int, new: int) -> bool:
    """Whether a division by the ratio, as in ONNX Runtime, selects the same pixels."""
    places = np.arange(new, dtype=np.float32) / (np.float32(new) / np.float32(size))
    return np.array_equal(_nearest(size, new), places.astype(np.int64))
