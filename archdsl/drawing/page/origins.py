"""The origin of each node: its lines in the spec, and the chain of block calls."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, TypeAlias

from archdsl.diagnostics import CallSite, Source, Span, escape_control
from archdsl.graph import Graph

Data: TypeAlias = dict[str, Any]
MAX_LINES = 12
"""Largest number of lines for one node."""
MAX_COLUMNS = 200
AROUND = 1
"""Lines of context before and after them."""


class Origins:
    """Collects spans and calls, each once and referred to by its number, and their lines of the spec."""

    def __init__(self) -> None:
        self.spans: list[Data] = []
        self.calls: list[Data] = []
        self.sources: list[Data] = []
        self._span_numbers: dict[tuple[int, int, int], int] = {}
        self._call_numbers: dict[int, int] = {}
        self._source_numbers: dict[int, int] = {}
        self._kept: list[Source | CallSite] = []

    def of(self, graph: Graph) -> list[list[int]]:
        """Return the numbers of each node's span and innermost call; -1 if there is none."""
        return [[self.span_number(node.origin.span), self.call(node.origin.call)] for node in graph.nodes]

    def data(self) -> Data:
        """Return everything that was collected."""
        return {"spans": self.spans, "calls": self.calls, "sources": self.sources}

    def span_number(self, span: Span) -> int:
        """Return the number of a span; -1 if it has no text, as in a network that was not read from a spec."""
        if not span.source.text:
            return -1
        key = (id(span.source), span.start, span.end)
        if key not in self._span_numbers:
            self._span_numbers[key] = len(self.spans)
            self.spans.append(self._span_data(span))
        return self._span_numbers[key]

    def call(self, site: CallSite | None) -> int:
        """Return the number of a call; outer calls have smaller numbers."""
        chain: list[CallSite] = []
        while site is not None and id(site) not in self._call_numbers:
            chain.append(site)
            site = site.parent
        number = -1 if site is None else self._call_numbers[id(site)]
        for inner in reversed(chain):
            self.calls.append(
                {
                    "text": escape_control(inner.text),
                    "path": escape_control(inner.path),
                    "span": self.span_number(inner.span),
                    "parent": number,
                }
            )
            number = self._call_numbers[id(inner)] = len(self.calls) - 1
            self._kept.append(inner)
        return number

    def _span_data(self, span: Span) -> Data:
        first, column = span.source.line_column(span.start)
        last, end = span.source.line_column(max(span.start, span.end - 1))
        source = self._source(span.source)
        last = min(last, first + MAX_LINES - 1)
        lines = self.sources[source]["lines"]
        for line in range(max(1, first - AROUND), min(len(span.source.line_starts), last + AROUND) + 1):
            lines.setdefault(line, escape_control(span.source.line_text(line)[:MAX_COLUMNS]))
        shown = [len(escape_control(span.source.line_text(first)[:position])) for position in (column - 1, end)]
        return {
            "source": source,
            "lines": [first, last],
            "columns": shown if first == last else [shown[0], MAX_COLUMNS],
        }

    def _source(self, source: Source) -> int:
        if id(source) not in self._source_numbers:
            self._source_numbers[id(source)] = len(self.sources)
            self._kept.append(source)
            # Only the name: the page may be published, and the folder is private.
            self.sources.append({"name": escape_control(PurePath(source.name).name), "lines": {}})
        return self._source_numbers[id(source)]
