"""The located tree: mappings, lists and scalars with their spans in the source."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple, TypeAlias

from archdsl.diagnostics import Span

PlainValue: TypeAlias = bool | int | float | str | None


class Scalar(NamedTuple):
    """A word, number or string. `value` has a type of YAML 1.2's core schema; quoted scalars and keys are strings.

    `text` is the scalar as written (`1409.1550` keeps its last 0) and always reads as `value`; `offset` is the position
    of `text[0]` in the source, None if the source does not contain the text verbatim (escapes, several lines).
    """

    value: PlainValue
    text: str
    span: Span
    plain: bool = True
    offset: int | None = None

    def part(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]`, or of the whole scalar if the source does not contain it verbatim."""
        if self.offset is None:
            return self.span
        return Span(self.span.source, self.offset + start, self.offset + end)

    def piece(self, start: int, end: int, value: PlainValue | EllipsisType = ...) -> Scalar:
        """Return the scalar `text[start:end]`; its value is this text unless `value` is set."""
        text = self.text[start:end]
        offset = None if self.offset is None else self.offset + start
        return Scalar(text if value is ... else value, text, self.part(start, end), self.plain, offset)

    def meant(self, start: int, end: int, value: str | bool | float | None) -> Scalar:
        """Return the scalar that `text[start:end]` stands for: `ceil` for true, `3x3` before an op for a key."""
        text = _WORDS[value] if value is None or isinstance(value, bool) else str(value)
        return Scalar(value, text, self.part(start, end), True, None)


_WORDS = {None: "null", True: "true", False: "false"}


class Seq(NamedTuple):
    items: tuple[Tree, ...]
    span: Span
    flow: bool


class Entry(NamedTuple):
    key: Scalar
    value: Tree


class Map(NamedTuple):
    """A mapping: `entries` in written order, by the text of their keys."""

    entries: dict[str, Entry]
    span: Span
    flow: bool

    def get(self, key: str) -> Tree | None:
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Tree: TypeAlias = Scalar | Seq | Map
