"""Print diagnostics for a terminal: source lines with carets, control characters escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from archdsl.diagnostics.color import painted
from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.place import Label, Span

MAX_SHOWN_COLUMNS = 160
"""Longer source lines are cut to this many columns around the caret, so a line of 1 MB prints as one line."""


def escape_control(text: str) -> str:
    """Escape control, bidirectional and other invisible characters, so a spec cannot control a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or c == "\t" else ascii(c)[1:-1]
        for c in text
    )


def line_start(name: str) -> str:
    """Return the name of a file as a line may begin with it: a log of CI would run `::error::` as a command, and a
    program would read `-o` as an option."""
    return escape_control(f"./{name}" if name.lstrip()[:1] in (":", "-", "#") and name != "-" else name)


def json_visible(text: str) -> str:
    """Escape the same characters as JSON escapes: a terminal may print the JSON."""
    import json

    if text.isascii():
        return text
    return "".join(
        c if c.isascii() or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else json.dumps(c)[1:-1]
        for c in text
    )


def render_text(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """Return every diagnostic with its source lines and carets, in the layout of rustc."""

    def paint(style: str, text: str) -> str:
        return painted(style, text, color)

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
    """The marked lines by file, in the order of the lines; the file of the primary mark first."""
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
    """How many characters to cut on the left so that `column` of a long line is visible."""
    return 0 if len(text) <= MAX_SHOWN_COLUMNS else max(0, column - MAX_SHOWN_COLUMNS // 2)


def _fits(span: Span, shift: int) -> bool:
    return shift <= span.column - 1 < shift + MAX_SHOWN_COLUMNS


def _cut(text: str, shift: int) -> str:
    """A part of a line, control characters escaped, with `...` where it was cut."""
    end = shift + MAX_SHOWN_COLUMNS
    shown = escape_control(text[shift:end]).replace("\t", " ")
    return ("..." if shift else "") + shown + ("..." if end < len(text) else "")


def _columns(text: str) -> int:
    """The terminal columns of a text: wide East Asian characters take two, combining marks none."""
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
