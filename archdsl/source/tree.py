"""The located tree: every key and every value knows its place in the source."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple, TypeAlias

from archdsl.diagnostics import Span

PlainValue: TypeAlias = bool | int | float | str | None


class Scalar(NamedTuple):
    """A word, number or string. `value` is typed by YAML 1.2's core schema; a quoted one and a key are strings.

    `text` is the scalar's own text (`1409.1550` keeps its last 0); `offset` is where `text[0]` stands in
    the source, None where the text does not stand there verbatim (escapes, several lines).
    """

    value: PlainValue
    text: str
    span: Span
    plain: bool = True
    offset: int | None = None

    def part(self, start: int, end: int) -> Span:
        """The place of `text[start:end]`; the whole scalar's where the text does not stand verbatim."""
        if self.offset is None:
            return self.span
        return Span(self.span.source, self.offset + start, self.offset + end)

    def piece(self, start: int, end: int, value: PlainValue | EllipsisType = ...) -> Scalar:
        """A scalar of `text[start:end]`; its value is that text unless one is given."""
        text = self.text[start:end]
        offset = None if self.offset is None else self.offset + start
        return Scalar(text if value is ... else value, text, self.part(start, end), self.plain, offset)


class Seq(NamedTuple):
    items: tuple[Tree, ...]
    span: Span
    flow: bool


class Entry(NamedTuple):
    key: Scalar
    value: Tree


class Map(NamedTuple):
    """`entries` in written order, by the text of their keys."""

    entries: dict[str, Entry]
    span: Span
    flow: bool

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Tree: TypeAlias = Scalar | Seq | Map
