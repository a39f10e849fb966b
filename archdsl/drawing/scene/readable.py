"""Choose the first of several drawings that is readable at the requested size on paper."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import TypeAlias

from archdsl.diagnostics import ArchError, error
from archdsl.drawing.panels import side_by_side
from archdsl.drawing.request import Request
from archdsl.drawing.scene.printing import printed
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import PRINT

Attempts: TypeAlias = Callable[[Request], Iterator[Painter]]
"""A function that yields drawings, the best first; without a size on paper, the first one is drawn."""
_WIDTHS_MM = (85, 100, 122, 140, 170, 182, 210, 260, 320, 400, 600, 1000)
"""Widths that a refusal tries: columns, pages, posters."""
_MM = 25.4 / 72
"""Millimetres in a point."""
_GAP_MM, _CAPTION_MM = 4, 15
"""Space around the pictures of a figure, and below them."""


def readable(attempts: Attempts, request: Request) -> Painter:
    """Return the first drawing whose smallest text has the requested size on paper; without a size, the first one.

    Raises E0721 (status 2) if there is none; the help says which width or font size would fit. Drawings that fill the
    width are refused only if a smallest font size is set.
    """
    painter, smallest = best(attempts, request)
    target = request.options.target
    if target is None or smallest >= target.least or not (request.options.min_font or painter(PRINT).body):
        return painter
    raise _unreadable(attempts, request, smallest)


def best(attempts: Attempts, request: Request) -> tuple[Painter, float]:
    """Return the first readable drawing or else that with the largest text, and the size of its smallest text.

    Without a size on paper, it is the first drawing, whose size is not computed.
    """
    target, tried = request.options.target, list[tuple[Painter, float]]()
    for painter in attempts(request):
        if target is None:
            return painter, inf
        smallest = round(printed(painter(PRINT), request.options).smallest, 2)
        tried.append((painter, smallest))
        if smallest >= target.least:
            return tried[-1]
    return max(tried, key=lambda pair: pair[1])


def figures(attempts: Attempts, requests: Sequence[Request], request: Request) -> Iterator[Painter]:
    """Yield figures of several networks with the options of `request`: on paper, with fewer and fewer in a row."""
    options = request.options
    for count in range(len(requests), 0, -1):
        width = options.width_mm and max((options.width_mm - _GAP_MM * (count + 1)) // count, 20)
        rows = -(-len(requests) // count)
        height = options.target and max((round(options.target.sheet.height * _MM) - _CAPTION_MM) // rows - _GAP_MM, 20)
        part = replace(options, title="", width_mm=width, height_mm=height)
        yield side_by_side([best(attempts, replace(each, options=part, beside=True))[0] for each in requests], options)


def _unreadable(attempts: Attempts, request: Request, largest: float) -> ArchError:
    options, target = request.options, request.options.target
    assert target is not None
    width_mm = round(target.sheet.width * _MM)
    possible = f"{int(largest * 10) / 10:g}"
    fits = [f"`--min-font {possible}`"]
    needed = 0.7 * width_mm * target.least / largest

    def fit(width_mm: int) -> bool:
        return best(attempts, replace(request, options=replace(options, width_mm=width_mm)))[1] >= target.least

    wider = [mm for mm in _WIDTHS_MM if mm > max(width_mm, needed)]
    first = bisect_left(wider, True, key=fit)  # few tries: each that fails takes as long as the drawing itself
    fits[:0] = [f"`--width {mm}`" for mm in wider[first : first + 1]]
    place = f"{width_mm} mm x {target.sheet.height * _MM:.0f} mm"
    return error(
        "E0721",
        f"`{request.graph.name[:80]}` cannot be drawn at {place} with text of at least {target.least:g} points: the "
        f"smallest text would have {possible}",
        status=2,
        help=f"{' or '.join(fits)} would fit; or draw one block with `--focus`",
    )
