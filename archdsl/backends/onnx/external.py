"""The files that a model consists of: its own, and those in its folder that it names as the ones with its weights."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

LOCATION = b"\n\x08location"
"""The key of the file's name in an ONNX tensor that is in another file."""
_NAMED = re.compile(re.escape(LOCATION) + rb"\x12(?:([\x00-\x7f])|([\x80-\xff])([\x00-\x7f]))", re.DOTALL)


def model_files(model: Path) -> tuple[Path, ...]:
    """Return the model and the existing files beside it that its tensors name, each once; nothing without a model.

    A file of archdsl names at most one, `NAME.data` or `NAME.2.data`. Names of other folders are left out: ONNX Runtime
    reads no such file.
    """
    try:
        with open(model, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            names = {_name(content, match) for match in _NAMED.finditer(content)}
    except (OSError, ValueError):
        return (model,) if model.is_file() else ()
    beside = (model.with_name(name) for name in sorted(names) if Path(name).name == name)
    return model, *(path for path in beside if path.is_file())


def _name(content: mmap.mmap, match: re.Match[bytes]) -> str:
    """The name after a key, whose length has one or two bytes of 7 bits, the lowest first (protobuf's varint)."""
    short, low, high = match.groups()
    length = short[0] if short else low[0] - 128 + 128 * high[0]
    return content[match.end() : match.end() + length].decode("utf-8", "surrogateescape")
