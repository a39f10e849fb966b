"""DICOM files: samples, frames, and grey values in the units that the file defines (DICOM PS3.3 C.7.6.3, C.11).

Only technical elements are read, none that may name a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from archdsl.packages import install_command
from archdsl.runtime.images.codestream import check_size
from archdsl.runtime.images.opened import opened
from archdsl.runtime.images.pixels import MAX_PIXELS, Array, Pixels, Unusable, Wanted, check_finite, unreadable
from archdsl.runtime.images.source import Skipped, Source
from archdsl.runtime.images.tables import looked_up
from archdsl.runtime.recipe import window_span

MAGIC = b"DICM"
MAGIC_AT = 128
SUFFIXES = (".dcm", ".dicom", ".ima")
_TAGS = (
    "Modality SeriesInstanceUID NumberOfFrames Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated"
    " BitsStored PixelRepresentation RescaleSlope RescaleIntercept ModalityLUTSequence WindowCenter WindowWidth"
    " VOILUTFunction VOILUTSequence ImagePositionPatient ImageOrientationPatient PixelSpacing"
    " SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence RedPaletteColorLookupTableDescriptor"
    " GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData"
    " GreenPaletteColorLookupTableData BluePaletteColorLookupTableData"
).split()
_GROUPS = {
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "VOILUTFunction": "FrameVOILUTSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
}
"""Where a file with functional groups, such as an enhanced CT, has an element."""
_MAX_META = 1 << 16
"""Bytes in which the first elements, which describe the file, must end."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
"""pydicom decodes it itself: for damaged data, that of pylibjpeg-rle raises what no `except Exception` stops."""
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
"""Pillow decodes it with 8 bits, not with 12."""
_DIRECTORY = "1.2.840.10008.1.3.10"
_VIDEOS = "1.2.840.10008.1.2.4.10"
"""All transfer syntaxes that begin so are MPEG-2, MPEG-4 or HEVC."""


