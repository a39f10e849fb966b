"""The readers of image files: one row per format."""

from __future__ import annotations

from archdsl.runtime.images import raster
from archdsl.runtime.images.pixels import Pixels, Wanted
from archdsl.runtime.images.source import Source


def read(source: Source, wanted: Wanted) -> Pixels:
    """Decode a sample. Raises E0804 if it cannot be read, E0812 if the slices are no volume."""
    return raster.read(source, wanted)
