"""Images with rows and columns that Pillow decodes: their size is checked before a pixel is decoded."""

from __future__ import annotations

import os
import warnings
from typing import Any

from PIL import Image, UnidentifiedImageError

from archdsl.diagnostics import ArchError, error
from archdsl.files.atomic import NotRegular, open_regular
from archdsl.runtime.images.pixels import MAX_PIXELS, Pixels, Wanted, unreadable
from archdsl.runtime.images.source import Source

_MAX_BYTES = 4 * MAX_PIXELS
"""Memory limit while an image is decoded and its colours are converted."""
_COSTS = {"I": 10, "F": 8, "CMYK": 8, "RGBA": 8, "LA": 8, "PA": 8}
"""Bytes per pixel of a mode, if it is not the four that Pillow needs for RGB."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Supported formats; EPS, for example, would run Ghostscript."""
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


def read(source: Source, wanted: Wanted) -> Pixels:
    """Return the decoded image, upright. Raises E0804 if it cannot be read."""
    try:
        opened = open_regular(source.path)
    except NotRegular:
        raise unreadable(source, "it is not a regular file") from None
    except (OSError, ValueError) as problem:
        why = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        raise error("E0804", f"cannot read the image `{source.name[-120:]}`: {why.lower()}", status=2) from None
    notes: list[str] = []
    with opened as file:
        try:
            return Pixels(_decoded(source, file, notes), notes=notes)
        except (ArchError, MemoryError):
            raise
        except OSError:
            raise unreadable(source, "it is truncated or damaged") from None
        except Exception as problem:  # decoders raise anything for a damaged file
            raise unreadable(source, f"it is damaged ({type(problem).__name__})") from None


def _decoded(source: Source, file: Any, notes: list[str]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of decompression bombs late, and at its own limit
        try:
            image: Image.Image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            empty = os.fstat(file.fileno()).st_size == 0
            known = ", ".join(FORMATS)
            why = "it is empty" if empty else f"it is not one of {known}"
            raise unreadable(source, why) from None
        except Image.DecompressionBombError:
            raise unreadable(source, f"it has more than {MAX_PIXELS // 10**6} million pixels") from None
        width, height = image.size
        most = _MAX_BYTES // _bytes_per_pixel(image)
        if width * height > most:
            size = f"it has {width:,} x {height:,} pixels"
            why = f"{size}; the maximum for its pixel format is {most // 10**6} million"
            raise unreadable(source, why, "make it smaller")
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
