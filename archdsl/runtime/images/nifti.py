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
from archdsl.runtime.images.pixels import MAX_VOXELS, Pixels, Unusable, Wanted
from archdsl.runtime.images.source import Source

SUFFIXES = (".nii", ".nii.gz")
MAGICS = ((b"n+1\0", 344), (b"n+2\r\n\x1a\n", 4), (b"n+2\0", 4))
GZIP = b"\x1f\x8b"
_SECOND = 540
"""The first number of a header of NIfTI-2."""
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
    from nibabel import arrayproxy
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = file.read(4)
    if not start:
        raise Unusable("it is empty")
    second = len(start) == 4 and _SECOND in (int.from_bytes(start, "little"), int.from_bytes(start, "big"))
    kind: Any = Nifti2Header if second else Nifti1Header
    header = kind(start + file.read(kind.sizeof_hdr - 4), check=False)  # a check would log what it finds
    shape = _checked(header)
    proxy: Any = arrayproxy
    values = np.asarray(proxy.ArrayProxy(file, header, mmap=False), np.float32).reshape(shape, order="F")
    known = header["qform_code"] > 0 or header["sform_code"] > 0
    return Pixels(values.T, affine=header.get_best_affine()[:, [2, 1, 0, 3]] if known else None)


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
