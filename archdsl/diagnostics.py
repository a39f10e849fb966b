"""Where something was written, what is wrong with it, and how that is told.

A `Diagnostic` is data: a stable code, a severity, one terse message, the place it points at, further
places that explain it, notes and a help line. `render_text`, `to_json` and `to_sarif` print the same data.
"""

from __future__ import annotations

import difflib
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning", "note"]

MAX_DIFFERENT, MAX_COPIES = 200, 5_000
"""Diagnostics that one report holds, and errors that it counts."""
MAX_COMPARED = 500
"""Known words that one is compared with to find what was meant."""
MAX_SHOWN_COLUMNS = 160
"""Source lines are cut to this many columns around the caret, so a 1 MB line prints as one line."""


@dataclass(frozen=True, eq=False)
class Source:
    """A text that was read: `name` is how it is shown, `path` where it lies (None for standard input)."""

    name: str
    text: str
    path: Path | None = None

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
        """Line and column, both from 1, of a character offset."""
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

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.source, self.start, max(self.end, other.end))

    def __str__(self) -> str:
        line, column = self.source.line_column(self.start)
        return f"{self.source.name}:{line}:{column}"

    def __hash__(self) -> int:
        return hash((id(self.source), self.start, self.end))


class CallSite(NamedTuple):
    """A block call that led to a node: `text` as written with its values, e.g. `basic(128, 2)`."""

    text: str
    span: Span
    path: str
    parent: CallSite | None = None


class Origin(NamedTuple):
    """Where a node was written, and the chain of block calls (innermost first) that led there."""

    span: Span
    call: CallSite | None = None


class Label(NamedTuple):
    """A further place in the source with a word on what it has to do with the matter."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    code: str
    message: str
    span: Span | None = None
    label: str = ""
    severity: Severity = "error"
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""

    def sort_key(self) -> tuple[str, int, str]:
        if self.span is None:
            return ("", -1, self.code)
        return (self.span.source.name, self.span.start, self.code)


class ArchError(Exception):
    """One or more diagnostics, at least one of them an error. `str()` is what the command line prints.

    `status` is the exit status that fits: 1 the spec, weights or model are wrong, 2 usage or environment.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], status: int = 1) -> None:
        items = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = items
        self.status = status
        super().__init__(items)

    def __str__(self) -> str:
        return render_text(self.diagnostics).rstrip("\n")


def error(code: str, message: str, span: Span | None = None, *, status: int = 1, **more: Any) -> ArchError:
    """An `ArchError` of one diagnostic, to be raised."""
    return ArchError(Diagnostic(code, message, span, **more), status)


class Enough(Exception):
    """More errors than anybody reads: what collects them shall stop, and tell those that it has."""


@dataclass
class Report:
    """Collects diagnostics. The same mistake at the same place (36 copies of a block) is kept once, counted."""

    items: dict[tuple[str, Span | None, str], tuple[Diagnostic, int]] = field(default_factory=dict)
    told: int = 0

    def add(self, diagnostic: Diagnostic) -> None:
        """Raises Enough after 200 different errors, or 5,000 copies; further warnings are dropped."""
        key = (diagnostic.code, diagnostic.span, "" if diagnostic.span else diagnostic.message)
        first, count = self.items.get(key, (diagnostic, 0))
        if diagnostic.severity == "error":
            self.told += 1
            if self.told > MAX_COPIES or (not count and len(self.items) >= MAX_DIFFERENT):
                raise Enough
        if count or len(self.items) < MAX_DIFFERENT:
            self.items[key] = (first, count + 1)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d, _ in self.items.values())

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """In the order of the source; copies folded into a note `and N more like it`."""
        told = sorted((_folded(d, n) for d, n in self.items.values()), key=Diagnostic.sort_key)
        if len(told) >= MAX_DIFFERENT:
            told[-1] = replace(told[-1], notes=(*told[-1].notes, f"these are the first {MAX_DIFFERENT}; there is more"))
        return tuple(told)

    def raise_errors(self) -> None:
        if self.failed:
            raise ArchError(self.diagnostics())


