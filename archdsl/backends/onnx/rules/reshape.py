"""Ops that move values, factors and offsets as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_float
from operator import eq

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering, nothing, pad_inputs, pad_list
from archdsl.ops.base import Op
from archdsl.shapes import Dim, Pads, Shape, at, concrete, plus, times


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
    """A Resize by whole factors, or to sizes; where its pixels would not be PyTorch's, nearest selects them itself."""
    nearest = op.mode == "nearest"
    factors = op.scale or _factors(e.node.in_shapes[0], e.node.shape)
    if nearest and not (factors and all(map(_repeats_evenly, factors))):
        _select_nearest(e, factors)
        return
    coordinates = "asymmetric" if nearest else "align_corners" if op.align_corners else "half_pixel"
    if factors:
        inputs: tuple[str, ...] = e.x, "", e.floats("scales", (1, 1, *factors), (len(factors) + 2,))
    else:
        inputs = e.x, "", "", _target(e)
    e.last(
        "Resize",
        *inputs,
        antialias=0,
        coordinate_transformation_mode=coordinates,
        cubic_coeff_a=-0.75,
        exclude_outside=0,
        extrapolation_value=0.0,
        keep_aspect_ratio_policy="stretch",
        mode=op.mode,
        nearest_mode="floor",
    )


def _factors(before: Shape, after: Shape) -> tuple[int, ...]:
    """Return by which factor each size grows; empty if not all are whole, or depend on a free size."""
    factors = tuple(max(at(new) // at(size), 1) for size, new in zip(before[1:], after[1:], strict=True))
    return factors if all(map(eq, map(times, before[1:], factors), after[1:])) else ()


def _target(e: Emitter) -> str:
    """Return the sizes of the output, with the batch."""
    free = any(isinstance(size, Dim) for size in e.node.shape)
    front = e.step("front", "Shape", e.x, start=0, end=2)
    sizes = e.step("sizes", "Shape", e.inputs[-1], start=2) if free else e.ints("sizes", concrete(e.node.shape[1:]))
    return e.step("target", "Concat", front, sizes, axis=0)


def _nearest(size: int, new: int) -> list[int]:
    """Return the pixels that PyTorch selects: it rounds the ratio of the sizes, and its products, to float32."""
    ratio = c_float(size / new).value
    return [min(int(c_float(n * ratio).value), size - 1) for n in range(new)]


def _repeats_evenly(factor: int) -> bool:
    """Whether PyTorch repeats each pixel `factor` times: the products of its ratio round to whole numbers.

    For 41 they do not: it repeats the first pixel 42 times.
    """
    return factor * c_float(1 / factor).value > 1 - 2**-25


def _select_nearest(e: Emitter, factors: Sequence[int]) -> None:
    """Selects the pixels on each axis with a Gather. ONNX Runtime divides by the ratio of the sizes, PyTorch multiplies
    by its inverse: both are rounded, so a Resize selects other pixels where a place is a whole number."""
    axes = list(zip(range(2, len(e.node.shape) + 1), e.node.in_shapes[0][1:], e.node.shape[1:], strict=True))
    changed = [axis for axis, size, new in axes if size != new]
    x = e.x
    for axis, size, new in axes:
        if size == new:
            continue
        if isinstance(size, int) and isinstance(new, int):
            places = e.ints(f"places{axis}", _nearest(size, new))
        else:
            places = _free_nearest(e, axis, factors[axis - 2] if factors else 0)
        if axis == changed[-1]:
            e.last("Gather", x, places, axis=axis)
        else:
            x = e.step(f"axis{axis}", "Gather", x, places, axis=axis)
    if not changed:
        e.skip()


def _free_nearest(e: Emitter, axis: int, factor: int) -> str:
    """Return the pixels that PyTorch selects on an axis, computed from its sizes."""

    def step(what: str, op_type: str, *inputs: str, **attributes: int) -> str:
        return e.step(f"{what}{axis}", op_type, *inputs, **attributes)

    size = step("size", "Shape", e.x, start=axis, end=axis + 1)
    if factor:
        new = step("new", "Mul", size, e.ints("factor", [factor]))
    else:
        new = step("new", "Shape", e.inputs[1], start=axis, end=axis + 1)
    ratio = step("ratio", "Div", *(step(f"{n.rpartition('/')[2]}_", "Cast", n, saturate=1, to=1) for n in (size, new)))
    numbers = step("numbers", "Range", e.whole("zero", 0), step("end", "Squeeze", new), e.whole("one", 1))
    places = step("places", "Mul", step("numbers_", "Cast", numbers, saturate=1, to=1), ratio)
    whole = step("whole", "Cast", step("floor", "Floor", places), saturate=1, to=7)
    return step("kept", "Min", whole, step("most", "Sub", size, e.whole("one", 1)))


_PAD_MODES = {"replicate": "edge"}


def pad(e: Emitter, op: ops.Pad) -> None:
    """Crops with a separate Pad: a single Pad that moves an image within its size overwrites, in ONNX Runtime 1.20,
    pixels that it has yet to read."""
    front, back = op.channels
    shape, x, mode = e.node.in_shapes[0], e.x, _PAD_MODES.get(op.mode, op.mode)
    value = op.value if op.mode == "constant" else None
    if op.like is not None:
        more = [at(new) - at(size) for size, new in zip(shape[1:], e.node.shape[1:], strict=True)]
        if not all(map(eq, map(plus, shape[1:], more), e.node.shape[1:])):
            begins = e.ints("begins", (0, front, *(0 for _ in more), 0, back))
            sizes = (e.step(what, "Shape", source, start=2) for what, source in (("new", e.inputs[1]), ("size", x)))
            pads = e.step("pads", "Concat", begins, e.step("ends", "Sub", *sizes), axis=0)
            e.last("Pad", *pad_inputs(e, x, "", pads, value), mode=mode)
            return
        ends = pad_list(Pads.of([0] * len(more), more), front, back)
    else:
        ends = pad_list(op.sides(shape), front, back)
    if min(ends) < 0 < max(ends):
        x = e.step("larger", "Pad", *pad_inputs(e, x, "more", [max(n, 0) for n in ends], value), mode=mode)
        ends = tuple(min(n, 0) for n in ends)
    e.last("Pad", *pad_inputs(e, x, "pads", ends, value), mode=mode)


def per_channel(op_type: str, what: str) -> Lowering:
    """Return the lowering of a learned value per channel."""

    def rule(e: Emitter, op: ops.Scale | ops.Offset) -> None:
        channels, *axes = e.node.shape
        e.last(op_type, e.x, e.derived(what, "", (*[1] * op.batched, at(channels), *[1] * len(axes))))

    return rule


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
    ops.Scale: per_channel("Mul", "factors"),
    ops.Offset: per_channel("Add", "offsets"),
    ops.Affine: affine,
}
