"""Two networks side by side in one picture, what changed marked by a sign, by the style of a line, and by a colour."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from archdsl.differences.compare import Change, GraphDifference, Mark
from archdsl.differences.report import SIGNS, row_name, row_words
from archdsl.drawing.element import element
from archdsl.drawing.graph.labels import BODY, SMALL
from archdsl.drawing.graph.layout import laid_out
from archdsl.drawing.graph.places import Rect
from archdsl.drawing.graph.svg import paint
from archdsl.drawing.metrics import FAMILY, text_width
from archdsl.drawing.model.drawing import Box, View
from archdsl.drawing.request import Diagram, Options, Request
from archdsl.drawing.theme import DARK, LIGHT, THEMES, Theme
from archdsl.report.text import xml

WORDS: Mapping[Mark, str] = {"removed": "removed", "changed": "changed", "added": "added", "moved": "renamed, or moved"}
_COLORS: Mapping[Mark, str] = {"added": "#009E73", "removed": "#D55E00", "changed": "#B88600", "moved": "#0072B2"}
"""Of Okabe and Ito's palette; white writes on all of them."""
_DASHES: Mapping[Mark, str | None] = {"added": None, "removed": "6 3", "changed": "8 2 2 2", "moved": "2 2"}
_SIGNS: Mapping[Mark, str] = {**SIGNS, "removed": "\u2013"}
_PRINT = "#222222"
_LINES, _LETTERS = 14, 118
"""Of the list below the drawings, and of each line of it."""
_GAP, _TOP, _MARGIN, _BADGE, _STEP = 28.0, 34.0, 10.0, 13.0, 17.0
_ROOT = re.compile(r'<svg [^>]*?viewBox="0 0 ([0-9.]+) ([0-9.]+)"[^>]*>')
_SHIFT = re.compile(r'class="drawing" transform="translate\(([-0-9.]+),([-0-9.]+)\)"')
_WIDEST = 1094.0


class _Panel(NamedTuple):
    """One drawing: its own SVG with the marks in it, and its size."""

    root: str
    inside: str
    width: float
    height: float


def write(found: GraphDifference, names: tuple[str, str], view: View = View(), options: Options = Options()) -> Diagram:
    """The picture as SVG text. Raises as `archdsl.drawing.diagram.diagram`."""
    marks = {which: _marks(found, which) for which in (0, 1)}
    panels, notes = [], []
    for which, graph in enumerate((found.before, found.after)):
        titled = replace(options, title=names[which], legend=False)
        made = Request(graph, view, titled)
        drawing, layout, note = laid_out(made)
        text = paint(drawing, layout, titled)
        signs = [_mark(box, layout.boxes[box.number], marks[which], options) for box in drawing.boxes()]
        panels.append(_panel(text, [sign for sign in signs if sign]))
        notes += [note] if note else []
    return Diagram(_whole(panels, names, _list(found), options).encode(), "; ".join(dict.fromkeys(notes)))


