"""Colours in a terminal: escape sequences by the role of a text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

_SGR: Mapping[str, str] = {
    "bold": "1",
    "head": "1",
    "name": "1",
    "total": "1",
    "quiet": "2",
    "path": "36",
    "frame": "34",
    "help": "32",
    "fine": "32",
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "added": "1;32",
    "removed": "1;31",
    "changed": "1;33",
    "moved": "1;35",
}
"""Parameters of the escape sequence (ECMA-48, SGR), by role."""


def painted(role: str, text: str, color: bool = True) -> str:
    """Return the text in the colour of its role; unchanged without `color` or if it is blank."""
    return f"\x1b[{_SGR[role]}m{text}\x1b[0m" if color and text.strip() else text


def takes_color(stream: TextIO) -> bool:
    """Return whether the stream is a terminal with colours, and neither NO_COLOR nor TERM=dumb is set."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain
