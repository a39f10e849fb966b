"""Convert decoded images, volumes and arrays to network inputs by the steps of a `Recipe`, without torch.

The steps are those of torchvision's transforms for images and of MONAI's for volumes. This is the only place that takes
them: `predict`, calibration and the transforms of `Network.transforms` call it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from archdsl.axes import kind_of
from archdsl.diagnostics import Diagnostic, error
from archdsl.runtime.images import Pixels, Source, Unusable, Wanted, as_source, check_finite, read, unreadable
from archdsl.runtime.images.pixels import MAX_PIXELS
from archdsl.runtime.recipe import Interpolation, Recipe
from archdsl.runtime.volume import cut, oriented, padded, resized, spaced

Array: TypeAlias = npt.NDArray[np.float32]

MAX_FED = 16_000_000
"""Maximum pixels of a network input: with three channels they need 192 MB."""
_STRIP = 64
_LITTLE = {"declared": 1 / 8, "container": 1 / 4, "window": 0}
"""An image of more than 8 bits that uses a smaller part of its range is probably scaled wrongly."""
_CONSTANT = 0.01
_UNSCALED = 16
"""A volume with a larger range of values, without any step that scales it, is not normalised."""
_MAP = "map those that matter to 0 and 1, e.g. `preprocess: {window: [40, 400]}` or `{intensity: [low, high]}`"

Warning: TypeAlias = tuple[str, str] | None
"""A message and its help."""


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
    return prepared(read(sample, wanted(recipe, sizes, channels)), recipe, sizes, sample, channels)


def wanted(recipe: Recipe, sizes: Sequence[LegalSizes], channels: int) -> Wanted:
    """Return what the recipe needs of a file."""
    vector = len(sizes) == 1 and not channels
    return Wanted(0 if vector else len(sizes), recipe.intensity is None)


def prepared(
    pixels: Pixels, recipe: Recipe, sizes: Sequence[LegalSizes], source: Source, channels: int = 0
) -> Prepared:
    """Return decoded pixels as one sample. Raises as `prepare`."""
    need = wanted(recipe, sizes, channels)
    notes = [*pixels.notes]
    try:
        if pixels.is_input:
            values, warning = _given(pixels, sizes if not need.axes else (LegalSizes(channels), *sizes), source), None
            notes += ["it is the network's input itself: `preprocess` is not applied"] * (recipe != Recipe())
        elif need.volume:
            values, warning = _volume(pixels, recipe, sizes, channels, source, notes)
        else:
            values, warning = _image(pixels, recipe, sizes, channels, source, notes)
    except Unusable as problem:
        raise unreadable(source, str(problem)) from None
    found = [Diagnostic("N0804", f"{source.short}: {note}", severity="note") for note in notes]
    if warning is not None:
        found.append(Diagnostic("W0811", f"{source.short}: {warning[0]}", severity="warning", help=warning[1]))
    return Prepared(np.ascontiguousarray(values, np.float32)[None], tuple(found))


def _image(
    pixels: Pixels, recipe: Recipe, sizes: Sequence[LegalSizes], channels: int, source: Source, notes: list[str]
) -> tuple[Array, Warning]:
    image = unit_image(pixels, recipe)
    if len(sizes) == 1:
        values = _vector(image, recipe, sizes[0], source)
    else:
        layout = recipe.layout or "RGB"
        if channels and channels != len({*layout}):
            raise error(
                "E0806", f"`{source.short}` is an image, of 1 or 3 channels; the network's input has {channels}"
            )
        image = _sized(in_mode(image, layout, notes), recipe, sizes[0], sizes[1], notes)
        values = _values(image, layout)
    warning = _little_used(pixels, recipe) or _constant(_ends(values), pixels, recipe)
    values = _scaled(values, recipe)
    return values if len(sizes) > 1 else values.reshape(-1), warning


def _volume(
    pixels: Pixels, recipe: Recipe, sizes: Sequence[LegalSizes], channels: int, source: Source, notes: list[str]
) -> tuple[Array, Warning]:
    values = np.asarray(pixels.values)
    values = values if values.ndim > len(sizes) else values[None]
    if len(values) != channels:
        message = (
            f"`{source.short}` has {len(values)} channel{'s' * (len(values) > 1)}; the network's input has {channels}"
        )
        raise error("E0806", message)
    check_finite(values)
    values, spacing = oriented(values, pixels.affine, recipe.orientation)
    if recipe.spacing is not None:
        values = spaced(values, spacing, recipe.spacing)
    if recipe.crop is not None and recipe.resize is None:
        values = cut(values, recipe.crop)  # before a step that copies
    if recipe.intensity is not None:
        values = _ranged(values, recipe.intensity, own=not np.may_share_memory(values, np.asarray(pixels.values)))
    if isinstance(recipe.resize, tuple):
        values = resized(values, recipe.resize)
    if recipe.crop is not None:
        if any(size < least for size, least in zip(values.shape[1:], recipe.crop, strict=True)):
            notes.append(f"it is smaller than {_times(recipe.crop)}: padded with 0")
        values = padded(values, recipe.crop)
    legal = tuple(size.nearest(length) for size, length in zip(sizes, values.shape[1:], strict=True))
    if legal != values.shape[1:]:
        notes.append(f"it was resized from {_times(values.shape[1:])} to {_times(legal)} for the network")
        values = resized(values, legal)
    ends = _ends(values)
    return _scaled(values, recipe), _unscaled(ends, recipe) or _constant(ends, pixels, recipe)


def _given(pixels: Pixels, shape: Sequence[LegalSizes], source: Source) -> Array:
    """An array that is the network's input itself. Its shape is checked before its values are read."""
    stored = np.asanyarray(pixels.values)
    fits = stored.ndim == len(shape) and all(n == size.nearest(n) for size, n in zip(shape, stored.shape, strict=False))
    if not fits:
        wanted = " x ".join(str(legal.fixed or f"{legal.least} or more") for legal in shape)
        shown = _times(stored.shape[:9]) or "one number"
        message = f"`{source.short}` has the shape {shown}; the network's input is {wanted}"
        form = kind_of(shape).form
        help_ = f"save one sample in each file, {form}, without the batch" if len(shape) > 1 else ""
        raise error("E0806", message, help=help_)
    values = np.array(stored, np.float32)
    check_finite(values)
    return values


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


