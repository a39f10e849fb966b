"""Convert image files to network inputs with the steps of torchvision's transforms, without torch.

Images may come from anyone: their size is checked before a pixel is decoded, and only formats that Pillow decodes
itself are opened.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from archdsl.diagnostics import Diagnostic, error
from archdsl.runtime.images import Pixels, Source, Unusable, Wanted, as_source, read, unreadable
from archdsl.runtime.images.pixels import MAX_PIXELS
from archdsl.runtime.recipe import Interpolation, Recipe

Array: TypeAlias = npt.NDArray[np.float32]

MAX_FED = 16_000_000
"""Maximum pixels of a network input: with three channels they need 192 MB."""
_STRIP = 64


@dataclass(frozen=True, slots=True)
class LegalSizes:
    """The legal sizes of one axis: only `fixed`, or `least` and every `step` above it."""

    fixed: int | None = None
    least: int = 1
    step: int = 1

    def nearest(self, size: int) -> int:
        """Return the largest legal size up to `size`, or the smallest legal size."""
        if self.fixed is not None:
            return self.fixed
        return max(self.least, size - (size - self.least) % self.step)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One sample, `(1, C, *sizes)` or `(1, features)`, float32; `notes` report how an unusual image was converted."""

    values: Array
    notes: tuple[Diagnostic, ...] = ()


def prepare(
    source: str | os.PathLike[str] | Source, recipe: Recipe, sizes: Sequence[LegalSizes], channels: int = 0
) -> Prepared:
    """Convert an image file to the network's input. `sizes` are the legal sizes of its spatial axes, or of a vector.

    `channels` is the number of channels of the input; 0 for a vector, and for images, where the recipe's layout says
    it. Raises E0804 if the image is unreadable or too large, E0806 if it does not fit the input, E0812 if slices are no
    volume.
    """
    sample = as_source(source)
    pixels = read(sample, Wanted(len(sizes)))
    values = prepared(pixels, recipe, sizes, sample)
    notes = (Diagnostic("N0804", f"{sample.short}: {note}", severity="note") for note in pixels.notes)
    return Prepared(values, tuple(notes))


def prepared(pixels: Pixels, recipe: Recipe, sizes: Sequence[LegalSizes], source: Source) -> Array:
    """Return decoded pixels as one sample, and extend their notes. Raises as `prepare`."""
    image, notes = pixels.values, pixels.notes
    assert isinstance(image, Image.Image)
    try:
        if len(sizes) == 1:
            values = _vector(image, recipe, sizes[0], source)
        else:
            layout = recipe.layout or "RGB"
            image = in_mode(image, layout, notes)
            values = _scaled(_values(_sized(image, recipe, sizes[0], sizes[1], notes), layout), recipe)[None]
    except Unusable as problem:
        raise unreadable(source, str(problem)) from None
    return np.ascontiguousarray(values, np.float32)


def _scaled(values: Array, recipe: Recipe) -> Array:
    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (recipe.mean, recipe.std))
    return (values * np.float32(recipe.scale) - mean) / std


# --- colours ---------------------------------------------------------------------------------------------


def in_mode(image: Image.Image, layout: str, notes: list[str]) -> Image.Image:
    """Return the image in mode `RGB` or `L`; with 16 bits as floats from 0 to 1 (Pillow's `F`), which nothing rounds.

    A grey image stays grey for every layout: its three channels would be equal. Raises Unusable for other values.
    """
    mode = "L" if layout == "L" or image.mode in ("1", "L") else "RGB"
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep(image, notes)
    if image.mode == "CMYK":
        notes.append("its CMYK colours were converted without a colour profile")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append("its transparent parts were put on white")
        image = _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image if image.mode == mode else image.convert("RGB" if image.mode in ("P", "LAB") else mode).convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    """In strips, to need little memory beyond the image."""
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        image.paste(Image.alpha_composite(Image.new("RGBA", strip.size, (255, 255, 255, 255)), strip), (0, top))
    return image


