"""Marks in output files: archdsl replaces a file without `force` only if the file has its mark.

The mark is in the first or last bytes of the file.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from archdsl.version import __version__

_SEARCHED_BYTES = 4096
DATA_MARK = b"archdsl external data\n"
"""The first bytes of an ONNX file's data file."""
_MARKS = {
    "weights": b'"producer":"archdsl"',
    "torch": b"\nMade by archdsl from the spec ",
    "drawing": b"drawn by archdsl",
    "picture": b"made by archdsl",
    "bundle": b"written by archdsl bundle",
}
_COMMENTS = {"dot": b"// ", "mmd": b"%% ", "tex": b"% "}
"""What starts a comment, by format."""
_PNG_HEAD = 8 + 25
"""Bytes of PNG's signature and first chunk, which must stay first."""


def has_mark(kind: str) -> Callable[[Path], bool]:
    """Return a function that checks whether a file has the mark of this kind of output.

    `kind` is `onnx`, `onnx data`, `weights`, `torch`, `drawing`, `picture` or `bundle`. A file that only imports
    archdsl has no mark.
    """
    if kind in _HEADS:
        return lambda path: _HEADS[kind](_head(path))
    mark = _MARKS[kind]

    def check(path: Path) -> bool:
        try:
            with path.open("rb") as file:
                if mark in file.read(_SEARCHED_BYTES):
                    return True
                file.seek(max(path.stat().st_size - _SEARCHED_BYTES, 0))
                return mark in file.read(_SEARCHED_BYTES)
        except OSError:
            return False

    return check


def _head(path: Path) -> bytes:
    """Return the first bytes of a regular file; nothing of anything else."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


_HEADS: dict[str, Callable[[bytes], bool]] = {
    "onnx": lambda head: head[:1] == b"\x08" and b"\x12\x07archdsl" in head[:16],  # `ir_version`, then `producer_name`
    "onnx data": lambda head: head.startswith(DATA_MARK),
}
"""Checks of outputs whose mark has a fixed position at the start of the file."""


def marked(data: bytes, format: str) -> bytes:
    """Return a drawing in any format with the mark as a comment."""
    mark = f"drawn by archdsl {__version__}".encode()
    if format == "html":  # contains the mark already, and the hashes of its scripts
        return data
    if format in _COMMENTS:
        return _COMMENTS[format] + mark + b"\n" + data
    if format == "pdf":
        return data.rstrip(b"\n") + b"\n% " + mark + b"\n"
    if format == "png":
        return with_chunk(data, b"tEXt", b"Software\0" + mark)
    if format == "pptx":  # the comment of a ZIP archive, whose length precedes it
        return data[:-2] + struct.pack("<H", len(mark)) + mark
    head, end, rest = data.partition(b"?>\n")
    return head + end + b"<!-- " + mark + b" -->\n" + rest if end else data


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """Return a PNG with a further chunk, after the first one."""
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:_PNG_HEAD] + chunk + png[_PNG_HEAD:]
