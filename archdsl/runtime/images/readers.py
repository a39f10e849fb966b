"""The readers of image files: one row per format. A new format is one file with `read`, and one row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from archdsl.axes import KINDS
from archdsl.diagnostics import error
from archdsl.files.atomic import NotRegular, open_regular
from archdsl.runtime.images import array, dicom, nifti, raster, slices
from archdsl.runtime.images.pixels import Pixels, Wanted
from archdsl.runtime.images.source import Source

_HEAD = 348
"""Bytes at the start of a file that tell its format."""


class Format(NamedTuple):
    """A format of files."""

    holds: str
    """What a file is, with its article."""
    axes: tuple[int, ...]
    """The numbers of spatial axes that a file can fill; 0 for a vector of its pixels."""
    suffixes: tuple[str, ...]
    """How names end, in small letters."""
    magics: tuple[tuple[bytes, int], ...]
    """Bytes of the format, and where they are."""
    read: Callable[[Source, Wanted], Pixels]


def _read_dicom(source: Source, wanted: Wanted) -> Pixels:
    return slices.read_volume(source) if wanted.volume else dicom.read(source, wanted)


DICOM = Format("an image", (0, 2, 3), dicom.SUFFIXES, ((dicom.MAGIC, dicom.MAGIC_AT),), _read_dicom)
FORMATS = (
    DICOM,
    Format("a volume", (3,), nifti.SUFFIXES, nifti.MAGICS, nifti.read),
    Format("an array", tuple(range(len(KINDS))), (array.SUFFIX,), ((array.MAGIC, 0),), array.read),
    Format("an image", (0, 2), raster.SUFFIXES, raster.MAGICS, raster.read),
)
"""The first bytes of a file decide, then its name; the last row reads all others, and says why it cannot."""


def named(path: Path) -> Format | None:
    """Return the format that the name of a file states."""
    name = path.name.lower()
    return next((row for row in FORMATS if name.endswith(row.suffixes)), None)


def recognised(path: Path) -> Format | None:
    """Return the format of a file by its first bytes. Raises OSError, ValueError or NotRegular if it cannot be read."""
    with open_regular(path) as file:
        head = file.read(_HEAD)
        if head.startswith(nifti.GZIP):
            file.seek(0)
            head = nifti.unpacked(file, _HEAD)
    return next((row for row in FORMATS if any(head[at:].startswith(magic) for magic, at in row.magics)), None)


_ARRAY = "pass an array of the input's shape without the batch: `numpy.save` writes it"
_HELP = {
    2: "pass images: PNG, JPEG, TIFF or DICOM; or a network for volumes",
    3: "pass volumes: NIfTI, or a folder with the DICOM files of a series; or a network for images",
}
"""How to get an input, by the number of the network's spatial axes; for others it is an array."""


def read(source: Source, wanted: Wanted) -> Pixels:
    """Decode a sample. Raises E0804 if it cannot be read, E0806 if it has other axes, E0812 if slices are no volume."""
    try:
        row = recognised(source.path) or named(source.path) or FORMATS[-1]
    except (OSError, ValueError, NotRegular):
        return FORMATS[-1].read(source, wanted)  # which raises the error that says why
    if wanted.axes not in row.axes:
        message = f"`{source.short}` is {row.holds}; the network's input is {KINDS[wanted.axes].noun}"
        raise error("E0806", message, help=_HELP.get(wanted.axes, _ARRAY))
    return row.read(source, wanted)
