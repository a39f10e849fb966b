"""Ways to draw a network so that it is readable on paper: columns, broken lines, fewer words, a simpler level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from operator import itemgetter

from archdsl.drawing.graph.columns import in_columns
from archdsl.drawing.graph.layout import laid_out, with_words
from archdsl.drawing.graph.positions import GraphLayout
from archdsl.drawing.graph.scene import draw
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Box, Drawing, Frame, View
from archdsl.drawing.model.focus import focus_on
from archdsl.drawing.model.words import Described, describe
from archdsl.drawing.request import Options, Request
from archdsl.drawing.scene.printing import printed
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import PRINT

_COLUMNS = 12
_LINE = 96.0, 64.0
"""Widths of the broken lines of a box, in points."""


def attempts(request: Request) -> Iterator[Painter]:
    """Yield the drawing; on paper, then with broken lines, with fewer words, and at the level `network`.

    Each is in as many columns as make its text largest; on a slide, in the direction that does. Raises as `laid_out`.
    """
    described = describe(request.graph, focus_on(request.graph, request.view))
    if request.options.target is None:
        yield _painter(request, described, *laid_out(request, partial(compose, request.graph)))
        return
    for view in dict.fromkeys((request.view, replace(request.view, level="network", expand=()))):
        for measure in MEASURES:
            sized = (
                _in_best_columns(replace(request, view=view, options=options), described, measure, request.view)
                for options in _directions(request.options)
            )
            yield max(sized, key=itemgetter(1))[0]


def _directions(options: Options) -> list[Options]:
    return [replace(options, direction=to) for to in ("LR", "TB")] if options.is_slide else [options]


def _in_best_columns(
    request: Request, described: Described, measure: Callable[[Drawing], Drawing], asked: View
) -> tuple[Painter, float]:
    """The drawing in the number of columns that makes its smallest text largest, and the size of that text."""
    drawing, layout, note = laid_out(request, lambda *view: measure(compose(request.graph, *view)))
    if request.view != asked:
        note = note or f"drawn at the level `{request.view.level}`: more detail would be too small at this size"
    options, painter = request.options, _painter(request, described, drawing, layout, note)
    best = _smallest(painter, options)
    for count in range(2, _COLUMNS + 1):
        broken = in_columns(drawing, layout, count, options.direction == "LR")
        if broken is None:
            break
        columns = _painter(request, described, drawing, with_words(drawing, broken, options.shapes)[0], note)
        smallest = _smallest(columns, options)
        if smallest < best:
            break
        if smallest > best:
            painter, best = columns, smallest
    return painter, best


def _smallest(painter: Painter, options: Options) -> float:
    return round(printed(painter(PRINT), options).smallest, 1)


def _painter(request: Request, described: Described, drawing: Drawing, layout: GraphLayout, note: str) -> Painter:
    return lambda theme: described(replace(draw(drawing, layout, request.options, theme), note=note))


def _plain(drawing: Drawing) -> Drawing:
    return drawing


def _broken(drawing: Drawing, width: float, brief: bool = False) -> Drawing:
    """The drawing with lines broken at a width; `brief`: without names and the ops that follow the main one."""

    def changed(box: Box) -> Box:
        shorter = replace(box, tail="", name="") if brief and box.look not in ("input", "output") else box
        return replace(shorter, wrap=width)

    return drawing.mapped(changed)


def _unframed(drawing: Drawing, width: float, brief: bool = False) -> Drawing:
    """The drawing with broken lines and without the frames of stages, so that it can be cut within a stage."""
    members = [m.members if isinstance(m, Frame) and m.stage else (m,) for m in drawing.members]
    return _broken(replace(drawing, members=tuple(chain.from_iterable(members))), width, brief)


MEASURES: tuple[Callable[[Drawing], Drawing], ...] = (
    _plain,
    *(partial(_broken, width=width) for width in _LINE),
    *(partial(_unframed, width=width, brief=brief) for brief in (False, True) for width in _LINE),
)
"""In the order in which they are tried."""
