"""Ops that move values, factors and offsets as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering, nothing, pad_inputs, pad_list
from archdsl.ops.base import Op
from archdsl.shapes import at


def flatten(e: Emitter, op: ops.Flatten) -> None:
    e.last("Flatten", e.x, axis=1)


def slice_(e: Emitter, op: ops.Slice) -> None:
    end = op.start + at(e.node.shape[0])
    e.last("Slice", e.x, e.ints("starts", [op.start]), e.ints("ends", [end]), e.ints("axes", [1]), e.ints("steps", [1]))


_LISTED = 4096


def shuffle(e: Emitter, op: ops.Shuffle) -> None:
    """Selects the channels in their new order with one Gather instead of Reshape, Transpose, Reshape.

    Both take equally long in ONNX Runtime. With more than `_LISTED` channels the list would be long.
    """
    channels = at(e.node.shape[0])
    if channels <= _LISTED:
        order = [
            group * (channels // op.groups) + i for i in range(channels // op.groups) for group in range(op.groups)
        ]
        e.last("Gather", e.x, e.ints("order", order), axis=1)
        return
    # The first axis comes last: in a Reshape 0 copies the size of its own axis and -1 is the rest, so all stay free.
    copied = [0] * (len(e.node.shape) - 2)
    apart = e.ints("grouped", [0, op.groups, channels // op.groups, *copied, -1])
    groups = e.step("groups", "Reshape", e.x, apart, allowzero=0)
    turned = e.step("turned", "Transpose", groups, perm=(0, 2, 1, *range(3, len(e.node.shape) + 2)))
    e.last("Reshape", turned, e.ints("together", [0, channels, -1, *copied]), allowzero=0)


def upsample(e: Emitter, op: ops.Upsample) -> None:
    nearest = op.mode == "nearest"
    e.last(
        "Resize",
        e.x,
        "",
        e.floats("scales", (1, 1, *op.scale), (len(op.scale) + 2,)),
        antialias=0,
        coordinate_transformation_mode="asymmetric" if nearest else "half_pixel",
        cubic_coeff_a=-0.75,
        exclude_outside=0,
        extrapolation_value=0.0,
        keep_aspect_ratio_policy="stretch",
        mode="nearest" if nearest else "linear",
        nearest_mode="floor",
    )


def pad(e: Emitter, op: ops.Pad) -> None:
    """Crops with a separate Pad: a single Pad that moves an image within its size overwrites, in ONNX Runtime 1.20,
    pixels that it has yet to read."""
    front, back = op.channels
    ends = pad_list(op.sides(e.node.in_shapes[0]), front, back)
    x = e.x
    if min(ends) < 0 < max(ends):
        x = e.step("larger", "Pad", *pad_inputs(e, x, "more", [max(n, 0) for n in ends], op.value), mode="constant")
        ends = tuple(min(n, 0) for n in ends)
    e.last("Pad", *pad_inputs(e, x, "pads", ends, op.value), mode="constant")


def scale(e: Emitter, op: ops.Scale) -> None:
    channels, *axes = e.node.shape
    e.last("Mul", e.x, e.derived("factors", "", (at(channels), *[1] * len(axes))))


def affine(e: Emitter, op: ops.Affine) -> None:
    def per_channel(what: str, value: float | tuple[float, ...]) -> str:
        numbers = value if isinstance(value, tuple) else (value,)
        return e.floats(what, numbers, (len(numbers),) + (1,) * (len(e.node.shape) - 1))

    times, plus = _differs(op.mul, 1.0), _differs(op.add, 0.0)
    if times and plus:
        e.last("Add", e.step("scaled", "Mul", e.x, per_channel("factors", op.mul)), per_channel("offsets", op.add))
    elif times:
        e.last("Mul", e.x, per_channel("factors", op.mul))
    elif plus:
        e.last("Add", e.x, per_channel("offsets", op.add))
    else:
        e.skip()


def _differs(value: float | tuple[float, ...], neutral: float) -> bool:
    return any(v != neutral for v in (value if isinstance(value, tuple) else (value,)))


RULES: dict[type[Op], Lowering] = {
    ops.Input: nothing,
    ops.Flatten: flatten,
    ops.Slice: slice_,
    ops.Shuffle: shuffle,
    ops.Upsample: upsample,
    ops.Pad: pad,
    ops.Identity: nothing,
    ops.Scale: scale,
    ops.Affine: affine,
}
