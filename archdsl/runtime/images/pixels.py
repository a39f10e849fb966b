"""The content of a file before any step of a recipe, and the errors of files that have none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from archdsl.axes import KINDS, VOLUME
from archdsl.diagnostics import ArchError, error
from archdsl.runtime.images.source import Source

Array: TypeAlias = npt.NDArray[Any]

MAX_PIXELS = 64_000_000
"""Maximum pixels of an image."""
MAX_VOXELS = 300_000_000
"""Maximum voxels of a volume, also between two steps: as float32 they need 1.2 GB. At most three such
arrays are in memory: what was read, and what a step reads and returns."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a network needs of a file: the number of spatial axes of its input, and whether grey values are mapped by
    the file's own window (`displayed`) or returned as they were measured."""

    axes: int
    displayed: bool = True

    @property
    def volume(self) -> bool:
        return KINDS[self.axes] is VOLUME


@dataclass(slots=True)
class Pixels:
    """The decoded content of one sample.

    `values` is an image of Pillow with 8 bits per channel, an array of grey values `(rows, columns)`, or of a volume
    `(slices, rows, columns)` or `(channels, slices, rows, columns)`, in the units of the file, such as HU.
    `span` are the values that become 0 and 1, by the depth that the file declares, by that of its container, or by its
    window; None for measured values without a depth. `inverted`: the smallest value is white. `affine` maps the indices
    `(slice, row, column, 1)` of a volume to millimetres to the right, to the front and to the head of the patient; None
    if the file does not say. `is_input`: the array is the network's input itself, without the batch. `notes` report
    what was changed.
    """

    values: Image.Image | Array
    span: tuple[float, float] | None = None
    by: Literal["declared", "container", "window"] = "declared"
    inverted: bool = False
    affine: Array | None = None
    is_input: bool = False
    notes: list[str] = field(default_factory=list)


class Unusable(Exception):
    """A readable image that cannot be converted to the input."""


def unreadable(source: Source, why: str, help: str = "") -> ArchError:
    """E0804 for an image that cannot be used, and the reason."""
    noun = "array" if source.path.suffix.lower() == ".npy" else "image"
    return error("E0804", f"`{source.short}` is not a usable {noun}: {why}", help=help)


def check_finite(values: Array) -> tuple[float, float]:
    """Return the smallest and the largest value. Raises Unusable for infinities or NaN."""
    ends = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not np.isfinite(ends).all():  # without an array of truth values
        raise Unusable("it contains infinities or NaN")
    return ends
