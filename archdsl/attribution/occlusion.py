"""Occlusion: the change of a score where a window of the input has a constant value (Zeiler and Fergus 2014)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_range
from archdsl.progress import Progress

Array: TypeAlias = npt.NDArray[np.float32]

MAX_WINDOWS = 20_000
MAX_BATCH, MAX_VALUES = 32, 1 << 24
"""Maximum number of occluded copies that run at once, and of their values together: 64 MB."""
_PARTS = 8
"""The default window is this part of each axis, and even: with a stride of half of it, each pixel away from the ends
of the axis is in equally many windows."""


@dataclass(frozen=True, slots=True)
class Occlusion:
    """The windows on an input with axes of these `sizes`: `window` and `stride` in pixels along each axis.

    A window starts at every multiple of the stride until one reaches the end of the axis, where it is cut off.
    `baseline` is the value of all channels inside the window, after preprocessing.
    """

    sizes: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    baseline: float

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of windows along each axis."""
        axes = zip(self.sizes, self.window, self.stride, strict=True)
        return tuple(max(-(-(size - window) // stride), 0) + 1 for size, window, stride in axes)

    def windows(self) -> Iterator[tuple[slice, ...]]:
        """Yield each window."""
        for corner in product(*map(range, self.grid)):
            axes = zip(corner, self.window, self.stride, strict=True)
            yield tuple(slice(n * stride, n * stride + window) for n, window, stride in axes)


def occlusion_of(
    sizes: Sequence[int], window: int | Sequence[int] | None, stride: int | Sequence[int] | None, baseline: float
) -> Occlusion:
    """Return the windows on an input; None: an eighth of each axis, and half of the window.

    Raises E0002 for a window or a stride that does not fit the axes, E0882 for too many windows.
    """
    check_range("baseline", baseline, -1e30, 1e30, whole=False)
    windows = _per_axis("window", window, sizes, sizes) or tuple(2 * round(size / _PARTS / 2) or 1 for size in sizes)
    strides = _per_axis("stride", stride, sizes, windows) or tuple(max(size // 2, 1) for size in windows)
    occlusion = Occlusion(tuple(sizes), windows, strides, float(baseline))
    count = prod(occlusion.grid)
    if count > MAX_WINDOWS:
        raise error(
            "E0882",
            f"occlusion would run the network {count:,} times; the maximum is {MAX_WINDOWS:,}",
            status=2,
            help=f"use a larger stride than {' x '.join(map(str, strides))}",
        )
    return occlusion


def _per_axis(
    name: str, value: int | Sequence[int] | None, sizes: Sequence[int], most: Sequence[int]
) -> tuple[int, ...]:
    """The numbers of an option for each axis; none if it is not set."""
    if value is None:
        return ()
    numbers = (value,) * len(sizes) if isinstance(value, int) else tuple(value)
    if len(numbers) != len(sizes):
        message = f"`{name}` has {len(numbers)} numbers; the input has {len(sizes)} spatial axes"
        raise error("E0002", message, status=2, help="pass one number for all axes, or one for each")
    for number, largest in zip(numbers, most, strict=True):
        check_range(name, number, 1, largest)
    return numbers


def occlude(
    sample: Array, plan: Occlusion, score: Callable[[Array], Sequence[float]], progress: Progress | None = None
) -> Array:
    """Return the map `(*sizes)`: the score of the sample minus that with a window occluded, averaged over all windows
    that contain a pixel.

    `sample` is `(1, C, *sizes)`; `score` returns the scores of a batch. Pixels that are in no window, between windows
    with a stride larger than them, cannot occur: the stride is at most the window.
    """
    whole = score(sample)[0]
    total, count = np.zeros(plan.sizes), np.zeros(plan.sizes)
    windows, done = list(plan.windows()), 0
    size = max(min(MAX_BATCH, MAX_VALUES // sample.size), 1)
    while done < len(windows):
        some = windows[done : done + size]
        batch = np.repeat(sample, len(some), axis=0)
        for copy, window in zip(batch, some, strict=True):
            copy[(slice(None), *window)] = plan.baseline
        for value, window in zip(score(batch), some, strict=True):
            total[window] += whole - value
            count[window] += 1
        done += len(some)
        if progress is not None:
            progress(done, len(windows))
    return (total / count).astype(np.float32)
