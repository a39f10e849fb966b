"""NIfTI files, also compressed: a volume with its place in the patient."""

from __future__ import annotations

import gzip
import zlib
from importlib.util import find_spec
from math import prod
from typing import Any, BinaryIO

import numpy as np

from archdsl.packages import install_command
from archdsl.runtime.images.opened import opened
from archdsl.runtime.images.pixels import MAX_VOXELS, Array, Pixels, Unusable, Wanted
from archdsl.runtime.images.source import Source

SUFFIXES = (".nii", ".nii.gz")
MAGICS = ((b"n+1\0", 344), (b"n+2\r\n\x1a\n", 4), (b"n+2\0", 4))
GZIP = b"\x1f\x8b"
_SECOND = 540
"""The first number of a header of NIfTI-2."""
_PART = 1 << 22
"""Values that are decoded at once."""
_MAX_OFFSET = 1 << 26
"""Maximum bytes of header and extensions before the values."""


def read(source: Source, wanted: Wanted) -> Pixels:
    """Return the values as `(slices, rows, columns)`, or `(channels, slices, rows, columns)`. Raises E0804."""
    with opened(source) as file:
        if not find_spec("nibabel"):
            raise Unusable(f"NIfTI needs nibabel, which is not installed: {install_command('nifti')}")
        packed = file.read(2) == GZIP
        file.seek(0)
        return _read(gzip.GzipFile(fileobj=file) if packed else file)


def unpacked(file: BinaryIO, count: int) -> bytes:
    """Return the first bytes of a compressed file; nothing of a damaged one."""
    try:
        return gzip.GzipFile(fileobj=file).read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def _read(file: Any) -> Pixels:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = file.read(4)
    if not start:
        raise Unusable("it is empty")
    second = len(start) == 4 and _SECOND in (int.from_bytes(start, "little"), int.from_bytes(start, "big"))
    kind: Any = Nifti2Header if second else Nifti1Header
    header = kind(start + file.read(kind.sizeof_hdr - 4), check=False)  # a check would log what it finds
    shape = _checked(header)
    values = _values(file, header, prod(shape)).reshape(shape[::-1])  # the first axis of a file is the fastest
    known = header["qform_code"] > 0 or header["sform_code"] > 0
    return Pixels(values, affine=header.get_best_affine()[:, [2, 1, 0, 3]] if known else None)


def _values(file: Any, header: Any, count: int) -> Array:
    """The scaled values, float32 or integers of 8 or 16 bits. They are decoded in parts, without a second array."""
    from nibabel.volumeutils import apply_read_scaling

    file.seek(int(header["vox_offset"]))
    kind = header.get_data_dtype()
    slope, intercept = header.get_slope_inter()
    scales = slope is not None and (slope, intercept or 0) != (1, 0)
    small = not scales and kind.kind in "iu" and kind.itemsize <= 2
    out = np.empty(count, kind.newbyteorder("=") if small else np.float32)
    for start in range(0, count, _PART):
        part = out[start : start + _PART]
        stored = np.frombuffer(file.read(part.nbytes // part.itemsize * kind.itemsize), kind)
        if len(stored) < len(part):
            raise EOFError
        scaled: Any = apply_read_scaling(stored, slope, intercept or 0.0) if scales else stored
        with np.errstate(over="ignore"):  # infinite values are an error later
            part[:] = scaled
    return out


def _checked(header: Any) -> tuple[int, ...]:
    """The shape without superfluous axes. Raises Unusable before anything beyond the header is read."""
    if not bytes(header["magic"]).startswith(b"n+"):
        raise Unusable("it is no NIfTI file, or one of a pair of header and values")
    shape: tuple[int, ...] = header.get_data_shape()
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:  # NIfTI has the values of a vector on its fifth axis
        shape = (*shape[:3], shape[4])
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise Unusable(f"it has {len(shape)} axes; a volume has 3, or 4 with channels")
    if prod(shape) > MAX_VOXELS:
        raise Unusable(f"it has more than {MAX_VOXELS // 10**6} million voxels")
    if header.get_data_dtype().kind not in "iuf":
        raise Unusable("its values are not real numbers")
    if not 0 <= header["vox_offset"] <= _MAX_OFFSET:
        raise Unusable("its values begin too far from its header")
    return shape