@dataclass(frozen=True, slots=True)
class Header:
    """The technical elements of a file."""

    path: Path
    data: Any
    syntax: Any
    """The transfer syntax (pydicom's UID)."""

    @property
    def frames(self) -> int:
        return max(int(self.data.get("NumberOfFrames") or 1), 1)

    @property
    def series(self) -> str:
        """The SeriesInstanceUID, which no message may contain; empty without one."""
        return str(self.data.get("SeriesInstanceUID") or "")

    @property
    def colours(self) -> bool:
        return self.number("SamplesPerPixel", 1) != 1 or self.data.get("PhotometricInterpretation") == "PALETTE COLOR"

    @property
    def inverted(self) -> bool:
        """Whether a viewer shows the smallest value as white."""
        return bool(self.data.get("PhotometricInterpretation") == "MONOCHROME1")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns. Raises Unusable without them, or for too many."""
        rows, columns = int(self.number("Rows", 0)), int(self.number("Columns", 0))
        if rows < 1 or columns < 1:
            raise Unusable("it has no rows and columns")
        if rows * columns > MAX_PIXELS:
            raise Unusable(f"it has {columns:,} x {rows:,} pixels; the maximum is {MAX_PIXELS // 10**6} million")
        return rows, columns

    def element(self, name: str, frame: int = 1) -> Any:
        """Return the value of an element of a frame; None if it has none."""
        group = _GROUPS.get(name)
        frames = self.data.get("PerFrameFunctionalGroupsSequence") or ()
        shared = self.data.get("SharedFunctionalGroupsSequence") or ()
        for item in (*frames[frame - 1 : frame], *shared[:1]) if group else ():
            for inner in (item.get(group) or ())[:1]:
                if (value := inner.get(name)) not in (None, ""):
                    return value
        value = self.data.get(name)
        return None if value == "" else value

    def number(self, name: str, default: float, frame: int = 1) -> float:
        """Return a number, or the first of several."""
        value = self.element(name, frame)
        value = value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value
        return default if value is None else float(value)


# --- headers and samples ---------------------------------------------------------------------------------


def missing() -> str:
    """Why DICOM files cannot be read here; empty if they can."""
    return "" if find_spec("pydicom") else "DICOM needs pydicom, which is not installed"


def header(file: BinaryIO, path: Path) -> Header:
    """Read the technical elements of an open file. Raises Unusable, or any error of pydicom."""
    if why := missing():
        raise Unusable(f"{why}: {install_command('dicom')}")
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    head = file.read(_MAX_META)
    if not head:
        raise Unusable("it is empty")
    if _syntax(head) == _DEFLATED:  # pydicom would inflate all of it, whatever its size
        raise Unusable("its transfer syntax is Deflated, which archdsl does not read; convert it, e.g. with dcmconv")
    file.seek(0)
    try:
        data = dcmread(file, stop_before_pixels=True, specific_tags=[*_TAGS])
    except InvalidDicomError:
        raise Unusable("it is no DICOM file, or one without the header `DICM`") from None
    return Header(path, data, data.file_meta.get("TransferSyntaxUID"))


def _syntax(head: bytes) -> str:
    """The transfer syntax in the first elements of a file, which have explicit lengths; empty if there is none.

    Raises Unusable for elements that are damaged, in which pydicom might find another one.
    """
    at = MAGIC_AT + len(MAGIC)
    while head[at : at + 2] == b"\x02\0":
        kind = head[at + 4 : at + 6]
        if not (kind.isalpha() and kind.isupper()):
            raise Unusable("its header is damaged")
        long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OD", b"OF", b"OL", b"OV", b"SV", b"UV")
        begin = at + (12 if long else 8)
        length = int.from_bytes(head[at + 8 : begin] if long else head[at + 6 : begin], "little")
        if head[at + 2 : at + 4] == b"\x10\0":
            return head[begin : begin + length].decode("ascii", "replace").rstrip(" \0")
        at = begin + length
        if at > len(head):
            raise Unusable("its header is damaged")
    return ""


def no_image(found: Header) -> str:
    """Why a file holds no image of a patient; empty if it holds one."""
    if str(found.data.file_meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
        return "an index of DICOM files"
    if str(found.syntax or "").startswith(_VIDEOS):
        return "a video in a DICOM file"
    modality = str(found.data.get("Modality") or "")[:16]
    shown = f" ({modality})" if modality.isalnum() else ""
    if found.data.get("Rows") is None:
        return f"a DICOM file without an image{shown}"
    return "a DICOM file with a segmentation" if modality == "SEG" else ""


def frames(source: Source) -> Iterator[Source | Skipped]:
    """Yield one sample per frame of a file; the file itself if it cannot be read, which `read` then reports."""
    found = scanned(source)
    if isinstance(found, Header) and found.frames > 1:
        for frame in range(1, found.frames + 1):
            yield Source(f"{source.name}#{frame}", source.paths, frame)
    else:
        yield source if isinstance(found, Header) else found


def scanned(source: Source) -> Header | Source | Skipped:
    """Return the header of a file with an image; the sample itself if it is unreadable, or why it has no image."""
    from archdsl.diagnostics import ArchError

    if missing():
        return source
    try:
        with opened(source) as file:
            found = header(file, source.path)
            reason = no_image(found)
            _ = found.frames, found.series  # decoded here, where an error is one of the file
            return Skipped(source.path, reason) if reason else found
    except ArchError:
        return source


# --- pixels ----------------------------------------------------------------------------------------------


def read(source: Source, wanted: Wanted) -> Pixels:
    """Return one frame as colours or as grey values. Raises E0804 if it cannot be read."""
    with opened(source) as file:
        found = header(file, source.path)
        if reason := no_image(found):
            raise Unusable(f"it is {reason}")
        if source.frame is None and found.frames > 1:
            help_ = "`archdsl.runtime.images.scan` yields a `Source` for each frame"
            raise unreadable(source, f"it has {found.frames} frames", help_)
        frame = source.frame or 1
        if not 1 <= frame <= found.frames:
            raise Unusable(f"it has no frame {frame}")
        stored = decode(file, found, frame)
        return _coloured(stored, found) if found.colours else _grey(stored, found, frame, wanted)


def decode(file: BinaryIO, found: Header, frame: int) -> Array:
    """Return the stored values of one frame, `(rows, columns)` or `(rows, columns, 3)`. Raises Unusable."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    size = found.size
    if found.syntax is None:
        raise Unusable("it has no transfer syntax")
    try:
        available = get_decoder(found.syntax).is_available
    except NotImplementedError:
        available = False
    if not available or (found.syntax == _JPEG_EXTENDED and found.number("BitsStored", 8) > 8):
        name = found.syntax.name if found.syntax.is_transfer_syntax else "unknown"
        raise Unusable(f"no decoder for its transfer syntax, {name}")
    plugin = "pydicom" if found.syntax == _RLE else ""
    if found.syntax.is_compressed and not plugin:
        check_size(file, frame, found.frames, size)
    try:
        return np.asarray(pixel_array(file, index=frame - 1, decoding_plugin=plugin))
    except RuntimeError:  # of all plugins for a compressed frame; its text quotes their texts
        raise Unusable("its pixel data is truncated or damaged") from None


