"""Where each node was written: the lines of the spec, and the chain of block calls that led there."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, TypeAlias

from archdsl.diagnostics import CallSite, Source, Span, escape_control
from archdsl.graph import Graph

Data: TypeAlias = dict[str, Any]
MAX_LINES = 12
"""Lines that are shown of one node."""
MAX_COLUMNS = 200
AROUND = 1
"""Lines shown before and behind the written ones."""


class Origins:
    """Collects places and calls, each told once and known by its number, and the lines that they lie on."""

    def __init__(self) -> None:
        self.places: list[Data] = []
        self.calls: list[Data] = []
        self.sources: list[Data] = []
        self._places: dict[tuple[int, int, int], int] = {}
        self._calls: dict[int, int] = {}
        self._sources: dict[int, int] = {}
        self._kept: list[Source | CallSite] = []

    def of(self, graph: Graph) -> list[list[int]]:
        """For each node the numbers of its place and of the innermost call, -1 where there is none."""
        return [[self.place(node.origin.span), self.call(node.origin.call)] for node in graph.nodes]

    def data(self) -> Data:
        return {"places": self.places, "calls": self.calls, "sources": self.sources}

    def place(self, span: Span) -> int:
        """The number of a place; -1 where no text is known (a network that was built, not written)."""
        if not span.source.text:
            return -1
        key = (id(span.source), span.start, span.end)
        if key not in self._places:
            self._places[key] = len(self.places)
            self.places.append(self._place(span))
        return self._places[key]

    def call(self, site: CallSite | None) -> int:
        """The number of a call; those around it are told before it."""
        chain: list[CallSite] = []
        while site is not None and id(site) not in self._calls:
            chain.append(site)
            site = site.parent
        number = -1 if site is None else self._calls[id(site)]
        for inner in reversed(chain):
            self.calls.append(
                {
                    "text": escape_control(inner.text),
                    "path": escape_control(inner.path),
                    "place": self.place(inner.span),
                    "parent": number,
                }
            )
            number = self._calls[id(inner)] = len(self.calls) - 1
            self._kept.append(inner)
        return number

    def _place(self, span: Span) -> Data:
        first, column = span.source.line_column(span.start)
        last, end = span.source.line_column(max(span.start, span.end - 1))
        source = self._source(span.source)
        last = min(last, first + MAX_LINES - 1)
        lines = self.sources[source]["lines"]
        for line in range(max(1, first - AROUND), min(len(span.source.line_starts), last + AROUND) + 1):
            lines.setdefault(line, escape_control(span.source.line_text(line)[:MAX_COLUMNS]))
        shown = [len(escape_control(span.source.line_text(first)[:place])) for place in (column - 1, end)]
        return {
            "source": source,
            "lines": [first, last],
            "columns": shown if first == last else [shown[0], MAX_COLUMNS],
        }

    def _source(self, source: Source) -> int:
        if id(source) not in self._sources:
            self._sources[id(source)] = len(self.sources)
            self._kept.append(source)
            # The name alone: where it lies is nobody's business who gets the page.
            self.sources.append({"name": escape_control(PurePath(source.name).name), "lines": {}})
        return self._sources[id(source)]
