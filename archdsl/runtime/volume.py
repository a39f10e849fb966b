"""The geometry of volumes: orientation, spacing, resize and crop of `(channels, depth, height, width)`, as in MONAI.

Source: MONAI's `Orientation`, `Spacing` (bilinear, border), `Resize` (trilinear) and `ResizeWithPadOrCrop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from archdsl.runtime.images.pixels import MAX_VOXELS, Array, Unusable

_DIRECTIONS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Axis and sign of each direction, in millimetres to the right, to the front and to the head."""
_SAME = 1e-3
"""MONAI resamples no axis whose spacing differs by less, in millimetres."""
_ORTHOGONAL = 1e-2


def oriented(values: Array, affine: Array | None, letters: str | None) -> tuple[Array, Array | None]:
    """Return the values with axes that run to the directions of `letters`, and their spacing in millimetres.

    `affine` is that of `Pixels`; without `letters` the axes stay. Raises Unusable if the directions are unknown.
    """
    if affine is None:
        if letters is None:
            return values, None
        help_ = "with `preprocess: {orientation: stored}` its axes are used as they are"
        raise Unusable(f"its header does not say how it lies in the patient; {help_}")
    columns = affine[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(affine).all() and (spacing > 0).all()):
        raise Unusable("its place in the patient is not valid")
    if letters is None:
        return values, spacing
    stored = _directions(columns / spacing)
    order, flips = [], []
    for letter in letters:
        axis, sign = _DIRECTIONS[letter]
        found = next(number for number, (world, _) in enumerate(stored) if world == axis)
        order.append(found)
        flips.append(slice(None, None, 1 if stored[found][1] == sign else -1))
    turned = values.transpose(0, *(number + 1 for number in order))[(slice(None), *flips)]
    return turned, spacing[order]


def _directions(columns: Array) -> list[tuple[int, int]]:
    """The body's axis that each stored axis follows most, and its sign; the clearest is decided first, as in nibabel's
    `io_orientation`. Raises Unusable for axes that are not perpendicular."""
    left, strengths, right = np.linalg.svd(columns)
    if strengths.max() - strengths.min() > _ORTHOGONAL:
        raise Unusable("its axes are not perpendicular (a tilted gantry): resample it first")
    turn = left @ right
    out: list[Any] = [None] * len(turn)
    for number in np.argsort(-(turn**2).max(axis=0), kind="stable"):
        axis = int(np.argmax(np.abs(turn[:, number])))
        out[number] = (axis, 1 if turn[axis, number] > 0 else -1)
        turn[axis] = 0
    return out


def spaced(values: Array, spacing: Array | None, wanted: tuple[float, ...]) -> Array:
    """Return the values resampled from one spacing to another; the first voxel keeps its place.

    MONAI does the same, but for a scan that is turned in the scanner it aligns the centres when the rounding of the
    affine hides which corner is the first.
    """
    if spacing is None:
        raise Unusable("its header does not say how far apart its voxels are, which `spacing` needs")
    ratios = [1.0 if abs(old - new) <= _SAME else new / old for old, new in zip(spacing, wanted, strict=True)]
    # A tie must not depend on the digits that a format stores: NIfTI has those of float32, DICOM decimal ones.
    lengths = [round(round((n - 1) / ratio + 1, 3)) for n, ratio in zip(values.shape[1:], ratios, strict=True)]
    _check_size(lengths)
    places = [None if ratio == 1 else np.arange(length) * ratio for length, ratio in zip(lengths, ratios, strict=True)]
    return _all_sampled(values, places)


def resized(values: Array, sizes: tuple[int, ...]) -> Array:
    """Return the values resampled to sizes; the borders keep their places."""
    _check_size(sizes)
    pairs = zip(values.shape[1:], sizes, strict=True)
    places = [None if old == new else (np.arange(new) + 0.5) * (old / new) - 0.5 for old, new in pairs]
    return _all_sampled(values, places)


def _all_sampled(values: Array, places: Sequence[npt.NDArray[np.float64] | None]) -> Array:
    """Interpolation along each axis that has places, one slice after the other: a stranger's volume needs no more
    memory than its values and the result."""
    if all(at is None for at in places):
        return values
    lengths = [size if at is None else len(at) for at, size in zip(places, values.shape[1:], strict=True)]
    out = np.empty((len(values), *lengths), np.float32)
    at = np.arange(lengths[0], dtype=np.float64) if places[0] is None else places[0]
    for number, place in enumerate(at.clip(0, values.shape[1] - 1)):
        first = int(place)  # two slices alone: `take` copies all of an array whose axes are turned
        part = _sampled(values[:, first : first + 2], 1, np.array([place - first]))
        for axis, others in enumerate(places[1:], 2):
            part = part if others is None else _sampled(part, axis, others)
        out[:, number : number + 1] = part
    return out


def _sampled(values: Array, axis: int, places: npt.NDArray[np.float64]) -> Array:
    """Linear interpolation at places along an axis; beyond its ends its end values."""
    last = values.shape[axis] - 1
    places = places.clip(0, last)
    before = np.floor(places).astype(np.int64)
    shares = (places - before).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(values.ndim)])
    out = values.take(before, axis).astype(np.float32, copy=False)
    out += (values.take(np.minimum(before + 1, last), axis) - out) * shares
    return out


def cut(values: Array, sizes: tuple[int, ...]) -> Array:
    """Return the centre of the values, at most of these sizes, without a copy."""
    inner = [slice(None)]
    for old, new in zip(values.shape[1:], sizes, strict=True):
        start = max(old // 2 - new // 2, 0)
        inner.append(slice(start, start + min(old, new)))
    return values[tuple(inner)]


def padded(values: Array, sizes: tuple[int, ...]) -> Array:
    """Return the centre of the values with these sizes, with 0 where they are smaller."""
    _check_size(sizes)
    values = cut(values, sizes)
    out = np.zeros((len(values), *sizes), np.float32)
    outer = [slice(None)]
    for old, new in zip(values.shape[1:], sizes, strict=True):
        outer.append(slice((new - old) // 2, (new - old) // 2 + old))
    out[tuple(outer)] = values
    return out


def _check_size(sizes: tuple[int, ...] | list[int]) -> None:
    if prod(sizes) > MAX_VOXELS:
        raise Unusable(
            f"it would have {' x '.join(map(str, sizes))} voxels; the maximum is {MAX_VOXELS // 10**6} million"
        )
