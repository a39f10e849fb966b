"""Parts of images: slices along one axis after another become one op.

Files and programs of `torch.export` have a slice for each axis. A crop is a `pad` with negative numbers, every n-th
pixel a max pool with windows of one pixel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import add, mul

from archdsl import ops
from archdsl.frontends.state import ImportedOp
from archdsl.ops.base import Op
from archdsl.shapes import Shape


def with_joined_parts(
    imported: Sequence[ImportedOp], shapes: Mapping[str, Shape], outputs: Iterable[str]
) -> list[ImportedOp]:
    """The ops, in which a crop of a crop is one, and every n-th of every m-th pixel, unless another op reads the first.
    A crop comes before such a selection along other axes.

    `shapes` are those of all values, `outputs` the values that the model returns.
    """
    readers = Counter([*outputs, *(value for one in imported for value in one.inputs)])
    sizes = dict(shapes)
    kept: dict[str, ImportedOp] = {}
    for one in imported:
        before = _alone(kept, one, readers)
        if before is not None and _apart(before.op, one.op):
            del kept[before.output]
            first = f"{one.output}/cropped"
            sizes[first] = one.op.infer([sizes[before.inputs[0]]])
            readers[first] = 1
            _keep(kept, replace(one, inputs=before.inputs, output=first, shape=sizes[first]), readers, sizes)
            one = replace(before, inputs=(first,), output=one.output, shape=one.shape)
        _keep(kept, one, readers, sizes)
    return list(kept.values())


def _alone(kept: Mapping[str, ImportedOp], one: ImportedOp, readers: Mapping[str, int]) -> ImportedOp | None:
    """The op that an op reads, if it reads one value, and no other op reads that."""
    before = kept.get(one.inputs[0]) if len(one.inputs) == 1 else None
    return None if before is None or readers[before.output] > 1 else before


def _keep(
    kept: dict[str, ImportedOp], one: ImportedOp, readers: Mapping[str, int], shapes: Mapping[str, Shape]
) -> None:
    """Add an op, as one with the op that it reads if possible."""
    before = _alone(kept, one, readers)
    op = None if before is None else _both(before.op, one.op)
    if before is not None and op is not None:
        del kept[before.output]
        one = replace(one, op=op.settle([shapes[before.inputs[0]]]), inputs=before.inputs)
    kept[one.output] = one


def _apart(first: Op, second: Op) -> bool:
    """Whether a selection of pixels is followed by a crop of other axes."""
    if not isinstance(first, ops.MaxPool) or not isinstance(second, ops.Pad) or not _selects(first):
        return False
    crop = _crop(second)
    return bool(crop) and not any(
        pixels for pixels, step in zip(crop, first.steps + first.steps, strict=True) if step > 1
    )


def _both(first: Op, second: Op) -> Op | None:
    """The op that does what two do one after the other, if they are two crops or two selections of pixels."""
    if isinstance(first, ops.Pad) and isinstance(second, ops.Pad):
        pixels = _crop(first), _crop(second)
        return ops.Pad(pixels=tuple(map(add, *pixels))) if all(pixels) else None
    if isinstance(first, ops.MaxPool) and isinstance(second, ops.MaxPool) and _selects(first) and _selects(second):
        return ops.MaxPool(kernel=first.kernel, stride=tuple(map(mul, first.steps, second.steps)))
    return None


def _crop(op: ops.Pad) -> tuple[int, ...]:
    """The pixels of a pad that only crops, on each side; none for another one."""
    plain = isinstance(op.pixels, tuple) and not op.explicit().keys() - {"pixels"}
    return op.pixels if isinstance(op.pixels, tuple) and plain and max(op.pixels) <= 0 else ()


def _selects(op: ops.MaxPool) -> bool:
    return {*op.kernel} == {1} and not op.explicit().keys() - {"kernel", "stride"}
