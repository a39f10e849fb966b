"""The legend of a drawing: a swatch for each category, or the colour scale."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from archdsl.drawing.graph.labels import SMALL
from archdsl.drawing.heat import HeatScale, mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.model.drawing import Cost, Drawing
from archdsl.drawing.scene import Cluster, Element, Hatch, Point, Polygon, Text, moved, rectangle
from archdsl.drawing.theme import LOOK_WORDS, Look, Theme

_GAP = 14.0
_STEPS, _STEP = 24, 5.0
_LINE = 20.0


def _hatch(*lines: tuple[float, float, float, float]) -> Hatch:
    return Hatch(tuple((Point(x0, y0), Point(x1, y1)) for x0, y0, x1, y1 in lines))


HATCHES: Mapping[Look, Hatch] = {
    "pool": _hatch((-1, 1, 1, -1), (0, 5, 5, 0), (4, 6, 6, 4)),
    "fc": _hatch((0, 2.5, 5, 2.5)),
    "merge": _hatch((2.5, 0, 2.5, 5), (0, 2.5, 5, 2.5)),
    "norm": _hatch((2.5, 0, 2.5, 5)),
    "act": _hatch((-1, 4, 1, 6), (0, 0, 5, 5), (4, -1, 6, 1)),
}
"""The hatches of the theme `print`, by category; other categories have none."""


def legend(
    drawing: Drawing, theme: Theme, heat: HeatScale | None, room: float = inf
) -> tuple[float, float, list[Element]]:
    """Return the width and height of the legend and its elements, from (0, 0), in lines of at most `room` points."""
    if heat is not None:
        width, members = _heat(heat, theme)
        return width, _LINE, members
    used = {box.look for box in drawing.boxes()}
    x, y, widest, members = 0.0, 0.0, 0.0, list[Element]()
    for look, word in LOOK_WORDS.items():
        if look in used:
            step = 16 + text_width(word, SMALL)
            if x and x + step > room:
                x, y = 0.0, y + _LINE - 5
            swatch, text = moved(_swatch(x, look, theme), 0, y), moved(_text(x + 16, word, theme), 0, y)
            members.append(Cluster(look, members=[swatch, text]))
            x += step + _GAP
            widest = max(widest, x - _GAP)
    return widest, y + _LINE, members


def _swatch(x: float, look: Look, theme: Theme) -> Polygon:
    fill = HATCHES[look] if theme.patterns and look in HATCHES else theme.colors[look].fill
    dashes = (2.5, 1.5) if look == "unknown" else ()
    return Polygon(rectangle(x, 0, 12, 10), fill, theme.colors[look].line, 1.0, round=2.5, dashes=dashes)


def _text(x: float, word: str, theme: Theme) -> Text:
    return Text(Point(x, 8.4), word, SMALL, theme.quiet, "start")


def _heat(heat: HeatScale, theme: Theme) -> tuple[float, list[Element]]:
    colors = [mix(*theme.heat, (n / (_STEPS - 1)) ** 0.5) for n in range(_STEPS)]
    bars = (Polygon(rectangle(12 + _STEP * n, 0, _STEP + 0.4, 10), color) for n, color in enumerate(colors))
    label = heat.label(Cost(heat.most, heat.most, heat.most))
    end = 12 + _STEPS * _STEP + 6
    return end + text_width(label, SMALL), [_text(2, "0", theme), *bars, _text(end, label, theme)]
