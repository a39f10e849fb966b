"""The result of `attribute`: a map of the input, as data, as text and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import Diagnostic, escape_control
from archdsl.shapes import format_shape

if TYPE_CHECKING:
    from PIL import Image

    from archdsl.runtime.recipe import Recipe

Array: TypeAlias = npt.NDArray[np.float32]
Method: TypeAlias = Literal["cam", "gradcam", "occlusion"]


COARSE = 4
"""A map with fewer cells along an axis shows hardly more than a half or a corner of the input."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """A map of the input that explains the score of the class `target`.

    `map` has the spatial axes of the network's input, after resize and crop: `(H, W)`, `(L,)` or `(D, H, W)`. Positive
    values speak for the class, negative ones against it. `grid` is the same at the resolution at which the method
    computed it. `score` is the network's output for the class, of the kind `measure` (logits, probabilities, ...).
    `layer` is the path of the node whose features `cam` and `gradcam` weigh, empty for `occlusion`, whose `settings`
    are the window, the stride and the baseline. `sample` is the input, `(C, *sizes)`, after preprocessing by `recipe`.
    """

    network: str
    image: str
    method: Method
    target: int
    label: str | None
    score: float
    measure: str
    layer: str
    map: Array = field(compare=False)
    grid: Array = field(compare=False)
    sample: Array = field(compare=False)
    recipe: Recipe | None
    settings: Mapping[str, object]
    notes: tuple[Diagnostic, ...]

    @property
    def class_name(self) -> str:
        """The label of the class, or its number: `class 3`."""
        return self.label if self.label is not None else f"class {self.target}"

    @property
    def how(self) -> str:
        """The method, its layer and its settings."""
        settings = "".join(f", {name} {_shown(value)}" for name, value in self.settings.items())
        return (f"{self.method} of {self.layer}" if self.layer else self.method) + settings

    def overlay(self) -> Image.Image:
        """Return the map on the grey input, with its scale: one picture, a plot of a signal, or three slices of a
        volume through the largest absolute value. A coarse map is drawn as cells, not interpolated."""
        from archdsl.attribution.overlay import overlay

        how = f"{self.how[:100]}, {format_shape(self.grid.shape)} cells"
        titles = (f"{self.class_name[:60]}  {self.score:.4g}  {self.measure}", how, self.network[:60])
        values = as_cells(self.grid, self.map.shape) if is_coarse(self.grid, self.map.shape) else self.map
        return overlay(values, self.sample, self.recipe, titles)

    def data(self) -> dict[str, object]:
        """Return JSON data, without the values of the map."""
        return {
            "image": self.image,
            "method": self.method,
            "class": {"index": self.target, "label": self.label, "score": self.score, "measure": self.measure},
            "layer": self.layer or None,
            "grid": list(self.grid.shape),
            "map": {"shape": list(self.map.shape), "min": float(self.map.min()), "max": float(self.map.max())},
            "settings": dict(self.settings),
            "notes": [note.message for note in self.notes],
        }

    def text(self) -> str:
        """Return the class, the score and the range of the map in two lines."""
        grid = format_shape(self.grid.shape)
        range_ = f"from {self.map.min():.4g} to {self.map.max():.4g}"
        name = f"{self.target}  {self.label}" if self.label is not None else self.class_name
        return (
            escape_control(f"{name}  {self.score:.4g}  {self.measure}")
            + "\n"
            + escape_control(f"{self.how}, {grid}, {range_}")
        )


def _shown(value: object) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else ""


def is_coarse(grid: npt.NDArray[np.floating], sizes: tuple[int, ...]) -> bool:
    """Return whether a map of an input has so few cells along an axis that interpolation would hide this."""
    return any(cells < min(COARSE, size) for cells, size in zip(grid.shape, sizes, strict=True))


def as_cells(grid: npt.NDArray[np.floating], sizes: tuple[int, ...]) -> Array:
    """Return a map of these sizes in which each cell has one value."""
    for axis, size in enumerate(sizes):
        grid = np.take(grid, np.arange(size) * grid.shape[axis] // size, axis)
    return grid.astype(np.float32)


def enlarged(grid: npt.NDArray[np.floating], sizes: tuple[int, ...]) -> Array:
    """Return a map interpolated linearly along each axis to these sizes; the centres of outer cells are not passed.

    The result is that of PyTorch's `interpolate` (`bilinear`, `trilinear`) without `align_corners`.
    """
    values = np.asarray(grid, np.float64)
    for axis, size in enumerate(sizes):
        cells = values.shape[axis]
        places = (np.arange(size) + 0.5) * cells / size - 0.5
        rows = np.stack([np.interp(places, np.arange(cells), row) for row in np.eye(cells)], axis=1)
        values = np.moveaxis(np.tensordot(rows, values, (1, axis)), 0, axis)
    return values.astype(np.float32)
