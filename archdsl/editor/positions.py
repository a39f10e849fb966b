"""Positions as an editor counts them: a line, and a character in it, both from 0."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Literal, NamedTuple, TypeAlias

Unit: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]
"""What a character of a position is: a byte of UTF-8, two bytes of UTF-16, or a code point."""
_WIDTH = {"utf-16": 2, "utf-32": 4}
_CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_LINE_END = re.compile(r"\r\n|\n|\r")


class Position(NamedTuple):
    line: int
    character: int


class Positions:
    """Converts between offsets in a text and positions. The lines are those of the protocol: they end with LF or CR."""

    def __init__(self, text: str, unit: Unit = "utf-16") -> None:
        self.text, self.unit = text, unit
        self.ends = [(end.start(), end.end()) for end in _LINE_END.finditer(text)]
        self.starts = [0, *(end for _, end in self.ends)]

    def line_of(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def line_end(self, line: int) -> int:
        """Return the offset after the last character of a line, before its line end."""
        return self.ends[line][0] if line < len(self.ends) else len(self.text)

    def line_text(self, line: int) -> str:
        return self.text[self.starts[line] : self.line_end(line)]

    def position(self, offset: int) -> Position:
        """Return the position of an offset."""
        line = self.line_of(offset)
        before = self.text[self.starts[line] : offset]
        units = len(before) if before.isascii() else len(self._encoded(before)) // _WIDTH.get(self.unit, 1)
        return Position(line, units)

    def offset(self, line: int, character: int) -> int:
        """Return the offset of a position; the nearest one if the text has no such position."""
        if line >= len(self.starts):
            return len(self.text)
        start, end = self.starts[line], self.line_end(line)
        content = self.text[start:end]
        if content.isascii():
            return start + min(character, len(content))
        data = self._encoded(content)[: character * _WIDTH.get(self.unit, 1)]
        return start + len(data.decode(_CODEC[self.unit], "ignore"))

    def _encoded(self, text: str) -> bytes:
        return text.encode(_CODEC[self.unit], "surrogatepass")
