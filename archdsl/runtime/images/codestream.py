"""The size in the header of a compressed frame, which must be that of the DICOM file before a decoder allocates it."""

from __future__ import annotations

import struct
from typing import BinaryIO

from archdsl.runtime.images.pixels import Unusable

_J2K = b"\xff\x4f\xff\x51"
_COMPONENTS = 4
"""Maximum components of a JPEG 2000 stream: a decoder allocates each."""
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Second bytes of the markers of JPEG and JPEG-LS that begin a frame."""
_HEAD = 12
"""Bytes of the pixel data before its value, in all compressed files: tag, type and length."""


def check_size(file: BinaryIO, frame: int, frames: int, size: tuple[int, int]) -> None:
    """Raise Unusable if a frame states another number of rows and columns than `size`.

    `file` is open at its pixel data, or anywhere: its position is not kept.
    """
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    file.seek(0)
    dcmread(file, stop_before_pixels=True, specific_tags=["ExtendedOffsetTable"])
    head = file.read(_HEAD)
    if not head[4:6].isalpha():  # pydicom's decoders do not find the frames either
        raise Unusable("its header is Implicit VR, its transfer syntax Explicit VR; rewrite it, e.g. with dcmconv")
    stated = stated_size(get_frame(file, frame - 1, number_of_frames=frames))
    if stated is None:
        raise Unusable("its compressed frame has no header")
    if stated != size:
        raise Unusable(f"its compressed frame has {stated[1]} x {stated[0]} pixels, its header {size[1]} x {size[0]}")
    file.seek(0)


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Return the rows and columns in the header of a JPEG, JPEG-LS or JPEG 2000 stream; None for other data.

    Raises Unusable for too many components.
    """
    at = data.find(_J2K, 0, 1 << 16)
    if at >= 0 and len(data) >= at + 42:
        columns, rows, left, top = struct.unpack_from(">4I", data, at + 8)
        (components,) = struct.unpack_from(">H", data, at + 40)
        if components > _COMPONENTS:
            raise Unusable(f"its compressed frame has {components} components")
        return rows - top, columns - left
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _FRAMES:
            rows, columns = struct.unpack_from(">HH", data, at + 5)
            return rows, columns
        at += 1 if data[at + 1] == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None
