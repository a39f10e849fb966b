"""The mark by which archdsl recognises a file that it wrote: only such a file is replaced without `force`.

The mark stands in the first or the last bytes of the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from archdsl.version import __version__

_LOOKED_AT = 4096
_MARKS = {
    "onnx": b"\x12\x07archdsl",  # the field `producer_name`
    "weights": b'"producer":"archdsl"',
    "torch": b"\nMade by archdsl from the spec ",
    "drawing": b"drawn by archdsl",
    "picture": b"made by archdsl",
}
_COMMENTS = {"dot": b"// ", "mmd": b"%% ", "tex": b"% "}
"""How a comment begins."""
_PNG_HEAD = 8 + 25
"""PNG's signature and its first chunk, which must stay the first."""


def ours(kind: str) -> Callable[[Path], bool]:
    """Tells whether archdsl wrote a file, and as this kind of thing. One that merely imports archdsl is not ours."""
    mark = _MARKS[kind]

    def judge(path: Path) -> bool:
        try:
            with path.open("rb") as file:
                if mark in file.read(_LOOKED_AT):
                    return True
                file.seek(max(path.stat().st_size - _LOOKED_AT, 0))
                return mark in file.read(_LOOKED_AT)
        except OSError:
            return False

    return judge


def marked(data: bytes, format: str) -> bytes:
    """A drawing in any format with a comment that says who made it."""
    word = f"drawn by archdsl {__version__}".encode()
    if format == "html":  # says so itself, and its scripts are known by their hashes
        return data
    if format in _COMMENTS:
        return _COMMENTS[format] + word + b"\n" + data
    if format == "pdf":
        return data.rstrip(b"\n") + b"\n% " + word + b"\n"
    if format == "png":
        body = b"tEXtSoftware\0" + word
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]
    head, end, rest = data.partition(b"?>\n")
    return head + end + b"<!-- " + word + b" -->\n" + rest if end else data
