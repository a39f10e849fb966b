"""Output files of ours: known again by a word in their first bytes, so that only those are replaced unasked."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from archdsl import __version__

_LOOKED_AT = 1024
_PNG_HEAD = 8 + 25
"""PNG's signature and its first chunk, which must stay the first."""


def ours(path: Path) -> bool:
    """Whether archdsl wrote the file: ONNX and safetensors files name their producer, the others bear a comment."""
    try:
        with path.open("rb") as file:
            return b"archdsl" in file.read(_LOOKED_AT)
    except OSError:
        return False


def marked(data: bytes, format: str) -> bytes:
    """A drawing (`svg`, `png`, `dot`) with a comment that says who made it."""
    word = f"drawn by archdsl {__version__}".encode()
    if format == "dot":
        return b"// " + word + b"\n" + data
    if format == "png":
        body = b"tEXtSoftware\0" + word
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]
    head, end, rest = data.partition(b"?>\n")
    return head + end + b"<!-- " + word + b" -->\n" + rest if end else data
