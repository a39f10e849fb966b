"""Receptive fields: the part of the input that one value of each node depends on.

Computed from input to output, in pixels of the input: a window of k values, each of which has a field of r pixels and
lies j pixels after the one before, has a field of ``r + (k - 1) * j`` pixels (Araujo et al. 2019, "Computing receptive
fields of convolutional neural networks"). After an upsampling or a transposed convolution, neighbours are not equally
far apart: the fields then repeat after several values, and each of these is kept. A merge has the smallest field that
contains those of its inputs, which may be apart if their padding is uneven or their strides differ. The field is
theoretical, as in an image without edges: it may be larger than the image.

All ops are those of inference: a batch norm reads one pixel, although in training it reads the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor, gcd, inf, lcm
from typing import NamedTuple, TypeAlias

from archdsl.axes import axes_of, in_short
from archdsl.graph import Graph, Node
from archdsl.ops import GlobalPool, Pool
from archdsl.ops.base import Reads
from archdsl.shapes import concrete

ReceptiveField: TypeAlias = tuple[int, ...]
"""The size of each axis in pixels of the input."""
_MAX_PHASES = 1024
"""The most fields of one node that are kept apart."""
_ONE = Reads()
_CACHED = 512
"""Results that are kept: the axes of a network are mostly equal, and so are the fields of its variants."""


class _Fields(NamedTuple):
    """The fields of the values along one axis: the first pixel and the end of each, up to the value after which they
    repeat, `shift` pixels further."""

    starts: tuple[float, ...] = (0,)
    ends: tuple[float, ...] = (1,)
    shift: float = 1

    @property
    def size(self) -> int:
        return ceil(max(1, *(end - start for start, end in zip(self.starts, self.ends, strict=True))) - _ROUNDING)

    def start(self, value: int) -> float:
        return self.starts[value % len(self.starts)] + value // len(self.starts) * self.shift

    def end(self, value: int) -> float:
        return self.ends[value % len(self.ends)] + value // len(self.ends) * self.shift

    def repeated(self, count: int) -> _Fields:
        """Return the same fields, as `count` of them, a multiple of their number."""
        values, shift = range(count), self.shift * count / len(self.starts)
        return _Fields(tuple(map(self.start, values)), tuple(map(self.end, values)), shift)

    def alike(self) -> _Fields:
        """Return one field for all values, which contains each of them at its mean distance."""
        jump = self.shift / len(self.starts)
        starts = (start - n * jump for n, start in enumerate(self.starts))
        ends = (end - n * jump for n, end in enumerate(self.ends))
        return _Fields((min(starts),), (max(ends),), jump)


@lru_cache(maxsize=_CACHED)
def _through(fields: _Fields, reads: Reads) -> _Fields:
    """Return the fields of the values that read those of `fields`."""
    if reads == _ONE:
        return fields
    per, step = (number // gcd(reads.per, reads.step) for number in (reads.per, reads.step))
    held = len(fields.starts)
    count = per * held // gcd(held, step)
    if count > _MAX_PHASES:
        (start,), (end,), jump = fields.alike()
        first, last = (reads.first + 1 - reads.per) / reads.per, reads.last / reads.per
        return _Fields((start + first * jump,), (end + last * jump,), jump * step / per)
    starts, ends = [], []
    for value in range(count):
        first, last = (
            (value * reads.step + reads.first) // reads.per,
            (value * reads.step + reads.last) // reads.per,
        )
        # Those of all others follow after these; a value of a transposed convolution may read nothing.
        starts.append(min(map(fields.start, range(first, min(last + 1, first + held))), default=inf))
        ends.append(max(map(fields.end, range(max(first, last + 1 - held), last + 1)), default=-inf))
    return _Fields(tuple(starts), tuple(ends), fields.shift * (step * count // per) / held)


@lru_cache(maxsize=_CACHED)
def _joined(inputs: tuple[_Fields, ...], size: int) -> _Fields:
    """Return the fields of `size` values that contain those of all inputs.

    Inputs of different strides drift apart from value to value: each value has a field of its own then.
    """
    jumps = {round(fields.shift / len(fields.starts), 6) for fields in inputs}
    count = lcm(*(len(fields.starts) for fields in inputs)) if len(jumps) == 1 else size
    if count > _MAX_PHASES:
        return _enclosing([fields.alike() for fields in inputs], size)
    repeated = [fields.repeated(count) for fields in inputs]
    return _Fields(
        tuple(map(min, *(fields.starts for fields in repeated))),
        tuple(map(max, *(fields.ends for fields in repeated))),
        max(fields.shift for fields in repeated),
    )


def _enclosing(inputs: Sequence[_Fields], size: int) -> _Fields:
    """Return one field for all values: as inputs with one field each drift apart evenly, the ends show the largest."""
    jump = max(fields.shift for fields in inputs)
    places = [(fields, value) for fields in inputs for value in (0, size - 1)]
    starts, ends = zip(*((f.start(n) - n * jump, f.end(n) - n * jump) for f, n in places), strict=True)
    return _Fields((min(starts),), (max(ends),), jump)


_ROUNDING = 1e-6


def receptive_fields(graph: Graph) -> tuple[ReceptiveField | None, ...]:
    """Return for each node the size of its receptive field along each axis; None: the whole input.

    A global op (gap, flatten, a norm over the image, a product with a gate), every node after it, a vector input, and a
    merge of vectors from inputs with different axes have None.
    """
    return tuple(map(_sizes, _all_fields(graph)))


def _sizes(axes: tuple[_Fields, ...] | None) -> ReceptiveField | None:
    return None if axes is None else tuple(fields.size for fields in axes)


def field_at(graph: Graph, node: int, place: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
    """Return the first pixel and the end of the receptive field of one value of a node, along each axis.

    `place` is the position of the value on its map. Pixels outside of the image are padding. None: the whole input.
    """
    axes = _all_fields(graph)[node]
    if axes is None:
        return None
    ends = ((fields.start(value), fields.end(value)) for fields, value in zip(axes, place, strict=True))
    return tuple((floor(start + _ROUNDING), ceil(end - _ROUNDING)) for start, end in ends)


def _all_fields(graph: Graph) -> list[tuple[_Fields, ...] | None]:
    known: list[tuple[_Fields, ...] | None] = []
    for node in graph.nodes:
        known.append(_fields(node, [known[i] for i in node.sources]))
    return known


def _fields(node: Node, inputs: list[tuple[_Fields, ...] | None]) -> tuple[_Fields, ...] | None:
    if not node.known:
        return None
    if not inputs:
        return (_Fields(),) * axes_of(node.shape) or None
    window = node.op.window(node.in_shapes)
    known = [axes for axes in inputs if axes is not None]
    if window is None or len(known) < len(inputs) or len(set(map(len, known))) > 1:
        return None
    joined = known[0]
    if len(known) > 1:
        sizes = concrete(node.in_shapes[0])[1:] or (1,) * len(joined)  # a vector is one point of its input
        joined = tuple(_joined(axis, size) for axis, size in zip(zip(*known, strict=True), sizes, strict=True))
    return tuple(map(_through, joined, window)) if window else joined


def format_field(field: ReceptiveField | None) -> str:
    """Return `3` for equal sizes, `3 x 5 x 5` for others, `all` for the whole input."""
    if field is None:
        return "all"
    return in_short(field, " x ")


def feature_field(graph: Graph) -> ReceptiveField | None:
    """Return the field of the last feature map, which a classifier pools or flattens.

    What is behind a pool of the whole map is no feature map; a map of one pixel that a convolution makes is one.

    None: the whole input, or a network without feature maps.
    """
    pooled: set[int] = set()
    for node in graph.running:
        whole = isinstance(node.op, Pool | GlobalPool) or pooled.issuperset(node.inputs)
        if whole and node.inputs and all(size == 1 for size in concrete(node.shape)[1:]):
            pooled.add(node.id)
    last = next((n for n in reversed(graph.running) if axes_of(n.shape) and n.id not in pooled), None)
    return _sizes(_all_fields(graph)[last.id]) if last is not None else None
