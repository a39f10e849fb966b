"""The preprocessing of `predict` as an object for images in memory, and a variant of it for training."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_type
from archdsl.packages import require_package
from archdsl.runtime.images import Pixels, Source, Unusable, Wanted, as_source, read, scan, unreadable
from archdsl.runtime.images.raster import pixels_of
from archdsl.runtime.preprocess import LegalSizes, Prepared, in_mode, prepared, unit_image, wanted
from archdsl.runtime.recipe import Recipe

if TYPE_CHECKING:
    import torch

_PLANE = (LegalSizes(), LegalSizes())


@dataclass(frozen=True, slots=True)
class ImageTransform:
    """Preprocesses an image with the steps of `predict`. `sizes` are the legal sizes of height and width."""

    recipe: Recipe
    sizes: tuple[LegalSizes, ...]
    channels: int = 0
    """0 for a vector, and for images, where the recipe's layout says it."""

    def __call__(self, image: Any) -> torch.Tensor:
        """Return one sample, `(C, *sizes)` or `(features,)`, float32.

        `image` is a PIL image, an array of type uint8, `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, the path of a file, a
        `Source`, or for a volume a folder with the files of one DICOM series. Raises E0004 for another value, and as
        `prepare` for an image that cannot be used.
        """
        require_package("torch", "E0801")
        import torch

        return torch.from_numpy(self.prepare(image).values)[0]

    def prepare(self, image: Any) -> Prepared:
        """Return the same as an array, batch first, with notes. Does not need torch."""
        pixels, source = _opened(image, wanted(self.recipe, self.sizes, self.channels))
        return prepared(pixels, self.recipe, self.sizes, source, self.channels)

    def for_training(self, least_area: float = 0.08) -> Callable[[Any], torch.Tensor]:
        """Return torchvision's transforms for training: a random crop (of at least this part of the area)
        that is resized to the input, a random flip, and this recipe's colours and normalisation.

        Raises E0806 if the network has no fixed input size, E0807 without torchvision.
        """
        require_package("torchvision")
        import torch
        from torchvision.transforms import InterpolationMode, v2

        fixed = [size.fixed for size in self.sizes if size.fixed is not None]
        if len(fixed) != 2:
            raise error(
                "E0806",
                "the transforms for training need one height and width of the input",
                help="pass `input` to `load`",
            )
        recipe = self.recipe
        mode = InterpolationMode(recipe.interpolation)
        steps: list[Any] = [partial(_coloured, recipe=recipe), v2.ToImage()]
        steps += [] if recipe.layout == "L" else [v2.RGB()]
        steps += [
            v2.RandomResizedCrop(fixed, (least_area, 1.0), interpolation=mode, antialias=True),
            v2.RandomHorizontalFlip(),
        ]
        steps += [v2.ToDtype(torch.float32, scale=True)]
        steps += [_reversed] if recipe.layout == "BGR" else []
        mean, std = ([value / recipe.scale for value in values] for values in (recipe.mean, recipe.std))
        transform: Callable[[Any], torch.Tensor] = v2.Compose([*steps, v2.Normalize(mean, std), v2.ToPureTensor()])
        return transform


def _opened(value: Any, need: Wanted) -> tuple[Pixels, Source]:
    """The decoded image, and its name in errors."""
    if isinstance(value, (str, os.PathLike, Source)):
        source = as_source(value)
        source = _series(source) if need.volume and source.path.is_dir() else source
        try:
            return read(source, need), source
        except ArchError as problem:  # without a row of a table, only the error can name the folder
            at = f"the path is `{source.name[-400:]}`"
            raise ArchError((replace(d, notes=(*d.notes, at)) for d in problem.diagnostics), problem.status) from None
    source = Source("the image", (Path("the image"),))
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3):
        try:
            value = Image.fromarray(value[..., 0] if value.shape[2:] == (1,) else value)
        except TypeError:
            message = f"an array of the shape {value.shape} is not an image: pass (H, W), (H, W, 3) or (H, W, 4)"
            raise error("E0806", message) from None
    else:
        check_type("image", value, "a PIL image, an array of uint8, or a path", Image.Image)
        value = value.copy() if value.mode == "RGBA" else value  # its transparent parts are replaced in place
    if need.volume:
        raise error("E0806", "an image is no volume: pass the path of one")
    try:
        return pixels_of(value, need), source
    except Unusable as problem:
        raise unreadable(source, str(problem)) from None


def _series(folder: Source) -> Source:
    """The series of DICOM files in a folder. Raises E0804 if the folder has several samples, or none."""
    files = sorted(path for path in folder.path.rglob("*") if path.is_file())
    found = [sample for sample in scan(files, axes=3) if isinstance(sample, Source)]
    if len(found) != 1:
        help_ = "`archdsl.runtime.images.scan` yields each sample of a folder"
        raise unreadable(folder, f"the folder has {len(found) or 'no'} samples", help_)
    return found[0]


def _coloured(value: Any, recipe: Recipe) -> Image.Image:
    """The image in the mode of the layout, as `predict` converts it."""
    pixels, source = _opened(value, wanted(recipe, _PLANE, 0))
    try:
        if pixels.is_input:
            raise Unusable("an array is the network's input itself, which training cannot crop and flip")
        return in_mode(unit_image(pixels, recipe), recipe.layout or "RGB", [])
    except Unusable as problem:
        raise unreadable(source, str(problem)) from None


def _reversed(image: torch.Tensor) -> torch.Tensor:
    """RGB as BGR."""
    return image.flip(-3)