# --- values ----------------------------------------------------------------------------------------------


def unit_image(pixels: Pixels, recipe: Recipe) -> Image.Image:
    """Return an image of Pillow: with 8 bits, or for deeper grey values floats from 0 to 1 (Pillow's mode `F`)."""
    values = pixels.values
    if isinstance(values, Image.Image):
        if recipe.intensity is None:
            return values
        if values.mode not in ("1", "L"):
            raise Unusable("its colours are no measured values, which `window` and `intensity` map to 0 and 1")
        values = np.asarray(values.convert("L"))
    check_finite(values)
    unit = _ranged(values, recipe.intensity or pixels.span or (0.0, 1.0))
    return Image.fromarray(1 - unit if pixels.inverted else unit)


def _ranged(values: Array, span: tuple[float, float], own: bool = False) -> Array:
    """The values that become 0 and 1, and linearly between; clipped. A span without length is a threshold.

    `own`: the values are overwritten.
    """
    low, high = span
    if low == high:
        return (values > low).astype(np.float32)
    unit = values.astype(np.float32, copy=not own)  # no other copy: a volume has gigabytes
    unit -= np.float32(low)
    unit /= np.float32(high - low)
    return unit.clip(0, 1, out=unit)


def _scaled(values: Array, recipe: Recipe) -> Array:
    """The last step. What changes nothing is left out: a volume has gigabytes."""
    shape = (-1, *(1 for _ in values.shape[1:]))
    mean, std = (np.asarray(v, np.float32).reshape(shape) for v in (recipe.mean, recipe.std))
    values = values if recipe.scale == 1 else values * np.float32(recipe.scale)
    values = values if not mean.any() else values - mean
    return values if (std == 1).all() else values / std


