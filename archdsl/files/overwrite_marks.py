"""Marks in output files: archdsl replaces a file without `force` only if the file has its mark.

The mark is in the first or last bytes of the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from archdsl.version import __version__

_SEARCHED_BYTES = 4096
_MARKS = {
    "onnx": b"\x12\x07archdsl",  # the field `producer_name`
    "weights": b'"producer":"archdsl"',
    "torch": b"\nMade by archdsl from the spec ",
    "drawing": b"drawn by archdsl",
    "picture": b"made by archdsl",
}
_COMMENTS = {"dot": b"// ", "mmd": b"%% ", "tex": b"% "}
"""What starts a comment, by format."""
_PNG_HEAD = 8 + 25
"""Bytes of PNG's signature and first chunk, which must stay first."""


def has_mark(kind: str) -> Callable[[Path], bool]:
    """Return a function that checks whether a file has the mark of this kind of output.

    `kind` is `onnx`, `weights`, `torch`, `drawing` or `picture`. A file that only imports archdsl has no mark.
    """
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
        body = b"tEXtSoftware\0" + mark
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]
    head, end, rest = data.partition(b"?>\n")
    return head + end + b"<!-- " + mark + b" -->\n" + rest if end else data
