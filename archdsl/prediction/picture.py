"""Images that a network outputs, as files."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.diagnostics.arguments import check_choice, conflict
from archdsl.files.atomic import atomic_write
from archdsl.files.marks import has_mark
from archdsl.prediction.result import Array, PictureFile

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Pillow's format by the ending of a file's name."""


@dataclass(frozen=True, slots=True)
class PictureWriter:
    """Writes pictures to `output`, a file or a folder. `inputs` are files that no picture may replace; with `stretch`
    the least value is black and the largest white."""

    output: Path
    stretch: bool
    force: bool
    inputs: tuple[str | Path, ...]
    written: dict[Path, str] = field(default_factory=dict)
    """The image of each picture so far."""

    def write(self, values: Array, image: str, model: str, white: float) -> PictureFile:
        """Writes the picture `(C, H, W)` that a model outputs for an image; `white` is the value of a white pixel.

        Raises E0003 if another image's picture already has the same name, E07xx if it cannot be written.
        """
        path = self.output
        if os.path.isdir(path):
            model = re.sub(r"[^A-Za-z0-9_-]+", "_", model)[:80]  # a file may call itself anything
            path = path / f"{Path(image).stem}.{model}.png"
        other = self.written.setdefault(path, image)
        if other != image:
            raise conflict(f"the pictures of `{other}` and `{image}` would both be `{path}`", help="rename an image")
        data, pixels = encode(values, white, self.stretch, path.suffix.lower())
        with atomic_write(path, inputs=self.inputs, force=self.force, replaceable=has_mark("picture")) as file:
            file.write(data)
        return PictureFile(path, pixels)


def check_output(output: str | Path | None, images: Sequence[str | Path]) -> None:
    """Raises E0001 if `output` has the ending of no image format, E0003 if several images have one file."""
    if output is None or os.path.isdir(output):
        return
    if len(images) > 1:
        raise conflict("several images need a folder as `output`, and it must exist")
    check_choice("output", Path(output).suffix.lower(), FORMATS)


def encode(values: Array, white: float, stretch: bool, suffix: str) -> tuple[bytes, str]:
    """A picture `(C, H, W)` as an image file, and how its values became pixels.

    By default 0 is black and `white` white, and other values are clipped; with `stretch` the least value is black and
    the largest white.
    """
    from PIL import Image, PngImagePlugin

    numbers = np.nan_to_num(values.astype(np.float64))
    least, most = float(numbers.min()), float(numbers.max())
    if stretch:
        scaled = (numbers - least) * (255 / (most - least) if most > least else 0)
        pixels = f"stretched: {least:.4g} is black, {most:.4g} white"
    else:
        outside = 100 * float(((numbers < 0) | (numbers > white)).mean())
        scaled = np.clip(numbers, 0, white) * (255 / white)
        pixels = f"clipped to 0 .. {white:g}: {outside:.1f} % of the values lie outside, from {least:.4g} to {most:.4g}"
    array = np.rint(scaled).astype(np.uint8)
    image = Image.fromarray(array[0] if len(array) == 1 else np.ascontiguousarray(array.transpose(1, 2, 0)))
    format = FORMATS.get(suffix, "PNG")
    options: dict[str, Any] = {}
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", "made by archdsl")
    elif format == "JPEG":
        options["comment"] = b"made by archdsl"
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue(), pixels
