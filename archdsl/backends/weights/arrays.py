"""Read npz files: a zip archive of NumPy arrays, whose sizes are compared with their headers before they are read."""

from __future__ import annotations

import io
import zipfile
import zlib
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.backends.weights.dtypes import DTYPES, as_array, is_real
from archdsl.backends.weights.tensors import Array, Broken, TensorEntry
from archdsl.diagnostics import error

MAX_GROWTH = 64
"""How much larger than the file its arrays may be: compressed weights are hardly smaller than plain ones."""
_HEADER = 1 << 16


def read(path: Path, archive: zipfile.ZipFile) -> dict[str, TensorEntry]:
    """Return the arrays, read when accessed. Raises `Broken` for objects, and for sizes that do not agree."""
    members = archive.infolist()
    total, size = sum(member.file_size for member in members), path.stat().st_size
    if total > MAX_GROWTH * size + (1 << 20):
        raise Broken(f"its arrays would grow from {size:,} to {total:,} bytes")
    return {member.filename.removesuffix(".npy"): _entry(path, archive, member) for member in members}


def _entry(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> TensorEntry:
    key = member.filename.removesuffix(".npy")
    with archive.open(member) as opened:
        head = io.BytesIO(opened.read(_HEADER))
    try:
        version = np.lib.format.read_magic(head)
        if version not in ((1, 0), (2, 0)):
            raise ValueError
        reader: Any = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, fortran, dtype = reader(head)
    except (ValueError, SyntaxError, TypeError, EOFError):
        raise Broken(f"array `{key[:100]}` is damaged") from None
    if dtype.hasobject:
        raise Broken(f"array `{key[:100]}` contains Python objects, which archdsl does not read")
    if dtype.name not in DTYPES:
        raise Broken(f"array `{key[:100]}` has the type {dtype.name[:40]}")
    if prod(shape) * dtype.itemsize != member.file_size - head.tell():
        raise Broken(f"array `{key[:100]}` has another size than its shape says")
    make = partial(_values, path, member.filename, head.tell(), shape, fortran, dtype)
    return TensorEntry(shape, "float32" if is_real(dtype.name) else "int64", make, dtype.name)


def _values(path: Path, name: str, start: int, shape: tuple[int, ...], fortran: bool, dtype: Any) -> Array:
    try:
        with zipfile.ZipFile(path) as archive:
            values = np.frombuffer(archive.read(name), dtype, offset=start)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError):  # known when all of it is read
        key = name.removesuffix(".npy")
        raise error("E0601", f"array `{key[:100]}` of `{path.name[:120]}` is damaged, or its checksum is") from None
    return as_array(values.reshape(shape, order="F" if fortran else "C"), dtype.name).copy("C")
