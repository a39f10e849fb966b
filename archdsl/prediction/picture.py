"""Write the images that a network outputs as files."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.diagnostics.arguments import check_choice, conflict
from archdsl.files.atomic import atomic_write, make_folder
from archdsl.files.overwrite_marks import has_mark
from archdsl.prediction.names import output_names
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
"""Pillow's format by file suffix."""


@dataclass(frozen=True, slots=True)
class PictureWriter:
    """Writes pictures to `output`, a file or a folder, which need not exist.

    `inputs` are files that no picture may replace; with `stretch` the minimum is black and the maximum white.
    """

    output: Path
    stretch: bool
    force: bool
    inputs: tuple[str | Path, ...]
    written: dict[Path, str] = field(default_factory=dict)
    """The source image of each picture so far."""
    names: dict[str, Path] = field(default_factory=dict)
    """The path of each image's picture below a folder, without its ending."""

    def write(self, values: Array, image: str, model: str, white: float) -> PictureFile:
        """Write the picture `(C, H, W)` that a model outputs for an image; `white` is the value of a white pixel.

        Raises E0003 if `output` is one file and another image has it, E07xx if the picture cannot be written.
        """
        path = self.path(image, model)
        other = self.written.setdefault(path, image)
        if other != image:
            raise conflict(f"the pictures of `{other}` and `{image}` have the same name `{path}`", "name a folder")
        data, pixels = encode(values, white, self.stretch, path.suffix.lower())
        if is_folder(self.output):
            make_folder(path.parent)
        with atomic_write(path, inputs=self.inputs, force=self.force, replaceable=has_mark("picture")) as file:
            file.write(data)
        return PictureFile(path, pixels)

    def path(self, image: str, model: str) -> Path:
        """Return the file of the picture of an image, which is among those reserved."""
        if not is_folder(self.output):
            return self.output
        model = re.sub(r"[^A-Za-z0-9_-]+", "_", model)[:80]  # the name comes from the file and may contain anything
        return self.output / f"{self.names[image]}.{model}.png"

    def reserve(self, images: Iterable[str]) -> None:
        """Set the names of all images, also of those that another run, such as a shard, writes."""
        self.names.update(output_names(images))


def is_folder(output: str | Path) -> bool:
    """Return whether pictures are written to files in `output`: an existing folder, or a name without a suffix."""
    return os.path.isdir(output) or not Path(output).suffix


def check_output(output: str | Path | None, images: Sequence[object]) -> None:
    """Raise E0001 if `output` has no suffix of an image format, E0003 if it is one file for several images."""
    if output is None or is_folder(output):
        return
    if len(images) > 1:
        raise conflict("for several images, `output` must be a folder: a name without a suffix")
    check_choice("output", Path(output).suffix.lower(), FORMATS)


def encode(values: Array, white: float, stretch: bool, suffix: str) -> tuple[bytes, str]:
    """Return a picture `(C, H, W)` as the bytes of an image file, and a description of how values became pixels.

    By default 0 is black, `white` is white, and other values are clipped; with `stretch` the minimum is black and the
    maximum white.
    """
    from PIL import Image, PngImagePlugin

    finite = np.nan_to_num(values.astype(np.float64))
    least, most = float(finite.min()), float(finite.max())
    if stretch:
        scaled = (finite - least) * (255 / (most - least) if most > least else 0)
        pixels = f"stretched: {least:.4g} is black, {most:.4g} is white"
    else:
        outside = 100 * float(((finite < 0) | (finite > white)).mean())
        scaled = np.clip(finite, 0, white) * (255 / white)
        pixels = (
            f"clipped to 0 .. {white:g}: {outside:.1f} % of the values are outside; range {least:.4g} .. {most:.4g}"
        )
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
