"""Merges, and what moves values about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archdsl import ops
from archdsl.frontends.onnx_model import Array, Step
from archdsl.frontends.reading import Reading, Unknown
from archdsl.frontends.steps.layers import lrn_by_pool
from archdsl.frontends.steps.values import affine, nothing, per_channel
from archdsl.shapes import concrete, numel

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""The transposes that put channels first and last."""


def operands(r: Reading, step: Step) -> Array | None:
    return next((r.constants[i] for i in step.inputs if i in r.constants), None)


def add(r: Reading, step: Step) -> None:
    numbers = operands(r, step)
    if numbers is not None:
        affine(r, step, None, numbers)
        return
    r.add(step, ops.Add(), step.outputs[0], inputs=step.inputs)


def sub(r: Reading, step: Step) -> None:
    affine(r, step, None, -r.numbers(step, 1, "subtrahend"))


def mul(r: Reading, step: Step) -> None:
    if step.inputs[0] == step.inputs[1] and lrn_by_pool(r, step):
        return
    numbers = operands(r, step)
    if numbers is None:
        first, second = sorted(step.inputs, key=lambda i: -numel(r.shape(i)))
        r.add(step, ops.Mul(), step.outputs[0], inputs=[first, second])
        return
    name = next(i for i in step.inputs if i in r.constants)
    (source,) = (i for i in step.inputs if i != name)
    channels = concrete(r.shape(source))[0]
    if numbers.size == channels > 1 and "." in name:
        per_channel(r, source, numbers)
        shape = (channels,) + (1,) * (len(r.shape(source)) - 1)
        r.add(step, ops.Scale(), step.outputs[0], {"": numbers.reshape(shape)}, inputs=[source], module=name)
    else:
        affine(r, step, numbers, None)


def concat(r: Reading, step: Step) -> None:
    if len(step.inputs) == 1:  # DenseNet's first layer reads the concatenation of one
        nothing(r, step)
        return
    if step.attributes.get("axis") not in (1, -3):
        raise Unknown("it does not join channels")
    r.add(step, ops.Concat(), step.outputs[0], inputs=step.inputs)


def slices(r: Reading, step: Step, bounds: Sequence[tuple[str, int, int]]) -> None:
    for name, start, end in bounds:
        r.add(step, ops.Slice(start=start, end=end), name)


