"""Pools as ONNX nodes, without `ceil_mode` and averages over uneven pads, which runtimes compute differently."""

from __future__ import annotations

from itertools import product
from math import prod

from archdsl import ops
from archdsl.backends.onnx.records import Attribute, Emitter
from archdsl.backends.onnx.rules.parts import Lowering, pad_list, plain
from archdsl.ops.base import Op
from archdsl.ops.conv import reach_of
from archdsl.shapes import Dim, Pads, at, no_pads


def maxpool(e: Emitter, op: ops.MaxPool) -> None:
    x, pads = e.x, _end_pads(e, op)
    if any(
        side >= k for sides in (pads.begins, pads.ends) for side, k in zip(sides, op.kernel, strict=True)
    ):  # a dilated window; runtimes reject such pads
        lowest = e.floats("lowest", float("-inf"))
        x = e.step("padded", "Pad", x, e.ints("pads", pad_list(pads)), lowest, mode="constant")
        pads = no_pads(len(op.kernel))
    e.last(
        "MaxPool",
        x,
        auto_pad="NOTSET",
        ceil_mode=0,
        dilations=op.dilation,
        kernel_shape=op.kernel,
        pads=tuple(pads),
        storage_order=0,
        strides=op.steps,
    )


def _end_pads(e: Emitter, op: ops.MaxPool | ops.AvgPool) -> Pads:
    """Return the pads with which floor mode has the op's windows; runtimes disagree about ONNX's ceil mode.

    Pads of a whole kernel and more are reduced to what the windows use, because some runtimes reject them.
    """
    shape, reach = e.node.in_shapes[0], reach_of(op.kernel, op.dilations)
    plain, ends = op.pads(shape), list(op.end_pads(shape, e.node.shape).ends)
    for axis, size in enumerate(shape[1:]):
        step, end = op.steps[axis], plain.ends[axis]
        if not _rounds_up(op, plain, axis):
            ends[axis] = end
            if end >= op.kernel[axis]:
                last = (e.number(e.node.shape[axis + 1]) - 1) * step - plain.begins[axis]
                ends[axis] = max(last + reach[axis] - e.number(size), 0)
        elif isinstance(size, Dim) and isinstance(op, ops.MaxPool) and end + step <= reach[axis]:
            ends[axis] = end + step - 1  # as many windows as with `ceil` for every size, the last inside the image
        else:
            e.number(size)
    return Pads.of(plain.begins, ends)


def _rounds_up(op: ops.MaxPool | ops.AvgPool, plain: Pads, axis: int) -> bool:
    """Whether `ceil` can change the output size along the axis."""
    return op.ceil and (op.steps[axis] > 1 or plain.ends[axis] >= op.kernel[axis])


def avgpool(e: Emitter, op: ops.AvgPool) -> None:
    if op.adaptive:
        _adaptive(e, op.kernel)
        return
    pads = _end_pads(e, op)
    plain = op.pads(e.node.in_shapes[0])
    whole = not any(_rounds_up(op, plain, axis) for axis in range(len(op.kernel)))
    if op.inside and pads.even and whole:
        e.last("AveragePool", e.x, **averaging(op.kernel, op.steps, pads, count_include_pad=0))
        return
    factors = None if whole and not op.inside else _factors(e, op, plain)
    if pads.even and factors is None:
        e.last("AveragePool", e.x, **averaging(op.kernel, op.steps, pads))
        return
    x = e.x
    if any(pads):
        x = e.step("padded", "Pad", x, e.ints("pads", pad_list(pads)), e.floats("zero", 0.0), mode="constant")
    if factors is None:
        e.last("AveragePool", x, **averaging(op.kernel, op.steps))
        return
    pooled = e.step("pooled", "AveragePool", x, **averaging(op.kernel, op.steps))
    e.last("Mul", pooled, e.floats("factors", factors, (1, 1, *map(e.number, e.node.shape[1:]))))


def averaging(
    kernel: tuple[int, ...], strides: tuple[int, ...], pads: Pads | None = None, count_include_pad: int = 1
) -> dict[str, Attribute]:
    """Return all attributes of an AveragePool in floor mode except `dilations`, which ONNX Runtime 1.32 does not accept
    in its int8 form."""
    return {
        "auto_pad": "NOTSET",
        "ceil_mode": 0,
        "count_include_pad": count_include_pad,
        "kernel_shape": kernel,
        "pads": tuple(pads or no_pads(len(kernel))),
        "strides": strides,
    }