def _deep(image: Image.Image, notes: list[str]) -> Image.Image:
    values = np.array(image, np.float32)
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise Unusable("it contains infinities or NaN")
    if image.mode == "F":
        if least < 0 or most > 1:
            raise Unusable(
                f"its float values range from {least:g} to {most:g}, not from 0 to 1; save it with 8 or 16 bits"
            )
        return image
    if least < 0 or most > 65535:
        raise Unusable(f"its values range from {least:g} to {most:g}; the maximum is 16 bits")
    notes.append("it has 16 bits per channel: 65,535 becomes 1.0")
    values /= np.float32(65535)
    return Image.fromarray(values)


def _values(image: Image.Image, layout: str) -> Array:
    """Values in [0, 1], `(C, H, W)`, in the order of the layout."""
    values = np.array(image, np.float32)
    if image.mode != "F":
        values /= np.float32(255)
    if values.ndim == 2:
        return values[None] if layout == "L" else np.repeat(values[None], 3, axis=0)
    values = values.transpose(2, 0, 1)
    return values[::-1] if layout == "BGR" else values


# --- sizes -----------------------------------------------------------------------------------------------


def _sized(image: Image.Image, recipe: Recipe, height: LegalSizes, width: LegalSizes, notes: list[str]) -> Image.Image:
    """Resizes and crops by the recipe; then, if the size is still not legal, stretches to a legal one."""
    if recipe.resize is not None:
        image = _resized(image, _target(image.size, recipe.resize), recipe.interpolation)
    if recipe.crop is not None:
        image = _cropped(image, recipe.crop, notes)
    wanted = (width.nearest(image.width), height.nearest(image.height))
    if wanted != image.size:
        notes.append(f"it was resized from {image.width} x {image.height} to {wanted[0]} x {wanted[1]} for the network")
        image = _resized(image, wanted, recipe.interpolation)
    if image.width * image.height > MAX_FED:
        raise Unusable(
            f"the input would have {image.width:,} x {image.height:,} pixels; the maximum is {MAX_FED // 10**6} million"
        )
    return image


def _target(size: tuple[int, int], resize: int | tuple[int, int]) -> tuple[int, int]:
    """Width and height. The longer one is rounded down, as torchvision's `Resize` does."""
    if not isinstance(resize, int):
        return resize[1], resize[0]
    width, height = size
    if width <= height:
        return resize, max(int(resize * height / width), 1)
    return max(int(resize * width / height), 1), resize


def _resized(image: Image.Image, size: tuple[int, int], interpolation: Interpolation) -> Image.Image:
    if size[0] * size[1] > MAX_PIXELS:
        raise Unusable(f"it would be resized to {size[0]:,} x {size[1]:,} pixels")
    return image if size == image.size else image.resize(size, Image.Resampling[interpolation.upper()])


def _cropped(image: Image.Image, crop: tuple[int, int], notes: list[str]) -> Image.Image:
    """The centre of the image; a smaller image is padded with black. Odd pixels are where torchvision has them."""
    height, width = crop
    if height * width > MAX_PIXELS:
        raise Unusable(f"it would be cropped to {width:,} x {height:,} pixels")
    if image.width < width or image.height < height:
        notes.append(f"it is smaller than {width} x {height}: padded with black")
    left, top = _start(image.width, width), _start(image.height, height)
    return image.crop((left, top, left + width, top + height))


def _start(size: int, crop: int) -> int:
    """The first pixel of the crop along one axis, as in torchvision's `CenterCrop`: half of an odd pixel is rounded to
    an even number for a crop, and goes to the end of a pad."""
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)


def _vector(image: Image.Image, recipe: Recipe, features: LegalSizes, source: Source) -> Array:
    """The pixels of an image with exactly as many as the vector input: grey, or all red, all green, all blue."""
    pixels, want = image.width * image.height, features.fixed
    layout = recipe.layout or ("RGB" if want == 3 * pixels else "L")
    if want != pixels * (1 if layout == "L" else 3):
        raise error(
            "E0806",
            f"the network's input is a vector of {want} values; `{source.short}` has {pixels:,} pixels",
            help="use an image with exactly that many pixels: archdsl does not resize images for a vector",
        )
    return _scaled(_values(in_mode(image, layout, []), layout), recipe).reshape(1, -1)