def _list(found: GraphDifference) -> list[tuple[Mark, str]]:
    """What changed, in a line each: what the boxes cannot say."""
    lines = [(row.mark, _line(row)) for row in found.changes]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], (lines[-1][0], f"and {len(lines) - _LINES + 1} more: archdsl diff tells all")]
    return [(mark, text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}\u2026") for mark, text in lines]


def _line(row: Change) -> str:
    inside = row.side.part.path
    before = row.before.part.path if row.before is not None else inside
    parts = [
        f"{_SIGNS[inner.mark]} {row_name(inner, inside, before)} {row_words(_own(inner))}" for inner in row.changes
    ]
    return f"{row_name(row)}: {'; '.join(parts) if parts else row_words(_own(row))}"


def _own(row: Change) -> Change:
    """The row without what follows for it from changes elsewhere, where there is more to say of it."""
    facts = tuple(fact for fact in row.facts if fact.name != "receives")
    return replace(row, facts=facts or row.facts)


def _marks(found: GraphDifference, which: int) -> dict[int, Mark]:
    """The nodes of one of the two networks that are not the same in the other."""
    marks: dict[int, Mark] = {}
    pending = list(found.changes)
    while pending:
        row = pending.pop(0)
        for one in row.all:
            side = (one.before, one.after)[which]
            if side is not None:
                marks |= dict.fromkeys(side.part.ids, one.mark)
        pending += [inner for one in row.all for inner in one.changes]
    return marks


def _of_copy(ids: range, marks: Mapping[int, Mark]) -> Mark | None:
    """What became of one of the things that a box stands for."""
    there = {marks.get(i) for i in ids}
    if len(there) == 1:
        return next(iter(there))
    return "changed" if there - {None, "moved"} else "moved"


def _mark(box: Box, rect: Rect, marks: Mapping[int, Mark], options: Options) -> str:
    """The outline and the sign of a box; of several equal things that only some of them have, with how many do."""
    counted = Counter(_of_copy(ids, marks) for ids in box.copies)
    known = [(mark, count) for mark, count in counted.items() if mark is not None]
    if not known:
        return ""
    main: Mark = max(known, key=lambda item: item[1])[0]
    color = _PRINT if options.theme == "print" else _COLORS[main]
    line = {"fill": "none", "stroke": color, "stroke_width": "2.4", "stroke_dasharray": _DASHES[main]}
    if box.sign:
        body = element(
            "circle", cx=rect.x + rect.width / 2, cy=rect.y + rect.height / 2, r=rect.width / 2 + 1.5, **line
        )
    else:
        body = element(
            "rect", x=rect.x - 1.5, y=rect.y - 1.5, width=rect.width + 3, height=rect.height + 3, rx=6, **line
        )
    some = len(box.copies) > 1 and (len(known) > 1 or known[0][1] < len(box.copies))
    words = [f"{_SIGNS[mark]}{count if some else ''}" for mark, count in known]
    badges, x = [], rect.x - _BADGE * 0.6
    for (mark, _), word in zip(known, words, strict=True):
        badges.append(_badge(x, rect.y, word, _PRINT if options.theme == "print" else _COLORS[mark]))
        x += _badge_width(word) + 1
    said = element("title", xml(", ".join(f"{count} of {len(box.copies)} {WORDS[mark]}" for mark, count in known)))
    return element("g", said, body, *badges, class_=f"mark {main}", data_path=box.path[:300])


def _badge_width(word: str) -> float:
    return max(_BADGE, text_width(word, SMALL + 1, True) + 6)


def _badge(x: float, y: float, word: str, color: str) -> str:
    width = _badge_width(word)
    body = element("rect", x=x, y=y - _BADGE / 2, width=width, height=_BADGE, rx=_BADGE / 2, fill=color)
    text = element(
        "text",
        xml(word),
        x=x + width / 2,
        y=y + 3.6,
        text_anchor="middle",
        font_size=SMALL + 1,
        font_weight="bold",
        fill="#FFFFFF",
    )
    return body + text


def _panel(text: str, marks: Sequence[str]) -> _Panel:
    """A painted drawing without its head, the marks laid over it."""
    root, shift = _ROOT.search(text), _SHIFT.search(text)
    assert root is not None and shift is not None
    inside = text[root.end() : text.rindex("</svg>")]
    over = element("g", "\n", "\n".join(marks), "\n", class_="marks", transform=f"translate({shift[1]},{shift[2]})")
    return _Panel(root[0], inside + over, float(root[1]), float(root[2]))


def _whole(
    panels: Sequence[_Panel], names: tuple[str, str], lines: Sequence[tuple[Mark, str]], options: Options
) -> str:
    theme: Theme = THEMES.get(options.theme, LIGHT)
    key_width, key = _legend(theme, options)
    list_width = max((text_width(text, BODY) + 24 for _, text in lines), default=0.0)
    width = max(sum(p.width for p in panels) + _GAP, key_width, list_width) + 2 * _MARGIN
    below = _TOP + max(p.height for p in panels) + _MARGIN
    height = below + _STEP * len(lines) + _MARGIN
    scale = min(1.0, _WIDEST / width)
    auto = " auto" if options.theme == "auto" else ""
    title = xml(f"{names[0][:150]} and {names[1][:150]}")
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" class="archdsl{auto}" width="{width * scale:.1f}" height="{height * scale:.1f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" role="img" font-family="{FAMILY}">',
        f"<title>{title}</title>",
        element("rect", class_="ground", width="100%", height="100%", fill=theme.background),
        element("g", key, class_="legend", transform=f"translate({(width - key_width) / 2:.1f},12)"),
    ]
    if auto:
        parts.insert(
            3, f"<style>@media (prefers-color-scheme:dark){{.archdsl.auto .legend .quiet{{fill:{DARK.quiet}}}}}</style>"
        )
    x = (width - sum(p.width for p in panels) - _GAP) / 2
    for panel in panels:
        parts.append(f'<g transform="translate({x:.1f},{_TOP:.1f})">{panel.inside}</g>')
        x += panel.width + _GAP
    for number, (mark, text) in enumerate(lines):
        y = below + _STEP * number
        color = _PRINT if options.theme == "print" else _COLORS[mark]
        word = element("text", xml(text), class_="ink", x=_MARGIN + 22, y=y + 9.6, font_size=BODY, fill=theme.ink)
        parts.append(element("g", _badge(_MARGIN, y + 6, _SIGNS[mark], color), word, class_="change"))
    return "\n".join([*parts, "</svg>", ""])


def _legend(theme: Theme, options: Options) -> tuple[float, str]:
    x, out = 0.0, []
    for mark, word in WORDS.items():
        color = _PRINT if options.theme == "print" else _COLORS[mark]
        line = element(
            "rect",
            x=x + 8,
            y=0.5,
            width=26,
            height=12,
            rx=4,
            fill="none",
            stroke=color,
            stroke_width="2.4",
            stroke_dasharray=_DASHES[mark],
        )
        text = element("text", xml(word), class_="quiet", x=x + 40, y=10, font_size=BODY, fill=theme.quiet)
        out += [line, _badge(x, 2.0, _SIGNS[mark], color), text]
        x += 40 + text_width(word, BODY) + 22
    return x - 22, "".join(out)