def _folded(d: Diagnostic, copies: int) -> Diagnostic:
    """The diagnostic, saying how many copies it stands for: behind the first block call, or in a note of its own."""
    if copies == 1:
        return d
    more = f"and {copies - 1:,} more like it"
    called = next((n for n, note in enumerate(d.notes) if note.startswith("in ")), None)
    if called is None:
        return replace(d, notes=(*d.notes, more))
    return replace(d, notes=tuple(f"{note} ({more})" if n == called else note for n, note in enumerate(d.notes)))


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    return _closest(word[:64], tuple(islice(known, MAX_COMPARED)))


@lru_cache(maxsize=256)
def _closest(word: str, known: tuple[str, ...]) -> str | None:
    lowered = {k.lower(): k for k in reversed(known)}
    found = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.65)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A help line: `did you mean ...?`, or the list of what there is when nothing is near."""
    known = list(known)
    best = closest(word, known)
    if best is not None:
        return f"did you mean `{best}`?"
    return "known: " + ", ".join(known[:40]) + (", ..." if len(known) > 40 else "") if known else ""


# --- text ------------------------------------------------------------------------------------------------

_ANSI = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "note": "\x1b[1;36m",
    "frame": "\x1b[34m",
    "bold": "\x1b[1m",
    "help": "\x1b[32m",
}


def escape_control(text: str) -> str:
    """Control, bidirectional and other invisible characters made visible: a spec never steers a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or c == "\t" else ascii(c)[1:-1]
        for c in text
    )


def json_visible(text: str) -> str:
    """JSON with the same characters as JSON escapes them: a terminal may be what reads it first."""
    import json

    return "".join(
        c if c.isascii() or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else json.dumps(c)[1:-1]
        for c in text
    )