def _coloured(stored: Array, found: Header) -> Pixels:
    """Colours with 8 bits."""
    from pydicom.pixels.processing import apply_color_lut

    if found.data.get("PhotometricInterpretation") == "PALETTE COLOR":
        stored = apply_color_lut(stored, found.data)
    notes = []
    if stored.dtype != np.uint8:
        bits = stored.dtype.itemsize * 8 if found.number("SamplesPerPixel", 1) == 1 else found.number("BitsStored", 8)
        notes.append(f"its colours were reduced from {bits:g} to 8 bits")
        stored = np.right_shift(stored, max(int(bits) - 8, 0)).astype(np.uint8)
    return Pixels(Image.fromarray(np.ascontiguousarray(stored[..., :3])), (0.0, 255.0), notes=notes)


def _grey(stored: Array, found: Header, frame: int, wanted: Wanted) -> Pixels:
    values, span = measured(stored, found, frame)
    pixels = Pixels(values, span, inverted=found.inverted)
    if wanted.displayed:
        _display(pixels, stored, found, frame)
    return pixels


def measured(stored: Array, found: Header, frame: int) -> tuple[Array, tuple[float, float]]:
    """Return values after the modality transform (PS3.3 C.11.1), such as HU, and those of the smallest and the largest
    number that the declared bits can store."""
    if found.data.get("ModalityLUTSequence"):
        item, little = found.data.ModalityLUTSequence[0], found.syntax.is_little_endian
        return looked_up(stored, item, "Modality LUT", little, bool(found.number("PixelRepresentation", 0)))
    if stored.dtype.kind == "f":
        check_finite(stored)
        return stored.astype(np.float32), (0.0, 1.0)
    bits, signed = int(found.number("BitsStored", 8 * stored.dtype.itemsize)), found.number("PixelRepresentation", 0)
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = found.number("RescaleSlope", 1, frame), found.number("RescaleIntercept", 0, frame)
    if not (np.isfinite([slope, intercept]).all() and slope):
        raise Unusable("its rescale slope is not valid")
    ends = sorted((least * slope + intercept, most * slope + intercept))
    return (stored * slope + intercept).astype(np.float32), (ends[0], ends[1])


def _display(pixels: Pixels, stored: Array, found: Header, frame: int) -> None:
    """Apply the first VOI transform of the file (PS3.3 C.11.2), as a viewer would; a table precedes a window."""
    values = np.asarray(pixels.values)
    if found.data.get("VOILUTSequence"):
        item, little = found.data.VOILUTSequence[0], found.syntax.is_little_endian
        signed = pixels.span is not None and pixels.span[0] < 0
        pixels.values, pixels.span = looked_up(values, item, "VOI LUT", little, signed)
        pixels.by = "window"
        return
    width = found.number("WindowWidth", np.nan, frame)
    centre = found.number("WindowCenter", np.nan, frame)
    if np.isnan([centre, width]).any():
        return
    function = str(found.element("VOILUTFunction", frame) or "LINEAR")
    if not np.isfinite(centre) or not width >= (1 if function == "LINEAR" else 1e-9):
        pixels.notes.append(f"its window of the width {width:g} is not valid: its whole depth is used")
        return
    pixels.by = "window"
    if function == "SIGMOID":
        pixels.values = (1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))).astype(np.float32)
        pixels.span = (0.0, 1.0)
    elif function == "LINEAR_EXACT":
        pixels.span = (centre - width / 2, centre + width / 2)
    elif function == "LINEAR":
        pixels.span = window_span(centre, width)
    else:
        raise Unusable("the function of its window is unknown")
