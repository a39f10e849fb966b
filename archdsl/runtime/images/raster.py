"""Images with rows and columns that Pillow decodes: their size is checked before a pixel is decoded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from archdsl.runtime.images.opened import opened
from archdsl.runtime.images.pixels import MAX_PIXELS, Pixels, Unusable, Wanted, check_finite, unreadable
from archdsl.runtime.images.source import Source

_MAX_BYTES = 4 * MAX_PIXELS
"""Memory limit while an image is decoded and its colours are converted."""
_COSTS = {"I": 10, "F": 8, "CMYK": 8, "RGBA": 8, "LA": 8, "PA": 8}
"""Bytes per pixel of a mode, if it is not the four that Pillow needs for RGB."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Supported formats; EPS, for example, would run Ghostscript."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
MAGICS = (
    (b"\x89PNG\r\n\x1a\n", 0),
    (b"\xff\xd8\xff", 0),
    (b"WEBP", 8),
    (b"BM", 0),
    (b"GIF8", 0),
    (b"II*\0", 0),
    (b"MM\0*", 0),
    *((b"P%d" % number, 0) for number in range(1, 7)),
)
_BITS, _PHOTOMETRIC, _ORIENTATION, _MOST = 258, 262, 274, 281
"""Tags of TIFF and EXIF: BitsPerSample, PhotometricInterpretation (0: the smallest value is white), Orientation,
MaxSampleValue."""
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
    with opened(source) as file:
        try:
            image: Image.Image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            known = ", ".join((*FORMATS, "DICOM, NIfTI, .npy"))
            raise Unusable(f"it is not one of {known}" if os.fstat(file.fileno()).st_size else "it is empty") from None
        except Image.DecompressionBombError:
            raise Unusable(f"it has more than {MAX_PIXELS // 10**6} million pixels") from None
        width, height = image.size
        most = _MAX_BYTES // _bytes_per_pixel(image)
        if width * height > most:
            size = f"it has {width:,} x {height:,} pixels"
            why = f"{size}; the maximum for its pixel format is {most // 10**6} million"
            raise unreadable(source, why, "make it smaller")
        notes = []
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notes.append("it has several frames; only the first is used")
        tiles: Any = getattr(image, "tile", ())
        if image.mode in ("RGB", "RGBA") and tiles and "16" in str(tiles[0].args):
            notes.append("its colours were reduced from 16 to 8 bits")
        tags: Any = getattr(image, "tag_v2", {})
        image.load()
        pixels = pixels_of(_upright(image, notes), wanted, tags)
        pixels.notes[:0] = notes
        return pixels


def pixels_of(image: Image.Image, wanted: Wanted, tags: Mapping[int, Any] = MappingProxyType({})) -> Pixels:
    """Return an image of Pillow, with the tags of a TIFF file. Raises Unusable for values outside of its range."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return Pixels(image, (0.0, 255.0))
    pixels = _span(image.mode, tags)
    pixels.values = np.array(image, np.float32)
    if wanted.displayed:
        _check_span(pixels)
    if wanted.displayed and image.mode != "F":
        high = pixels.span[1] if pixels.span else 0
        pixels.notes.append(f"it has {int(high).bit_length()} bits per channel: {high:,.0f} becomes 1.0")
    return pixels


def _span(mode: str, tags: Mapping[int, Any]) -> Pixels:
    """The values that become 0 and 1, and what says so; without pixels."""
    empty = np.empty(0, np.float32)
    if mode == "F":
        return Pixels(empty, (0.0, 1.0))
    most, bits = _one(tags.get(_MOST)), _one(tags.get(_BITS))
    inverted = mode.startswith("I;16") and _one(tags.get(_PHOTOMETRIC)) == 0  # Pillow inverts 8 bits alone
    if most is not None and most > 0:
        return Pixels(empty, (0.0, float(most)), inverted=inverted)
    return Pixels(empty, (0.0, float(2 ** min(bits or 16, 16) - 1)), "container", inverted)


def _check_span(pixels: Pixels) -> None:
    assert isinstance(pixels.values, np.ndarray) and pixels.span is not None
    (least, most), (low, high) = check_finite(pixels.values), pixels.span
    if least < low or most > high:
        why = f"its values range from {least:g} to {most:g}, not from {low:g} to {high:g}"
        raise Unusable(f"{why}; map those that matter with `preprocess: {{intensity: [low, high]}}`")


def _one(value: Any) -> int | None:
    """The value of a tag that has one, or the first."""
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, (int, float)) else None


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