def shown(values: Array, recipe: Recipe) -> Array:
    """Return what the last step was applied to, `(C, *sizes)` in the order red, green, blue, clipped to 0 to 1."""
    shape = (-1, *(1 for _ in values.shape[1:]))
    mean, std = (np.asarray(v, values.dtype).reshape(shape) for v in (recipe.mean, recipe.std))
    unit: Array = np.clip((values * std + mean) / recipe.scale, 0, 1)
    return unit[::-1] if recipe.layout == "BGR" else unit


def _little_used(pixels: Pixels, recipe: Recipe) -> Warning:
    """Whether deep grey values use so little of the range of their depth that another depth is likely."""
    if recipe.intensity is not None or isinstance(pixels.values, Image.Image) or pixels.span is None:
        return None
    low, high = pixels.span
    least, most = _ends(pixels.values)
    if least == most or most - least >= _LITTLE[pixels.by] * (high - low):
        return None
    message = f"its values, {least:g} to {most:g}, use little of the range {low:g} to {high:g}, which becomes 0 to 1"
    if least < 0:
        return message, _MAP
    bits = int(most).bit_length()
    return message, f"if it has {bits} bits, write `preprocess: {{intensity: [0, {2**bits - 1}]}}`"


def _ends(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _unscaled(ends: tuple[float, float], recipe: Recipe) -> Warning:
    """Whether the measured values of a volume enter the network as they are."""
    least, most = ends
    plain = Recipe(orientation=recipe.orientation, spacing=recipe.spacing, resize=recipe.resize, crop=recipe.crop)
    if recipe != plain or most - least <= _UNSCALED:
        return None
    return f"its values, {least:g} to {most:g}, enter the network as they are", _MAP


def _constant(ends: tuple[float, float], pixels: Pixels, recipe: Recipe) -> Warning:
    """Whether an input, before its scale and mean, has nearly one value."""
    least, most = ends
    if most - least > (_CONSTANT if recipe.intensity or pixels.span else 0):
        return None
    message = f"the input is nearly constant: its values are {least:.3g} to {most:.3g}"
    if recipe.intensity:
        low, high = recipe.intensity
        return message, f"`preprocess` maps {low:g} to 0 and {high:g} to 1: set the range or the window of its values"
    return message, _MAP if pixels.by == "window" else "the file may be blank"


# --- colours ---------------------------------------------------------------------------------------------


def in_mode(image: Image.Image, layout: str, notes: list[str]) -> Image.Image:
    """Return the image in mode `RGB` or `L`, or `F` (floats from 0 to 1), which nothing rounds.

    A grey image stays grey for every layout: its three channels would be equal.
    """
    mode = "L" if layout == "L" or image.mode in ("1", "L") else "RGB"
    if image.mode == "F":
        return image
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


def _values(image: Image.Image, layout: str) -> Array:
    """Values in [0, 1], `(C, H, W)`, in the order of the layout."""
    stored = np.asarray(image)
    if stored.ndim == 3:  # before the conversion: arithmetic on planes takes a third of the time
        stored = np.ascontiguousarray(stored.transpose(2, 0, 1))
    values = stored.astype(np.float32)
    if image.mode != "F":
        values /= np.float32(255)
    if values.ndim == 2:
        return values[None] if layout == "L" else np.repeat(values[None], 3, axis=0)
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


def _target(size: tuple[int, int], resize: int | tuple[int, ...]) -> tuple[int, int]:
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


def _cropped(image: Image.Image, crop: tuple[int, ...], notes: list[str]) -> Image.Image:
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
    return _values(in_mode(image, layout, []), layout)