def render_text(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """Every diagnostic with its source lines and carets, as DESIGN's example shows."""

    def paint(style: str, text: str) -> str:
        return f"{_ANSI[style]}{text}\x1b[0m" if color and text else text

    blocks = []
    for d in diagnostics:
        lines = [f"{paint(d.severity, f'{d.severity}[{d.code}]')}: {paint('bold', escape_control(d.message))}"]
        marks = [Label(d.span, d.label)] if d.span else []
        marks += d.labels
        width = max((len(str(m.span.line)) for m in marks), default=1)
        if d.span is not None:
            lines += _excerpts(d, marks, width, paint)
        for note in d.notes:
            head, *rest = escape_control_lines(note)
            lines.append(f"{' ' * width} {paint('frame', '=')} {head}")
            lines += [f"{' ' * width}   {line}" for line in rest]
        if d.help:
            head, *rest = escape_control_lines(d.help)
            lines.append(f"{paint('help', 'help')}: {head}")
            lines += [f"      {line}" for line in rest]
        blocks.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def escape_control_lines(text: str) -> list[str]:
    return [escape_control(line) for line in text.split("\n")] or [""]


def _excerpts(d: Diagnostic, marks: list[Label], width: int, paint: Any) -> list[str]:
    """The marked lines, grouped by file, in the order of their lines; the primary mark's file first."""
    assert d.span is not None
    gutter = " " * width
    lines: list[str] = []
    sources = list({id(m.span.source): m.span.source for m in marks}.values())
    for number, source in enumerate(sources):
        here = [(m.span.line, m is not marks[0], m) for m in marks if m.span.source is source]
        anchor = d.span if number == 0 else here[0][2].span
        arrow = "-->" if number == 0 else ":::"
        lines.append(f"{gutter} {paint('frame', arrow)} {escape_control(str(anchor))}".replace(" ", "", 1))
        lines.append(f"{gutter} {paint('frame', '|')}")
        shown = (0, 0)
        for line, secondary, mark in sorted(here, key=lambda h: (h[0], h[2].span.start)):
            whole = source.line_text(line)
            shift = shown[1] if line == shown[0] and _fits(mark.span, shown[1]) else _shift(whole, mark.span.column - 1)
            if (line, shift) != shown:
                lines.append(f"{paint('frame', f'{line:>{width}} |')} {_cut(whole, shift)}")
                shown = (line, shift)
            start, length = _visible_range(whole, mark.span, line, shift)
            tick = ("-" if secondary else "^") * length
            pointer = f"{tick} {'-- ' if secondary and len(tick) < 2 else ''}{escape_control(mark.text)}".rstrip()
            style = "frame" if secondary else d.severity
            lines.append(f"{gutter} {paint('frame', '|')} {' ' * start}{paint(style, pointer)}")
    return lines


def _shift(text: str, column: int) -> int:
    """How many characters to cut on the left, so that `column` can be seen in a long line."""
    return 0 if len(text) <= MAX_SHOWN_COLUMNS else max(0, column - MAX_SHOWN_COLUMNS // 2)


def _fits(span: Span, shift: int) -> bool:
    return shift <= span.column - 1 < shift + MAX_SHOWN_COLUMNS


def _cut(text: str, shift: int) -> str:
    """A window of a line, control characters escaped, `...` where something was cut off."""
    end = shift + MAX_SHOWN_COLUMNS
    shown = escape_control(text[shift:end]).replace("\t", " ")
    return ("..." if shift else "") + shown + ("..." if end < len(text) else "")


def _columns(text: str) -> int:
    """Terminal columns of a text as shown: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(escape_control(text))
    shown = escape_control(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)


def _visible_range(text: str, span: Span, line: int, shift: int) -> tuple[int, int]:
    begin = span.column - 1
    end_line, end_column = span.source.line_column(max(span.end - 1, span.start))
    stop = end_column if end_line == line else len(text)
    start = _columns(text[shift:begin]) + (3 if shift else 0)
    length = _columns(text[begin : min(stop, shift + MAX_SHOWN_COLUMNS)])
    return start, max(length, 1)


# --- machine formats --------------------------------------------------------------------------------------


def to_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """The contract of `archdsl check --format json`: lines and columns from 1, the end exclusive."""
    out: list[dict[str, Any]] = []
    for d in diagnostics:
        line = column = end_line = end_column = None
        if d.span is not None:
            line, column = d.span.source.line_column(d.span.start)
            end_line, end_column = d.span.source.line_column(d.span.end)
        notes = [*([d.label] if d.label else []), *(f"{label.span}: {label.text}" for label in d.labels), *d.notes]
        out.append(
            {
                "code": d.code,
                "severity": d.severity,
                "message": d.message,
                "file": d.span.source.name if d.span else None,
                "line": line,
                "column": column,
                "end_line": end_line,
                "end_column": end_column,
                "notes": notes,
                "help": d.help or None,
            }
        )
    return out


def to_sarif(diagnostics: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """SARIF 2.1.0, one run, for code-scanning services."""
    results = []
    for d in diagnostics:
        text = "\n".join(
            [d.message, *([d.label] if d.label else []), *d.notes, *([f"help: {d.help}"] if d.help else [])]
        )
        result: dict[str, Any] = {"ruleId": d.code, "level": d.severity, "message": {"text": text}}
        if d.span is not None:
            result["locations"] = [_sarif_location(d.span)]
        if d.labels:
            result["relatedLocations"] = [{**_sarif_location(m.span), "message": {"text": m.text}} for m in d.labels]
        results.append(result)
    rules = [{"id": code} for code in sorted({d.code for d in diagnostics})]
    driver = {"name": "archdsl", "version": version, "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _sarif_location(span: Span) -> dict[str, Any]:
    line, column = span.source.line_column(span.start)
    end_line, end_column = span.source.line_column(span.end)
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    return {"physicalLocation": {"artifactLocation": {"uri": span.source.name}, "region": region}}