def split(r: Reading, step: Step) -> None:
    channels = concrete(r.shape(step.inputs[0]))[0]
    given = r.constant(step, 1)
    sizes = [int(n) for n in given] if given is not None else [channels // len(step.outputs)] * len(step.outputs)
    if step.attributes.get("axis", 0) not in (1, -3) or sum(sizes) != channels:
        raise Unknown("it does not split channels")
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    slices(
        r, step, [(out, s, s + n) for out, s, n in zip(step.outputs, starts, sizes, strict=True) if r.readers.get(out)]
    )


def slice_(r: Reading, step: Step) -> None:
    starts, ends, axes, steps = (r.constant(step, n) for n in (1, 2, 3, 4))
    if starts is None or ends is None or axes is None or starts.size != 1:
        raise Unknown("it does not cut one axis by constants")
    if int(axes.reshape(())) not in (1, -3) or (steps is not None and int(steps.reshape(())) != 1):
        raise Unknown("it does not cut channels")
    channels = concrete(r.shape(step.inputs[0]))[0]
    start, end, _ = slice(int(starts.reshape(())), int(ends.reshape(()))).indices(channels)
    slices(r, step, [(step.outputs[0], start, end)])


def flatten(r: Reading, step: Step) -> None:
    if step.attributes.get("axis", 1) != 1:
        raise Unknown("it does not keep the batch alone")
    to_vector(r, step)


def to_vector(r: Reading, step: Step) -> None:
    value = step.inputs[0]
    shape = concrete(r.shape(value))
    if value in r.last and len(shape) == 3 and shape[1:] != (1, 1):
        raise Unknown("it flattens an image whose channels come last")
    if len(shape) == 1:
        nothing(r, step)
        return
    r.add(step, ops.Flatten(), step.outputs[0])
    r.last.discard(step.outputs[0])


def reshape(r: Reading, step: Step) -> None:
    """To a vector; or, with the Transpose and Reshape behind, a shuffle of channels."""
    target = r.numbers(step, 1, "target")
    size = numel(r.shape(step.inputs[0]))
    if len(target) == 2 and (int(target[1]) in (-1, size)):
        to_vector(r, step)
    elif (len(target) == 5 and shuffle(r, step, target)) or (len(target) == 1 and restored(r, step)):
        return
    else:
        raise Unknown(f"to {[int(t) for t in target]} it is neither a flatten nor a shuffle of channels")


def restored(r: Reading, step: Step) -> bool:
    """All numbers in a row, then each picked to where it was: `as_strided` as PyTorch exports it, for a mean over an
    image."""
    found = r.behind(step.outputs[0], "Gather")
    order = r.constant(found[1], 1) if found is not None else None
    shape = (1, *concrete(r.shape(step.inputs[0])))
    here = order is not None and order.shape == shape and np.array_equal(order.reshape(-1), np.arange(order.size))
    if found is None or not here or step.inputs[0] in r.last or found[1].attributes.get("axis", 0) != 0:
        return False
    r.done.add(found[0])
    r.same[found[1].outputs[0]] = r.value(step.inputs[0])
    return True


def shuffle(r: Reading, step: Step, target: Array) -> bool:
    turned = r.behind(step.outputs[0], "Transpose")
    if turned is None or tuple(turned[1].attributes.get("perm", ())) != (0, 2, 1, 3, 4):
        return False
    restored = r.behind(turned[1].outputs[0], "Reshape")
    if restored is None:
        return False
    r.done.update((turned[0], restored[0]))
    r.add(step, ops.Shuffle(groups=int(target[1])), restored[1].outputs[0])
    return True


def gather(r: Reading, step: Step) -> None:
    """Channels in the order of a shuffle, as archdsl writes it: its second is the first of the second group."""
    order = r.numbers(step, 1, "order").reshape(-1)
    channels = concrete(r.shape(step.inputs[0]))[0]
    size = int(order[1]) if step.attributes.get("axis", 0) in (1, -3) and order.size == channels > 1 else 0
    if size < 1 or channels % size or not np.array_equal(order, np.arange(channels).reshape(-1, size).T.reshape(-1)):
        raise Unknown("it does not shuffle channels")
    r.add(step, ops.Shuffle(groups=channels // size), step.outputs[0])


def squeeze(r: Reading, step: Step) -> None:
    if concrete(r.shape(step.inputs[0]))[1:] != (1, 1):
        raise Unknown("it takes away more than height and width of 1")
    to_vector(r, step)


def transpose(r: Reading, step: Step) -> None:
    value, turn = r.value(step.inputs[0]), tuple(step.attributes.get("perm", ()))
    last = step.inputs[0] in r.last
    if turn != (FIRST if last else LAST):
        raise Unknown("only channels put last, and back first, are understood")
    r.same[step.outputs[0]] = value
    if not last:
        r.last.add(step.outputs[0])


def pad(r: Reading, step: Step) -> None:
    if step.attributes.get("mode", "constant") != "constant":
        raise Unknown("it does not pad with a constant")
    given = r.constant(step, 1)
    pads = [int(p) for p in (given if given is not None else step.attributes.get("pads", ()))]
    named = r.constant(step, 3)
    axes = [0, 1, 2, 3] if named is None else [int(axis) % 4 for axis in named]
    if len(pads) != 2 * len(axes) or len(r.shape(step.inputs[0])) != 3:
        raise Unknown("it does not pad an image")
    begin, end = (
        {**dict.fromkeys(range(4), 0), **dict(zip(axes, half, strict=True))}
        for half in (pads[: len(axes)], pads[len(axes) :])
    )
    if begin[0] or end[0]:
        raise Unknown("it pads the batch")
    value = r.constant(step, 2)
    op = ops.Pad(
        pixels=(begin[2], begin[3], end[2], end[3]),
        channels=(begin[1], end[1]),
        value=float(value.reshape(())) if value is not None else 0.0,
    )
    r.add(step, op, step.outputs[0])


def resize(r: Reading, step: Step) -> None:
    scales, sizes = r.constant(step, 2), r.constant(step, 3)
    shape = concrete(r.shape(step.inputs[0]))
    if sizes is not None and sizes.size == 4:
        scales = np.array([1, 1, *(int(s) / n for s, n in zip(sizes[2:], shape[1:], strict=True))])
    if scales is None or scales.size != 4 or any(s != int(s) or s < 1 for s in scales) or tuple(scales[:2]) != (1, 1):
        raise Unknown("it does not enlarge by whole numbers")
    facts = {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_floor",
        **step.attributes,
    }
    nearest = facts["mode"] == "nearest" and (facts["coordinate_transformation_mode"], facts["nearest_mode"]) in (
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round_prefer_ceil"),
        ("pytorch_half_pixel", "floor"),
    )
    linear = facts["mode"] == "linear" and facts["coordinate_transformation_mode"] in (
        "half_pixel",
        "pytorch_half_pixel",
    )
    if not nearest and not linear:
        raise Unknown("its way of counting pixels is another")
    r.add(
        step,
        ops.Upsample(scale=(int(scales[2]), int(scales[3])), mode="nearest" if nearest else "bilinear"),
        step.outputs[0],
    )
