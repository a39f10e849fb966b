"""What the colours of a drawing mean, as SVG: swatches of the kinds that occur, or the scale of the heat."""

from __future__ import annotations

from archdsl.drawing.element import element
from archdsl.drawing.graph.labels import SMALL
from archdsl.drawing.heat import Scale, mix
from archdsl.drawing.metrics import text_width
from archdsl.drawing.model.drawing import Cost, Drawing
from archdsl.drawing.theme import LOOK_WORDS, Look, Theme

PATTERNS: dict[Look, str] = {
    "pool": "M-1,1 L1,-1 M0,5 L5,0 M4,6 L6,4",
    "fc": "M0,2.5 H5",
    "merge": "M2.5,0 V5 M0,2.5 H5",
    "norm": "M2.5,0 V5",
    "act": "M-1,4 L1,6 M0,0 L5,5 M4,-1 L6,1",
}
"""Hatching of the kinds in print, on a cell of 5 points; the others have none."""

_GAP = 14.0
_STEPS, _STEP = 24, 5.0


def pattern(look: Look, id: str) -> str:
    """The definition of a kind's hatching."""
    lines = element("path", d=PATTERNS[look], stroke="#A8A8A8", stroke_width="0.5")
    ground = element("rect", width=5, height=5, fill="#FFFFFF")
    return element("pattern", ground, lines, id=f"{id}-{look}", width=5, height=5, patternUnits="userSpaceOnUse")


def legend(drawing: Drawing, theme: Theme, heat: Scale | None, id: str) -> tuple[float, str]:
    """How wide it is, and its elements, from (0, 0) on."""
    if heat is not None:
        return _heat(heat, theme)
    used = {box.look for box in drawing.boxes()}
    x, out = 0.0, []
    for look, word in LOOK_WORDS.items():
        if look in used:
            out.append(_swatch(x, look, word, theme, id))
            x += 16 + text_width(word, SMALL) + _GAP
    return x - _GAP, "".join(out)


def _swatch(x: float, look: Look, word: str, theme: Theme, id: str) -> str:
    color = theme.colors[look]
    fill = f"url(#{id}-{look})" if theme.patterns and look in PATTERNS else color.fill
    body = element("rect", class_="body", x=x, width=12, height=10, rx=2.5, fill=fill, stroke=color.line)
    return element("g", body, _word(x + 16, word, theme), class_=look)


def _word(x: float, word: str, theme: Theme) -> str:
    return element("text", word, class_="quiet", x=x, y=8.4, font_size=SMALL, fill=theme.quiet)


def _heat(heat: Scale, theme: Theme) -> tuple[float, str]:
    colors = [mix(*theme.heat, (n / (_STEPS - 1)) ** 0.5) for n in range(_STEPS)]
    bars = (
        element("rect", x=12 + _STEP * n, width=_STEP + 0.4, height=10, fill=color) for n, color in enumerate(colors)
    )
    word = heat.said(Cost(heat.most, heat.most, heat.most))
    end = 12 + _STEPS * _STEP + 6
    return end + text_width(word, SMALL), "".join([_word(2, "0", theme), *bars, _word(end, word, theme)])
