"""Image files to network inputs, step by step as torchvision's transforms do it, with nothing of torch.

Images are input from anywhere: their size is checked before a pixel is decoded, and only formats that need no other
program are opened.
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
"""What an image may take while it is decoded and its colours are converted."""
_COSTS = {"I": 10, "F": 8, "CMYK": 8, "RGBA": 8, "LA": 8, "PA": 8}
"""Bytes a pixel, where it is not Pillow's four of an RGB image."""
MAX_FED = 16_000_000
"""Pixels of an image as the network gets it: with three channels they take 192 MB."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Opened; others (EPS, which runs Ghostscript) are not."""
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
"""What undoes each value of EXIF's orientation."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The heights or widths that a network takes: `fixed` one, or every `step` from `least` on."""

    fixed: int | None = None
    least: int = 1
    step: int = 1

    def nearest(self, size: int) -> int:
        """The legal size that is nearest to `size` from below, or the least."""
        if self.fixed is not None:
            return self.fixed
        return max(self.least, size - (size - self.least) % self.step)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One sample, `(1, C, H, W)` or `(1, features)`, float32; `notes` say what was done to an unusual image."""

    values: Array
    notes: tuple[str, ...]


def prepare(path: str | os.PathLike[str], recipe: Recipe, sizes: Sequence[Limits]) -> Prepared:
    """The image as the network's input. `sizes` are its limits: height and width, or of a vector its one size.

    Raises E0804 (unreadable, or too large), E0806 (it cannot be made the input).
    """
    file = Path(path)
    image, notes = read(file)
    try:
        if len(sizes) == 1:
            values = _vector(image, recipe, sizes[0], file)
        else:
            layout = recipe.layout or "RGB"
            image = _in_mode(image, layout, notes)
            values = _scaled(_values(_sized(image, recipe, sizes[0], sizes[1], notes), layout), recipe)[None]
    except _Unusable as problem:
        raise unreadable(file, str(problem)) from None
    return Prepared(np.ascontiguousarray(values, np.float32), tuple(notes))


def _scaled(values: Array, recipe: Recipe) -> Array:
    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (recipe.mean, recipe.std))
    return (values * np.float32(recipe.scale) - mean) / std


# --- reading ---------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[Image.Image, list[str]]:
    """The decoded image, upright, and what is to be noted of it. Raises E0804."""
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
            raise unreadable(path, "it is cut off or damaged") from None
        except Exception as problem:  # a decoder raises whatever a broken file leads it to
            raise unreadable(path, f"it is damaged ({type(problem).__name__})") from None


def unreadable(path: Path, why: str, help: str = "") -> ArchError:
    return error("E0804", f"`{path.name[:120]}` is not a usable image: {why}", help=help)


def _decoded(path: Path, file: Any, notes: list[str]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warning of a bomb comes late, and at a limit of its own
        try:
            image: Image.Image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            empty = os.fstat(file.fileno()).st_size == 0
            known = ", ".join(FORMATS)
            why = "it is empty" if empty else f"it is none of {known}"
            raise unreadable(path, why) from None
        except Image.DecompressionBombError:
            raise unreadable(path, f"it has more than {MAX_PIXELS // 10**6} million pixels") from None
        width, height = image.size
        most = _MAX_BYTES // _bytes_a_pixel(image)
        if width * height > most:
            size = f"it has {width:,} x {height:,} pixels"
            raise unreadable(path, f"{size}; of its kind at most {most // 10**6} million are read", "make it smaller")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notes.append("it has several frames: the first is used")
        image.load()
    return _upright(image, notes)


def _bytes_a_pixel(image: Image.Image) -> int:
    if image.info.get("progressive") or image.mode.startswith("I;16"):
        return _COSTS["I"]
    if "transparency" in image.info:
        return _COSTS["RGBA"]
    return _COSTS.get(image.mode, 4)


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block says nothing of the picture
        return image
    if turn is None:
        return image
    notes.append("it was turned upright, as its EXIF orientation says")
    return image.transpose(turn)


# --- colours ---------------------------------------------------------------------------------------------


class _Unusable(Exception):
    """A readable image that cannot be used all the same."""


def _in_mode(image: Image.Image, layout: str, notes: list[str]) -> Image.Image:
    """The image in `RGB` or `L`; one of 16 bits as floats from 0 to 1 (Pillow's `F`), which no step then rounds.

    A grey one stays so whatever the layout: its three channels would be the same.
    """
    mode = "L" if layout == "L" or image.mode in ("1", "L") else "RGB"
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep(image, notes)
    if image.mode == "CMYK":
        notes.append("its CMYK colours were converted without a colour profile")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append("its transparent parts are seen on white")
        image = _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image if image.mode == mode else image.convert("RGB" if image.mode == "P" else mode).convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    """Strip by strip, so that little more than the image is held."""
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        image.paste(Image.alpha_composite(Image.new("RGBA", strip.size, (255, 255, 255, 255)), strip), (0, top))
    return image


def _deep(image: Image.Image, notes: list[str]) -> Image.Image:
    values = np.array(image, np.float32)
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise _Unusable("it holds numbers that are not finite")
    if image.mode == "F":
        if least < 0 or most > 1:
            raise _Unusable(
                f"it holds floats from {least:g} to {most:g}, which may mean anything; save it with 8 or 16 bits"
            )
        return image
    if least < 0 or most > 65535:
        raise _Unusable(f"it holds numbers from {least:g} to {most:g}; 16 bits are the most that is understood")
    notes.append("it has 16 bits a pixel: 65,535 is 1.0")
    values /= np.float32(65535)
    return Image.fromarray(values)


def _values(image: Image.Image, layout: str) -> Array:
    """Numbers in [0, 1], `(C, H, W)`, in the order of the layout."""
    values = np.array(image, np.float32)
    if image.mode != "F":
        values /= np.float32(255)
    if values.ndim == 2:
        return values[None] if layout == "L" else np.repeat(values[None], 3, axis=0)
    values = values.transpose(2, 0, 1)
    return values[::-1] if layout == "BGR" else values


# --- sizes -----------------------------------------------------------------------------------------------


def _sized(image: Image.Image, recipe: Recipe, height: Limits, width: Limits, notes: list[str]) -> Image.Image:
    """Resized and cropped as the recipe says; then, where the network still does not take it, stretched."""
    if recipe.resize is not None:
        image = _resized(image, _target(image.size, recipe.resize), recipe.interpolation)
    if recipe.crop is not None:
        image = _cropped(image, recipe.crop, notes)
    wanted = (width.nearest(image.width), height.nearest(image.height))
    if wanted != image.size:
        notes.append(
            f"it was resized from {image.width} x {image.height} to {wanted[0]} x {wanted[1]}, which the network takes"
        )
        image = _resized(image, wanted, recipe.interpolation)
    if image.width * image.height > MAX_FED:
        raise _Unusable(
            f"the network would get {image.width:,} x {image.height:,} pixels of it; {MAX_FED // 10**6} million are the most"
        )
    return image


def _target(size: tuple[int, int], resize: int | tuple[int, int]) -> tuple[int, int]:
    """Width and height. The longer side is rounded down, as torchvision's `Resize` does."""
    if not isinstance(resize, int):
        return resize[1], resize[0]
    width, height = size
    if width <= height:
        return resize, max(int(resize * height / width), 1)
    return max(int(resize * width / height), 1), resize


def _resized(image: Image.Image, size: tuple[int, int], interpolation: Interpolation) -> Image.Image:
    if size[0] * size[1] > MAX_PIXELS:
        raise _Unusable(f"it would be resized to {size[0]:,} x {size[1]:,} pixels")
    return image if size == image.size else image.resize(size, Image.Resampling[interpolation.upper()])


def _cropped(image: Image.Image, crop: tuple[int, int], notes: list[str]) -> Image.Image:
    """The centre; where the image is smaller, black around it."""
    height, width = crop
    if height * width > MAX_PIXELS:
        raise _Unusable(f"it would be cropped to {width:,} x {height:,} pixels")
    if image.width < width or image.height < height:
        notes.append(f"it is smaller than {width} x {height}: black was put around it")
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def _vector(image: Image.Image, recipe: Recipe, features: Limits, path: Path) -> Array:
    """The pixels of an image that has just as many as a vector input: grey, or red, green, blue one after the other."""
    pixels, want = image.width * image.height, features.fixed
    layout = recipe.layout or ("RGB" if want == 3 * pixels else "L")
    if want != pixels * (1 if layout == "L" else 3):
        raise error(
            "E0806",
            f"the network's input is a vector of {want}; `{path.name[:120]}` has {pixels:,} pixels",
            help="an image of exactly as many pixels is needed: no resizing is right for a vector",
        )
    return _scaled(_values(_in_mode(image, layout, []), layout), recipe).reshape(1, -1)