def _factors(e: Emitter, op: ops.AvgPool, pads: Pads) -> list[float] | None:
    """Return the factors that turn means over whole windows into means over the pixels that count; None if all are
    1."""
    shape, output = e.node.in_shapes[0], e.node.shape
    axes: list[list[int]] = []
    for axis, (free, begin, end) in enumerate(zip(shape[1:], pads.begins, pads.ends, strict=True)):
        size = e.number(free)
        first, last = (0, size) if op.inside else (-begin, size + end)
        starts = [number * op.steps[axis] - begin for number in range(e.number(output[axis + 1]))]
        axes.append([min(start + op.kernel[axis], last) - max(start, first) for start in starts])
    factors = [prod(op.kernel) / prod(counts) for counts in product(*axes)]
    return None if all(factor == 1.0 for factor in factors) else factors


def _adaptive(e: Emitter, target: tuple[int, ...]) -> None:
    if set(target) == {1}:
        e.last("GlobalAveragePool", e.x)
        return
    sizes = tuple(map(e.number, e.node.in_shapes[0][1:]))
    if sizes == target:
        e.skip()
    elif not any(size % count for size, count in zip(sizes, target, strict=True)):
        window = tuple(size // count for size, count in zip(sizes, target, strict=True))
        e.last("AveragePool", e.x, **averaging(window, window))
    else:
        _along_axes(e, sizes, target)


_LINES = ("columns", "rows", "planes")
"""What the windows along an axis are made of, by the number of axes after it."""


def _along_axes(e: Emitter, sizes: tuple[int, ...], target: tuple[int, ...]) -> None:
    """Multiply by a matrix of means along each axis whose size changes.

    A product acts on the last two axes: for an earlier one, those after it become one axis and are restored.
    """
    x = e.x
    changed = [axis for axis in range(len(sizes)) if sizes[axis] != target[axis]]
    for axis in changed:
        after = len(sizes) - axis - 1
        what, matrix = _LINES[after], _means(e, _LINES[after], sizes[axis], target[axis], across=not after)
        op_type, inputs = "MatMul", (matrix, x) if after else (x, matrix)
        attributes: dict[str, Attribute] = {}
        if after > 1:
            before = [0] * (2 + axis)
            flat = e.step(f"{what}_flat", "Reshape", x, e.ints("flat", [*before, sizes[axis], -1]), allowzero=0)
            inputs = (
                e.step(f"{what}_pooled", "MatMul", matrix, flat),
                e.ints("restoring", [*before, target[axis], *sizes[axis + 1 :]]),
            )
            op_type, attributes = "Reshape", {"allowzero": 0}
        if axis == changed[-1]:
            e.last(op_type, *inputs, **attributes)
        else:
            x = e.step(f"by_{what}", op_type, *inputs, **attributes)


def _means(e: Emitter, what: str, size: int, count: int, across: bool = False) -> str:
    """Return the name of an adaptive pool's matrix along one axis: row i is the mean of floor(i*size/count) up to
    ceil((i+1)*size/count). `across`: transposed, for multiplication from the right."""
    table = [[0.0] * size for _ in range(count)]
    for number, row in enumerate(table):
        start, end = number * size // count, -(-(number + 1) * size // count)
        row[start:end] = [1 / (end - start)] * (end - start)
    if across:
        return e.floats(what, [row[place] for place in range(size) for row in table], (size, count))
    return e.floats(what, [value for row in table for value in row], (count, size))


def blurpool(e: Emitter, op: ops.BlurPool) -> None:
    x, pads, channels = e.x, op.pads(), at(e.node.shape[0])
    if any(pads):
        x = e.step("reflected", "Pad", x, e.ints("pads", pad_list(pads)), mode="reflect")
    e.last(
        "Conv",
        x,
        e.floats("filter", op.filter() * channels, (channels, 1, *op.kernel)),
        auto_pad="NOTSET",
        dilations=(1,) * len(op.kernel),
        group=channels,
        kernel_shape=op.kernel,
        pads=tuple(no_pads(len(op.kernel))),
        strides=op.stride,
    )


def subsample(e: Emitter, op: ops.Subsample) -> None:
    """Multiplies the coefficient by the window's size, because the mean times that size is the sum."""
    channels = at(e.node.shape[0])
    mean = e.step("mean", "AveragePool", e.x, **averaging(op.kernel, op.steps))
    each = (channels, *[1] * len(op.kernel))
    weight = e.derived("coefficients", "weight", each, factor=float(prod(op.kernel)))
    scaled = e.step("scaled", "Mul", mean, weight)
    e.last("Add", scaled, e.derived("offsets", "bias", each))


RULES: dict[type[Op], Lowering] = {
    ops.MaxPool: maxpool,
    ops.AvgPool: avgpool,
    ops.Gap: plain("GlobalAveragePool"),
    ops.Gmp: plain("GlobalMaxPool"),
    ops.BlurPool: blurpool,
    ops.Subsample: subsample,
}
