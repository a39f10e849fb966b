"""Convert image files to network inputs with the steps of torchvision's transforms, without torch.

Images may come from anyone: their size is checked before a pixel is decoded, and only formats that Pillow decodes
itself are opened.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from archdsl.diagnostics import ArchError, error
from archdsl.files.atomic import NotRegular, open_regular
from archdsl.runtime.recipe import Interpolation, Recipe

Array: TypeAlias = npt.NDArray[np.float32]

MAX_PIXELS = 64_000_000
_MAX_BYTES = 4 * MAX_PIXELS
"""Memory limit while an image is decoded and its colours are converted."""
_COSTS = {"I": 10, "F": 8, "CMYK": 8, "RGBA": 8, "LA": 8, "PA": 8}
"""Bytes per pixel of a mode, if it is not the four that Pillow needs for RGB."""
MAX_FED = 16_000_000
"""Maximum pixels of a network input: with three channels they need 192 MB."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Supported formats; EPS, for example, would run Ghostscript."""
_STRIP = 64
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The inverse of each value of EXIF's orientation."""


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
    """One sample, `(1, C, H, W)` or `(1, features)`, float32; `notes` report how an unusual image was converted."""

    values: Array
    notes: tuple[str, ...]


def prepare(path: str | os.PathLike[str], recipe: Recipe, sizes: Sequence[LegalSizes]) -> Prepared:
    """Convert an image file to the network's input. `sizes` are the legal sizes of height and width, or of a vector.

    Raises E0804 if the image is unreadable or too large, E0806 if it does not fit the input.
    """
    file = Path(path)
    image, notes = read(file)
    return Prepared(prepared(image, recipe, sizes, file, notes), tuple(notes))


def prepared(image: Image.Image, recipe: Recipe, sizes: Sequence[LegalSizes], file: Path, notes: list[str]) -> Array:
    """Return a decoded image as one sample; `file` names it in errors, `notes` are extended. Raises as `prepare`."""
    try:
        if len(sizes) == 1:
            values = _vector(image, recipe, sizes[0], file)
        else:
            layout = recipe.layout or "RGB"
            image = in_mode(image, layout, notes)
            values = _scaled(_values(_sized(image, recipe, sizes[0], sizes[1], notes), layout), recipe)[None]
    except Unusable as problem:
        raise unreadable(file, str(problem)) from None
    return np.ascontiguousarray(values, np.float32)


def _scaled(values: Array, recipe: Recipe) -> Array:
    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (recipe.mean, recipe.std))
    return (values * np.float32(recipe.scale) - mean) / std


# --- reading ---------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[Image.Image, list[str]]:
    """Return the decoded image, upright, and notes on it. Raises E0804 if it cannot be read."""
    try:
        opened = open_regular(path)
    except NotRegular:
        raise unreadable(path, "it is not a regular file") from None
    except (OSError, ValueError) as problem:
        why = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        raise error("E0804", f"cannot read the image `{str(path)[-120:]}`: {why.lower()}", status=2) from None
    notes: list[str] = []
    with opened as file:
        try:
            return _decoded(path, file, notes), notes
        except (ArchError, MemoryError):
            raise
        except OSError:
            raise unreadable(path, "it is truncated or damaged") from None
        except Exception as problem:  # decoders raise anything for a damaged file
            raise unreadable(path, f"it is damaged ({type(problem).__name__})") from None


def unreadable(path: Path, why: str, help: str = "") -> ArchError:
    """E0804 for an image that cannot be used, and the reason."""
    return error("E0804", f"`{path.name[:120]}` is not a usable image: {why}", help=help)


def _decoded(path: Path, file: Any, notes: list[str]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of decompression bombs late, and at its own limit
        try:
            image: Image.Image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            empty = os.fstat(file.fileno()).st_size == 0
            known = ", ".join(FORMATS)
            why = "it is empty" if empty else f"it is not one of {known}"
            raise unreadable(path, why) from None
        except Image.DecompressionBombError:
            raise unreadable(path, f"it has more than {MAX_PIXELS // 10**6} million pixels") from None
        width, height = image.size
        most = _MAX_BYTES // _bytes_per_pixel(image)
        if width * height > most:
            size = f"it has {width:,} x {height:,} pixels"
            why = f"{size}; the maximum for its pixel format is {most // 10**6} million"
            raise unreadable(path, why, "make it smaller")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notes.append("it has several frames; only the first is used")
        image.load()
    return _upright(image, notes)


def _bytes_per_pixel(image: Image.Image) -> int:
    if image.info.get("progressive") or image.mode.startswith("I;16"):
        return _COSTS["I"]
    if "transparency" in image.info:
        return _COSTS["RGBA"]
    return _COSTS.get(image.mode, 4)


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # the pixels may be intact although the EXIF block is damaged
        return image
    if turn is None:
        return image
    notes.append("it was rotated according to its EXIF orientation")
    return image.transpose(turn)


# --- colours ---------------------------------------------------------------------------------------------


class Unusable(Exception):
    """A readable image that cannot be converted to the input."""


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


def _vector(image: Image.Image, recipe: Recipe, features: LegalSizes, path: Path) -> Array:
    """The pixels of an image with exactly as many as the vector input: grey, or all red, all green, all blue."""
    pixels, want = image.width * image.height, features.fixed
    layout = recipe.layout or ("RGB" if want == 3 * pixels else "L")
    if want != pixels * (1 if layout == "L" else 3):
        raise error(
            "E0806",
            f"the network's input is a vector of {want} values; `{path.name[:120]}` has {pixels:,} pixels",
            help="use an image with exactly that many pixels: archdsl does not resize images for a vector",
        )
    return _scaled(_values(in_mode(image, layout, []), layout), recipe).reshape(1, -1)
