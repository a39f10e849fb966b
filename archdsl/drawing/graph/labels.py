"""The text of boxes, frames and arrows as lines, and the size of a box that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Literal, NamedTuple, TypeAlias

from archdsl.drawing.heat import HeatScale
from archdsl.drawing.metrics import text_width, wrapped
from archdsl.drawing.model.drawing import Box, Drawing, Frame
from archdsl.report.words import TIMES

Tone: TypeAlias = Literal["ink", "quiet"]

BODY, SMALL, TINY, HEAD, _FACTS = 11.0, 9.0, 8.5, 15.0, 9.5
_PAD_X, _PAD_Y, _LEADING = 8.0, 4.0, 1.24
_SIGN = 17.0
GAP = "\u00a0\u00a0"
"""Separates the runs of a line."""
_BY, _TOGETHER = f" {TIMES} ", f"\u00a0{TIMES}\u00a0"
_LAYERS = re.compile(r"\[[^\]]*\]")
_MAX_CHARS = 64
"""Longer texts are shortened: a name may have 20,000 characters."""


class TextRun(NamedTuple):
    """A text in one font."""

    text: str
    size: float
    bold: bool = False
    tone: Tone = "ink"

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, self.bold)

    @property
    def gap(self) -> float:
        """The space before it, unless it is the first of its line."""
        return text_width(GAP, self.size, self.bold)


class TextLine(NamedTuple):
    """A line of runs; `y` is its baseline, downwards from the middle of the box."""

    runs: tuple[TextRun, ...]
    y: float = 0.0

    @property
    def width(self) -> float:
        return sum(run.width + run.gap * bool(number) for number, run in enumerate(self.runs))

    @property
    def height(self) -> float:
        return max(run.size for run in self.runs) * _LEADING


class Content(NamedTuple):
    """Lines of text and the size of the box around them."""

    lines: tuple[TextLine, ...]
    width: float
    height: float


def short(text: str, limit: int = _MAX_CHARS) -> str:
    """Shorten a long text: an ellipsis replaces its middle."""
    return text if len(text) <= limit else f"{text[: limit - 12]}…{text[-11:]}"


def content(box: Box, scale: HeatScale | None = None) -> Content:
    """Return the text of a box. A block: its title above its path. A node: its op, its count, the ops after it."""
    if box.upper is not None:
        halves = content(box.upper, scale), content(replace(box, upper=None), scale)
        shifts = -halves[1].height / 2, halves[0].height / 2
        lines = [line._replace(y=line.y + by) for half, by in zip(halves, shifts, strict=True) for line in half.lines]
        return Content(tuple(lines), max(half.width for half in halves), sum(half.height for half in halves))
    if box.sign:
        return Content(_placed([TextLine((TextRun(box.sign, 13 if len(box.sign) == 1 else 7, True),))]), _SIGN, _SIGN)
    count = TextRun(f"{TIMES}\u00a0{box.count}", BODY, True) if box.count > 1 else None
    title = TextRun(short(box.title), BODY, box.kind in ("block", "stage"))
    lines = []
    if box.kind in ("block", "stage"):
        lines += [
            _line(title, count),
            _line(*(TextRun(short(t), SMALL, False, "quiet") for t in (box.name, box.tail) if t)),
        ]
    else:
        lines += [_line(title, count, TextRun(short(box.tail), BODY, False, "quiet") if box.tail else None)]
    lines += [_line(TextRun(short(text), SMALL, False, "quiet")) for text in box.lines]
    if box.wrap:
        lines = [row for line in lines for row in _broken(line, box.wrap)]
    if scale is not None and scale.value(box.cost):
        lines.append(_line(TextRun(scale.label(box.cost) + (" in all" if len(box.everywhere) > 1 else ""), SMALL)))
    return _sized([line for line in lines if line.runs], (_PAD_X, _PAD_Y))


def _broken(line: TextLine, width: float) -> Iterator[TextLine]:
    """A line as lines of at most a width, all of one size: a run starts on the line before it if there is space.

    A shape, and a layer in brackets as in `[3x3, 64; 3x3, 64]`, stay on one line.
    """
    row: tuple[TextRun, ...] = ()
    for run in line.runs:
        whole = _LAYERS.sub(lambda layers: layers[0].replace(", ", ",\u00a0"), run.text.replace(_BY, _TOGETHER))
        for text in wrapped(whole, width, SMALL, run.bold):
            word = run._replace(text=text.replace(_TOGETHER, _BY).replace(",\u00a0", ", "), size=SMALL)
            if row and TextLine((*row, word)).width > width:
                yield TextLine(row)
                row = ()
            row = (*row, word)
    if row:
        yield TextLine(row)


def _line(*runs: TextRun | None) -> TextLine:
    return TextLine(tuple(run for run in runs if run is not None))


def _sized(lines: Sequence[TextLine], pads: tuple[float, float]) -> Content:
    width = max(line.width for line in lines) + 2 * pads[0]
    return Content(_placed(lines), width, sum(line.height for line in lines) + 2 * pads[1])


def _placed(lines: Sequence[TextLine]) -> tuple[TextLine, ...]:
    """Lines below one another, centred around y = 0."""
    top = -sum(line.height for line in lines) / 2
    out = []
    for line in lines:
        size = max(run.size for run in line.runs)
        out.append(line._replace(y=top + (line.height - size) / 2 + size * 0.8))
        top += line.height
    return tuple(out)


def frame_content(frame: Frame) -> Content:
    """Return a frame's title: its path and count, and below them the call and what differs in the copies."""
    count = TextRun(f"{TIMES}\u00a0{frame.count}", SMALL, True) if frame.count > 1 else None
    lines = [_line(TextRun(short(frame.name), SMALL, False, "quiet"), count)]
    rows = filter(None, (frame.title, *frame.lines))
    lines += [_line(TextRun(short(text), SMALL, False, "quiet")) for text in rows]
    return _sized(lines, (1.0, 1.0))


def arrow_content(label: str) -> Content:
    return _sized([TextLine((TextRun(label, TINY, False, "quiet"),))], (1.5, 0.5))


def head_content(drawing: Drawing, title: str | None, width: float = inf) -> tuple[TextLine, ...]:
    """Return the lines above a drawing, broken at a width; none if `title` is empty."""
    if title == "":
        return ()
    title, facts = short(drawing.title if title is None else title, 110), " · ".join(drawing.facts)
    lines = [TextLine((TextRun(text, HEAD, True),)) for text in wrapped(title, width, HEAD, True)]
    lines += [TextLine((TextRun(text, _FACTS, False, "quiet"),)) for text in wrapped(facts, width, _FACTS, mark=" · ")]
    return tuple(lines)
