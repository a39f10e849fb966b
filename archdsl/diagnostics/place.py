"""Positions in specs: sources, spans, labels, and the block calls that created a node."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, eq=False)
class Source:
    """A text that was read: `name` is for messages, `path` is its file (None for standard input).

    `mark` is the byte order mark that was before the text; empty if there was none.
    """

    name: str
    text: str
    path: Path | None = None
    mark: str = ""

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    def line_column(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, of a character offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        start = self.line_starts[line - 1]
        end = self.line_starts[line] if line < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_column(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.line_column(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def before(self) -> str:
        """The text of its line before it."""
        return self.source.text[self.start - self.column + 1 : self.start]

    def to(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of `other`."""
        return Span(self.source, self.start, max(self.end, other.end))

    def __str__(self) -> str:
        line, column = self.source.line_column(self.start)
        return f"{self.source.name}:{line}:{column}"

    def __hash__(self) -> int:
        return hash((id(self.source), self.start, self.end))


class CallSite(NamedTuple):
    """A block call that created a node: `text` is the call with its values, as in `basic(128, 2)`."""

    text: str
    span: Span
    path: str
    parent: CallSite | None = None


class Origin(NamedTuple):
    """The span of a node in the spec, and the chain of block calls that created it, innermost first."""

    span: Span
    call: CallSite | None = None


class Label(NamedTuple):
    """A further span in a source, with a text that explains it."""

    span: Span
    text: str
