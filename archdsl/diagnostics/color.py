"""Colours on a terminal: the role of a text, and how it looks."""

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
"""Parameters of the escape sequence that selects a look (ECMA-48, SGR), by role."""


def painted(role: str, text: str, color: bool = True) -> str:
    """The text in the colour of its role; as it is without `color`, or where it is blank."""
    return f"\x1b[{_SGR[role]}m{text}\x1b[0m" if color and text.strip() else text


def takes_color(stream: TextIO) -> bool:
    """Whether the stream is a terminal that shows colours, and its user wants them: NO_COLOR, TERM=dumb."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain
